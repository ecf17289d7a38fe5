//! What a query remembers from epoch to epoch: the tables of its operators, and how far event time has come.
//!
//! ```text
//! plan N       times of N: late, evict                                             in the plan, durable
//! begin        tables ─▶ compacted on a thread                                      beside the lanes
//! lanes        rows ─▶ first operator's Partial                                     one for each lane
//! tail         Partials ─▶ operator 1 ─▶ stages ─▶ operator 2 ─▶ … ─▶ rows           tables are only looked at
//! keep         late rows and Changes of all operators                              durable, before the outcome of N
//! commit N     Changes ─▶ tables
//! ```
//!
//! Nothing is forked and nothing rolled back: an attempt that fails drops what it computed, and an epoch that its sink
//! has is never computed again, because its changes were durable before the sink got it.
//!
//! What must stay true: between two epochs the tables hold exactly what the changes up to the newest commit say.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use forebay_core::checkpoint::{Plan, Recovery};
use forebay_core::error::codes;
use forebay_core::event_time::{Observed, Rule, Times, Tracker, Watermark, WatermarkPolicy, future_limit_us};
use forebay_core::progress::StateOperatorProgress;
use forebay_core::{Epoch, Error, Result};
use forebay_storage::{Door, kill_point};
use tokio::task::JoinHandle;

use super::effort::Effort;
use super::tail::{Gathered, Intake, Ran, Tail};
use crate::late::LateTable;
use crate::lookup::Held;
use crate::operators::Operator;
use crate::plan::StreamPlan;
use crate::state::{self, Applied, Changes, StateFiles, Table};
use crate::status::Remembered;

/// Most rows of an epoch, and most bytes of tables, with which operators run where they are: a thread of their own would cost more.
const FEW_ROWS: usize = 1_000;
const LITTLE: usize = 4 << 20;

/// How a query with state behaves, by its file.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// The watermarks of its inputs, in the order of the plan's.
    pub rules: Vec<Option<Rule>>,
    /// How they become one.
    pub policy: WatermarkPolicy,
    /// How far ahead of the clock an event time of each may be and still move the watermark; `None`: however far.
    pub future_skew: Vec<Option<Duration>>,
    /// Most bytes of state in memory.
    pub state_limit: u64,
    /// The folder of its late rows.
    pub late: PathBuf,
}

/// The part of a query that remembers.
pub(crate) struct Memory {
    tail: Arc<Tail>,
    /// How far the times of each table are behind the query's.
    behind_ms: Vec<i64>,
    /// Shared with the thread that computes, and with nobody between two epochs. Empty while `tidying` has them.
    tables: Arc<Vec<Table>>,
    /// Compacts them while the lanes of an epoch run.
    tidying: Option<JoinHandle<Vec<Table>>>,
    /// Open once it is known which epoch the query goes on from.
    files: Option<StateFiles>,
    folder: PathBuf,
    door: Door,
    tracker: Tracker,
    /// True if an input has an `idleTimeout`.
    can_be_idle: bool,
    late: LateTable,
    limit: u64,
    future_skew: Vec<Option<Duration>>,
    /// The changes of the epoch that is being written; they are durable.
    pending: Vec<Changes>,
    /// What the epoch at hand took so far.
    spent: Spent,
    /// What the newest epoch did, for its report.
    did: Did,
}

/// What an epoch did.
#[derive(Debug, Default)]
struct Did {
    /// To the rows of each table.
    applied: Vec<Applied>,
    late: u64,
    /// What its parts took.
    spent: Spent,
}

/// What the parts of an epoch took that have to do with state.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// Until the tables were compacted, when the lanes were done.
    settling: Duration,
    /// The operators: what they looked up and computed.
    operating: Duration,
    /// The changes, until they were durable.
    keeping: Duration,
    /// The changes, until the tables had them.
    applying: Duration,
}

const OPERATORS: &str = "the work of the operators";

/// What `work` gives here, or an error as if it had died on a thread of its own.
fn caught<T>(what: &str, work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| ended(what, "a panic"))
}

fn ended(what: &str, why: impl Display) -> Error {
    Error::new(&codes::INTERNAL, format!("{what} ended unexpectedly")).with_detail(why)
}

fn is_little(tables: &[Table]) -> bool {
    tables.iter().map(Table::bytes).sum::<usize>() <= LITTLE
}

