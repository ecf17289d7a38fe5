//! Functions and operators that are not there, and what to write in their place.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::{Planner, sparks};
use crate::plan::sql_error::SqlError;

/// Refuses a function that does not exist, with the nearest name that does.
pub(super) fn known(planner: &Planner<'_>, name: &str, ident: &Ident) -> Result<(), SqlError> {
    // What the resolver puts in is there; `unnest` is the SQL planner's own.
    if ident.quote_style.is_some() || name == "unnest" {
        return Ok(());
    }
    let state = planner.session;
    let there = state.scalar_functions().contains_key(name)
        || state.aggregate_functions().contains_key(name)
        || state.window_functions().contains_key(name)
        || state.higher_order_functions().contains_key(name);
    if there {
        return Ok(());
    }
    if let Some(hint) = missing(name) {
        let error = Error::new(&codes::NOT_YET, format!("{name}(…) is not supported yet")).with_hint(hint);
        return Err(SqlError::spanned(error, ident.span));
    }
    if sparks::has(name) {
        let error = Error::new(&codes::NOT_YET, format!("{name}(…) is not supported yet"))
            .with_hint("Spark has it, Forebay has not. docs/sql.md lists the functions that are here.");
        return Err(SqlError::spanned(error, ident.span));
    }
    let names = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
    let names = names
        .chain(state.window_functions().keys())
        .filter(|name| !name.starts_with("__") && !name.contains('['));
    let error = unknown_name("function", name, names.map(String::as_str));
    // Some hundred names are no help; the nearest one is.
    let nearest = error.hint().split("Known:").next().unwrap_or_default().trim();
    let hint = format!("{nearest} docs/sql.md lists the functions.");
    let error = Error::new(&codes::SQL_PLAN, error.message()).with_hint(hint.trim());
    Err(SqlError::spanned(error, ident.span))
}

/// What to do without a function of Spark's that is not here; the nearest name would be a wrong one.
fn missing(name: &str) -> Option<&'static str> {
    Some(match name {
        "filter" => "Write array_filter(array, x -> …).",
        "transform" => "Write array_transform(array, x -> …).",
        "aggregate" | "reduce" | "forall" | "zip_with" | "map_filter" | "map_zip_with" | "transform_keys"
        | "transform_values" => {
            "Of the functions that take a lambda there are array_filter, array_transform and array_any_match."
        }
        _ => return None,
    })
}

/// Refuses what gives several rows, and windows, where they cannot stand.
pub(super) fn refuse_generators(planner: &Planner<'_>, name: &str, ident: &Ident) -> Result<(), SqlError> {
    let what = match name {
        "explode" | "explode_outer" | "posexplode" | "posexplode_outer" | "inline" | "inline_outer" => {
            let message =
                format!("{name}(…) gives several rows for one, so it cannot be a part of an expression");
            let error = Error::new(&codes::SQL_PLAN, message).with_hint(
                "As in Spark it stands alone in the SELECT list, or in LATERAL VIEW: FROM iot LATERAL VIEW explode(tags) t AS tag.",
            );
            return Err(SqlError::spanned(error, ident.span));
        }
        "stack" => "gives several rows for one",
        // Over a stream it is refused under its own name.
        "unnest" if !planner.streaming => "gives several rows for one",
        "window" | "session_window" | "calendar_window" | "window_time" if planner.refuses_state() => {
            "belongs to windowed aggregation"
        }
        _ => return Ok(()),
    };
    let code = if planner.streaming { &codes::NOT_STREAMING } else { &codes::NOT_YET };
    let error = Error::new(code, format!("{name}(…) {what}; it is not supported yet"));
    Err(SqlError::spanned(error, ident.span))
}

/// An operator that compares with patterns and that Spark does not have.
pub(super) fn foreign(expr: &Expr) -> Option<String> {
    use BinaryOperator as Is;
    match expr {
        Expr::SimilarTo { .. } => Some("SIMILAR TO".to_owned()),
        Expr::BinaryOp { op, .. }
        | Expr::AnyOp { compare_op: op, .. }
        | Expr::AllOp { compare_op: op, .. } => {
            let is_foreign = matches!(
                op,
                Is::PGRegexMatch
                    | Is::PGRegexIMatch
                    | Is::PGRegexNotMatch
                    | Is::PGRegexNotIMatch
                    | Is::PGLikeMatch
                    | Is::PGILikeMatch
                    | Is::PGNotLikeMatch
                    | Is::PGNotILikeMatch
            );
            is_foreign.then(|| op.to_string())
        }
        _ => None,
    }
}
