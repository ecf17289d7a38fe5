//! Where Spark and DataFusion give an operator or a cast different meanings: Spark's is put in.
//!
//! [`SparkOperators`] looks at operators as the SQL planner meets them, when the types of both sides are known.
//! [`SparkSemantics`] rewrites casts before types are coerced. Both refuse what Spark does not compare. Both work on
//! streams and on tables alike; what is not here is DataFusion's meaning, and `docs/sql.md` names the differences that
//! are left.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::functions_nested::extract::array_element;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, GetFieldAccess, Operator, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use forebay_core::error::codes;
use forebay_core::{Error, Zone, ddl};

use super::functions;
use super::words::type_name;

/// Operators.
#[derive(Debug)]
pub(super) struct SparkOperators;

impl ExprPlanner for SparkOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (left_type, right_type) = (left.get_type(schema), right.get_type(schema));
        let (Ok(left_type), Ok(right_type)) = (left_type, right_type) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        let left = fit_literal(left, &right_type);
        let right = fit_literal(right, &left_type);
        if let Some(sign) = comparison(&op) {
            comparable((&left, &left_type), sign, (&right, &right_type))?;
        }
        let both_numbers = is_number(&left_type) && is_number(&right_type);
        match op {
            // Exact for decimals; else always DOUBLE, also of whole numbers.
            BinaryOperator::Divide
                if both_numbers && !(is_decimal(&left_type) && is_decimal(&right_type)) =>
            {
                Ok(PlannerResult::Planned(functions::divide(left, right)))
            }
            BinaryOperator::MyIntegerDivide if both_numbers => Ok(PlannerResult::Planned(binary(
                cast(left, DataType::Int64),
                Operator::Divide,
                cast(right, DataType::Int64),
            ))),
            BinaryOperator::Spaceship => {
                Ok(PlannerResult::Planned(binary(left, Operator::IsNotDistinctFrom, right)))
            }
            op => Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        }
    }

    /// DataFusion leaves casts out of a column's name: `sum(i)` and `sum(CAST(i AS DECIMAL))` would be one. What has a
    /// cast is named in full here.
    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        expr.args = expr.args.into_iter().map(named_in_full).collect();
        expr.filter = expr.filter.map(|filter| Box::new(named_in_full(*filter)));
        for by in &mut expr.order_by {
            by.expr = named_in_full(by.expr.clone());
        }
        Ok(PlannerResult::Original(expr))
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let of = expr.expr.get_type(schema)?;
        match (&of, expr.field_access) {
            // Spark counts array elements from 0, DataFusion from 1.
            (DataType::List(_) | DataType::LargeList(_), GetFieldAccess::ListIndex { key }) => {
                if matches!(key.as_ref(), Expr::Literal(ScalarValue::Int64(Some(index)), _) if *index < 0) {
                    return plan_err!("an array's first element has the index 0; {key} is negative");
                }
                let index = binary(cast(*key, DataType::Int64), Operator::Plus, lit(1_i64));
                Ok(PlannerResult::Planned(array_element(expr.expr, index)))
            }
            (DataType::Struct(_), GetFieldAccess::NamedStructField { name }) => {
                match name.try_as_str().flatten() {
                    Some(name) => Ok(PlannerResult::Planned(functions::field(expr.expr, name))),
                    None => plan_err!("a field must be named by a text"),
                }
            }
            (_, field_access) => {
                Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr: expr.expr }))
            }
        }
    }
}

fn named_in_full(expr: Expr) -> Expr {
    // The closure cannot fail.
    let has_cast = expr.exists(|part| Ok(matches!(part, Expr::Cast(_) | Expr::TryCast(_)))).unwrap_or(false);
    if !has_cast {
        return expr;
    }
    let name = expr.to_string();
    expr.alias(name)
}

/// The sign of a comparison.
fn comparison(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::Spaceship => "<=>",
        _ => return None,
    })
}

/// Refuses a DATE beside a number, which DataFusion would take for days since 1970, maps, which it compares entry by entry, and
/// structs whose fields have other names, of which it would make NULLs.
pub(super) fn comparable(
    (left, left_type): (&Expr, &DataType),
    sign: &str,
    (right, right_type): (&Expr, &DataType),
) -> Result<()> {
    let date = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Date64);
    let mixed = (date(left_type) && right_type.is_numeric()) || (date(right_type) && left_type.is_numeric());
    let hint = if mixed {
        "DATATYPE_MISMATCH in Spark: a DATE is no number. Compare it with a date, as in `made > DATE '2024-03-01'`, \
         or take a number from it: year(made), datediff(made, DATE '1970-01-01')."
    } else if holds_map(left_type) || holds_map(right_type) {
        "DATATYPE_MISMATCH in Spark: the entries of a MAP have no order. Compare the value of a key: tags.hall = 'a'."
    } else if unlike(left_type, right_type) {
        ALIKE
    } else {
        return Ok(());
    };
    let (left, right) = (told(left, left_type), told(right, right_type));
    let error = Error::new(&codes::SQL_PLAN, format!("cannot compare {left} {sign} {right}")).with_hint(hint);
    Err(DataFusionError::External(Box::new(error)))
}

