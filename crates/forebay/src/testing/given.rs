//! The records that a test gives: from what was written to the bytes of a message.
//!
//! A record is written as queries see it. Of a source that decodes its values a mapping is the message, and the record's
//! own columns stand below `_kafka`, as in SQL; of one that does not, a mapping is those columns.

use std::collections::BTreeSet;

use forebay_core::Error;
use forebay_core::config::{GivenConfig, Pipeline, Problem, SourceConfig, Value, Written, moment_us};
use forebay_core::error::codes;
use forebay_core::options::{parse_duration, unknown_name};
use forebay_engine::plan::KAFKA_COLUMN;

use super::expected::Reader;
use super::pushed;
use super::world::Record;

/// What can be said of a record itself.
const COLUMNS: [&str; 5] = ["value", "key", "partition", "timestamp", "topic"];

/// The highest number of a partition: more than any topic has.
const MOST_PARTITIONS: i32 = 9_999;

/// The topics that a source names; none if it names a pattern.
pub fn named_topics(source: &SourceConfig) -> Vec<String> {
    let options = &source.options;
    if let Some(names) = options.text("subscribe") {
        return names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    }
    let assigned = options.text("assign").and_then(|text| serde_json::from_str(text).ok());
    match assigned {
        Some(serde_json::Value::Object(topics)) => topics.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// The topics that a source reads in a test which gives it these records: those that it names, and those that records
/// name which are given to it. One that names a pattern reads a topic of its own name.
pub fn topics_of(source: &SourceConfig, given: &BTreeSet<String>) -> BTreeSet<String> {
    let mut topics: BTreeSet<String> = named_topics(source).into_iter().collect();
    if topics.is_empty() {
        topics.insert(source.name.clone());
        topics.extend(given.iter().cloned());
    }
    topics
}

/// The source that a name under `given` means, and the topic: by the name of the source, or of a topic that it reads.
fn whose<'s>(name: &str, sources: &'s [SourceConfig]) -> Option<(&'s SourceConfig, String)> {
    if let Some(source) = sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)) {
        let first = named_topics(source).into_iter().next();
        return Some((source, first.unwrap_or_else(|| source.name.clone())));
    }
    let reads = |source: &&SourceConfig| named_topics(source).iter().any(|topic| topic == name);
    sources.iter().find(reads).map(|source| (source, name.to_owned()))
}

/// The records of one name at a step that is at `at_ms`, with the source that reads them; those of a gateway are read by
/// all that read their topics.
pub fn records<'s>(
    reader: &mut Reader<'_>,
    given: &GivenConfig,
    pipeline: &'s Pipeline,
    at_ms: i64,
) -> Option<(Option<&'s SourceConfig>, Vec<Record>)> {
    let sources = pipeline.sources.as_slice();
    let Some((source, topic)) = whose(&given.to.text, sources) else {
        if let Some(gateway) = pushed::gateway(&given.to.text, pipeline) {
            return Some((None, pushed::records(reader, given, (gateway, pipeline), at_ms)));
        }
        let topics: Vec<String> = sources.iter().flat_map(named_topics).collect();
        let known =
            sources.iter().map(|source| source.name.as_str()).chain(topics.iter().map(String::as_str));
        let known = known.chain(pipeline.gateways.iter().map(|gateway| gateway.name.as_str()));
        let error = unknown_name("source, topic or gateway", &given.to.text, known);
        let length = given.to.text.chars().count();
        reader.problems.push(Problem::at(error, reader.file, given.to.place, length));
        return None;
    };
    let new = Record { topic, partition: 0, timestamp_ms: at_ms, key: None, value: None };
    let is_decoded = source.value.is_some();
    let records = given.records.iter().map(|written| record(reader, written, is_decoded, at_ms, new.clone()));
    Some((Some(source), records.collect()))
}

