//! Times, lengths of time and texts in quotes that meet, before DataFusion makes them alike.
//!
//! DataFusion compares a date or a text with a timestamp in nanoseconds, which reach from 1677 to 2262; here a timestamp
//! is compared in microseconds, as it is stored. A date that becomes of one type with an instant is an instant: what CASE and its
//! like give, the columns of a UNION. Two intervals are compared by their length (`intervals`). A text in quotes in a list
//! or beside IS DISTINCT FROM is of the type that it stands beside. What must stay true: what stands on a column that is of
//! another type then is told so.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, Union, cast,
};

use super::call::plain;
use super::intervals::{LENGTH, is_length};
use super::{casts, literals};
use crate::adhoc::bounds::seen_by;
use crate::plan::doubles::{recomputed, united_as};
use crate::plan::kept_names::rewritten;

/// The plan with such values made alike.
pub(super) fn aligned(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_other = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = seen_by(&node);
        let node = rewritten(node, |expr| expr.transform_up(|expr| one(expr, &schema)))?;
        let node = node.transform_data(|node| match node {
            LogicalPlan::Union(union) => united(union),
            other => Ok(Transformed::no(other)),
        })?;
        is_other |= node.transformed;
        if is_other { recomputed(node.data).map(Transformed::yes) } else { Ok(node) }
    })?;
    Ok(plan.data)
}

/// The parts of a union whose columns are days here and times there.
fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let of_column = |column: usize| {
        let types: Vec<DataType> = union
            .inputs
            .iter()
            .filter_map(|part| part.schema().fields().get(column).map(|field| field.data_type().clone()))
            .collect();
        time_of(&types)
    };
    united_as((0..union.schema.fields().len()).map(of_column).collect(), union)
}

/// The one type of times of these types; `None` where they are one already, or something else is among them.
fn time_of(types: &[DataType]) -> Option<DataType> {
    let is_time = |of: &DataType| matches!(of, DataType::Timestamp(..) | DataType::Date32 | DataType::Null);
    let mut known = types.iter().filter(|of| !of.is_null());
    let first = known.next()?;
    let is_instant = types.iter().any(|of| matches!(of, DataType::Timestamp(_, Some(_))));
    (types.iter().all(is_time) && known.any(|of| of != first))
        .then(|| if is_instant { casts::instant() } else { casts::clocks() })
}

fn one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    match expr {
        Expr::BinaryExpr(it)
            if matches!(it.op, IsDistinctFrom | IsNotDistinctFrom)
                && told(&[&it.left, &it.right], schema).is_some() =>
        {
            let to = told(&[&it.left, &it.right], schema);
            let (left, right) = (said(*it.left, to.as_ref())?, said(*it.right, to.as_ref())?);
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), it.op, Box::new(right)))))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom),
            right,
        }) => {
            let Some(to) = meeting(&[&left, &right], schema) else {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            };
            let (left, right) = (to.of(*left, schema)?, to.of(*right, schema)?);
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let to = told(&[&expr, &low, &high], schema);
            if to.is_some() {
                let [expr, low, high] =
                    [*expr, *low, *high].map(|side| said(side, to.as_ref()).map(Box::new));
                return Ok(Transformed::yes(Expr::Between(Between::new(expr?, negated, low?, high?))));
            }
            let Some(to) = meeting(&[&expr, &low, &high], schema) else {
                return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high })));
            };
            let [expr, low, high] = [*expr, *low, *high].map(|side| to.of(side, schema).map(Box::new));
            Ok(Transformed::yes(Expr::Between(Between::new(expr?, negated, low?, high?))))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let sides: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(&list).collect();
            let to = told(&sides, schema);
            if to.is_some() {
                let list = list.into_iter().map(|item| said(item, to.as_ref())).collect::<Result<_>>()?;
                let expr = Box::new(said(*expr, to.as_ref())?);
                return Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })));
            }
            let Some(to) = meeting(&sides, schema) else {
                return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
            };
            let list = list.into_iter().map(|item| to.of(item, schema)).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(InList {
                expr: Box::new(to.of(*expr, schema)?),
                list,
                negated,
            })))
        }
        Expr::InSubquery(within) => {
            let column = within.subquery.subquery.schema().fields().first().map(|it| it.data_type().clone());
            let types: Vec<DataType> = within.expr.get_type(schema).ok().into_iter().chain(column).collect();
            let Some(to) = time_of(&types) else { return Ok(Transformed::no(Expr::InSubquery(within))) };
            let expr = Alike::Time(to.clone()).of(*within.expr, schema)?;
            // By way of microseconds, as of other sides.
            let subquery = cast_subquery(within.subquery, &casts::clocks())?;
            let subquery = cast_subquery(subquery, &to)?;
            Ok(Transformed::yes(Expr::InSubquery(InSubquery::new(Box::new(expr), subquery, within.negated))))
        }
        Expr::Case(it) => case(it, schema),
        Expr::ScalarFunction(call) if is_alike(call.func.name()) => {
            let sides: Vec<&Expr> = call.args.iter().collect();
            let Some(Alike::Time(to)) = meeting(&sides, schema) else {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            };
            let to = Alike::Time(to);
            let args = call.args.into_iter().map(|arg| to.of(arg, schema)).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(call.func, args))))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// True of a function whose arguments are of one type.
