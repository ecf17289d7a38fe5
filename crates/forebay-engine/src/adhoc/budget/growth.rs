//! How much a call will make, told from its arguments before it is computed.
//!
//! Most functions make about as much as they are given. The others stand in [`GROWING`]: their arguments multiply each
//! other. (Those whose result is as long as a number says are refused beyond a bound of their own, over streams too:
//! `plan/functions/bounded.rs`.) What must stay true: nothing here walks over the letters of a text; a function that is
//! not known is still charged for what it made, so that it cannot double twice. The test over all functions says which
//! ones belong in the table.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ColumnarValue;

/// How the arguments of a function multiply each other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grows {
    /// The first argument, and the one at this place for each of its letters.
    PerLetter(usize),
    /// As [`Self::PerLetter`] for each time that the second argument can stand in the first.
    PerMatch(usize),
    /// The first argument, and the one at this place for each of its elements.
    PerElement(usize),
    /// All arguments, and the first for each element of the others.
    Between,
    /// The first argument for each of the others.
    EachOf,
    /// So many bytes for each byte.
    Times(u64),
    /// The first argument as often as the second says; on the way each element has a number of its own.
    Repeated,
}

/// Functions whose result can be much longer than their arguments together; other names of theirs are not needed.
pub(super) const GROWING: [(&str, Grows); 27] = [
    ("replace", Grows::PerMatch(2)),
    ("regexp_replace", Grows::PerLetter(2)),
    ("array_to_string", Grows::PerElement(1)),
    ("array_replace", Grows::PerElement(2)),
    ("array_replace_n", Grows::PerElement(2)),
    ("array_replace_all", Grows::PerElement(2)),
    ("concat_ws", Grows::Between),
    ("json_tuple", Grows::EachOf),
    // An element for each letter.
    ("string_to_array", Grows::Times(24)),
    ("str_to_map", Grows::Times(24)),
    ("hex", Grows::Times(3)),
    ("to_hex", Grows::Times(3)),
    ("encode", Grows::Times(3)),
    ("url_encode", Grows::Times(4)),
    ("translate", Grows::Times(4)),
    ("to_char", Grows::Times(16)),
    // On the way each element becomes bytes that compare like it, or has a number of its own.
    ("array_distinct", Grows::Times(8)),
    ("array_except", Grows::Times(8)),
    ("array_has", Grows::Times(8)),
    ("array_has_all", Grows::Times(8)),
    ("array_has_any", Grows::Times(8)),
    ("array_intersect", Grows::Times(8)),
    ("array_repeat", Grows::Repeated),
    ("array_reverse", Grows::Times(8)),
    ("array_sort", Grows::Times(8)),
    ("array_union", Grows::Times(8)),
    ("shuffle", Grows::Times(8)),
];

/// What the number of an element takes, twice.
const NUMBER: u64 = 16;
/// Fewest bytes that a value counts as, however few bits it has: what is made of it on the way is not smaller.
const LEAST: u64 = 4;

/// True for a function that is expected to make more than its type says.
pub(super) fn grows(name: &str) -> bool {
    GROWING.iter().any(|(known, _)| *known == name)
}

/// About how many bytes a call makes for so many rows.
pub(in crate::adhoc) fn expected(name: &str, args: &[ColumnarValue], gives: &DataType, rows: usize) -> u64 {
    let given = args.iter().fold(0_u64, |sum, arg| sum.saturating_add(bytes_of(arg, rows)));
    let frame = frame_of(gives).saturating_mul(rows as u64);
    let grows = GROWING.iter().find(|(known, _)| *known == name).map(|(_, grows)| *grows);
    let made = match grows {
        None => given,
        Some(Grows::Times(times)) => given.saturating_mul(times),
        Some(Grows::Repeated) => {
            let [first, times, ..] = args else { return frame };
            let each = bytes_of(first, rows) / (rows as u64).max(1) + NUMBER;
            let times = numbers(times);
            (0..rows).fold(given, |sum, row| sum.saturating_add(times.at(row).saturating_mul(each)))
        }
        Some(Grows::EachOf) => {
            args.first().map_or(0, |first| bytes_of(first, rows)).saturating_mul(args.len() as u64)
        }
        Some(Grows::PerLetter(by)) => product(args, by, rows, |text, _| text + 1),
        Some(Grows::PerMatch(by)) => product(args, by, rows, |text, needle| match needle {
            0 => text + 1,
            needle => text / needle,
        }),
        Some(Grows::PerElement(by)) => given.saturating_add(per_element(args.first(), args.get(by), rows)),
        Some(Grows::Between) => {
            let Some((between, others)) = args.split_first() else { return frame };
            others
                .iter()
                .fold(given, |sum, other| sum.saturating_add(per_element(Some(other), Some(between), rows)))
        }
    };
    made.saturating_add(frame)
}

/// True if values of a type can be of any size.
pub(in crate::adhoc) fn varies(data_type: &DataType) -> bool {
    let is_fixed = data_type.is_primitive()
        || matches!(data_type, DataType::Boolean | DataType::Null | DataType::FixedSizeBinary(_));
    !is_fixed
}

/// What a row of a type takes however short its texts are.
fn frame_of(data_type: &DataType) -> u64 {
    match data_type {
        DataType::Struct(fields) => {
            fields.iter().fold(1, |sum: u64, field| sum.saturating_add(frame_of(field.data_type())))
        }
        other => other.primitive_width().unwrap_or(16) as u64,
    }
}

