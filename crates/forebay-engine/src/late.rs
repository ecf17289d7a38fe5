//! The late table: rows that came after their windows were closed. Spark drops them; here they are kept, told and counted.
//!
//! ```text
//! <data>/late/<pipeline>/<query>/e<epoch>-<lane>-<query id>.arrow     the late rows of one lane of an epoch
//! ```
//!
//! A file holds checked Arrow batches: the columns of the row as they were at the operator that refused it, and beside
//! them the struct [`LATE_COLUMN`]. As with the quarantine, files carry the epoch's number and the query's id, an epoch
//! that is computed anew first removes what its earlier attempt left, and its files are durable before the epoch's
//! outcome is. The table is bounded: the oldest files make room, and an epoch in which more comes late than half of the
//! room keeps the first of them; both are counted and told.
//!
//! What must stay true: a row that a committed epoch counted as late is in the table, once, unless it had to make room.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use forebay_core::ddl::timestamp;
use forebay_core::error::codes;
use forebay_core::event_time::Times;
use forebay_core::{Epoch, Error, Result};
use forebay_storage::{Door, DoorFile, kill_point};

use crate::operators::LateRows;

mod file;
mod rows;
#[cfg(test)]
mod tests;

/// The column that says why a row is in the table, as [`late_field`].
pub const LATE_COLUMN: &str = "_late";

/// Most bytes that the late rows of one query take on disk.
pub const MAX_BYTES: u64 = 256 << 20;

/// The late rows of one query.
#[derive(Clone, Debug)]
pub struct LateTable {
    dir: PathBuf,
    door: Door,
    query_id: Arc<str>,
    max_bytes: u64,
    /// No file of this query is of this epoch or a later one.
    clean_from: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    evicted: Arc<AtomicU64>,
}

/// Takes the late rows of one lane of one epoch.
#[derive(Debug)]
pub(crate) struct LateLane {
    table: LateTable,
    epoch: Epoch,
    path: PathBuf,
    file: Option<DoorFile>,
    /// Rows that were too many.
    lost: u64,
}

/// Where the late rows of a query lie under the data folder.
pub fn folder(data_dir: &Path, pipeline: &str, query: &str) -> PathBuf {
    data_dir.join("late").join(pipeline).join(query)
}

/// The column [`LATE_COLUMN`]: `late_by_ms` (how far the row's event time lay behind the watermark), `event_time`,
/// `window` (the newest window it missed; NULL where there are no windows), `watermark`, `topic`, `partition`,
/// `offset`, `epoch`.
pub fn late_field() -> Field {
    let window =
        Fields::from(vec![Field::new("start", timestamp(), true), Field::new("end", timestamp(), true)]);
    let fields = Fields::from(vec![
        Field::new("late_by_ms", DataType::Int64, false),
        Field::new("event_time", timestamp(), false),
        Field::new("window", DataType::Struct(window), true),
        Field::new("watermark", timestamp(), false),
        Field::new("topic", DataType::Utf8, true),
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("epoch", DataType::UInt64, false),
    ]);
    Field::new(LATE_COLUMN, DataType::Struct(fields), false)
}

impl LateTable {
    /// The late rows in `dir` of the query with this id. The folder is made with the first late row.
    pub fn open(dir: PathBuf, door: Door, query_id: &str) -> Result<Self> {
        let bytes = Arc::new(AtomicU64::new(total(&files(&dir)?)));
        // What earlier runs left is looked at with the first epoch.
        let clean_from = Arc::new(AtomicU64::new(u64::MAX));
        let (query_id, evicted) = (Arc::from(query_id), Arc::default());
        Ok(Self { dir, door, query_id, max_bytes: MAX_BYTES, clean_from, bytes, evicted })
    }