/// What to do about structs whose fields have other names.
const ALIKE: &str = "DATATYPE_MISMATCH in Spark: the fields of both must have the same names in the same order. Name them alike: \
     named_struct('id', id, 'n', n + 1), or with AS in the query below.";

/// True of structs whose fields are not the same by name and order, inside of others and of arrays too.
pub(super) fn unlike(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Struct(left), DataType::Struct(right)) => {
            let differ = |(left, right): (&FieldRef, &FieldRef)| {
                left.name() != right.name() || unlike(left.data_type(), right.data_type())
            };
            left.len() != right.len() || left.iter().zip(right).any(differ)
        }
        (DataType::List(left), DataType::List(right)) => unlike(left.data_type(), right.data_type()),
        _ => false,
    }
}

/// Refuses results of one expression that are structs with other fields, which DataFusion would make NULL.
fn one_type<'e>(what: &str, results: impl Iterator<Item = &'e Expr>, schema: &DFSchema) -> Result<()> {
    let mut types = results.filter_map(|result| result.get_type(schema).ok());
    let is_struct = |data_type: &DataType| matches!(data_type, DataType::Struct(_) | DataType::List(_));
    let Some(first) = types.find(is_struct) else { return Ok(()) };
    let Some(other) = types.find(|other| unlike(&first, other)) else { return Ok(()) };
    let message = format!("`{what}` cannot give {} and {}", type_name(&first), type_name(&other));
    Err(DataFusionError::External(Box::new(Error::new(&codes::SQL_PLAN, message).with_hint(ALIKE))))
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) => holds_map(item.data_type()),
        _ => false,
    }
}

/// The type of an expression as Spark tells it: a whole number alone is an INT if it fits.
fn told(expr: &Expr, data_type: &DataType) -> String {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok() => {
            "INT".to_owned()
        }
        _ => type_name(data_type),
    }
}

/// [`comparable`] for what is no operator in SQL: BETWEEN, IN, IS DISTINCT FROM, `nullif`, CASE with a value; and what
/// results of one type are.
fn check_comparison(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let check = |left: &Expr, sign: &str, right: &Expr| match (left.get_type(schema), right.get_type(schema))
    {
        (Ok(left_type), Ok(right_type)) => comparable((left, &left_type), sign, (right, &right_type)),
        // A type that cannot be told yet is DataFusion's to complain about.
        _ => Ok(()),
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::IsDistinctFrom | Operator::IsNotDistinctFrom),
            right,
        }) => check(left, &op.to_string(), right),
        Expr::Between(between) => {
            check(&between.expr, "BETWEEN", &between.low)?;
            check(&between.expr, "BETWEEN", &between.high)
        }
        Expr::InList(list) => list.list.iter().try_for_each(|item| check(&list.expr, "IN", item)),
        Expr::InSubquery(within) => {
            let Some(column) = within.subquery.subquery.schema().fields().first() else { return Ok(()) };
            let Ok(left_type) = within.expr.get_type(schema) else { return Ok(()) };
            let anything = lit(ScalarValue::Null);
            comparable((&within.expr, &left_type), "IN", (&anything, column.data_type()))
        }
        Expr::Case(case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            one_type("CASE", thens.chain(case.else_expr.as_deref()), schema)?;
            match &case.expr {
                Some(value) => case.when_then_expr.iter().try_for_each(|(when, _)| check(value, "=", when)),
                None => Ok(()),
            }
        }
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            ("nullif", [value, other]) => check(value, "=", other),
            (name @ ("greatest" | "least"), args) => one_type(name, args.iter(), schema),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// A literal beside a column takes Spark's type for it: a whole number is an INT if it fits, and a number with a
/// point, which Spark reads as a DECIMAL, becomes a DOUBLE beside one.
fn fit_literal(expr: Expr, other: &DataType) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _)
            if matches!(other, DataType::Int8 | DataType::Int16 | DataType::Int32) =>
        {
            match i32::try_from(*value) {
                Ok(value) => lit(value),
                Err(_) => expr,
            }
        }
        Expr::Literal(number, _) if other.is_floating() => {
            as_double(number).map_or(expr, |number| Expr::Literal(number, None))
        }
        _ => expr,
    }
}