fn is_alike(function: &str) -> bool {
    matches!(function, "coalesce" | "nullif" | "greatest" | "least" | "make_array")
}

/// The times that CASE compares, and those that it gives.
fn case(mut it: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let thens = it.when_then_expr.iter().map(|(_, then)| then.as_ref());
    let results: Vec<&Expr> = thens.chain(it.else_expr.as_deref()).collect();
    let results = meeting(&results, schema).filter(|to| matches!(to, Alike::Time(_)));
    let compared = it.expr.as_deref().and_then(|of| {
        let whens = it.when_then_expr.iter().map(|(when, _)| when.as_ref());
        meeting(&std::iter::once(of).chain(whens).collect::<Vec<_>>(), schema)
    });
    if results.is_none() && compared.is_none() {
        return Ok(Transformed::no(Expr::Case(it)));
    }
    let side = |side: Box<Expr>, to: &Option<Alike>| match to {
        Some(to) => to.of(*side, schema).map(Box::new),
        None => Ok(side),
    };
    it.expr = it.expr.map(|expr| side(expr, &compared)).transpose()?;
    it.else_expr = it.else_expr.map(|expr| side(expr, &results)).transpose()?;
    let branch = |(when, then)| Ok((side(when, &compared)?, side(then, &results)?));
    it.when_then_expr = it.when_then_expr.into_iter().map(branch).collect::<Result<_>>()?;
    Ok(Transformed::yes(Expr::Case(it)))
}

fn is_text(side: &Expr) -> bool {
    matches!(side, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// The type of texts in quotes among these: that of what they stand beside, if that is no text and no time.
fn told(sides: &[&Expr], schema: &DFSchema) -> Option<DataType> {
    if !sides.iter().any(|side| is_text(side)) {
        return None;
    }
    let others = sides.iter().filter(|side| !is_text(side));
    let others: Result<Vec<DataType>> = others.map(|side| side.get_type(schema)).collect();
    let to = plain(others.ok()?.iter().find(|of| !of.is_null())?);
    (!to.is_string() && !matches!(to, DataType::Timestamp(..) | DataType::Date32)).then_some(to)
}

/// A text in quotes as a value of this type.
fn said(side: Expr, to: Option<&DataType>) -> Result<Expr> {
    match (&side, to) {
        (Expr::Literal(ScalarValue::Utf8(Some(text)), metadata), Some(to)) => {
            Ok(literals::typed(text, metadata, to)?.unwrap_or(side))
        }
        _ => Ok(side),
    }
}

/// What the sides of a comparison become.
enum Alike {
    Time(DataType),
    Length,
}

fn meeting(sides: &[&Expr], schema: &DFSchema) -> Option<Alike> {
    // A type that cannot be told yet is DataFusion's to complain about.
    let types: Result<Vec<DataType>> = sides.iter().map(|side| side.get_type(schema)).collect();
    let types: Vec<DataType> = types.ok()?.iter().map(plain).collect();
    if types.iter().all(is_length) {
        return Some(Alike::Length);
    }
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(..));
    let fits = types.iter().zip(sides).all(|(data_type, side)| {
        is_time(data_type) || matches!(data_type, DataType::Date32) || is_text(side) || data_type.is_null()
    });
    let is_instant = types.iter().any(|of| matches!(of, DataType::Timestamp(_, Some(_))));
    let to = if is_instant { casts::instant() } else { casts::clocks() };
    let is_alike = types.iter().all(|of| of == &to);
    (fits && types.iter().any(is_time) && !is_alike).then_some(Alike::Time(to))
}

impl Alike {
    fn of(&self, side: Expr, schema: &DFSchema) -> Result<Expr> {
        let to = match self {
            Self::Length => return Ok(LENGTH.function().call(vec![side])),
            Self::Time(to) => to,
        };
        let zone: Option<Arc<str>> = match to {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = &side {
            let Some(micros) = casts::time(text, zone.is_some()) else {
                return plan_err!("invalid input syntax for type timestamp: \"{text}\"");
            };
            return Ok(Expr::Literal(
                ScalarValue::TimestampMicrosecond(Some(micros), zone),
                metadata.clone(),
            ));
        }
        let own = side.get_type(schema)?;
        if &own == to {
            return Ok(side);
        }
        // By way of microseconds: a date that becomes an instant would be counted in seconds else.
        let side = match own {
            DataType::Date32 => cast(side, DataType::Timestamp(TimeUnit::Microsecond, None)),
            _ => side,
        };
        Ok(if side.get_type(schema)? == *to { side } else { cast(side, to.clone()) })
    }
}
