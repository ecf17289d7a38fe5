//! `JOIN … USING (k)`: the column `k` that comes out is the one of the side that every row has, and of a FULL JOIN the
//! first that is there. DataFusion always takes the left one, which of a RIGHT or FULL JOIN is NULL for rows without a
//! partner. So a SELECT with such a join has it written out: ON in the place of USING, and `coalesce(l.k, r.k)` or `r.k`
//! for `k`.
//!
//! What cannot be written out (tables without a name, NATURAL, whose columns are not known here) is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::tree::call;

/// The statement with such joins written out.
pub(super) fn rewritten(statement: &mut Statement) -> Result<(), Error> {
    struct Joins;
    impl VisitorMut for Joins {
        type Break = Error;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            match of_query(query) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match statement.visit(&mut Joins) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// A column that joins have made one, and what it is.
type Merged = Vec<(String, Expr)>;

fn of_query(query: &mut Query) -> Result<(), Error> {
    let mut merged = Merged::new();
    of_body(&mut query.body, &mut merged)?;
    // What is ordered by a name of the SELECT list means that; only other expressions see the tables.
    if let (false, SetExpr::Select(select), Some(order)) =
        (merged.is_empty(), query.body.as_ref(), &mut query.order_by)
        && let OrderByKind::Expressions(by) = &mut order.kind
    {
        let gives = |name: &str| {
            select.projection.iter().any(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => alias.value == name,
                SelectItem::Wildcard(_) => true,
                _ => false,
            })
        };
        for by in by {
            match &by.expr {
                Expr::Identifier(name) if gives(&name.value) => {}
                _ => replaced(&mut by.expr, &merged),
            }
        }
    }
    Ok(())
}

fn of_body(body: &mut SetExpr, merged: &mut Merged) -> Result<(), Error> {
    match body {
        SetExpr::Select(select) => of_select(select, merged),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, &mut Merged::new())?;
            of_body(right, &mut Merged::new())
        }
        _ => Ok(()),
    }
}

fn of_select(select: &mut Select, merged: &mut Merged) -> Result<(), Error> {
    let is_concerned = |joined: &TableWithJoins| {
        joined.joins.iter().any(|join| {
            constraint(&join.join_operator).is_some_and(|(kind, constraint)| {
                kind != Side::Left && matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
            })
        })
    };
    if !select.from.iter().any(is_concerned) {
        return Ok(());
    }
    if select.from.len() > 1 {
        return Err(refused("USING of a RIGHT or FULL JOIN beside other tables"));
    }
    let Some(joined) = select.from.first_mut() else { return Ok(()) };
    let mut tables = vec![named(&joined.relation)?];
    for join in &mut joined.joins {
        let table = named(&join.relation)?;
        if let Some((side, constraint)) = constraint_mut(&mut join.join_operator) {
            match constraint {
                JoinConstraint::Natural => return Err(refused("NATURAL beside a RIGHT or FULL JOIN")),
                JoinConstraint::Using(columns) => {
                    let columns = columns.iter().map(|column| match column.0.as_slice() {
                        [column] => {
                            column.as_ident().cloned().ok_or_else(|| refused("such a column in USING"))
                        }
                        _ => Err(refused("such a column in USING")),
                    });
                    let columns = columns.collect::<Result<Vec<Ident>, _>>()?;
                    *constraint = JoinConstraint::On(one(columns, &tables, &table, side, merged)?);
                }
                _ => {}
            }
        }
        tables.push(table);
    }
    let columns: Vec<String> = merged.iter().map(|(name, _)| name.clone()).collect();
    let mut items = Vec::new();
    for item in select.projection.drain(..) {
        match item {
            SelectItem::Wildcard(options) => {
                if options != WildcardAdditionalOptions::default() {
                    return Err(refused("such a * over USING of a RIGHT or FULL JOIN"));
                }
                items.extend(merged.iter().map(|(name, expr)| aliased(expr.clone(), name)));
                items.extend(tables.iter().map(|table| {
                    let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(table.clone()));
                    let without =
                        columns.iter().map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]));
                    let opt_exclude = Some(ExcludeSelectItem::Multiple(without.collect()));
                    SelectItem::QualifiedWildcard(
                        kind,
                        WildcardAdditionalOptions { opt_exclude, ..WildcardAdditionalOptions::default() },
                    )
                }));
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                let known = merged.iter().find(|(known, _)| *known == name.value);
                items.push(match known {
                    Some((known, expr)) => aliased(expr.clone(), known),
                    None => SelectItem::UnnamedExpr(Expr::Identifier(name)),
                });
            }
            mut other => {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = &mut other {
                    replaced(expr, merged);
                }
                items.push(other);
            }
        }
    }
    select.projection = items;
    let clauses = [&mut select.selection, &mut select.having, &mut select.qualify];
    clauses.into_iter().flatten().for_each(|expr| replaced(expr, merged));
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        by.iter_mut().for_each(|expr| replaced(expr, merged));
    }
    Ok(())
}

