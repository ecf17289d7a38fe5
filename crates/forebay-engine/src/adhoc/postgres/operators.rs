//! Operators as they are met, when the types of both sides are known: what is computed of numbers, and what is joined with
//! a text, become calls of ours ([`super::arithmetic`]).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::arithmetic::{self, Op};
use super::casts;
use super::intervals::is_length;
use super::lengths::{OVER, TIMES};
use crate::plan::semantics::as_double;

/// The operators.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let op = match expr.op {
            BinaryOperator::Plus => Op::Plus,
            BinaryOperator::Minus => Op::Minus,
            BinaryOperator::Multiply => Op::Times,
            BinaryOperator::Divide => Op::Over,
            BinaryOperator::Modulo => Op::Rest,
            BinaryOperator::StringConcat => Op::Join,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (Ok(of_left), Ok(of_right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        // Days, as a number.
        if op == Op::Minus && of_left == DataType::Date32 && of_right == DataType::Date32 {
            let [left, right] = [expr.left, expr.right].map(|side| cast(side, DataType::Int32));
            return Ok(PlannerResult::Planned(arithmetic::planned(op, left, right)));
        }
        // A day and a length of time are a time.
        if matches!(op, Op::Plus | Op::Minus) {
            let RawBinaryExpr { op, left, right } = expr;
            let (left, right) = match (&of_left, &of_right) {
                (DataType::Date32, of) if is_length(of) => (cast(left, casts::clocks()), right),
                (of, DataType::Date32) if is_length(of) => (left, cast(right, casts::clocks())),
                _ => (left, right),
            };
            expr = RawBinaryExpr { op, left, right };
        }
        match op {
            Op::Times if is_length(&of_left) && of_right.is_numeric() => {
                return Ok(PlannerResult::Planned(TIMES.function().call(vec![expr.left, expr.right])));
            }
            Op::Times if of_left.is_numeric() && is_length(&of_right) => {
                return Ok(PlannerResult::Planned(TIMES.function().call(vec![expr.right, expr.left])));
            }
            Op::Over if is_length(&of_left) && of_right.is_numeric() => {
                return Ok(PlannerResult::Planned(OVER.function().call(vec![expr.left, expr.right])));
            }
            _ => {}
        }
        if is_open(&expr.left) || is_open(&expr.right) || op.gives(&of_left, &of_right).is_none() {
            return Ok(PlannerResult::Original(expr));
        }
        let (left, right) = (fitted(expr.left, &of_right), fitted(expr.right, &of_left));
        Ok(PlannerResult::Planned(arithmetic::planned(op, left, right)))
    }
}

/// A parameter that nobody told the type of, which follows from what it stands beside.
fn is_open(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(placeholder) if placeholder.field.is_none())
}

/// A number that is written down: an `int4` beside whole numbers where it fits, the next double beside a double.
fn fitted(expr: Expr, other: &DataType) -> Expr {
    let made = match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if other.is_integer() => {
            i32::try_from(*value).ok().map(|value| ScalarValue::Int32(Some(value)))
        }
        Expr::Literal(number, _) if other.is_floating() => as_double(number),
        _ => None,
    };
    match made {
        Some(value) => Expr::Literal(value, None),
        None => expr,
    }
}
