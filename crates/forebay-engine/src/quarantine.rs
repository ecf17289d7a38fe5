//! The quarantine: a durable table of the records that could not be decoded.
//!
//! ```text
//! <data>/quarantine/<pipeline>/<query>/e<epoch>-<lane>-<query id>.jsonl   what the lane of an epoch set aside
//!                                      resolved.jsonl                     what was replayed or dropped since
//!                                      requests/*.jsonl                   what the next epoch is asked to replay
//! ```
//!
//! Every query keeps what *it* could not read, because its epoch decides: files carry the epoch's number and the
//! query's id, an epoch that is computed anew first removes what its earlier attempt left, and all files of an epoch
//! are durable before the epoch commits. An entry is known by its record, its epoch and its query, since a topic that
//! is made anew uses its offsets again, and a query whose checkpoint was removed begins anew with epoch 0. What such
//! an earlier query of the same name left is listed, shown, dropped and bounded with the rest, and replayed by nobody
//! (`requests.rs`). A replayed entry is resolved by its epoch; if it still does not decode, that epoch sets it aside as a new
//! one. A listing merges the same record from several queries into one.
//!
//! What must stay true: a record counted as quarantined by a committed epoch is in the table with its raw bytes, key
//! and headers, and an epoch that its sink already has is never computed anew, so its files stay as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use forebay_core::checkpoint::{QuarantinedId, RecordId};
use forebay_core::clock::millis;
use forebay_core::config::{QuarantineConfig, WhenFull};
use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Result};
use forebay_storage::Door;

mod entry;
mod files;
mod index;
mod lane;
mod requests;
mod resolved;
#[cfg(test)]
mod tests;

pub use entry::{Entry, decode, encode};
pub use index::{Brief, Index};
pub use lane::LaneQuarantine;
pub use requests::ReplayLimit;
pub use resolved::Resolved;

use files::{EpochFile, epoch_files, failed, read_entries, total};

/// The error for a record that is named and not open in any quarantine.
pub fn not_there(record: &RecordId) -> Error {
    Error::new(&codes::QUARANTINE_NOT_FOUND, format!("`{record}` is not in the quarantine"))
}

/// The error for a row that a sink refused and that is to be replayed. Its record was decoded and its other rows are written;
/// of the row itself a text is kept, which is for people: a value may look alike and be another.
pub fn not_replayed(row: &RecordId) -> Error {
    let message = format!("`{row}` is a row that the sink refused, and there is no record to decode again");
    Error::new(&codes::WRONG_USE, message).with_hint(
        "Mend the table, put the row in by hand as `forebay quarantine show` prints it, then `forebay quarantine drop` it here. The \
         event sent once more would bring all of its rows again.",
    )
}

/// The quarantine of one query.
#[derive(Clone, Debug)]
pub struct Quarantine {
    dir: PathBuf,
    door: Door,
    bounds: QuarantineConfig,
    bytes: Arc<AtomicU64>,
    evicted: Arc<AtomicU64>,
    /// No file of the query that runs is of this epoch or a later one.
    clean_from: Arc<AtomicU64>,
    /// The query that runs; empty for a person who looks.
    query_id: Arc<str>,
    /// True once it said that others' records were requested.
    told: Arc<AtomicBool>,
}

/// Where the quarantine of a query lies under the data folder.
pub fn folder(data_dir: &Path, pipeline: &str, query: &str) -> PathBuf {
    data_dir.join("quarantine").join(pipeline).join(query)
}

impl Quarantine {
    /// Opens the quarantine in `dir`, making the folder if it is not there.
    pub fn open(dir: PathBuf, door: Door, bounds: QuarantineConfig) -> Result<Self> {
        door.create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let bytes = Arc::new(AtomicU64::new(total(&epoch_files(&dir, "")?)));
        // What earlier runs left is looked at with the first epoch.
        let clean_from = Arc::new(AtomicU64::new(u64::MAX));
        let (query_id, told) = (Arc::from(""), Arc::default());
        Ok(Self { dir, door, bounds, bytes, evicted: Arc::default(), clean_from, query_id, told })
    }

    /// The same for the query with this id, which is to run.
    pub fn of(mut self, query_id: &str) -> Self {
        self.query_id = query_id.into();
        self
    }

