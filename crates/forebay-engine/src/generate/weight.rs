//! How many bytes each row of some columns is, so that it can be told what it costs to have it many times.
//!
//! A text counts with its letters, wherever they lie: who reads the rows may write each of them out.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;

/// The bytes of each row of these columns.
pub(super) fn of_rows<'c>(columns: impl Iterator<Item = &'c ArrayRef>, rows: usize) -> Vec<u64> {
    let mut weights = vec![0; rows];
    columns.for_each(|column| add(column, &mut weights));
    weights
}

/// Adds those of a column.
fn add(column: &ArrayRef, weights: &mut [u64]) {
    match column.data_type() {
        DataType::Utf8 => lengths(column.as_string::<i32>().value_offsets(), weights),
        DataType::LargeUtf8 => lengths(column.as_string::<i64>().value_offsets(), weights),
        DataType::Binary => lengths(column.as_binary::<i32>().value_offsets(), weights),
        DataType::LargeBinary => lengths(column.as_binary::<i64>().value_offsets(), weights),
        DataType::Utf8View => views(column.as_string_view().views(), weights),
        DataType::BinaryView => views(column.as_binary_view().views(), weights),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            elements(lists.value_offsets(), lists.values(), weights);
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            elements(lists.value_offsets(), lists.values(), weights);
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            for values in [maps.keys(), maps.values()] {
                elements(maps.value_offsets(), values, weights);
            }
        }
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|child| add(child, weights)),
        other => {
            let each = other.primitive_width().unwrap_or_else(|| {
                column.get_array_memory_size().checked_div(column.len()).unwrap_or_default().max(1)
            });
            weights.iter_mut().for_each(|weight| *weight += each as u64);
        }
    }
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O], weights: &mut [u64]) {
    for (weight, pair) in weights.iter_mut().zip(offsets.windows(2)) {
        *weight += (pair[1] - pair[0]).as_usize() as u64;
    }
}

/// The low 32 bits of a view are the length of its value.
fn views(views: &[u128], weights: &mut [u64]) {
    for (weight, view) in weights.iter_mut().zip(views) {
        *weight += u64::from(*view as u32);
    }
}

/// Of each row its elements, and four bytes for where they end.
fn elements<O: OffsetSizeTrait>(offsets: &[O], values: &ArrayRef, weights: &mut [u64]) {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return };
    let (first, last) = (first.as_usize(), last.as_usize());
    let values = values.slice(first, last - first);
    let mut each = vec![0; values.len()];
    add(&values, &mut each);
    for (weight, pair) in weights.iter_mut().zip(offsets.windows(2)) {
        let own = pair[0].as_usize() - first..pair[1].as_usize() - first;
        *weight += 4 + each[own].iter().sum::<u64>();
    }
}
