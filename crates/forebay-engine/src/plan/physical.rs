//! From an optimized plan over tables at rest to operators: DataFusion's own planner, and the operator of our own node.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::generator::Generate;
use crate::generate::operator::GenerateExec;

/// The planner of sessions over tables.
#[derive(Debug)]
pub(crate) struct Operators;

#[async_trait]
impl QueryPlanner for Operators {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Generators)]);
        let plan = planner.create_physical_plan(plan, session).await?;
        undivided(plan)
    }
}

/// The plan without batches dealt out in turn above a generator. Who is slow there would find without bound what others had no use
/// for: only a receiver that has nothing makes the dealer stop, and a generator gives as long as somebody takes.
fn undivided(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if !generates(&plan) {
        return Ok(plan);
    }
    let plan = plan.transform_up(|node| match node.downcast_ref::<RepartitionExec>() {
        Some(dealer)
            if matches!(dealer.partitioning(), Partitioning::RoundRobinBatch(_))
                && generates(dealer.input()) =>
        {
            Ok(Transformed::yes(Arc::clone(dealer.input())))
        }
        _ => Ok(Transformed::no(node)),
    });
    Ok(plan?.data)
}

fn generates(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<GenerateExec>() || plan.children().into_iter().any(generates)
}

struct Generators;

#[async_trait]
impl ExtensionPlanner for Generators {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(generate), [input]) = (node.as_any().downcast_ref::<Generate>(), inputs) else {
            return Ok(None);
        };
        let stage = generate.stage_over(&input.schema())?;
        Ok(Some(Arc::new(GenerateExec::new(Arc::new(stage), Arc::clone(input)))))
    }
}
