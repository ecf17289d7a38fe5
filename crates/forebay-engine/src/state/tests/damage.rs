//! A flipped bit or a missing end is never taken for state: what came before it is used, or there is an error.

use std::fs;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;

use super::super::error::DAMAGED;
use super::super::folder::list;
use super::super::show::{Damage, examine, show};
use super::files::{assert_both, filled, number, open};
use super::*;

const EPOCHS: u64 = 23;

/// A folder with two snapshots and changes after each, and its files that the newest state needs alone.
fn folder() -> (tempfile::TempDir, Vec<PathBuf>, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), EPOCHS);
    let listing = list(dir.path()).unwrap();
    assert_eq!(listing.snapshots.len(), 2, "{listing:?}");
    let newest = *listing.snapshots.keys().next_back().unwrap();
    assert!(newest < EPOCHS, "changes follow the newest snapshot");
    let (old, needed) = listing.changes.iter().partition::<Vec<_>, _>(|(base, _)| **base < newest);
    let paths = |files: Vec<(&u64, &PathBuf)>| files.into_iter().map(|(_, path)| path.clone()).collect();
    let mut spare: Vec<PathBuf> = paths(old);
    spare.extend(listing.snapshots.values().cloned());
    (dir, spare, paths(needed))
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// Opens a copy whose file `path` was altered.
fn opened_with(dir: &Path, path: &Path, content: &[u8]) -> forebay_core::Result<Vec<Table>> {
    let dir = copy(dir);
    fs::write(dir.path().join(path.file_name().unwrap()), content).unwrap();
    open(dir.path(), EPOCHS).map(|(_, tables)| tables)
}

fn check(dir: &Path, path: &Path, content: &[u8], is_spare: bool, context: &str) {
    let context = format!("{}: {context}", path.display());
    match opened_with(dir, path, content) {
        Ok(tables) if is_spare => assert_both(&tables, &busy_model(EPOCHS), &context),
        Ok(_) => panic!("{context}: taken for whole"),
        Err(error) => {
            assert!(!is_spare, "{context}: there is another way: {error}");
            assert_eq!(error.code(), DAMAGED, "{context}");
            assert!(error.place().is_some() && error.hint().contains("checkpointLocation"), "{context}");
        }
    }
}

/// The first bytes, with the header, and a sample of the others.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(|at| *at < 60 || at % 97 == 0)
}

#[test]
fn a_flipped_bit_in_any_file() {
    let (dir, spare, needed) = folder();
    for (paths, is_spare) in [(&spare, true), (&needed, false)] {
        for path in paths {
            let bytes = fs::read(path).unwrap();
            for at in places(bytes.len()) {
                let mut altered = bytes.clone();
                altered[at] ^= 1 << (at % 8);
                check(dir.path(), path, &altered, is_spare, &format!("bit of byte {at}"));
            }
        }
    }
}

#[test]
fn a_missing_end_of_any_file() {
    let (dir, spare, needed) = folder();
    for (paths, is_spare) in [(&spare, true), (&needed, false)] {
        for path in paths {
            let bytes = fs::read(path).unwrap();
            for len in places(bytes.len()) {
                check(dir.path(), path, &bytes[..len], is_spare, &format!("cut to {len}"));
            }
        }
    }
}

#[test]
fn a_missing_file() {
    let (dir, spare, needed) = folder();
    for (paths, is_spare) in [(&spare, true), (&needed, false)] {
        for path in paths {
            let dir = copy(dir.path());
            fs::remove_file(dir.path().join(path.file_name().unwrap())).unwrap();
            match open(dir.path(), EPOCHS) {
                Ok((_, tables)) if is_spare => assert_both(&tables, &busy_model(EPOCHS), "without it"),
                Ok(_) => panic!("{} is needed", path.display()),
                Err(error) => assert!(!is_spare, "{}: {error}", path.display()),
            }
        }
    }
}

#[test]
fn bytes_after_the_last_record_are_cut() {
    let (dir, _, needed) = folder();
    let path = needed.last().unwrap();
    let whole = fs::read(path).unwrap();
    for more in [1, 11, 12, 500] {
        let mut longer = whole.clone();
        longer.extend(std::iter::repeat_n(0xA5, more));
        let dir = copy(dir.path());
        let path = dir.path().join(path.file_name().unwrap());
        fs::write(&path, longer).unwrap();
        assert_both(&open(dir.path(), EPOCHS).unwrap().1, &busy_model(EPOCHS), "a torn tail");
        assert_eq!(fs::read(&path).unwrap(), whole, "cut");
    }
}