    /// Bytes that the table holds now.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Entries that had to make room since the process started (`whenFull: dropOldest`).
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Before an epoch is computed: removes what an earlier attempt at the same epoch left behind, and makes room
    /// or refuses (`QUARANTINE_FULL`, retryable) if the table is at its bound. Entries older than the retention,
    /// seen from the epoch's own time `now_ms`, go. Entries in `held` are about to be decoded again and stay.
    /// The folder is looked at only if there can be something to do.
    pub fn begin(&self, epoch: Epoch, now_ms: i64, held: &[QuarantinedId]) -> Result<()> {
        let is_clean = self.clean_from.swap(epoch.0.saturating_add(1), Ordering::Relaxed) <= epoch.0;
        if is_clean && self.bounds.retention.is_none() && self.bytes() < self.bounds.max_bytes {
            return Ok(());
        }
        let outcome = self.clean_up(epoch, now_ms, held);
        outcome.inspect_err(|_| self.clean_from.store(u64::MAX, Ordering::Relaxed))
    }

    fn clean_up(&self, epoch: Epoch, now_ms: i64, held: &[QuarantinedId]) -> Result<()> {
        let mut files = epoch_files(&self.dir, &self.query_id)?;
        let outcome = self.make_room(&mut files, epoch, now_ms, &held.iter().collect());
        self.bytes.store(total(&files), Ordering::Relaxed);
        outcome?;
        if files.is_empty() { self.forget_resolved() } else { Ok(()) }
    }

    /// `files` are those that are still there, whatever comes out.
    fn make_room(
        &self,
        files: &mut Vec<EpochFile>,
        epoch: Epoch,
        now_ms: i64,
        held: &BTreeSet<&QuarantinedId>,
    ) -> Result<()> {
        while files.last().is_some_and(|file| file.epoch >= epoch && *file.query_id == *self.query_id) {
            self.remove(files, files.len() - 1)?;
        }
        if let Some(retention) = self.bounds.retention {
            let oldest = now_ms.saturating_sub(millis(retention));
            let mut index = 0;
            while let Some(file) = files.get(index) {
                let entries = read_entries(file)?;
                if entries.iter().any(|entry| entry.at >= oldest || held.contains(&entry.quarantined_id())) {
                    // A query's files are in the order of its epochs: the first that is young enough is the last
                    // that is looked at.
                    let is_same = |other: &&EpochFile| other.query_id == file.query_id;
                    index += files[index..].iter().take_while(is_same).count();
                } else {
                    self.remove(files, index)?;
                }
            }
        }
        if total(files) < self.bounds.max_bytes {
            return Ok(());
        }
        // First what nobody misses, then, if that is the policy, what is oldest.
        let resolved = self.resolved()?;
        let mut open = Vec::new();
        for index in (0..files.len()).rev() {
            let entries = read_entries(&files[index])?;
            let ids: Vec<QuarantinedId> = entries.iter().map(Entry::quarantined_id).collect();
            if ids.iter().any(|id| held.contains(id)) {
                continue;
            }
            if ids.iter().all(|id| resolved.contains(id)) {
                self.remove(files, index)?;
            } else {
                let at = entries.first().map(|entry| entry.at);
                open.push((at, files[index].path.clone(), ids.len() as u64));
            }
        }
        // Several earlier queries of the name are in the order of their ids, which says nothing about their age.
        open.reverse();
        open.sort_by_key(|(at, ..)| *at);
        for (_, path, entries) in open {
            let bytes = total(files);
            if bytes < self.bounds.max_bytes {
                break;
            }
            if self.bounds.when_full == WhenFull::Stop {
                let message =
                    format!("the quarantine holds {bytes} bytes, its bound is {}", self.bounds.max_bytes);
                return Err(Error::new(&codes::QUARANTINE_FULL, message).at(self.dir.display()));
            }
            if let Some(index) = files.iter().position(|file| file.path == path) {
                tracing::warn!(path = %path.display(), entries, "quarantine full: the oldest entries make room");
                self.remove(files, index)?;
                self.evicted.fetch_add(entries, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn remove(&self, files: &mut Vec<EpochFile>, index: usize) -> Result<()> {
        let path = &files[index].path;
        self.door.remove_file(path).map_err(|e| failed(path, e))?;
        self.door.sync_dir(&self.dir).map_err(|e| failed(&self.dir, e))?;
        files.remove(index);
        Ok(())
    }

    /// A writer for one lane of an epoch; it makes a file only if something is set aside.
    pub fn writer(&self, epoch: Epoch, lane: usize) -> LaneQuarantine {
        LaneQuarantine::new(self.clone(), epoch, lane)
    }

    /// The entries that are neither replayed nor dropped, by record; those of an epoch that is being computed too.
    pub fn open_entries(&self) -> Result<Vec<Entry>> {
        let resolved = self.resolved()?;
        let mut open = Vec::new();
        for file in epoch_files(&self.dir, &self.query_id)? {
            let entries = read_entries(&file)?;
            open.extend(entries.into_iter().filter(|entry| !resolved.contains(&entry.quarantined_id())));
        }
        open.sort_by(|a, b| (&a.id, a.epoch).cmp(&(&b.id, b.epoch)));
        Ok(open)
    }
}
