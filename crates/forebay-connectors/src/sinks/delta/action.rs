//! The lines of a Delta commit: the few actions this writer writes, and what it looks for in the commits of others.
//!
//! A commit is a text file with one JSON object per line. It is written here, and not by delta-rs, because the sink
//! must put its `txn` line, its data files and the check against repeats into *one* attempt for one version number,
//! and must decide itself what another writer's commit means for it. Paths inside actions are URI-encoded;
//! everywhere else in this room they are plain text, relative to the table.

use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::live::{FileEvent, FileKey, LiveFile};

/// What a reader and a writer of the table must be able to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}

/// The table's identity, columns and properties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub format: FileFormat,
    pub schema_string: String,
    pub partition_columns: Vec<String>,
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

/// Always Parquet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileFormat {
    pub provider: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// "Application `app_id` has written up to `version`": the line by which an epoch is recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A data file that belongs to the table from now on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    /// URI-encoded.
    pub path: String,
    pub partition_values: BTreeMap<String, Option<String>>,
    pub size: u64,
    pub modification_time: i64,
    pub data_change: bool,
    pub stats: String,
}

/// A data file that no longer belongs to the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    /// URI-encoded, as its `add` had it.
    pub path: String,
    pub deletion_timestamp: i64,
    pub data_change: bool,
    pub extended_file_metadata: bool,
    pub partition_values: BTreeMap<String, Option<String>>,
    pub size: u64,
    /// Of the file as it was, if it had one: by both together readers know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<Value>,
}

/// What `engineInfo` of our own commits begins with.
const ENGINE: &str = "Forebay/";

/// Who committed, when and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub operation: &'static str,
    pub operation_parameters: BTreeMap<&'static str, String>,
    pub operation_metrics: BTreeMap<&'static str, String>,
    pub is_blind_append: bool,
    pub engine_info: String,
    pub txn_id: String,
}

impl CommitInfo {
    /// An entry of this engine; `txn_id` is new each time.
    pub fn new(timestamp: i64, operation: &'static str, is_blind_append: bool) -> Self {
        Self {
            timestamp,
            operation,
            operation_parameters: BTreeMap::new(),
            operation_metrics: BTreeMap::new(),
            is_blind_append,
            engine_info: format!("{ENGINE}{}", env!("CARGO_PKG_VERSION")),
            txn_id: uuid::Uuid::new_v4().to_string(),
        }
    }

    pub fn parameter(mut self, name: &'static str, value: impl ToString) -> Self {
        self.operation_parameters.insert(name, value.to_string());
        self
    }

