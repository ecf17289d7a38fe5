//! delta-rs's scan, of whose filters nothing is believed, and which is left out where it has nothing to do.
//!
//! It promises to apply a condition exactly where every column of it is a partition's, which a condition without columns meets as well:
//! `a = 1 AND NULL` would lose its second half, and so would `a NOT IN (1, NULL)`. What must stay true: a condition without columns
//! stays above the scan, and every other is looked at again there; the scan leaves out files and rows by it, which is all that is asked.
//!
//! Between the reader of the files and the plan stands an operator of delta-rs's, which looks at each batch: it takes rows out by deletion vectors,
//! renames columns, adds those of partitions. In a table without all that ([`is_plain`]) the reader gives what the plan needs, once the column
//! is left out by which a row's file is told ([`read_plainly`]); then the plan sees DataFusion's own scan, and its optimizers know what to do with it.

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, Statistics};
use datafusion::datasource::physical_plan::{
    FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake_core::DeltaTable;

use super::action::{Metadata, Protocol};
use super::ordered::{Places, placed};

/// Features under which a file's rows are the table's, as long as it has no deletion vector.
const AS_WRITTEN: [&str; 4] = ["deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"];

/// A table whose filters are only hints to its scan.
#[derive(Debug)]
pub(super) struct Careful {
    table: Arc<dyn TableProvider>,
    loaded: DeltaTable,
    is_plain: bool,
    /// The order of its files, if one was asked for.
    places: Option<Arc<Places>>,
}

impl Careful {
    /// delta-rs's table, of which the log says this.
    pub fn new(
        table: Arc<dyn TableProvider>,
        loaded: DeltaTable,
        protocol: &Protocol,
        metadata: &Metadata,
    ) -> Self {
        Self { table, loaded, is_plain: is_plain(protocol, metadata), places: None }
    }

    /// The version that is read.
    pub fn loaded(&self) -> &DeltaTable {
        &self.loaded
    }

    /// The same table, its files read by these places, where they are read plainly.
    pub fn reading(&self, places: Places) -> Self {
        let (table, loaded) = (Arc::clone(&self.table), self.loaded.clone());
        Self { table, loaded, is_plain: self.is_plain, places: Some(Arc::new(places)) }
    }
}

#[async_trait]
impl TableProvider for Careful {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = self.table.scan(session, projection, filters, limit).await?;
        let Some(plain) = self.is_plain.then(|| read_plainly(&scan)).flatten() else { return Ok(scan) };
        let placed = self.places.as_ref().and_then(|places| placed(&plain, places));
        Ok(placed.unwrap_or(plain))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let promised = self.table.supports_filters_pushdown(filters)?;
        let believed = filters.iter().zip(promised).map(|(filter, promised)| match promised {
            _ if filter.column_refs().is_empty() => TableProviderFilterPushDown::Unsupported,
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Inexact,
            other => other,
        });
        Ok(believed.collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        self.table.statistics()
    }
}

/// True if a column of the table is the column of that name in the files.
pub(super) fn is_plain(protocol: &Protocol, metadata: &Metadata) -> bool {
    let mode = metadata.configuration.get("delta.columnMapping.mode");
    let mut features = protocol.reader_features.iter().flatten();
    protocol.min_reader_version <= 3
        && mode.is_none_or(|mode| mode == "none")
        && features.all(|feature| AS_WRITTEN.contains(&feature.as_str()))
}

/// The reader of the files below delta-rs's scan, with the scan's columns; `None` if it does not have all of them, or a file has a
/// deletion vector.
fn read_plainly(scan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let [input] = scan.children()[..] else { return None };
    let (config, source) =
        input.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
    let table = source.table_schema();
    // By a row's position in its file, deletion vectors are applied.
    if !table.virtual_columns().is_empty() || scan.schema().fields().is_empty() || !is_whole(config, source) {
        return None;
    }
    let of_files = |field: &Arc<Field>| table.file_schema().index_of(field.name()).ok();
    let columns: Option<Vec<_>> = scan.schema().fields().iter().map(of_files).collect();
    let config =
        FileScanConfigBuilder::from(config.clone()).with_projection_indices(Some(columns?)).ok()?.build();
    let plain: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    (plain.schema() == scan.schema()).then_some(plain)
}

/// True if the reader gives every column that it knows, in its order.
fn is_whole(config: &FileScanConfig, source: &ParquetSource) -> bool {
    let all = source.table_schema().table_schema();
    config.projected_schema().is_ok_and(|given| given.fields() == all.fields())
}