/// The DOUBLE that is next to a number that is written down.
pub(crate) fn as_double(number: &ScalarValue) -> Option<ScalarValue> {
    match number {
        // Of more digits than a DOUBLE has a cast may give its neighbour.
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            let text = Decimal128Type::format_decimal(*value, *precision, *scale);
            Some(ScalarValue::Float64(Some(text.parse().ok()?)))
        }
        ScalarValue::Int64(Some(_)) => number.cast_to(&DataType::Float64).ok(),
        _ => None,
    }
}

pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type == &DataType::Null
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// Casts, and comparisons that are no operators, in a session of this zone.
#[derive(Debug)]
pub(super) struct SparkSemantics(pub Zone);

impl FunctionRewrite for SparkSemantics {
    fn name(&self) -> &'static str {
        "spark_casts"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        check_comparison(&expr, schema)?;
        let (from, to, is_try) = match &expr {
            Expr::Cast(cast) => (cast.expr.get_type(schema), cast.field.data_type().clone(), false),
            Expr::TryCast(cast) => (cast.expr.get_type(schema), cast.field.data_type().clone(), true),
            _ => return Ok(Transformed::no(expr)),
        };
        // A type that cannot be told yet is DataFusion's to complain about.
        let Ok(from) = from else { return Ok(Transformed::no(expr)) };
        let Some(rewrite) = rewrite_of(&from, &to) else { return Ok(Transformed::no(expr)) };
        let inner = match expr {
            Expr::Cast(Cast { expr, .. }) => *expr,
            Expr::TryCast(inner) => *inner.expr,
            expr => return Ok(Transformed::no(expr)),
        };
        let again = |expr: Expr| {
            if is_try { datafusion::logical_expr::try_cast(expr, to.clone()) } else { cast(expr, to.clone()) }
        };
        Ok(Transformed::yes(match rewrite {
            Rewrite::BinaryToText => match &to {
                DataType::Utf8View => functions::binary_to_text(inner),
                _ => cast(functions::binary_to_text(inner), to),
            },
            Rewrite::NumberToTimestamp => functions::timestamp_seconds(inner),
            Rewrite::TimestampToNumber => again(functions::seconds_of(inner)),
            Rewrite::TimestampToDouble => {
                let micros = cast(cast(inner, ddl::timestamp()), DataType::Int64);
                functions::divide(cast(micros, DataType::Float64), lit(1_000_000.0_f64))
            }
            Rewrite::TimestampToText => cast(functions::timestamp_to_text(inner, self.0), to),
            Rewrite::TrimText => {
                let trimmed = datafusion::functions::string::expr_fn::btrim(vec![inner]);
                again(trimmed)
            }
            Rewrite::Kept => functions::kept(again(inner)),
        }))
    }
}

enum Rewrite {
    BinaryToText,
    NumberToTimestamp,
    TimestampToNumber,
    TimestampToDouble,
    TimestampToText,
    TrimText,
    /// What the cast gives is not compared by what it was made of.
    Kept,
}

fn rewrite_of(from: &DataType, to: &DataType) -> Option<Rewrite> {
    use DataType::{Binary, BinaryView, Boolean, Date32, LargeBinary, LargeUtf8, Timestamp, Utf8, Utf8View};
    let text = |data_type: &DataType| matches!(data_type, Utf8 | Utf8View | LargeUtf8);
    match (from, to) {
        (Binary | BinaryView | LargeBinary, to) if text(to) => Some(Rewrite::BinaryToText),
        (from, Timestamp(..)) if from.is_integer() || from.is_floating() => Some(Rewrite::NumberToTimestamp),
        (Timestamp(..), to) if to.is_integer() => Some(Rewrite::TimestampToNumber),
        (Timestamp(..), DataType::Float64) => Some(Rewrite::TimestampToDouble),
        (Timestamp(..), to) if text(to) => Some(Rewrite::TimestampToText),
        (from, Boolean | Date32 | Timestamp(..)) if text(from) => Some(Rewrite::TrimText),
        (from, to) if text(from) && to.is_numeric() => Some(Rewrite::TrimText),
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) if to < from => Some(Rewrite::Kept),
        (DataType::Decimal128(_, from), to) if *from > 0 && to.is_integer() => Some(Rewrite::Kept),
        _ => None,
    }
}