/// The condition of a join, and what its columns are from now on.
fn one(
    columns: Vec<Ident>,
    before: &[Vec<Ident>],
    table: &[Ident],
    side: Side,
    merged: &mut Merged,
) -> Result<Expr, Error> {
    let of = |table: &[Ident], column: &Ident| {
        Expr::CompoundIdentifier(table.iter().chain(std::iter::once(column)).cloned().collect())
    };
    let mut all: Option<Expr> = None;
    for column in columns {
        let right = of(table, &column);
        let known = merged.iter().position(|(name, _)| *name == column.value);
        let left = match (known, before) {
            (Some(at), _) => merged.get(at).map(|(_, expr)| expr.clone()),
            (None, [first]) => Some(of(first, &column)),
            _ => None,
        };
        let Some(left) = left else {
            return Err(refused("USING of a column that several tables may have, in RIGHT or FULL JOINs"));
        };
        let made = match side {
            Side::Left => left.clone(),
            Side::Right => right.clone(),
            Side::Both => call("coalesce", vec![left.clone(), right.clone()]),
        };
        match known.and_then(|at| merged.get_mut(at)) {
            Some(place) => place.1 = made,
            None => merged.push((column.value.clone(), made)),
        }
        let same = Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) };
        all = Some(match all {
            Some(all) => {
                Expr::BinaryOp { left: Box::new(all), op: BinaryOperator::And, right: Box::new(same) }
            }
            None => same,
        });
    }
    all.ok_or_else(|| refused("USING without columns"))
}

fn aliased(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

/// The expression with joined columns in the place of their names; a subquery's names are its own first, and stay.
fn replaced(expr: &mut Expr, merged: &Merged) {
    struct Names<'a>(&'a Merged, usize);
    impl VisitorMut for Names<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let (0, Expr::Identifier(name)) = (self.1, &*expr)
                && let Some((_, made)) = self.0.iter().find(|(known, _)| *known == name.value)
            {
                *expr = made.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = expr.visit(&mut Names(merged, 0));
}

/// The name by which a table's columns are called.
fn named(table: &TableFactor) -> Result<Vec<Ident>, Error> {
    let (alias, name) = match table {
        TableFactor::Table { alias, name, .. } => (alias, Some(name)),
        TableFactor::Derived { alias, .. } => (alias, None),
        _ => return Err(refused("such a table beside USING of a RIGHT or FULL JOIN")),
    };
    let own = || name?.0.iter().map(|part| part.as_ident().cloned()).collect::<Option<Vec<Ident>>>();
    let found = alias.as_ref().map(|alias| vec![alias.name.clone()]).or_else(own);
    found.ok_or_else(|| refused("a table without a name beside USING of a RIGHT or FULL JOIN"))
}

fn refused(what: &str) -> Error {
    Error::new(&codes::NOT_YET, format!("{what} is not supported yet"))
        .with_hint("Write the condition with ON, and coalesce(a.k, b.k) for the column.")
}

/// Whose rows all come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

fn side_of(join: &JoinOperator) -> Side {
    match join {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Side::Right,
        JoinOperator::FullOuter(_) => Side::Both,
        _ => Side::Left,
    }
}

fn constraint(join: &JoinOperator) -> Option<(Side, &JoinConstraint)> {
    match join {
        JoinOperator::Join(it)
        | JoinOperator::Inner(it)
        | JoinOperator::Left(it)
        | JoinOperator::LeftOuter(it)
        | JoinOperator::Right(it)
        | JoinOperator::RightOuter(it)
        | JoinOperator::FullOuter(it) => Some((side_of(join), it)),
        _ => None,
    }
}

fn constraint_mut(join: &mut JoinOperator) -> Option<(Side, &mut JoinConstraint)> {
    let side = side_of(join);
    match join {
        JoinOperator::Join(it)
        | JoinOperator::Inner(it)
        | JoinOperator::Left(it)
        | JoinOperator::LeftOuter(it)
        | JoinOperator::Right(it)
        | JoinOperator::RightOuter(it)
        | JoinOperator::FullOuter(it) => Some((side, it)),
        _ => None,
    }
}
