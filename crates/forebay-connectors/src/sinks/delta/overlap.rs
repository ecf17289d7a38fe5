//! Two engines on the same files: notices a change that passed a compaction unseen.
//!
//! Delta's rule is that a file is removed once; who comes second with an OPTIMIZE or a DELETE of the same files must
//! start anew. Forebay's compaction does. delta-rs, unless its operation has a predicate, does not look at a compaction
//! that came first: it removes the old files a second time and adds its own. After an OPTIMIZE each of their rows is
//! then in the table twice; a DELETE is lost. Nobody but delta-rs can stop that commit, so what must stay true is that
//! it never happens silently.
//!
//! The stream only collects the versions in which somebody took files out ([`Change::removals`], and after a start
//! what the log holds since its checkpoint). Whether a file was removed twice is asked beside the stream, of the
//! version before, and only for such versions. Our own log checkpoint waits for that: it looks at all that it passes,
//! since no later start will.
//!
//! [`Change::removals`]: super::table::Change

use std::collections::HashSet;

use deltalake_core::DeltaTable;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::fault;
use super::table::Table;

/// After a start no more of the log is looked through, should it have gone without a checkpoint for long.
const MOST_VERSIONS: u64 = 100;

/// The versions of a table that was just loaded which are worth a look: those since its last checkpoint.
pub(crate) fn unseen(last_checkpoint: Option<u64>, newest: u64) -> impl Iterator<Item = u64> {
    let known = last_checkpoint.unwrap_or(0).max(newest.saturating_sub(MOST_VERSIONS));
    known.saturating_add(1)..=newest
}

/// Says what is wrong if a version removed files that were no longer in the table, and nobody has taken it back since.
/// What the log no longer tells is passed over. Blocks in between.
pub(crate) async fn check(table: &Table, version: u64) -> Result<Option<Error>> {
    let Some(before) = version.checked_sub(1) else { return Ok(None) };
    let Some(seen) = table.read_version(version)?.filter(|seen| seen.is_foreign_removal()) else {
        return Ok(None);
    };
    if !table.reaches_back_to(before)? {
        return Ok(None);
    }
    let active = files(table, &table.load_version(before).await?)?;
    let twice = seen.removed.iter().filter(|name| !active.contains(*name)).count();
    if twice == 0 {
        return Ok(None);
    }
    let Some((loaded, head)) = table.load().await? else { return Ok(None) };
    let active = files(table, &loaded)?;
    // That none of its files is there does not tell: a later rewrite may have taken them in.
    let is_there = seen.added.iter().any(|name| active.contains(name));
    if !is_there && is_restored(table, version, head.version)? {
        return Ok(None);
    }
    let engine = seen.engine.as_deref().unwrap_or("another engine");
    let harm = if seen.added.is_empty() {
        "the rows that it deleted are still there"
    } else {
        "what it made of their rows is in the table twice"
    };
    let message = format!("version {version} changed files that a compaction had replaced");
    let detail = format!(
        "{engine} removed {twice} files a second time; {harm}; version {} is the newest",
        head.version
    );
    let hint = format!(
        "Stop the query and RESTORE the table to version {before}, which takes back also what came after version \
         {version} (docs/delivery-guarantees.md tells how to get it again). Then let one optimiser only work on the \
         table: set `delta.autoOptimize.autoCompact: false`, or run no other while the query runs."
    );
    let error = Error::new(&codes::STALE_CHANGE, message).at(table.root.display());
    Ok(Some(error.with_detail(detail).with_hint(hint)))
}

/// True if a RESTORE between `version` and `newest` goes back to before it. Blocks.
fn is_restored(table: &Table, version: u64, newest: u64) -> Result<bool> {
    for later in version.saturating_add(1)..=newest {
        let commit = table.read_version(later)?;
        if commit.is_some_and(|seen| seen.is_restore && seen.restored.is_none_or(|to| to < version)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn files(table: &Table, loaded: &DeltaTable) -> Result<HashSet<String>> {
    let snapshot = loaded.snapshot().map_err(|e| fault::delta(&table.root, e))?;
    Ok(snapshot.log_data().iter().map(|file| file.path().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_looks_at_the_log_since_its_checkpoint_and_never_at_all_of_a_long_one() {
        let unseen = |checkpoint, newest| unseen(checkpoint, newest).collect::<Vec<_>>();
        assert_eq!(unseen(None, 0), [0; 0]);
        assert_eq!(unseen(None, 2), [1, 2]);
        assert_eq!(unseen(Some(20), 20), [0; 0]);
        assert_eq!(unseen(Some(20), 22), [21, 22]);
        assert_eq!(unseen(Some(20), 1_020), (921..=1_020).collect::<Vec<_>>());
    }
}
