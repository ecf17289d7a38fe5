//! A row: what goes to the log for each metric.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::payload::{Metric, Value};

/// The number of the type Boolean.
pub(super) const BOOLEAN: u32 = 11;

/// The types by their numbers, from 1.
const TYPES: [&str; 34] = [
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float",
    "Double",
    "Boolean",
    "String",
    "DateTime",
    "Text",
    "UUID",
    "DataSet",
    "Bytes",
    "File",
    "Template",
    "PropertySet",
    "PropertySetList",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
    "FloatArray",
    "DoubleArray",
    "BooleanArray",
    "StringArray",
    "DateTimeArray",
];

/// One row. What is not there is left out; `device` and `metric` are null where the row is of the node, or of all of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row<'a> {
    pub(super) group: &'a str,
    pub(super) edge_node: &'a str,
    pub(super) device: Option<&'a str>,
    /// The message's type, or `GAP`.
    pub(super) event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<u64>,
    pub(super) metric: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<u64>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) datatype: Option<&'a str>,
    #[serde(flatten)]
    pub(super) value: Shown,
    pub(super) timestamp: u64,
    pub(super) is_null: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_historical: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_transient: bool,
    pub(super) quality: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// A value in the field of its kind.
#[derive(Debug, Default, Serialize)]
pub(super) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    long: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    double: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boolean: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

impl Row<'_> {
    pub(super) fn json(&self) -> Bytes {
        // There is nothing in a row that cannot be written.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// The name of a type.
pub(super) fn type_name(datatype: u32) -> Option<&'static str> {
    let at = usize::try_from(datatype).ok()?.checked_sub(1)?;
    TYPES.get(at).copied()
}

/// What a property `Quality` says.
pub(super) fn quality_name(quality: Option<u64>) -> &'static str {
    match quality {
        None | Some(192) => "good",
        Some(0) => "bad",
        Some(500) => "stale",
        Some(_) => "uncertain",
    }
}

/// The value of a metric whose type is known from its birth, or not at all.
pub(super) fn shown(metric: &mut Metric, datatype: u32) -> Shown {
    let name = type_name(datatype).unwrap_or_default();
    let number = |text: String| RawValue::from_string(text).ok();
    let mut shown = Shown::default();
    match metric.value.take() {
        None => {}
        // Signed numbers lie there in two's complement, shorter ones with their sign carried on or without.
        Some(Value::Int(bits)) => {
            let signed = i64::from(bits.cast_signed());
            let text = match (name, u8::try_from(bits), u16::try_from(bits)) {
                ("Int8", Ok(byte), _) => byte.cast_signed().to_string(),
                ("Int16", _, Ok(short)) => short.cast_signed().to_string(),
                ("Int8" | "Int16" | "Int32", ..) => signed.to_string(),
                _ => bits.to_string(),
            };
            shown.long = number(text);
        }
        Some(Value::Long(bits)) => {
            shown.long =
                number(if name == "Int64" { bits.cast_signed().to_string() } else { bits.to_string() });
        }
        // The shortest text that is this number; what JSON has no number for stands as text.
        Some(Value::Float(value)) if value.is_finite() => shown.double = number(format!("{value:?}")),
        Some(Value::Double(value)) if value.is_finite() => shown.double = number(format!("{value:?}")),
        Some(Value::Float(value)) => shown.text = Some(value.to_string()),
        Some(Value::Double(value)) => shown.text = Some(value.to_string()),
        Some(Value::Boolean(value)) => shown.boolean = Some(value),
        Some(Value::Text(text)) => shown.text = Some(text),
        Some(
            Value::Bytes(bytes) | Value::DataSet(bytes) | Value::Template(bytes) | Value::Extension(bytes),
        ) => {
            shown.bytes = Some(STANDARD.encode(bytes));
        }
    }
    shown
}
