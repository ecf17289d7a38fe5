//! What ORDER BY orders by. A name by itself is that of a column that comes out; in an expression a name means a column of the
//! tables, also where one of the SELECT list is called alike: of `SELECT -n AS v … ORDER BY -v` it is the table's `v`. DataFusion
//! takes the one that comes out, or calls the two ambiguous.
//!
//! So an expression that stands in the SELECT list as it is becomes its number there (`ORDER BY sum(n)` beside `sum(n) AS n`);
//! of others the column that comes out has a mark behind its name, which clients do not see ([`super::labels`]). Inside of a
//! subquery, whose columns are known by their names, that is refused.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Statement, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::labels::MARK;

/// The statement with its orders as they are meant.
pub(super) fn rewritten(statement: &mut Statement) -> Result<(), Error> {
    struct Orders {
        depth: usize,
    }
    impl VisitorMut for Orders {
        type Break = Error;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            self.depth += 1;
            match of_query(query, self.depth == 1) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    match statement.visit(&mut Orders { depth: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn of_query(query: &mut Query, is_outermost: bool) -> Result<(), Error> {
    let (SetExpr::Select(select), Some(order)) = (query.body.as_mut(), &mut query.order_by) else {
        return Ok(());
    };
    let OrderByKind::Expressions(by) = &mut order.kind else { return Ok(()) };
    for by in by.iter_mut() {
        while let Expr::Nested(inner) = &mut by.expr {
            let inner = std::mem::replace(inner.as_mut(), Expr::Value(Value::Null.with_empty_span()));
            by.expr = inner;
        }
        numbered(by, &select.projection);
    }
    let mut named = HashSet::new();
    for by in by.iter() {
        if !matches!(by.expr, Expr::Identifier(_)) {
            named.extend(names(&by.expr));
        }
    }
    for (number, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let is_same = column(expr) == Some(&alias.value);
        if !named.contains(&alias.value) || (is_same && !is_outermost) {
            continue;
        }
        if !is_outermost {
            let name = &alias.value;
            let message = format!(
                "ORDER BY an expression of `{name}`, which the SELECT list gives too, is not supported here"
            );
            return Err(Error::new(&codes::NOT_YET, message)
                .with_hint(format!("Give the column of the SELECT list another name than `{name}`.")));
        }
        let known = alias.value.clone();
        alias.value.push(MARK);
        alias.value.push_str(&number.to_string());
        alias.quote_style = Some('"');
        for by in by.iter_mut() {
            match &mut by.expr {
                Expr::Identifier(name) if name.value == known => *name = alias.clone(),
                _ => {}
            }
        }
    }
    Ok(())
}

/// An expression that comes out becomes the number of its column.
fn numbered(by: &mut OrderByExpr, items: &[SelectItem]) {
    if matches!(by.expr, Expr::Identifier(_) | Expr::Value(_)) {
        return;
    }
    for (at, item) in items.iter().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if *expr == by.expr => {
                let number = Value::Number((at + 1).to_string(), false);
                by.expr = Expr::Value(number.with_empty_span());
                return;
            }
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
            // Nobody knows here how many columns a `*` is.
            _ => return,
        }
    }
}

fn column(expr: &Expr) -> Option<&String> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name: &Ident| &name.value),
        _ => None,
    }
}

/// The columns that an expression names.
fn names(expr: &Expr) -> HashSet<String> {
    struct Names(HashSet<String>);
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0.extend(column(expr).cloned());
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(HashSet::new());
    let _: ControlFlow<()> = expr.visit(&mut names);
    names.0
}
