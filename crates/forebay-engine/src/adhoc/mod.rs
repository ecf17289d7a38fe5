//! SQL over tables at rest: what `forebay query` and the serving end points run.
//!
//! The same dialect, functions and name rules as a streaming query's ([`crate::plan`]), but all of SQL's operators:
//! joins, aggregates, windows. What must stay true: a statement can only read, and only what the [`TableResolver`]
//! answers for; DataFusion has no catalogue, file reader or table function of its own here. Time, memory and rows are
//! bounded by [`Limits`]: DataFusion's pool counts what operators hold, [`budget`] what functions make and how long they
//! work, [`guard`] what passes between operators, and [`bounds`] refuses what can be told from the plan. A panic of the
//! engine ends the statement with an error and nothing else.
//!
//! [`postgres`] is a second entrance, in PostgreSQL's dialect, over the same tables and within the same bounds.
//! [`render`] writes an answer as a table, CSV or JSON lines, [`rows`] as one JSON text of bounded size.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement, Visit, Visitor};
use forebay_core::catalog::TableName;
use forebay_core::detect::Functions;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::task::JoinError;

use crate::plan::deadline::Deadline;
use crate::plan::parse::{self, Paths};
use crate::plan::resolve::Planner;
use crate::plan::session::{self, Purpose};
use crate::plan::{JsonDecoderFactory, SqlError, core_error};

mod bounds;
mod budget;
mod checked;
mod described;
mod distinct;
pub mod files;
mod guard;
pub mod lanes;
mod namespaces;
pub mod postgres;
mod prepared;
pub mod render;
pub mod rows;
mod show;
mod tally;
#[cfg(test)]
mod tests;

pub use checked::{Known, check};
pub use datafusion::catalog::TableProvider;
pub use described::{About, Commit};

use self::budget::Budget;
use self::described::Told;
use self::prepared::Prepared;

/// Finds tables by name or path. It decides what may be read: a serving end point answers for registered names only.
#[async_trait]
pub trait TableResolver: Send + Sync {
    /// The table behind a name (`kind` is `None`), or behind ``delta.`/path` `` (`kind` is `Some("delta")`, in lower
    /// case; also `parquet`, `json`, `csv`, and `kafka` with a topic). `Ok(None)` if there is none; names compare
    /// without regard to case.
    async fn resolve(&self, kind: Option<&str>, name_or_path: &str)
    -> Result<Option<Arc<dyn TableProvider>>>;

    /// The names that can be read without a path, for `SHOW TABLES` and for hints.
    async fn names(&self) -> Result<Vec<String>>;

    /// The tables of catalogs, for SHOW; the rest of [`Self::names`] is in none.
    async fn catalog(&self) -> Result<Vec<TableName>> {
        Ok(Vec::new())
    }

    /// What is known of the table of a name beside its columns, for DESCRIBE EXTENDED.
    async fn about(&self, kind: Option<&str>, name_or_path: &str) -> Result<Option<About>> {
        let _ = (kind, name_or_path);
        Ok(None)
    }

    /// The newest commits of a Delta table, at most so many, for DESCRIBE HISTORY; `None` for what keeps no history.
    async fn history(
        &self,
        kind: Option<&str>,
        name_or_path: &str,
        most: usize,
    ) -> Result<Option<Vec<Commit>>> {
        let _ = (kind, name_or_path, most);
        Ok(None)
    }

    /// The zone in which statements read and show times.
    fn time_zone(&self) -> Zone {
        Zone::UTC
    }

    /// Names that stand for a SELECT; each sees the tables and the views before it. A table of the same name wins.
    fn views(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What makes the models behind calls of detectors; `None`: there are no such functions.
    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        None
    }
}

/// What one statement may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From its start to its last row.
    pub time: Option<Duration>,
    /// Bytes that sorts, joins and aggregates may hold, and as many again that functions may make; nothing is spilled
    /// to disk.
    pub memory: usize,
    /// Rows that come out; one more is an error.
    pub rows: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: None, memory: 1 << 30, rows: None }
    }
}

/// The answer to a statement: its columns, known at once, and its rows as they are computed.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. After an error the stream ends.
    pub batches: BoxStream<'static, Result<RecordBatch>>,
}

/// Which statements are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// SELECT, SHOW, DESCRIBE and EXPLAIN.
    All,
    /// SELECT, SHOW and DESCRIBE: not how a statement is worked on.
    Rows,
}

