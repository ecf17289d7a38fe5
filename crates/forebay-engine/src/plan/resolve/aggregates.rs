//! Spark's aggregate functions where DataFusion spells them otherwise, as rewrites of the call.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, NullTreatment, ObjectName, ObjectNamePart, OrderByExpr,
    Value,
};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::expr::{call, null};
use super::{calls, quoted};
use crate::plan::functions::{
    COUNTABLE, MODE, PERCENTILE, PERCENTILE_DISC, PERCENTILE_DISC_DOWN, PERCENTILE_DOWN, PERCENTILE_EXACT,
};
use crate::plan::sql_error::SqlError;

/// Spark's aggregate functions that DataFusion does not have under these names.
pub(super) const SPARKS_AGGREGATES: [&str; 12] = [
    "listagg",
    "std",
    "variance",
    "any",
    "some",
    "every",
    "count_if",
    "approx_count_distinct",
    "first",
    "last",
    "percentile_approx",
    "approx_percentile",
];

/// The call in DataFusion's spelling; `None` if it is the same, or no aggregate of Spark's.
pub(super) fn rewrite(function: &Function, name: &str, ident: &Ident) -> Result<Option<Expr>, SqlError> {
    if ident.quote_style.is_some() || function.over.is_some() {
        return Ok(None);
    }
    if name == "count" && counts_pairs(function) {
        let error = Error::new(&codes::NOT_YET, "count(DISTINCT …) of several columns is not supported yet").with_hint(
            "Count the rows of a subquery: SELECT count(*) FROM (SELECT DISTINCT a, b FROM … WHERE a IS NOT NULL AND b IS NOT NULL).",
        );
        return Err(SqlError::spanned(error, ident.span));
    }
    let Some(args) = calls::positional(function) else { return Ok(None) };
    if !function.within_group.is_empty() {
        return within(function, name, args, ident);
    }
    let same = |to: &str, args: Vec<Expr>| Some(Expr::Function(renamed(function, to, args, ident)));
    Ok(match (name, args.as_slice()) {
        ("std", _) => same("stddev", args),
        ("median", [of]) => same(PERCENTILE_EXACT, vec![of.clone(), number("0.5")]),
        // It is always the least of several.
        ("mode", [of, Expr::Value(_)]) => same(MODE, vec![of.clone()]),
        ("listagg" | "string_agg", [_] | [_, _]) => Some(list(function, args, &[], ident)),
        ("variance", _) => same("var_samp", args),
        ("any" | "some", [_]) => same("bool_or", args),
        ("every", [_]) => same("bool_and", args),
        // DataFusion's keeps NULLs.
        ("array_agg", [_]) => same("collect_list", args),
        ("count_if", [condition]) => same("count", vec![one_if(condition)]),
        ("approx_count_distinct", [of] | [of, _]) => {
            let countable = call(COUNTABLE, vec![of.clone()], ident);
            Some(bigint(Expr::Function(renamed(function, "approx_distinct", vec![countable], ident))))
        }
        ("any_value" | "first" | "first_value" | "last" | "last_value", [_] | [_, _]) => {
            Some(end_of(function, name, &args, ident)?)
        }
        ("percentile_approx" | "approx_percentile", [of, percentage] | [of, percentage, _]) => {
            same(PERCENTILE, vec![of.clone(), percentage.clone()])
        }
        _ => None,
    })
}

/// True for `count(DISTINCT a, b)`.
fn counts_pairs(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list)
        if list.args.len() > 1 && matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)))
}

/// `first(x)`, `first(x, true)`: the flag says that NULLs do not count.
fn end_of(function: &Function, name: &str, args: &[Expr], ident: &Ident) -> Result<Expr, SqlError> {
    let to = if name.starts_with("last") { "last_value" } else { "first_value" };
    let [of, flag @ ..] = args else { return Ok(Expr::Function(function.clone())) };
    let mut rewritten = renamed(function, to, vec![of.clone()], ident);
    match flag {
        [] => {}
        [Expr::Value(value)] if matches!(value.value, Value::Boolean(_)) => {
            let ignores = matches!(value.value, Value::Boolean(true));
            rewritten.null_treatment = ignores.then_some(NullTreatment::IgnoreNulls);
        }
        _ => {
            let error = unknown_name("flag", "…", ["true", "false"].into_iter());
            let error =
                Error::new(&codes::SQL_PLAN, format!("{name}(…) takes true or false behind its column"))
                    .with_hint(error.hint());
            return Err(SqlError::spanned(error, ident.span));
        }
    }
    Ok(Expr::Function(rewritten))
}

/// `… WITHIN GROUP (ORDER BY x)`.
fn within(function: &Function, name: &str, args: Vec<Expr>, ident: &Ident) -> Result<Option<Expr>, SqlError> {
    if matches!(name, "listagg" | "string_agg") && matches!(args.len(), 1 | 2) {
        return Ok(Some(list(function, args, &function.within_group, ident)));
    }
    let [by] = function.within_group.as_slice() else { return Ok(None) };
    let descends = by.options.asc == Some(false);
    let one_way = |to: &str, percentage: Expr| {
        let mut call = renamed(function, to, vec![by.expr.clone(), percentage], ident);
        call.within_group.clear();
        Ok(Some(Expr::Function(call)))
    };
    match (name, args.as_slice()) {
        ("mode", []) if !descends => {
            let mut call = renamed(function, MODE, vec![by.expr.clone()], ident);
            call.within_group.clear();
            Ok(Some(Expr::Function(call)))
        }
        ("percentile_cont", [percentage]) if !descends => one_way(PERCENTILE_EXACT, percentage.clone()),
        ("percentile_disc", [percentage]) if !descends => one_way(PERCENTILE_DISC, percentage.clone()),
        // The tenth part from above is nine tenths from below.
        ("percentile_cont", [percentage @ Expr::Value(_)]) => {
            let (left, right) = (Box::new(number("1.0")), Box::new(percentage.clone()));
            one_way(PERCENTILE_EXACT, Expr::BinaryOp { left, op: BinaryOperator::Minus, right })
        }
        ("percentile_cont", [percentages]) => one_way(PERCENTILE_DOWN, percentages.clone()),
        ("percentile_disc", [percentage]) => one_way(PERCENTILE_DISC_DOWN, percentage.clone()),
        _ => Ok(None),
    }
}

/// `listagg(text[, between])`, in an order or as rows come.
fn list(function: &Function, args: Vec<Expr>, by: &[OrderByExpr], ident: &Ident) -> Expr {
    let mut args = args.into_iter();
    let text = args.next().map_or_else(null, |text| calls::cast("string", &text));
    let between = args.next().unwrap_or_else(|| calls::string(""));
    let mut listed = renamed(function, "string_agg", vec![text, between], ident);
    listed.within_group.clear();
    if let FunctionArguments::List(list) = &mut listed.args
        && !by.is_empty()
    {
        list.clauses = vec![FunctionArgumentClause::OrderBy(by.to_vec())];
    }
    calls::cast("string", &Expr::Function(listed))
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.to_owned(), false).into())
}

fn renamed(function: &Function, to: &str, args: Vec<Expr>, ident: &Ident) -> Function {
    let mut renamed = function.clone();
    renamed.name = ObjectName(vec![ObjectNamePart::Identifier(quoted(to, ident))]);
    if let FunctionArguments::List(list) = &mut renamed.args {
        list.args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
    renamed
}

fn one_if(condition: &Expr) -> Expr {
    calls::when(condition.clone(), number("1"))
}

fn bigint(expr: Expr) -> Expr {
    let data_type = DataType::BigInt(None);
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}