fn record(
    reader: &mut Reader<'_>,
    written: &Written,
    is_decoded: bool,
    at_ms: i64,
    mut record: Record,
) -> Record {
    let Value::Fields(fields) = &written.value else {
        record.value = bytes(written);
        return record;
    };
    if !is_decoded {
        columns(reader, written, at_ms, &mut record);
        return record;
    }
    let (own, message): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| key.text == KAFKA_COLUMN);
    let names_value = own.first().is_some_and(|(_, own)| {
        own.fields().is_some_and(|fields| fields.iter().any(|(key, _)| key.text == "value"))
    });
    if names_value && !message.is_empty() {
        let error =
            Error::new(&codes::BAD_VALUE, "the record has fields and a value of its own").with_hint(format!(
                "Write either the fields of the message, or its bytes as `{KAFKA_COLUMN}: {{ value: '…' }}`."
            ));
        reader.tell(error, written);
    }
    let message = Written { value: Value::Fields(message.into_iter().cloned().collect()), ..written.clone() };
    record.value = Some(message.to_json().into_bytes());
    if let Some((_, own)) = own.first() {
        columns(reader, own, at_ms, &mut record);
    }
    record
}

/// Reads the columns of the record itself.
fn columns(reader: &mut Reader<'_>, written: &Written, at_ms: i64, record: &mut Record) {
    let Some(fields) = written.fields() else {
        let error = Error::new(
            &codes::BAD_VALUE,
            format!("`{KAFKA_COLUMN}` is a mapping of the record's own columns"),
        )
        .with_hint(format!("Write `{KAFKA_COLUMN}: {{ key: …, partition: 1, timestamp: 10:00:05 }}`."));
        reader.tell(error, written);
        return;
    };
    for (name, value) in fields {
        let text = value.text().unwrap_or_default();
        match name.text.as_str() {
            "value" => record.value = bytes(value),
            "key" => record.key = bytes(value),
            "topic" if !text.is_empty() => record.topic = text.to_owned(),
            "partition" => match text.parse() {
                Ok(partition) if (0..=MOST_PARTITIONS).contains(&partition) => record.partition = partition,
                _ => {
                    refuse(reader, value, "partition", &format!("a whole number from 0 to {MOST_PARTITIONS}"))
                }
            },
            "timestamp" => match timestamp(text, at_ms, reader.begin_us) {
                Some(timestamp) => record.timestamp_ms = timestamp,
                None => refuse(
                    reader,
                    value,
                    "timestamp",
                    "a time such as `10:00:05`, or milliseconds since 1970",
                ),
            },
            "topic" => refuse(reader, value, "topic", "the name of a topic"),
            other => {
                let unknown = unknown_name("column", other, COLUMNS.into_iter());
                let error = Error::new(&codes::UNKNOWN_KEY, format!("{} of a record", unknown.message()))
                    .with_hint(format!(
                        "{} The fields of a message stand beside `{KAFKA_COLUMN}` if the source has `value: json`.",
                        unknown.hint()
                    ));
                reader.problems.push(Problem::at(error, reader.file, name.place, other.chars().count()));
            }
        }
    }
}

fn refuse(reader: &mut Reader<'_>, value: &Written, name: &str, expected: &str) {
    let shown: String = value.to_json().chars().take(60).collect();
    let error = Error::new(&codes::BAD_VALUE, format!("`{name}` is {shown}, expected {expected}"))
        .with_hint("A record without it has partition 0 and the time of its step.");
    reader.tell(error, value);
}

/// Milliseconds since 1970, a time, or `+5 seconds` after the step's.
fn timestamp(text: &str, at_ms: i64, begin_us: i64) -> Option<i64> {
    if let Some(after) = text.strip_prefix('+') {
        return at_ms.checked_add(i64::try_from(parse_duration(after)?.as_millis()).ok()?);
    }
    text.parse().ok().or_else(|| Some(moment_us(text, begin_us)?.div_euclid(1_000)))
}

/// The bytes of a value: a text as it is, a list or mapping as JSON.
pub(super) fn bytes(written: &Written) -> Option<Vec<u8>> {
    match &written.value {
        Value::Null => None,
        Value::Plain(text) | Value::Quoted(text) => Some(text.clone().into_bytes()),
        Value::List(_) | Value::Fields(_) => Some(written.to_json().into_bytes()),
    }
}
