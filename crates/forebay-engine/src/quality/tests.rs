//! Deaths between any two steps of an epoch, and files that are not what was written.

use super::*;

const SOURCE: &str = "cars";

/// What an epoch judged: nothing in every third.
fn judged(epoch: u64) -> Option<EpochQuality> {
    let count = epoch % 3;
    let rules = BTreeMap::from([("speed".into(), count)]);
    let device = format!("car-{}", epoch % 5);
    let of = Judged {
        rows: 10 * count,
        failed: count,
        unreadable: 0,
        devices: BTreeMap::from([(device.into(), rules.clone())]),
        rules,
    };
    let mut all = EpochQuality { planned_at_ms: epoch as i64 * 7_000, ..EpochQuality::default() };
    all.add(SOURCE, &of);
    (count > 0).then_some(all)
}

/// The commits that a journal still has that was rewritten as late as may be.
fn journal(committed: u64) -> BTreeMap<Epoch, EpochQuality> {
    let kept = (committed + 1).saturating_sub(100)..=committed;
    kept.filter_map(|epoch| Some((Epoch(epoch), judged(epoch)?))).collect()
}

fn all_up_to(committed: u64) -> Past {
    let mut past = Past::default();
    (0..=committed).filter_map(judged).for_each(|quality| past.add(&quality));
    past
}

fn opened(dir: &Path, committed: Option<u64>) -> Quality {
    let mut quality = Quality::new(dir, &Door::new());
    let journal = committed.map(journal).unwrap_or_default();
    quality.recover(committed.map(Epoch), &journal).unwrap();
    quality
}

#[test]
fn counts_are_the_same_whatever_number_of_epochs_lies_between_two_deaths() {
    for between in [1, 2, 7, 63, 64, 65, 99, 129, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut quality = opened(folder.path(), None);
        for epoch in 0..300 {
            quality.committed(Epoch(epoch), judged(epoch).as_ref());
            if epoch % between == between - 1 {
                // The process dies: nothing is written at its end.
                quality = opened(folder.path(), Some(epoch));
                assert_eq!(*quality.past().lock(), all_up_to(epoch), "{between} {epoch}");
            }
        }
        let last = opened(folder.path(), Some(299));
        assert_eq!(*last.past().lock(), all_up_to(299), "{between}");
    }
}

#[test]
fn an_epoch_whose_commit_is_not_durable_counts_when_it_is_repeated_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut quality = opened(folder.path(), None);
    (0..64).for_each(|epoch| quality.committed(Epoch(epoch), judged(epoch).as_ref()));
    // The copy of a checkpoint whose journal is older than its counts knows less.
    let mut older = opened(folder.path(), Some(40));
    assert_eq!(*older.past().lock(), all_up_to(40));
    older.committed(Epoch(41), judged(41).as_ref());
    assert_eq!(*opened(folder.path(), Some(41)).past().lock(), all_up_to(41));
}

#[test]
fn a_line_that_was_cut_at_any_byte_is_made_up_for_by_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut quality = opened(folder.path(), Some(0));
    let before = fs::read(folder.path().join("quality")).unwrap().len();
    (1..70).for_each(|epoch| quality.committed(Epoch(epoch), judged(epoch).as_ref()));
    let bytes = fs::read(folder.path().join("quality")).unwrap();
    assert!(bytes.len() > before, "a line was written");
    for length in (before..bytes.len()).step_by(97) {
        fs::write(folder.path().join("quality"), &bytes[..length]).unwrap();
        assert_eq!(*opened(folder.path(), Some(69)).past().lock(), all_up_to(69), "{length}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_put_aside_and_the_query_goes_on() {
    for content in ["", "forebay-quality v2\n", "forebay-quality v1\n00000000 2 {}\n00000000 2 {}\n"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("quality"), content).unwrap();
        let quality = opened(folder.path(), Some(5));
        assert_eq!(*quality.past().lock(), all_up_to(5), "the journal still has them");
        let aside = folder.path().join("quality.damaged").exists();
        assert_eq!(aside, !content.contains("00000000"), "an end that is cut is no damage");
    }
}

#[test]
fn a_checkpoint_from_before_there_were_counts_begins_with_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut quality = Quality::new(folder.path(), &Door::new());
    quality.recover(Some(Epoch(900)), &BTreeMap::new()).unwrap();
    assert!(quality.past().lock().is_empty());
    quality.committed(Epoch(901), judged(901 + 1).as_ref());
    assert_eq!(quality.past().lock().total(SOURCE).map(|it| it.rows), Some(20));
}
