//! Expressions of a plan made others, under the names that they had.
//!
//! The columns of a node are called after its expressions, and what stands on the node knows them by these names. So an
//! expression that is made another one has its old name as an alias. What must stay true: GROUPING SETS, which are no column,
//! have no alias; those that they are made of have.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::utils::NamePreserver;

/// The node with each of its expressions made another one.
pub(crate) fn rewritten(
    node: LogicalPlan,
    rewrite: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let named = |expr: Expr| -> Result<Transformed<Expr>> {
        let name = names.save(&expr);
        let expr = rewrite(expr)?;
        Ok(if expr.transformed { expr.update_data(|expr| name.restore(expr)) } else { expr })
    };
    node.map_expressions(|expr| match expr {
        sets @ Expr::GroupingSet(_) => sets.map_children(&named),
        other => named(other),
    })
}
