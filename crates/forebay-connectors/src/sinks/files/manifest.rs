//! Which files of a folder are there by right: the commits of its epochs.
//!
//! ```text
//!  output/_forebay/manifest-000000      one checked line an epoch: query, N, its files
//!  output/_forebay/manifest-000001      begins with the newest epoch of each query, so that older ones need no reading
//! ```
//!
//! A line is the commit of its epoch. What must stay true: the files that a line names are durable before it, under their
//! staged names, and a line is durable before one of them gets its final name. A segment that is full is never written
//! again. Names that begin with `_` are no data to Spark, nor does a pattern such as `part-*` find them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::lines::{self, LinesError};
use forebay_storage::{Door, DoorFile};
use serde::{Deserialize, Serialize};

use super::fault;

/// The folder of what is no data.
pub const OWN: &str = "_forebay";
const KIND: &str = "forebay-files-manifest";
const PREFIX: &str = "manifest-";

/// Epochs in a segment: about a megabyte, which a start reads in milliseconds.
const SEGMENT: usize = 5_000;

/// A file of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartFile {
    /// Its final name, relative to the folder: `day=2025-06-15/part-00000-….csv`.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of text, before any compression, that its header takes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub header: u64,
    /// CRC-32C of its bytes; not there in manifests of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// The commit of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Committed {
    /// The query's identity.
    pub query: String,
    /// N.
    pub epoch: u64,
    /// When it was planned, milliseconds since 1970.
    pub planned_at_ms: i64,
    /// The names of the columns that stand in the files.
    pub columns: Vec<String>,
    /// Its files, in the order of lanes and rows.
    pub files: Vec<PartFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Newest(BTreeMap<String, u64>),
    Epoch(Committed),
}

/// The open manifest of a folder, which nobody else has open.
#[derive(Debug)]
pub(crate) struct Manifest {
    door: Door,
    dir: PathBuf,
    file: DoorFile,
    number: u64,
    /// Epochs in the open segment.
    lines: usize,
    /// The newest epoch of each query.
    pub newest: BTreeMap<String, u64>,
    /// The last commit, if it is in the open segment.
    pub last: Option<Committed>,
}

impl Manifest {
    /// Opens the manifest in `dir` (`_forebay` of a folder, which is there), or makes one. A torn line is cut: its epoch
    /// was not committed. Blocks.
    pub fn open(door: &Door, dir: &Path) -> Result<Self> {
        let number = match segments(dir)?.last() {
            Some(number) => *number,
            None => {
                make(door, dir, 0, &BTreeMap::new())?;
                0
            }
        };
        let path = segment(dir, number);
        let bytes = fs::read(&path).map_err(|e| fault::refused("a manifest cannot be read", &path, e))?;
        let read = read_lines(&path, &bytes)?;
        let mut file =
            door.open_append(&path).map_err(|e| fault::refused("a manifest cannot be opened", &path, e))?;
        if read.torn {
            tracing::warn!(path = %path.display(), "cut the torn tail of a manifest");
            file.truncate(read.good_len).map_err(|e| fault::sync_failed(&path, e))?;
        }
        let mut manifest = Self {
            door: door.clone(),
            dir: dir.to_path_buf(),
            file,
            number,
            lines: 0,
            newest: BTreeMap::new(),
            last: None,
        };
        for line in read.parsed {
            match line {
                Line::Newest(newest) => manifest.newest = newest,
                Line::Epoch(committed) => manifest.note(committed),
            }
        }
        Ok(manifest)
    }

    /// Appends a commit; durable on return. Where that fails the outer error says whether it may be tried again; if not,
    /// the line may be there. Blocks.
    pub fn append(&mut self, committed: &Committed) -> Result<()> {
        if self.lines >= SEGMENT {
            self.next_segment()?;
        }
        let mut line = Vec::new();
        lines::push_line(&mut line, &to_text(&Line::Epoch(committed.clone()))?);
        let (path, before) = (self.file.path().to_path_buf(), self.file.len());
        if let Err(e) = self.file.append(&line) {
            // A part of the line may stand there: cut it, so that the next attempt has a line of its own.
            self.file.truncate(before).map_err(|e| fault::sync_failed(&path, e))?;
            return Err(fault::refused("a manifest cannot be written", &path, e));
        }
        self.file.sync().map_err(|e| fault::sync_failed(&path, e))?;
        self.note(committed.clone());
        Ok(())
    }