/// Runs one statement of those that are taken. `now_ms` is the time that `now()` gives, milliseconds since 1970. Must
/// be called inside of a tokio runtime; dropping the answer cancels the work.
pub async fn run(
    tables: &dyn TableResolver,
    json: Option<&dyn JsonDecoderFactory>,
    sql: &str,
    takes: Takes,
    limits: Limits,
    now_ms: i64,
) -> Result<Answer, SqlError> {
    answer(tables, json, sql, (takes, None), limits, now_ms).await.map_err(|error| error.located(sql))
}

/// Runs one SELECT in one lane, so that rows come in the order in which a table has them, where nothing sorts them. What a sort
/// cannot hold goes to files below `spill`, which are gone with the answer. As [`run`] otherwise.
pub async fn run_in_order(
    tables: &dyn TableResolver,
    json: Option<&dyn JsonDecoderFactory>,
    sql: &str,
    limits: Limits,
    now_ms: i64,
    spill: &Path,
) -> Result<Answer, SqlError> {
    let takes = (Takes::Rows, Some(spill));
    answer(tables, json, sql, takes, limits, now_ms).await.map_err(|error| error.located(sql))
}

async fn answer(
    tables: &dyn TableResolver,
    json: Option<&dyn JsonDecoderFactory>,
    sql: &str,
    (takes, spill): (Takes, Option<&Path>),
    limits: Limits,
    now_ms: i64,
) -> Result<Answer, SqlError> {
    let deadline =
        limits.time.and_then(|time| Some(Deadline { at: Instant::now().checked_add(time)?, time }));
    let asked = parse::with_room(|| understood(sql))?;
    if takes == Takes::Rows && matches!(asked, Asked::Rows { explain: Some(_), .. }) {
        let error = Error::new(&codes::SQL_PLAN, "only SELECT, SHOW and DESCRIBE are possible here");
        return Err(error.with_hint("`forebay query` on this machine also takes EXPLAIN.").into());
    }
    let (query, explain, names) = match asked {
        Asked::Told(told) => {
            let batch = told.answer(tables, json, (now_ms, deadline)).await?;
            let (schema, batches) = (batch.schema(), futures::stream::iter([Ok(batch)]).boxed());
            return Ok(Answer { schema, batches: limited(batches, deadline, limits.rows) });
        }
        Asked::Rows { query, explain, names } => (query, explain, names),
    };
    let prepared = Prepared::load(tables, names).await?;
    let disk = match spill {
        None => DiskManagerMode::Disabled,
        Some(folder) => DiskManagerMode::Directories(vec![folder.to_path_buf()]),
    };
    let disk = DiskManagerBuilder::default().with_mode(disk);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(internal)?;
    let mut state = session::session(Purpose::Batch { now_ms, deadline }, tables.time_zone(), runtime)
        .map_err(internal)?;
    if spill.is_some() {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
    let budget = Arc::new(Budget::new(limits.memory, deadline));
    let plan = parse::with_room(|| {
        let plan = Planner::new(&state, &prepared, json, false).until(deadline).plan(query)?;
        let plan = bounds::metered(plan, &budget).map_err(SqlError::planning)?;
        match explain {
            None => Ok(plan),
            Some(explain) => explained(plan, explain).map_err(SqlError::planning),
        }
    })?;
    let started = parse::with_room_to_wait(async move {
        started(&state, &plan, limits.memory, &budget, deadline).await.map_err(SqlError::planning)
    });
    let stream = match deadline {
        None => started.await?,
        Some(deadline) => {
            let ended = tokio::time::timeout_at(deadline.at.into(), started).await;
            ended.map_err(|_| deadline.passed())??
        }
    };
    let schema = stream.schema();
    let batches = stream.map(|batch| batch.map_err(failed));
    let batches = match explain {
        None => batches.boxed(),
        Some(_) => batches.map(|batch| show::line_by_line(&batch?)).boxed(),
    };
    Ok(Answer { schema, batches: limited(batches, deadline, limits.rows) })
}

/// Plans the operators and begins to run them.
async fn started(
    state: &SessionState,
    plan: &LogicalPlan,
    memory: usize,
    budget: &Budget,
    deadline: Option<Deadline>,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let plan = state.optimize(plan)?;
    bounds::narrow(&plan, memory)?;
    let planned = state.query_planner().create_physical_plan(&plan, state).await?;
    let planned = tally::over(planned, deadline).await?;
    budget.planned();
    let pool = &state.runtime_env().memory_pool;
    execute_stream(guard::guarded(planned, memory, pool, deadline)?, state.task_ctx())
}

/// What a statement asks for.
enum Asked {
    /// SHOW or DESCRIBE.
    Told(Told),
    /// SELECT or EXPLAIN, with the names that stand in its FROM clauses.
    Rows { query: Box<Query>, explain: Option<Explain>, names: BTreeSet<ObjectName> },
}

fn understood(sql: &str) -> Result<Asked, SqlError> {
    if let Some(told) = Told::read(&parse::words(sql)?) {
        return Ok(Asked::Told(told?));
    }
    let statement = parse::one_statement(sql, Paths::Yes)?;
    let (query, explain) = match statement {
        Statement::Query(query) => (query, None),
        Statement::Explain { statement, verbose, analyze, .. } => match *statement {
            Statement::Query(query) => (query, Some(Explain { verbose, analyze })),
            other => return Err(read_only(&other)),
        },
        other => return Err(read_only(&other)),
    };
    let names = relations(&query);
    Ok(Asked::Rows { query, explain, names })
}

#[derive(Clone, Copy)]
struct Explain {
    verbose: bool,
    analyze: bool,
}

fn explained(plan: LogicalPlan, explain: Explain) -> Result<LogicalPlan, DataFusionError> {
    LogicalPlanBuilder::from(plan).explain(explain.verbose, explain.analyze)?.build()
}

fn read_only(statement: &Statement) -> SqlError {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this").to_uppercase();
    Error::new(&codes::SQL_PLAN, format!("{verb} is not possible here: statements can only read"))
        .with_hint("Use SELECT, SHOW CATALOGS, SHOW SCHEMAS, SHOW TABLES, SHOW COLUMNS, DESCRIBE or EXPLAIN.")
        .into()
}

/// Every name in a FROM of the statement, common table expressions left out.
pub(crate) fn relations(query: &Query) -> BTreeSet<ObjectName> {
    #[derive(Default)]
    struct Names {
        found: BTreeSet<ObjectName>,
        ctes: Vec<String>,
    }
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
            self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
            ControlFlow::Continue(())
        }

        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            self.found.insert(name.clone());
            ControlFlow::Continue(())
        }
    }
    let mut names = Names::default();
    let _: ControlFlow<()> = query.visit(&mut names);
    let Names { mut found, ctes } = names;
    found.retain(|name| match name.0.as_slice() {
        [part] => !part.as_ident().is_some_and(|ident| ctes.contains(&ident.value.to_lowercase())),
        _ => true,
    });
    found
}

