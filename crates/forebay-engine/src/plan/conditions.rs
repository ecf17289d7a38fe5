//! The conditions of joins of streams, put where they hold the most rows back: as Spark's optimizer does it, because a row
//! that is refused below the watermark does not move it, and one that is refused before the join is not held.
//!
//! ```text
//! Filter a, b, ab ─ Join ab2, b2 ┬ left          Join ab, ab2 ┬ Filter a, "keys are not NULL" ─ left
//!                                └ right    ─▶                └ Filter b, b2, "keys are not NULL" ─ right
//! ```
//!
//! What must stay true: the plan gives the same rows. So a condition goes down only on a side of whose rows none comes
//! out without a partner because of it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, Projection, SubqueryAlias, lit,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::build::is_stream_join;
use super::functions::EpochTime;
use super::sql_error::SqlError;
use super::statics;

/// A plan whose joins of streams have in their condition only what needs both sides.
pub(super) fn settled(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan, SqlError> {
    settle(plan, session).map_err(SqlError::planning)
}

fn settle(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if is_stream_join(&plan)
        && let LogicalPlan::Join(join) = plan
    {
        return split(join, session);
    }
    match plan {
        LogicalPlan::Filter(filter) if stands_on_join(&filter.input) => {
            let (mut input, mut stays) = (LogicalPlan::clone(&filter.input), Vec::new());
            let conditions = parts(filter.predicate, input.schema(), session)?;
            for condition in &conditions {
                input = in_join(&input, condition.clone(), &met)?.unwrap_or(input);
            }
            for condition in conditions {
                match in_join(&input, condition.clone(), &placed)? {
                    Some(sunk) => input = sunk,
                    None => stays.push(condition),
                }
            }
            filtered(settle(input, session)?, stays)
        }
        other => other.map_children(|child| settle(child, session).map(Transformed::yes)).map(|it| it.data),
    }
}

/// True if only projections, filters and joins with tables at rest lie between this and a join of streams.
fn stands_on_join(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => stands_on_join(&projection.input),
        LogicalPlan::Filter(filter) => stands_on_join(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => stands_on_join(&alias.input),
        LogicalPlan::Join(join) if statics::sides(join).is_some() => {
            statics::stream_of(join).is_some_and(stands_on_join)
        }
        other => is_stream_join(other),
    }
}

/// The parts of a condition that must hold all, each as simple as it can be. One that can never hold keeps those that say what
/// is equal: a join goes by them.
fn parts(condition: Expr, schema: &Arc<DFSchema>, session: &SessionState) -> Result<Vec<Expr>> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(session.config_options()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let whole = simplifier.simplify(condition.clone())?;
    if !matches!(whole, Expr::Literal(..)) {
        return Ok(split_conjunction_owned(whole));
    }
    let each = split_conjunction_owned(condition).into_iter().map(|part| simplifier.simplify(part));
    Ok(each.collect::<Result<Vec<Expr>>>()?.into_iter().flat_map(split_conjunction_owned).collect())
}

/// What a condition does to a join; `None` if nothing.
type Act = dyn Fn(Join, Expr) -> Result<Option<Join>>;

/// The plan with what a condition above it does to the join below; `None` if that is nothing.
fn in_join(plan: &LogicalPlan, condition: Expr, act: &Act) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Projection(projection) => {
            let below = |index: usize| projection.expr.get(index).map(|expr| expr.clone().unalias());
            let Some(condition) = put_in(condition, &projection.schema, below)? else { return Ok(None) };
            let (list, schema) = (projection.expr.clone(), Arc::clone(&projection.schema));
            in_join(&projection.input, condition, act)?
                .map(|input| Projection::try_new_with_schema(list, Arc::new(input), schema))
                .transpose()?
                .map(LogicalPlan::Projection)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let below = |index: usize| Some(Expr::from(alias.input.schema().qualified_field(index)));
            let Some(condition) = put_in(condition, &alias.schema, below)? else { return Ok(None) };
            in_join(&alias.input, condition, act)?
                .map(|input| SubqueryAlias::try_new(Arc::new(input), alias.alias.clone()))
                .transpose()?
                .map(LogicalPlan::SubqueryAlias)
        }
        LogicalPlan::Filter(filter) => in_join(&filter.input, condition, act)?
            .map(|input| Filter::try_new(filter.predicate.clone(), Arc::new(input)))
            .transpose()?
            .map(LogicalPlan::Filter),
        LogicalPlan::Join(join) if is_stream_join(plan) => {
            act(join.clone(), condition)?.map(LogicalPlan::Join)
        }
        // What is asked of the stream alone is asked before a row looks for its partners in a table.
        LogicalPlan::Join(join) => {
            let of_stream = |stream: &&LogicalPlan| {
                condition.column_refs().into_iter().all(|column| stream.schema().has_column(column))
            };
            match statics::stream_of(join).filter(of_stream) {
                Some(stream) => in_join(stream, condition, act)?
                    .map(|stream| LogicalPlan::Join(statics::with_stream(join, stream))),
                None => None,
            }
        }
        _ => None,
    })
}

