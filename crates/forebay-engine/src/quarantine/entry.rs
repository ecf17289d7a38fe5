//! What the quarantine keeps of a record: everything that a replay needs to make it whole again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_core::Epoch;
use forebay_core::checkpoint::{Plan, QuarantinedId, RecordId, is_first};
use forebay_core::sink::Refused;
use serde::{Deserialize, Serialize};

/// One record that could not be decoded, or one row that could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Which record.
    #[serde(flatten)]
    pub id: RecordId,
    /// By which input of the query it was read, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub input: u16,
    /// The name of the source; `None` in entries of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The sink that refused it, if it is a row rather than a record: `raw` is then the row as JSON, and `id` names the query
    /// with the epoch, 0, and the row's place among those refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// The record's timestamp, milliseconds since 1970.
    pub timestamp: i64,
    /// Kafka's timestamp type: 0 create time, 1 log append time.
    pub timestamp_type: i32,
    /// Why: a stable code such as `json.truncated`.
    pub code: String,
    /// The JSON path of the field, `$` for the whole record.
    pub path: String,
    /// What was expected and what was found.
    pub why: String,
    /// When the epoch that set it aside was planned, milliseconds since 1970.
    pub at: i64,
    /// That epoch.
    pub epoch: Epoch,
    /// The id of the query; the name of the entry's file says it.
    #[serde(skip)]
    pub query_id: String,
    /// The record's key in Base64; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The record's headers, if the source reads them (`includeHeaders`): name and value in Base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Option<String>)>,
    /// The raw value in Base64; `None` for a tombstone.
    pub raw: Option<String>,
}

impl Entry {
    /// A row that a sink refused.
    pub fn refused(query: &str, sink: &str, plan: &Plan, number: usize, row: &Refused) -> Self {
        let offset = i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            id: RecordId { topic: format!("{query}@{}", plan.epoch), partition: 0, offset },
            input: 0,
            source: None,
            refused_by: Some(sink.to_owned()),
            timestamp: plan.planned_at_ms,
            timestamp_type: 0,
            code: row.code.clone(),
            path: row.path.clone(),
            why: row.why.clone(),
            at: plan.planned_at_ms,
            epoch: plan.epoch,
            query_id: String::new(),
            key: None,
            headers: Vec::new(),
            raw: Some(encode(&row.row)),
        }
    }

    /// The entry's identity: a record may be set aside several times.
    pub fn quarantined_id(&self) -> QuarantinedId {
        QuarantinedId {
            record: self.id.clone(),
            input: self.input,
            epoch: self.epoch,
            query_id: self.query_id.clone(),
        }
    }

    /// What makes two entries the same record; its name alone does not, if its topic was made anew.
    pub fn record_key(&self) -> (&RecordId, i64, Option<&str>) {
        (&self.id, self.timestamp, self.raw.as_deref())
    }

    /// Its place among others, for a list: rows that a sink refused are in the order of their epochs, which their name has as a text.
    pub fn listed(&self) -> (&str, Option<Epoch>, i32, i64) {
        let RecordId { topic, partition, offset } = &self.id;
        match (&self.refused_by, topic.rsplit_once('@')) {
            (Some(_), Some((query, _))) => (query, Some(self.epoch), *partition, *offset),
            _ => (topic, None, *partition, *offset),
        }
    }

    /// The raw bytes of the value; `None` for a tombstone.
    pub fn raw_bytes(&self) -> Option<Vec<u8>> {
        self.raw.as_deref().and_then(decode)
    }

    /// Bytes that the entry takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + len(value)).sum();
        size_of::<Self>() + len(&self.raw) + len(&self.key) + headers
    }
}

/// Bytes as an [`Entry`] keeps them.
pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes that an [`Entry`] keeps.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_refused_are_listed_in_the_order_of_their_epochs() {
        let text = r#"{"topic":"lake@EPOCH","partition":0,"offset":0,"timestamp":1,"timestampType":0,"code":"c","path":"$","why":"w","at":2,"epoch":EPOCH,"refusedBy":"sink","raw":"eA=="}"#;
        let of = |epoch: u64| -> Entry {
            serde_json::from_str(&text.replace("EPOCH", &epoch.to_string())).unwrap()
        };
        let mut rows = [of(10), of(9), of(2)];
        rows.sort_by(|a, b| a.listed().cmp(&b.listed()));
        assert_eq!(rows.map(|row| row.epoch.0), [2, 9, 10]);
    }

    #[test]
    fn a_key_and_headers_that_are_not_there_take_no_room() {
        let text = r#"{"topic":"t","partition":0,"offset":7,"timestamp":1,"timestampType":0,"code":"c","path":"$","why":"w","at":2,"epoch":3,"raw":"eA=="}"#;
        let entry: Entry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        assert_eq!((entry.timestamp_type, &entry.key, entry.headers.len()), (0, &None, 0));
        assert_eq!((entry.input, &entry.source), (0, &None));
        assert_eq!(entry.raw_bytes().as_deref(), Some(&b"x"[..]));
    }
}
