//! Named windows, `WINDOW w AS (…)`, written out where they are used: DataFusion knows `OVER w` of a SELECT list alone, and of
//! `OVER (w ORDER BY k)` forgets the partitions of `w`.
//!
//! What must stay true: a window that is copied keeps its PARTITION BY and its ORDER BY, and nothing else is written in their
//! place; a subquery has windows of its own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, SetExpr, Statement, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};
use forebay_core::Error;
use forebay_core::error::codes;

/// The statement with its windows written out.
pub(super) fn rewritten(statement: &mut Statement) -> Result<(), Error> {
    struct Queries;
    impl VisitorMut for Queries {
        type Break = Error;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            of_query(query)
        }
    }
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

type Known = Vec<(String, WindowSpec)>;

fn of_query(query: &mut Query) -> ControlFlow<Error> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return of_body(&mut query.body);
    };
    let known = known(&std::mem::take(&mut select.named_window));
    let known = match known {
        Ok(known) => known,
        Err(error) => return ControlFlow::Break(error),
    };
    let mut over = Over { known, depth: 0 };
    for item in &mut select.projection {
        item.visit(&mut over)?;
    }
    if let Some(qualify) = &mut select.qualify {
        qualify.visit(&mut over)?;
    }
    match query.order_by.as_mut().map(|order| &mut order.kind) {
        Some(OrderByKind::Expressions(by)) => by.iter_mut().try_for_each(|by| by.visit(&mut over)),
        _ => ControlFlow::Continue(()),
    }
}

/// Those of a UNION's parts.
fn of_body(body: &mut SetExpr) -> ControlFlow<Error> {
    match body {
        SetExpr::Select(select) => {
            let known = match known(&std::mem::take(&mut select.named_window)) {
                Ok(known) => known,
                Err(error) => return ControlFlow::Break(error),
            };
            select
                .projection
                .iter_mut()
                .try_for_each(|item| item.visit(&mut Over { known: known.clone(), depth: 0 }))
        }
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left)?;
            of_body(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// The windows of a SELECT, each with what it copies.
fn known(named: &[NamedWindowDefinition]) -> Result<Known, Error> {
    let mut known = Known::new();
    for definition in named {
        let name = definition.0.value.clone();
        if known.iter().any(|(own, _)| *own == name) {
            return Err(Error::new(&codes::SQL_PLAN, format!("window \"{name}\" is already defined")));
        }
        let spec = match &definition.1 {
            NamedWindowExpr::NamedWindow(of) => found(of, &known)?,
            NamedWindowExpr::WindowSpec(spec) => written_out(spec.clone(), &known)?,
        };
        known.push((name, spec));
    }
    Ok(known)
}

fn found(name: &Ident, known: &Known) -> Result<WindowSpec, Error> {
    let found = known.iter().find(|(own, _)| *own == name.value).map(|(_, spec)| spec.clone());
    found.ok_or_else(|| Error::new(&codes::SQL_PLAN, format!("window \"{}\" does not exist", name.value)))
}

/// `(w ORDER BY k)`: the partitions of `w` and its order, if it has one.
fn written_out(mut spec: WindowSpec, known: &Known) -> Result<WindowSpec, Error> {
    let Some(name) = spec.window_name.take() else { return Ok(spec) };
    let of = found(&name, known)?;
    let refused = |what: &str| {
        let message = format!("cannot {what} of window \"{}\"", name.value);
        Err(Error::new(&codes::SQL_PLAN, message)
            .with_hint("Write the window out: OVER (PARTITION BY … ORDER BY …)."))
    };
    if !spec.partition_by.is_empty() {
        return refused("override PARTITION BY clause");
    }
    if !spec.order_by.is_empty() && !of.order_by.is_empty() {
        return refused("override ORDER BY clause");
    }
    if of.window_frame.is_some() {
        return refused("copy the frame clause");
    }
    spec.partition_by = of.partition_by;
    if spec.order_by.is_empty() {
        spec.order_by = of.order_by;
    }
    Ok(spec)
}

/// The calls over a window; those of subqueries are their own.
struct Over {
    known: Known,
    depth: usize,
}

impl VisitorMut for Over {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let (0, Expr::Function(call)) = (self.depth, expr) {
            let spec = match call.over.take() {
                Some(WindowType::NamedWindow(name)) => found(&name, &self.known).map(Some),
                Some(WindowType::WindowSpec(spec)) => written_out(spec, &self.known).map(Some),
                None => Ok(None),
            };
            match spec {
                Ok(spec) => call.over = spec.map(WindowType::WindowSpec),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}
