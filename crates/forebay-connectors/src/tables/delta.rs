//! Tables of Delta: the log's newest version, and any that it still tells.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTable;
use forebay_core::clock::SystemClock;
use forebay_core::options::{ConnectorKind, ConnectorSpec, Options};
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::{Error, Result};
use forebay_storage::Door;
use futures::StreamExt;
use parking_lot::Mutex;

use super::files::blocking;
use super::rows::{Rows, columns};
use super::{At, PATH, unreadable};
use crate::s3;
use crate::sinks::delta::store::Location;
use crate::sinks::delta::table::{Head, Table};

/// The format's entry in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "delta",
    kind: ConnectorKind::Table,
    summary: "A Delta table. Each epoch is joined with one version of it, the newest when the epoch was planned.",
    delivery: "An epoch that is repeated after a crash reads the same version again, as long as the table still has it.",
    options: &[PATH],
    prefixes: s3::PREFIXES,
    example: "tables:\n  devices:\n    format: delta\n    path: devices",
};

/// Letters of a table's id that tell it from others.
const ID: usize = 8;

pub(super) struct Delta {
    at: At,
    table: Table,
    schema: SchemaRef,
    /// The newest version that was seen: the next is looked for behind it.
    seen: Arc<Mutex<Head>>,
}

impl Delta {
    pub async fn open(mut at: At, options: &Options, data_dir: &Path) -> Result<Self> {
        let location = located(options, data_dir)?;
        at.path = location.shown();
        let table = Table::at(&location, Door::new(), Arc::new(SystemClock))?;
        let (loaded, head) = newest(&table, &at).await?;
        let schema = columns(&provider(&at, &loaded).await?.schema());
        Ok(Self { schema, table, at, seen: Arc::new(Mutex::new(head)) })
    }

    /// Moves to the newest version; false where what was seen is not there any more: another table may stand here.
    async fn follow(&self) -> Result<bool> {
        let (table, seen, path) = (self.table.clone(), Arc::clone(&self.seen), self.at.path.clone());
        blocking(move || {
            let mut head = seen.lock().clone();
            let change = table.follow(&mut head).map_err(|error| ours(error, &path))?;
            if !change.reloaded {
                *seen.lock() = head;
            }
            Ok(!change.reloaded)
        })
        .await
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
        if !self.follow().await? {
            let (_, head) = newest(&self.table, &self.at).await?;
            *self.seen.lock() = head;
        }
        Ok(named(&self.seen.lock()))
    }

    async fn load(&self, wanted: &Wanted) -> Result<TableRows> {
        let told = match wanted {
            Wanted::Exact(version) => told(&self.table, version).await,
            Wanted::Newest => None,
        };
        let (loaded, head) = match told {
            Some(told) => told,
            None => newest(&self.table, &self.at).await?,
        };
        let provider = provider(&self.at, &loaded).await?;
        let failed = |e| broken(e, &self.at);
        // One after the other, so that the same version gives the same rows in the same order.
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let frame = session.read_table(provider).map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        let mut rows = Rows::new(&self.at, &self.schema);
        while let Some(batch) = stream.next().await {
            rows.push(&batch.map_err(failed)?)?;
        }
        Ok(TableRows { version: named(&head), batches: rows.finish() })
    }
}

/// Where the table is that these options name.
pub(super) fn located(options: &Options, data_dir: &Path) -> Result<Location> {
    Location::new(options.text("path").unwrap_or_default(), options.passed_on(), data_dir)
}

/// How a version is called: by its number, and by the table whose it is. A table that is made anew begins to count anew.
fn named(head: &Head) -> TableVersion {
    let id: String = head.metadata.id.chars().take(ID).collect();
    TableVersion(format!("{} {id}", head.version))
}

/// A version that the log still tells, if it can be loaded and is this table's. One without a table, as Forebay called them
/// once, is.
async fn told(table: &Table, version: &TableVersion) -> Option<(DeltaTable, Head)> {
    let (number, is_named) = match version.0.split_once(' ') {
        Some((number, _)) => (number, true),
        None => (version.0.as_str(), false),
    };
    let number = number.parse().ok()?;
    if !table.ask(move |table| table.reaches_back_to(number)).await.ok()? {
        return None;
    }
    let loaded = table.load_version(number).await.ok()?;
    let known = loaded.clone();
    let head = table.ask(move |table| table.head(&known)).await.ok()?;
    (!is_named || named(&head) == *version).then_some((loaded, head))
}

async fn newest(table: &Table, at: &At) -> Result<(DeltaTable, Head)> {
    let loaded = table.load().await.map_err(|error| ours(error, &at.path))?;
    loaded.ok_or_else(|| unreadable("there is no Delta table", &at.path))
}

async fn provider(at: &At, loaded: &DeltaTable) -> Result<Arc<dyn TableProvider>> {
    let provider = loaded.table_provider().await.map_err(|e| broken(e, at))?;
    Ok(provider)
}

/// The error for a table that is there and cannot be read.
fn broken(error: impl std::error::Error + Send + Sync + 'static, at: &At) -> Error {
    unreadable("the Delta table cannot be read", &at.path).caused_by(error)
}

/// What the sink's words mean of a table that is only read.
fn ours(error: Error, path: &Path) -> Error {
    unreadable("the Delta table cannot be read", path).with_detail(error.to_string())
}