/// A join whose rows without a partner a condition refuses, since it asks for columns of a side that is missing there, gives
/// none.
fn met(mut join: Join, condition: Expr) -> Result<Option<Join>> {
    let mut columns = Vec::new();
    needed(&condition, &mut columns);
    let asks =
        |side: Side| columns.iter().any(|column| self::side(&Expr::Column(column.clone()), &join) == side);
    join.join_type = match (join.join_type, asks(Side::Left), asks(Side::Right)) {
        (JoinType::Full, true, true) | (JoinType::Left, _, true) | (JoinType::Right, true, _) => {
            JoinType::Inner
        }
        (JoinType::Full, true, false) => JoinType::Left,
        (JoinType::Full, false, true) => JoinType::Right,
        _ => return Ok(None),
    };
    Ok(Some(join))
}

/// A join into which a condition is put; `None` if it must stay above.
fn placed(mut join: Join, condition: Expr) -> Result<Option<Join>> {
    match (join.join_type, side(&condition, &join)) {
        (JoinType::Inner | JoinType::Left | JoinType::LeftSemi, Side::Left) => {
            join.left = Arc::new(filtered(LogicalPlan::clone(&join.left), vec![condition])?);
        }
        (JoinType::Inner | JoinType::Right, Side::Right) => {
            join.right = Arc::new(filtered(LogicalPlan::clone(&join.right), vec![condition])?);
        }
        (JoinType::Inner, Side::Both) if !asks_time(&condition) => {
            join.filter = conjunction(join.filter.into_iter().chain([condition]));
        }
        _ => return Ok(None),
    }
    Ok(Some(join))
}

/// A condition over columns of `schema`, over what those are below.
fn put_in(condition: Expr, schema: &DFSchema, below: impl Fn(usize) -> Option<Expr>) -> Result<Option<Expr>> {
    let mut is_known = true;
    let put = condition.transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        match schema.maybe_index_of_column(column).and_then(&below) {
            Some(below) => Ok(Transformed::yes(below)),
            None => {
                is_known = false;
                Ok(Transformed::no(expr))
            }
        }
    })?;
    Ok(is_known.then_some(put.data))
}

/// A join whose condition is split: what one side can tell is a filter on it.
fn split(join: Join, session: &SessionState) -> Result<LogicalPlan> {
    let equal = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let schema = Arc::new(join.left.schema().join(join.right.schema())?);
    let written = match join.filter.clone() {
        Some(filter) => parts(filter, &schema, session)?,
        None => Vec::new(),
    };
    let all: Vec<Expr> = equal.chain(written).filter(|part| !is_true(part)).collect();
    let (to_left, to_right) = filters(join.join_type);
    let (mut left, mut right, mut both, mut above) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in &all {
        match side(part, &join) {
            _ if to_left && to_right && is_never(part) => {
                left.push(lit(false));
                right.push(lit(false));
            }
            Side::Left if to_left => left.push(part.clone()),
            Side::Right if to_right => right.push(part.clone()),
            Side::Both if join.join_type == JoinType::Inner && asks_time(part) => above.push(part.clone()),
            _ => both.push(part.clone()),
        }
    }
    for inferred in inferred(&all, &join, &schema)? {
        match side(&inferred, &join) {
            Side::Left if to_left && !left.contains(&inferred) => left.push(inferred),
            Side::Right if to_right && !right.contains(&inferred) => right.push(inferred),
            _ => {}
        }
    }
    let below = |input: &Arc<LogicalPlan>, conditions| {
        settle(filtered(LogicalPlan::clone(input), conditions)?, session).map(Arc::new)
    };
    let join = Join {
        left: below(&join.left, left)?,
        right: below(&join.right, right)?,
        on: Vec::new(),
        filter: conjunction(both),
        ..join
    };
    filtered(LogicalPlan::Join(join), above)
}