#[test]
fn a_damaged_snapshot_is_replaced_by_a_new_one() {
    let (dir, _, _) = folder();
    let newest = list(dir.path()).unwrap().snapshots.pop_last().unwrap();
    fs::write(&newest.1, b"forebay-state-snapshot\n").unwrap();
    let (mut files, mut tables) = open(dir.path(), EPOCHS).unwrap();
    assert!(!newest.1.exists());
    super::files::run(&mut files, &mut tables, EPOCHS, &busy(EPOCHS));
    files.settle();
    let after = list(dir.path()).unwrap();
    assert_eq!(
        after.snapshots.keys().next_back(),
        Some(&(EPOCHS + 1)),
        "its changes were larger than a snapshot"
    );
    drop(files);
    assert_both(&open(dir.path(), EPOCHS + 1).unwrap().1, &busy_model(EPOCHS + 1), "and on");
}

#[test]
fn a_newer_version_is_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1);
    let path = list(dir.path()).unwrap().snapshots.pop_first().unwrap().1;
    let mut bytes = b"forebay-state-snapshot\n".to_vec();
    super::super::frame::push(&mut bytes, |out| {
        out.extend_from_slice(&3u32.to_le_bytes());
        Ok(())
    })
    .unwrap();
    fs::write(path, bytes).unwrap();
    assert_eq!(open(dir.path(), 1).unwrap_err().code(), &codes::CHECKPOINT_VERSION);
}

/// What is shown of a copy whose file `path` has a bit turned in its middle.
fn examined_with(dir: &Path, path: &Path) -> (Vec<usize>, Vec<Damage>) {
    let dir = copy(dir);
    let path = dir.path().join(path.file_name().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (tables, damaged) = examine(dir.path(), Some(number(EPOCHS - 1)));
    assert!(damaged.iter().all(|it| it.file == path && it.why.contains("(at byte ")), "{damaged:?}");
    (tables.iter().map(|table| table.keys).collect(), damaged)
}

#[test]
fn damage_is_shown_with_what_the_next_start_does() {
    let (dir, _, needed) = folder();
    let keys = vec![busy_model(EPOCHS).len(); 2];
    let listing = list(dir.path()).unwrap();
    let (_, newest) = listing.snapshots.last_key_value().unwrap();
    let (_, before) = listing.snapshots.first_key_value().unwrap();
    let (tables, damaged) = examined_with(dir.path(), newest);
    assert_eq!(tables, keys, "the state is there without it");
    let [damage] = &damaged[..] else { panic!("{damaged:?}") };
    let name = before.file_name().unwrap().to_str().unwrap();
    let told = format!("passes it over and takes {name} and the changes after it, which give the same state");
    assert_eq!((&damage.next_start, damage.is_refused), (&told, false));

    let (tables, damaged) = examined_with(dir.path(), &needed[0]);
    assert_eq!(tables, [] as [usize; 0]);
    let [damage] = &damaged[..] else { panic!("{damaged:?}") };
    assert!(damage.is_refused && damage.next_start.starts_with("is refused (FB-6007). "), "{damage:?}");
    assert_eq!(examine(dir.path(), Some(number(EPOCHS - 1))).1, [], "nothing is damaged");
}

#[test]
fn state_without_a_readable_header_is_not_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    for path in list(dir.path()).unwrap().snapshots.values().chain(list(dir.path()).unwrap().changes.values())
    {
        fs::write(path, b"forebay-state-").unwrap();
    }
    assert_eq!(show(dir.path(), Some(number(1))).unwrap_err().code(), DAMAGED);
    let (_, damaged) = examine(dir.path(), Some(number(1)));
    assert!(!damaged.is_empty() && damaged.iter().all(|it| it.is_refused), "{damaged:?}");
    assert_eq!(show(dir.path(), None).unwrap(), [], "before the first epoch nothing counts");
}

#[test]
fn a_journal_older_than_its_state_is_shown_to_be_that() {
    let (dir, ..) = folder();
    let (_, damaged) = examine(dir.path(), Some(number(0)));
    let [damage] = &damaged[..] else { panic!("{damaged:?}") };
    assert!(damage.is_refused && damage.why.contains("older copy"), "{damage:?}");
}
