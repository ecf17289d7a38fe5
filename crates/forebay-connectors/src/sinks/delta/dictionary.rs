//! Which columns of a file are worth a dictionary.
//!
//! Parquet's writer begins every column with a dictionary and falls back to plain values when its page is full: for ids,
//! positions and other values that hardly repeat, each row group pays for hashing and storing a megabyte that is thrown
//! away. A sample tells them before the file begins. What must stay true: this changes how values are encoded, never
//! which; a column that is not sampled keeps its dictionary.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::types::ColumnPath;

/// Values that a column's sample must have: fewer tell nothing, and small files are not worth the look.
const LEAST: usize = 1_024;
/// Values that are looked at in each column.
const SAMPLE: usize = 2_048;
/// Bytes of distinct values after which the writer gives a dictionary up: Parquet's default page.
const PAGE: f64 = (1 << 20) as f64;

/// The leaf columns whose dictionary would not fit its page, judged by the first batch of a file.
pub(crate) fn hopeless(batch: &RecordBatch) -> Vec<ColumnPath> {
    if batch.num_rows() < LEAST {
        return Vec::new();
    }
    let Ok(schema) = ArrowSchemaConverter::new().with_coerce_types(true).convert(&batch.schema()) else {
        return Vec::new();
    };
    let mut leaves = Vec::new();
    for column in batch.columns() {
        collect(&column.slice(0, column.len().min(SAMPLE)), &mut leaves);
    }
    if leaves.len() != schema.num_columns() {
        return Vec::new();
    }
    let columns = schema.columns().iter().zip(&leaves);
    columns.filter(|(_, leaf)| overflows(leaf)).map(|(column, _)| column.path().clone()).collect()
}

/// The columns that hold values, in Parquet's order: depth first.
fn collect(column: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match column.data_type() {
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|child| collect(child, leaves)),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (first, last) = (list.value_offsets().first(), list.value_offsets().last());
            let (first, last) = (first.map_or(0, |o| *o as usize), last.map_or(0, |o| *o as usize));
            collect(&list.values().slice(first, (last - first).min(SAMPLE)), leaves);
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let (first, last) = (map.value_offsets().first(), map.value_offsets().last());
            let (first, last) = (first.map_or(0, |o| *o as usize), last.map_or(0, |o| *o as usize));
            let length = (last - first).min(SAMPLE);
            collect(&map.keys().slice(first, length), leaves);
            collect(&map.values().slice(first, length), leaves);
        }
        _ => leaves.push(column.clone()),
    }
}

/// True if all distinct values of the column, extrapolated from this sample, are larger than a dictionary page.
fn overflows(leaf: &ArrayRef) -> bool {
    let Some((seen, distinct, bytes)) = count(leaf) else { return false };
    // Mostly NULL, or short lists.
    if seen < LEAST {
        return false;
    }
    population(seen as f64, distinct as f64) * bytes as f64 / seen as f64 > PAGE
}

/// Values of a sample that are not NULL, the distinct among them, and bytes of all.
fn count(leaf: &ArrayRef) -> Option<(usize, usize, usize)> {
    let mut distinct = HashSet::new();
    let (mut seen, mut bytes) = (0, 0);
    let mut add = |value: Option<&[u8]>| {
        if let Some(value) = value {
            seen += 1;
            bytes += value.len();
            distinct.insert(hash(value));
        }
    };
    match leaf.data_type() {
        DataType::Utf8 => leaf.as_string::<i32>().iter().for_each(|value| add(value.map(str::as_bytes))),
        DataType::LargeUtf8 => leaf.as_string::<i64>().iter().for_each(|value| add(value.map(str::as_bytes))),
        DataType::Utf8View => leaf.as_string_view().iter().for_each(|value| add(value.map(str::as_bytes))),
        DataType::Binary => leaf.as_binary::<i32>().iter().for_each(add),
        DataType::LargeBinary => leaf.as_binary::<i64>().iter().for_each(add),
        DataType::BinaryView => leaf.as_binary_view().iter().for_each(add),
        other => {
            let width = other.primitive_width()?;
            let data = leaf.to_data();
            let values = data.buffers().first()?.get(data.offset() * width..)?;
            for (row, value) in values.chunks_exact(width).take(leaf.len()).enumerate() {
                add(leaf.is_valid(row).then_some(value));
            }
        }
    }
    Some((seen, distinct.len(), bytes))
}

fn hash(value: &[u8]) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// How many different values there are, if `sample` draws at random found `distinct` of them: the `n` with
/// `distinct = n (1 - exp(-sample / n))`, found by halving. A sample without a repeat says: without end.
fn population(sample: f64, distinct: f64) -> f64 {
    if distinct >= sample {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (distinct, distinct * sample);
    for _ in 0..60 {
        let n = f64::midpoint(low, high);
        if n * (1.0 - (-sample / n).exp()) < distinct { low = n } else { high = n }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, ListArray, RecordBatch, StringArray, StructArray};
    use arrow::datatypes::{Float64Type, Schema};

    use super::*;

    fn found(columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
        let batch = RecordBatch::from(StructArray::try_from(columns).unwrap());
        hopeless(&batch).iter().map(ColumnPath::string).collect()
    }

    #[test]
    fn only_values_that_hardly_repeat_lose_their_dictionary() {
        let rows = LEAST as i64;
        let random = |i: i64| i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99) as u64 >> 20;
        let text = |of: i64| {
            StringArray::from_iter_values((0..rows).map(|i| format!("device-{:036}", random(i) % of as u64)))
        };
        let number = |of: u64| Float64Array::from_iter_values((0..rows).map(|i| (random(i) % of) as f64));
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>(
            (0..rows).map(|i| Some((0..2).map(move |j| Some(random(2 * i + j) as f64)))),
        );
        let inner = StructArray::try_from(vec![
            ("id", Arc::new(text(i64::MAX)) as ArrayRef),
            ("line", Arc::new(number(40)) as ArrayRef),
        ]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(text(i64::MAX))),
            ("device", Arc::new(text(1_000))),
            ("hundredths", Arc::new(number(6_000))),
            ("exact", Arc::new(number(u64::MAX))),
            ("site", Arc::new(inner.unwrap())),
            ("readings", Arc::new(list)),
            ("second", Arc::new(Int32Array::from_iter_values((0..rows as i32).map(|i| i / 1_000)))),
        ];
        assert_eq!(found(columns.clone()), ["id", "exact", "site.id", "readings.list.element"]);
        let few = columns.iter().map(|(name, column)| (*name, column.slice(0, LEAST - 1))).collect();
        assert!(found(few).is_empty());
    }

    #[test]
    fn nulls_and_empty_lists_tell_nothing() {
        let rows = LEAST;
        let mostly = Float64Array::from_iter((0..rows).map(|i| (i % 100 == 0).then_some(i as f64)));
        let empty = ListArray::from_iter_primitive::<Float64Type, _, _>((0..rows).map(|_| Some([])));
        assert!(found(vec![("mostly", Arc::new(mostly)), ("empty", Arc::new(empty))]).is_empty());
        assert!(hopeless(&RecordBatch::new_empty(Arc::new(Schema::empty()))).is_empty());
    }

    #[test]
    fn the_number_of_values_is_found_again() {
        for n in [10.0_f64, 1_000.0, 30_000.0] {
            let distinct = n * (1.0 - (-2_048.0 / n).exp());
            assert!((population(2_048.0, distinct) / n - 1.0).abs() < 0.01, "{n}");
        }
    }
}
