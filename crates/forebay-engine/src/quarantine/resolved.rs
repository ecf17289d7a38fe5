//! What became of quarantined records: one file to which the engine and the command line both add.
//!
//! What must stay true: a writer holds the lock beside the file while it looks at its end, cuts a torn tail and adds
//! lines, so that two writers never mix theirs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;

use forebay_core::Result;
use forebay_core::checkpoint::QuarantinedId;
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
    id: QuarantinedId,
    how: Resolved,
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
            lines::push_line(&mut bytes, &to_text(&Resolution { id: id.clone(), how })?);
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

    /// The entries that are resolved.
    pub(super) fn resolved(&self) -> Result<BTreeSet<QuarantinedId>> {
        let path = self.dir.join("resolved.jsonl");
        if !path.exists() {
            return Ok(BTreeSet::new());
        }
        Ok(read_lines::<Resolution>(&path, KIND)?.into_iter().map(|resolution| resolution.id).collect())
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
