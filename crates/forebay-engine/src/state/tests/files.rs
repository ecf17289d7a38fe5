//! What was made durable is what comes back, however often a run ends, an epoch is written again or a snapshot is made.

use std::path::Path;

use forebay_storage::Door;
use proptest::prelude::*;

use super::super::error::DAMAGED;
use super::super::folder::{changes_path, list};
use super::super::show::show;
use super::super::{StateFiles, layout::Named};
use super::*;

pub(super) fn number(epoch: u64) -> forebay_core::Epoch {
    forebay_core::Epoch(epoch)
}

/// Opens the two tables of these tests, after `next` epochs.
pub(super) fn open(dir: &Path, next: u64) -> forebay_core::Result<(StateFiles, Vec<Table>)> {
    let tables = [named("first"), named("second")];
    let (mut files, tables) = StateFiles::open(dir, Door::new(), &tables, next.checked_sub(1).map(number))?;
    files.least_changes = 0;
    Ok((files, tables))
}

/// The second table has the epoch's rows a little later.
pub(super) fn both(epoch: &Epoch) -> Vec<Changes> {
    let mut second = epoch.clone();
    second.upserts.values_mut().for_each(|row| row.1 += 1_000_000);
    vec![epoch.changes(), second.changes()]
}

pub(super) fn assert_both(tables: &[Table], model: &Model, context: &str) {
    assert_same(&tables[0], model, context);
    let mut second = model.clone();
    second.values_mut().for_each(|row| row.1 += 1_000_000);
    assert_same(&tables[1], &second, context);
}

/// A whole epoch, as the loop runs it.
pub(super) fn run(files: &mut StateFiles, tables: &mut [Table], at: u64, epoch: &Epoch) {
    let changes = both(epoch);
    files.write(number(at), &changes).unwrap();
    tables.iter_mut().zip(&changes).for_each(|(table, changes)| {
        table.tidy();
        table.apply(changes).unwrap();
    });
    files.committed(number(at), tables).unwrap();
}

/// A folder with the state after `epochs` busy epochs, with every snapshot that was due.
pub(super) fn filled(dir: &Path, epochs: u64) {
    let (mut files, mut tables) = open(dir, 0).unwrap();
    for at in 0..epochs {
        run(&mut files, &mut tables, at, &busy(at));
        files.settle();
    }
    assert_both(&tables, &busy_model(epochs), "as it was written");
}

#[test]
fn what_was_written_comes_back_after_every_epoch() {
    let dir = tempfile::tempdir().unwrap();
    for next in 0..40 {
        let (mut files, mut tables) = open(dir.path(), next).unwrap();
        assert_both(&tables, &busy_model(next), &format!("after {next} epochs"));
        run(&mut files, &mut tables, next, &busy(next));
    }
}

#[test]
fn old_files_go_and_the_snapshot_before_the_newest_stays() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 60);
    let listing = list(dir.path()).unwrap();
    assert_eq!(listing.snapshots.len(), 2, "{listing:?}");
    let before = *listing.snapshots.keys().next().unwrap();
    assert!(before > 0 && listing.changes.keys().all(|base| *base >= before), "{listing:?}");
    assert!(listing.staged.is_empty());
}

#[test]
fn records_of_epochs_that_did_not_end_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 7);
    let (mut files, _) = open(dir.path(), 7).unwrap();
    files.write(number(7), &both(&busy(70))).unwrap();
    drop(files);
    for _ in 0..2 {
        let (mut files, tables) = open(dir.path(), 7).unwrap();
        assert_both(&tables, &busy_model(7), "without epoch 7");
        files.write(number(7), &both(&busy(700))).unwrap();
        // Another attempt, and another.
        files.write(number(7), &both(&busy(7000))).unwrap();
        files.write(number(7), &both(&busy(7))).unwrap();
    }
    let (_, tables) = open(dir.path(), 8).unwrap();
    assert_both(&tables, &busy_model(8), "the newest attempt counts");
}

#[test]
fn a_first_record_of_a_file_is_replaced_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, _) = open(dir.path(), 0).unwrap();
    files.write(number(0), &both(&busy(9))).unwrap();
    files.write(number(0), &both(&busy(0))).unwrap();
    files.write(number(1), &both(&busy(1))).unwrap();
    assert!(files.write(number(0), &both(&busy(0))).is_err(), "epoch 1 rests on it");
    assert!(files.write(number(3), &both(&busy(3))).is_err(), "epoch 2 is missing");
    drop(files);
    assert_both(&open(dir.path(), 2).unwrap().1, &busy_model(2), "two epochs");
}

