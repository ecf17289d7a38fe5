//! The quarantine: a durable table of the records that could not be decoded.
//!
//! ```text
//! <data>/quarantine/<pipeline>/<query>/e<epoch>-<lane>.jsonl   what the lane of an epoch set aside
//!                                      resolved.jsonl          what was replayed or dropped since
//!                                      requests/*.jsonl        what the next epoch is asked to replay
//! ```
//!
//! Every query keeps what *it* could not read, because its epoch decides: files carry the epoch's number, a replayed
//! epoch first removes what its earlier attempt left, and all files of an epoch are durable before the epoch
//! commits. A listing merges the same record from several queries into one entry. What must stay true: a record
//! counted as quarantined by a committed epoch is in the table with its raw bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_core::checkpoint::RecordId;
use forebay_core::config::{QuarantineConfig, WhenFull};
use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Result};
use forebay_storage::{Door, DoorFile, lines};
use serde::{Deserialize, Serialize};

const KIND: &str = "forebay-quarantine";
const RESOLVED_KIND: &str = "forebay-quarantine-resolved";
const REQUEST_KIND: &str = "forebay-quarantine-request";

/// One record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Which record.
    #[serde(flatten)]
    pub id: RecordId,
    /// The record's timestamp, milliseconds since 1970.
    pub timestamp: i64,
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
    /// The raw value in Base64; `None` for a tombstone.
    pub raw: Option<String>,
}

impl Entry {
    /// The raw bytes of the value; `None` for a tombstone.
    pub fn raw_bytes(&self) -> Option<Vec<u8>> {
        self.raw.as_ref().and_then(|text| BASE64.decode(text).ok())
    }
}

/// Raw bytes as an [`Entry`] keeps them.
pub fn encode_raw(raw: Option<&[u8]>) -> Option<String> {
    raw.map(|bytes| BASE64.encode(bytes))
}

#[derive(Serialize, Deserialize)]
struct Resolution {
    #[serde(flatten)]
    id: RecordId,
    how: Resolved,
}

/// What became of a quarantined record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolved {
    /// It was decoded again, with success, and went through the query.
    Replayed,
    /// A person dropped it.
    Dropped,
}

/// The quarantine of one query.
#[derive(Clone, Debug)]
pub struct Quarantine {
    dir: PathBuf,
    door: Door,
    bounds: QuarantineConfig,
    bytes: Arc<AtomicU64>,
    evicted: Arc<AtomicU64>,
}

/// Where the quarantine of a query lies under the data folder.
pub fn folder(data_dir: &Path, pipeline: &str, query: &str) -> PathBuf {
    data_dir.join("quarantine").join(pipeline).join(query)
}

