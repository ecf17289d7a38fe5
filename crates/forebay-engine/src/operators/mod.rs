//! Operators that remember: aggregation by key and window, sessions, de-duplication, joins, detection.
//!
//! ```text
//! lane 1:  rows ─▶ Partial ─┐                     ┌─▶ rows ─▶ (stages, the next operator, the sink)
//! lane 2:  rows ─▶ Partial ─┴─▶ Operator::run ────┼─▶ changes of its tables
//!                                 ▲ looks at      └─▶ what became of its input rows
//!                               tables
//! ```
//!
//! Everything here is pure over batches. A [`Partial`] takes the rows of one lane and gives as few as it can; `run` puts
//! those of all lanes together with what the tables remember and answers a [`Step`]; nothing changes until the
//! epoch loop applies the step's changes. Rows come out in the order of window and key, where they pass one by one in that
//! of their lanes, and never in that of a hash table: an epoch that is repeated gives the same rows in the same order.
//!
//! # Times
//!
//! An operator has two: `late` and `evict` ([`EpochTimes`]). A row is late if everything that it could change has
//! ended at or before `late`; it is refused before it reaches any group. After the epoch's rows are in, what has ended at
//! or before `evict` is done: it leaves the table, and in append mode that is when it comes out. `late` is the
//! `evict` of the epoch before, so what ends in `(late, evict]` comes out in this epoch and in no other.
//!
//! # One operator behind another
//!
//! Each has the same times. In Spark 4.0 (`PropagateWatermarkSimulator`, the default) the input watermark of an operator
//! is the output watermark of the one before it, and aggregations, sessions and de-duplication put out the watermark
//! that they were given; only joins hold it back ([`Operator::passes_times`]). It holds because of what comes out: a
//! window that ends in `(late, evict]` has the event time `end - 1 µs` (`window_time`), which is at or after `late`;
//! the window behind that it falls into ends after that, so it is not late there, and may end in the same epoch.
//!
//! # When nothing comes
//!
//! Spark runs a batch without data whenever the watermark has moved ([`Operator::follows_watermark`]), also if nothing
//! ends by it. Such an epoch changes one thing: what is late in the next one.
//!
//! Where to read next: [`aggregate`] for windows, [`session`], [`deduplicate`], [`join`], [`detect`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::error::codes;
use forebay_core::event_time::Watermark;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Result};

use crate::plan::graph::StepPlan;
use crate::state::{Changes, Layout, Table};

mod accumulators;
mod aggregate;
mod deduplicate;
mod detect;
mod groups;
mod join;
mod keys;
mod late;
mod limit;
mod meaning;
mod out;
mod session;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use self::keys::{Zeros, normalised};
pub(crate) use self::late::{Late, LateRows};

/// Most ports of an operator: a join has two.
pub(crate) const PORTS: usize = 2;

/// What an operator has to know of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochTimes {
    /// What had ended by then is closed: rows for it are late.
    pub late: Watermark,
    /// What has ended by then ends in this epoch.
    pub evict: Watermark,
    /// Which rows the epoch gives.
    pub mode: OutputMode,
}

impl EpochTimes {
    /// What has come of both.
    pub fn min(self, other: Self) -> Self {
        Self { late: self.late.min(other.late), evict: self.evict.min(other.evict), mode: self.mode }
    }

    /// These, so much later.
    pub fn shifted(self, by_ms: i64) -> Self {
        let shift = |at: Watermark| Watermark(at.0.saturating_add(by_ms));
        Self { late: shift(self.late), evict: shift(self.evict), mode: self.mode }
    }

    /// `evict` in microseconds. What never expires is never reached by it.
    fn evict_us(&self) -> i64 {
        self.evict.micros().min(i64::MAX - 1)
    }
}

/// What became of the input rows of an operator. Each row is counted once, where it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows that went into a group, and rows of a join that met another or are kept. One that belongs to several windows
    /// counts once.
    pub taken: u64,
    /// Rows for what is closed already.
    pub late: u64,
    /// Rows whose key had been seen.
    pub deduplicated: u64,
    /// Rows of a join that met no other and are not kept: they are past their time, or can meet nothing.
    pub unmatched: u64,
    /// Rows without an event time, where one is needed. The planner filters them before; here they are counted too.
    pub filtered: u64,
}

impl Counts {
    /// Those that go no further.
    pub fn refused(&self) -> u64 {
        self.late + self.deduplicated + self.unmatched + self.filtered
    }

    /// What was counted since these.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            taken: self.taken.saturating_sub(before.taken),
            late: self.late.saturating_sub(before.late),
            deduplicated: self.deduplicated.saturating_sub(before.deduplicated),
            unmatched: self.unmatched.saturating_sub(before.unmatched),
            filtered: self.filtered.saturating_sub(before.filtered),
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.late += other.late;
        self.deduplicated += other.deduplicated;
        self.unmatched += other.unmatched;
        self.filtered += other.filtered;
    }
}

/// What an epoch does at one operator.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// One for each table, in their order.
    pub changes: Vec<Changes>,
    /// The rows that come out, in their order.
    pub rows: Vec<RecordBatch>,
    /// Of rows that only became clear here, by port; those of the partials are beside them.
    pub fates: [Counts; PORTS],
}

/// The rows of one lane on their way into an operator.
pub(crate) trait Partial: Send {
    /// Takes rows of the operator's input; those that are late go to `late`. After an error it is of no more use.
    fn push(&mut self, batch: RecordBatch, late: &mut Late) -> Result<()>;

