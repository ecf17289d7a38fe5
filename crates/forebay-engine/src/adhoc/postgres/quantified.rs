//! `x = ANY (…)`, `x <> ALL (…)`, `tags[i]`, and conditions over subqueries in a SELECT list, in the form that DataFusion plans
//! and with PostgreSQL's answer where something is NULL.
//!
//! * Over a subquery `= ANY` is IN, and `<> ALL` NOT IN.
//! * Over an array ANY is NULL, and not false, where nothing in it fits and it holds a NULL.
//! * Elements are counted from 1: there is none at 0 or before, where DataFusion counts from the end.
//! * In a SELECT list DataFusion has neither EXISTS nor IN: the one becomes a count of rows, the other a search in their array.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement,
    Subscript, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::tree::{call, text};

/// The statement with such conditions written otherwise.
pub(super) fn rewritten(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Quantified);
}

struct Quantified;

impl VisitorMut for Quantified {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let _: ControlFlow<()> = expr.visit(&mut Shown { depth: 0 });
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let made = match expr {
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_ref() {
                Expr::Subquery(query) => {
                    Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated: false }
                }
                _ => any(left, right),
            },
            Expr::AnyOp { right, .. } if !matches!(right.as_ref(), Expr::Subquery(_)) => {
                **right = listed(right);
                let array = right.as_ref().clone();
                or_unknown(Expr::Nested(Box::new(expr.clone())), array)
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => match right.as_ref() {
                Expr::Subquery(query) => {
                    Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated: true }
                }
                _ => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any(left, right)) },
            },
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter_mut().for_each(from_one);
                return ControlFlow::Continue(());
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = made;
        ControlFlow::Continue(())
    }
}

/// `x = ANY (array)`.
fn any(left: &Expr, right: &Expr) -> Expr {
    let array = listed(right);
    or_unknown(call("array_contains", vec![array.clone(), left.clone()]), array)
}

/// An array, also one that is written as a text.
fn listed(array: &Expr) -> Expr {
    let made = match array {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => literal(text),
            _ => None,
        },
        _ => None,
    };
    made.unwrap_or_else(|| array.clone())
}

/// What is found, or NULL where the array has one.
fn or_unknown(found: Expr, array: Expr) -> Expr {
    // What can be told of a list that is written down is told here, so that it is a plain IN.
    let may_hold_null = match &array {
        Expr::Array(Array { elem, .. }) if elem.iter().all(is_value) => elem.iter().any(is_null),
        _ => true,
    };
    if !may_hold_null {
        return found;
    }
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(found),
        op: BinaryOperator::Or,
        right: Box::new(call("__unknown_in", vec![array])),
    }))
}

fn is_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// The elements of `{a,"b c",NULL}`; `None` for what is none, or has arrays in it.
fn literal(array: &str) -> Option<Expr> {
    let inner = array.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut elem, mut letters, mut is_over) = (Vec::new(), inner.chars(), inner.trim().is_empty());
    while !is_over {
        let (mut value, mut is_quoted, mut in_quotes) = (String::new(), false, false);
        loop {
            match letters.next() {
                None if in_quotes => return None,
                None => {
                    is_over = true;
                    break;
                }
                Some(',') if !in_quotes => break,
                Some('{' | '}') if !in_quotes => return None,
                Some('"') => (is_quoted, in_quotes) = (true, !in_quotes),
                Some('\\') => value.push(letters.next()?),
                Some(letter) => value.push(letter),
            }
        }
        let value = if is_quoted { value.as_str() } else { value.trim() };
        let is_null = !is_quoted && value.eq_ignore_ascii_case("null");
        elem.push(if is_null { Expr::Value(Value::Null.with_empty_span()) } else { text(value) });
    }
    Some(Expr::Array(Array { elem, named: true }))
}

/// Places before the first are none.
fn from_one(access: &mut AccessExpr) {
    let least = |expr: &Expr, least: &str| {
        let is_plain = matches!(expr, Expr::Value(value)
            if matches!(&value.value, Value::SingleQuotedString(_) | Value::Number(..)));
        (!is_plain).then(|| call("__from", vec![expr.clone(), super::spelled::number(least)]))
    };
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) => {
            if let Some(made) = least(index, "0") {
                *index = made;
            }
        }
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
            if let Some(bound) = lower_bound
                && let Some(made) = least(bound, "1")
            {
                *bound = made;
            }
            if let Some(bound) = upper_bound
                && let Some(made) = least(bound, "0")
            {
                *bound = made;
            }
        }
        AccessExpr::Dot(_) => {}
    }
}

/// Conditions over subqueries within what comes out.
struct Shown {
    depth: usize,
}

impl VisitorMut for Shown {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let made = match expr {
            Expr::Exists { subquery, negated } => counted(subquery, *negated),
            Expr::InSubquery { expr, subquery, negated } => searched(expr, subquery, *negated),
            _ => None,
        };
        if let Some(made) = made {
            *expr = made;
        }
        ControlFlow::Continue(())
    }
}

/// A query whose tree is known, to be filled.
fn template(sql: &str) -> Option<Query> {
    match super::text::split(sql).ok()?.first()?.parse().ok()? {
        Statement::Query(query) => Some(*query),
        _ => None,
    }
}

/// Whether a query has rows, as a number is compared.
pub(super) fn counted(query: &Query, negated: bool) -> Option<Expr> {
    let sign = if negated { "=" } else { ">" };
    if let Some(mut plain) = is_plain(query) {
        let one = template(&format!("SELECT count(*) {sign} 0"))?;
        let (SetExpr::Select(own), SetExpr::Select(made)) = (plain.body.as_mut(), *one.body) else {
            return None;
        };
        own.projection = made.projection;
        plain.order_by = None;
        return Some(Expr::Subquery(Box::new(plain)));
    }
    let mut made = template(&format!("SELECT count(*) {sign} 0 FROM (SELECT 1) AS forebay_exists"))?;
    *derived(&mut made)? = query.clone();
    Some(Expr::Subquery(Box::new(made)))
}

/// The query in the FROM of a template.
fn derived(made: &mut Query) -> Option<&mut Query> {
    let SetExpr::Select(select) = made.body.as_mut() else { return None };
    match &mut select.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => Some(subquery.as_mut()),
        _ => None,
    }
}

/// The query, if each row of its tables that its WHERE takes is one of it.
fn is_plain(query: &Query) -> Option<Query> {
    let is_whole = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(by, sets) if by.is_empty() && sets.is_empty());
    let plain = |item: &SelectItem| match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        }
        _ => false,
    };
    let is_plain = is_whole
        && ungrouped
        && !select.from.is_empty()
        && select.distinct.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.projection.iter().all(plain);
    is_plain.then(|| query.clone())
}

/// `x IN (subquery)` as a search in the array of its values; of none it is false.
fn searched(of: &Expr, query: &Query, negated: bool) -> Option<Expr> {
    let mut made =
        template("SELECT array_agg(forebay_in.forebay_one) FROM (SELECT 1) AS forebay_in (forebay_one)")?;
    *derived(&mut made)? = query.clone();
    let array = Expr::Subquery(Box::new(made));
    let found = call("__in", vec![of.clone(), array]);
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(found) } } else { found })
}