impl Quarantine {
    /// Opens the quarantine in `dir`, making the folder if it is not there.
    pub fn open(dir: PathBuf, door: Door, bounds: QuarantineConfig) -> Result<Self> {
        door.create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let bytes = epoch_files(&dir)?.iter().map(|file| file.bytes).sum();
        let (bytes, evicted) = (Arc::new(AtomicU64::new(bytes)), Arc::default());
        Ok(Self { dir, door, bounds, bytes, evicted })
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
    pub fn begin(&self, epoch: Epoch, now_ms: i64, held: &[RecordId]) -> Result<()> {
        let mut files = epoch_files(&self.dir)?;
        for file in files.extract_if(.., |file| file.epoch >= epoch) {
            self.remove(&file)?;
        }
        if let Some(retention) = self.bounds.retention {
            let oldest = now_ms.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
            // Files are in the order of their epochs, so the first that is young enough ends the search.
            while let Some(file) = files.first() {
                let entries = read_entries(&file.path)?;
                if entries.iter().any(|entry| entry.at >= oldest || held.contains(&entry.id)) {
                    break;
                }
                self.remove(file)?;
                files.remove(0);
            }
        }
        if self.bytes() < self.bounds.max_bytes {
            return Ok(());
        }
        let mut kept = Vec::new();
        let resolved = self.resolved()?;
        for file in files {
            let entries = read_entries(&file.path)?;
            let done = |entry: &Entry| resolved.contains_key(&entry.id) && !held.contains(&entry.id);
            if entries.iter().all(done) {
                self.remove(&file)?
            } else {
                kept.push((file, entries.len() as u64))
            }
        }
        for (file, entries) in kept {
            if self.bytes() < self.bounds.max_bytes {
                break;
            }
            if self.bounds.when_full == WhenFull::Stop {
                let message = format!(
                    "the quarantine holds {} bytes, its bound is {}",
                    self.bytes(),
                    self.bounds.max_bytes
                );
                return Err(Error::new(&codes::QUARANTINE_FULL, message).at(self.dir.display()));
            }
            tracing::warn!(path = %file.path.display(), entries, "quarantine full: the oldest entries make room");
            self.evicted.fetch_add(entries, Ordering::Relaxed);
            self.remove(&file)?;
        }
        Ok(())
    }

    fn remove(&self, file: &EpochFile) -> Result<()> {
        self.door.remove_file(&file.path).map_err(|e| failed(&file.path, e))?;
        self.door.sync_dir(&self.dir).map_err(|e| failed(&self.dir, e))?;
        self.bytes.fetch_sub(file.bytes, Ordering::Relaxed);
        Ok(())
    }

    /// A writer for one lane of an epoch; it makes a file only if something is set aside.
    pub fn writer(&self, epoch: Epoch, lane: usize) -> LaneQuarantine {
        let path = self.dir.join(format!("e{:020}-{lane}.jsonl", epoch.0));
        LaneQuarantine { quarantine: self.clone(), path, file: None, buffer: Vec::new() }
    }

    /// The records that people asked to replay, oldest request first, at most `limit`; they stay requested until
    /// [`Quarantine::resolve`] or [`Quarantine::forget_requests`].
    pub fn requested(&self, limit: usize) -> Result<Vec<RecordId>> {
        let mut ids = BTreeSet::new();
        for path in request_files(&self.dir)? {
            ids.extend(read_lines::<RecordId>(&path, REQUEST_KIND)?);
        }
        Ok(ids.into_iter().take(limit).collect())
    }

    /// Forgets requests whose records are all in `done`, and cuts `done` out of the others.
    pub fn forget_requests(&self, done: &[RecordId]) -> Result<()> {
        let done: BTreeSet<&RecordId> = done.iter().collect();
        for path in request_files(&self.dir)? {
            let before = read_lines::<RecordId>(&path, REQUEST_KIND)?;
            let left: Vec<&RecordId> = before.iter().filter(|id| !done.contains(id)).collect();
            if left.is_empty() {
                self.door.remove_file(&path).map_err(|e| failed(&path, e))?;
            } else if left.len() < before.len() {
                let bytes = file_of(REQUEST_KIND, left)?;
                self.door.write_atomic(&path, &bytes).map_err(|e| failed(&path, e))?;
            }
        }
        Ok(())
    }

    /// The newest entry of each of these records, open or not.
    pub fn entries_of(&self, ids: &[RecordId]) -> Result<Vec<Entry>> {
        let wanted: BTreeSet<&RecordId> = ids.iter().collect();
        let mut found = BTreeMap::new();
        for file in epoch_files(&self.dir)? {
            for entry in read_entries(&file.path)? {
                if wanted.contains(&entry.id) {
                    found.insert(entry.id.clone(), entry);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Asks the next epoch to decode these records again.
    pub fn request(&self, ids: &[RecordId]) -> Result<()> {
        let dir = self.dir.join("requests");
        self.door.create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let path = dir.join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let bytes = file_of(REQUEST_KIND, ids)?;
        self.door.write_new(&path, &bytes).map_err(|e| failed(&path, e))
    }

    /// Writes down what became of these records. Doing it twice changes nothing.
    pub fn resolve(&self, ids: &[RecordId], how: Resolved) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let path = self.dir.join("resolved.jsonl");
        let mut bytes = Vec::new();
        for id in ids {
            lines::push_line(&mut bytes, &to_text(&Resolution { id: id.clone(), how })?);
        }
        let write = || -> io::Result<()> {
            if !path.exists() {
                self.door.write_new(&path, lines::header(RESOLVED_KIND).as_bytes())?;
            }
            let torn = {
                let bytes = fs::read(&path)?;
                let lines = lines::read(RESOLVED_KIND, &bytes).map_err(io::Error::other)?;
                lines.torn.then_some(lines.good_len)
            };
            let mut file = self.door.open_append(&path)?;
            if let Some(len) = torn {
                file.truncate(len)?;
            }
            file.append(&bytes)?;
            file.sync()
        };
        write().map_err(|e| failed(&path, e))
    }

    /// The entries that are neither replayed nor dropped, oldest first. An uncommitted epoch's entries count only
    /// up to `through`.
    pub fn open_entries(&self, through: Option<Epoch>) -> Result<Vec<Entry>> {
        let resolved = self.resolved()?;
        let mut open = BTreeMap::new();
        for file in epoch_files(&self.dir)? {
            if through.is_none_or(|through| file.epoch > through) {
                continue;
            }
            for entry in read_entries(&file.path)? {
                if !resolved.contains_key(&entry.id) {
                    open.insert(entry.id.clone(), entry);
                }
            }
        }
        Ok(open.into_values().collect())
    }

    fn resolved(&self) -> Result<BTreeMap<RecordId, Resolved>> {
        let path = self.dir.join("resolved.jsonl");
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let resolutions = read_lines::<Resolution>(&path, RESOLVED_KIND)?;
        Ok(resolutions.into_iter().map(|resolution| (resolution.id, resolution.how)).collect())
    }
}

/// Takes what one lane of one epoch sets aside.
#[derive(Debug)]
pub struct LaneQuarantine {
    quarantine: Quarantine,
    path: PathBuf,
    file: Option<DoorFile>,
    buffer: Vec<u8>,
}

impl LaneQuarantine {
    /// Sets a record aside.
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        lines::push_line(&mut self.buffer, &to_text(entry)?);
        if self.buffer.len() >= 1 << 20 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let write = |file: &mut Option<DoorFile>| -> io::Result<()> {
            let file = match file {
                Some(file) => file,
                None => {
                    let mut new = self.quarantine.door.create_new(&self.path)?;
                    new.append(lines::header(KIND).as_bytes())?;
                    file.insert(new)
                }
            };
            file.append(&self.buffer)
        };
        write(&mut self.file).map_err(|e| failed(&self.path, e))?;
        self.quarantine.bytes.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything durable.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.sync().map_err(|e| failed(&self.path, e))?;
            self.quarantine.door.sync_dir(&self.quarantine.dir).map_err(|e| failed(&self.path, e))?;
        }
        Ok(())
    }
}

struct EpochFile {
    epoch: Epoch,
    path: PathBuf,
    bytes: u64,
}

/// The files of entries, by ascending epoch.
fn epoch_files(dir: &Path) -> Result<Vec<EpochFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let entry = entry.map_err(|e| failed(dir, e))?;
        let name = entry.file_name();
        let epoch = name.to_str().and_then(|name| {
            let (epoch, lane) = name.strip_prefix('e')?.strip_suffix(".jsonl")?.split_once('-')?;
            lane.parse::<usize>().ok()?;
            epoch.parse().ok()
        });
        if let Some(epoch) = epoch {
            let bytes = entry.metadata().map_err(|e| failed(dir, e))?.len();
            files.push(EpochFile { epoch: Epoch(epoch), path: entry.path(), bytes });
        }
    }
    files.sort_by(|a, b| (a.epoch, &a.path).cmp(&(b.epoch, &b.path)));
    Ok(files)
}

