//! Reading a Delta table in SQL: delta-rs's table provider, opened at the newest version.
//!
//! `forebay query` and tests come through here, so that nothing else needs to know delta-rs's types. Reads see
//! exactly one version, the one that is reported.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use forebay_core::clock::SystemClock;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::Door;

use super::careful::Careful;
use super::fault;
use super::store::Location;
use super::table::Table;

/// A table as a query sees it.
pub struct Reading {
    /// Scans the table.
    pub provider: Arc<dyn TableProvider>,
    /// The version that it scans.
    pub version: u64,
    /// Data files of that version.
    pub files: usize,
}

/// The table that an option `path` names, with options for buckets beside it; relative paths lie under `data_dir`. Fails with
/// `SQL_PLAN` if there is none.
pub async fn table_of(path: &str, given: &BTreeMap<String, String>, data_dir: &Path) -> Result<Reading> {
    match Location::new(path, given, data_dir)? {
        Location::Folder(path) => table_provider(&path).await,
        location => provider(Table::at(&location, Door::new(), Arc::new(SystemClock))?).await,
    }
}

/// The table in a folder, ready to be registered in a session. Fails with `SQL_PLAN` if there is none.
pub async fn table_provider(path: &Path) -> Result<Reading> {
    // A folder that may not be read looks empty.
    if let Err(error) = std::fs::read_dir(path.join("_delta_log"))
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        let error =
            Error::new(&codes::FILE_UNREADABLE, "permission denied").at(path.display()).caused_by(error);
        return Err(
            error.with_hint("Run this as the user who owns the table, or give yours the right to read it.")
        );
    }
    provider(Table::new(path, Door::new(), Arc::new(SystemClock))?).await
}

async fn provider(table: Table) -> Result<Reading> {
    let path = &table.root;
    let Some((loaded, head)) = table.load().await? else {
        return Err(Error::new(&codes::SQL_PLAN, "there is no Delta table").at(path.display()));
    };
    let files = loaded.snapshot().map_err(|e| fault::delta(&table.root, e))?.log_data().num_files();
    let provider = loaded.table_provider().await.map_err(|e| {
        Error::new(&codes::SINK_UNSUPPORTED, "the Delta table cannot be read").at(path.display()).caused_by(e)
    })?;
    let provider: Arc<dyn TableProvider> =
        Arc::new(Careful::new(provider, loaded, &head.protocol, &head.metadata));
    Ok(Reading { provider, version: head.version, files })
}
