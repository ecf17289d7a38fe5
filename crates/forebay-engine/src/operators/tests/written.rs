//! What an epoch writes to the checkpoint follows from what it changes, not from what is held.

use forebay_core::Epoch;
use forebay_storage::Door;

use super::deduplicate::operator as deduplicate;
use super::session::sessions;
use super::*;
use crate::state::{Changes, StateFiles};

/// Bytes of the files in a folder.
fn size(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// The bytes that an epoch of a few rows writes, and those of its changes in memory, where so many keys are held already.
/// Three of its keys are among them.
fn written(operator: Arc<dyn Operator>, mode: OutputMode, held: usize) -> (u64, usize) {
    let devices: Vec<String> =
        (0..held).map(|number| format!("a device with a long name {number:06}")).collect();
    let all: Vec<Row<'_>> = devices.iter().map(|device| (41, device.as_str(), 7)).collect();
    let [a, b, c] = [0, held / 2, held - 1].map(|number| devices[number].as_str());
    let few = [(42, a, 3), (43, b, 4), (49, c, 5), (44, b, 9), (55, "a device that is new", 1)];
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(operator, mode, 1_000);
    let layouts = world.operator.layouts().into_iter().enumerate();
    let tables: Vec<_> = layouts.map(|(number, layout)| (format!("t{number}"), layout)).collect();
    let (mut files, _) = StateFiles::open(dir.path(), Door::scratch(), &tables, None).unwrap();
    let first = world.step(vec![vec![batch(&all)]]);
    files.write(Epoch(0), &first.changes).unwrap();
    assert!(world.tables.iter().map(Table::len).sum::<usize>() >= held);
    let before = size(dir.path());
    let second = world.step(vec![vec![batch(&few)]]);
    files.write(Epoch(1), &second.changes).unwrap();
    (size(dir.path()) - before, second.changes.iter().map(Changes::bytes).sum())
}

#[test]
fn an_epoch_writes_what_it_changed_whatever_is_held() {
    type Made = fn() -> Arc<dyn Operator>;
    let cases: [(&str, Made, OutputMode); 7] = [
        ("tumbling windows", || windowed(20, 20), Append),
        ("tumbling windows", || windowed(20, 20), Update),
        ("sliding windows", || windowed(30, 10), Append),
        ("groups for ever", || Grouping { watermarked: false, ..Grouping::default() }.operator(), Update),
        ("sessions", || sessions(Some(10)), Append),
        ("the first of each key", || deduplicate(&["device"], false, None), Append),
        ("the first of each key within a time", || deduplicate(&["device"], true, Some(1_000)), Append),
    ];
    for (name, operator, mode) in cases {
        let (few, many) = (written(operator(), mode, 10), written(operator(), mode, 10_000));
        assert!(few.0 > 0 && few.1 > 0, "{name} {mode:?}");
        assert_eq!(few, many, "{name} {mode:?}: bytes on disk, bytes in memory");
    }
}
