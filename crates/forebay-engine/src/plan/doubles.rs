//! A FLOAT or DOUBLE beside a DECIMAL, a FLOAT beside a whole number: both are a DOUBLE, as in Spark's ANSI mode.
//!
//! DataFusion makes a DECIMAL(30,15) of a DOUBLE and a DECIMAL, in which small numbers are 0 and large ones an error, and a FLOAT
//! of a FLOAT and an INT. So wherever values become of one type they are cast here, by [`widest`], before DataFusion
//! does it: what is compared or computed, the results of CASE and its like, the elements of an array, the columns of a
//! UNION. Other types are left to DataFusion. What must stay true: a plan has passed [`coerced`] before anything is planned
//! over its columns, since they may be of another type then.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, Union, cast,
    not, when,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::functions;
use super::kept_names::rewritten;
use super::semantics::{as_double, binary, comparable, is_number, unlike};
use super::widest::widest;

/// A plan in which numbers that meet are of Spark's type.
pub(crate) fn coerced(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_other = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node_coerced(node)?;
        is_other |= node.transformed;
        // What stands on a column of another type may be of another one itself.
        if is_other { recomputed(node.data).map(Transformed::yes) } else { Ok(node) }
    })?;
    Ok(plan.data)
}

/// The node with the schema that follows from what stands under it.
pub(crate) fn recomputed(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Union(union) => Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union),
        other => other.recompute_schema(),
    }
}

fn node_coerced(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let node = rewritten(node, |expr| expr.transform_up(|expr| expr_coerced(expr, &schema)))?;
    node.transform_data(|node| match node {
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Union(union) => united(union),
        other => Ok(Transformed::no(other)),
    })
}

/// The pairs that a set operation compares.
fn joined(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut is_other = false;
    for (left, right) in &mut join.on {
        let (schema, other_schema) = (join.left.schema(), join.right.schema());
        let (left_type, right_type) = (left.get_type(schema)?, right.get_type(other_schema)?);
        comparable((left, &left_type), "=", (right, &right_type))?;
        if let Some(wide) = of_all([left_type, right_type]) {
            *left = to(left.clone(), &wide, schema)?;
            *right = to(right.clone(), &wide, other_schema)?;
            is_other = true;
        }
    }
    let join = LogicalPlan::Join(join);
    Ok(if is_other { Transformed::yes(join) } else { Transformed::no(join) })
}

/// The parts of a union, each column of one type.
fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let of_column = |column: usize| {
        let types = union.inputs.iter().filter_map(|input| input.schema().fields().get(column));
        of_all(types.map(|field| field.data_type().clone()))
    };
    united_as((0..union.schema.fields().len()).map(of_column).collect(), union)
}

/// A union whose columns are made of these types, where one is told.
pub(crate) fn united_as(types: Vec<Option<DataType>>, union: Union) -> Result<Transformed<LogicalPlan>> {
    if types.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let parts = union.inputs.into_iter().map(|input| {
        let columns = input.schema().iter().zip(&types).zip(union.schema.fields());
        let columns = columns.map(|((column, wide), named)| {
            let column = Expr::from(column);
            let column = wide.iter().try_fold(column, |column, wide| to(column, wide, input.schema()))?;
            Ok(column.alias(named.name()))
        });
        let columns = columns.collect::<Result<_>>()?;
        Projection::try_new(columns, input).map(|part| Arc::new(LogicalPlan::Projection(part)))
    });
    let parts = parts.collect::<Result<_>>()?;
    Union::try_new_with_loose_types(parts).map(|union| Transformed::yes(LogicalPlan::Union(union)))
}

