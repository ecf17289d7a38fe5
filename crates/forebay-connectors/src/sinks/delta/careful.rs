//! delta-rs's scan, of whose filters nothing is believed.
//!
//! It promises to apply a condition exactly where every column of it is a partition's, which a condition without columns meets as well:
//! `a = 1 AND NULL` would lose its second half, and so would `a NOT IN (1, NULL)`. What must stay true: a condition without columns
//! stays above the scan, and every other is looked at again there; the scan leaves out files and rows by it, which is all that is asked.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// A table whose filters are only hints to its scan.
#[derive(Debug)]
pub(super) struct Careful(pub Arc<dyn TableProvider>);

#[async_trait]
impl TableProvider for Careful {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let promised = self.0.supports_filters_pushdown(filters)?;
        let believed = filters.iter().zip(promised).map(|(filter, promised)| match promised {
            _ if filter.column_refs().is_empty() => TableProviderFilterPushDown::Unsupported,
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Inexact,
            other => other,
        });
        Ok(believed.collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }
}
