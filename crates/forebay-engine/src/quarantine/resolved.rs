//! What became of quarantined records: one file to which the engine and the command line both add.
//!
//! What must stay true: a writer holds the lock beside the file while it looks at its end, cuts a torn tail and adds
//! lines, so that two writers never mix theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;

use forebay_core::checkpoint::{QuarantinedId, RecordId};
use forebay_core::{Epoch, Result};
use forebay_storage::lines;
use serde::{Deserialize, Serialize};

use super::Quarantine;
use super::files::{damaged, failed, read_lines, to_text};

const KIND: &str = "forebay-quarantine-resolved";

/// What became of a quarantined record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolved {
    /// An epoch decoded it again: it went through the query, or was set aside anew as another entry.
    Replayed,
    /// A person dropped it.
    Dropped,
}

#[derive(Serialize, Deserialize)]
struct Resolution {
    #[serde(flatten)]
    record: RecordId,
    /// The epoch that had set it aside; `None` in files of before this was kept: any epoch.
    #[serde(default)]
    epoch: Option<Epoch>,
    /// And its query; `None` as in [`QuarantinedId`].
    #[serde(default, rename = "queryId", skip_serializing_if = "Option::is_none")]
    query_id: Option<String>,
    how: Resolved,
}

/// The epoch and the query that had set a record aside, as far as its resolution says.
type By = (Option<Epoch>, Option<String>);

/// The entries that are resolved.
#[derive(Default)]
pub(super) struct Resolutions(BTreeMap<RecordId, BTreeSet<By>>);

impl Resolutions {
    pub(super) fn contains(&self, id: &QuarantinedId) -> bool {
        self.0.get(&id.record).is_some_and(|by| {
            by.iter().any(|(epoch, query_id)| {
                epoch.is_none_or(|epoch| epoch == id.epoch) && *query_id == id.query_id
            })
        })
    }
}

impl Quarantine {
    /// Writes down what became of these entries. Doing it twice changes nothing.
    pub fn resolve(&self, ids: &[QuarantinedId], how: Resolved) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let path = self.dir.join("resolved.jsonl");
        let mut bytes = Vec::new();
        for id in ids {
            let QuarantinedId { record, epoch, query_id } = id.clone();
            let resolution = Resolution { record, epoch: Some(epoch), query_id, how };
            lines::push_line(&mut bytes, &to_text(&resolution)?);
        }
        let _lock = self.lock_resolved()?;
        if !path.exists() {
            let header = lines::header(KIND);
            self.door.write_new(&path, header.as_bytes()).map_err(|e| failed(&path, e))?;
        }
        let there = fs::read(&path).map_err(|e| failed(&path, e))?;
        let there = lines::read(KIND, &there).map_err(|e| damaged(&path, e))?;
        let write = || -> io::Result<()> {
            let mut file = self.door.open_append(&path)?;
            if there.torn {
                file.truncate(there.good_len)?;
            }
            file.append(&bytes)?;
            file.sync()
        };
        write().map_err(|e| failed(&path, e))
    }

    pub(super) fn resolved(&self) -> Result<Resolutions> {
        let path = self.dir.join("resolved.jsonl");
        let mut resolutions = Resolutions::default();
        if path.exists() {
            for resolution in read_lines::<Resolution>(&path, KIND)? {
                let Resolution { record, epoch, query_id, .. } = resolution;
                resolutions.0.entry(record).or_default().insert((epoch, query_id));
            }
        }
        Ok(resolutions)
    }

    /// Forgets all that was resolved: no entry is left that it could be about.
    pub(super) fn forget_resolved(&self) -> Result<()> {
        let path = self.dir.join("resolved.jsonl");
        if !path.exists() {
            return Ok(());
        }
        let _lock = self.lock_resolved()?;
        self.door.remove_file(&path).map_err(|e| failed(&path, e))?;
        self.door.sync_dir(&self.dir).map_err(|e| failed(&self.dir, e))
    }

    /// Held until it is dropped, by one writer at a time, in whatever process.
    fn lock_resolved(&self) -> Result<File> {
        let path = self.dir.join("resolved.lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|e| failed(&path, e))?;
        file.lock().map_err(|e| failed(&path, e))?;
        Ok(file)
    }
}
