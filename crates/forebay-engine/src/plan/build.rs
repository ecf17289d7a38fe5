//! From a verified logical plan to a [`Graph`]: the plan is cut at its operators with state, and what lies between two
//! of them is optimized and lowered by itself.
//!
//! ```text
//! Projection ─ Filter ─ Aggregate ─ Projection ─ Filter ─ TableScan
//! └─ Stages ─┘          └ spec ──┘  └──── the input's stages ─────┘
//! ```
//!
//! A join of two streams has two such branches below it (`join.rs`), a union has one for each part (`union.rs`, [`united`]). Below an
//! operator ([`operators`]) stands a projection of what the operator reads, so nothing else travels. What must stay true: an
//! operator's rows have the columns that its node in the plan has, in their order; so the names above it are found.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SortExpr};
use datafusion::physical_expr::PhysicalSortExpr;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::catalog::{SourceColumns, SourceTime};
use super::graph::{Feed, Staged, Step, StepPlan};
use super::lineage::{Lineage, Origin};
use super::lower::{self, Lowered, Output, Projection as LoweredProjection, Stage, simplified};
use super::modes::{self, Kind, Stands};
use super::record::record_columns;
use super::sql_error::SqlError;
use super::told::{Told, columns};
use super::{conditions, observe, union};

mod cut;
mod operators;
mod united;

use self::cut::{cut, joins_streams};
pub(super) use self::cut::{is_stream_join, remembers, source_of};

/// Most operators with state of one query: each is a table of its own, and rows pass them one after the other.
const MAX_OPERATORS: usize = 32;
/// Most inputs of one query: each reads its source by itself, and is a part of the checkpoint's identity.
const MAX_INPUTS: usize = 64;

/// A source that a plan reads.
pub(super) struct Source<'a> {
    /// As the catalogue spells it.
    pub name: &'a str,
    pub columns: &'a SourceColumns,
    /// Its event time.
    pub time: Option<SourceTime>,
    /// True if the query gives it, where it reads the source.
    pub has_clause: bool,
}

/// The sources of a plan by the names of its scans. One that is scanned twice is two inputs.
pub(super) type Sources<'a> = HashMap<String, Source<'a>>;

/// What a plan is made of.
pub(super) struct Built<'a> {
    pub inputs: Vec<BuiltInput<'a>>,
    pub steps: Vec<Step>,
}

/// The lanes' part.
pub(super) struct BuiltInput<'a> {
    pub source: &'a Source<'a>,
    pub lowered: Lowered,
    /// The optimized plan of it.
    pub plan: LogicalPlan,
    pub rows: SchemaRef,
    /// True if its event time is observed.
    pub is_timed: bool,
}

impl Built<'_> {
    /// Of each input the first one with the same watermark: as in Spark, a source has one, however often it is read.
    pub fn watermarks(&self) -> Vec<usize> {
        let same = |one: &BuiltInput<'_>, other: &BuiltInput<'_>| {
            let are_timed = one.is_timed && other.is_timed;
            let is_own = one.source.has_clause || other.source.has_clause;
            are_timed && !is_own && one.source.name == other.source.name
        };
        let first = |(number, it): (usize, &BuiltInput<'_>)| {
            self.inputs.iter().take(number).position(|other| same(it, other)).unwrap_or(number)
        };
        self.inputs.iter().enumerate().map(first).collect()
    }
}

/// Builds; `mode` is `None` for a view by itself, which any mode may use.
pub(super) fn build<'a>(
    plan: LogicalPlan,
    session: &'a SessionState,
    sources: &'a Sources<'a>,
    carries: bool,
    mode: Option<OutputMode>,
) -> Result<Built<'a>, SqlError> {
    let is_joined = joins_streams(&plan);
    let plan = if is_joined { conditions::settled(plan, session)? } else { plan };
    let mut builder = Builder {
        session,
        sources,
        carries,
        is_joined,
        mode,
        remembers: remembers(&plan),
        observes_all: is_joined || union::is_anywhere(&plan),
        inputs: Vec::new(),
        steps: Vec::new(),
        kinds: Vec::new(),
    };
    let rows = builder.rows(&plan)?;
    if !builder.steps.is_empty() {
        builder.one(rows.feeds);
    }
    if let Some(mode) = mode {
        modes::check(&builder.kinds, mode)?;
    }
    Ok(Built { inputs: builder.inputs, steps: builder.steps })
}

pub(super) struct Builder<'a> {
    pub session: &'a SessionState,
    sources: &'a Sources<'a>,
    carries: bool,
    /// True if two streams are joined somewhere.
    is_joined: bool,
    mode: Option<OutputMode>,
    /// False for a union whose rows go to the sink as they are: no watermark is of use.
    remembers: bool,
    /// True if there are several inputs: then the watermark of each counts, whoever reads it.
    observes_all: bool,
    pub inputs: Vec<BuiltInput<'a>>,
    pub steps: Vec<Step>,
    /// The operators so far, in the order of the rows' way.
    pub kinds: Vec<Stands>,
}

