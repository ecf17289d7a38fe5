//! Tables at rest that streams are joined with: what the engine asks of them.
//!
//! A table has versions. Which one is there now is asked before every epoch, so that is cheap; a version is read as a
//! whole, into memory. What must stay true: the rows that [`StaticTable::load`] gives are those of exactly one version,
//! which it names; a table of which only a part could be read is an error.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// One state of a table, as a text that people can compare: Delta's number, or a time and a sum of what the files are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableVersion(pub String);

impl std::fmt::Display for TableVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rows of one version.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// Which.
    pub version: TableVersion,
    /// Rows of [`StaticTable::schema`].
    pub batches: Vec<RecordBatch>,
}

/// Which version is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one that is there now.
    Newest,
    /// This one, if the table still has it and can tell; else the one that is there now.
    Exact(TableVersion),
}

/// A table at rest.
#[async_trait]
pub trait StaticTable: Send + Sync {
    /// Its name in SQL.
    fn name(&self) -> &str;

    /// Its columns; all may be NULL.
    fn schema(&self) -> SchemaRef;

    /// Most bytes that its rows may take in memory.
    fn max_memory(&self) -> u64;

    /// True if a version is there as a whole or not at all; false of files that may be written while they are read.
    fn is_atomic(&self) -> bool {
        false
    }

    /// Which version is there now. Reads no rows. Fails with `TABLE_UNREADABLE`.
    async fn version(&self) -> Result<TableVersion>;

    /// Reads a version. Fails with `TABLE_UNREADABLE` if it is not there, cannot be read or is being written, with
    /// `TABLE_TOO_LARGE` if it takes more memory than it may.
    async fn load(&self, wanted: &Wanted) -> Result<TableRows>;
}
