//! From the files of a folder to the tables: the newest snapshot that is whole, and every change after it.
//!
//! Reads only. What must stay true: either the tables are exactly the state after the asked epoch, every record between
//! snapshot and that epoch accounted for, or there is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::{Error, Result};

use super::again::made;
use super::error::{damaged, other_state};
use super::folder::Listing;
use super::frame::Broken;
use super::layout::{self, Named};
use super::record::{self, CHANGES_MAGIC, SNAPSHOT_MAGIC};
use super::table::Table;

/// A file that is not what was written, so that what came before it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub path: PathBuf,
    pub why: String,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Loaded {
    /// In the order of the asked ones.
    pub tables: Vec<Table>,
    /// The first epoch that is not in the snapshot; 0 without one.
    pub base: u64,
    pub snapshot_bytes: u64,
    /// Bytes and number of the files with the changes after it.
    pub changes_bytes: u64,
    pub changes_files: usize,
    /// Where the newest of them has records that do not count, from this byte on.
    pub cut: Option<(PathBuf, u64)>,
}

/// The state before epoch `next`; damaged files go to `passed`, each once, the first that was met first.
pub(super) fn load(
    dir: &Path,
    listing: &Listing,
    wanted: &[Named],
    next: u64,
    passed: &mut Vec<Passed>,
) -> Result<Loaded> {
    if next == 0 {
        return empty(wanted);
    }
    let whole = listing.changes.contains_key(&0).then_some(0);
    for base in listing.snapshots.range(..=next).rev().map(|(base, _)| *base).chain(whole) {
        match from(listing, wanted, base, next) {
            Ok(loaded) => return Ok(loaded),
            Err(Broken::Refused(error)) => return Err(error),
            Err(Broken::Damaged(path, why)) if passed.iter().all(|known| known.path != path) => {
                passed.push(Passed { path, why });
            }
            Err(Broken::Damaged(..)) => {}
        }
    }
    Err(match passed.first() {
        Some(Passed { path, why }) => damaged(path, why),
        None if listing.snapshots.is_empty() && listing.changes.is_empty() => {
            never_kept(next, wanted).at(dir.display())
        }
        None => damaged(dir, format!("nothing is there that epochs before {next} could rest on")),
    })
}

/// A query that would keep state, and did not.
pub(super) fn never_kept(epochs: u64, wanted: &[Named]) -> Error {
    let names = names(wanted);
    other_state(format!(
        "its {epochs} epochs kept none, or the folder `state` was removed from the checkpoint; now there is {names}"
    ))
}

fn names(tables: &[Named]) -> String {
    tables.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn empty(wanted: &[Named]) -> Result<Loaded> {
    let tables = wanted.iter().map(|(_, layout)| Table::new(Arc::clone(layout))).collect::<Result<_>>()?;
    Ok(Loaded { tables, base: 0, snapshot_bytes: 0, changes_bytes: 0, changes_files: 0, cut: None })
}

/// The state before epoch `next`, from the snapshot `base` on.
fn from(listing: &Listing, wanted: &[Named], base: u64, next: u64) -> Result<Loaded, Broken> {
    let mut loaded = empty(wanted)?;
    loaded.base = base;
    if let Some(path) = listing.snapshots.get(&base) {
        let (frames, header) = record::open(path, SNAPSHOT_MAGIC, base)?;
        let numbers = layout::same(&header.tables, wanted, path)?;
        loaded.snapshot_bytes = frames.len();
        record::read_snapshot(frames, &header, &numbers, &mut loaded.tables)?;
    }
    let mut expected = base;
    let mut broken = None;
    for (first, path) in listing.changes.range(base..next) {
        if *first != expected {
            break;
        }
        broken = follow(path, wanted, &mut expected, next, &mut loaded)?;
    }
    if expected == next {
        return Ok(loaded);
    }
    Err(broken.unwrap_or_else(|| {
        let near = listing.changes.range(..=expected).next_back();
        let path = near.map_or_else(PathBuf::new, |(_, path)| path.clone());
        Broken::Damaged(path, format!("the changes of epoch {expected} are missing"))
    }))
}

/// Applies the records of one file; gives what ends it before its end.
fn follow(
    path: &Path,
    wanted: &[Named],
    expected: &mut u64,
    next: u64,
    loaded: &mut Loaded,
) -> Result<Option<Broken>, Broken> {
    let (mut frames, header) = match record::open(path, CHANGES_MAGIC, *expected) {
        Ok(opened) => opened,
        Err(broken @ Broken::Damaged(..)) => return Ok(Some(broken)),
        Err(refused) => return Err(refused),
    };
    let numbers = layout::same(&header.tables, wanted, path)?;
    let broken = loop {
        if *expected == next {
            break None;
        }
        let read = match frames.next() {
            Ok(None) => break None,
            Ok(Some(body)) => record::read_changes(body, &header.tables),
            Err(broken @ Broken::Damaged(..)) => break Some(broken),
            Err(refused) => return Err(refused),
        };
        let (epoch, changes) = match read {
            Ok(read) => read,
            Err(why) => return Err(frames.broken(&why)),
        };
        if epoch != *expected {
            return Err(frames.broken(&format!("epoch {epoch} stands where epoch {expected} should")));
        }
        for (number, changes) in numbers.iter().zip(changes) {
            if let (Some(table), Some((_, layout))) = (loaded.tables.get_mut(*number), wanted.get(*number)) {
                table.apply(&made(layout, table, changes)?)?;
                table.tidy();
            }
        }
        *expected += 1;
    };
    loaded.changes_bytes += frames.good_len();
    loaded.changes_files += 1;
    loaded.cut = (frames.good_len() < frames.len()).then(|| (path.to_path_buf(), frames.good_len()));
    Ok(broken)
}