    /// Bytes that the table holds.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows that had to make room since the process started.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Before an epoch is computed: removes what an earlier attempt at it left, and makes room. The folder is looked at
    /// only if there can be something to do.
    pub fn begin(&self, epoch: Epoch) -> Result<()> {
        let is_clean = self.clean_from.swap(epoch.0.saturating_add(1), Ordering::Relaxed) <= epoch.0;
        if is_clean && self.bytes() <= self.max_bytes {
            return Ok(());
        }
        self.clean_up(epoch).inspect_err(|_| self.clean_from.store(u64::MAX, Ordering::Relaxed))
    }

    fn clean_up(&self, epoch: Epoch) -> Result<()> {
        let is_again = |file: &&LateFile| file.epoch >= epoch && *file.query_id == *self.query_id;
        let mut held = files(&self.dir)?;
        let count = held.len();
        for file in held.iter().filter(is_again) {
            self.remove(file)?;
        }
        held.retain(|file| !is_again(&file));
        self.make_room(&mut held)?;
        if held.len() < count { self.sync_dir() } else { Ok(()) }
    }

    /// What takes the late rows of one lane of an epoch; it makes a file only if there are any.
    pub(crate) fn lane(&self, epoch: Epoch, lane: usize) -> LateLane {
        let path = self.dir.join(format!("e{:020}-{lane}-{}.arrow", epoch.0, self.query_id));
        LateLane { table: self.clone(), epoch, path, file: None, lost: 0 }
    }

    fn make_room(&self, held: &mut Vec<LateFile>) -> Result<()> {
        self.bytes.store(total(held), Ordering::Relaxed);
        if self.bytes() <= self.max_bytes {
            return Ok(());
        }
        held.sort_by_key(|file| file.modified);
        while self.bytes() > self.max_bytes && !held.is_empty() {
            let file = held.remove(0);
            let rows: u64 = read_file(&file.path)?.iter().map(|batch| batch.num_rows() as u64).sum();
            tracing::warn!(path = %file.path.display(), rows, "the table of late rows is full: the oldest make room");
            self.remove(&file)?;
            self.evicted.fetch_add(rows, Ordering::Relaxed);
        }
        Ok(())
    }

    fn remove(&self, file: &LateFile) -> Result<()> {
        self.door.remove_file(&file.path).map_err(|e| failed(&file.path, e))?;
        self.bytes.fetch_sub(file.bytes.min(self.bytes()), Ordering::Relaxed);
        Ok(())
    }

    fn sync_dir(&self) -> Result<()> {
        self.door.sync_dir(&self.dir).map_err(|e| failed(&self.dir, e))
    }
}

