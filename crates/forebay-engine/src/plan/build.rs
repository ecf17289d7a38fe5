//! From a verified logical plan to a [`Graph`]: the plan is cut at its operators with state, and what lies between two
//! of them is optimized and lowered by itself.
//!
//! ```text
//! Projection ─ Filter ─ Aggregate ─ Projection ─ Filter ─ TableScan
//! └─ Stages ─┘          └ spec ──┘  └──── the input's stages ─────┘
//! ```
//!
//! Below an operator stands a projection of what the operator reads, so nothing else travels. What must stay true: an
//! operator's rows have the columns that its node in the plan has, in their order; so the names above it are found.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    Distinct, EmptyRelation, Expr, FetchType, LogicalPlan, Projection, SkipType, SortExpr,
};
use datafusion::physical_expr::PhysicalSortExpr;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::catalog::SourceColumns;
use super::graph::{DeduplicateSpec, Staged, StepPlan};
use super::lineage::{Lineage, Origin};
use super::lower::{self, Lowered, simplified};
use super::modes::{self, Kind};
use super::once::{self, Once};
use super::resolve::record::IN_ENVELOPE;
use super::sort::SortSpec;
use super::sql_error::SqlError;
use super::{observe, verify};

/// Most operators with state of one query: each is a table of its own, and rows pass them one after the other.
const MAX_OPERATORS: usize = 32;

/// What a plan is made of.
pub(super) struct Built {
    pub input: BuiltInput,
    pub steps: Vec<StepPlan>,
}

/// The lanes' part.
pub(super) struct BuiltInput {
    pub lowered: Lowered,
    /// The optimized plan of it.
    pub plan: LogicalPlan,
    pub rows: SchemaRef,
    /// The event time among the rows, if an operator reads it.
    pub event_time: Option<usize>,
}

/// Builds; `mode` is `None` for a view by itself, which any mode may use.
pub(super) fn build(
    plan: &LogicalPlan,
    session: &SessionState,
    lineage: Lineage,
    columns: &SourceColumns,
    carries: bool,
    mode: Option<OutputMode>,
) -> Result<Built, SqlError> {
    let mut builder =
        Builder { session, lineage, columns, carries, input: None, steps: Vec::new(), kinds: Vec::new() };
    builder.rows(plan)?;
    if let Some(mode) = mode {
        modes::check(&builder.kinds, mode)?;
    }
    match builder.input {
        Some(input) => Ok(Built { input, steps: builder.steps }),
        None => Err(Error::new(&codes::INTERNAL, "the query reads no source").into()),
    }
}

/// True if a plan has an operator with state.
pub(super) fn remembers(plan: &LogicalPlan) -> bool {
    let (_, node) = cut(plan);
    node.is_some()
}

pub(super) struct Builder<'a> {
    pub session: &'a SessionState,
    pub lineage: Lineage,
    columns: &'a SourceColumns,
    carries: bool,
    input: Option<BuiltInput>,
    pub steps: Vec<StepPlan>,
    /// The operators so far, in the order of the rows' way.
    pub kinds: Vec<Kind>,
}

/// The rows that a part of the plan gives.
pub(super) struct Rows {
    pub schema: DFSchemaRef,
    pub origins: Vec<Origin>,
}

