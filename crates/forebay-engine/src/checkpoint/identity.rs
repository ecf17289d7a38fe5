//! Whose checkpoint it is: the file `metadata`, with the query's id and what must not change while it lives.
//!
//! What must stay true: a checkpoint never goes on with another source or sink than those whose rows it counts. A sink
//! in a folder that moves together with the checkpoint is the same wherever the folder lies.

use std::fs;
use std::io;
use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::{Door, lines};
use serde::{Deserialize, Serialize};

use super::{bad_lines, damaged, failed, to_text};

const METADATA_KIND: &str = "forebay-checkpoint-metadata";

/// Who a query is: what must not change while its checkpoint lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The pipeline's name.
    pub pipeline: String,
    /// The query's name.
    pub query: String,
    /// What is read, as the source describes itself.
    pub source: String,
    /// Where rows go, as the sink names it for a checkpoint: a folder that moves together with the checkpoint may be
    /// found elsewhere the next time.
    pub sink: String,
}

/// The file `metadata`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub id: String,
    #[serde(flatten)]
    pub identity: Identity,
}

impl Metadata {
    /// Reads the file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(damaged(path, e)),
        };
        let lines = lines::read(METADATA_KIND, &bytes).map_err(|e| bad_lines(path, e))?;
        let text = lines.texts.first().ok_or_else(|| damaged(path, "the file holds no record"))?;
        serde_json::from_str(text).map(Some).map_err(|e| damaged(path, e))
    }

    /// Makes the file of a new query; returns its id.
    pub fn write_new(door: &Door, path: &Path, identity: &Identity) -> Result<String> {
        let metadata = Self { id: uuid::Uuid::new_v4().to_string(), identity: identity.clone() };
        door.write_new(path, &metadata.bytes()?).map_err(|e| failed(path, "write", e))?;
        Ok(metadata.id)
    }

    /// The query's id, if it is the one of this identity.
    pub fn take(self, path: &Path, identity: &Identity) -> Result<String> {
        self.identity.check(path.parent().unwrap_or(path), identity)?;
        Ok(self.id)
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = lines::header(METADATA_KIND).into_bytes();
        lines::push_line(&mut bytes, &to_text(self)?);
        Ok(bytes)
    }
}

impl Identity {
    /// Fails with `CHECKPOINT_OTHER_QUERY`, naming what differs, if a query of the identity `now` must not go on from
    /// the checkpoint of this one.
    pub fn check(&self, dir: &Path, now: &Self) -> Result<()> {
        let differences: Vec<String> = [
            ("pipeline", &self.pipeline, &now.pipeline),
            ("query", &self.query, &now.query),
            ("source", &self.source, &now.source),
            ("sink", &self.sink, &now.sink),
        ]
        .into_iter()
        .filter(|(_, was, is)| was != is)
        .map(|(what, was, is)| format!("{what} was `{was}`, is `{is}`"))
        .collect();
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!("the checkpoint belongs to another query: {}", differences.join("; "));
        Err(Error::new(&codes::CHECKPOINT_OTHER_QUERY, message).at(dir.display()))
    }
}
