//! Tables of Delta: the log's newest version, and any that it still tells.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTable;
use forebay_core::clock::SystemClock;
use forebay_core::options::{ConnectorKind, ConnectorSpec};
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::{Error, Result};
use forebay_storage::Door;
use futures::StreamExt;
use parking_lot::Mutex;

use super::files::blocking;
use super::rows::{Rows, columns};
use super::{At, PATH, unreadable};
use crate::sinks::delta::table::Table;

/// The format's entry in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "delta",
    kind: ConnectorKind::Table,
    summary: "A Delta table. Each epoch is joined with one version of it, the newest when the epoch was planned.",
    delivery: "An epoch that is repeated after a crash reads the same version again, as long as the table still has it.",
    options: &[PATH],
    prefixes: &[],
    example: "tables:\n  devices:\n    format: delta\n    path: devices",
};

pub(super) struct Delta {
    at: At,
    schema: SchemaRef,
    /// The newest version that was seen: the next is looked for behind it.
    seen: Arc<Mutex<Option<u64>>>,
}

impl Delta {
    pub async fn open(at: At) -> Result<Self> {
        let loaded = newest(&at).await?;
        let (provider, _) = provider(&at, &loaded).await?;
        Ok(Self { schema: columns(&provider.schema()), at, seen: Arc::default() })
    }

    fn table(&self) -> Result<Table> {
        table(&self.at)
    }
}

#[async_trait]
impl StaticTable for Delta {
    fn name(&self) -> &str {
        &self.at.name
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn max_memory(&self) -> u64 {
        self.at.max_memory
    }

    fn is_atomic(&self) -> bool {
        true
    }

    async fn version(&self) -> Result<TableVersion> {
        let (table, seen) = (self.table()?, Arc::clone(&self.seen));
        blocking(move || {
            let mut seen = seen.lock();
            let mut version = match *seen {
                Some(version) if table.mark(version).is_some() => version,
                _ => listed(&table)?,
            };
            while table.mark(version + 1).is_some() {
                version += 1;
            }
            *seen = Some(version);
            Ok(TableVersion(version.to_string()))
        })
        .await
    }

    async fn load(&self, wanted: &Wanted) -> Result<TableRows> {
        let exact = match wanted {
            Wanted::Exact(version) => version.0.parse::<u64>().ok(),
            Wanted::Newest => None,
        };
        let told = match exact {
            Some(version) => told(&self.table()?, version).await,
            None => None,
        };
        let loaded = match told {
            Some(loaded) => loaded,
            None => newest(&self.at).await?,
        };
        let (provider, version) = provider(&self.at, &loaded).await?;
        let failed = |e| broken(e, &self.at);
        // One after the other, so that the same version gives the same rows in the same order.
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let frame = session.read_table(provider).map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        let mut rows = Rows::new(&self.at, &self.schema);
        while let Some(batch) = stream.next().await {
            rows.push(&batch.map_err(failed)?)?;
        }
        Ok(TableRows { version: TableVersion(version.to_string()), batches: rows.finish() })
    }
}

fn table(at: &At) -> Result<Table> {
    Table::new(&at.path, Door::new(), Arc::new(SystemClock))
}

/// A version that the log still tells, if it can be loaded.
async fn told(table: &Table, version: u64) -> Option<DeltaTable> {
    match table.reaches_back_to(version) {
        Ok(true) => table.load_version(version).await.ok(),
        _ => None,
    }
}

async fn newest(at: &At) -> Result<DeltaTable> {
    let loaded = table(at)?.load().await.map_err(|error| ours(error, &at.path))?;
    let (loaded, _) = loaded.ok_or_else(|| unreadable("there is no Delta table", &at.path))?;
    Ok(loaded)
}

async fn provider(at: &At, loaded: &DeltaTable) -> Result<(Arc<dyn TableProvider>, u64)> {
    let version = loaded.snapshot().map_err(|e| broken(e, at))?.version();
    let provider = loaded.table_provider().await.map_err(|e| broken(e, at))?;
    Ok((provider, version))
}

/// The error for a table that is there and cannot be read.
fn broken(error: impl std::error::Error + Send + Sync + 'static, at: &At) -> Error {
    unreadable("the Delta table cannot be read", &at.path).caused_by(error)
}

/// What the sink's words mean of a table that is only read.
fn ours(error: Error, path: &Path) -> Error {
    unreadable("the Delta table cannot be read", path).with_detail(error.to_string())
}

/// The newest version that the log's folder names. Blocks.
fn listed(table: &Table) -> Result<u64> {
    let entries = std::fs::read_dir(&table.log).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => unreadable("there is no Delta table", &table.root),
        _ => unreadable("the table's log cannot be listed", &table.log).caused_by(e),
    })?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let version = |name: String| {
        let is_commit = name.ends_with(".json") || name.contains(".checkpoint.");
        name.split('.').next()?.parse::<u64>().ok().filter(|_| is_commit)
    };
    names.filter_map(version).max().ok_or_else(|| unreadable("there is no Delta table", &table.root))
}
