//! A table whose rows come from streams that can be read once: the records of a topic, as of now.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;

use super::TableProvider;
pub use crate::epoch::lane::with_envelope;

/// Rows that arrive as batches of one schema.
pub type Rows = BoxStream<'static, Result<RecordBatch>>;

/// A table of these lanes, read in parallel. Each can be read once, so a statement can use the table, which it knows
/// by `name`, once.
pub fn table(name: &str, schema: SchemaRef, lanes: Vec<Rows>) -> Result<Arc<dyn TableProvider>> {
    let partitions = lanes
        .into_iter()
        .map(|rows| {
            let name = name.to_owned();
            Arc::new(Lane { name, schema: schema.clone(), rows: Mutex::new(Some(rows)) })
                as Arc<dyn PartitionStream>
        })
        .collect();
    let table = StreamingTable::try_new(schema, partitions)
        .map_err(|e| Error::new(&codes::INTERNAL, "the topic cannot be read as a table").caused_by(e))?;
    Ok(Arc::new(table))
}

/// A table of rows that are there.
pub fn whole(schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(schema, vec![rows])
        .map_err(|e| Error::new(&codes::INTERNAL, "rows cannot be read as a table").caused_by(e))?;
    Ok(Arc::new(table))
}

/// True if a statement can use a table once.
pub(super) fn can_be_read_once(table: &Arc<dyn TableProvider>) -> bool {
    table.is::<StreamingTable>()
}

/// The error for a table that a statement would have to read twice.
pub(super) fn read_twice(name: &str) -> Error {
    Error::new(&codes::NOT_YET, format!("`{name}` can be read once in a statement")).with_hint(
        "Its rows are read as they come and are not held. Name it once, also in views and WITH, or let a query write its rows to \
         a table and read that.",
    )
}

struct Lane {
    name: String,
    schema: SchemaRef,
    rows: Mutex<Option<Rows>>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

impl PartitionStream for Lane {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows: Rows = match self.rows.lock().take() {
            Some(rows) => rows,
            None => futures::stream::iter([Err(read_twice(&self.name))]).boxed(),
        };
        let rows = rows.map(|batch| batch.map_err(|e| DataFusionError::External(Box::new(e))));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}
