//! A streaming query as a graph: inputs that run in lanes, and behind them the steps that remember.
//!
//! ```text
//! input 0:  batch ─▶ stages (filters, Observe, projections) ─▶ rows ─▶ step 0 ─┐
//!                                                                              ├─▶ step 1 (join) ─▶ … ─▶ rows of the query
//! input 1:  batch ─▶ stages ─▶ rows ───────────────────────────────────────────┘
//! ```
//!
//! A query without state has inputs and no steps. With state, each step reads the rows of its [`Feed`]s: those of one port, or of
//! the two sides of a join; several where a union lies below. What must stay true: everything here is planned once; nothing in it changes while the
//! query runs, and two plannings of the same text give the same steps, names and layouts. Each input and each step but the
//! last feeds one step, which comes after it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use forebay_core::detect::Model;
use forebay_core::output_mode::OutputMode;
use forebay_core::source::Wanted;
use forebay_core::window::Sliding;

use super::executor::Executor;
use super::lower::Stage;
pub(crate) use super::sort::SortSpec;
use super::told::Told;

/// A query's inputs, and what is done with their rows.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// What it reads.
    pub inputs: Vec<Input>,
    /// In order; the last gives the rows of the query. Empty for a query without state.
    pub steps: Vec<Step>,
    /// What an epoch gives to the sink.
    pub mode: OutputMode,
}

impl Graph {
    /// The sources whose rows come by these feeds, each once, in the order of the feeds.
    pub fn sources(&self, feeds: &[Feed]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for feed in feeds {
            let of_feed = match feed {
                Feed::Input(input) => self.inputs.get(*input).map(|input| vec![input.source.clone()]),
                // A step comes after those that feed it, so this ends.
                Feed::Step(step) => self.steps.get(*step).map(|step| self.sources(&step.from.concat())),
            };
            found.extend(of_feed.unwrap_or_default());
        }
        let mut seen = BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        found
    }
}

/// A step, and where its rows come from.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What is done.
    pub plan: StepPlan,
    /// Of each port those that feed it, all with the same columns. There is one port; of a join two: left and right.
    pub from: Vec<Vec<Feed>>,
}

/// What gives rows to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// An input of the query, by its number: an operator or a union takes its rows, no other step.
    Input(usize),
    /// A step before, by its number.
    Step(usize),
}

/// What runs in the lanes of one source.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The source's name, as the catalogue spells it.
    pub source: String,
    /// The columns of the batches it takes.
    pub input_schema: SchemaRef,
    /// Which optional columns of the envelope are read.
    pub wanted: Wanted,
    /// True if a decoded source must add its envelope.
    pub wants_envelope: bool,
    /// Filters and projections; where the event time is read, one [`Stage::Observe`] between them.
    pub stages: Arc<[Stage]>,
    /// The columns of the rows behind the stages: what the first step takes.
    pub rows: SchemaRef,
    /// The watermark, if the source has one and it is observed: where an operator reads its event time, and wherever there are
    /// several inputs.
    pub event_time: Option<EventTime>,
}

/// The watermark of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventTime {
    /// How far the watermark is behind the latest event time.
    pub delay_ms: i64,
    /// The first input with the same watermark: the latest event time of them all counts for each.
    pub first: usize,
}

/// One step behind the lanes.
#[derive(Clone, Debug)]
pub(crate) enum StepPlan {
    /// GROUP BY, with a window or without; DISTINCT, which has no aggregates.
    Aggregate(Arc<AggregateSpec>),
    /// GROUP BY with `session_window`.
    Session(Arc<SessionSpec>),
    /// `deduplicate`.
    Deduplicate(Arc<DeduplicateSpec>),
    /// A detector.
    Detect(Arc<DetectSpec>),
    /// A join of two streams.
    Join(Arc<JoinSpec>),
    /// LIMIT: the first rows there ever are.
    Limit(Arc<LimitSpec>),
    /// Filters and projections: HAVING, the SELECT list, what stands between two operators.
    Stages(Staged),
    /// The rows of several feeds as those of one, where no operator takes them.
    Union,
    /// ORDER BY and LIMIT behind a GROUP BY of complete mode: over all rows of the epoch.
    Sort(Arc<SortSpec>),
}

