//! A scalar subquery that has no row is NULL, whatever its column says.
//!
//! DataFusion takes such a subquery for nullable only if its column is: of `(SELECT 1 WHERE false) IS NULL` it made false, and
//! `coalesce` of one failed. So around a subquery that may have no row, and whose column is never NULL, stands a function that
//! may give NULL. What must stay true: a plan has passed [`nullable`] before it is optimized.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::doubles::recomputed;
use super::functions::maybe;
use super::kept_names::rewritten;

/// The plan with its scalar subqueries nullable where they may have no row.
pub(crate) fn nullable(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_other = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = rewritten(node, |expr| expr.transform_up(|expr| Ok(one(expr))))?;
        is_other |= node.transformed;
        if is_other { recomputed(node.data).map(Transformed::yes) } else { Ok(node) }
    })?;
    Ok(plan.data)
}

fn one(expr: Expr) -> Transformed<Expr> {
    match &expr {
        Expr::ScalarSubquery(query) => {
            let is_nullable =
                query.subquery.schema().fields().first().is_none_or(|column| column.is_nullable());
            if is_nullable || has_row(&query.subquery) {
                return Transformed::no(expr);
            }
            Transformed::yes(maybe(expr))
        }
        _ => Transformed::no(expr),
    }
}

/// True of a plan that always gives a row.
fn has_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(it) => has_row(&it.input),
        LogicalPlan::SubqueryAlias(it) => has_row(&it.input),
        LogicalPlan::Sort(it) => it.fetch != Some(0) && has_row(&it.input),
        LogicalPlan::Aggregate(it) => it.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(it) => it.produce_one_row,
        _ => false,
    }
}
