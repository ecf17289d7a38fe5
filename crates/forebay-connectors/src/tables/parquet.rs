//! Tables of Parquet files. Their columns are those of the first file by name.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use forebay_core::Result;
use forebay_core::options::{ConnectorKind, ConnectorSpec};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::{self, Files, Reads, blocking};
use super::rows::{Rows, columns};
use super::settle::{self, Lacks, explained, settled};
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
    at: At,
    schema: SchemaRef,
}

impl Parquet {
    pub async fn open(at: At) -> Result<Self> {
        settled(&at.path, Self::LACKS, at.patience).await?;
        blocking(move || {
            let files = Files::now(&at.path)?;
            let Some(first) = files.paths().next() else {
                return Err(unreadable("the folder holds no file", &at.path));
            };
            let first = builder(first).map_err(|error| explained(error, Self::LACKS))?;
            Ok(Self { schema: columns(first.schema()), at })
        })
        .await
    }
}

impl Reads for Parquet {
    const LACKS: Lacks = settle::parquet;

    fn at(&self) -> &At {
        &self.at
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn rows(&self, files: &Files) -> Result<Vec<RecordBatch>> {
        let mut rows = Rows::new(&self.at, &self.schema);
        for path in files.paths() {
            let broken = || unreadable("a file of the table cannot be read", path);
            for batch in builder(path)?.build().map_err(|e| broken().caused_by(e))? {
                rows.push(&batch.map_err(|e| broken().caused_by(e))?)?;
            }
        }
        Ok(rows.finish())
    }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>> {
    ParquetRecordBatchReaderBuilder::try_new(files::open(path)?)
        .map_err(|e| unreadable("a file of the table is no Parquet", path).caused_by(e))
}
