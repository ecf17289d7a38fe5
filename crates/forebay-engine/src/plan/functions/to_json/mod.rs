//! `to_json(value[, map('option', 'value', …)])`: a STRUCT, an ARRAY or a MAP as JSON text, as Spark writes it.
//!
//! ```text
//! struct ─▶ Column (its children as typed arrays, names quoted once) ─ row by row ─▶ one buffer of bytes, offsets ─▶ text
//! ```
//!
//! The call is resolved before: options stand behind the value, a name and a text each, so a plan and the meaning of state name them.
//! What must stay true: NULL gives NULL, and what is told is told as by Spark's writer: fields that are NULL are left out
//! (`ignoreNullFields`), elements and values of maps are `null`, numbers are Java's, times are in the session's zone, bytes base64.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Zone;

use self::column::Column;
use self::words::Words;
use super::failed;
use super::zone::names;
use crate::plan::words::type_name;

mod column;
#[cfg(test)]
mod tests;
mod words;

/// The function's name.
pub(crate) const TO_JSON: &str = "to_json";

/// What a call may be told: Spark's names.
pub(crate) const OPTIONS: [&str; 4] =
    ["ignoreNullFields", "timestampFormat", "timestampNTZFormat", "dateFormat"];

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToJson {
    name: String,
    aliases: Vec<String>,
    zone: Zone,
    signature: Signature,
}

impl ToJson {
    pub fn new(zone: Zone) -> Self {
        let (name, aliases) = names(TO_JSON, zone);
        Self { name, aliases, zone, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToJson {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((value, options)) = types.split_first() else { return plan_err!("to_json needs a value") };
        let is_whole = matches!(
            value,
            DataType::Struct(_)
                | DataType::Map(..)
                | DataType::List(_)
                | DataType::LargeList(_)
                | DataType::FixedSizeList(..)
        );
        if !is_whole {
            return plan_err!(
                "to_json takes a STRUCT, an ARRAY or a MAP, not a value of type {}",
                type_name(value)
            );
        }
        if let Err(within) = column::writable(value) {
            return plan_err!("to_json cannot write a value of type {}", type_name(&within));
        }
        Ok(std::iter::once(value.clone()).chain(options.iter().map(|_| DataType::Utf8)).collect())
    }

    /// Options are read here, so that a wrong one is refused before a row is.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let options = args.scalar_arguments.iter().skip(1).map(|value| text(*value));
        if let Err(message) = Words::new(options, self.zone) {
            return plan_err!("{message}");
        }
        Ok(Arc::new(Field::new(&self.name, DataType::Utf8, true)))
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((value, options)) = args.args.split_first() else { return failed("to_json needs a value") };
        let options = options.iter().map(|option| match option {
            ColumnarValue::Scalar(value) => text(Some(value)),
            ColumnarValue::Array(_) => None,
        });
        let mut words = match Words::new(options, self.zone) {
            Ok(words) => words,
            Err(message) => return failed(message),
        };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let values = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        let written = written(&values, &mut words)?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(written)))
    }
}

fn text(value: Option<&ScalarValue>) -> Option<&str> {
    value.and_then(|value| value.try_as_str().flatten())
}

/// The texts of values.
fn written(values: &ArrayRef, words: &mut Words) -> Result<StringArray> {
    let (rows, nulls) = (values.len(), values.logical_nulls());
    let column = Column::new(values)?;
    // About what is read comes out, and the names.
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * 32);
    let mut ends: Vec<i32> = Vec::with_capacity(rows + 1);
    ends.push(0);
    for row in 0..rows {
        if nulls.as_ref().is_none_or(|nulls: &NullBuffer| nulls.is_valid(row)) {
            column.write(row, words, &mut bytes)?;
        }
        match i32::try_from(bytes.len()) {
            Ok(end) => ends.push(end),
            Err(_) => return failed("to_json: a batch gives more than 2 GiB of text"),
        }
    }
    Ok(StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), nulls)?)
}
