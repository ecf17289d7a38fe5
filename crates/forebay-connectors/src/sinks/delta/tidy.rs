//! Housekeeping beside the stream: what is due, and one background task that does it.
//!
//! [`Tidier::tidy`] is called between epochs and only ever compares numbers; work runs in a task of its own, one at
//! a time, on blocking threads. What must stay true: housekeeping never delays an epoch and never fails one. What
//! goes wrong is logged and due again later. And it does not depend on how long a process runs: what earlier runs
//! left to do is read from the table ([`Left`]), so that a query which is started each minute for a second gets its
//! checkpoints, compactions and sweeps like one that never ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deltalake_core::DeltaTable;
use deltalake_core::protocol::checkpoints;
use forebay_core::Result;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::config::Upkeep;
use super::file::Encoding;
use super::table::{Head, Table};
use super::{compact, fault, overlap, protocol, sweep};

/// How often old files and log entries are looked for: walking a table's folder is not free, and retention counts
/// in days. An hour of the clock, not since the start, and not before the run has written a file, whose time tells
/// the next run: of many short runs the first in each hour that writes one looks.
const SWEEP_EVERY_MS: i64 = 3_600_000;

/// After a look at suspected versions that failed the next one waits.
const LOOK_AGAIN_MS: i64 = 60_000;

/// What a background task works with.
pub(crate) struct Task {
    pub table: Arc<Table>,
    pub upkeep: Upkeep,
    pub encoding: Encoding,
    /// What names of the query's files begin with.
    pub stem: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Due {
    pub checkpoint: bool,
    pub compact: bool,
    pub sweep: bool,
    pub look: bool,
}

/// What earlier runs left to do in a table that was just loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Left {
    last_checkpoint: Option<u64>,
    /// Worth compacting.
    small_files: usize,
    /// When the newest data file of ours was written: then we were here, and swept if it was time.
    newest_file_ms: Option<i64>,
}

/// The facts by which the next thing becomes due.
#[derive(Debug, Default)]
struct Facts {
    last_checkpoint: Option<u64>,
    small_files: usize,
    /// This run has added a file to the table.
    wrote: bool,
    next_sweep_ms: i64,
    next_look_ms: i64,
    /// Versions to look at, see `overlap.rs`.
    suspects: BTreeSet<u64>,
    /// Versions of which we told that they passed a compaction unseen: each is told once.
    told: BTreeSet<u64>,
}

/// Starts housekeeping and remembers when it was done.
#[derive(Default)]
pub(crate) struct Tidier {
    facts: Arc<Mutex<Facts>>,
    running: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Decides what is due.
fn due(facts: &Facts, version: u64, now_ms: i64, upkeep: &Upkeep, compact_after: usize) -> Due {
    let since = version.saturating_sub(facts.last_checkpoint.unwrap_or(0));
    Due {
        checkpoint: since >= upkeep.checkpoint_interval,
        compact: upkeep.auto_compact && facts.small_files >= compact_after,
        sweep: facts.wrote && now_ms >= facts.next_sweep_ms,
        look: !facts.suspects.is_empty() && now_ms >= facts.next_look_ms,
    }
}

/// The start of the hour after `ms`.
fn next_hour(ms: i64) -> i64 {
    (ms.div_euclid(SWEEP_EVERY_MS) + 1).saturating_mul(SWEEP_EVERY_MS)
}

/// At once if nobody of ours was here in this hour (or the clock was set back), else in the next hour.
fn first_sweep(newest_file_ms: Option<i64>, now_ms: i64) -> i64 {
    match newest_file_ms {
        Some(was_here_ms) if next_hour(was_here_ms) != next_hour(now_ms) => now_ms,
        _ => next_hour(now_ms),
    }
}

impl Left {
    /// Reads it from a table that was just loaded; `stem` is what names of the query's files begin with. Walks all
    /// files of the table.
    pub fn by_earlier_runs(loaded: &DeltaTable, table: &Table, stem: &str, upkeep: &Upkeep) -> Result<Self> {
        let (small_files, newest_file_ms) = compact::waiting(loaded, table, stem, upkeep)?;
        Ok(Self { last_checkpoint: table.last_checkpoint()?, small_files, newest_file_ms })
    }
}

impl Tidier {
    /// Takes over what earlier runs left to do.
    pub fn start(&mut self, left: &Left, now_ms: i64) {
        let mut facts = self.facts.lock();
        facts.last_checkpoint = left.last_checkpoint;
        facts.small_files = left.small_files;
        facts.next_sweep_ms = first_sweep(left.newest_file_ms, now_ms);
    }

