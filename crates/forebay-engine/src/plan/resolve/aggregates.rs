//! Spark's aggregate functions where DataFusion spells them otherwise, as rewrites of the call.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    NullTreatment, ObjectName, ObjectNamePart, Value,
};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::expr::call;
use super::{calls, quoted};
use crate::plan::functions::{COUNTABLE, PERCENTILE};
use crate::plan::sql_error::SqlError;

/// Spark's aggregate functions that DataFusion does not have under these names.
pub(super) const SPARKS_AGGREGATES: [&str; 11] = [
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
    let Some(args) = calls::positional(function) else { return Ok(None) };
    let same = |to: &str, args: Vec<Expr>| Some(Expr::Function(renamed(function, to, args, ident)));
    Ok(match (name, args.as_slice()) {
        ("std", _) => same("stddev", args),
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
        ("first" | "first_value" | "last" | "last_value", [_] | [_, _]) => {
            Some(end_of(function, name, &args, ident)?)
        }
        ("percentile_approx" | "approx_percentile", [of, percentage] | [of, percentage, _]) => {
            if !matches!(percentage, Expr::Value(_)) {
                let error = Error::new(&codes::NOT_YET, format!("{name}(…) takes one percentage, a number"))
                    .with_hint(
                        "Call it once for each, as in percentile_approx(x, 0.5), percentile_approx(x, 0.9).",
                    );
                return Err(SqlError::spanned(error, ident.span));
            }
            same(PERCENTILE, vec![of.clone(), percentage.clone()])
        }
        _ => None,
    })
}

/// `first(x)`, `first(x, true)`: the flag says that NULLs do not count.
fn end_of(function: &Function, name: &str, args: &[Expr], ident: &Ident) -> Result<Expr, SqlError> {
    let to = if name.starts_with("first") { "first_value" } else { "last_value" };
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

fn renamed(function: &Function, to: &str, args: Vec<Expr>, ident: &Ident) -> Function {
    let mut renamed = function.clone();
    renamed.name = ObjectName(vec![ObjectNamePart::Identifier(quoted(to, ident))]);
    if let FunctionArguments::List(list) = &mut renamed.args {
        list.args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
    renamed
}

fn one_if(condition: &Expr) -> Expr {
    calls::when(condition.clone(), Expr::Value(Value::Number("1".to_owned(), false).into()))
}

fn bigint(expr: Expr) -> Expr {
    let data_type = DataType::BigInt(None);
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}