fn expr_coerced(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(it) => pair(it, schema),
        Expr::Between(it) => between(it, schema),
        Expr::InList(InList { expr, list, negated }) => {
            let Some(wide) = meeting(std::iter::once(expr.as_ref()).chain(&list), schema) else {
                return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
            };
            let list = list.into_iter().map(|item| to(item, &wide, schema)).collect::<Result<_>>()?;
            let expr = Box::new(to(*expr, &wide, schema)?);
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        Expr::InSubquery(within) => {
            let column = within.subquery.subquery.schema().fields().first().map(|it| it.data_type().clone());
            let types = within.expr.get_type(schema).ok().into_iter().chain(column);
            let Some(wide) = of_all(types) else { return Ok(Transformed::no(Expr::InSubquery(within))) };
            let expr = Box::new(to(*within.expr, &wide, schema)?);
            let subquery = cast_subquery(within.subquery, &wide)?;
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated: within.negated })))
        }
        Expr::Case(it) => case(it, schema),
        Expr::ScalarFunction(call) => match call.func.name() {
            "nullif" => nullif(call, schema),
            _ => function(call, schema),
        },
        other => Ok(Transformed::no(other)),
    }
}

/// An operator with two sides.
fn pair(it: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    use Operator::{
        Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo, Multiply, NotEq,
        Plus,
    };
    let types = match it.op {
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Plus | Minus | Multiply
        | Divide | Modulo => it.left.get_type(schema).and_then(|left| Ok((left, it.right.get_type(schema)?))),
        _ => return Ok(Transformed::no(Expr::BinaryExpr(it))),
    };
    // A type that cannot be told yet is DataFusion's to complain about.
    let Ok((left, right)) = types else { return Ok(Transformed::no(Expr::BinaryExpr(it))) };
    // A quotient of what was taken for two DECIMALs before its sides were cast.
    let is_of_numbers = it.op == Divide && is_number(&left) && is_number(&right);
    if is_of_numbers && (left.is_floating() || right.is_floating()) {
        let double = |side: Expr| to(side, &DataType::Float64, schema);
        return Ok(Transformed::yes(functions::divide(double(*it.left)?, double(*it.right)?)));
    }
    let Some(wide) = of_all([left, right]) else { return Ok(Transformed::no(Expr::BinaryExpr(it))) };
    let (left, right) = (to(*it.left, &wide, schema)?, to(*it.right, &wide, schema)?);
    Ok(Transformed::yes(binary(left, it.op, right)))
}

/// BETWEEN is two comparisons, each with a type of its own.
fn between(it: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let with = |bound: &Expr| widest(&it.expr.get_type(schema).ok()?, &bound.get_type(schema).ok()?);
    let Some((low, high)) = with(&it.low).zip(with(&it.high)) else {
        return Ok(Transformed::no(Expr::Between(it)));
    };
    let meets = |bound: &Expr| meeting([it.expr.as_ref(), bound], schema).is_some();
    if !meets(&it.low) && !meets(&it.high) {
        return Ok(Transformed::no(Expr::Between(it)));
    }
    if low == high {
        let side = |side: Box<Expr>| to(*side, &low, schema).map(Box::new);
        let (expr, bounds) = (side(it.expr)?, (side(it.low)?, side(it.high)?));
        return Ok(Transformed::yes(Expr::Between(Between::new(expr, it.negated, bounds.0, bounds.1))));
    }
    let compared = |expr: Expr, op, bound: Expr| {
        pair(BinaryExpr::new(Box::new(expr), op, Box::new(bound)), schema).map(|it| it.data)
    };
    let above = compared(it.expr.as_ref().clone(), Operator::GtEq, *it.low)?;
    let both = above.and(compared(*it.expr, Operator::LtEq, *it.high)?);
    Ok(Transformed::yes(if it.negated { not(both) } else { both }))
}

/// The values that CASE compares, and its results.
fn case(mut it: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let whens = || it.when_then_expr.iter().map(|(when, _)| when.as_ref());
    let thens = || it.when_then_expr.iter().map(|(_, then)| then.as_ref());
    let compared = it.expr.as_deref().and_then(|expr| meeting(std::iter::once(expr).chain(whens()), schema));
    let results = meeting(thens().chain(it.else_expr.as_deref()), schema);
    let is_other = compared.is_some() || results.is_some();
    let side = |side: Box<Expr>, wide: Option<&DataType>| match wide {
        Some(wide) => to(*side, wide, schema).map(Box::new),
        None => Ok(side),
    };
    it.expr = it.expr.map(|expr| side(expr, compared.as_ref())).transpose()?;
    it.else_expr = it.else_expr.map(|expr| side(expr, results.as_ref())).transpose()?;
    let branch = |(when, then)| Ok((side(when, compared.as_ref())?, side(then, results.as_ref())?));
    it.when_then_expr = it.when_then_expr.into_iter().map(branch).collect::<Result<_>>()?;
    Ok(if is_other { Transformed::yes(Expr::Case(it)) } else { Transformed::no(Expr::Case(it)) })
}