/// The rows that a part of the plan gives.
pub(super) struct Rows {
    pub schema: DFSchemaRef,
    pub origins: Vec<Origin>,
    pub lineage: Lineage,
    /// What the columns are, over those of the sources; empty where no operator reads them.
    pub told: Vec<Told>,
    /// Those that give them, each with the same columns.
    pub feeds: Vec<Feed>,
    /// True if some of them come of an aggregation.
    pub are_groups: bool,
}

/// What an operator gives.
pub(super) struct Given {
    pub origins: Vec<Origin>,
    pub lineage: Lineage,
    /// What its columns are, over those of the sources.
    pub told: Vec<Told>,
    pub feed: Feed,
    pub are_groups: bool,
}

impl Builder<'_> {
    /// Adds a step whose ports these feed.
    pub fn step(&mut self, plan: StepPlan, from: Vec<Vec<Feed>>) -> Feed {
        self.steps.push(Step { plan, from });
        Feed::Step(self.steps.len() - 1)
    }

    /// Adds a step that reads these rows.
    pub fn behind(&mut self, rows: Rows, plan: StepPlan, origins: Vec<Origin>) -> Given {
        let makes_groups = matches!(plan, StepPlan::Aggregate(_) | StepPlan::Session(_));
        let told = if makes_groups { columns::grouped(&plan) } else { rows.told };
        let feed = self.step(plan, vec![rows.feeds]);
        Given { origins, feed, lineage: rows.lineage, told, are_groups: rows.are_groups || makes_groups }
    }

    /// Builds everything that gives the rows of a plan among whose filters and projections is no union.
    fn part(&mut self, plan: &LogicalPlan) -> Result<Rows, SqlError> {
        match cut(plan) {
            (segment, Some(LogicalPlan::Join(join))) => self.behind_join(segment, join),
            (segment, Some(node)) => {
                let Given { origins, lineage, told, feed, are_groups } = self.operator(node)?;
                let origins = lineage.columns(&segment, &origins);
                let told = columns::columns(&segment, &told, self.session);
                let schema = Arc::clone(segment.schema());
                if matches!(segment, LogicalPlan::EmptyRelation(_)) {
                    return Ok(Rows { schema, origins, lineage, told, feeds: vec![feed], are_groups });
                }
                let lowered = lower::lower(&self.optimized(segment)?, self.session)?;
                let feed = self.stages(lowered.stages, arrow_schema(&schema), feed);
                Ok(Rows { schema, origins, lineage, told, feeds: vec![feed], are_groups })
            }
            (segment, None) => self.input(&segment),
        }
    }

    /// Builds what runs in the lanes of a source.
    fn input(&mut self, segment: &LogicalPlan) -> Result<Rows, SqlError> {
        let Some(source) = source_of(segment, self.sources) else {
            return Err(Error::new(&codes::INTERNAL, "a source of the query is not known").into());
        };
        if self.inputs.len() == MAX_INPUTS {
            let message = format!("the query reads more than {MAX_INPUTS} sources");
            let hint = "A source that is read several times counts each time. Make several queries of it.";
            return Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint).into());
        }
        let lineage = self.lineage(segment);
        let mut segment = lineage.settled(segment).map_err(SqlError::planning)?;
        let origins = lineage.columns(&segment, &[]);
        let told = match self.remembers {
            true => columns::columns(&segment, &[], self.session),
            false => Vec::new(),
        };
        let schema = Arc::clone(segment.schema());
        let rows = arrow_schema(&schema);
        let is_time = |origin: &Origin| self.remembers && matches!(origin, Origin::Time(_));
        let mut event_time = origins.iter().position(is_time);
        let mut is_threaded = false;
        if event_time.is_none()
            && self.remembers
            && self.observes_all
            && let Some((threaded, at)) = lineage.threaded(&segment).map_err(SqlError::planning)?
        {
            (segment, event_time, is_threaded) = (threaded, Some(at), true);
        }
        let optimized = self.optimized(segment)?;
        let mut lowered = lower::lower(&optimized, self.session)?;
        if let Some(column) = event_time {
            lowered.stages = observe::place(lowered.stages, column);
        }
        if is_threaded {
            let columns = (0..rows.fields().len()).map(Output::Same).collect();
            lowered.stages.push(Stage::Project(LoweredProjection { columns, schema: Arc::clone(&rows) }));
        }
        let is_timed = event_time.is_some();
        self.inputs.push(BuiltInput { source, lowered, plan: optimized, rows, is_timed });
        let feeds = vec![Feed::Input(self.inputs.len() - 1)];
        Ok(Rows { schema, origins, lineage, told, feeds, are_groups: false })
    }

    pub fn optimized(&self, segment: LogicalPlan) -> Result<LogicalPlan, SqlError> {
        self.session.optimizer().optimize(segment, self.session, |_, _| {}).map_err(SqlError::planning)
    }

    /// Adds filters and projections, if there are some.
    pub fn stages(&mut self, stages: Vec<Stage>, rows: SchemaRef, feed: Feed) -> Feed {
        if stages.is_empty() {
            return feed;
        }
        let uses_epoch_time = lower::uses_time(&stages);
        self.step(StepPlan::Stages(Staged { stages: stages.into(), rows, uses_epoch_time }), vec![vec![feed]])
    }

    /// The event time of the source that a segment without operators reads, as the next input.
    fn lineage(&self, segment: &LogicalPlan) -> Lineage {
        let source = source_of(segment, self.sources);
        let column = source
            .and_then(|source| source.time.as_ref().and_then(|time| source.columns.column(&time.column)));
        Lineage::new(segment, column.as_deref(), self.inputs.len())
    }

    /// Refuses one operator more than there may be.
    pub fn refuse_many(&self) -> Result<(), Error> {
        if self.kinds.len() < MAX_OPERATORS {
            return Ok(());
        }
        let message = format!("the query has more than {MAX_OPERATORS} operators with state");
        let hint = "Write the rows between two of them to a table, and read that with another query.";
        Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint))
    }

    /// Notes an operator; true if it stands behind an aggregation.
    pub fn stands(&mut self, kind: Kind, is_behind_groups: bool) {
        self.kinds.push(Stands { kind, is_behind_groups });
    }

    /// An expression over a plan, such as the time of a window; its parts that are the event time are its column, if the
    /// plan reads the source.
    pub fn time(&self, expr: &Expr, input: &LogicalPlan) -> Result<Expr, SqlError> {
        let (segment, None) = cut(input) else { return Ok(expr.clone()) };
        let lineage = self.lineage(&segment);
        let columns = lineage.columns(&segment, &[]);
        lineage.with_column(expr, input.schema(), &columns).map_err(SqlError::planning)
    }

    /// The same of a condition over a plan among whose filters and projections a union may be, whose first part counts. Where it has
    /// no such column it is read from one of this name, and what that is comes beside.
    pub fn time_of(
        &self,
        condition: Expr,
        input: &LogicalPlan,
        name: &str,
    ) -> Result<(Expr, Option<Expr>), SqlError> {
        let parts = union::parts(input).map_err(SqlError::planning)?;
        let Some((segment, None)) = parts.first().map(cut) else { return Ok((condition, None)) };
        let lineage = self.lineage(&segment);
        let columns = lineage.columns(&segment, &[]);
        lineage.read_from(condition, input.schema(), &columns, name).map_err(SqlError::planning)
    }

    /// Sort expressions over columns of this schema.
    pub fn order(&self, by: &[SortExpr], schema: &DFSchemaRef) -> Result<Vec<PhysicalSortExpr>, SqlError> {
        by.iter()
            .map(|by| {
                let options =
                    arrow::compute::SortOptions { descending: !by.asc, nulls_first: by.nulls_first };
                Ok(PhysicalSortExpr::new(simplified(&by.expr, schema, self.session)?, options))
            })
            .collect()
    }

    /// A projection over `input` with the columns of the record at its end, if they are asked for and there.
    pub fn with_record(
        &self,
        mut list: Vec<Expr>,
        input: &Arc<LogicalPlan>,
    ) -> Result<LogicalPlan, SqlError> {
        let source = source_of(input, self.sources).filter(|_| self.carries && !remembers(input));
        list.extend(source.map(|source| record_columns(input, source.columns)).unwrap_or_default());
        let projection = Projection::try_new(list, Arc::clone(input)).map_err(SqlError::planning)?;
        Ok(LogicalPlan::Projection(projection))
    }
}

/// Refuses rows with the event times of two inputs, of which an operator could not tell which counts.
pub(super) fn one_time(operator: &str, origins: &[Origin]) -> Result<(), Error> {
    let mut inputs = origins.iter().filter_map(Origin::timed);
    let first = inputs.next();
    if inputs.all(|input| Some(input) == first) {
        return Ok(());
    }
    let message = format!("the event times of two streams reach the operator {operator}");
    Err(Error::new(&codes::NOT_STREAMING, message).with_hint(
        "Spark's query ends there too: it could not tell by which of them rows are late. Give only one of them in the \
         SELECT that makes the join, or make the other a plain time: `rt + INTERVAL 0 SECONDS AS rt`.",
    ))
}

/// The columns of a logical schema, without their qualifiers.
pub(super) fn arrow_schema(schema: &DFSchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}
