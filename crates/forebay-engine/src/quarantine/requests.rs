//! What people ask to be decoded again: a file for each time they ask.
//!
//! What must stay true: what is resolved is not requested any more, whatever its file says. A file whose removal a
//! power cut took back, or a record that was dropped after it was requested, replays nothing. A query replays what it
//! set aside itself and nothing else: whether a record of another query of its name (an earlier one whose checkpoint
//! was removed, or one beside it) is in this one's sink already, nobody can know, so that request is left to the other.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use forebay_core::Result;
use forebay_core::checkpoint::QuarantinedId;

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
    /// Asks the next epoch to decode these records again. Rows that a sink refused were decoded already; they are left out,
    /// and `WRONG_USE` says so if there is nothing else.
    pub fn request(&self, ids: &[QuarantinedId]) -> Result<()> {
        let entries = self.entries_of(ids)?;
        let rows = entries.iter().filter(|entry| entry.refused_by.is_some()).map(Entry::quarantined_id);
        let rows: BTreeSet<QuarantinedId> = rows.collect();
        let ids: Vec<&QuarantinedId> = ids.iter().filter(|id| !rows.contains(id)).collect();
        if let (true, Some(row)) = (ids.is_empty(), rows.first()) {
            return Err(super::not_replayed(&row.record));
        }
        let dir = self.requests_dir();
        self.door.create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let path = dir.join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let bytes = file_of(KIND, ids)?;
        self.door.write_new(&path, &bytes).map_err(|e| failed(&path, e))
    }

    /// The records that people asked to replay, as many as an epoch may take, those of the oldest epochs first. They
    /// stay requested until they are resolved. Requests for what is resolved or not there any more are forgotten.
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
        let others: Vec<QuarantinedId> = open.extract_if(.., |id| *id.query_id != *self.query_id).collect();
        if let Some(first) = others.first().filter(|_| !self.told.swap(true, Ordering::Relaxed)) {
            let (count, first) = (others.len(), first.record.to_string());
            tracing::warn!(dir = %self.dir.display(), count, %first, "not replayed: another query of this name had set these records aside (its checkpoint was removed, or it runs beside this one); to bring one in, send what `forebay quarantine show` prints to the topic again, then `forebay quarantine drop` it");
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
        let (mut chosen, mut bytes) = (BTreeSet::new(), 0);
        for file in self.files_of(open)? {
            for entry in read_entries(&file)? {
                let id = entry.quarantined_id();
                if !open.contains(&id) {
                    continue;
                }
                bytes += entry.size();
                if chosen.len() == limit.records || (bytes > limit.bytes && !chosen.is_empty()) {
                    return Ok((chosen, false));
                }
                chosen.insert(id);
            }
        }
        Ok((chosen, true))
    }

    /// The files that hold the entries `ids`.
    fn files_of<'a>(&self, ids: impl IntoIterator<Item = &'a QuarantinedId>) -> Result<Vec<EpochFile>> {
        let epochs: BTreeSet<_> = ids.into_iter().map(|id| (id.epoch, id.query_id.as_str())).collect();
        let mut files = epoch_files(&self.dir, &self.query_id)?;
        files.retain(|file| epochs.contains(&(file.epoch, file.query_id.as_str())));
        Ok(files)
    }

    /// These entries, open or not, by record.
    pub fn entries_of(&self, ids: &[QuarantinedId]) -> Result<Vec<Entry>> {
        let wanted: BTreeSet<&QuarantinedId> = ids.iter().collect();
        let mut found = Vec::new();
        for file in self.files_of(ids)? {
            let entries = read_entries(&file)?;
            found.extend(entries.into_iter().filter(|entry| wanted.contains(&entry.quarantined_id())));
        }
        found.sort_by(|a, b| (&a.id, a.epoch).cmp(&(&b.id, b.epoch)));
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
