//! `GROUP BY` over texts, on the codes that Parquet already gave them.
//!
//! A column of names or states lies in a file as a dictionary of its values and a small number for each row. DataFusion
//! makes texts of these numbers, and hashes and compares each text to find its group. Here the first stage of such an
//! aggregate reads the numbers themselves: the values of a dictionary are looked up once, and from then on a row finds
//! its group in a table of numbers.
//!
//! ```text
//!   AggregateExec, Partial                 DictionaryAggregate   shape: which aggregates this is for
//!     DataSourceExec (Parquet)      ──▶      (a scan of its own)   files: what the files' footers say, the scan
//!                                                                  groups: dictionaries, rows and their groups
//!                                                                  pairs: several keys made one number
//!                                                                  histogram: how often each code occurs
//! ```
//!
//! The second stage stays DataFusion's: what comes out are partial states in the columns that it expects, so groups may
//! come several times, and who holds too many gives out what it has and begins anew. What must stay true: the rows of an
//! answer are those of DataFusion's own plan. So whatever is not known to be the same (a condition in the scan, FILTER,
//! DISTINCT, an order, a key that is no text column of the files, a file in which it is something else) keeps that plan; and the
//! aggregates themselves are DataFusion's accumulators, fed with the same arguments.
//!
//! It stands where the plan is ready to run ([`over`]), before guards are put in; it ends with the statement's deadline and
//! counts what it holds in the statement's pool.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;

use self::operator::DictionaryAggregate;
use self::shape::Shape;
use crate::plan::deadline::Deadline;

mod files;
mod groups;
mod histogram;
mod operator;
mod pairs;
mod shape;
#[cfg(test)]
mod tests;

/// The plan, with aggregates on codes where they fit. Reads the footers of the files that these would read.
pub(super) async fn over(
    plan: Arc<dyn ExecutionPlan>,
    deadline: Option<Deadline>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        found.extend(Shape::of(node).map(|shape| (Arc::clone(node), shape)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut replaced = Vec::new();
    for (node, shape) in found {
        if let Some(scan) = files::scan(&shape).await {
            let ours = Arc::new(DictionaryAggregate::new(shape, scan, deadline));
            replaced.push((node, ours as Arc<dyn ExecutionPlan>));
        }
    }
    if replaced.is_empty() {
        return Ok(plan);
    }
    let plan = plan.transform_down(|node| {
        let ours = replaced.iter().find(|(theirs, _)| Arc::ptr_eq(theirs, &node));
        Ok(match ours {
            Some((_, ours)) => Transformed::new(Arc::clone(ours), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    });
    plan.map(|plan| plan.data)
}