impl LateLane {
    /// Takes late rows, which came by these times.
    pub fn push(&mut self, late: &LateRows, times: Times) -> Result<()> {
        let room = self.table.max_bytes / 2;
        if self.file.as_ref().is_some_and(|file| file.len() > room) {
            self.lost += late.rows.num_rows() as u64;
            return Ok(());
        }
        let batch = rows::with_reason(late, times, self.epoch)?;
        let frame = file::frame(&batch).map_err(|e| damaged(&self.path, e))?;
        let append = |lane: &mut Self| {
            let file = match &mut lane.file {
                Some(file) => file,
                None => {
                    lane.table.door.create_dir_all(&lane.table.dir)?;
                    let mut new = lane.table.door.create_new(&lane.path)?;
                    new.append(file::HEADER)?;
                    lane.table.bytes.fetch_add(file::HEADER.len() as u64, Ordering::Relaxed);
                    lane.file.insert(new)
                }
            };
            file.append(&frame)
        };
        append(self).map_err(|e| failed(&self.path, e))?;
        self.table.bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Makes them durable.
    pub fn finish(self) -> Result<()> {
        if self.lost > 0 {
            let (path, rows) = (self.path.display(), self.lost);
            tracing::warn!(%path, rows, "too many late rows in one epoch: these are counted and not kept");
            self.table.evicted.fetch_add(rows, Ordering::Relaxed);
        }
        let Some(file) = &self.file else { return Ok(()) };
        kill_point("late.sync.before");
        file.sync().map_err(|e| failed(&self.path, e))?;
        self.table.sync_dir()
    }
}

/// The late rows in a folder, oldest first, with the columns of all of them: the sides of a join have others, and so had a
/// query that was other before. Where a row lacks a column it is NULL; a column that has one type here and another there is a
/// text. `None` if there are none. Reads file by file, and works beside a running query.
pub fn rows(dir: &Path) -> Result<Option<(SchemaRef, impl Iterator<Item = Result<RecordBatch>> + use<>)>> {
    let mut held = files(dir)?;
    held.sort_by_key(|file| (file.modified, file.epoch));
    let mut schemas = Vec::new();
    for file in held.iter().rev() {
        schemas.extend(schema_there(&file.path)?);
    }
    let Some(schema) = rows::together(&schemas) else { return Ok(None) };
    let wanted = Arc::clone(&schema);
    let batches = held.into_iter().flat_map(move |file| {
        let (batches, error) = match read_there(&file.path) {
            Ok(batches) => (batches, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        let wanted = Arc::clone(&wanted);
        batches.into_iter().filter_map(move |batch| rows::conform(&batch, &wanted)).map(Ok).chain(error)
    });
    Ok(Some((schema, batches)))
}

/// The columns of the table that rows with these columns will make; `None` if there are none.
pub(crate) fn columns(rows: &[SchemaRef]) -> Option<SchemaRef> {
    let kept: Vec<SchemaRef> = rows.iter().map(|schema| rows::kept(schema)).collect();
    rows::together(&kept)
}

/// True if rows may have had to make room in this folder: a table that had to is left with more than this.
pub fn may_lack(dir: &Path) -> Result<bool> {
    Ok(total(&files(dir)?) > MAX_BYTES / 4)
}

/// The columns of a file, which are those of its first batch; `None` if it has none, or made room while we looked.
fn schema_there(path: &Path) -> Result<Option<SchemaRef>> {
    let first = fs::File::open(path).and_then(file::first);
    match first {
        Err(_) if !path.exists() => Ok(None),
        Err(e) => Err(failed(path, e)),
        Ok(bytes) => {
            let batches = file::decode(&bytes).map_err(|why| damaged(path, why))?;
            Ok(batches.first().map(RecordBatch::schema))
        }
    }
}

/// The batches of a file; none if it made room while we looked.
fn read_there(path: &Path) -> Result<Vec<RecordBatch>> {
    match read_file(path) {
        Err(_) if !path.exists() => Ok(Vec::new()),
        read => read,
    }
}

struct LateFile {
    path: PathBuf,
    epoch: Epoch,
    query_id: String,
    bytes: u64,
    modified: Option<std::time::SystemTime>,
}

fn files(dir: &Path) -> Result<Vec<LateFile>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, e)),
    };
    let mut held = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed(dir, e))?;
        let name = entry.file_name();
        let parsed = name.to_str().and_then(|name| {
            let (epoch, query_id) = name.strip_prefix('e')?.strip_suffix(".arrow")?.split_once('-')?;
            let (lane, query_id) = query_id.split_once('-')?;
            lane.parse::<usize>().ok()?;
            Some((Epoch(epoch.parse().ok()?), query_id.to_owned()))
        });
        // One that is removed while we look is not there.
        if let (Some((epoch, query_id)), Ok(facts)) = (parsed, entry.metadata()) {
            let modified = facts.modified().ok();
            held.push(LateFile { path: entry.path(), epoch, query_id, bytes: facts.len(), modified });
        }
    }
    Ok(held)
}

fn total(files: &[LateFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

fn read_file(path: &Path) -> Result<Vec<RecordBatch>> {
    let bytes = fs::read(path).map_err(|e| failed(path, e))?;
    file::decode(&bytes).map_err(|why| damaged(path, why))
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::STORAGE, "a file of late rows cannot be read").with_detail(detail).at(path.display())
}

fn failed(path: &Path, error: io::Error) -> Error {
    let retry = error.kind() == io::ErrorKind::StorageFull;
    Error::new(&codes::STORAGE, "the table of late rows cannot be written")
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}