/// True of an argument of a function that becomes of one type with others of it.
fn is_alike(function: &str, argument: usize) -> bool {
    match function {
        "coalesce" | "nvl" | "greatest" | "least" | "array" | "make_array" | "mod" | "pmod" => true,
        "if" => argument > 0,
        _ => false,
    }
}

fn function(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let name = call.func.name();
    let alike = call.args.iter().enumerate().filter(|(at, _)| is_alike(name, *at)).map(|(_, arg)| arg);
    let Some(wide) = meeting(alike, schema) else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    let one = |(at, arg)| if is_alike(name, at) { to(arg, &wide, schema) } else { Ok(arg) };
    let args = call.args.into_iter().enumerate().map(one).collect::<Result<_>>()?;
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(call.func, args))))
}

/// `nullif` compares as `=` does, and gives its first argument as it is.
fn nullif(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let wide = meeting(&call.args, schema);
    let (Some(wide), [value, other]) = (wide, call.args.as_slice()) else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    let own = value.get_type(schema)?;
    if own.is_floating() {
        let args = vec![to(value.clone(), &wide, schema)?, to(other.clone(), &wide, schema)?];
        let found = Expr::ScalarFunction(ScalarFunction::new_udf(call.func, args));
        return Ok(Transformed::yes(if own == wide { found } else { cast(found, own) }));
    }
    // The value stands there twice: one that has such values in it would double with each of them.
    if value.exists(|part| Ok(matches!(part, Expr::Case(_))))? {
        let message =
            "nullif of a number that a CASE or another nullif gives, and a DOUBLE, is not supported";
        let error = Error::new(&codes::NOT_YET, message).with_hint("Make both a DOUBLE with CAST.");
        return Err(DataFusionError::External(Box::new(error)));
    }
    let is_same = binary(to(value.clone(), &wide, schema)?, Operator::Eq, to(other.clone(), &wide, schema)?);
    let nothing = Expr::Literal(ScalarValue::try_from(&own)?, None);
    when(is_same, nothing).otherwise(value.clone()).map(Transformed::yes)
}

/// The type for values that become of one, where it is not DataFusion's to say.
fn meeting<'e>(exprs: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> Option<DataType> {
    // A type that cannot be told yet is DataFusion's to complain about.
    let types: Result<Vec<DataType>> = exprs.into_iter().map(|expr| expr.get_type(schema)).collect();
    of_all(types.ok()?)
}

fn of_all(types: impl IntoIterator<Item = DataType>) -> Option<DataType> {
    let mut types = types.into_iter();
    let (mut wide, mut is_ours) = (types.next()?, false);
    for next in types {
        if wide.is_string() != next.is_string() || unlike(&wide, &next) {
            return None;
        }
        is_ours |= meet(&wide, &next);
        wide = widest(&wide, &next)?;
    }
    is_ours.then_some(wide)
}

/// True of two types that DataFusion makes another one of than Spark.
fn meet(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => meet(one.data_type(), other.data_type()),
        (DataType::Struct(ones), DataType::Struct(others)) => {
            ones.iter().zip(others).any(|(one, other)| meet(one.data_type(), other.data_type()))
        }
        (float, number) | (number, float) if float.is_floating() && !number.is_floating() => {
            number.is_decimal() || (*float == DataType::Float32 && number.is_integer())
        }
        _ => false,
    }
}

/// A value as one of this type.
fn to(expr: Expr, wide: &DataType, schema: &DFSchema) -> Result<Expr> {
    if let (Expr::Literal(number, _), DataType::Float64) = (&expr, wide)
        && let Some(number) = as_double(number)
    {
        return Ok(Expr::Literal(number, None));
    }
    Ok(if expr.get_type(schema)? == *wide { expr } else { cast(expr, wide.clone()) })
}
