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
    /// Whose epoch.
    pub query_id: String,
    pub epoch: Epoch,
    pub path: PathBuf,
    pub bytes: u64,
}

/// Where a lane of an epoch sets records aside.
pub(super) fn epoch_file(dir: &Path, query_id: &str, epoch: Epoch, lane: usize) -> PathBuf {
    dir.join(format!("e{:020}-{lane}-{query_id}.jsonl", epoch.0))
}

/// The files of entries: those of earlier queries of the same name first, then those of the query `own`; those of one
/// query by ascending epoch.
pub(super) fn epoch_files(dir: &Path, own: &str) -> Result<Vec<EpochFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let entry = entry.map_err(|e| failed(dir, e))?;
        let name = entry.file_name();
        let parsed = name.to_str().and_then(|name| {
            let mut parts = name.strip_prefix('e')?.strip_suffix(".jsonl")?.splitn(3, '-');
            let epoch = parts.next()?.parse().ok()?;
            parts.next()?.parse::<usize>().ok()?;
            Some((Epoch(epoch), parts.next()?.to_owned()))
        });
        if let Some((epoch, query_id)) = parsed {
            let bytes = entry.metadata().map_err(|e| failed(dir, e))?.len();
            files.push(EpochFile { query_id, epoch, path: entry.path(), bytes });
        }
    }
    files.sort_by(|a, b| order(a, own).cmp(&order(b, own)));
    Ok(files)
}

fn order<'a>(file: &'a EpochFile, own: &str) -> (bool, &'a str, Epoch, &'a Path) {
    (file.query_id == own, &file.query_id, file.epoch, &file.path)
}

/// Bytes of these files.
pub(super) fn total(files: &[EpochFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

pub(super) fn read_entries(file: &EpochFile) -> Result<Vec<Entry>> {
    let mut entries = read_lines::<Entry>(&file.path, KIND)?;
    entries.iter_mut().for_each(|entry| entry.query_id.clone_from(&file.query_id));
    Ok(entries)
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