/// Filters and projections behind an operator.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    /// In order.
    pub stages: Arc<[Stage]>,
    /// The columns that come out.
    pub rows: SchemaRef,
    /// True if `now()` or one of its family is used.
    pub uses_epoch_time: bool,
}

impl Staged {
    /// A worker for an epoch that was planned at this time (milliseconds since 1970).
    pub fn executor(&self, epoch_time_ms: i64) -> Executor {
        Executor::new(&self.stages, &self.rows, self.uses_epoch_time.then_some(epoch_time_ms))
    }

    /// True if a row may become several: a table at rest is looked up, or an array taken apart.
    pub fn multiplies(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Lookup(_) | Stage::Generate(_)))
    }
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct AggregateSpec {
    /// Kind and position among the operators, `aggregate-0`: the same at every planning of the same query.
    pub name: String,
    /// The columns of the rows it takes. The hidden columns of its record may end them (see `RECORD_COLUMNS`).
    pub input: SchemaRef,
    /// What each of [`Self::input`] is, over the columns of the sources.
    pub told: Vec<Told>,
    /// The group expressions without the window, over [`Self::input`]. Empty without GROUP BY: then there is one group,
    /// and it is there before any row is.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Their fields, as in [`Self::output`]; with [`Self::sets`] that of their number behind them.
    pub key_fields: Vec<FieldRef>,
    /// GROUPING SETS: each row is in a group of each. Empty for one group by all keys.
    pub sets: Vec<KeySet>,
    /// The window, if there is one.
    pub window: Option<WindowKey>,
    /// The key (an index into [`Self::keys`]) that is the event time, where the window is not: a TIMESTAMP, or the
    /// window of an aggregation before this one, whose `end` counts.
    pub event_key: Option<usize>,
    /// The aggregates, over [`Self::input`]. None for DISTINCT.
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// `FILTER (WHERE …)` of each.
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// The group columns in their order, the window as STRUCT<start, end>, with [`Self::sets`] their number, then the
    /// aggregates.
    pub output: SchemaRef,
    /// True if groups end by the watermark: by the window's end, else by [`Self::event_key`].
    pub watermarked: bool,
}

/// One of GROUPING SETS.
#[derive(Clone, Debug)]
pub(crate) struct KeySet {
    /// Whether it has the key of this index; those that it has not are NULL in its groups.
    pub has: Vec<bool>,
    /// Its number, of the type of its column.
    pub number: ScalarValue,
}

/// `window(…)` in GROUP BY.
#[derive(Clone, Debug)]
pub(crate) struct WindowKey {
    /// The time that falls into windows, a TIMESTAMP in microseconds over the input. Rows in which it is NULL do not
    /// get here.
    pub ts: Arc<dyn PhysicalExpr>,
    /// Tumbling if it slides by its size.
    pub sliding: Sliding,
    /// Where the window stands among the output's columns.
    pub position: usize,
}

/// An aggregation by sessions. Fields as those of [`AggregateSpec`].
#[derive(Clone, Debug)]
pub(crate) struct SessionSpec {
    /// `session-0`.
    pub name: String,
    /// The columns of the rows it takes.
    pub input: SchemaRef,
    /// What each of [`Self::input`] is, over the columns of the sources.
    pub told: Vec<Told>,
    /// The group expressions without the session.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Their fields.
    pub key_fields: Vec<FieldRef>,
    /// The time, a TIMESTAMP in microseconds. Rows in which it is NULL do not get here.
    pub ts: Arc<dyn PhysicalExpr>,
    /// How long a row keeps its session open.
    pub gap: Gap,
    /// Where the session stands among the output's columns.
    pub position: usize,
    /// The aggregates.
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// `FILTER (WHERE …)` of each.
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// The group columns in their order, the session as STRUCT<start, end>, then the aggregates.
    pub output: SchemaRef,
    /// True if sessions end by the watermark.
    pub watermarked: bool,
}

