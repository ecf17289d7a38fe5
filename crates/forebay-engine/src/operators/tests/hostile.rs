//! Input that means harm: the ends of time, huge keys, odd floats, nothing at all.

use arrow::array::{Decimal128Array, StringArray};

use super::*;
use crate::operators::keys::{Interner, Zeros, normalised};

#[test]
fn the_ends_of_time_break_nothing() {
    let times = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];
    for (size, slide) in [(10, 10), (10, 4), (100_000, 7)] {
        for mode in [Append, Update, Complete] {
            if mode == Update && size > 10 {
                continue;
            }
            let mut world = World::new(windowed(size, slide), mode, 0);
            world.lanes(vec![vec![raw(&times, &["a"; 6], &[1; 6])]]);
            world.watermark = i64::MAX;
            world.settled();
            world.lanes(vec![vec![raw(&times, &["a"; 6], &[1; 6])]]);
            world.settled();
            assert_eq!(world.counts.taken + world.counts.late, 12);
        }
    }
}

#[test]
fn empty_batches_and_late_ones_leave_nothing() {
    let mut world = World::new(windowed(10, 5), Append, 0);
    world.lanes(vec![vec![batch(&[]), batch(&[])], vec![]]);
    world.epoch(&[(1_000, "a", 1)]);
    world.settle();
    let late: Vec<Row<'_>> = (0..500).map(|i| (i, "b", i)).collect();
    assert!(world.epoch(&late).is_empty());
    assert_eq!((world.counts.late, world.tables[0].len()), (500, 1));
    assert_eq!(world.late.iter().map(|late| late.rows.num_rows()).sum::<usize>(), 500);
}

#[test]
fn rows_without_a_time_are_counted_as_filtered() {
    let mut world = World::new(windowed(10, 10), Complete, 0);
    let whole = batch(&[(1, "a", 1), (2, "a", 2)]);
    let times = TimestampMicrosecondArray::from(vec![None, Some(2_000)]).with_data_type(utc());
    let mut columns = whole.columns().to_vec();
    columns[0] = Arc::new(times);
    let rows = world.lanes(vec![vec![RecordBatch::try_new(schema(), columns).unwrap()]]);
    assert_eq!(lines(&rows), ["0-10 a 1 2 2"]);
    assert_eq!(world.counts, Counts { taken: 1, filtered: 1, ..Counts::default() });
}

#[test]
fn keys_of_a_megabyte_are_keys() {
    let long: Vec<String> = (0..3).map(|i| format!("{}{i}", "k".repeat(1 << 20))).collect();
    let rows: Vec<Row<'_>> = (0..9).map(|i| (i, long[i as usize % 3].as_str(), i)).collect();
    let mut world = World::new(windowed(10, 10), Update, 0);
    world.epoch(&rows);
    let given = world.epoch(&rows);
    assert_eq!(given.len(), 3);
    assert!(given[1].starts_with("0-10 kkk") && given[1].ends_with("k1 6 24 7"));
}

#[test]
fn odd_floats_and_nulls_are_one_key_each() {
    let odd_nan = f64::from_bits(0xfff8_0000_0000_0001);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(0.0),
        Some(-0.0),
        Some(f64::NAN),
        Some(odd_nan),
        None,
        None,
        Some(1.5),
    ]));
    let normal = normalised(&floats, Zeros::Same);
    let field: FieldRef = Arc::new(Field::new("x", DataType::Float64, true));
    let mut interner = Interner::new(&[field]).unwrap();
    assert_eq!(interner.intern(&[Arc::clone(&normal)], 7).unwrap().0, [0, 0, 1, 1, 2, 2, 3]);
    assert_eq!(normal.as_primitive::<arrow::datatypes::Float64Type>().value(1).to_bits(), 0);

    let grouping = Grouping { keys: vec!["x"], watermarked: false, ..Grouping::default() };
    let mut world = World::new(grouping.operator(), Update, 0);
    let mut columns = raw(&[1; 7], &["a"; 7], &[1; 7]).columns().to_vec();
    columns[3] = floats;
    let rows = RecordBatch::try_new(schema(), columns).unwrap();
    world.lanes(vec![vec![rows.clone()]]);
    let again = lines(&world.lanes(vec![vec![rows.slice(1, 3)], vec![rows.slice(3, 4)]]));
    assert_eq!(again, ["NULL 4 4 1", "0.0 3 3 1", "1.5 2 2 1", "NaN 5 5 1"]);
}

#[test]
fn keys_inside_of_structs_and_lists_are_made_one_too() {
    let inner: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0]));
    let fields = arrow::datatypes::Fields::from(vec![Field::new("f", DataType::Float64, true)]);
    let nested: ArrayRef = Arc::new(arrow::array::StructArray::new(fields, vec![Arc::clone(&inner)], None));
    let field = Arc::new(Field::new_list_field(DataType::Float64, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([1, 1]);
    let list: ArrayRef = Arc::new(arrow::array::ListArray::new(field, offsets, inner, None));
    for column in [nested, list] {
        let one = normalised(&column, Zeros::Same);
        assert_eq!(one.data_type(), column.data_type());
        let floats = one.as_struct_opt().map(|one| one.column(0).clone());
        let floats = floats.unwrap_or_else(|| one.as_list::<i32>().values().clone());
        let floats = floats.as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!((floats.value(0).to_bits(), floats.value(1).to_bits()), (0, 0));
    }
}

#[test]
fn decimals_and_texts_of_any_kind_are_keys() {
    let decimals: ArrayRef = Arc::new(
        Decimal128Array::from(vec![Some(i128::from(u64::MAX)), None, Some(-1)])
            .with_precision_and_scale(38, 2)
            .unwrap(),
    );
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
    let fields: Vec<FieldRef> = vec![
        Arc::new(Field::new("d", decimals.data_type().clone(), true)),
        Arc::new(Field::new("t", DataType::Utf8, true)),
    ];
    let mut interner = Interner::new(&fields).unwrap();
    let columns = [decimals, texts];
    assert_eq!(interner.intern(&columns, 3).unwrap().1, 3);
    assert_eq!(interner.intern(&columns, 3).unwrap().1, 3);
    let emitted = interner.emit().unwrap();
    assert_eq!(
        (emitted[0].data_type(), emitted[1].data_type()),
        (fields[0].data_type(), fields[1].data_type())
    );
}
