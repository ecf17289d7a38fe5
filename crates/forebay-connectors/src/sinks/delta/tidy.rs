//! Housekeeping beside the stream: what is due, and one background task that does it.
//!
//! [`Tidier::tidy`] is called between epochs and only ever compares numbers; work runs in a task of its own, one at
//! a time, on blocking threads. What must stay true: housekeeping never delays an epoch and never fails one. What
//! goes wrong is logged and due again later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deltalake_core::protocol::checkpoints;
use forebay_core::Result;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::config::Upkeep;
use super::file::Encoding;
use super::table::{Head, Table};
use super::{compact, fault, protocol, sweep};

/// How often old files and log entries are looked for: walking a table's folder is not free, and retention counts
/// in days.
const SWEEP_EVERY_MS: i64 = 3_600_000;
/// The first look comes soon, so that a query which is restarted every half hour does it at all.
const FIRST_SWEEP_MS: i64 = 300_000;

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
}

/// The facts by which the next thing becomes due.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    last_checkpoint: Option<u64>,
    small_files: usize,
    next_sweep_ms: i64,
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
        sweep: now_ms >= facts.next_sweep_ms,
    }
}

impl Tidier {
    /// Takes the facts of a table that was just opened.
    pub fn start_at(&mut self, last_checkpoint: Option<u64>, now_ms: i64) {
        *self.facts.lock() =
            Facts { last_checkpoint, small_files: 0, next_sweep_ms: now_ms + FIRST_SWEEP_MS };
    }

    /// Counts small files of a commit.
    pub fn wrote(&mut self, small_files: usize) {
        self.facts.lock().small_files += small_files;
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
    if due.checkpoint {
        match checkpoint(&task.table).await {
            Ok(version) => facts.lock().last_checkpoint = Some(version),
            Err(error) => failed("a checkpoint", error),
        }
    }
    if due.sweep && !stop.load(Ordering::SeqCst) {
        facts.lock().next_sweep_ms = task.table.clock.now_ms() + SWEEP_EVERY_MS;
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

/// Writes a checkpoint of the newest version, unless another writer just did; returns its version.
async fn checkpoint(table: &Table) -> Result<u64> {
    let Some((loaded, head)) = table.load().await? else { return Ok(0) };
    match table.last_checkpoint() {
        Some(version) if version >= head.version => return Ok(version),
        _ => {}
    }
    checkpoints::create_checkpoint(&loaded, None).await.map_err(|e| fault::delta(&table.root, e))?;
    Ok(head.version)
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
        let facts = Facts { last_checkpoint: Some(90), small_files: 49, next_sweep_ms: 1_000 };
        assert_eq!(due(&facts, 99, 999, &upkeep, 50), Due::default());
        assert!(due(&facts, 100, 999, &upkeep, 50).checkpoint);
        assert!(due(&facts, 99, 999, &upkeep, 49).compact);
        assert!(due(&facts, 99, 1_000, &upkeep, 50).sweep);
        assert!(!due(&facts, 99, 999, &Upkeep { auto_compact: false, ..upkeep }, 1).compact);
        assert!(!due(&Facts::default(), 9, -1, &upkeep, 50).checkpoint);
        assert!(due(&Facts::default(), 10, -1, &upkeep, 50).checkpoint);
    }
}
