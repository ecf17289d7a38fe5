//! SQL in PostgreSQL's dialect over the same tables: what the Postgres wire end point runs.
//!
//! ```text
//! text ─split─▶ statements ─parse─▶ tables are found ─▶ names are spelled, columns labelled ─▶ DataFusion's planner
//!                                                                                              │
//!                  rows within the limits ◀── guards ◀── budget ◀── values of `$1`, … ◀── Planned
//! ```
//!
//! DataFusion's own functions and meaning are modelled on PostgreSQL's, so here its planner does the work that
//! [`crate::plan::resolve`] does for Spark's dialect. Everything behind it is that of [`super`]: the same budget, bounds
//! and guards. What must stay true: a statement reads what the [`TableResolver`] and the [`System`] answer for and
//! nothing else; it cannot change anything; a view of the pipeline means what it means in Spark's dialect.
//!
//! The end point brings the system's own tables and functions along ([`System`]): the engine knows no `pg_catalog`.

use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::TableFunction;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, ParamValues, ScalarValue, SchemaError};
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::sql::parser::Statement as Planable;
use datafusion::sql::sqlparser::ast::Statement;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use futures::StreamExt;

use super::budget::Budget;
use super::described::Told;
use super::{Answer, Explain, Limits, TableProvider, TableResolver, explained, internal, limited};
use crate::plan::deadline::Deadline;
use crate::plan::{JsonDecoderFactory, KAFKA_COLUMN, SqlError};
use crate::plan::{absent, doubles, parse};

mod aligned;
mod arithmetic;
mod as_text;
mod bytes;
mod call;
mod casts;
mod described;
mod detectors;
mod digits;
mod extract;
mod floats;
mod intervals;
mod labels;
mod lengths;
mod literals;
mod member;
mod merged;
mod names;
mod numbers;
mod operators;
mod ordered;
mod parameters;
mod precision;
mod quantified;
mod session;
mod shape;
mod spelled;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod to_char;
mod tree;
mod types;
mod weight;
mod windows;
mod zone;

pub use casts::time;
pub use described::tells_of_tables;
pub use labels::shown;
pub use lengths::read as interval;
pub use literals::{DIGITS, decimal};
pub use text::{Piece, Text, split};

use shape::{as_told, explained_schema, labelled, lines};
use tables::Found;

/// The schema of the pipeline's tables.
pub const PUBLIC: &str = "public";
/// Most nodes of a plan: common table expressions that each read the one before twice double it.
const MAX_NODES: usize = 10_000;
/// Most columns that all its nodes give together.
const MAX_COLUMNS: usize = 200_000;

/// What the end point adds to the tables of the pipeline.
#[async_trait]
pub trait System: Send + Sync {
    /// The name of the database.
    fn database(&self) -> &str;

    /// A table of the system; `schema` is `public` where the statement names none.
    async fn table(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>>;

    /// True for a table that describes others.
    fn is_catalogue(&self, schema: &str, name: &str) -> bool;

    /// Functions beside DataFusion's.
    fn functions(&self) -> Vec<Arc<ScalarUDF>>;

    /// Functions that stand in FROM.
    fn table_functions(&self) -> Vec<Arc<TableFunction>>;

    /// Types beside DataFusion's.
    fn types(&self) -> Arc<dyn TypePlanner>;

    /// Puts a statement right before it is planned. `of_catalogue` if all that it reads describes other tables.
    fn rewritten(&self, text: &Text, statement: Statement, of_catalogue: bool) -> Result<Statement>;
}

/// What a statement is planned with.
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    /// Finds the pipeline's tables.
    pub tables: &'a dyn TableResolver,
    /// Makes the decoders of `from_json` in views.
    pub json: Option<&'a dyn JsonDecoderFactory>,
    /// The system's own.
    pub system: &'a dyn System,
    /// What the statement may take, from now on.
    pub limits: Limits,
    /// What `now()` gives, milliseconds since 1970.
    pub now_ms: i64,
    deadline: Option<Deadline>,
}

impl<'a> Planning<'a> {
    /// Begins to count the time.
    pub fn new(
        tables: &'a dyn TableResolver,
        json: Option<&'a dyn JsonDecoderFactory>,
        system: &'a dyn System,
        limits: Limits,
        now_ms: i64,
    ) -> Self {
        let at = limits.time.and_then(|time| Some(Deadline { at: Instant::now().checked_add(time)?, time }));
        Self { tables, json, system, limits, now_ms, deadline: at }
    }
}

/// A statement that can be run, once.
pub struct Planned {
    /// The columns of its answer, by the names that clients see.
    pub schema: SchemaRef,
    /// The types of `$1`, `$2`, …
    pub parameters: Vec<DataType>,
    plan: LogicalPlan,
    state: SessionState,
    explain: Option<Explain>,
    limits: Limits,
    deadline: Option<Deadline>,
}

