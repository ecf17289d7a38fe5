//! The sweep: removes data files that belong to no version that anybody may still read, and old log entries.
//!
//! A file goes when all of this holds: its name says that Forebay wrote it, no `add` in the newest version names it,
//! no recent `remove` names it, and it is older than the retention. So what must stay true: a file of somebody else,
//! of a running epoch, or of a version inside the retention is never touched; compaction's old files and the
//! orphans of aborted or killed epochs are. Other writers' files are left to `VACUUM`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::protocol::checkpoints;
use forebay_core::Result;
use forebay_core::clock::millis;
use futures::TryStreamExt;

use super::tidy::Task;
use super::{FILE_PREFIX, fault};
use crate::s3::Found;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Swept {
    pub files: usize,
    pub log_entries: usize,
}

/// Staged commits and checkpoint parts of killed processes are of no use to anybody after this long.
const STAGED_RETENTION: Duration = Duration::from_secs(86_400);

/// Sweeps the table.
pub(crate) async fn run(task: &Task, stop: &AtomicBool) -> Result<Swept> {
    let Some((table, head)) = task.table.load().await? else { return Ok(Swept::default()) };
    let now_ms = task.table.clock.now_ms();
    let before = |retention: Duration| now_ms.saturating_sub(millis(retention));
    let mut swept = Swept::default();
    if task.upkeep.log_cleanup && head.version > 0 {
        let log = table.log_store();
        let cutoff = before(task.upkeep.log_retention);
        swept.log_entries = checkpoints::cleanup_expired_logs_for(head.version, log.as_ref(), cutoff, None)
            .await
            .map_err(|e| fault::delta(&task.table.root, e))?;
    }
    let cutoff = before(task.upkeep.file_retention);
    let keep = needed(&table, &task.table.root, cutoff).await?;
    let found = task.table.store.data_files();
    let found =
        found.map_err(|e| fault::refused("the table's files cannot be listed", &task.table.root, e))?;
    for Found { name, modified_ms } in found {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let ours = name.rsplit('/').next().is_some_and(|file| file.starts_with(FILE_PREFIX));
        if ours && modified_ms < cutoff && !keep.contains(&name) && removed(task, &name) {
            swept.files += 1;
        }
    }
    sweep_staged(task, before(STAGED_RETENTION));
    Ok(swept)
}

/// Files that the newest version has, and those that were removed from it after `cutoff_ms`.
async fn needed(table: &DeltaTable, root: &Path, cutoff_ms: i64) -> Result<HashSet<String>> {
    let snapshot = table.snapshot().map_err(|e| fault::delta(root, e))?;
    let mut keep: HashSet<String> = snapshot.log_data().iter().map(|file| file.path().into_owned()).collect();
    let log = table.log_store();
    let mut tombstones = snapshot.all_tombstones(log.as_ref());
    while let Some(gone) = tombstones.try_next().await.map_err(|e| fault::delta(root, e))? {
        if gone.deletion_timestamp().is_none_or(|at| at >= cutoff_ms) {
            keep.insert(gone.path().into_owned());
        }
    }
    Ok(keep)
}

fn sweep_staged(task: &Task, cutoff_ms: i64) {
    for file in task.table.store.staged() {
        if file.modified_ms < cutoff_ms {
            removed(task, &file.name);
        }
    }
}

fn removed(task: &Task, name: &str) -> bool {
    let store = &task.table.store;
    match store.remove_if_there(name) {
        Ok(was_there) => was_there,
        Err(error) => {
            tracing::warn!(path = %store.path(name).display(), %error, "a file that nobody needs cannot be removed");
            false
        }
    }
}
