//! `from_json`: the same decoder over a column of texts inside a query.
//!
//! One row for each input row, always: NULL for NULL and for blank text, otherwise what the mode says. Only Spark's
//! modes PERMISSIVE (its default) and FAILFAST exist here, as in Spark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use forebay_core::error::{Error, Result, codes};
use forebay_core::format::{BadRecordMode, Format};
use forebay_core::options::Options;

use super::JsonFormat;

/// `from_json(texts, schema, options)`, planned once.
#[derive(Debug)]
pub struct FromJson {
    format: JsonFormat,
    fields: Fields,
}

impl FromJson {
    /// Plans a call. `mode` is PERMISSIVE or FAILFAST; others fail with `BAD_VALUE`, as in Spark. Every field of the
    /// result may be null, whatever `fields` says.
    pub fn new(fields: Fields, mode: BadRecordMode, options: &Options) -> Result<Self> {
        if !matches!(mode, BadRecordMode::Permissive | BadRecordMode::FailFast) {
            let message = "from_json knows the modes PERMISSIVE and FAILFAST";
            return Err(Error::new(&codes::BAD_VALUE, message)
                .with_hint("Decode with `value: json` in the pipeline file to have the others."));
        }
        let format = JsonFormat::new(Arc::new(Schema::new(fields)), mode, options)?;
        let fields = format.schema().fields().clone();
        Ok(Self { format, fields })
    }

    /// The type of the result: a struct.
    pub fn data_type(&self) -> DataType {
        DataType::Struct(self.fields.clone())
    }

    /// The fields of the result.
    pub fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.fields.iter()
    }

    /// Decodes texts: a Utf8, LargeUtf8, Utf8View, Binary, LargeBinary or BinaryView array. The result has as many
    /// rows. Fails with `DECODE_FAILFAST` in that mode.
    pub fn decode(&self, texts: &ArrayRef) -> Result<StructArray> {
        let rows = texts.len();
        let mut decoder = self.format.json_decoder();
        macro_rules! decode {
            ($array:expr, $bytes:ident => $as_bytes:expr) => {{
                let array = $array;
                decoder.columns_of(rows, |row| {
                    (!array.is_null(row)).then(|| array.value(row)).map(|$bytes| $as_bytes)
                })
            }};
        }
        let (columns, nulls) = match texts.data_type() {
            DataType::Utf8 => decode!(texts.as_string::<i32>(), text => text.as_bytes()),
            DataType::LargeUtf8 => decode!(texts.as_string::<i64>(), text => text.as_bytes()),
            DataType::Utf8View => decode!(texts.as_string_view(), text => text.as_bytes()),
            DataType::Binary => decode!(texts.as_binary::<i32>(), bytes => bytes),
            DataType::LargeBinary => decode!(texts.as_binary::<i64>(), bytes => bytes),
            DataType::BinaryView => decode!(texts.as_binary_view(), bytes => bytes),
            other => {
                let message = format!("from_json reads text, not {other}");
                return Err(Error::new(&codes::SQL_PLAN, message)
                    .with_hint("Write `from_json(CAST(value AS STRING), '…')`."));
            }
        }?;
        StructArray::try_new_with_length(self.fields.clone(), columns, nulls, rows).map_err(|error| {
            Error::new(&codes::INTERNAL, "the JSON decoder made columns that do not fit together")
                .caused_by(error)
        })
    }
}
