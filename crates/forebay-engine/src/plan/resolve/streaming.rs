//! What a stream cannot do, refused under the words that ask for it.
//!
//! [`crate::plan::verify`] is what nothing passes: it looks at the plan, where places are gone. Here the same is found
//! in the syntax tree, before types are looked at, so that a GROUP BY is told as such and not as a column that stands
//! outside of an aggregate. What is missed here is only told without its place.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, Ident, LimitClause, Query,
    Select, SetExpr, SetOperator, SetQuantifier, Spanned, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::aggregates::SPARKS_AGGREGATES;
use super::{Planner, State};
use crate::plan::sql_error::SqlError;
use crate::plan::verify::{self, Refusal};

/// Most aggregate functions of a query, and most expressions of a GROUP BY: each is a column of state, and planning takes
/// the square of them.
const MAX_AGGREGATES: usize = 1_000;

fn too_many() -> Error {
    let message =
        format!("a query over a stream has more than {MAX_AGGREGATES} groups or aggregate functions");
    Error::new(&codes::SQL_PLAN, message).with_hint("Make several queries of it.")
}

fn refuse(refusal: &Refusal, span: Span) -> Result<(), SqlError> {
    Err(SqlError::spanned(refusal.error(), span))
}

/// ORDER BY: only complete mode has all rows at hand, and only in the end. LIMIT: what remembers nothing cannot count.
pub(super) fn query(query: &Query, planner: &Planner<'_>) -> Result<(), SqlError> {
    let is_whole = planner.nested == 0 && planner.state == State::Kept(Some(OutputMode::Complete));
    if let Some(order) = query.order_by.as_ref().filter(|_| !is_whole) {
        return refuse(&verify::ORDER_BY, order.span());
    }
    if let Some(limit) = &query.limit_clause {
        if planner.refuses_state() {
            return refuse(&verify::LIMIT, limit.span());
        }
        if has_offset(limit) {
            return refuse(&verify::OFFSET, limit.span());
        }
    }
    query.fetch.as_ref().map_or(Ok(()), |fetch| refuse(&verify::FETCH, fetch.span()))
}

fn has_offset(limit: &LimitClause) -> bool {
    match limit {
        LimitClause::LimitOffset { offset, limit_by, .. } => offset.is_some() || !limit_by.is_empty(),
        LimitClause::OffsetCommaLimit { .. } => true,
    }
}

/// UNION and the like; the place is that of the right side. True if of equal rows one counts, which takes state.
pub(super) fn set_operation(
    op: SetOperator,
    quantifier: SetQuantifier,
    right: &SetExpr,
    state: State,
) -> Result<bool, SqlError> {
    let possible = match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::All) => Ok(()),
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) if state == State::Refused => {
            refuse(&verify::UNION, right.span())
        }
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => Ok(()),
        (SetOperator::Union, _) => {
            let error = Error::new(&codes::NOT_YET, "UNION BY NAME is not supported")
                .with_hint("Spark's SQL has none. Name the columns of each part in the same order.");
            Err(SqlError::spanned(error, right.span()))
        }
        _ => refuse(&verify::SET_OPERATION, right.span()),
    };
    possible.map(|()| quantifier != SetQuantifier::All)
}

/// INTERSECT ALL and EXCEPT ALL: DataFusion joins, and does not count how often a row is on either side.
pub(crate) fn counted_rows(op: SetOperator) -> Error {
    Error::new(&codes::NOT_YET, format!("{op} ALL is not supported yet")).with_hint(
        "Write it without ALL, if each row counts once; or compare counts: GROUP BY all columns, and join.",
    )
}

/// The clauses of a SELECT.
pub(super) fn select(select: &Select, state: State) -> Result<(), SqlError> {
    let refuses = state == State::Refused;
    if let Some(Distinct::On(_)) = select.distinct {
        return refuse(&verify::DISTINCT, distinct_span(select));
    }
    if let Some(Distinct::Distinct) = select.distinct
        && refuses
    {
        return refuse(&verify::DISTINCT, distinct_span(select));
    }
    if is_grouped(select) && refuses {
        return refuse(&verify::GROUP_BY, select.group_by.span());
    }
    if let GroupByExpr::Expressions(exprs, _) = &select.group_by
        && exprs.len() > MAX_AGGREGATES
    {
        return Err(SqlError::spanned(too_many(), select.group_by.span()));
    }
    if let GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) = &select.group_by
        && !modifiers.is_empty()
    {
        return refuse(&verify::GROUP_MODIFIER, select.group_by.span());
    }
    Ok(())
}

/// The word DISTINCT has no place of its own: it follows SELECT and a blank.
fn distinct_span(select: &Select) -> Span {
    let mut span = select.select_token.0.span;
    span.start = span.end;
    span.start.column += 1;
    span
}

fn is_grouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, modifiers) => !exprs.is_empty() || !modifiers.is_empty(),
    }
}

/// True if a SELECT makes groups of its rows, other than by DISTINCT: what comes out is no single record.
pub(super) fn makes_groups(planner: &Planner<'_>, select: &Select) -> bool {
    struct Aggregates<'p, 'a>(&'p Planner<'a>);
    impl Visitor for Aggregates<'_, '_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if is_aggregate(self.0, function) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let mut aggregates = Aggregates(planner);
    is_grouped(select) || select.having.is_some() || select.projection.visit(&mut aggregates).is_break()
}

fn is_aggregate(planner: &Planner<'_>, function: &Function) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    let state = planner.session;
    !state.scalar_functions().contains_key(&name)
        && (state.aggregate_functions().contains_key(&name) || SPARKS_AGGREGATES.contains(&name.as_str()))
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
    planner: &mut Planner<'_>,
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
    let is_aggregate = is_aggregate(planner, function);
    let state = planner.session;
    match state.scalar_functions().get(name) {
        Some(scalar) if verify::is_volatile(scalar) => {
            Err(SqlError::spanned(verify::not_repeatable(name), ident.span))
        }
        None if is_aggregate => {
            if planner.refuses_state() {
                return refuse(&verify::AGGREGATE, ident.span);
            }
            planner.aggregates += 1;
            if planner.aggregates > MAX_AGGREGATES {
                return Err(SqlError::spanned(too_many(), ident.span));
            }
            let is_distinct = matches!(&function.args, FunctionArguments::List(list)
                if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)));
            if is_distinct { refuse(&verify::DISTINCT_AGGREGATE, ident.span) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}
