//! The types of literals as PostgreSQL has them.
//!
//! A whole number is an `int4` where it fits, which DataFusion reads as BIGINT: seen by a client where it comes out of a
//! SELECT list. A text in quotes has no type of its own, and takes that of what it is compared with or added to: DataFusion
//! would make a text of the other side, and compare numbers letter by letter. Times it reads as PostgreSQL does.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Most digits of a number.
const DIGITS: usize = 38;

/// The plan with whole numbers of its SELECT lists as `int4`, under the names that they had.
pub(super) fn narrowed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let narrow = |node: LogicalPlan| match node {
        LogicalPlan::Projection(mut projection) => {
            let schema = projection.input.schema();
            let names = NamePreserver::new_for_projection();
            let exprs = projection.expr.into_iter().map(|expr| {
                let name = names.save(&expr);
                name.restore(narrow(expr, schema))
            });
            projection.expr = exprs.collect();
            Ok(Transformed::yes(LogicalPlan::Projection(projection).recompute_schema()?))
        }
        other => Ok(Transformed::yes(other.recompute_schema()?)),
    };
    Ok(plan.transform_up(narrow)?.data)
}

/// What is computed of whole numbers alone, and nothing in it that a function takes: of these the type changes nothing else.
fn narrow(expr: Expr, schema: &DFSchema) -> Expr {
    let boxed = |inner: Box<Expr>| Box::new(narrow(*inner, schema));
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(value) {
            Ok(value) => Expr::Literal(ScalarValue::Int32(Some(value)), metadata),
            Err(_) => Expr::Literal(ScalarValue::Int64(Some(value)), metadata),
        },
        Expr::Alias(mut alias) => {
            alias.expr = boxed(alias.expr);
            Expr::Alias(alias)
        }
        Expr::Negative(inner) => Expr::Negative(boxed(inner)),
        Expr::Case(mut case) => {
            for (_, then) in &mut case.when_then_expr {
                *then = boxed(std::mem::take(then));
            }
            case.else_expr = case.else_expr.map(boxed);
            Expr::Case(case)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_whole(op, &left, &right, schema) => {
            Expr::BinaryExpr(BinaryExpr { left: boxed(left), op, right: boxed(right) })
        }
        other => other,
    }
}

fn is_whole(op: Operator, left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    let is_integer = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_integer());
    matches!(op, Plus | Minus | Multiply | Divide | Modulo) && is_integer(left) && is_integer(right)
}

/// Gives a text in quotes the type of what stands on the other side.
#[derive(Debug)]
pub(super) struct Unknowns;

impl ExprPlanner for Unknowns {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
        if !matches!(expr.op, Eq | NotEq | Gt | GtEq | Lt | LtEq | Plus | Minus | Multiply | Divide | Modulo)
        {
            return Ok(PlannerResult::Original(expr));
        }
        let RawBinaryExpr { op, left, right } = expr;
        let (left, right) = match (&left, &right) {
            (Expr::Literal(ScalarValue::Utf8(Some(text)), metadata), other) => {
                (typed(text, metadata, other, schema)?.unwrap_or(left), right)
            }
            (other, Expr::Literal(ScalarValue::Utf8(Some(text)), metadata)) => {
                let typed = typed(text, metadata, other, schema)?;
                (left, typed.unwrap_or(right))
            }
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// The text as a value of the type that `other` has, if that is a number or a truth value.
fn typed(
    text: &str,
    metadata: &Option<FieldMetadata>,
    other: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    let Ok(data_type) = other.get_type(schema) else { return Ok(None) };
    let trimmed = text.trim();
    let (name, value) = match &data_type {
        DataType::Boolean => ("boolean", truth(trimmed).map(|truth| ScalarValue::Boolean(Some(truth)))),
        whole if whole.is_integer() => {
            ("integer", trimmed.parse().ok().map(|value| ScalarValue::Int64(Some(value))))
        }
        DataType::Float32 | DataType::Float64 => {
            ("double precision", trimmed.parse().ok().map(|value| ScalarValue::Float64(Some(value))))
        }
        DataType::Decimal128(..) => ("numeric", decimal(trimmed)),
        _ => return Ok(None),
    };
    match value {
        Some(value) => Ok(Some(Expr::Literal(value, metadata.clone()))),
        None => plan_err!("invalid input syntax for type {name}: \"{text}\""),
    }
}

/// `t`, `false`, `on`, `0` and so on.
fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let unscaled: i128 = digits.parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let fits = digits.trim_start_matches(['-', '+']).len() <= DIGITS;
    fits.then_some(ScalarValue::Decimal128(Some(unscaled), DIGITS as u8, scale))
}
