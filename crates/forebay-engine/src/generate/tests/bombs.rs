//! Small records that become very many rows: what comes of them comes in pieces, and each is one record.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, StringViewArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use forebay_core::error::codes;

use super::*;

const COLUMNS: &str = "id STRING, a ARRAY<INT>, b ARRAY<INT>";

/// Records with arrays 0, 1, 2, … of these lengths.
fn records(lengths: &[(usize, usize)], id: &str) -> RecordBatch {
    let lists = |lengths: Vec<usize>| -> ArrayRef {
        let values: Vec<i32> = lengths.iter().flat_map(|length| 0..i32::try_from(*length).unwrap()).collect();
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Arc::new(ListArray::new(item, offsets, Arc::new(Int32Array::from(values)), None))
    };
    let (a, b) = lengths.iter().copied().unzip();
    let ids: ArrayRef = Arc::new(StringViewArray::from_iter_values(lengths.iter().map(|_| id)));
    let schema = ddl::parse(COLUMNS).unwrap();
    let columns = [ids, lists(a), lists(b)];
    let columns = columns.iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap());
    let columns: Vec<ArrayRef> = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn of(sql: &str, batch: RecordBatch) -> (Vec<usize>, [u64; 3]) {
    let plan = planned(COLUMNS, sql).unwrap();
    let Made { batches, fates } = made(&plan, batch).unwrap();
    let rows = batches.iter().map(RecordBatch::num_rows).collect();
    (rows, [fates.emitted, fates.unmatched, fates.filtered])
}

#[test]
fn a_record_with_very_many_elements_comes_in_pieces_and_is_emitted_once() {
    let batch = records(&[(3, 0), (150_000, 0), (0, 0), (2, 0)], "x");
    let (rows, fates) = of("SELECT id, posexplode(a) FROM e", batch.clone());
    assert_eq!((rows, fates), (vec![3, 65_536, 65_536, 18_928, 2], [3, 1, 0]));
    let plan = planned(COLUMNS, "SELECT posexplode(a) FROM e").unwrap();
    for batch in made(&plan, batch).unwrap().batches {
        assert_eq!(batch.column(0), batch.column(1), "places go on from piece to piece");
    }
}

#[test]
fn small_records_share_a_piece() {
    let batch = records(&[(100, 0); 2_000], "x");
    let (rows, fates) = of("SELECT id, explode(a) FROM e", batch);
    assert_eq!((rows, fates), (vec![65_500, 65_500, 65_500, 3_500], [2_000, 0, 0]));
}

#[test]
fn what_is_copied_for_each_element_counts_with_its_bytes() {
    let batch = records(&[(100, 0)], &"long ".repeat(200_000));
    let (rows, fates) = of("SELECT id, explode(a) FROM e", batch.clone());
    assert_eq!((rows, fates), ([vec![16; 6], vec![4]].concat(), [1, 0, 0]));
    // What nobody reads is not copied.
    assert_eq!(of("SELECT explode(a) FROM e", batch), (vec![100], [1, 0, 0]));
}

#[test]
fn the_fate_of_a_record_in_parts_is_that_of_its_last_row() {
    let batch = records(&[(70_000, 2), (1, 1)], "x");
    let both = "FROM e LATERAL VIEW explode(a) t AS x LATERAL VIEW explode(b) u AS y";
    let fates = |condition: &str| of(&format!("SELECT x, y {both} WHERE {condition}"), batch.clone());
    assert_eq!(fates("x >= 0").0.iter().sum::<usize>(), 140_001);
    assert_eq!(fates("x >= 0").1, [2, 0, 0]);
    assert_eq!(fates("x = 0"), (vec![2, 1], [2, 0, 0]));
    assert_eq!(fates("x = 69999 AND y = 1"), (vec![1], [1, 0, 1]));
    assert_eq!(fates("x < 0"), (vec![], [0, 0, 2]));
    // The second array of the record is empty: each of its parts finds no element.
    let batch = records(&[(70_000, 0), (1, 1)], "x");
    let (rows, fates) = of(&format!("SELECT x, y {both}"), batch);
    assert_eq!((rows, fates), (vec![1], [1, 1, 0]));
}

#[test]
fn arrays_that_are_multiplied_come_to_an_end() {
    let batch = records(&[(100_000, 100_000)], "x");
    let sql = "SELECT x FROM e LATERAL VIEW explode(a) t AS x LATERAL VIEW explode(b) u AS y WHERE y < 0";
    let plan = planned(COLUMNS, sql).unwrap();
    let (mut executor, mut fates) = (plan.executor(0), Fates::default());
    executor.take(batch.clone());
    let error = executor.next(&mut fates).unwrap_err();
    assert_eq!(error.code().id, codes::QUERY_LIMIT.id);
    assert!(error.message().contains("`explode(b)` makes more than 10000000 rows of one record"), "{error}");
    assert_eq!(plan.executor(0).refusal(batch.clone()).unwrap_err().code().id, codes::QUERY_LIMIT.id);
    // A condition that leaves it out is asked before.
    let guarded = format!("{sql} AND size(a) < 1000");
    assert_eq!(of(&guarded, batch), (vec![], [0, 0, 1]));
}
