//! A deadline for planning: a rule between all others that fails when it has passed.
//!
//! Planning cannot be interrupted, but it is made of some hundred short steps. What must stay true: each step is short
//! by itself, because the texts, columns and tables of a statement are bounded before (`plan/parse.rs`,
//! `plan/resolve`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use forebay_core::Error;
use forebay_core::error::codes;

/// The time by which a statement must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// When that is.
    pub at: Instant,
    /// What it was given.
    pub time: Duration,
}

impl Deadline {
    /// Fails if it has passed.
    pub fn check(&self) -> Result<(), Error> {
        if Instant::now() < self.at { Ok(()) } else { Err(self.passed()) }
    }

    fn checked(&self) -> Result<()> {
        self.check().map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The error.
    pub fn passed(&self) -> Error {
        Error::new(&codes::QUERY_LIMIT, format!("the query took longer than {:?}", self.time))
    }

    /// The rules with the deadline before each.
    pub fn before_each(
        self,
        rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    ) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
        let pair = |rule| [Arc::new(self) as Arc<dyn OptimizerRule + Send + Sync>, rule];
        rules.into_iter().flat_map(pair).collect()
    }

    /// The rules with the deadline before each.
    pub fn before_each_physical(
        self,
        rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
    ) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        let pair = |rule| [Arc::new(self) as Arc<dyn PhysicalOptimizerRule + Send + Sync>, rule];
        rules.into_iter().flat_map(pair).collect()
    }
}

impl OptimizerRule for Deadline {
    fn name(&self) -> &str {
        "deadline"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        self.checked()?;
        Ok(Transformed::no(plan))
    }
}

impl PhysicalOptimizerRule for Deadline {
    fn name(&self) -> &str {
        "deadline"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.checked()?;
        Ok(plan)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
