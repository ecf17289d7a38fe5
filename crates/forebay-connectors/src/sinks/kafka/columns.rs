//! Which columns of a query become which part of a record, and why a query is refused.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::config::Config;
use super::rows::Rows;

/// What a query must look like, for hints.
const SHAPE: &str = "A query for Kafka selects `value` and, if wanted, `key` (both STRING or BINARY), `headers` \
                     (ARRAY<STRUCT<key: STRING, value: BINARY>>), `topic` (STRING) and `partition` (INT). Put what else is to be \
                     kept into the value, for example \
                     `concat('{\"device\":\"', device_id, '\",\"t\":', CAST(t AS STRING), '}') AS value`.";

/// The columns by their numbers.
#[derive(Debug)]
pub(super) struct Columns {
    pub value: usize,
    pub key: Option<usize>,
    pub headers: Option<usize>,
    pub partition: Option<usize>,
    pub topic: Topic,
}

/// Where a row goes.
#[derive(Debug)]
pub(super) enum Topic {
    /// All to the same.
    Fixed(Arc<str>),
    /// As this column says.
    Column(usize),
}

impl Columns {
    /// # Errors
    /// `SINK_SCHEMA` for a query whose rows are no records; `MISSING_KEY` if nothing names the topic.
    pub fn new(schema: &Schema, config: &Config) -> Result<Self> {
        let (mut value, mut key, mut headers, mut partition, mut topic) = (None, None, None, None, None);
        for (number, field) in schema.fields().iter().enumerate() {
            let (place, fits, wanted) = match field.name().to_ascii_lowercase().as_str() {
                "value" => (&mut value, is_bytes(field.data_type()), "STRING or BINARY"),
                "key" => (&mut key, is_bytes(field.data_type()), "STRING or BINARY"),
                "topic" => (&mut topic, is_text(field.data_type()), "STRING"),
                "partition" => (&mut partition, is_small_number(field.data_type()), "INT"),
                "headers" => {
                    (&mut headers, is_headers(field.data_type()), "ARRAY<STRUCT<key: STRING, value: BINARY>>")
                }
                _ => return Err(refused(format!("column `{}` is no part of a Kafka record", field.name()))),
            };
            if !fits {
                let message =
                    format!("column `{}` is {}, expected {wanted}", field.name(), field.data_type());
                let hint = format!("Write `CAST(… AS …) AS {}` to make it so. {SHAPE}", field.name());
                return Err(refused(message).with_hint(hint));
            }
            if place.replace(number).is_some() {
                return Err(refused(format!("column `{}` is there twice", field.name())));
            }
        }
        if headers.is_some() && !config.headers {
            return Err(Error::new(
                &codes::BAD_VALUE,
                "option `includeHeaders` is false, but the query has a column `headers`",
            )
            .with_hint("Leave the option out to write the headers, or the column to write none."));
        }
        let topic = match (&config.topic, topic) {
            (Some(fixed), _) => Topic::Fixed(Arc::clone(fixed)),
            (None, Some(number)) => Topic::Column(number),
            (None, None) => {
                let message = "option `topic` is missing, and the query has no column `topic`";
                return Err(Error::new(&codes::MISSING_KEY, message)
                    .with_hint("Name the topic with the option `topic`, or select one per row as `topic`."));
            }
        };
        let value = value.ok_or_else(|| refused("the query has no column `value`".to_owned()))?;
        Ok(Self { value, key, headers, partition, topic })
    }

    /// The rows of a batch, ready to be read one by one.
    pub fn rows<'b>(&'b self, batch: &'b RecordBatch) -> Result<Rows<'b>> {
        Rows::new(self, batch)
    }
}

fn refused(message: String) -> Error {
    Error::new(&codes::SINK_SCHEMA, message).with_hint(SHAPE)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            true
        }
        DataType::Dictionary(_, values) => is_bytes(values),
        other => is_text(other),
    }
}

fn is_small_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32)
}

fn is_headers(data_type: &DataType) -> bool {
    let (DataType::List(element) | DataType::LargeList(element)) = data_type else { return false };
    let DataType::Struct(fields) = element.data_type() else { return false };
    let is = |field: &Field, name: &str, fits: fn(&DataType) -> bool| {
        field.name().eq_ignore_ascii_case(name) && fits(field.data_type())
    };
    matches!(&fields[..], [key, value] if is(key, "key", is_text) && is(value, "value", is_bytes))
}