fn request_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let dir = dir.join("requests");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(&dir, e)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    Ok(files)
}

fn read_entries(path: &Path) -> Result<Vec<Entry>> {
    read_lines(path, KIND)
}

fn read_lines<T: for<'de> Deserialize<'de>>(path: &Path, kind: &str) -> Result<Vec<T>> {
    let bytes = fs::read(path).map_err(|e| failed(path, e))?;
    if bytes.is_empty() {
        // Created in the moment of a crash, before its header: an attempt that never counted.
        return Ok(Vec::new());
    }
    let lines = lines::read(kind, &bytes).map_err(|e| damaged(path, e))?;
    lines.texts.iter().map(|text| serde_json::from_str(text).map_err(|e| damaged(path, e))).collect()
}

fn file_of<'a, T: Serialize + 'a>(kind: &str, records: impl IntoIterator<Item = &'a T>) -> Result<Vec<u8>> {
    let mut bytes = lines::header(kind).into_bytes();
    for record in records {
        lines::push_line(&mut bytes, &to_text(record)?);
    }
    Ok(bytes)
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write a quarantine entry").caused_by(e))
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::STORAGE, "a file of the quarantine cannot be read")
        .with_detail(detail)
        .at(path.display())
}

fn failed(path: &Path, error: io::Error) -> Error {
    let retry = error.kind() == io::ErrorKind::StorageFull;
    Error::new(&codes::STORAGE, "the quarantine cannot be written")
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(epoch: u64, offset: i64) -> Entry {
        Entry {
            id: RecordId { topic: "t".into(), partition: 0, offset },
            timestamp: 1,
            code: "json.syntax".into(),
            path: "$".into(),
            why: "expected a value".into(),
            at: 2,
            epoch: Epoch(epoch),
            raw: encode_raw(Some(b"{\xff")),
        }
    }

    fn put(quarantine: &Quarantine, epoch: u64, offsets: &[i64]) {
        quarantine.begin(Epoch(epoch), 2, &[]).unwrap();
        let mut writer = quarantine.writer(Epoch(epoch), 0);
        for offset in offsets {
            writer.push(&entry(epoch, *offset)).unwrap();
        }
        writer.finish().unwrap();
    }

    fn offsets(quarantine: &Quarantine) -> Vec<i64> {
        quarantine.open_entries(Some(Epoch(9))).unwrap().iter().map(|entry| entry.id.offset).collect()
    }

    #[test]
    fn a_repeated_epoch_leaves_its_records_once() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine =
            Quarantine::open(dir.path().into(), Door::new(), QuarantineConfig::default()).unwrap();
        put(&quarantine, 3, &[1, 2]);
        put(&quarantine, 3, &[1, 2]);
        assert_eq!(offsets(&quarantine), [1, 2]);
        let first = &quarantine.open_entries(Some(Epoch(9))).unwrap()[0];
        assert_eq!(first.raw_bytes().as_deref(), Some(&b"{\xff"[..]));
        assert!(quarantine.open_entries(Some(Epoch(2))).unwrap().is_empty(), "epoch 3 is not committed");
    }

    #[test]
    fn a_replayed_record_leaves_the_listing_and_its_request_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let quarantine =
            Quarantine::open(dir.path().into(), Door::new(), QuarantineConfig::default()).unwrap();
        put(&quarantine, 0, &[1, 2]);
        let ids = [entry(0, 1).id];
        quarantine.request(&ids).unwrap();
        assert_eq!(quarantine.requested(10).unwrap(), ids);
        assert_eq!(quarantine.entries_of(&ids).unwrap().len(), 1);
        quarantine.resolve(&ids, Resolved::Replayed).unwrap();
        quarantine.forget_requests(&ids).unwrap();
        assert_eq!(offsets(&quarantine), [2]);
        assert!(quarantine.requested(10).unwrap().is_empty());
    }

    #[test]
    fn at_its_bound_it_stops_or_lets_the_oldest_go() {
        for when_full in [WhenFull::Stop, WhenFull::DropOldest] {
            let dir = tempfile::tempdir().unwrap();
            let bounds = QuarantineConfig { max_bytes: 100, when_full, ..QuarantineConfig::default() };
            let quarantine = Quarantine::open(dir.path().into(), Door::new(), bounds).unwrap();
            put(&quarantine, 0, &[1, 2]);
            match (when_full, quarantine.begin(Epoch(1), 2, &[])) {
                (WhenFull::Stop, Err(error)) => assert_eq!(error.code(), &codes::QUARANTINE_FULL),
                (WhenFull::DropOldest, Ok(())) => {
                    assert_eq!((offsets(&quarantine), quarantine.evicted()), (vec![], 2))
                }
                (_, other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn entries_older_than_the_retention_go() {
        let dir = tempfile::tempdir().unwrap();
        let retention = Some(std::time::Duration::from_millis(100));
        let bounds = QuarantineConfig { retention, ..QuarantineConfig::default() };
        let quarantine = Quarantine::open(dir.path().into(), Door::new(), bounds).unwrap();
        put(&quarantine, 0, &[1]);
        quarantine.begin(Epoch(1), 102, &[]).unwrap();
        assert_eq!(offsets(&quarantine), [1], "exactly as old as the retention");
        quarantine.begin(Epoch(1), 103, &[entry(0, 1).id]).unwrap();
        assert_eq!(offsets(&quarantine), [1], "about to be replayed");
        quarantine.begin(Epoch(1), 103, &[]).unwrap();
        assert!(offsets(&quarantine).is_empty());
    }
}
