//! The values of a statement's parameters, from either form.
//!
//! What must stay true: a value is what was sent or is refused. Nothing becomes NULL, loses digits, or is read out of bytes
//! that its type does not have; the elements of an array are never held one by one.

use std::fmt::Display;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;

use super::sqlstate::{BAD_TEXT, BAD_TIME, FAR_TIME, NOT_SUPPORTED, OUT_OF_RANGE, Refusal};
use super::types::{self, PgType};
use binary::binary;
use text::{hex, text};

mod binary;
#[cfg(test)]
mod tests;
mod text;

/// A value that was sent; `oid` is the type that the client was told, or told us.
pub(super) fn read(
    value: Option<&[u8]>,
    is_binary: bool,
    oid: u32,
    wanted: &DataType,
) -> Result<ScalarValue, Refusal> {
    let null = || ScalarValue::try_from(wanted).map_err(|_| unsupported(wanted));
    let Some(value) = value else { return null() };
    match (is_binary, oid) {
        (false, types::BYTEA) | (false, _) if matches!(wanted, DataType::Binary) => {
            let bytes = std::str::from_utf8(value).ok().and_then(hex);
            bytes.map(|bytes| ScalarValue::Binary(Some(bytes))).ok_or_else(|| unread(value, "bytea"))
        }
        (false, _) => text(value, wanted),
        (true, oid) => binary(value, oid, wanted),
    }
}

fn unsupported(wanted: &DataType) -> Refusal {
    Refusal::new(NOT_SUPPORTED, format!("a parameter of type {wanted} is not supported yet"))
}

/// A text in an error, not all of it.
fn short(value: &[u8]) -> String {
    String::from_utf8_lossy(value.get(..60).unwrap_or(value)).into_owned()
}

fn unread(value: &[u8], what: &str) -> Refusal {
    let is_time = ["time", "date", "interval"].iter().any(|time| what.starts_with(time));
    let state = if is_time { BAD_TIME } else { BAD_TEXT };
    Refusal::new(state, format!("invalid input syntax for type {what}: \"{}\"", short(value)))
}

fn out_of_range(value: impl Display, what: &str) -> Refusal {
    let is_time = ["time", "date", "interval"].iter().any(|time| what.starts_with(time));
    let state = if is_time { FAR_TIME } else { OUT_OF_RANGE };
    Refusal::new(state, format!("value {value} is out of range for type {what}"))
}

/// A time that PostgreSQL has and no table here can hold.
fn infinite(what: &str) -> Refusal {
    let refusal = Refusal::new(FAR_TIME, format!("infinity of type {what} cannot be compared with here"));
    refusal
        .hint("No row has such a time: leave the condition out, or take a time far away, such as 9999-12-31.")
}

/// An array of these values, each of which becomes one of its type. They are taken one by one: a value alone is many times
/// as large as in an array.
fn listed(
    values: impl Iterator<Item = Result<ScalarValue, Refusal>>,
    item: &DataType,
) -> Result<ScalarValue, Refusal> {
    let mut refused = None;
    let cast = |value: ScalarValue| {
        let far = || out_of_range(&value, PgType::of_type(item).name());
        let as_item = value.cast_to(item).map_err(|_| far())?;
        let is_decimal = matches!(item, DataType::Decimal128(..)) && !value.is_null();
        match is_decimal && as_item.cast_to(&value.data_type()).ok().as_ref() != Some(&value) {
            true => Err(far()),
            false => Ok(as_item),
        }
    };
    let mut values = values.map(|value| value.and_then(cast)).map_while(|value| match value {
        Ok(value) => Some(value),
        Err(refusal) => {
            refused = Some(refusal);
            None
        }
    });
    let first = values.next();
    let array = match first {
        None => Ok(arrow::array::new_empty_array(item)),
        Some(first) => ScalarValue::iter_to_array(std::iter::once(first).chain(values)),
    };
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    let array = array.map_err(|_| unsupported(item))?;
    let array = SingleRowListArrayBuilder::new(array);
    Ok(array.build_list_scalar())
}
