//! What is open in a quarantine, held in memory without the records' bytes, for whoever asks often.
//!
//! Files of entries are written once, so each is read once; what was resolved is read again when its file has grown.
//! What must stay true: memory is bounded by [`MOST`] entries, the newest ones; older files are only counted.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use forebay_core::Result;
use forebay_core::checkpoint::QuarantinedId;

use super::files::{epoch_files, read_entries};
use super::{Entry, Quarantine};

/// Most entries that are held.
const MOST: usize = 200_000;

/// An entry without its bytes.
#[derive(Clone, Debug)]
pub struct Brief {
    /// Which it is.
    pub id: QuarantinedId,
    /// Why it was set aside.
    pub code: Arc<str>,
    /// The name of its source, where that is known.
    pub source: Option<Arc<str>>,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// It is a row that the sink refused, not a record: there is nothing to decode again.
    pub is_row: bool,
    /// Entries of one record have the same; those of another record at the same offset, as in a topic that was made
    /// anew, have another.
    pub mark: u64,
}

/// The open entries of a quarantine.
#[derive(Debug)]
pub struct Index {
    quarantine: Quarantine,
    files: HashMap<PathBuf, Known>,
    resolved: BTreeSet<QuarantinedId>,
    /// Bytes of the file of what was resolved, when it was read.
    resolved_len: u64,
}

/// What is known of a file.
#[derive(Debug)]
struct Known {
    len: u64,
    count: usize,
    /// Empty if the file is only counted.
    entries: Vec<Brief>,
}

impl Index {
    /// Nothing is read yet.
    pub fn new(quarantine: Quarantine) -> Self {
        Self { quarantine, files: HashMap::new(), resolved: BTreeSet::new(), resolved_len: 0 }
    }

    /// The quarantine itself.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Reads what is new in the files.
    pub fn refresh(&mut self) -> Result<()> {
        let resolved_len =
            fs::metadata(self.quarantine.dir.join("resolved.jsonl")).map_or(0, |metadata| metadata.len());
        if resolved_len != self.resolved_len {
            self.resolved = self.quarantine.resolved()?;
            self.resolved_len = resolved_len;
        }
        let mut files = epoch_files(&self.quarantine.dir, &self.quarantine.query_id)?;
        let there: BTreeSet<&PathBuf> = files.iter().map(|file| &file.path).collect();
        self.files.retain(|path, _| there.contains(path));
        files.sort_by_key(|file| std::cmp::Reverse(file.epoch));
        let mut held = 0;
        for file in &files {
            let known = self.files.get(&file.path).filter(|known| known.len == file.bytes);
            if known.is_none() {
                let entries = read_entries(file)?;
                let count = entries.len();
                let entries =
                    if held + count <= MOST { entries.iter().map(brief).collect() } else { Vec::new() };
                self.files.insert(file.path.clone(), Known { len: file.bytes, count, entries });
            }
            held += self.files.get(&file.path).map_or(0, |known| known.entries.len());
        }
        Ok(())
    }

    /// The open entries that are held.
    pub fn open(&self) -> impl Iterator<Item = &Brief> {
        let entries = self.files.values().flat_map(|known| &known.entries);
        entries.filter(|entry| !self.resolved.contains(&entry.id))
    }

    /// Entries beyond those, open or not.
    pub fn beyond(&self) -> u64 {
        let counted = self.files.values().filter(|known| known.entries.is_empty());
        counted.map(|known| known.count as u64).sum()
    }

    /// Bytes that the files hold.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|known| known.len).sum()
    }
}

fn brief(entry: &Entry) -> Brief {
    let mut mark = DefaultHasher::new();
    entry.record_key().hash(&mut mark);
    let source = entry.source.as_deref().map(Arc::from);
    let (code, mark) = (entry.code.as_str().into(), mark.finish());
    let is_row = entry.refused_by.is_some();
    Brief { id: entry.quarantined_id(), code, source, at: entry.at, is_row, mark }
}