#[test]
fn nothing_counts_before_the_first_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, _) = open(dir.path(), 0).unwrap();
    files.write(number(0), &both(&busy(9))).unwrap();
    drop(files);
    let (_files, tables) = open(dir.path(), 0).unwrap();
    assert_both(&tables, &Model::new(), "empty");
    assert!(!changes_path(dir.path(), 0).exists());
}

#[test]
fn epochs_that_change_nothing_are_kept_in_the_count() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, mut tables) = open(dir.path(), 0).unwrap();
    for at in 0..5 {
        run(&mut files, &mut tables, at, &Epoch::default());
    }
    drop(files);
    assert_both(&open(dir.path(), 5).unwrap().1, &Model::new(), "empty");
    let error = open(dir.path(), 6).unwrap_err();
    assert_eq!(error.code(), DAMAGED);
    assert!(error.detail().unwrap().contains("epoch 5"), "{error}");
}

#[test]
fn many_short_runs_leave_few_files() {
    let dir = tempfile::tempdir().unwrap();
    for next in 0..150 {
        let (mut files, mut tables) = open(dir.path(), next).unwrap();
        files.least_changes = 1 << 30;
        run(&mut files, &mut tables, next, &busy(next));
    }
    let listing = list(dir.path()).unwrap();
    assert!(listing.changes.len() < 135 && listing.snapshots.len() == 2, "{listing:?}");
}

#[test]
fn an_older_copy_of_the_journal_is_told() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 60);
    let error = open(dir.path(), 3).unwrap_err();
    assert_eq!(error.code(), DAMAGED);
    assert!(error.detail().unwrap().contains("older copy"), "{error}");
    assert_both(&open(dir.path(), 60).unwrap().1, &busy_model(60), "nothing was cut");
}

#[test]
fn the_same_folder_is_shown_without_being_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(show(&dir.path().join("nothing"), None).unwrap(), []);
    filled(dir.path(), 30);
    let before = list(dir.path()).unwrap();
    let shown = show(dir.path(), Some(number(29))).unwrap();
    let model = busy_model(30);
    let names: Vec<&str> = shown.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    for table in shown {
        assert_eq!((table.keys, table.oldest_expiry), (model.len(), model.values().map(|row| row.0).min()));
        assert!(table.bytes > 1000);
    }
    let after = list(dir.path()).unwrap();
    assert_eq!((before.changes, before.snapshots), (after.changes, after.snapshots));
}

#[test]
fn a_snapshot_that_cannot_be_written_costs_nothing_but_room() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, mut tables) = open(dir.path(), 0).unwrap();
    let in_the_way: Vec<_> =
        (1..=20).map(|base| dir.path().join(format!("snapshot-{base:020}.staged"))).collect();
    in_the_way.iter().for_each(|path| std::fs::create_dir(path).unwrap());
    for at in 0..20 {
        run(&mut files, &mut tables, at, &busy(at));
        files.settle();
    }
    assert!(list(dir.path()).unwrap().snapshots.is_empty());
    in_the_way.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    for at in 20..40 {
        run(&mut files, &mut tables, at, &busy(at));
        files.settle();
    }
    assert!(!list(dir.path()).unwrap().snapshots.is_empty(), "tried again");
    drop(files);
    assert_both(&open(dir.path(), 40).unwrap().1, &busy_model(40), "all of it");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Steps: an epoch with attempts that failed before it, and whether the run ends after it, with or without a record
    /// that does not count.
    #[test]
    fn any_history_comes_back(steps in proptest::collection::vec((0..3u64, 0..4u8), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut files, mut tables) = open(dir.path(), 0).unwrap();
        for (at, (failed, end)) in steps.iter().enumerate() {
            let at = at as u64;
            for attempt in 0..*failed {
                files.write(number(at), &both(&busy(1000 + attempt * 7 + at))).unwrap();
            }
            run(&mut files, &mut tables, at, &busy(at));
            if *end == 1 {
                files.write(number(at + 1), &both(&busy(5000 + at))).unwrap();
            }
            if *end <= 1 {
                drop(files);
                (files, tables) = open(dir.path(), at + 1).unwrap();
                assert_both(&tables, &busy_model(at + 1), &format!("after epoch {at}"));
            }
        }
        drop(files);
        let next = steps.len() as u64;
        assert_both(&open(dir.path(), next).unwrap().1, &busy_model(next), "at the end");
    }
}

/// The folder's tables as the query names them now.
pub(super) fn reopen(dir: &Path, tables: &[Named], next: u64) -> forebay_core::Result<Vec<Table>> {
    StateFiles::open(dir, Door::new(), tables, next.checked_sub(1).map(number)).map(|(_, tables)| tables)
}
