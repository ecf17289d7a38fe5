//! What stateful operators remember from epoch to epoch: keyed tables in memory, and their durable form.
//!
//! ```text
//!  operator ── looks at ──▶ Table        (never changes it)
//!     └─ answers Changes ──▶ StateFiles::write, fsynced ─▶ outcome N ─▶ sink.commit ─▶ commit N
//!                                                        ─▶ Table::apply(Changes) ─▶ StateFiles::committed
//! ```
//!
//! A [`Table`] is columnar: rows lie in immutable Arrow segments, a hash index leads from a key to its row, and what
//! expires is found by time. An epoch costs what it changes, not what is held ([`table`]). [`StateFiles`] keeps a
//! changelog with one fsync an epoch, and snapshots that are written in the background ([`files`]). [`show`] reads them
//! for people.
//!
//! Where rows are large and follow from little, the changelog has what they follow from in their place ([`Again`]).
//!
//! What must stay true: an epoch's changes are durable before its outcome, so an epoch that a sink may have is never computed
//! again: its record is applied. Bytes that are not exactly what was written are never taken for state.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use forebay_core::Result;

mod again;
mod batch;
mod columns;
mod differs;
mod error;
pub(crate) mod files;
mod folder;
mod frame;
mod index;
mod layout;
mod load;
mod record;
mod segment;
mod show;
mod snapshot;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod tidy;

pub(crate) use columns::own_views;
pub(crate) use files::StateFiles;
pub use show::{Damage, ShownTable};
pub(crate) use show::{bears, examine, show, tables};
pub(crate) use table::{Applied, Table};

/// Where the state of a query lies in the folder of its checkpoint.
pub(crate) fn folder(checkpoint: &std::path::Path) -> std::path::PathBuf {
    checkpoint.join("state")
}

/// The expiry of a row that never expires: [`Table::due`] never gives it, [`Table::oldest`] does not count it.
pub(crate) const NEVER: i64 = i64::MAX;

/// The name in the values' metadata of what the rows mean, where the columns alone do not tell it.
pub(crate) const MEANING: &str = "meaning";

/// Makes changes a second time, of what an epoch's rows followed from.
pub(crate) trait Again: fmt::Debug + Send + Sync {
    /// What [`Changes::cause`] was beside, over the table as it was: the same bytes.
    fn changes(&self, table: &Table, cause: &RecordBatch) -> Result<Changes>;
}

/// The columns of a table. Keys count by name, type and order; values by type and order, their names are free to change.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What a row is found by: one column at least. Where SQL has no GROUP BY the operator keeps a constant.
    pub keys: Vec<FieldRef>,
    /// What is kept beside the key.
    pub values: SchemaRef,
    /// What makes its rows of a [`Changes::cause`], if it has some. A layout that was read from a file knows it not.
    pub again: Option<Arc<dyn Again>>,
}

/// Where a row lies; it holds until the next [`Table::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    segment: u16,
    row: u16,
}

/// What an epoch does to one table: upserts first, then removals, then evictions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Rows that are new or take the place of the row with their key.
    pub upserts: Option<Upserts>,
    /// Where the rows with their keys lie now, in their order, if the operator has looked already.
    pub found: Option<Vec<Option<Slot>>>,
    /// Key columns of rows that go; keys that are not there are no error.
    pub removed: Option<Vec<ArrayRef>>,
    /// Every row that expires at or before this goes, those that were just written too. Give it whenever the watermark has moved.
    pub evict_through: Option<i64>,
    /// What the upserts followed from, where that is far less to write: of a table with [`Layout::again`]. The key columns come first.
    pub cause: Option<RecordBatch>,
}

/// Whole rows, all of one length, of exactly the types of the [`Layout`]. No two may have the same key.
#[derive(Clone, Debug)]
pub(crate) struct Upserts {
    pub keys: Vec<ArrayRef>,
    /// When each row may go, in the operator's own unit of time, without nulls; [`NEVER`] if it may not.
    pub expires: Int64Array,
    pub values: Vec<ArrayRef>,
}

impl Upserts {
    /// Rows that were taken out of larger columns, by themselves: what is written must follow from what changed.
    pub fn taken(keys: &[ArrayRef], expires: Int64Array, values: &[ArrayRef]) -> Self {
        let own = |columns: &[ArrayRef]| columns.iter().map(columns::own_views).collect();
        Self { keys: own(keys), expires, values: own(values) }
    }
}

impl Changes {
    /// Bytes of the rows that are written.
    pub fn bytes(&self) -> usize {
        let Some(Upserts { keys, expires, values }) = &self.upserts else { return 0 };
        let columns = keys.iter().chain(values).map(|column| column.get_array_memory_size());
        columns.sum::<usize>() + expires.len() * 8
    }
}

impl PartialEq for Layout {
    /// Whether the columns are the same.
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && self.values == other.values
    }
}

impl Layout {
    /// A layout of these columns.
    pub fn new(keys: Vec<FieldRef>, values: SchemaRef) -> Arc<Self> {
        Arc::new(Self { keys, values, again: None })
    }

    /// The same, of rows that this can make again.
    pub fn with_again(keys: Vec<FieldRef>, values: SchemaRef, again: Arc<dyn Again>) -> Arc<Self> {
        Arc::new(Self { keys, values, again: Some(again) })
    }
}
