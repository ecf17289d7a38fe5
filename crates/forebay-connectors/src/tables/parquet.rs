//! Tables of Parquet files. Their columns are those of the first file by name.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::options::{ConnectorKind, ConnectorSpec};
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::{self, Files, blocking};
use super::rows::{Rows, columns};
use super::{At, PATH, unreadable};

/// The format's entry in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "parquet",
    kind: ConnectorKind::Table,
    summary: "One or more Parquet files with the same columns.",
    delivery: "An epoch that is repeated after a crash reads the files as they are then.",
    options: &[PATH],
    prefixes: &[],
    example: "tables:\n  devices:\n    format: parquet\n    path: devices.parquet",
};

pub(super) struct Parquet {
    at: Arc<At>,
    schema: SchemaRef,
}

impl Parquet {
    pub async fn open(at: At) -> Result<Self> {
        let at = Arc::new(at);
        let of = Arc::clone(&at);
        let schema = blocking(move || {
            let files = Files::now(&of.path)?;
            let Some(first) = files.paths().next() else {
                return Err(unreadable("the folder holds no file", &of.path));
            };
            Ok(columns(builder(first)?.schema()))
        });
        Ok(Self { schema: schema.await?, at })
    }
}

#[async_trait]
impl StaticTable for Parquet {
    fn name(&self) -> &str {
        &self.at.name
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn max_memory(&self) -> u64 {
        self.at.max_memory
    }

    async fn version(&self) -> Result<TableVersion> {
        let at = Arc::clone(&self.at);
        blocking(move || Ok(Files::now(&at.path)?.version())).await
    }

    async fn load(&self, _: &Wanted) -> Result<TableRows> {
        let (at, schema) = (Arc::clone(&self.at), Arc::clone(&self.schema));
        blocking(move || {
            let (version, batches) = files::read(&at.path, |files| read(files, &at, &schema))?;
            Ok(TableRows { version, batches })
        })
        .await
    }
}

fn read(files: &Files, at: &At, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut rows = Rows::new(at, schema);
    for path in files.paths() {
        let failed = |e| unreadable("a file of the table cannot be read", path).caused_by(e);
        for batch in builder(path)?
            .build()
            .map_err(|e| unreadable("a file of the table cannot be read", path).caused_by(e))?
        {
            rows.push(&batch.map_err(failed)?)?;
        }
    }
    Ok(rows.finish())
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>> {
    ParquetRecordBatchReaderBuilder::try_new(files::open(path)?)
        .map_err(|e| unreadable("a file of the table is no Parquet", path).caused_by(e))
}
