//! What DataFusion's SQL planner may see: the tables of one statement, by number, and the session's functions.
//!
//! The resolver has replaced every table name by `__t0`, `__t1`, … before DataFusion reads the tree. A name that the
//! resolver did not put there therefore has no meaning: there is no catalogue to fall back on.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, TableType, WindowUDF,
};

use super::session::SparkTypes;

/// The prefix of the names the resolver gives to tables.
const TABLE_PREFIX: &str = "__t";

/// The planner's name of table `index`.
pub(super) fn table_name(index: usize) -> String {
    format!("{TABLE_PREFIX}{index}")
}

/// The view of one statement.
pub(super) struct Provider<'a> {
    pub state: &'a SessionState,
    pub tables: &'a [Arc<dyn TableSource>],
    /// Functions that exist for this statement only (`from_json` with its schema).
    pub functions: &'a HashMap<String, Arc<ScalarUDF>>,
    /// The same of those that stand before OVER: detectors.
    pub learners: &'a HashMap<String, Arc<WindowUDF>>,
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let number = name.table().strip_prefix(TABLE_PREFIX).and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| self.tables.get(number)) {
            Some(table) => Ok(Arc::clone(table)),
            None => plan_err!("unknown table {name}"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(SparkTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name).or_else(|| self.state.scalar_functions().get(name)).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.learners.get(name).or_else(|| self.state.window_functions().get(name)).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// A stream as a table: columns, and nothing that could be scanned.
pub(super) struct StreamTable(pub SchemaRef);

impl TableSource for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }
}

/// A subquery, view or common table expression that is planned already; it is inlined where it is read.
pub(super) struct PlannedTable {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl PlannedTable {
    pub fn new(plan: LogicalPlan) -> Self {
        let schema = Arc::clone(plan.schema().inner());
        Self { plan, schema }
    }
}

impl TableSource for PlannedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<std::borrow::Cow<'_, LogicalPlan>> {
        Some(std::borrow::Cow::Borrowed(&self.plan))
    }
}
