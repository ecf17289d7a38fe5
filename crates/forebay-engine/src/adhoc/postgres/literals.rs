//! The types of literals as PostgreSQL has them.
//!
//! A whole number is an `int4` where it fits, which DataFusion reads as BIGINT: seen by a client where it comes out of a
//! SELECT list or of VALUES, and in what is summed (`sum` of BIGINT is a NUMERIC, whose quotient has digits behind the point).
//! A text in quotes has no type of its own, and takes that of what it is compared with or added to: DataFusion
//! would make a text of the other side, and compare numbers letter by letter. Times it reads as PostgreSQL does.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Values,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::intervals::is_length;
use super::{bytes, casts, lengths};
use crate::adhoc::bounds::seen_by;
use crate::plan::kept_names::rewritten;

/// Most digits of a number.
pub const DIGITS: usize = 38;

/// The plan with whole numbers of its SELECT lists, aggregates and VALUES as `int4`, under the names that they had.
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
        LogicalPlan::Values(Values { values, schema }) => {
            let is_narrow = |column: usize| {
                let is_whole = schema.field(column).data_type() == &DataType::Int64;
                is_whole && values.iter().all(|row| row.get(column).is_some_and(is_short))
            };
            let narrow: Vec<bool> = (0..schema.fields().len()).map(is_narrow).collect();
            let one = |(expr, is_narrow): (Expr, &bool)| if *is_narrow { narrow_one(expr) } else { expr };
            let rows = values.into_iter().map(|row| row.into_iter().zip(&narrow).map(one).collect());
            Ok(Transformed::yes(LogicalPlanBuilder::values(rows.collect())?.build()?))
        }
        node @ (LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) => {
            let schema = seen_by(&node);
            let node = rewritten(node, |expr| expr.transform_up(|expr| Ok(of_aggregate(expr, &schema))))?;
            Ok(Transformed::yes(node.data.recompute_schema()?))
        }
        other => Ok(Transformed::yes(other.recompute_schema()?)),
    };
    Ok(plan.transform_up(narrow)?.data)
}

/// True of a whole number that fits, or NULL.
fn is_short(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => i32::try_from(*value).is_ok(),
        Expr::Literal(value, _) => value.is_null(),
        Expr::Negative(inner) => is_short(inner),
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null()),
        _ => false,
    }
}

fn narrow_one(expr: Expr) -> Expr {
    match expr {
        Expr::Negative(inner) => Expr::Negative(Box::new(narrow_one(*inner))),
        Expr::Cast(_) => Expr::Literal(ScalarValue::Int32(None), None),
        Expr::Literal(value, metadata) if value.is_null() => {
            Expr::Literal(ScalarValue::Int32(None), metadata)
        }
        expr => narrow(expr, &DFSchema::empty()),
    }
}

/// Aggregates whose type is told by that of their argument.
const TOLD_BY_ARGUMENT: [&str; 4] = ["sum", "sum_of", "min", "max"];

fn of_aggregate(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let narrowed = |args: &mut Vec<Expr>| {
        let before = args.clone();
        *args = std::mem::take(args).into_iter().map(|arg| narrow(arg, schema)).collect();
        *args != before
    };
    match expr {
        Expr::AggregateFunction(mut call) if TOLD_BY_ARGUMENT.contains(&call.func.name()) => {
            let is_other = narrowed(&mut call.params.args);
            Transformed::new_transformed(Expr::AggregateFunction(call), is_other)
        }
        Expr::WindowFunction(mut call) if TOLD_BY_ARGUMENT.contains(&call.fun.name()) => {
            let is_other = narrowed(&mut call.params.args);
            Transformed::new_transformed(Expr::WindowFunction(call), is_other)
        }
        other => Transformed::no(other),
    }
}

/// Functions of which whole numbers are the result, or what it is computed of.
const OF_WHOLE: [&str; 6] = ["coalesce", "greatest", "least", "nullif", "__computed", "__negate"];

/// What is computed of whole numbers alone, and nothing in it that another function takes: of these the type changes nothing
/// else.
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
        Expr::ScalarFunction(mut call) if OF_WHOLE.contains(&call.func.name()) => {
            call.args = call.args.into_iter().map(|arg| narrow(arg, schema)).collect();
            Expr::ScalarFunction(call)
        }
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
        let is_plus = op == Plus;
        let of = |text: &str, metadata: &_, other: &Expr| match other.get_type(schema) {
            // What is added to a time is an interval, what is taken from one a time.
            Ok(DataType::Timestamp(..)) if is_plus => typed(text, metadata, &INTERVAL),
            Ok(time @ (DataType::Timestamp(..) | DataType::Date32)) if op == Minus => {
                typed(text, metadata, &time)
            }
            // Compared they are made alike later (`aligned`).
            Ok(DataType::Timestamp(..) | DataType::Date32) | Err(_) => Ok(None),
            Ok(length) if is_length(&length) && matches!(op, Multiply | Divide) => {
                typed(text, metadata, &DataType::Float64)
            }
            Ok(data_type) => typed(text, metadata, &data_type),
        };
        let (left, right) = match (&left, &right) {
            (Expr::Literal(ScalarValue::Utf8(Some(text)), metadata), other) => {
                (of(text, metadata, other)?.unwrap_or(left), right)
            }
            (other, Expr::Literal(ScalarValue::Utf8(Some(text)), metadata)) => {
                let typed = of(text, metadata, other)?;
                (left, typed.unwrap_or(right))
            }
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The text as a value of this type; `None` where DataFusion does so by itself, and right.
pub(super) fn typed(
    text: &str,
    metadata: &Option<FieldMetadata>,
    data_type: &DataType,
) -> Result<Option<Expr>> {
    let trimmed = text.trim();
    let (name, value) = match data_type {
        DataType::Boolean => ("boolean", truth(trimmed).map(|truth| ScalarValue::Boolean(Some(truth)))),
        whole if whole.is_integer() => {
            ("integer", trimmed.parse().ok().map(|value| ScalarValue::Int64(Some(value))))
        }
        DataType::Float32 => ("real", trimmed.parse().ok().map(|value| ScalarValue::Float32(Some(value)))),
        DataType::Float64 => {
            ("double precision", trimmed.parse().ok().map(|value| ScalarValue::Float64(Some(value))))
        }
        DataType::Decimal128(..) => ("numeric", decimal(trimmed)),
        DataType::Interval(_) | DataType::Duration(_) => {
            ("interval", lengths::read(trimmed).map(|value| ScalarValue::IntervalMonthDayNano(Some(value))))
        }
        DataType::Timestamp(_, zone) => {
            let micros = casts::time(trimmed, zone.is_some());
            ("timestamp", micros.map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())))
        }
        DataType::Date32 => {
            let days = casts::time(trimmed, false).map(|micros| micros.div_euclid(86_400_000_000));
            (
                "date",
                days.and_then(|days| i32::try_from(days).ok()).map(|days| ScalarValue::Date32(Some(days))),
            )
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => match bytes::read(text) {
            Ok(bytes) => ("bytea", Some(ScalarValue::Binary(Some(bytes)))),
            Err(words) => return plan_err!("{words}"),
        },
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

/// A number without an exponent, with the digits that it has; `None` for what is none, or has more than [`DIGITS`].
pub fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let unscaled: i128 = digits.parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let fits = digits.trim_start_matches(['-', '+']).len() <= DIGITS;
    fits.then_some(ScalarValue::Decimal128(Some(unscaled), DIGITS as u8, scale))
}
