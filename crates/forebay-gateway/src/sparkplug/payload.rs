//! The bytes of a payload: protobuf, as the specification's schema says, declared here as far as it is read.
//!
//! Parts that are not looked into (data sets, templates, properties) stay bytes, so that a payload takes no more than some hundred bytes for
//! each metric; and their number is looked at before any is read.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

/// Most metrics of a payload.
pub(super) const MOST_METRICS: usize = 10_000;

/// A payload.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    /// Milliseconds since 1970.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// A metric: what it is called, and one value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(super) is_transient: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(super) properties: Option<Vec<u8>>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19")]
    pub(super) value: Option<Value>,
}

/// A value, as it lies in the payload; the metric's type says what it means.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
    #[prost(bytes = "vec", tag = "17")]
    DataSet(Vec<u8>),
    #[prost(bytes = "vec", tag = "18")]
    Template(Vec<u8>),
    #[prost(bytes = "vec", tag = "19")]
    Extension(Vec<u8>),
}

/// Names with values, of which one is looked for.
#[derive(Clone, PartialEq, Message)]
struct Properties {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<Property>,
}

#[derive(Clone, PartialEq, Message)]
struct Property {
    #[prost(uint32, optional, tag = "3")]
    int: Option<u32>,
    #[prost(uint64, optional, tag = "4")]
    long: Option<u64>,
}

/// Reads a payload; `None` for what is none, or has too many metrics.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    if count(bytes, 2)? > MOST_METRICS {
        return None;
    }
    Payload::decode(bytes).ok()
}

/// The property `Quality`, if there is one.
pub(super) fn quality(properties: &[u8]) -> Option<u64> {
    if count(properties, 1)? > 100 || count(properties, 2)? > 100 {
        return None;
    }
    let properties = Properties::decode(properties).ok()?;
    let at = properties.keys.iter().position(|key| key == "Quality")?;
    let value = properties.values.get(at)?;
    value.int.map(u64::from).or(value.long)
}

/// How often a field stands in a message; `None` for what is no message.
fn count(mut bytes: &[u8], field: u32) -> Option<usize> {
    let mut found = 0;
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).ok()?;
        // Groups are of another age, and the only thing that nests here.
        if matches!(wire, WireType::StartGroup | WireType::EndGroup) {
            return None;
        }
        skip_field(wire, tag, &mut bytes, DecodeContext::default()).ok()?;
        found += usize::from(tag == field);
    }
    Some(found)
}

/// The command by which a node is asked for its births.
pub(super) fn rebirth(now: i64) -> Vec<u8> {
    let now = u64::try_from(now).ok();
    let metric = Metric {
        name: Some("Node Control/Rebirth".to_owned()),
        timestamp: now,
        datatype: Some(super::row::BOOLEAN),
        value: Some(Value::Boolean(true)),
        ..Metric::default()
    };
    Payload { timestamp: now, metrics: vec![metric], seq: None }.encode_to_vec()
}