impl Spent {
    /// In microseconds. All operators together take so long.
    fn metrics(&self) -> BTreeMap<String, i64> {
        let parts = [
            ("compactionWaitUs", self.settling),
            ("operatorsUs", self.operating),
            ("changelogUs", self.keeping),
            ("updatesUs", self.applying),
        ];
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        parts.map(|(name, time)| (name.to_owned(), micros(time))).into()
    }
}

impl Memory {
    /// The memory of a query; `None` if it needs none. `checkpoint` is the folder of its checkpoint.
    pub fn new(
        plan: &StreamPlan,
        options: MemoryOptions,
        checkpoint: &Path,
        door: &Door,
        query_id: &str,
    ) -> Result<Option<Self>> {
        let graph = plan.graph();
        let Some(tail) = Tail::new(graph)? else { return Ok(None) };
        Ok(Some(Self {
            behind_ms: tail.behind_ms(),
            tail: Arc::new(tail),
            tables: Arc::default(),
            tidying: None,
            files: None,
            folder: state::folder(checkpoint),
            door: door.clone(),
            can_be_idle: options.rules.iter().flatten().any(|rule| rule.idle_ms.is_some()),
            tracker: Tracker::new(options.rules, options.policy),
            late: LateTable::open(options.late, door.clone(), query_id)?,
            limit: options.state_limit,
            future_skew: options.future_skew,
            pending: Vec::new(),
            spent: Spent::default(),
            did: Did::default(),
        }))
    }

    /// Reads the state that the query goes on from. An epoch that the sink has is not computed again: its changes are
    /// durable, and part of it.
    pub fn recover(&mut self, recovery: &Recovery, in_sink: Option<Epoch>) -> Result<()> {
        let (through, time) = match recovery {
            Recovery::Fresh => (None, None),
            Recovery::Continue { epoch, time, .. } => (epoch.0.checked_sub(1).map(Epoch), Some(time)),
            Recovery::Replay { plan, time, .. } if in_sink == Some(plan.epoch) => (in_sink, Some(time)),
            Recovery::Replay { plan, time, .. } => (plan.epoch.0.checked_sub(1).map(Epoch), Some(time)),
        };
        let (files, tables) = StateFiles::open(&self.folder, self.door.clone(), &self.tail.tables, through)?;
        (self.files, self.tables) = (Some(files), Arc::new(tables));
        if let Some(time) = time {
            self.tracker.restore(time.times, &time.observed, &time.quiet_since_ms);
        }
        Ok(())
    }

    /// The times of an epoch that is planned now; `reads` says which inputs have records.
    pub fn next_times(&self, now_ms: i64, reads: &[bool]) -> Times {
        let held_ms = if self.can_be_idle { self.held_ms() } else { None };
        let evict = self.tracker.next(now_ms, reads, held_ms);
        self.tracker.times().then(evict)
    }

    /// True if this epoch should run now though it has no records, as in Spark: it is the first and gives a row all the
    /// same, or the watermark has moved since the last one, and the mode lets go of what it has passed.
    pub fn wants_epoch(&self, epoch: Epoch, now_ms: i64) -> bool {
        (epoch == Epoch(0) && self.tail.gives_at_once())
            || (self.tail.follows_watermark() && self.has_moved(now_ms))
    }

    /// True if the watermark has moved by what came; or by the clock alone, and then so far that something is done: a clock
    /// always moves, and one epoch would follow the other for as long as the sources are silent.
    fn has_moved(&self, now_ms: i64) -> bool {
        let (before, after) = (self.watermark(), self.next_times(now_ms, &[]).evict);
        after > before
            && (self.tracker.next(now_ms, &[], None) > before
                || self.next_due_us().is_some_and(|due_us| after.has_passed(due_us)))
    }

    /// When the next of what is waited for is done, by the query's watermark.
    fn next_due_us(&self) -> Option<i64> {
        let evict_us = self.watermark().micros();
        let due = |(operator, table, behind_ms): (&Arc<dyn Operator>, &Table, i64)| {
            let behind_us = behind_ms.saturating_mul(1_000);
            let due_us = operator.next_due(table, evict_us.saturating_sub(behind_us))?;
            Some(due_us.saturating_add(behind_us))
        };
        self.waited_for().filter_map(due).min()
    }