    /// Forgets all files, but not which epoch is the newest: what is in the folder no longer counts. Blocks.
    pub fn forget(&mut self) -> Result<()> {
        if self.lines > 0 {
            self.next_segment()?;
        }
        self.last = None;
        for number in segments(&self.dir)?.into_iter().filter(|number| *number < self.number) {
            let path = segment(&self.dir, number);
            self.door
                .remove_file(&path)
                .map_err(|e| fault::refused("a manifest cannot be removed", &path, e))?;
        }
        self.door.sync_dir(&self.dir).map_err(|e| fault::sync_failed(&self.dir, e))
    }

    fn next_segment(&mut self) -> Result<()> {
        make(&self.door, &self.dir, self.number + 1, &self.newest)?;
        self.number += 1;
        let path = segment(&self.dir, self.number);
        // The old segment must not be written to any more.
        let reopened = self.door.open_append(&path);
        self.file = reopened
            .map_err(|e| fault::refused("a manifest cannot be opened", &path, e).with_retry(false))?;
        self.lines = 0;
        Ok(())
    }

    fn note(&mut self, committed: Committed) {
        let newest = self.newest.entry(committed.query.clone()).or_insert(committed.epoch);
        *newest = committed.epoch.max(*newest);
        self.lines += 1;
        self.last = Some(committed);
    }
}

/// Every commit in the manifest of `root`, oldest first, one segment in memory at a time; none if there is no manifest.
/// Blocks.
///
/// # Errors
/// `SINK_MANIFEST` if a segment is damaged, `SINK_UNAVAILABLE`, and what `each` answers.
pub fn commits(root: &Path, mut each: impl FnMut(Committed) -> Result<()>) -> Result<()> {
    let dir = root.join(OWN);
    if !dir.exists() {
        return Ok(());
    }
    for number in segments(&dir)? {
        let path = segment(&dir, number);
        let bytes = fs::read(&path).map_err(|e| fault::refused("a manifest cannot be read", &path, e))?;
        for line in read_lines(&path, &bytes)?.parsed {
            if let Line::Epoch(committed) = line {
                each(committed)?;
            }
        }
    }
    Ok(())
}

struct Read {
    parsed: Vec<Line>,
    good_len: u64,
    torn: bool,
}

fn read_lines(path: &Path, bytes: &[u8]) -> Result<Read> {
    let lines = lines::read(KIND, bytes).map_err(|error| match error {
        LinesError::Version(_) => Error::new(&codes::CHECKPOINT_VERSION, "the manifest has another version")
            .with_detail(error)
            .at(path.display()),
        other => fault::damaged(path, other),
    })?;
    let parsed =
        lines.texts.iter().map(|text| serde_json::from_str(text).map_err(|e| fault::damaged(path, e)));
    Ok(Read { parsed: parsed.collect::<Result<_>>()?, good_len: lines.good_len, torn: lines.torn })
}

fn make(door: &Door, dir: &Path, number: u64, newest: &BTreeMap<String, u64>) -> Result<()> {
    let path = segment(dir, number);
    let mut bytes = lines::header(KIND).into_bytes();
    lines::push_line(&mut bytes, &to_text(&Line::Newest(newest.clone()))?);
    match door.write_new(&path, &bytes) {
        // An attempt before this one came as far.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|e| fault::refused("a manifest cannot be written", &path, e)),
    }
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number:06}"))
}

/// The numbers of the segments, in order; fails if one is missing between two.
fn segments(dir: &Path) -> Result<Vec<u64>> {
    let entries = fs::read_dir(dir).map_err(|e| fault::refused("a folder cannot be listed", dir, e))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| fault::refused("a folder cannot be listed", dir, e))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    // Older ones may have been forgotten, from the first on.
    let first = numbers.first().copied().unwrap_or_default();
    match numbers.iter().zip(first..).find(|(found, wanted)| *found != wanted) {
        Some((_, missing)) => Err(fault::damaged(&segment(dir, missing), "the file is missing")),
        None => Ok(numbers),
    }
}

fn to_text(line: &Line) -> Result<String> {
    serde_json::to_string(line)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write a manifest entry").caused_by(e))
}
