use std::path::Path;

use arrow::array::{ArrayRef, Int64Array};
use forebay_core::Epoch;
use forebay_storage::Door;

use super::*;

fn rows(values: &[i64]) -> LateRows {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let rows = RecordBatch::try_from_iter([("v", column)]).unwrap();
    LateRows { late_by_ms: Int64Array::from_value(7, rows.num_rows()), missed: None, rows }
}

/// Writes the late rows of an epoch, in one lane.
fn write(table: &LateTable, epoch: u64, late: &[i64]) {
    table.begin(Epoch(epoch)).unwrap();
    let mut lane = table.lane(Epoch(epoch), 0);
    lane.push(&rows(late), Times::default()).unwrap();
    lane.finish().unwrap();
}

fn values(dir: &Path) -> Vec<i64> {
    let of = |batch: &RecordBatch| {
        batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
    };
    let Some((_, batches)) = super::rows(dir).unwrap() else { return Vec::new() };
    batches.flat_map(|batch| of(&batch.unwrap())).collect()
}

#[test]
fn an_epoch_that_is_computed_anew_leaves_its_rows_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("late");
    let table = LateTable::open(dir.clone(), Door::new(), "q").unwrap();
    assert!(super::rows(&dir).unwrap().is_none(), "no folder, no rows");
    for (epoch, held) in [(0, vec![1, 2]), (1, vec![3]), (1, vec![4, 5])] {
        write(&table, epoch, &held);
    }
    assert_eq!(values(&dir), [1, 2, 4, 5]);
    let other = LateTable::open(dir.clone(), Door::new(), "other").unwrap();
    other.begin(Epoch(0)).unwrap();
    assert_eq!(values(&dir), [1, 2, 4, 5], "another query's rows stay");
    assert_eq!(other.bytes(), table.bytes());
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    write(&table, 0, &[1, 2]);
    table.max_bytes = 2 * table.bytes() - 10;
    write(&table, 1, &[3, 4]);
    assert_eq!((values(dir.path()), table.evicted()), (vec![1, 2, 3, 4], 0));
    write(&table, 2, &[5, 6]);
    assert_eq!((values(dir.path()), table.evicted()), (vec![3, 4, 5, 6], 2));
}

#[test]
fn an_epoch_keeps_no_more_than_half_of_the_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    table.max_bytes = 10;
    let mut lane = table.lane(Epoch(0), 0);
    for row in 0..3 {
        lane.push(&rows(&[row]), Times::default()).unwrap();
    }
    lane.finish().unwrap();
    assert_eq!((values(dir.path()), table.evicted()), (vec![0], 2));
}

#[test]
fn a_damaged_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    write(&table, 0, &[1]);
    let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        // A length that reaches beyond the end is that of a frame which is not whole.
        assert!(!matches!(super::rows(dir.path()), Ok(Some(_))), "byte {at}");
        fs::write(&path, &good[..at]).unwrap();
        assert!(values(dir.path()).is_empty(), "an attempt died at {at}");
    }
}
