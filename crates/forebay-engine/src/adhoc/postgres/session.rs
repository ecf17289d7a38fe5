//! The DataFusion session behind a statement in PostgreSQL's dialect: DataFusion's own functions and meaning, which are
//! modelled on PostgreSQL's, over the tables that were found for this statement and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, TableFunctionArgs, TableFunctionImpl, TableProvider,
};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use super::literals::Unknowns;
use super::operators::Operators;
use super::parameters::{Beside, series};
use super::types::Types;
use super::{Found, System};
use super::{
    arithmetic, as_text, bytes, casts, extract, floats, intervals, lengths, member, precision, to_char, zone,
};
use crate::plan::deadline::Deadline;
use crate::plan::functions;
use crate::plan::physical;
use crate::plan::session::BATCH_ROWS;

/// A session that sees these tables, in a database of this name. `given` are the types that the client says its parameters have.
pub(super) fn session(
    system: &dyn System,
    found: &[Found],
    runtime: Arc<RuntimeEnv>,
    now_ms: i64,
    deadline: Option<Deadline>,
    given: &[Option<DataType>],
) -> Result<SessionState> {
    let database = system.database();
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(database, super::PUBLIC)
        .with_collect_statistics(true)
        .with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.enable_ansi_mode = true;
    // Whatever recurses has no bound that is known before.
    options.execution.enable_recursive_ctes = false;
    // Names were folded and spelled before (`names`).
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.parse_float_as_decimal = true;
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(physical::Operators))
        .with_catalog_list(catalogs(database, found)?)
        .with_type_planner(Arc::new(Types(system.types())));
    let ours: [Arc<dyn ExprPlanner>; 3] =
        [Arc::new(Beside(given.to_vec())), Arc::new(Unknowns), Arc::new(Operators)];
    builder.expr_planners().get_or_insert_default().splice(0..0, ours);
    // See `plan::session`: LIMIT stays where it was written.
    let mut physical = PhysicalOptimizer::new().rules;
    physical.retain(|rule| rule.name() != "LimitPushdown");
    if let Some(deadline) = deadline {
        builder = builder.with_optimizer_rules(deadline.before_each(Optimizer::new().rules));
        physical = deadline.before_each_physical(physical);
    }
    let mut state = builder.with_physical_optimizer_rules(physical).build();
    state.register_udf(Arc::new(functions::kept_function()))?;
    state.register_udf(zone::timezone())?;
    // Another name of DataFusion's own `to_char`.
    state.deregister_udf("date_format")?;
    state.register_udf(to_char::to_char())?;
    for (known, name) in OTHER_NAMES {
        let other = state.udf(known)?.as_ref().clone().with_aliases([*name]);
        state.register_udf(Arc::new(other))?;
    }
    let ours = [
        as_text::TEXT,
        as_text::OUTPUT,
        bytes::BYTEA,
        lengths::TO_INTERVAL,
        member::FROM,
        member::UNKNOWN_IN,
        precision::ROUND,
        precision::TIME,
        precision::TRUNC,
        arithmetic::NEGATE,
        extract::EXTRACT,
        intervals::LENGTH,
        intervals::SHOWN,
        intervals::AGE,
    ];
    for ours in ours.into_iter().chain(casts::ALL).chain(floats::ALL) {
        state.register_udf(Arc::new(ours.function()))?;
    }
    state.register_udf(Arc::new(member::function()))?;
    let every = state.udaf("bool_and")?.as_ref().clone().with_aliases(["every"]);
    state.register_udaf(Arc::new(every))?;
    let variance = state.udaf("var")?.as_ref().clone().with_aliases(["variance"]);
    state.register_udaf(Arc::new(variance))?;
    functions::register_bounds(&mut state, now_ms)?;
    for function in system.functions() {
        state.register_udf(function)?;
    }
    state.deregister_udtf("range")?;
    if let Some(series) = state.table_functions().get(SERIES).map(|series| Arc::clone(series.function())) {
        state.register_udtf(SERIES, Arc::new(Series(series)));
    }
    for function in system.table_functions() {
        state.register_udtf(function.name(), Arc::clone(function.function()));
    }
    state.execution_props_mut().config_options = Some(Arc::clone(state.config_options()));
    Ok(state)
}

const SERIES: &str = "generate_series";

/// DataFusion's functions that PostgreSQL has under another name, which comes second.
const OTHER_NAMES: &[(&str, &str)] = &[("ceil", "ceiling"), ("signum", "sign"), ("uuid", "gen_random_uuid")];

/// DataFusion's own, which takes BIGINT and times in nanoseconds alone; of a date PostgreSQL makes an instant.
#[derive(Debug)]
struct Series(Arc<dyn TableFunctionImpl>);

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let fitted = series::fitted(args.exprs())?;
        if let Some(later) = series::later(&self.0, &fitted)? {
            return Ok(later);
        }
        self.0.call_with_args(TableFunctionArgs::new(&fitted, args.session()))
    }
}

fn catalogs(database: &str, found: &[Found]) -> Result<Arc<dyn CatalogProviderList>> {
    let mut schemas: HashMap<&str, Arc<MemorySchemaProvider>> = HashMap::new();
    schemas.entry(super::PUBLIC).or_default();
    for table in found {
        let schema = schemas.entry(&table.schema).or_default();
        schema.register_table(table.name.clone(), Arc::clone(&table.provider))?;
    }
    let catalog = MemoryCatalogProvider::new();
    for (name, schema) in schemas {
        catalog.register_schema(name, schema)?;
    }
    let all = MemoryCatalogProviderList::new();
    if all.register_catalog(database.to_owned(), Arc::new(catalog)).is_some() {
        return Err(DataFusionError::Internal("two databases of one name".to_owned()));
    }
    Ok(Arc::new(all))
}
