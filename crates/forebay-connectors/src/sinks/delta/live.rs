//! The files that the table has: what complete and update mode take out of it must be named one by one.
//!
//! Read once from delta-rs, and then moved along the log like the head: by what others commit
//! ([`Change::files`](super::table::Change)) and by what this sink wrote. So an epoch loads nothing anew, whatever the
//! table's age. What must stay true: a file is known by its path as the log has it and its deletion vector, which is
//! how all readers match a `remove` with an `add`.

use std::collections::{BTreeMap, HashMap};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use deltalake_core::DeltaTable;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde_json::Value;

use super::action::{Action, Add, Remove, decode_path, encode_path};
use super::table::Table;
use super::{FILE_PREFIX, fault};

/// What tells two files of a table apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    /// As the log has it: URI-encoded by whoever wrote it.
    pub path: String,
    /// The identity of the deletion vector.
    pub vector: Option<String>,
}

/// A file of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LiveFile {
    pub key: FileKey,
    pub values: BTreeMap<String, Option<String>>,
    pub size: u64,
    pub stats: Option<String>,
    pub deletion_vector: Option<Value>,
}

/// What a commit did to a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FileEvent {
    Gone(FileKey),
    Added(LiveFile),
}

/// All files of one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live(BTreeMap<FileKey, LiveFile>);

impl FileKey {
    pub fn new(path: String, deletion_vector: Option<&Value>) -> Self {
        Self { path, vector: deletion_vector.map(vector_id) }
    }
}

/// As the protocol derives it.
fn vector_id(vector: &Value) -> String {
    let text = |name: &str| vector.get(name).and_then(Value::as_str).unwrap_or_default();
    let offset = vector.get("offset").and_then(Value::as_i64).map(|offset| format!("@{offset}"));
    format!("{}{}{}", text("storageType"), text("pathOrInlineDv"), offset.unwrap_or_default())
}

impl LiveFile {
    /// Plain path relative to the table.
    pub fn name(&self) -> String {
        decode_path(&self.key.path)
    }

    /// The action that takes it out of the table.
    pub fn remove(&self, now_ms: i64) -> Remove {
        Remove {
            path: self.key.path.clone(),
            deletion_timestamp: now_ms,
            data_change: true,
            extended_file_metadata: true,
            partition_values: self.values.clone(),
            size: self.size,
            deletion_vector: self.deletion_vector.clone(),
        }
    }

    fn added(add: &Add) -> Self {
        Self {
            key: FileKey { path: add.path.clone(), vector: None },
            values: add.partition_values.clone(),
            size: add.size,
            stats: Some(add.stats.clone()),
            deletion_vector: None,
        }
    }
}

impl Live {
    /// The files of a table that was just loaded. Walks all of them.
    pub fn of(loaded: &DeltaTable, table: &Table) -> Result<Self> {
        let snapshot = loaded.snapshot().map_err(|e| fault::delta(&table.root, e))?;
        let ours = |name: &str| name.rsplit('/').next().is_some_and(|file| file.starts_with(FILE_PREFIX));
        // delta-rs tells decoded paths; how others had encoded theirs stands in its table of actions.
        let mut encoded = HashMap::new();
        if snapshot.log_data().iter().any(|file| !ours(&file.path())) {
            for batch in snapshot.add_actions_batches(false).map_err(|e| fault::delta(&table.root, e))? {
                let paths = batch.column_by_name("path").and_then(|paths| cast(paths, &DataType::Utf8).ok());
                for path in paths.iter().flat_map(|paths| paths.as_string::<i32>().iter().flatten()) {
                    encoded.insert(decode_path(path), path.to_owned());
                }
            }
        }
        let mut live = Self::default();
        for file in snapshot.log_data().iter() {
            let name = file.path();
            let path = encoded.remove(name.as_ref()).unwrap_or_else(|| encode_path(&name));
            let vector = file.deletion_vector_descriptor().map(serde_json::to_value).transpose();
            let deletion_vector = vector.map_err(|e| {
                Error::new(&codes::INTERNAL, "a deletion vector has an unknown form").caused_by(e)
            })?;
            live.insert(LiveFile {
                key: FileKey::new(path, deletion_vector.as_ref()),
                values: file.partition_values_map().into_iter().collect(),
                size: u64::try_from(file.size()).unwrap_or(0),
                stats: file.stats(),
                deletion_vector,
            });
        }
        Ok(live)
    }

    /// Takes over what others did. Doing so twice does no harm.
    pub fn apply(&mut self, events: &[FileEvent]) {
        for event in events {
            match event {
                FileEvent::Gone(key) => drop(self.0.remove(key)),
                FileEvent::Added(file) => self.insert(file.clone()),
            }
        }
    }

    /// Takes over a commit of our own.
    pub fn wrote(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Remove(gone) => {
                    self.0.remove(&FileKey::new(gone.path.clone(), gone.deletion_vector.as_ref()));
                }
                Action::Add(add) => self.insert(LiveFile::added(add)),
                _ => {}
            }
        }
    }

    fn insert(&mut self, file: LiveFile) {
        self.0.insert(file.key.clone(), file);
    }

    pub fn iter(&self) -> impl Iterator<Item = &LiveFile> {
        self.0.values()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::delta::action::Seen;

    #[test]
    fn a_file_is_known_by_its_path_as_written_and_its_deletion_vector() {
        let text = r#"{"add":{"path":"p=ü/x","size":7,"partitionValues":{"p":"ü"},"modificationTime":0,"dataChange":true}}
{"add":{"path":"y","size":1,"partitionValues":{},"modificationTime":0,"dataChange":true,"deletionVector":{"storageType":"u","pathOrInlineDv":"ab","offset":4,"sizeInBytes":1,"cardinality":1}}}
{"remove":{"path":"y","dataChange":true}}"#;
        let mut live = Live::default();
        live.apply(&Seen::parse(text.as_bytes()).unwrap().files);
        let found: Vec<_> = live.iter().map(|file| (file.name(), file.key.vector.clone())).collect();
        assert_eq!(found, [("p=ü/x".to_owned(), None), ("y".to_owned(), Some("uab@4".to_owned()))]);
        let removes: Vec<_> = live.iter().map(|file| Action::Remove(file.remove(0))).collect();
        let text = String::from_utf8(super::super::action::to_text(&removes).unwrap()).unwrap();
        assert!(text.contains(r#""path":"p=ü/x""#) && text.contains(r#""pathOrInlineDv":"ab""#), "{text}");
        live.wrote(&removes);
        assert!(live.is_empty());
    }

    #[test]
    fn what_came_and_went_between_two_looks_is_gone() {
        let file = LiveFile {
            key: FileKey::new("x".into(), None),
            values: BTreeMap::new(),
            size: 1,
            stats: None,
            deletion_vector: None,
        };
        let mut live = Live::default();
        let events = [FileEvent::Added(file.clone()), FileEvent::Gone(file.key.clone())];
        live.apply(&events);
        assert!(live.is_empty());
        live.apply(&[FileEvent::Gone(file.key.clone()), FileEvent::Added(file)]);
        assert!(!live.is_empty(), "a RESTORE brings it back");
    }
}