    /// Takes versions that are worth a look.
    pub fn suspect(&mut self, versions: impl Iterator<Item = u64>) {
        self.facts.lock().suspects.extend(versions);
    }

    /// Counts small files of a commit.
    pub fn wrote(&mut self, small_files: usize) {
        let mut facts = self.facts.lock();
        facts.wrote = true;
        facts.small_files += small_files;
    }

    /// Starts what is due, unless something is still running. Returns at once.
    pub fn tidy(&mut self, task: Task, head: &Head, compact_after: usize) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let now_ms = task.table.clock.now_ms();
        let mut due = due(&self.facts.lock(), head.version, now_ms, &task.upkeep, compact_after);
        due.checkpoint = due.checkpoint && protocol::may_checkpoint(&head.protocol);
        due.compact = due.compact && protocol::may_compact(&head.protocol, &head.metadata);
        if due == Due::default() {
            return;
        }
        let (facts, stop) = (self.facts.clone(), self.stop.clone());
        // delta-rs blocks inside some of its asynchronous functions: keep it off the stream's threads altogether.
        let runtime = tokio::runtime::Handle::current();
        self.running =
            Some(tokio::task::spawn_blocking(move || runtime.block_on(run(task, due, facts, stop))));
    }

    /// The versions of which it was told that they passed a compaction unseen.
    #[cfg(test)]
    pub fn told(&self) -> Vec<u64> {
        self.facts.lock().told.iter().copied().collect()
    }

    /// Waits for what is running.
    pub async fn settle(&mut self) {
        if let Some(running) = self.running.take()
            && let Err(error) = running.await
        {
            tracing::warn!(%error, "housekeeping of a Delta table ended early");
        }
    }
}

/// A sink that goes away takes its housekeeping with it: compaction stops at the next batch.
impl Drop for Tidier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

async fn run(task: Task, due: Due, facts: Arc<Mutex<Facts>>, stop: Arc<AtomicBool>) {
    let place = task.table.root.display().to_string();
    let failed = |what: &str, error: forebay_core::Error| {
        tracing::warn!(table = place, %error, "{what} of a Delta table failed; the stream goes on");
    };
    // A checkpoint looks by itself.
    if due.look && !due.checkpoint {
        look(&task.table, &facts, &stop).await;
    }
    if due.compact {
        facts.lock().small_files = 0;
        // Blocks from here on, which this task may: it runs on a blocking thread.
        let planned = compact::plan(&task).await;
        let done =
            planned.and_then(|plan| plan.map_or(Ok(()), |plan| compact::carry_out(&task, plan, &stop)));
        if let Err(error) = done {
            failed("compaction", error);
        }
    }
    if due.checkpoint
        && let Err(error) = checkpoint(&task.table, &facts, &stop).await
    {
        failed("a checkpoint", error);
    }
    if due.sweep && !stop.load(Ordering::SeqCst) {
        facts.lock().next_sweep_ms = next_hour(task.table.clock.now_ms());
        match sweep::run(&task, &stop).await {
            Ok(swept) if swept != sweep::Swept::default() => {
                tracing::info!(
                    table = place,
                    files = swept.files,
                    log_entries = swept.log_entries,
                    "swept a Delta table"
                );
            }
            Ok(_) => {}
            Err(error) => failed("the sweep", error),
        }
    }
}