fn limited(
    batches: BoxStream<'static, Result<RecordBatch>>,
    deadline: Option<Deadline>,
    most: Option<u64>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let state = Some((batches, 0_u64));
    futures::stream::unfold(state, move |state| async move {
        let (mut batches, seen) = state?;
        let next = AssertUnwindSafe(batches.next()).catch_unwind();
        let next = match deadline {
            None => next.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.at.into(), next).await {
                Ok(next) => next,
                Err(_) => return Some((Err(deadline.passed()), None)),
            },
        };
        let next = match next {
            Ok(next) => next?,
            Err(panic) => return Some((Err(parse::panicked(panic.as_ref())), None)),
        };
        match next {
            Ok(batch) => {
                let seen = seen + batch.num_rows() as u64;
                if let Some(most) = most.filter(|most| seen > *most) {
                    let error =
                        Error::new(&codes::QUERY_LIMIT, format!("the query gives more than {most} rows"));
                    return Some((Err(error), None));
                }
                Some((Ok(batch), Some((batches, seen))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

fn failed(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(&codes::QUERY_LIMIT, "the query needs more memory than it is allowed").caused_by(error)
        }
        // A task of the engine's own.
        DataFusionError::ExecutionJoin(task) if task.is_panic() => parse::broken(&task.to_string()),
        DataFusionError::External(task)
            if task.downcast_ref::<Arc<JoinError>>().is_some_and(|task| task.is_panic()) =>
        {
            parse::broken(&task.to_string())
        }
        _ => core_error(&codes::QUERY_FAILED, error),
    }
}

fn internal(error: DataFusionError) -> SqlError {
    core_error(&codes::INTERNAL, error).into()
}
