//! What a plan may ask for, looked at before it is computed.
//!
//! [`metered`] puts the functions of a plan behind the statement's [`Budget`] and refuses numbers that DataFusion would
//! allocate by or compute with unchecked. [`narrow`] refuses texts of the plan itself that, written out for each row of
//! a batch, would be more than the statement may hold, and regular expressions that are no constants; it looks at the
//! optimized plan, because the optimizer puts constants in the place of the columns that they were.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, GroupingSet, LogicalPlan, Operator, WindowFrame, WindowFrameBound,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::budget::growth::varies;
use super::budget::{Budget, failure, metered, work};
use super::distinct;
use crate::plan::kept_names::rewritten;
use crate::plan::session::BATCH_ROWS;

/// Farthest that a window's frame reaches, and `lag` and `lead`: so many rows are held.
pub(super) const MAX_FRAME: u64 = 100_000;
/// Most centroids of an approximate percentile; each group holds 16 bytes for each.
const MAX_CENTROIDS: u64 = 10_000;
/// Most grouping sets of a SELECT.
const MAX_SETS: usize = 1_024;
/// Most bytes of the constants that a lambda gives for each element: an array has millions.
const MAX_IN_LAMBDA: u64 = 64;

/// The plan with its functions behind the budget.
pub(super) fn metered(plan: LogicalPlan, budget: &Arc<Budget>) -> Result<LogicalPlan> {
    let metered = plan.transform_down_with_subqueries(|node| {
        let schema = seen_by(&node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| refuse(expr, &schema).map(|()| TreeNodeRecursion::Continue))
        })?;
        // A function is called after all of its FILTER and of its order, also of what is only put around them.
        rewritten(node, |expr| {
            expr.transform_up(|expr| {
                let counted = distinct::by_bytes(expr, &schema, budget);
                counted.transform_data(|expr| Ok(metered::metered(expr, &schema, budget)))
            })
        })
    });
    metered.map(|transformed| transformed.data)
}

/// What the expressions of a node see.
pub(super) fn seen_by(node: &LogicalPlan) -> DFSchema {
    let inputs = node.inputs();
    if inputs.is_empty() { node.schema().as_ref().clone() } else { merge_schema(&inputs) }
}

/// Refuses an expression by its numbers, and a lambda by what it repeats.
fn refuse(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::GroupingSet(sets) => grouping(sets),
        Expr::AggregateFunction(call) => centroids(call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, params: WindowFunctionParams { args, window_frame, .. } } =
                call.as_ref();
            centroids(fun.name(), args)?;
            offset(fun.name(), args)?;
            frame(window_frame)
        }
        Expr::Lambda(lambda) => {
            let given = width(&lambda.body);
            if given > MAX_IN_LAMBDA {
                let message = format!("a function `x -> …` gives a text of {given} bytes for each element");
                let hint = format!("At most {MAX_IN_LAMBDA} bytes are possible.");
                return Err(failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(hint)));
            }
            lambda.body.apply(|expr| captured(expr, schema).map(|()| TreeNodeRecursion::Continue)).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Sets are made before a row is read, and each row counts in all of them.
fn grouping(sets: &GroupingSet) -> Result<()> {
    let count = match sets {
        GroupingSet::Cube(columns) => 1_usize.checked_shl(columns.len() as u32).unwrap_or(usize::MAX),
        GroupingSet::Rollup(columns) => columns.len() + 1,
        GroupingSet::GroupingSets(sets) => sets.len(),
    };
    if count <= MAX_SETS {
        return Ok(());
    }
    let message = format!("the rows are to be grouped in more than {MAX_SETS} ways");
    let hint = "CUBE of ten columns has as many; name the wanted ones with GROUPING SETS.";
    Err(failure(Error::new(&codes::SQL_PLAN, message).with_hint(hint)))
}

/// A column inside of a lambda is written out for each element.
fn captured(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let Expr::Column(column) = expr else { return Ok(()) };
    let Ok(field) = schema.field_from_column(column) else { return Ok(()) };
    if !varies(field.data_type()) {
        return Ok(());
    }
    let message = format!("a function `x -> …` cannot use the column `{}`", column.name);
    Err(failure(
        Error::new(&codes::NOT_YET, message).with_hint(
            "It sees its own parameters, and of the columns only numbers, times and truth values.",
        ),
    ))
}