    /// When the last of what is waited for is done, in milliseconds rounded up.
    fn held_ms(&self) -> Option<i64> {
        let done = |(_, table, behind_ms): (&Arc<dyn Operator>, &Table, i64)| {
            let newest = table.newest()?;
            let millis = newest.div_euclid(1_000) + i64::from(newest.rem_euclid(1_000) > 0);
            Some(millis.saturating_add(behind_ms))
        };
        self.waited_for().filter_map(done).max()
    }

    /// The tables of which something comes out when it is done, each with its operator and how far its times are behind
    /// the query's.
    fn waited_for(&self) -> impl Iterator<Item = (&Arc<dyn Operator>, &Table, i64)> {
        let operators = self.tail.operators().filter(|(operator, _)| operator.is_waited_for());
        operators.flat_map(|(operator, range)| {
            let tables = self.tables.get(range.clone()).unwrap_or_default().iter();
            let behind = self.behind_ms.get(range.clone()).unwrap_or_default();
            tables.zip(behind).map(move |(table, behind_ms)| (operator, table, *behind_ms))
        })
    }

    /// The latest event time of an input that an epoch believes, in microseconds.
    pub fn believed_us(&self, plan: &Plan, input: usize) -> i64 {
        future_limit_us(plan.planned_at_ms, self.future_skew.get(input).copied().flatten())
    }

    /// Before an attempt at an epoch. Until [`Memory::run`] nobody may look at the tables.
    pub async fn begin(&mut self, epoch: Epoch) -> Result<()> {
        self.late.begin(epoch)?;
        self.settle().await?;
        if self.tables.iter().any(Table::is_untidy) {
            match Arc::try_unwrap(std::mem::take(&mut self.tables)) {
                Ok(mut tables) if is_little(&tables) => {
                    caught("compacting the state", || tables.iter_mut().for_each(Table::tidy))?;
                    self.tables = Arc::new(tables);
                }
                Ok(mut tables) => {
                    let tidy = move || {
                        tables.iter_mut().for_each(Table::tidy);
                        tables
                    };
                    self.tidying = Some(tokio::task::spawn_blocking(tidy));
                }
                Err(looked_at) => self.tables = looked_at,
            }
        }
        Ok(())
    }

    /// Waits until the tables are compacted.
    async fn settle(&mut self) -> Result<()> {
        let Some(tidying) = &mut self.tidying else { return Ok(()) };
        let tidied = tidying.await;
        self.tidying = None;
        self.tables = Arc::new(tidied.map_err(|e| ended("compacting the state", e))?);
        Ok(())
    }

    /// What takes the rows of one lane of this input.
    pub fn intake(&self, plan: &Plan, input: usize, lane: usize) -> Result<Intake> {
        self.tail.intake(input, plan.times.unwrap_or_default(), self.late.lane(plan.epoch, lane))
    }

    /// Runs the operators over what the lanes gathered; changes nothing.
    pub async fn run(
        &mut self,
        plan: &Plan,
        lanes: Vec<Gathered>,
        held: Arc<Held>,
        effort: &Effort,
    ) -> Result<Ran> {
        let began = Instant::now();
        self.settle().await?;
        let settled = Instant::now();
        let (tail, tables, late) = (Arc::clone(&self.tail), Arc::clone(&self.tables), self.late.clone());
        let (epoch, lane) = (plan.epoch, lanes.len());
        let at = (plan.times.unwrap_or_default(), plan.planned_at_ms);
        let rows: usize = lanes.iter().flat_map(|it| &it.partials).map(RecordBatch::num_rows).sum();
        let is_little = rows <= FEW_ROWS && is_little(&tables);
        let run = move || tail.run(&tables, lanes, at, |number| late.lane(epoch, lane + number), &held);
        let ran = if is_little {
            caught(OPERATORS, run)?
        } else {
            let effort = effort.clone();
            let running = tokio::task::spawn_blocking(move || effort.during(run));
            running.await.map_err(|e| ended(OPERATORS, e))?
        };
        (self.spent.settling, self.spent.operating) = (settled - began, settled.elapsed());
        ran
    }