/// Plans one SELECT or EXPLAIN. `given` are the types that the client says its parameters have. Must be called inside of
/// a tokio runtime.
///
/// # Errors
/// `SQL_SYNTAX`, `SQL_PLAN`, `NOT_YET`, `QUERY_LIMIT` and those of the tables, with their place in the whole text where it
/// is known.
pub async fn plan(
    planning: Planning<'_>,
    text: &Text,
    given: &[Option<DataType>],
) -> Result<Planned, SqlError> {
    let Planning { system, limits, now_ms, deadline, .. } = planning;
    if let Some(told) = Told::read(&text.tokens) {
        return described::planned(told?, &planning).await;
    }
    let (query, explain) = understood(text.parse()?)?;
    parse::with_room(|| Ok(weight::bound(&query)?))?;
    let runtime = runtime(limits)?;
    let has_kafka = text.pieces().iter().any(|piece| piece.text().eq_ignore_ascii_case(KAFKA_COLUMN));
    let Statement::Query(read) = &query else {
        return Err(Error::new(&codes::INTERNAL, "a SELECT is none").into());
    };
    let found = tables::find(read, has_kafka, &planning, &runtime).await?;
    let of_catalogue = !found.is_empty() && found.iter().all(|table| table.is_system);
    // Again, now that the names of all columns are known.
    let spelled = text::parse_tokens(names::respelled(&text.tokens, tables::spelling(&found)))?;
    let (mut statement, _) = understood(spelled)?;
    tables::without_database(&mut statement, system.database());
    let labels = parse::with_room(|| {
        windows::rewritten(&mut statement)?;
        merged::rewritten(&mut statement)?;
        ordered::rewritten(&mut statement)?;
        let labels = labels::labelled(&mut statement);
        if !of_catalogue {
            quantified::rewritten(&mut statement);
        }
        Ok(labels)
    })?;
    let mut statement = system.rewritten(text, statement, of_catalogue)?;
    let found = match &statement {
        // It may ask for the same in another way.
        Statement::Query(read) if of_catalogue => tables::find(read, has_kafka, &planning, &runtime).await?,
        _ => found,
    };
    let statement = parse::with_room(|| {
        tree::rewritten(&mut statement)?;
        if !of_catalogue {
            spelled::rewritten(&mut statement)?;
            parse::shallow(&statement)?;
        }
        Ok(statement)
    })?;
    let state = session::session(system, &found, runtime, now_ms, deadline, given).map_err(internal)?;
    let (plan, state) = parse::with_room_to_wait(async move {
        let plan = state.statement_to_plan(Planable::Statement(Box::new(statement))).await;
        let plan = plan.map_err(refused)?;
        bounded(&plan, of_catalogue)?;
        let plan = absent::nullable(plan).and_then(literals::narrowed);
        Ok((plan.map_err(refused)?, state))
    })
    .await
    .map_err(|error| detectors::told(error, planning.tables))?;
    let mut given = given.to_vec();
    // A parameter counts also where what it stood in was taken out.
    given.resize(given.len().max(text.parameters()), None);
    let (plan, parameters) = parse::with_room(move || {
        let (plan, parameters) = parameters::typed(plan, &given).map_err(SqlError::planning)?;
        let plan = aligned::aligned(plan).and_then(doubles::coerced).and_then(intervals::shown);
        Ok((plan.map_err(SqlError::planning)?, parameters))
    })?;
    let schema = match &explain {
        Some(_) => explained_schema(),
        None => {
            // What comes out has the types that are found when operands are made alike, not those of a first branch.
            let analyzed = parse::with_room(|| {
                let analyzer = state.analyzer();
                let analyzed = analyzer.execute_and_check(plan.clone(), state.config_options(), |_, _| {});
                analyzed.map_err(SqlError::planning)
            });
            labelled(analyzed.as_ref().unwrap_or(&plan), labels)
        }
    };
    Ok(Planned { schema, parameters, plan, state, explain, limits, deadline })
}

/// What a statement works with: memory, and no disk.
fn runtime(limits: Limits) -> Result<Arc<RuntimeEnv>, SqlError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory)))
        .with_disk_manager_builder(disk);
    runtime.build_arc().map_err(internal)
}

/// The query that a statement asks, and whether only its plan is wanted.
fn understood(statement: Statement) -> Result<(Statement, Option<Explain>), SqlError> {
    match statement {
        Statement::Query(_) => Ok((statement, None)),
        Statement::Explain { statement, verbose, analyze, .. } => match *statement {
            Statement::Query(_) => Ok((*statement, Some(Explain { verbose, analyze }))),
            other => Err(changes(&other)),
        },
        other => Err(changes(&other)),
    }
}