/// The gap of a session.
#[derive(Clone, Debug)]
pub(crate) enum Gap {
    /// The same for all rows, in microseconds, more than 0.
    Static(i64),
    /// Of each row: a BIGINT of microseconds over the input. Rows in which it is NULL, 0 or less do not get here.
    PerRow(Arc<dyn PhysicalExpr>),
}

/// De-duplication: the first row of each key comes out as it is.
#[derive(Clone, Debug)]
pub(crate) struct DeduplicateSpec {
    /// `deduplicate-0`.
    pub name: String,
    /// The columns of the rows it takes and gives.
    pub input: SchemaRef,
    /// What each of [`Self::input`] is, over the columns of the sources.
    pub told: Vec<Told>,
    /// The columns of the key.
    pub keys: Vec<usize>,
    /// The column that is the event time: rows too late by it are refused. A key is forgotten by it if it is one of
    /// [`Self::keys`], or with [`Self::within_us`]; else never.
    pub event_time: Option<usize>,
    /// `dropDuplicatesWithinWatermark`: a key is forgotten so long (microseconds) after the event time of its first row.
    pub within_us: Option<i64>,
}

/// A detector: each row comes out with what a model says of it.
#[derive(Clone, Debug)]
pub(crate) struct DetectSpec {
    /// `detect-0`.
    pub name: String,
    /// The columns of the rows it takes.
    pub input: SchemaRef,
    /// Those, and behind them the model's.
    pub output: SchemaRef,
    /// What each of [`Self::input`] is, over the columns of the sources.
    pub told: Vec<Told>,
    /// The columns of the key; none: all rows are of one thing.
    pub keys: Vec<usize>,
    /// The columns that are judged.
    pub columns: Vec<usize>,
    /// The column with the time of a row.
    pub time: Option<usize>,
    /// What judges.
    pub model: Arc<dyn Model>,
}

/// The first rows there ever are: they come out as they are, all later ones do not.
#[derive(Clone, Debug)]
pub(crate) struct LimitSpec {
    /// `limit-0`.
    pub name: String,
    /// How many.
    pub most: usize,
}

/// A join of two streams: pairs of rows whose keys are equal and for which the condition holds.
#[derive(Clone, Debug)]
pub(crate) struct JoinSpec {
    /// Kind and position among the operators: `join-0`.
    pub name: String,
    /// What becomes of rows that meet no other.
    pub kind: JoinKind,
    /// The left side.
    pub left: JoinSide,
    /// The right side.
    pub right: JoinSide,
    /// The fields of the keys as they are compared: of the same types on both sides.
    pub key_fields: Vec<FieldRef>,
    /// The columns of the left side, then those of the right, without the hidden ones.
    pub pair: SchemaRef,
    /// What else must hold, over [`Self::pair`].
    pub condition: Option<Arc<dyn PhysicalExpr>>,
    /// As [`Self::pair`], nullable where a side may be missing; of a semi join the left side's columns.
    pub output: SchemaRef,
}

/// Which rows of a join come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows that met no other.
    Left,
    /// Pairs, and right rows that met no other.
    Right,
    /// Pairs, and rows of both sides that met no other.
    Full,
    /// Left rows that met another, once.
    LeftSemi,
}

/// One side of a join.
#[derive(Clone, Debug)]
pub(crate) struct JoinSide {
    /// The columns of the rows it takes. The hidden columns of its record may end them; they serve the late table and do not
    /// come out.
    pub input: SchemaRef,
    /// What each of [`Self::input`] is, over the columns of the sources.
    pub told: Vec<Told>,
    /// The keys, over [`Self::input`].
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The column that is the event time, a TIMESTAMP or a window of it: rows late by it are refused.
    pub event_time: Option<usize>,
    /// When its rows are forgotten.
    pub ends: SideEnds,
}

/// When a row of one side of a join is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideEnds {
    /// Never.
    Never,
    /// When the watermark has reached this key (an index into the keys): the event time, or a window of it.
    Key(usize),
    /// When the watermark, moved by a shift that is mostly 0 or less, has reached this column: no row of the other side can
    /// meet it any more.
    Time {
        /// A TIMESTAMP among the input's columns.
        column: usize,
        /// What to add to the watermark.
        shift_ms: i64,
    },
}