/// Looks at the versions that are suspected and tells which of them passed a compaction unseen. Each is looked at until
/// it is known.
async fn look(table: &Table, facts: &Mutex<Facts>, stop: &AtomicBool) {
    let suspects = facts.lock().suspects.clone();
    for version in suspects {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        match overlap::check(table, version).await {
            Ok(Some(error)) if facts.lock().told.insert(version) => {
                tracing::error!(hint = error.hint(), "{error}");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(version, %error, "whether a foreign commit passed a compaction unseen cannot be told");
                if error.is_retryable() {
                    facts.lock().next_look_ms = table.clock.now_ms().saturating_add(LOOK_AGAIN_MS);
                    continue;
                }
            }
        }
        facts.lock().suspects.remove(&version);
    }
}

/// Writes a checkpoint of the newest version, unless another writer just did. Looks first at all that it passes: a
/// later run looks only at what comes after it.
async fn checkpoint(table: &Table, facts: &Mutex<Facts>, stop: &AtomicBool) -> Result<()> {
    let Some((loaded, head)) = table.load().await? else { return Ok(()) };
    let passed = overlap::unseen(facts.lock().last_checkpoint, head.version);
    facts.lock().suspects.extend(passed);
    look(table, facts, stop).await;
    if stop.load(Ordering::SeqCst) {
        return Ok(());
    }
    let newest = table.last_checkpoint()?.filter(|version| *version >= head.version);
    if newest.is_none() {
        checkpoints::create_checkpoint(&loaded, None).await.map_err(|e| fault::delta(&table.root, e))?;
    }
    facts.lock().last_checkpoint = Some(newest.unwrap_or(head.version));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_duty_has_its_own_measure() {
        let upkeep = Upkeep {
            target_size: 128 << 20,
            auto_compact: true,
            checkpoint_interval: 10,
            log_retention: Duration::from_secs(1),
            log_cleanup: true,
            file_retention: Duration::from_secs(1),
            indexed_columns: 32,
        };
        let facts = Facts {
            last_checkpoint: Some(90),
            small_files: 49,
            next_sweep_ms: 1_000,
            wrote: true,
            ..Facts::default()
        };
        assert_eq!(due(&facts, 99, 999, &upkeep, 50), Due::default());
        assert!(due(&facts, 100, 999, &upkeep, 50).checkpoint);
        assert!(due(&facts, 99, 999, &upkeep, 49).compact);
        assert!(due(&facts, 99, 1_000, &upkeep, 50).sweep);
        assert!(!due(&facts, 99, 999, &Upkeep { auto_compact: false, ..upkeep }, 1).compact);
        assert!(!due(&Facts::default(), 9, -1, &upkeep, 50).checkpoint);
        assert!(due(&Facts::default(), 10, -1, &upkeep, 50).checkpoint);
        let mut facts = Facts { suspects: [7].into(), next_look_ms: 1_000, ..facts };
        assert!(!due(&facts, 99, 999, &upkeep, 50).look);
        assert!(due(&facts, 99, 1_000, &upkeep, 50).look);
        facts.wrote = false;
        assert!(!due(&facts, 99, 1_000, &upkeep, 50).sweep, "the next run would not know of it");
    }

    #[test]
    fn of_many_short_runs_the_first_in_each_hour_sweeps() {
        const HOUR: i64 = SWEEP_EVERY_MS;
        assert_eq!(first_sweep(None, 5), HOUR, "a new table has nothing to sweep");
        assert_eq!(first_sweep(Some(5), HOUR - 1), HOUR);
        assert_eq!(first_sweep(Some(HOUR - 1), HOUR), HOUR);
        assert_eq!(first_sweep(Some(HOUR), HOUR + 1), 2 * HOUR);
        assert_eq!(first_sweep(Some(9 * HOUR), HOUR + 1), HOUR + 1, "the clock was set back");
    }
}
