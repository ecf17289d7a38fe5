//! Joins of a stream with tables at rest: each row of the stream looks up its partners.
//!
//! ```text
//! table ─ load ─▶ rows ─ the query's own SELECT over it ─▶ Built (rows, hash of their keys) ─┐
//!                                                                                            ▼
//! batch of the stream ─▶ keys ─▶ candidates ─▶ pairs for which the condition holds ─▶ batch, and which record each row is of
//! ```
//!
//! Nothing is remembered between rows, so this is a stage of a lane. [`plan`](crate::plan) makes the [`LookupSpec`] once;
//! [`build`] makes a [`Built`] of each version of a table; [`probe`] joins a batch with it; [`versions`] says which version
//! an epoch is joined with, [`beside`] what is joined where there are none. What must stay true: a record keeps its identity, however many rows it becomes; rows come out in
//! the stream's order, the partners of one in the table's; pairs are looked at in pieces of bounded size.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};

mod beside;
mod build;
mod probe;
#[cfg(test)]
mod tests;
pub(crate) mod versions;

pub use self::beside::Newest;
pub(crate) use self::build::{Built, encodable};
pub(crate) use self::probe::{candidates, pieces, probe};
pub use self::versions::{Standing, newest};

/// What becomes of a row of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One row for each partner.
    Inner,
    /// The same, and one with NULLs if there is none.
    Outer,
    /// Itself, if there is a partner.
    Semi,
    /// Itself, if there is none.
    Anti,
}

/// A join with tables at rest.
#[derive(Debug)]
pub(crate) struct LookupSpec {
    pub kind: Kind,
    /// What is read of the tables: a plan over them alone.
    pub at_rest: LogicalPlan,
    /// The tables that it reads.
    pub tables: BTreeSet<String>,
    /// The equality keys, over its columns. None: every row is a partner for which the condition holds.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether NULL is a partner of NULL (`<=>`), for each key.
    pub null_safe: Vec<bool>,
    /// How many columns the stream has.
    pub stream_columns: usize,
    /// True if its columns come first.
    pub stream_is_left: bool,
    /// Which columns the condition reads, in the order in which it counts them: over the columns of left, then of right.
    pub condition_columns: Vec<usize>,
    /// Their fields.
    pub condition_schema: SchemaRef,
    /// The columns that come out.
    pub output: SchemaRef,
    /// The session's time zone.
    pub zone: Zone,
}

/// The stage: what is computed for each batch. Its expressions may ask for the epoch's time.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub spec: Arc<LookupSpec>,
    /// The equality keys, over the stream's columns.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// What else must hold of a pair, over [`LookupSpec::condition_columns`].
    pub condition: Option<Arc<dyn PhysicalExpr>>,
}

impl LookupSpec {
    /// Where the stream's columns begin among those of a pair.
    pub fn stream_start(&self) -> usize {
        let width = self.at_rest.schema().fields().len();
        if self.stream_is_left { 0 } else { width }
    }

    /// The column of the stream that a column which comes out is.
    pub fn stream_column(&self, output: usize) -> Option<usize> {
        let start = match self.kind {
            Kind::Inner | Kind::Outer => self.stream_start(),
            Kind::Semi | Kind::Anti => 0,
        };
        output.checked_sub(start).filter(|column| *column < self.stream_columns)
    }

    /// The tables' names, for people.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.tables.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

/// What epochs are joined with: of each join of a query the rows of its tables.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<(Arc<LookupSpec>, Arc<Built>)>);

impl Held {
    pub(crate) fn new(built: Vec<(Arc<LookupSpec>, Arc<Built>)>) -> Self {
        Self(built)
    }

    /// The rows for a join.
    pub(crate) fn of(&self, spec: &Arc<LookupSpec>) -> Result<&Arc<Built>> {
        let found = self.0.iter().find(|(of, _)| Arc::ptr_eq(of, spec));
        let missing =
            || Error::new(&codes::INTERNAL, "a table was not read before the stream was joined with it");
        found.map(|(_, built)| built).ok_or_else(missing)
    }
}
