//! What a stream cannot do yet, refused under the words that ask for it.
//!
//! [`crate::plan::verify`] is what nothing passes: it looks at the plan, where places are gone. Here the same is found
//! in the syntax tree, before types are looked at, so that a GROUP BY is told as such and not as a column that stands
//! outside of an aggregate. What is missed here is only told without its place.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, Ident, Query, Select, SetExpr, SetOperator, Spanned,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::Planner;
use crate::plan::sql_error::SqlError;
use crate::plan::verify::{self, Refusal};

fn refuse(refusal: &Refusal, span: Span) -> Result<(), SqlError> {
    Err(SqlError::spanned(refusal.error(), span))
}

/// ORDER BY and LIMIT.
pub(super) fn query(query: &Query) -> Result<(), SqlError> {
    if let Some(order) = &query.order_by {
        return refuse(&verify::ORDER_BY, order.span());
    }
    if let Some(limit) = &query.limit_clause {
        return refuse(&verify::LIMIT, limit.span());
    }
    query.fetch.as_ref().map_or(Ok(()), |fetch| refuse(&verify::LIMIT, fetch.span()))
}

/// UNION and the like; the place is that of the right side.
pub(super) fn set_operation(op: SetOperator, right: &SetExpr) -> Result<(), SqlError> {
    match op {
        SetOperator::Union => refuse(&verify::UNION, right.span()),
        _ => refuse(&verify::SET_OPERATION, right.span()),
    }
}

/// The clauses of a SELECT.
pub(super) fn select(select: &Select) -> Result<(), SqlError> {
    if let Some(Distinct::Distinct | Distinct::On(_)) = select.distinct {
        // The word has no place of its own: it follows SELECT and a blank.
        let mut span = select.select_token.0.span;
        span.start = span.end;
        span.start.column += 1;
        return refuse(&verify::DISTINCT, span);
    }
    let joined = select.from.iter().flat_map(|item| item.joins.iter().map(|join| join.relation.span()));
    let listed = select.from.iter().skip(1).map(|item| item.relation.span());
    if let Some(span) = joined.chain(listed).next() {
        return refuse(&verify::JOIN, span);
    }
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, modifiers) => !exprs.is_empty() || !modifiers.is_empty(),
    };
    if grouped {
        return refuse(&verify::GROUP_BY, select.group_by.span());
    }
    Ok(())
}

/// Subqueries in expressions.
pub(super) fn expr(expr: &Expr) -> Result<(), SqlError> {
    match expr {
        Expr::Subquery(query)
        | Expr::Exists { subquery: query, .. }
        | Expr::InSubquery { subquery: query, .. } => refuse(&verify::SUBQUERY, query.span()),
        _ => Ok(()),
    }
}

/// Functions of many rows, and those that a replay would give another value. `name` is in lower case.
pub(super) fn function(
    planner: &Planner<'_>,
    function: &Function,
    name: &str,
    ident: &Ident,
) -> Result<(), SqlError> {
    // What the resolver puts in is in quotes.
    if ident.quote_style.is_some() {
        return Ok(());
    }
    if function.over.is_some() {
        return refuse(&verify::WINDOW, ident.span);
    }
    if name == "unnest" {
        return refuse(&verify::UNNEST, ident.span);
    }
    let state = planner.state;
    match state.scalar_functions().get(name) {
        Some(scalar) if verify::is_volatile(scalar) => {
            Err(SqlError::spanned(verify::not_repeatable(name), ident.span))
        }
        None if state.aggregate_functions().contains_key(name) => refuse(&verify::AGGREGATE, ident.span),
        _ => Ok(()),
    }
}