    /// What [`Operator::run`] takes. The order of rows is theirs.
    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>>;

    /// What has become of the rows so far.
    fn counts(&self) -> Counts;

    /// Takes rows of which some are of the same record, and counts what becomes of the first of each, which `firsts` tells. Where the
    /// order of rows decides what comes of them they are taken in it.
    fn push_repeated(
        &mut self,
        batch: RecordBatch,
        firsts: &BooleanArray,
        late: &mut Late,
    ) -> Result<Counts> {
        let before = self.counts();
        self.push(filter_record_batch(&batch, firsts).map_err(broken)?, late)?;
        let counts = self.counts().since(&before);
        let others = BooleanArray::new(!firsts.values(), None);
        self.push(filter_record_batch(&batch, &others).map_err(broken)?, late)?;
        Ok(counts)
    }
}

/// An operator with state. It holds none itself: what it remembers lies in tables that it only looks at.
pub(crate) trait Operator: Send + Sync {
    /// The same at every planning of the same query: `aggregate-0`.
    fn name(&self) -> &str;

    /// Spark's name of the operator in progress reports.
    fn spark_name(&self) -> &'static str;

    /// The layouts of its tables.
    fn layouts(&self) -> Vec<Arc<Layout>>;

    /// How many of its tables, from the first, have its rows, if the others only lead to them: Spark counts each row once.
    fn row_tables(&self) -> Option<usize> {
        None
    }

    /// For the rows of one lane, or of the operator before this one. A join's right side is port 1; else it is 0.
    fn partial(&self, port: usize, times: &EpochTimes) -> Result<Box<dyn Partial>>;

    /// The epoch: `partials` are those of all lanes by port, in the order of the lanes.
    fn run(&self, tables: &[Table], partials: [Vec<RecordBatch>; PORTS], times: &EpochTimes) -> Result<Step>;

    /// The times of the operator behind it, where these are its own.
    fn passes_times(&self, times: EpochTimes) -> EpochTimes {
        times
    }

    /// True if Spark runs a batch without data as soon as the watermark has moved.
    fn follows_watermark(&self, mode: OutputMode) -> bool;

    /// When the next of what this table holds is done, or may come out, after a watermark that stands at `evict_us`; `None` if
    /// nothing ever is.
    fn next_due(&self, table: &Table, _evict_us: i64) -> Option<i64> {
        table.oldest()
    }

    /// False if what it holds is only forgotten, and no row comes out when it is done: then nothing waits for that while the
    /// inputs are silent, and the rows that come next are not late for it.
    fn is_waited_for(&self) -> bool {
        true
    }

    /// True if it gives a row before any came: the first epoch runs also if there is nothing to read.
    fn gives_at_once(&self) -> bool {
        false
    }

    /// True if rows that come out are still input rows, whose fate is decided behind this operator.
    fn passes_rows(&self) -> bool {
        false
    }
}

/// The operator of a step; `None` if the step remembers nothing.
pub(crate) fn operator(step: &StepPlan) -> Result<Option<Arc<dyn Operator>>> {
    Ok(match step {
        StepPlan::Aggregate(spec) => Some(Arc::new(aggregate::Aggregation::new(Arc::clone(spec))?)),
        StepPlan::Session(spec) => Some(Arc::new(session::Sessions::new(Arc::clone(spec))?)),
        StepPlan::Deduplicate(spec) => Some(Arc::new(deduplicate::Deduplication::new(Arc::clone(spec))?)),
        StepPlan::Join(spec) => Some(Arc::new(join::Join::new(Arc::clone(spec))?)),
        StepPlan::Limit(spec) => Some(Arc::new(limit::Limit::new(Arc::clone(spec)))),
        StepPlan::Detect(spec) => Some(Arc::new(detect::Detection::new(Arc::clone(spec))?)),
        StepPlan::Stages(_) | StepPlan::Union | StepPlan::Sort(_) => None,
    })
}

/// The table of this index, as [`Operator::layouts`] has them.
fn table(tables: &[Table], index: usize) -> Result<&Table> {
    tables.get(index).ok_or_else(|| Error::new(&codes::INTERNAL, "an operator was not given its tables"))
}

/// The values of an expression for these rows.
fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())).map_err(failed)
}

/// The values of an expression that is a TIMESTAMP.
fn evaluate_times(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<TimestampMicrosecondArray> {
    times_of(&evaluate(expr, batch)?)
}

/// A column of event times: timestamps, or windows, of which the end counts.
fn times_of(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    if let Some(window) = column.as_struct_opt()
        && let Some(end) =
            window.columns().get(1).and_then(|end| end.as_primitive_opt::<TimestampMicrosecondType>())
    {
        let nulls = arrow::buffer::NullBuffer::union(window.nulls(), end.nulls());
        return Ok(TimestampMicrosecondArray::new(end.values().clone(), nulls));
    }
    column.as_primitive_opt::<TimestampMicrosecondType>().cloned().ok_or_else(|| {
        Error::new(&codes::INTERNAL, format!("an event time is of the type {}", column.data_type()))
    })
}

/// An expression or an aggregate that failed on a row.
fn failed(error: DataFusionError) -> Error {
    crate::plan::core_error(&codes::QUERY_FAILED, error)
}

fn misplaced() -> Error {
    Error::new(&codes::INTERNAL, "a column of an operator is not where it should be")
}

/// Columns that do not fit together, which no input can bring about.
fn broken(error: ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the columns of an operator do not fit together").caused_by(error)
}
