//! What people ask to be decoded again: a file for each time they ask.
//!
//! What must stay true: what is resolved is not requested any more, whatever its file says. A file whose removal a
//! power cut took back, or a record that was dropped after it was requested, replays nothing. And no record comes
//! twice because an earlier query of the same name had set it aside too: from its start on the query that runs reads
//! the records itself, so they are replayed only if it set them aside itself, and the same record from several queries
//! is replayed as one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::checkpoint::{QuarantinedId, RecordId};
use forebay_core::{Epoch, Partition, Result};

use super::files::{EpochFile, epoch_files, failed, file_of, read_entries, read_lines};
use super::{Entry, Quarantine};

const KIND: &str = "forebay-quarantine-request";

/// How much one epoch decodes again.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLimit {
    /// Most records.
    pub records: usize,
    /// Most bytes; one record comes whatever its size.
    pub bytes: usize,
}

impl Quarantine {
    /// Asks the next epoch to decode these records again.
    pub fn request(&self, ids: &[QuarantinedId]) -> Result<()> {
        let dir = self.requests_dir();
        self.door.create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let path = dir.join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let bytes = file_of(KIND, ids)?;
        self.door.write_new(&path, &bytes).map_err(|e| failed(&path, e))
    }

    /// The records that people asked to replay, as many as an epoch may take, those of the oldest epochs first. They
    /// stay requested until they are resolved. Requests for what is resolved, not there any more or went through this
    /// query already are forgotten.
    pub fn requested(&self, limit: ReplayLimit) -> Result<Vec<QuarantinedId>> {
        let mut open = BTreeSet::new();
        for path in request_files(&self.requests_dir())? {
            open.extend(read_lines::<QuarantinedId>(&path, KIND)?);
        }
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let resolved = self.resolved()?;
        let mut stale: Vec<QuarantinedId> = open.extract_if(.., |id| resolved.contains(id)).collect();
        let own = open.iter().filter(|id| id.query_id.as_deref() == self.query_id.as_deref());
        let own: BTreeSet<RecordId> = own.map(|id| id.record.clone()).collect();
        let is_read = |id: &QuarantinedId| self.reads_itself(id) && !own.contains(&id.record);
        let read: Vec<QuarantinedId> = open.extract_if(.., |id| is_read(id)).collect();
        if let Some(first) = read.first() {
            let (count, first) = (read.len(), first.record.to_string());
            tracing::warn!(dir = %self.dir.display(), count, %first, "not replayed: an earlier query of the same name had set these records aside, and this one reads them itself; `forebay quarantine drop` takes the old entries away");
            stale.extend(read);
        }
        let (chosen, is_all) = self.choose(&open, limit)?;
        if is_all {
            stale.extend(open.difference(&chosen).cloned());
        }
        if !stale.is_empty() {
            self.forget_requests(&stale)?;
        }
        Ok(chosen.into_iter().collect())
    }

    /// Those of `open` that an epoch may take, and whether these are all that are there.
    fn choose(
        &self,
        open: &BTreeSet<QuarantinedId>,
        limit: ReplayLimit,
    ) -> Result<(BTreeSet<QuarantinedId>, bool)> {
        let (mut chosen, mut records, mut bytes) = (BTreeSet::new(), 0, 0);
        for file in self.files_of(open)? {
            for entry in read_entries(&file)? {
                let id = entry.quarantined_id();
                if !open.contains(&id) || chosen.contains(&id) {
                    continue;
                }
                records += 1;
                bytes += entry.size();
                if records > limit.records || (bytes > limit.bytes && records > 1) {
                    return Ok((chosen, false));
                }
                // All entries of a record come together, so that `entries_of` sees which of them are the same.
                let first = QuarantinedId { record: entry.id, epoch: Epoch(0), query_id: None };
                let same = open.range(&first..).take_while(|other| other.record == first.record);
                chosen.extend(same.filter(|other| other.query_id != id.query_id).cloned());
                chosen.insert(id);
            }
        }
        Ok((chosen, true))
    }

    /// True for an entry of an earlier query whose record lies at or after the start of this one. Where the checkpoint does
    /// not say any more where the query began, it is taken to have read everything.
    fn reads_itself(&self, id: &QuarantinedId) -> bool {
        let (Some(own), Some(other)) = (self.query_id.as_deref(), id.query_id.as_deref()) else {
            return false;
        };
        let partition = Partition::new(&*id.record.topic, id.record.partition);
        // A partition that was not there at the start is read from its beginning.
        let start = self.start.as_ref().and_then(|start| start.get(&partition));
        own != other && start.is_none_or(|start| id.record.offset >= start.0)
    }

    /// The files that hold the entries `ids`.
    fn files_of<'a>(&self, ids: impl IntoIterator<Item = &'a QuarantinedId>) -> Result<Vec<EpochFile>> {
        let epochs: BTreeSet<_> = ids.into_iter().map(|id| (id.epoch, id.query_id.as_deref())).collect();
        let mut files = epoch_files(&self.dir, self.query_id.as_deref())?;
        files.retain(|file| epochs.contains(&(file.epoch, file.query_id.as_deref())));
        Ok(files)
    }

    /// These entries, open or not, by record. One that several earlier queries had set aside comes once.
    pub fn entries_of(&self, ids: &[QuarantinedId]) -> Result<Vec<Entry>> {
        let wanted: BTreeSet<&QuarantinedId> = ids.iter().collect();
        let mut found = Vec::new();
        for file in self.files_of(ids)? {
            let entries = read_entries(&file)?;
            found.extend(entries.into_iter().filter(|entry| wanted.contains(&entry.quarantined_id())));
        }
        found.sort_by(|a, b| (what(a), a.epoch).cmp(&(what(b), b.epoch)));
        found.dedup_by(|b, a| what(a) == what(b) && a.query_id != b.query_id);
        Ok(found)
    }

    /// Forgets requests whose records are all in `done`, and cuts `done` out of the others. Durable on return.
    pub fn forget_requests(&self, done: &[QuarantinedId]) -> Result<()> {
        let dir = self.requests_dir();
        let done: BTreeSet<&QuarantinedId> = done.iter().collect();
        let mut removed = false;
        for path in request_files(&dir)? {
            let before = read_lines::<QuarantinedId>(&path, KIND)?;
            let left: Vec<&QuarantinedId> = before.iter().filter(|id| !done.contains(id)).collect();
            if left.is_empty() {
                self.door.remove_file(&path).map_err(|e| failed(&path, e))?;
                removed = true;
            } else if left.len() < before.len() {
                let bytes = file_of(KIND, left)?;
                self.door.write_atomic(&path, &bytes).map_err(|e| failed(&path, e))?;
            }
        }
        if removed { self.door.sync_dir(&dir).map_err(|e| failed(&dir, e)) } else { Ok(()) }
    }

    fn requests_dir(&self) -> PathBuf {
        self.dir.join("requests")
    }
}

/// What makes two entries the same record; the name alone does not, if its topic was made anew.
fn what(entry: &Entry) -> (&RecordId, i64, Option<&str>) {
    (&entry.id, entry.timestamp, entry.raw.as_deref())
}

fn request_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, e)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    Ok(files)
}
