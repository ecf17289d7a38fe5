//! Rows that a topic refuses for good, as the quarantine keeps them: the record that they were to become.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_core::sink::Refused;
use serde_json::{Map, Value};

use crate::kafka::RefusedRecord;

/// The record as a JSON object of Spark's columns. Bytes that are no text stand as Base64 under `keyBase64`, `valueBase64`.
pub(super) fn row(record: RefusedRecord) -> Refused {
    let RefusedRecord { partition, code, why, key, value, headers } = record;
    let mut row = Map::new();
    row.insert("topic".to_owned(), (*partition.topic).into());
    row.insert("partition".to_owned(), partition.index.into());
    put(&mut row, "key", key);
    put(&mut row, "value", value);
    if !headers.is_empty() {
        let header = |(name, value): (String, Option<Vec<u8>>)| {
            let mut header = Map::from_iter([("key".to_owned(), name.into())]);
            put(&mut header, "value", value);
            Value::Object(header)
        };
        row.insert("headers".to_owned(), headers.into_iter().map(header).collect());
    }
    let path = if code == "INVALID_RECORD" { "$" } else { "$.value" };
    let row = Value::Object(row).to_string().into_bytes();
    Refused { code: format!("kafka.{code}"), path: path.to_owned(), why, row }
}

fn put(row: &mut Map<String, Value>, name: &str, bytes: Option<Vec<u8>>) {
    match bytes.map(String::from_utf8) {
        None => row.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => row.insert(name.to_owned(), text.into()),
        Some(Err(other)) => row.insert(format!("{name}Base64"), BASE64.encode(other.as_bytes()).into()),
    };
}

#[cfg(test)]
mod tests {
    use forebay_core::Partition;

    use super::*;

    #[test]
    fn a_refused_row_keeps_every_byte_of_its_record() {
        let record = RefusedRecord {
            partition: Partition::new("t", 3),
            code: "MESSAGE_TOO_LARGE",
            why: "too large".to_owned(),
            key: Some(b"\xff\x00".to_vec()),
            value: Some("{\"a\": \"\u{e9}\"}".into()),
            headers: vec![("unit".to_owned(), None)],
        };
        let refused = row(record.clone());
        assert_eq!((&*refused.code, &*refused.path), ("kafka.MESSAGE_TOO_LARGE", "$.value"));
        let found: Value = serde_json::from_slice(&refused.row).unwrap();
        let expected = serde_json::json!({
            "topic": "t", "partition": 3, "keyBase64": "/wA=", "value": "{\"a\": \"\u{e9}\"}",
            "headers": [{ "key": "unit", "value": null }],
        });
        assert_eq!(found, expected);
        let keyless = row(RefusedRecord { key: None, code: "INVALID_RECORD", ..record });
        assert!(String::from_utf8(keyless.row).unwrap().contains("\"key\":null"));
    }
}