impl Builder<'_> {
    /// Builds everything that gives the rows of a plan.
    pub fn rows(&mut self, plan: &LogicalPlan) -> Result<Rows, SqlError> {
        let (mut segment, node) = cut(plan);
        if node.is_none() {
            segment = self.lineage.settled(&segment).map_err(SqlError::planning)?;
        }
        let leaf = node.map(|node| self.operator(node)).transpose()?;
        let origins = self.lineage.columns(&segment, leaf.as_deref().unwrap_or_default());
        let schema = Arc::clone(segment.schema());
        if matches!(segment, LogicalPlan::EmptyRelation(_)) {
            return Ok(Rows { schema, origins });
        }
        let optimized = self
            .session
            .optimizer()
            .optimize(segment, self.session, |_, _| {})
            .map_err(SqlError::planning)?;
        let mut lowered = lower::lower(&optimized, self.session)?;
        let rows = arrow_schema(&schema);
        if leaf.is_some() {
            let stages = std::mem::take(&mut lowered.stages);
            if !stages.is_empty() {
                let uses_epoch_time = lower::uses_time(&stages);
                self.steps.push(StepPlan::Stages(Staged { stages: stages.into(), rows, uses_epoch_time }));
            }
        } else {
            let event_time = origins.iter().position(|origin| *origin == Origin::Time);
            if let Some(column) = event_time {
                lowered.stages = observe::place(lowered.stages, column);
            }
            self.input = Some(BuiltInput { lowered, plan: optimized, rows, event_time });
        }
        Ok(Rows { schema, origins })
    }

    /// Builds an operator and everything below it; gives the origins of its columns.
    fn operator(&mut self, node: &LogicalPlan) -> Result<Vec<Origin>, SqlError> {
        if self.kinds.len() >= MAX_OPERATORS {
            let message = format!("the query has more than {MAX_OPERATORS} operators with state");
            let hint = "Write the rows between two of them to a table, and read that with another query.";
            return Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint).into());
        }
        match node {
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Sort(sort) => {
                let rows = self.whole(&sort.input, &verify::ORDER_BY)?;
                let by = self.order(&sort.expr, &rows.schema)?;
                self.steps.push(StepPlan::Sort(Arc::new(SortSpec {
                    rows: arrow_schema(&rows.schema),
                    by,
                    limit: sort.fetch,
                })));
                Ok(rows.origins)
            }
            LogicalPlan::Limit(limit) => {
                let rows = self.whole(&limit.input, &verify::LIMIT)?;
                let (Ok(FetchType::Literal(most)), Ok(SkipType::Literal(0))) =
                    (limit.get_fetch_type(), limit.get_skip_type())
                else {
                    return Err(verify::LIMIT.error().into());
                };
                self.steps.push(StepPlan::Sort(Arc::new(SortSpec {
                    rows: arrow_schema(&rows.schema),
                    by: Vec::new(),
                    limit: most,
                })));
                Ok(rows.origins)
            }
            other => match once::of(other) {
                Some(once) => self.deduplicate(once),
                None => {
                    let message = format!("the query has the operator {}", other.display());
                    Err(Error::new(&codes::INTERNAL, message).into())
                }
            },
        }
    }

    /// The rows below ORDER BY and LIMIT, which must be all there are.
    fn whole(&mut self, input: &LogicalPlan, refusal: &verify::Refusal) -> Result<Rows, SqlError> {
        let rows = self.rows(input)?;
        match self.kinds.iter().any(|kind| matches!(kind, Kind::Aggregate { .. })) {
            true => Ok(rows),
            false => Err(refusal.error().into()),
        }
    }

    fn deduplicate(&mut self, once: &Once) -> Result<Vec<Origin>, SqlError> {
        let rows = self.rows(&once.input)?;
        let is_time = |index: &usize| rows.origins.get(*index) == Some(&Origin::Time);
        let is_window = |index: &usize| rows.origins.get(*index) == Some(&Origin::Window);
        let key = once.keys.iter().copied().find(is_time).or(once.keys.iter().copied().find(is_window));
        let event_time = key.or_else(|| (0..rows.origins.len()).find(is_time));
        if once.within_us.is_some() && event_time.is_none() {
            let hint =
                "Spark refuses it too. Give the source a `watermark`, and let the SELECT give its column.";
            let message = "`deduplicate` with `within` is not possible without a watermark";
            return Err(Error::new(&codes::WATERMARK_MISSING, message).with_hint(hint).into());
        }
        let name = format!("deduplicate-{}", self.kinds.len());
        self.kinds.push(Kind::Deduplicate { timed: key.is_some() || once.within_us.is_some() });
        let input = arrow_schema(&rows.schema);
        self.steps.push(StepPlan::Deduplicate(Arc::new(DeduplicateSpec {
            name,
            input,
            keys: once.keys.clone(),
            event_time,
            within_us: once.within_us,
        })));
        Ok(rows.origins)
    }

    /// The time of a window over a plan; its column, if that is the event time and the plan reads the source.
    pub fn time(&self, ts: &Expr, input: &LogicalPlan) -> Result<Expr, SqlError> {
        let (segment, None) = cut(input) else { return Ok(ts.clone()) };
        let columns = self.lineage.columns(&segment, &[]);
        self.lineage.with_column(ts, input.schema(), &columns).map_err(SqlError::planning)
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
        let records = if self.carries && self.kinds.is_empty() && !remembers(input) {
            record_columns(input, self.columns)
        } else {
            Vec::new()
        };
        list.extend(records);
        let projection = Projection::try_new(list, Arc::clone(input)).map_err(SqlError::planning)?;
        Ok(LogicalPlan::Projection(projection))
    }
}

/// A plan down to its first operator with state, in whose place stands a leaf of its columns; and that operator.
fn cut(plan: &LogicalPlan) -> (LogicalPlan, Option<&LogicalPlan>) {
    match plan {
        LogicalPlan::Projection(projection) => {
            let (input, node) = cut(&projection.input);
            let cut = Projection::try_new_with_schema(
                projection.expr.clone(),
                Arc::new(input),
                Arc::clone(&projection.schema),
            );
            (cut.map_or_else(|_| plan.clone(), LogicalPlan::Projection), node)
        }
        LogicalPlan::Filter(filter) => {
            let (input, node) = cut(&filter.input);
            let mut filter = filter.clone();
            filter.input = Arc::new(input);
            (LogicalPlan::Filter(filter), node)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (input, node) = cut(&alias.input);
            let mut alias = alias.clone();
            alias.input = Arc::new(input);
            (LogicalPlan::SubqueryAlias(alias), node)
        }
        LogicalPlan::TableScan(_) => (plan.clone(), None),
        operator => {
            let schema = Arc::clone(operator.schema());
            (LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }), Some(operator))
        }
    }
}

/// The columns of a logical schema, without their qualifiers.
pub(super) fn arrow_schema(schema: &DFSchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}

/// What each row says of its record, over the columns of `input`.
fn record_columns(input: &LogicalPlan, columns: &SourceColumns) -> Vec<Expr> {
    let schema = input.schema();
    let named = |name: &str| {
        schema.iter().find(|(_, field)| field.name() == name).map(|found| Expr::Column(found.into()))
    };
    let is_envelope = matches!(columns, SourceColumns::Envelope { .. }) && named("timestampType").is_some();
    let all: Option<Vec<Expr>> = IN_ENVELOPE
        .iter()
        .map(|(carried, plain)| {
            let of_envelope = || {
                let field = schema.iter().find(|(_, field)| field.name() == super::KAFKA_COLUMN)?;
                let has_it = matches!(field.1.data_type(), arrow::datatypes::DataType::Struct(fields)
                    if fields.iter().any(|field| field.name() == plain));
                has_it.then(|| super::functions::field(Expr::Column(field.into()), plain))
            };
            let found = named(carried).or_else(of_envelope);
            let found = found.or_else(|| is_envelope.then(|| named(plain)).flatten());
            found.map(|expr| expr.alias(*carried))
        })
        .collect();
    all.unwrap_or_default()
}