fn centroids(function: &str, args: &[Expr]) -> Result<()> {
    let place = match function {
        "approx_percentile_cont" => 2,
        "approx_percentile_cont_with_weight" => 3,
        _ => return Ok(()),
    };
    let Some(given) = args.get(place) else { return Ok(()) };
    if whole(given).is_some_and(|number| (1..=MAX_CENTROIDS).contains(&number)) {
        return Ok(());
    }
    let message = format!("the centroids of {function}(…) must be a whole number from 1 to {MAX_CENTROIDS}");
    let hint = "So many are kept: more are more exact. Without the argument they are 100.";
    Err(failure(Error::new(&codes::SQL_PLAN, message).with_hint(hint)))
}

/// `lag`, `lead` and `nth_value` count rows.
fn offset(function: &str, args: &[Expr]) -> Result<()> {
    if !matches!(function, "lag" | "lead" | "nth_value") {
        return Ok(());
    }
    let Some(given) = args.get(1) else { return Ok(()) };
    let is_near = match given {
        Expr::Negative(number) => whole(number),
        number => whole(number),
    };
    if is_near.is_some_and(|number| number <= MAX_FRAME) {
        return Ok(());
    }
    let message = format!("the second argument of {function}(…) must be a whole number up to {MAX_FRAME}");
    Err(failure(Error::new(&codes::SQL_PLAN, message).with_hint("It counts rows, which are held meanwhile.")))
}

fn frame(frame: &WindowFrame) -> Result<()> {
    for bound in [&frame.start_bound, &frame.end_bound] {
        let (WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows)) = bound else { continue };
        if let ScalarValue::UInt64(Some(rows)) = rows
            && *rows > MAX_FRAME
        {
            let message =
                format!("a window's frame reaches over `{rows}` rows; at most {MAX_FRAME} are possible");
            return Err(failure(
                Error::new(&codes::SQL_PLAN, message).with_hint("UNBOUNDED reaches to the partition's end."),
            ));
        }
    }
    Ok(())
}

/// The amount of a whole number that is written out.
fn whole(expr: &Expr) -> Option<u64> {
    let Expr::Literal(value, _) = expr else { return None };
    Some(match value {
        ScalarValue::Int8(Some(n)) => u64::from(n.unsigned_abs()),
        ScalarValue::Int16(Some(n)) => u64::from(n.unsigned_abs()),
        ScalarValue::Int32(Some(n)) => u64::from(n.unsigned_abs()),
        ScalarValue::Int64(Some(n)) => n.unsigned_abs(),
        ScalarValue::UInt8(Some(n)) => u64::from(*n),
        ScalarValue::UInt16(Some(n)) => u64::from(*n),
        ScalarValue::UInt32(Some(n)) => u64::from(*n),
        ScalarValue::UInt64(Some(n)) => *n,
        _ => return None,
    })
}

/// Refuses constants that are more than `memory` when each row of a batch has them, and patterns that are none.
pub(super) fn narrow(plan: &LogicalPlan, memory: usize) -> Result<()> {
    let most = (memory / BATCH_ROWS) as u64;
    plan.apply_with_subqueries(|node| {
        let mut written = 0_u64;
        node.apply_expressions(|expr| {
            written = written.saturating_add(width(expr));
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr {
                    work::refuse(call.name(), &call.args)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if written > most {
            let message = format!("the SELECT gives texts of {written} bytes in each row");
            return Err(failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(format!(
                "They stand in the statement, or follow from what does; at most {most} bytes are possible."
            ))));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

/// The bytes that the constants of an expression give to a row.
fn width(expr: &Expr) -> u64 {
    let all = |exprs: &[Expr]| exprs.iter().map(width).fold(0, u64::saturating_add);
    match expr {
        Expr::Literal(value, _) if varies(&value.data_type()) => {
            value.size().saturating_sub(size_of_val(value)) as u64
        }
        Expr::Alias(alias) => width(&alias.expr),
        Expr::Cast(cast) => width(&cast.expr),
        Expr::TryCast(cast) => width(&cast.expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            width(left) + width(right)
        }
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            branches.map(|branch| width(branch)).max().unwrap_or(0)
        }
        Expr::AggregateFunction(call) => all(&call.params.args),
        Expr::WindowFunction(call) => all(&call.params.args),
        // What a function makes is charged to the budget.
        _ => 0,
    }
}
