//! The DataFusion session behind every plan: Spark's functions, Spark's types, its zone, microseconds.
//!
//! DataFusion is asked for expressions and plans only. It never resolves a table by itself (see
//! [`super::provider`]), so no text can reach a file, a URL or a catalogue through it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::planner::{ExprPlanner, TypePlanner};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::ParserOptions;
use datafusion::sql::sqlparser::ast;
use datafusion_spark::planner::SparkFunctionPlanner;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Zone, ddl};

use super::deadline::Deadline;
use super::functions;
use super::physical::Operators;
use super::semantics::{SparkOperators, SparkSemantics};
use super::zone::InZone;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A chain of filters and projections: the optimizer keeps the order that was written, so that each filter
    /// counts its own rows.
    Stream,
    /// A whole query over tables, with the time that `now()` gives.
    Batch {
        /// Milliseconds since 1970.
        now_ms: i64,
        /// When planning gives up.
        deadline: Option<Deadline>,
    },
    /// A part of a stream's query over tables at rest, run when they are read: the same rows give the same rows in the
    /// same order.
    Table,
}

/// Rows of a batch between the operators of a query over tables. What an expression makes is held for each of them, so
/// they are fewer than DataFusion's 8,192.
pub(crate) const BATCH_ROWS: usize = 2_048;

/// A new session. Cheap enough to be made for each plan (some hundred functions are registered by pointer).
pub(crate) fn session(
    purpose: Purpose,
    zone: Zone,
    runtime: Arc<RuntimeEnv>,
) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new().with_information_schema(false).with_collect_statistics(true);
    if matches!(purpose, Purpose::Batch { .. }) {
        config = config.with_batch_size(BATCH_ROWS);
    }
    if purpose == Purpose::Table {
        config = config.with_target_partitions(1);
    }
    config.set_extension(Arc::new(SessionZone(zone)));
    let options = config.options_mut();
    // Types and functions of DataFusion's know UTC alone; `super::zone` puts the session's zone in.
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.enable_ansi_mode = true;
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    // Spark reads `1.5` as DECIMAL(2,1) and sorts NULL before everything.
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_min".to_owned();
    let mut builder =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    builder = builder.with_query_planner(Arc::new(Operators));
    let planners = builder.expr_planners().get_or_insert_default();
    let ours: [Arc<dyn ExprPlanner>; 2] = [Arc::new(SparkOperators), Arc::new(SparkFunctionPlanner)];
    planners.splice(0..0, ours);
    if purpose == Purpose::Stream {
        let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
            Arc::new(SimplifyExpressions::new()),
            Arc::new(CommonSubexprEliminate::new()),
            Arc::new(OptimizeProjections::new()),
        ];
        builder = builder.with_optimizer_rules(rules);
    }
    if !zone.is_utc() {
        builder = builder.with_analyzer_rule(Arc::new(InZone(zone)));
    }
    // A scan of delta-rs that reads no file says that a limit may be pushed into it, and gives all rows: LIMIT and
    // OFFSET stay where they were written. What they stand on is asked for no more rows than they need even so.
    let mut physical = PhysicalOptimizer::new().rules;
    physical.retain(|rule| rule.name() != "LimitPushdown");
    if let Purpose::Batch { deadline: Some(deadline), .. } = purpose {
        builder = builder.with_optimizer_rules(deadline.before_each(Optimizer::new().rules));
        physical = deadline.before_each_physical(physical);
    }
    builder = builder.with_physical_optimizer_rules(physical);
    let mut state = builder.build();
    datafusion_spark::register_all(&mut state)?;
    let now_ms = match purpose {
        Purpose::Stream | Purpose::Table => None,
        Purpose::Batch { now_ms, .. } => Some(now_ms),
    };
    functions::register(&mut state, now_ms, zone)?;
    state.register_function_rewrite(Arc::new(SparkSemantics(zone)))?;
    // A function that is not told the configuration when it is planned takes DataFusion's, which is not ANSI.
    state.execution_props_mut().config_options = Some(Arc::clone(state.config_options()));
    Ok(state)
}

struct SessionZone(Zone);

/// The zone of a session.
pub(crate) fn zone(state: &SessionState) -> Zone {
    state.config().get_extension::<SessionZone>().map_or(Zone::UTC, |zone| zone.0)
}

/// How the SQL planner reads names and numbers, from the session's configuration.
pub(crate) fn parser_options(state: &SessionState) -> ParserOptions {
    ParserOptions::from(&state.config_options().sql_parser)
}

/// Spark's type names where they differ from DataFusion's.
#[derive(Debug)]
pub(crate) struct SparkTypes;

impl TypePlanner for SparkTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> DfResult<Option<FieldRef>> {
        let data_type = match sql_type {
            ast::DataType::Timestamp(None, ast::TimezoneInfo::None) => ddl::timestamp(),
            ast::DataType::TimestampNtz(None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ast::DataType::Float(_) => DataType::Float32,
            ast::DataType::Binary(None) => DataType::Binary,
            ast::DataType::Custom(name, arguments) if arguments.is_empty() => {
                match name.to_string().to_ascii_lowercase().as_str() {
                    "byte" => DataType::Int8,
                    "short" => DataType::Int16,
                    "long" => DataType::Int64,
                    "timestamp_ltz" => ddl::timestamp(),
                    "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
                    _ => return Err(unknown_type(&name.to_string())),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

fn unknown_type(name: &str) -> DataFusionError {
    const TYPES: [&str; 15] = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "STRING",
        "BINARY",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "INTERVAL",
        "ARRAY",
    ];
    let error = unknown_name("type", name, TYPES.into_iter());
    let error = Error::new(&codes::SQL_PLAN, error.message()).with_hint(error.hint());
    DataFusionError::External(Box::new(error))
}
