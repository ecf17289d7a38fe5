//! How much a statement reads, told from its tree before it is planned: a common table expression counts each time it is
//! read with all that it reads. Thirty of which each reads the one before it twice would be a plan of a billion scans,
//! and planning cannot be interrupted.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement, Visit, Visitor};
use forebay_core::Error;
use forebay_core::error::codes;

/// Most tables that a statement reads, counted so.
const MAX_READS: u64 = 2_000;

/// Refuses a statement that reads more.
pub(super) fn bound(statement: &Statement) -> Result<(), Error> {
    match statement.visit(&mut Weight::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = format!("the statement reads more than {MAX_READS} tables");
            let hint = "Each use of a WITH counts with all that it reads: use them less often.";
            Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint))
        }
    }
}

#[derive(Default)]
struct Weight {
    open: Vec<Level>,
    /// The names of the common table expressions that are still to be visited, by where they are.
    named: HashMap<usize, String>,
}

/// A query that is being visited.
#[derive(Default)]
struct Level {
    name: Option<String>,
    reads: u64,
    /// Its common table expressions with what each reads.
    known: Vec<(String, u64)>,
}

fn place(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl Visitor for Weight {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(place(&cte.query), cte.alias.name.value.to_lowercase());
        }
        let name = self.named.remove(&place(query));
        self.open.push(Level { name, ..Level::default() });
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
            _ => None,
        };
        let mut known = self.open.iter().rev().flat_map(|level| level.known.iter().rev());
        let found = known.find(|(own, _)| Some(own) == single.as_ref());
        let reads = found.map_or(1, |(_, reads)| *reads);
        let Some(level) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        level.reads = level.reads.saturating_add(reads);
        if level.reads > MAX_READS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let Some(done) = self.open.pop() else { return ControlFlow::Continue(()) };
        let Some(around) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        match done.name {
            Some(name) => around.known.push((name, done.reads.max(1))),
            None => around.reads = around.reads.saturating_add(done.reads),
        }
        if around.reads > MAX_READS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