/// The bytes of a value's rows, without what slices hide.
pub(super) fn bytes_of(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Scalar(value) => (value.size() as u64).saturating_mul(rows as u64),
        ColumnarValue::Array(array) => size_of(array),
    }
}

/// The bytes of an array's values, without what slices hide.
pub(in crate::adhoc) fn size_of(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()) + 4 * rows,
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets()) + 8 * rows,
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()) + 4 * rows,
        DataType::LargeBinary => span(array.as_binary::<i64>().value_offsets()) + 8 * rows,
        DataType::Utf8View => array.as_string_view().lengths().map(u64::from).sum::<u64>() + 16 * rows,
        DataType::BinaryView => array.as_binary_view().lengths().map(u64::from).sum::<u64>() + 16 * rows,
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| size_of(column)).sum(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            within(list.values(), list.value_offsets()) + 4 * rows
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            within(list.values(), list.value_offsets()) + 8 * rows
        }
        DataType::Map(..) => {
            let map = array.as_map();
            within(map.entries(), map.value_offsets()) + 4 * rows
        }
        DataType::Boolean | DataType::Null => LEAST * rows,
        other => match other.primitive_width() {
            Some(width) => (width as u64).max(LEAST) * rows,
            None => array.get_buffer_memory_size() as u64,
        },
    }
}

fn ends<O: Copy + TryInto<u64>>(offsets: &[O]) -> (u64, u64) {
    let at = |offset: Option<&O>| offset.and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    (at(offsets.first()), at(offsets.last()))
}

fn span<O: Copy + TryInto<u64>>(offsets: &[O]) -> u64 {
    let (start, end) = ends(offsets);
    end.saturating_sub(start)
}

fn within<O: Copy + TryInto<u64>>(children: &dyn Array, offsets: &[O]) -> u64 {
    let (start, end) = ends(offsets);
    size_of(&children.slice(start as usize, end.saturating_sub(start) as usize))
}

/// How long each row's value is: the bytes of a text, the elements of a list.
pub(super) enum Lengths {
    /// All have this one.
    Same(u64),
    /// By rows.
    Each(Vec<u64>),
}

impl Lengths {
    /// Of a row.
    pub fn at(&self, row: usize) -> u64 {
        match self {
            Self::Same(length) => *length,
            Self::Each(lengths) => lengths.get(row).copied().unwrap_or(0),
        }
    }
}

/// The lengths of a value's rows.
pub(super) fn lengths(value: &ColumnarValue) -> Lengths {
    let array = match value {
        ColumnarValue::Array(array) => array,
        ColumnarValue::Scalar(value) => {
            let array = value.to_array_of_size(1).ok();
            return Lengths::Same(array.map_or(0, |array| of_array(&array).at(0)));
        }
    };
    of_array(array)
}

/// The whole numbers of a value's rows; those below zero are none.
fn numbers(value: &ColumnarValue) -> Lengths {
    let array = match value {
        ColumnarValue::Array(array) => Some(Arc::clone(array)),
        ColumnarValue::Scalar(value) => value.to_array_of_size(1).ok(),
    };
    let Some(array) = array.and_then(|array| cast(&array, &DataType::Int64).ok()) else {
        return Lengths::Same(u64::MAX);
    };
    let numbers = array.as_primitive::<Int64Type>().iter();
    let numbers: Vec<u64> = numbers.map(|n| n.and_then(|n| n.try_into().ok()).unwrap_or(0)).collect();
    match (value, numbers.as_slice()) {
        (ColumnarValue::Scalar(_), [number]) => Lengths::Same(*number),
        _ => Lengths::Each(numbers),
    }
}

fn of_array(array: &dyn Array) -> Lengths {
    fn each<O: Copy + TryInto<u64>>(offsets: &[O]) -> Lengths {
        Lengths::Each(offsets.windows(2).map(span).collect())
    }
    match array.data_type() {
        DataType::Utf8 => each(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => each(array.as_string::<i64>().value_offsets()),
        DataType::Utf8View => Lengths::Each(array.as_string_view().lengths().map(u64::from).collect()),
        DataType::List(_) => each(array.as_list::<i32>().value_offsets()),
        DataType::LargeList(_) => each(array.as_list::<i64>().value_offsets()),
        _ => Lengths::Same((size_of(array) / (array.len() as u64).max(1)).max(1)),
    }
}

/// The first argument, and the one at `by` as often as `times` says of the first and second.
fn product(args: &[ColumnarValue], by: usize, rows: usize, times: fn(u64, u64) -> u64) -> u64 {
    let [text, needle, ..] = args else { return 0 };
    let Some(by) = args.get(by) else { return 0 };
    let (text, needle, by) = (lengths(text), lengths(needle), lengths(by));
    (0..rows).fold(0_u64, |sum, row| {
        let text = text.at(row);
        let made = times(text, needle.at(row)).saturating_mul(by.at(row)).saturating_add(text);
        sum.saturating_add(made)
    })
}

/// The second value for each element of the first; what is no list is one element.
fn per_element(list: Option<&ColumnarValue>, by: Option<&ColumnarValue>, rows: usize) -> u64 {
    let (Some(list), Some(by)) = (list, by) else { return 0 };
    let elements = match list.data_type() {
        DataType::List(_) | DataType::LargeList(_) => lengths(list),
        _ => Lengths::Same(1),
    };
    let by = lengths(by);
    (0..rows).fold(0_u64, |sum, row| sum.saturating_add(elements.at(row).saturating_mul(by.at(row))))
}
