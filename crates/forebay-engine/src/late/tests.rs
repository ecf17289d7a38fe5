use std::path::Path;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::Int64Type;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Epoch, ddl};
use forebay_storage::Door;

use super::*;
use crate::plan::{Catalog, SourceColumns, SourceTime, plan_query};

fn rows(values: &[i64]) -> LateRows {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let rows = RecordBatch::try_from_iter([("v", column)]).unwrap();
    late(rows)
}

fn late(rows: RecordBatch) -> LateRows {
    let event_times = TimestampMicrosecondArray::from_value(1_000, rows.num_rows());
    LateRows { late_by_ms: Int64Array::from_value(7, rows.num_rows()), event_times, missed: None, rows }
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
fn only_a_table_that_is_large_may_lack_rows() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("late");
    assert!(!may_lack(&folder).unwrap(), "no folder, no rows");
    let table = LateTable::open(folder.clone(), Door::new(), "q").unwrap();
    write(&table, 0, &[1]);
    assert!(!may_lack(&folder).unwrap());
    let large = fs::File::create(folder.join("e00000000000000000001-0-q.arrow")).unwrap();
    large.set_len(MAX_BYTES / 4).unwrap();
    assert!(may_lack(&folder).unwrap());
}

#[test]
fn a_row_is_kept_without_what_the_planner_put_beside_it() {
    let mut catalog = Catalog::new();
    let schema = ddl::parse("device_id STRING, __mine DOUBLE, seconds INT").unwrap();
    catalog.add_source("iot", SourceColumns::Decoded(schema)).unwrap();
    catalog.add_view("all", "SELECT * FROM iot").unwrap();
    let time = SourceTime { column: "timestamp_seconds(seconds)".to_owned(), delay_ms: 0 };
    catalog.set_watermark("iot", time);
    let sql = "SELECT window, device_id, max(__mine), max(IF(now() > to_timestamp('2020-01-01'), 1, 0)) AS n FROM all \
               GROUP BY window(timestamp_seconds(seconds), '1 minute'), device_id";
    let plan = plan_query(&catalog.carrying_records(), sql, None, OutputMode::Append, None).unwrap();
    let taken = Arc::clone(&plan.graph().inputs[0].rows);
    let names: Vec<&str> = taken.fields().iter().map(|field| field.name().as_str()).collect();
    assert!(names.len() > 5 && names.contains(&"__offset") && names.contains(&"__computed_0"), "{names:?}");
    let nullable = taken.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let nullable = Arc::new(arrow::datatypes::Schema::new(nullable.collect::<Vec<_>>()));
    let columns = nullable.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();

    let dir = tempfile::tempdir().unwrap();
    let table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    let mut lane = table.lane(Epoch(0), 0);
    lane.push(&late(RecordBatch::try_new(nullable, columns).unwrap()), Times::default()).unwrap();
    lane.finish().unwrap();
    let (schema, _) = super::rows(dir.path()).unwrap().unwrap();
    let kept: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(kept, ["device_id", "__mine", "seconds", LATE_COLUMN]);
    let types = |schema: &SchemaRef| -> Vec<DataType> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    let foreseen = plan.late_columns().unwrap();
    let names: Vec<&str> = foreseen.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, types(&foreseen)), (kept, types(&schema)), "known before the first of them is there");
}

#[test]
fn columns_of_one_name_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let text = |value: &str| -> ArrayRef { Arc::new(arrow::array::StringArray::from(vec![value])) };
    let names = ["topic", "id", "Topic", "_late", "__topic", "topic_2", "__topic"];
    let fields: Vec<Field> = names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec();
    let columns = ["of the table", "a", "of the stream", "own", "odd", "third", "iot"].map(text).to_vec();
    let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap();
    let table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    let mut lane = table.lane(Epoch(0), 0);
    lane.push(&late(batch), Times::default()).unwrap();
    lane.finish().unwrap();
    let (schema, mut batches) = super::rows(dir.path()).unwrap().unwrap();
    let kept: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(kept, ["topic", "id", "Topic_2", "_late_2", "topic_2_2", LATE_COLUMN]);
    let batch = batches.next().unwrap().unwrap();
    let of = |column: &ArrayRef| column.as_string::<i32>().value(0).to_owned();
    assert_eq!(of(batch.column_by_name("Topic_2").unwrap()), "of the stream");
    let reason = batch.column_by_name(LATE_COLUMN).unwrap().as_struct();
    assert_eq!(of(reason.column_by_name("topic").unwrap()), "iot", "the record's own");
}

#[test]
fn the_folder_is_looked_at_only_where_something_can_have_been_left() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("late");
    let table = LateTable::open(folder.clone(), Door::new(), "q").unwrap();
    write(&table, 0, &[1]);
    // A file in the folder's place: whoever looks fails.
    fs::rename(&folder, dir.path().join("aside")).unwrap();
    fs::write(&folder, "").unwrap();
    table.begin(Epoch(1)).unwrap();
    assert!(table.begin(Epoch(1)).is_err(), "an earlier attempt may have left rows");
    assert!(table.begin(Epoch(2)).is_err(), "and nobody has looked since");
    fs::remove_file(&folder).unwrap();
    fs::rename(dir.path().join("aside"), &folder).unwrap();
    table.begin(Epoch(2)).unwrap();
    assert_eq!(values(&folder), [1]);
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

#[test]
fn the_sides_of_a_join_have_their_own_columns_in_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    write(&table, 0, &[1, 2]);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let rows = RecordBatch::try_from_iter([("w", column)]).unwrap();
    let event_times = TimestampMicrosecondArray::from_value(1_000, 1);
    let late = LateRows { late_by_ms: Int64Array::from_value(7, 1), event_times, missed: None, rows };
    let mut lane = table.lane(Epoch(1), 1);
    lane.push(&late, Times::default()).unwrap();
    lane.finish().unwrap();
    let (schema, batches) = super::rows(dir.path()).unwrap().unwrap();
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names.pop(), Some(LATE_COLUMN));
    names.sort_unstable();
    assert_eq!(names, ["v", "w"]);
    let batches: Vec<RecordBatch> = batches.collect::<Result<_>>().unwrap();
    let of = |name| -> Vec<Option<i64>> {
        let columns = batches.iter().map(|batch| batch.column_by_name(name).unwrap().clone());
        columns.flat_map(|it| it.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()).collect()
    };
    assert_eq!(of("v"), [Some(1), Some(2), None]);
    assert_eq!(of("w"), [None, None, Some(7)]);
}

#[test]
fn columns_of_one_name_and_other_types_leave_no_row_out() {
    let dir = tempfile::tempdir().unwrap();
    let table = LateTable::open(dir.path().to_path_buf(), Door::new(), "q").unwrap();
    write(&table, 0, &[1, 2]);
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from(vec!["three"])),
        new_null_array(&DataType::new_list(DataType::Int8, true), 1),
    ];
    for (epoch, column) in (1..).zip(columns) {
        let mut lane = table.lane(Epoch(epoch), 0);
        lane.push(&late(RecordBatch::try_from_iter([("v", column)]).unwrap()), Times::default()).unwrap();
        lane.finish().unwrap();
    }
    let (_, batches) = super::rows(dir.path()).unwrap().unwrap();
    let texts = batches.flat_map(|batch| {
        let batch = batch.unwrap();
        batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    });
    let texts: Vec<Option<String>> = texts.collect();
    assert_eq!(texts, [Some("1".to_owned()), Some("2".to_owned()), Some("three".to_owned()), None]);
}