    pub fn metric(mut self, name: &'static str, value: impl ToString) -> Self {
        self.operation_metrics.insert(name, value.to_string());
        self
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    CommitInfo(CommitInfo),
    Protocol(Protocol),
    MetaData(Box<Metadata>),
    Txn(Txn),
    Add(Add),
    Remove(Remove),
}

/// The text of a commit.
pub(crate) fn to_text(actions: &[Action]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(actions.len() * 512);
    for action in actions {
        serde_json::to_writer(&mut text, action)
            .map_err(|e| Error::new(&codes::INTERNAL, "an action cannot be written as JSON").caused_by(e))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// What this writer wants to know of somebody else's commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub protocol: Option<Protocol>,
    pub metadata: Option<Metadata>,
    pub txns: Vec<Txn>,
    /// Plain relative paths.
    pub removed: Vec<String>,
    /// Plain relative paths.
    pub added: Vec<String>,
    /// The same with all that is told of them: what went, then what came.
    pub files: Vec<FileEvent>,
    /// Who wrote it, if it says so.
    pub engine: Option<String>,
    pub is_restore: bool,
    /// The version that a RESTORE names; it may name a time instead.
    pub restored: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    protocol: Option<Protocol>,
    meta_data: Option<Metadata>,
    txn: Option<Txn>,
    add: Option<FileLine>,
    remove: Option<FileLine>,
    /// Whatever its writer liked to put there.
    commit_info: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileLine {
    path: String,
    #[serde(default)]
    partition_values: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    size: Option<i64>,
    #[serde(default)]
    stats: Option<String>,
    #[serde(default)]
    deletion_vector: Option<Value>,
}

impl Seen {
    /// Reads a commit. Lines of kinds that do not matter here are passed over.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let (mut seen, mut came) = (Self::default(), Vec::new());
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: Line = serde_json::from_slice(line)?;
            seen.protocol = line.protocol.or(seen.protocol);
            seen.metadata = line.meta_data.or(seen.metadata);
            seen.txns.extend(line.txn);
            if let Some(gone) = line.remove {
                seen.removed.push(decode_path(&gone.path));
                seen.files.push(FileEvent::Gone(FileKey::new(gone.path, gone.deletion_vector.as_ref())));
            }
            if let Some(add) = line.add {
                seen.added.push(decode_path(&add.path));
                came.push(FileEvent::Added(LiveFile {
                    key: FileKey::new(add.path, add.deletion_vector.as_ref()),
                    values: add.partition_values.unwrap_or_default(),
                    size: add.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    stats: add.stats,
                    deletion_vector: add.deletion_vector,
                }));
            }
            let Some(info) = &line.commit_info else { continue };
            let engine = info.get("engineInfo").and_then(Value::as_str);
            seen.engine = engine.map(str::to_owned).or(seen.engine);
            seen.is_restore |= info.get("operation").and_then(Value::as_str) == Some("RESTORE");
            // Spark writes the number as a text.
            let restored = info.pointer("/operationParameters/version");
            seen.restored =
                restored.and_then(|to| to.as_u64().or_else(|| to.as_str()?.parse().ok())).or(seen.restored);
        }
        seen.files.extend(came);
        Ok(seen)
    }

    /// True if another engine took files out of the table (OPTIMIZE, DELETE, UPDATE …).
    pub fn is_foreign_removal(&self) -> bool {
        let is_ours = self.engine.as_ref().is_some_and(|engine| engine.starts_with(ENGINE));
        !is_ours && !self.removed.is_empty()
    }
}

/// A plain relative path as it stands in an action.
pub(crate) fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'/'
            | b'='
            | b'+'
            | b',' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The plain path behind an action's path; stray percent signs stay as they are.
pub(crate) fn decode_path(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_encoding() {
        for plain in ["a.parquet", "p=a b/x", "p=%2F..%25/ü", "p=100%/x", "p=\u{1F600}"] {
            assert_eq!(decode_path(&encode_path(plain)), plain);
        }
        assert_eq!(encode_path("p=a b%2F"), "p=a%20b%252F");
    }

    #[test]
    fn a_foreign_commit_shows_what_matters() {
        let text = br#"{"commitInfo":{"operation":"WRITE","operationParameters":{"a":[1]}}}
{"txn":{"appId":"q","version":7}}
{"remove":{"path":"p=a%20b/x.parquet","dataChange":true}}
{"add":{"path":"y","size":1,"partitionValues":{},"modificationTime":0,"dataChange":true}}
{"domainMetadata":{"domain":"d","configuration":"","removed":false}}

"#;
        let seen = Seen::parse(text).unwrap();
        assert_eq!(seen.txns, [Txn { app_id: "q".into(), version: 7, last_updated: None }]);
        assert_eq!(seen.removed, ["p=a b/x.parquet"]);
        assert!(seen.metadata.is_none() && seen.protocol.is_none());
        assert_eq!(seen.added, ["y"]);
        assert!(Seen::parse(b"{\"txn\":").is_err(), "a half-written commit is no commit");
    }

    #[test]
    fn a_removal_is_foreign_unless_it_says_that_it_is_ours() {
        let of = |info: &str| {
            let text = format!("{{\"commitInfo\":{info}}}\n{{\"remove\":{{\"path\":\"x\"}}}}");
            Seen::parse(text.as_bytes()).unwrap()
        };
        for info in [r#"{"engineInfo":"delta-rs:1"}"#, r#"{"engineInfo":7}"#, "{}", "[]", "null"] {
            assert!(of(info).is_foreign_removal(), "{info}");
        }
        let ours = serde_json::to_string(&CommitInfo::new(0, "OPTIMIZE", false)).unwrap();
        assert!(!of(&ours).is_foreign_removal(), "{ours}");
        assert!(!Seen::parse(b"{}").unwrap().is_foreign_removal());
    }
}
