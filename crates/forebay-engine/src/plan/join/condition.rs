//! The condition of a join of streams: what is equal, what else must hold, and where it asks for the event time.
//!
//! Where the event time of a side is an expression, the condition may have it written out. It is read from its column then, so that
//! the join knows by what its rows end. A side with a union whose parts do not all have such a column gets one more.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use crate::plan::build::Builder;
use crate::plan::catalog::COMPUTED;
use crate::plan::conditions::{Side, side};
use crate::plan::sql_error::SqlError;

/// The condition of a join, taken apart.
pub(super) struct Condition {
    /// Equal, of the left side and of the right one.
    pub keys: Vec<(Expr, Expr)>,
    /// What else must hold.
    pub others: Vec<Expr>,
}

impl Condition {
    /// That of a join.
    pub fn of(join: &Join) -> Result<Self, SqlError> {
        let mut condition = Self { keys: Vec::new(), others: Vec::new() };
        for part in join.filter.clone().map(split_conjunction_owned).unwrap_or_default() {
            let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &part else {
                condition.others.push(part);
                continue;
            };
            let (one, other) = match (side(left, join), side(right, join)) {
                (Side::Left, Side::Right) => (left, right),
                (Side::Right, Side::Left) => (right, left),
                _ => {
                    condition.others.push(part);
                    continue;
                }
            };
            match op {
                Operator::Eq => condition.keys.push((Expr::clone(one), Expr::clone(other))),
                // NULL is equal to NULL: as Spark has it, a key with another value in its place, and whether it is NULL.
                Operator::IsNotDistinctFrom => {
                    let stands_in = |expr: &Expr, schema: &DFSchemaRef| {
                        let value = ScalarValue::new_default(&expr.get_type(schema)?)?;
                        Ok(coalesce(vec![expr.clone(), Expr::Literal(value, None)]))
                    };
                    let (left, right) = (join.left.schema(), join.right.schema());
                    let pair = stands_in(one, left).and_then(|one| Ok((one, stands_in(other, right)?)));
                    condition.keys.push(pair.map_err(SqlError::planning)?);
                    condition.keys.push((one.clone().is_null(), other.clone().is_null()));
                }
                _ => condition.others.push(part),
            }
        }
        Ok(condition)
    }
}

impl Builder<'_> {
    /// The same join, whose condition reads the event times of its sides from columns of theirs. These may be more than the join
    /// has: they are behind the others.
    pub(super) fn timed(&self, join: &Join) -> Result<Join, SqlError> {
        let mut timed = join.clone();
        for (side, name) in [(&mut timed.left, "left"), (&mut timed.right, "right")] {
            let Some(condition) = timed.filter.take() else { break };
            let name = format!("{COMPUTED}{name}_time");
            let (condition, time) = self.time_of(condition, side, &name)?;
            timed.filter = Some(condition);
            let Some(time) = time else { continue };
            let columns = side.schema().iter().map(Expr::from).chain([time.alias(name)]).collect();
            let plan = Projection::try_new(columns, Arc::clone(side)).map_err(SqlError::planning)?;
            *side = Arc::new(LogicalPlan::Projection(plan));
        }
        Ok(timed)
    }
}

/// Adds the places of the columns of an expression that this schema has.
pub(in crate::plan) fn columns_of(expr: &Expr, schema: &DFSchema, columns: &mut BTreeSet<usize>) {
    // The closure cannot fail.
    let _ = expr.apply(|expr| {
        if let Expr::Column(column) = expr {
            columns.extend(schema.maybe_index_of_column(column));
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// Where the first column of some expressions is written.
pub(super) fn place_of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Span {
    let mut places = Vec::new();
    for expr in exprs {
        // The closure cannot fail.
        let _ = expr.apply(|expr| {
            if let Expr::Column(column) = expr {
                places.extend(column.spans.first().map(|span| (span.start.line, span.start.column)));
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    let start = places.into_iter().min().map(|(line, column)| Location { line, column });
    start.map_or(Span::empty(), |start| Span { start, end: start })
}
