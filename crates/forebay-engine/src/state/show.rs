//! What a folder of state holds, for `forebay checkpoint show`. Reads only; works beside a running query.

use std::path::{Path, PathBuf};

use forebay_core::{Epoch, Error, Result};
use serde::Serialize;

use super::error::damaged;
use super::files::is_of_journal;
use super::folder::{Listing, list};
use super::frame::Broken;
use super::layout::{self, Named};
use super::load::{Loaded, Passed, load, never_kept};
use super::record::{self, CHANGES_MAGIC, SNAPSHOT_MAGIC};
use super::table::Table;

/// How often a folder is read anew whose files go while it is read: a running query removes old ones.
const ATTEMPTS: usize = 3;

/// One table of a stateful operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownTable {
    /// The operator's.
    pub name: String,
    /// Rows.
    pub keys: usize,
    /// Bytes of memory that they take in a query that runs.
    pub bytes: usize,
    /// The earliest time at which a row may go, in the operator's unit; `None` if none ever does.
    pub oldest_expiry: Option<i64>,
}

/// A file of a checkpoint that is not what was written, and what becomes of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    /// Which.
    pub file: PathBuf,
    /// What is wrong with it, and where in it.
    pub why: String,
    /// What the query's next start does.
    pub next_start: String,
    /// True if that is to refuse the checkpoint.
    pub is_refused: bool,
}

impl Damage {
    /// What keeps the query from its next start.
    pub fn refused(error: &Error, dir: &Path) -> Self {
        let file = error.place().map_or_else(|| dir.to_path_buf(), PathBuf::from);
        Self::of_file(file, error.detail().unwrap_or(error.message()).to_owned(), error)
    }

    fn of_file(file: PathBuf, why: String, error: &Error) -> Self {
        let next_start = format!("is refused ({}). {}", error.code().id, error.hint());
        Self { file, why, next_start, is_refused: true }
    }
}

impl ShownTable {
    fn new(name: String, table: &Table) -> Self {
        Self { name, keys: table.len(), bytes: table.bytes(), oldest_expiry: table.oldest() }
    }
}

/// What the tables in the folder `dir` held after the epoch `through`; nothing if the query keeps no state.
///
/// # Errors
/// State that is damaged or of another version, `STORAGE`.
pub fn show(dir: &Path, through: Option<Epoch>) -> Result<Vec<ShownTable>> {
    Ok(tables(dir, through)?.into_iter().map(|(name, table)| ShownTable::new(name, &table)).collect())
}

/// The same as far as it can be read, and which files cannot.
pub fn examine(dir: &Path, through: Option<Epoch>) -> (Vec<ShownTable>, Vec<Damage>) {
    let (next, mut passed) = (next(through), Vec::new());
    let read = list(dir).and_then(|listing| {
        is_of_journal(&listing, next)?;
        let (wanted, loaded) = load_named(dir, &listing, next, &mut passed)?;
        let names = wanted.into_iter().map(|(name, _)| name);
        let tables = names.zip(&loaded.tables).map(|(name, table)| ShownTable::new(name, table));
        Ok((tables.collect(), passes_over(&listing, loaded.base)))
    });
    let damage = |it: Passed| match &read {
        Ok((_, next_start)) => {
            Damage { file: it.path, why: it.why, next_start: next_start.clone(), is_refused: false }
        }
        Err(error) => Damage::of_file(it.path, it.why, error),
    };
    let mut damaged: Vec<Damage> = passed.into_iter().map(damage).collect();
    match read {
        Ok((tables, _)) => (tables, damaged),
        Err(error) => {
            if damaged.is_empty() {
                damaged.push(Damage::refused(&error, dir));
            }
            (Vec::new(), damaged)
        }
    }
}

/// What a start does that finds its state from the snapshot `base` on.
fn passes_over(listing: &Listing, base: u64) -> String {
    let name = listing.snapshots.get(&base).and_then(|path| path.file_name());
    let from = name.map_or("the changes of all epochs".to_owned(), |name| {
        format!("{} and the changes after it", name.to_string_lossy())
    });
    format!("passes it over and takes {from}, which give the same state")
}

/// The tables themselves, by name.
///
/// # Errors
/// As [`show`].
pub fn tables(dir: &Path, through: Option<Epoch>) -> Result<Vec<(String, Table)>> {
    let mut attempt = 1;
    let (wanted, loaded) = loop {
        match list(dir).and_then(|listing| load_named(dir, &listing, next(through), &mut Vec::new())) {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            answer => break answer?,
        }
    };
    Ok(wanted.into_iter().map(|(name, _)| name).zip(loaded.tables).collect())
}

/// The epoch after this one.
fn next(through: Option<Epoch>) -> u64 {
    through.map_or(0, |epoch| epoch.0 + 1)
}

/// The state before epoch `next` of the tables that the files themselves name.
fn load_named(
    dir: &Path,
    listing: &Listing,
    next: u64,
    passed: &mut Vec<Passed>,
) -> Result<(Vec<Named>, Loaded)> {
    let mut headless = Vec::new();
    let wanted = match layouts(listing, next, &mut headless)? {
        Some(wanted) => wanted,
        None if next == 0 || headless.is_empty() => Vec::new(),
        None => {
            *passed = headless;
            let first = passed.first().map(|Passed { path, why }| damaged(path, why));
            return Err(first.unwrap_or_else(|| damaged(dir, "no file of it can be read")));
        }
    };
    // Without tables there is nothing to load, and nothing that could be missing.
    let loaded = load(dir, listing, &wanted, if wanted.is_empty() { 0 } else { next }, passed)?;
    Ok((wanted, loaded))
}

/// Refuses tables that the state in the folder `dir` after the epoch `through` does not fit; none are good for every state
/// that nobody kept.
///
/// # Errors
/// [`CHANGED`](super::error::CHANGED), saying every difference.
pub fn bears(dir: &Path, through: Option<Epoch>, wanted: &[Named]) -> Result<()> {
    let Some(through) = through else { return Ok(()) };
    let next = through.0 + 1;
    let listing = list(dir)?;
    match layouts(&listing, next, &mut Vec::new())? {
        Some(kept) => layout::same(&kept, wanted, dir).map(drop),
        // Whether what is there is damaged is told where it is read.
        None if wanted.is_empty() || !listing.snapshots.is_empty() || !listing.changes.is_empty() => Ok(()),
        None => Err(never_kept(next, wanted).at(dir.display())),
    }
}

/// The tables that the newest readable file of epochs before `next` tells; those that cannot be read go to `headless`.
fn layouts(listing: &Listing, next: u64, headless: &mut Vec<Passed>) -> Result<Option<Vec<Named>>> {
    let changes = listing.changes.range(..next.max(1)).rev().map(|file| (file, CHANGES_MAGIC));
    let snapshots = listing.snapshots.range(..=next).rev().map(|file| (file, SNAPSHOT_MAGIC));
    for ((base, path), magic) in changes.chain(snapshots) {
        match record::open(path, magic, *base) {
            Ok((_, header)) => return Ok(Some(header.tables)),
            Err(Broken::Damaged(path, why)) => headless.push(Passed { path, why }),
            Err(Broken::Refused(error)) => return Err(error),
        }
    }
    Ok(None)
}