/// Refuses what does anything else than read, in PostgreSQL's own words.
fn changes(statement: &Statement) -> SqlError {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this").to_uppercase();
    let error = Error::new(&codes::SQL_PLAN, format!("cannot execute {verb} in a read-only transaction"));
    error
        .with_hint("Tables are written by the queries of the pipeline; here they can be read with SELECT, SHOW TABLES and DESCRIBE.")
        .into()
}

/// Refuses a plan that is more than it looks, and what does anything else than read.
fn bounded(plan: &LogicalPlan, of_catalogue: bool) -> Result<(), SqlError> {
    let (mut nodes, mut columns, mut error) = (0_usize, 0_usize, None);
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        columns += node.schema().fields().len();
        error = if nodes > MAX_NODES || columns > MAX_COLUMNS {
            let error = Error::new(&codes::SQL_PLAN, "the statement is too large to be planned");
            Some(error.with_hint("Each use of a WITH counts with all that it reads: use them less often."))
        } else {
            match node {
                LogicalPlan::Dml(_)
                | LogicalPlan::Ddl(_)
                | LogicalPlan::Copy(_)
                | LogicalPlan::Statement(_)
                | LogicalPlan::RecursiveQuery(_) => {
                    Some(Error::new(&codes::SQL_PLAN, "cannot execute this in a read-only transaction"))
                }
                LogicalPlan::Unnest(_) if !of_catalogue => {
                    Some(Error::new(&codes::NOT_YET, "unnest(…) over tables is not supported yet"))
                }
                _ => None,
            }
        };
        Ok(if error.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(SqlError::planning)?;
    error.map_or(Ok(()), |error| Err(error.into()))
}

/// DataFusion's refusal, with our words for a column that is not there.
fn refused(error: DataFusionError) -> SqlError {
    if let DataFusionError::SchemaError(inner, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = inner.as_ref()
    {
        let known = unknown_name("column", &field.name, valid_fields.iter().map(|field| field.name.as_str()));
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let place = span.map(|span| (span.start.line as usize, span.start.column as usize));
        let error = Error::new(&codes::SQL_PLAN, known.message()).with_hint(known.hint());
        return SqlError::new(error, place);
    }
    let planned = SqlError::planning(error);
    // DataFusion's words for a subquery that it could not make a join of.
    if planned.error.message().contains("physical plan does not support logical expression") {
        let message = "a subquery that refers to columns around it in this way is not supported yet";
        let hint = "Compare them by =, without LIMIT, or write it as a JOIN.";
        return Error::new(&codes::NOT_YET, message).with_hint(hint).into();
    }
    planned
}

impl Planned {
    /// Runs it with these values, each of its parameter's type; a number of any precision is one. Must be called inside
    /// of a tokio runtime; dropping the answer ends the work.
    ///
    /// # Errors
    /// As of [`plan`].
    pub async fn run(self, values: Vec<ScalarValue>) -> Result<Answer, SqlError> {
        let Self { schema, parameters, plan, state, explain, limits, deadline } = self;
        let budget = Arc::new(Budget::new(limits.memory, deadline));
        let meter = Arc::clone(&budget);
        let session = &state;
        let plan = parse::with_room(move || {
            let plan = match parameters.is_empty() {
                true => plan,
                false => {
                    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..));
                    let cast = |(value, wanted): (ScalarValue, &DataType)| match value.data_type() {
                        // A number keeps its digits: what it is compared with may have fewer.
                        own if own == *wanted || (is_decimal(&own) && is_decimal(wanted)) => Ok(value),
                        _ => value.cast_to(wanted),
                    };
                    let values = values.into_iter().zip(&parameters).map(cast);
                    let values: Vec<_> = values.collect::<Result<_, _>>().map_err(SqlError::planning)?;
                    let plan = parameters::series::with_values(plan, &values, session);
                    let plan = plan.map_err(SqlError::planning)?;
                    let values = ParamValues::List(values.into_iter().map(Into::into).collect());
                    plan.with_param_values(values).map_err(SqlError::planning)?
                }
            };
            let plan = super::bounds::metered(plan, &meter).map_err(SqlError::planning)?;
            match explain {
                None => Ok(plan),
                Some(explain) => explained(plan, explain).map_err(SqlError::planning),
            }
        })?;
        let started = parse::with_room_to_wait(async move {
            super::started(&state, &plan, limits.memory, &budget, deadline).await.map_err(refused)
        });
        let stream = match deadline {
            None => started.await?,
            Some(deadline) => {
                let ended = tokio::time::timeout_at(deadline.at.into(), started).await;
                ended.map_err(|_| deadline.passed())??
            }
        };
        let told = Arc::clone(&schema);
        let batches = stream.map(move |batch| {
            let batch = batch.map_err(super::failed)?;
            as_told(&told, &batch)?;
            Ok(batch)
        });
        let batches = match explain {
            None => batches.boxed(),
            Some(_) => batches.map(|batch| lines(&batch?)).boxed(),
        };
        Ok(Answer { schema, batches: limited(batches, deadline, limits.rows) })
    }
}
