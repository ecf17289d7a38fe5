//! The files of a quarantine: which there are, and how their lines are read and written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Result};
use forebay_storage::lines;
use serde::{Deserialize, Serialize};

use super::Entry;

/// The kind of a file of entries.
pub(super) const KIND: &str = "forebay-quarantine";

/// What a lane of an epoch set aside.
pub(super) struct EpochFile {
    pub epoch: Epoch,
    pub path: PathBuf,
    pub bytes: u64,
}

/// Where a lane of an epoch sets records aside.
pub(super) fn epoch_file(dir: &Path, epoch: Epoch, lane: usize) -> PathBuf {
    dir.join(format!("e{:020}-{lane}.jsonl", epoch.0))
}

/// The files of entries, by ascending epoch.
pub(super) fn epoch_files(dir: &Path) -> Result<Vec<EpochFile>> {
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

/// Bytes of these files.
pub(super) fn total(files: &[EpochFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

pub(super) fn read_entries(path: &Path) -> Result<Vec<Entry>> {
    read_lines(path, KIND)
}

pub(super) fn read_lines<T: for<'de> Deserialize<'de>>(path: &Path, kind: &str) -> Result<Vec<T>> {
    let bytes = fs::read(path).map_err(|e| failed(path, e))?;
    if bytes.is_empty() {
        // Created in the moment of a crash, before its header: an attempt that never counted.
        return Ok(Vec::new());
    }
    let lines = lines::read(kind, &bytes).map_err(|e| damaged(path, e))?;
    lines.texts.iter().map(|text| serde_json::from_str(text).map_err(|e| damaged(path, e))).collect()
}

pub(super) fn file_of<'a, T: Serialize + 'a>(
    kind: &str,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<Vec<u8>> {
    let mut bytes = lines::header(kind).into_bytes();
    for record in records {
        lines::push_line(&mut bytes, &to_text(record)?);
    }
    Ok(bytes)
}

pub(super) fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write a quarantine entry").caused_by(e))
}

pub(super) fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::STORAGE, "a file of the quarantine cannot be read")
        .with_detail(detail)
        .at(path.display())
}

pub(super) fn failed(path: &Path, error: io::Error) -> Error {
    let retry = error.kind() == io::ErrorKind::StorageFull;
    Error::new(&codes::STORAGE, "the quarantine cannot be written")
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}
