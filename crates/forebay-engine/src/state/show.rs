//! What a folder of state holds, for `forebay checkpoint show`. Reads only; works beside a running query.

use std::path::Path;

use forebay_core::{Epoch, Result};
use serde::Serialize;

use super::folder::{Listing, list};
use super::frame::Broken;
use super::layout::{self, Named};
use super::load::{load, never_kept};
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

/// What the tables in the folder `dir` held after the epoch `through`; nothing if the query keeps no state.
///
/// # Errors
/// State that is damaged or of another version, `STORAGE`.
pub fn show(dir: &Path, through: Option<Epoch>) -> Result<Vec<ShownTable>> {
    let shown = |(name, table): (String, Table)| ShownTable {
        name,
        keys: table.len(),
        bytes: table.bytes(),
        oldest_expiry: table.oldest(),
    };
    Ok(tables(dir, through)?.into_iter().map(shown).collect())
}

/// The tables themselves, by name.
///
/// # Errors
/// As [`show`].
pub fn tables(dir: &Path, through: Option<Epoch>) -> Result<Vec<(String, Table)>> {
    let next = through.map_or(0, |epoch| epoch.0 + 1);
    let mut attempt = 1;
    loop {
        match read(dir, next) {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

fn read(dir: &Path, next: u64) -> Result<Vec<(String, Table)>> {
    let listing = list(dir)?;
    let Some(wanted) = layouts(&listing, next)? else { return Ok(Vec::new()) };
    let loaded = load(dir, &listing, &wanted, next)?;
    Ok(wanted.into_iter().map(|(name, _)| name).zip(loaded.tables).collect())
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
    match layouts(&listing, next)? {
        Some(kept) => layout::same(&kept, wanted, dir).map(drop),
        // Whether what is there is damaged is told where it is read.
        None if wanted.is_empty() || !listing.snapshots.is_empty() || !listing.changes.is_empty() => Ok(()),
        None => Err(never_kept(next, wanted).at(dir.display())),
    }
}

/// The tables that the newest readable file of epochs before `next` tells.
fn layouts(listing: &Listing, next: u64) -> Result<Option<Vec<Named>>> {
    let changes = listing.changes.range(..next.max(1)).rev().map(|file| (file, CHANGES_MAGIC));
    let snapshots = listing.snapshots.range(..=next).rev().map(|file| (file, SNAPSHOT_MAGIC));
    for ((base, path), magic) in changes.chain(snapshots) {
        match record::open(path, magic, *base) {
            Ok((_, header)) => return Ok(Some(header.tables)),
            Err(Broken::Damaged(..)) => {}
            Err(Broken::Refused(error)) => return Err(error),
        }
    }
    Ok(None)
}