/// Whether rows of the left and of the right side that a condition refuses can be left out before the join.
fn filters(kind: JoinType) -> (bool, bool) {
    match kind {
        JoinType::Inner | JoinType::LeftSemi => (true, true),
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        _ => (false, false),
    }
}

/// What follows from the parts of a condition: that columns are not NULL, and for columns that are equal what holds for the
/// other one.
fn inferred(all: &[Expr], join: &Join, schema: &DFSchema) -> Result<Vec<Expr>> {
    let mut out = Vec::new();
    let mut equal: Vec<(Column, Column)> = Vec::new();
    for part in all {
        let mut columns = Vec::new();
        needed(part, &mut columns);
        let nullable = columns.into_iter().filter(|column| {
            schema.maybe_index_of_column(column).is_some_and(|index| schema.field(index).is_nullable())
        });
        out.extend(nullable.map(|column| Expr::Column(column).is_not_null()));
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part
            && let (Expr::Column(one), Expr::Column(other)) = (left.as_ref(), right.as_ref())
        {
            equal.extend([(one.clone(), other.clone()), (other.clone(), one.clone())]);
        }
    }
    for part in all.iter().filter(|part| matches!(side(part, join), Side::Left | Side::Right)) {
        let mut is_whole = true;
        let other = part.clone().transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            match equal.iter().find(|(one, _)| one == column) {
                Some((_, other)) => Ok(Transformed::yes(Expr::Column(other.clone()))),
                None => {
                    is_whole = false;
                    Ok(Transformed::no(expr))
                }
            }
        })?;
        if is_whole {
            out.push(other.data);
        }
    }
    let mut seen = Vec::new();
    out.retain(|expr| {
        !seen.contains(expr) && {
            seen.push(expr.clone());
            true
        }
    });
    Ok(out)
}

/// The columns that are not NULL where a condition holds.
fn needed(condition: &Expr, columns: &mut Vec<Column>) {
    match condition {
        Expr::IsNotNull(of) => strict(of, columns),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            needed(left, columns);
            needed(right, columns);
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            needed(left, &mut one);
            needed(right, &mut other);
            columns.extend(one.into_iter().filter(|column| other.contains(column)));
        }
        other => strict(other, columns),
    }
}

/// The columns without which an expression is NULL.
fn strict(expr: &Expr, columns: &mut Vec<Column>) {
    match expr {
        Expr::Column(column) => columns.push(column.clone()),
        Expr::Cast(cast) => strict(&cast.expr, columns),
        Expr::Negative(of) | Expr::Not(of) => strict(of, columns),
        Expr::Like(like) => strict(&like.expr, columns),
        Expr::InList(list) => strict(&list.expr, columns),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op:
                Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::Plus
                | Operator::Minus
                | Operator::Multiply,
            right,
        }) => {
            strict(left, columns);
            strict(right, columns);
        }
        _ => {}
    }
}

/// Which sides of a join an expression reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    /// Both, or neither.
    Both,
}

pub(super) fn side(expr: &Expr, join: &Join) -> Side {
    let (mut left, mut right) = (false, false);
    // The closure cannot fail.
    let _ = expr.apply(|expr| {
        if let Expr::Column(column) = expr {
            let is_left = join.left.schema().maybe_index_of_column(column).is_some();
            left |= is_left;
            right |= !is_left;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match (left, right) {
        (true, false) => Side::Left,
        (false, true) => Side::Right,
        _ => Side::Both,
    }
}

/// True if an expression asks for the epoch's time, which an operator does not know.
pub(super) fn asks_time(expr: &Expr) -> bool {
    let is_time = |expr: &Expr| {
        matches!(expr, Expr::ScalarFunction(ScalarFunction { func, .. })
            if func.inner().downcast_ref::<EpochTime>().is_some())
    };
    // The closure cannot fail.
    expr.exists(|expr| Ok(is_time(expr))).unwrap_or(false)
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// True for a condition that holds for no row.
fn is_never(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(false) | None) | ScalarValue::Null, _))
}

/// The plan's rows for which these hold, those left out that it has already.
fn filtered(plan: LogicalPlan, mut conditions: Vec<Expr>) -> Result<LogicalPlan> {
    if let LogicalPlan::Filter(filter) = &plan {
        let there = split_conjunction(&filter.predicate);
        conditions.retain(|condition| !there.contains(&condition));
    }
    match conjunction(conditions) {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)),
        None => Ok(plan),
    }
}