    /// Makes durable what an epoch changes. From now on the sink may have the epoch.
    pub fn keep(&mut self, plan: &Plan, ran: Ran) -> Result<()> {
        let held: usize = self.tables.iter().map(Table::bytes).sum();
        let bytes = held as u64 + ran.changes.iter().map(Changes::bytes).sum::<usize>() as u64;
        if bytes > self.limit {
            let message = format!("the state would take {bytes} bytes, its limit is {}", self.limit);
            return Err(Error::new(&codes::STATE_LIMIT, message).at(self.folder.display()));
        }
        kill_point("epoch.state.before");
        let Some(files) = &mut self.files else {
            return Err(Error::new(&codes::INTERNAL, "the state is not open"));
        };
        self.pending = ran.changes;
        let started = Instant::now();
        files.write(plan.epoch, &self.pending)?;
        kill_point("epoch.state.after");
        self.spent.keeping = started.elapsed();
        self.did = Did { late: ran.ledger.late, ..Did::default() };
        Ok(())
    }

    /// How far the inputs have come with this epoch, and since when each is quiet: for its commit.
    pub fn observed_with(&self, plan: &Plan, observed: &Observed) -> (Observed, Vec<i64>) {
        let mut after = self.tracker.clone();
        after.observe(plan.times.unwrap_or_default(), observed, plan.planned_at_ms);
        (after.observed(), after.quiet_since_ms())
    }

    /// Takes over what an epoch changed, once its commit is durable.
    pub fn committed(&mut self, plan: &Plan, observed: &Observed) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let started = Instant::now();
        if !pending.is_empty() {
            let Some(tables) = Arc::get_mut(&mut self.tables) else {
                return Err(Error::new(&codes::INTERNAL, "the state is still being looked at"));
            };
            for (table, changes) in tables.iter_mut().zip(&pending) {
                self.did.applied.push(table.apply(changes)?);
            }
        }
        self.spent.applying = started.elapsed();
        self.did.spent = std::mem::take(&mut self.spent);
        self.tracker.observe(plan.times.unwrap_or_default(), observed, plan.planned_at_ms);
        match &mut self.files {
            Some(files) => files.committed(plan.epoch, &self.tables),
            None => Ok(()),
        }
    }

    /// The watermark of the newest epoch.
    pub fn watermark(&self) -> Watermark {
        self.tracker.times().evict
    }

    /// What it holds now.
    pub fn remembered(&self) -> Remembered {
        let tables = || self.tables.iter();
        Remembered {
            watermark: self.watermark(),
            keys: tables().map(|table| table.len() as u64).sum(),
            bytes: tables().map(|table| table.bytes() as u64).sum(),
            limit: self.limit,
            oldest_us: tables().filter_map(Table::oldest).min(),
            newest_us: tables().filter_map(Table::newest).max(),
            late_bytes: self.late.bytes(),
            late_evicted: self.late.evicted(),
            ahead: 0,
        }
    }

    /// What each operator holds, and what the newest epoch did to it. Late rows, and what is not told by operator, are
    /// counted at the first.
    pub fn operators(&self) -> Vec<StateOperatorProgress> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let operators = self.tail.operators().enumerate().map(|(index, (operator, range))| {
            let tables = self.tables.get(range.clone()).unwrap_or_default();
            let counted = operator.row_tables().unwrap_or(range.len());
            let with_rows = range.start..range.end.min(range.start + counted);
            let applied = self.did.applied.get(with_rows).unwrap_or_default().iter();
            StateOperatorProgress {
                operator_name: operator.spark_name().to_owned(),
                num_rows_total: tables.iter().take(counted).map(|table| table.len() as u64).sum(),
                num_rows_updated: applied.clone().map(|applied| applied.added + applied.replaced).sum(),
                all_updates_time_ms: millis(self.did.spent.applying),
                num_rows_removed: applied.map(|applied| applied.removed).sum(),
                commit_time_ms: millis(self.did.spent.keeping),
                memory_used_bytes: tables.iter().map(|table| table.bytes() as u64).sum(),
                num_rows_dropped_by_watermark: if index == 0 { self.did.late } else { 0 },
                num_shuffle_partitions: 1,
                num_state_store_instances: range.len() as u64,
                custom_metrics: if index == 0 { self.did.spent.metrics() } else { BTreeMap::new() },
                ..StateOperatorProgress::default()
            }
        });
        operators.collect()
    }
}
