//! Writing a snapshot, on a thread of its own, and forgetting what it makes superfluous.
//!
//! What must stay true: a snapshot has its name only when all of it is durable, and nothing that the one before it needs goes
//! before that. So at every moment two ways lead to the newest state, from two snapshots, or from one and the first change.

use std::path::Path;

use forebay_core::Result;
use forebay_storage::{Door, DoorFile, kill_point};

use super::error::failed;
use super::folder::{list, snapshot_path};
use super::layout::Named;
use super::record;
use super::table::Frozen;

/// Bytes after which what was written is synced, so that no epoch's fsync finds a whole snapshot in its way.
const SYNC_EVERY: u64 = 8 << 20;

/// Writes the state before epoch `base`; gives its bytes. Durable on return.
pub(super) fn write(door: &Door, dir: &Path, base: u64, tables: &[Named], rows: Vec<Frozen>) -> Result<u64> {
    kill_point("state.snapshot.before");
    let path = snapshot_path(dir, base);
    let staged = path.with_extension("staged");
    let written = stage(door, &staged, base, tables, rows);
    let Ok(bytes) = written else {
        // Where the disk is full, its part of a snapshot is the first that should go.
        let _ = door.remove_if_there(&staged);
        return written;
    };
    kill_point("state.snapshot.staged");
    door.rename(&staged, &path).map_err(|e| failed(&path, "rename", e))?;
    door.sync_dir(dir).map_err(|e| failed(dir, "fsync", e))?;
    kill_point("state.snapshot.after");
    if let Err(error) = forget(door, dir, base) {
        tracing::warn!(%error, "old files of the query's state stay until the next snapshot");
    }
    kill_point("state.snapshot.tidied");
    Ok(bytes)
}

fn stage(door: &Door, staged: &Path, base: u64, tables: &[Named], rows: Vec<Frozen>) -> Result<u64> {
    door.remove_if_there(staged).map_err(|e| failed(staged, "remove", e))?;
    let mut file = door.create_new(staged).map_err(|e| failed(staged, "create", e))?;
    let mut out = Vec::new();
    let count = rows.iter().map(|rows| rows.rows() as u64).sum();
    record::push_header(&mut out, record::SNAPSHOT_MAGIC, base, count, tables)?;
    let mut synced = 0;
    for (number, mut rows) in rows.into_iter().enumerate() {
        while let Some(part) = rows.next() {
            record::push_rows(&mut out, number, &rows.layout, &part?)?;
            append(&mut file, &mut out)?;
            if file.len() - synced > SYNC_EVERY {
                file.sync().map_err(|e| failed(staged, "fsync", e))?;
                synced = file.len();
            }
            kill_point("state.snapshot.half");
        }
    }
    record::push_end(&mut out)?;
    append(&mut file, &mut out)?;
    file.sync().map_err(|e| failed(staged, "fsync", e))?;
    Ok(file.len())
}

fn append(file: &mut DoorFile, out: &mut Vec<u8>) -> Result<()> {
    file.append(out).map_err(|e| failed(file.path(), "write", e))?;
    out.clear();
    Ok(())
}

/// Removes what only snapshots before the one before `base` need.
fn forget(door: &Door, dir: &Path, base: u64) -> Result<()> {
    let listing = list(dir)?;
    let before = listing.snapshots.range(..base).next_back().map_or(0, |(before, _)| *before);
    let old = listing.snapshots.range(..before).chain(listing.changes.range(..before));
    for (_, path) in old {
        door.remove_if_there(path).map_err(|e| failed(path, "remove", e))?;
    }
    Ok(())
}
