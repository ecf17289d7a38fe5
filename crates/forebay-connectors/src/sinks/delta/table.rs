//! The table as a place: its folders, its log as delta-rs reads it, and the head that this writer keeps.
//!
//! delta-rs loads a table once (checkpoints, features, all the forms a log may have) and writes checkpoints. From
//! then on the sink keeps a [`Head`], the few facts an append depends on, and moves it forward commit by commit by
//! reading only the version files that are new: a commit costs the same at version 5,000 as at version 10.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::Door;
use object_store::prefix::PrefixStore;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::action::{Metadata, Protocol, Seen, Txn};
use super::door_store::DoorStore;
use super::fault;
use super::live::FileEvent;
use super::store::{Location, Mark, Store};

/// Where a table lies and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// As messages have it: a folder, or `s3://bucket/folder`.
    pub root: PathBuf,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    url: Url,
}

/// What an append must know of the table's newest version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub version: u64,
    pub protocol: Protocol,
    pub metadata: Metadata,
    /// What tells the version's file from another, which means that another table stands here.
    pub mark: Option<Mark>,
}

/// What changed between two heads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// Protocol, columns or properties are others than before.
    pub table: bool,
    pub txns: Vec<Txn>,
    /// Plain relative paths of files that were removed.
    pub removed: Vec<String>,
    /// What went and came, in the order of the versions.
    pub files: Vec<FileEvent>,
    /// Versions in which another engine took files out of the table.
    pub removals: Vec<u64>,
    /// The log had to be loaded anew: `txns`, `removed` and `files` are not complete.
    pub reloaded: bool,
}

impl Change {
    /// Adds the commit of a version.
    fn absorb(&mut self, version: u64, seen: &Seen) {
        self.table = self.table || seen.protocol.is_some() || seen.metadata.is_some();
        self.txns.extend(seen.txns.iter().cloned());
        self.removed.extend(seen.removed.iter().cloned());
        self.files.extend(seen.files.iter().cloned());
        self.removals.extend(seen.is_foreign_removal().then_some(version));
    }

    /// Adds what came later.
    pub fn join(&mut self, later: Self) {
        self.table = self.table || later.table;
        self.reloaded = self.reloaded || later.reloaded;
        self.txns.extend(later.txns);
        self.removed.extend(later.removed);
        self.files.extend(later.files);
        self.removals.extend(later.removals);
    }
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

impl Table {
    /// The table at a place where there need not be one.
    pub fn at(location: &Location, door: Door, clock: Arc<dyn Clock>) -> Result<Self> {
        let bucket = match location {
            Location::Folder(path) => return Self::new(path, door, clock),
            Location::Bucket(bucket) => bucket.clone(),
        };
        Ok(Self { root: location.shown(), url: bucket.url().clone(), store: Store::Bucket(bucket), clock })
    }

    /// The table at `root`, an absolute or relative folder that need not exist.
    pub fn new(root: &Path, door: Door, clock: Arc<dyn Clock>) -> Result<Self> {
        let root = std::path::absolute(root)
            .map_err(|e| Error::new(&codes::BAD_VALUE, "option `path` is no path").caused_by(e))?;
        let url = Url::from_directory_path(&root).map_err(|()| {
            Error::new(&codes::BAD_VALUE, format!("option `path` is `{}`, expected a folder", root.display()))
        })?;
        let store = Store::Folder { root: root.clone(), door };
        Ok(Self { root, store, clock, url })
    }

    /// The file of a version.
    pub fn version_file(&self, version: u64) -> String {
        format!("_delta_log/{version:020}.json")
    }

    /// The version of the newest checkpoint, as the log's own hint says. Blocks.
    pub fn last_checkpoint(&self) -> Result<Option<u64>> {
        const HINT: &str = "_delta_log/_last_checkpoint";
        let text = self.store.read(HINT);
        let text =
            text.map_err(|e| fault::refused("the table's log cannot be read", &self.store.path(HINT), e))?;
        let hint = text.and_then(|text| serde_json::from_slice::<LastCheckpoint>(&text).ok());
        Ok(hint.map(|hint| hint.version))
    }

    /// True if the log still tells what the table was at a version: it has its first commit, or a checkpoint that is
    /// not newer than that version. Blocks.
    pub fn reaches_back_to(&self, version: u64) -> Result<bool> {
        if self.mark(0)?.is_some() {
            return Ok(true);
        }
        let names = self.log_names()?.into_iter();
        let mut checkpoints = names.filter_map(|name| name.split_once(".checkpoint.")?.0.parse::<u64>().ok());
        Ok(checkpoints.any(|checkpoint| checkpoint <= version))
    }

    /// Loads a version with delta-rs; fails if the log does not reach back to it.
    pub async fn load_version(&self, version: u64) -> Result<DeltaTable> {
        let failed = |e| fault::delta(&self.root, e);
        let mut table = self.unloaded()?;
        table.load_version(version).await.map_err(failed)?;
        Ok(table)
    }

    /// Loads the newest version with delta-rs; `None` if there is no table here yet.
    pub async fn load(&self) -> Result<Option<(DeltaTable, Head)>> {
        // delta-rs has words of its own for a place without a table.
        if self.ask(Self::is_empty_log).await? {
            return Ok(None);
        }
        let mut table = self.unloaded()?;
        table.load().await.map_err(|e| fault::delta(&self.root, e))?;
        let loaded = table.clone();
        let head = self.ask(move |table| table.head(&loaded)).await?;
        Ok(Some((table, head)))
    }

    /// Does what blocks on a thread that may.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let table = self.clone();
        tokio::task::spawn_blocking(move || question(&table)).await.map_err(fault::task)?
    }

    /// What is known of a version that was loaded. Blocks.
    pub fn head(&self, loaded: &DeltaTable) -> Result<Head> {
        let snapshot = loaded.snapshot().map_err(|e| fault::delta(&self.root, e))?;
        Ok(Head {
            version: snapshot.version(),
            mark: self.mark(snapshot.version())?,
            protocol: mirror(snapshot.protocol())?,
            metadata: mirror(snapshot.metadata())?,
        })
    }

    /// The table as delta-rs has it before it has read the log.
    fn unloaded(&self) -> Result<DeltaTable> {
        match &self.store {
            Store::Folder { door, .. } => {
                let failed = |e| fault::delta(&self.root, e);
                let store = Arc::new(DoorStore::new(door.clone()));
                let builder = DeltaTableBuilder::from_url(self.url.clone()).map_err(failed)?;
                builder.with_storage_backend(store, self.url.clone()).build().map_err(failed)
            }
            // Not by the builder, which asks a list of the process for schemes other than these.
            Store::Bucket(bucket) => {
                let (whole, folder) = bucket.store();
                let table = Arc::new(PrefixStore::new(whole.clone(), folder));
                let log = default_logstore(table, whole, &self.url, &StorageConfig::default());
                Ok(DeltaTable::new(log))
            }
        }
    }

    /// True if the log's folder holds no commit and no checkpoint (a crash before the first commit leaves that).
    fn is_empty_log(&self) -> Result<bool> {
        let mut names = self.log_names()?.into_iter();
        Ok(!names.any(|name| name.starts_with(|c: char| c.is_ascii_digit()) && !name.ends_with(".tmp")))
    }

    /// The names in the log. Blocks.
    pub fn log_names(&self) -> Result<Vec<String>> {
        let names = self.store.log_names();
        names.map_err(|e| {
            fault::refused("the table's log cannot be listed", &self.store.path("_delta_log"), e)
        })
    }

    /// Reads a version's commit; `None` if there is no such file. Blocks.
    pub fn read_version(&self, version: u64) -> Result<Option<Seen>> {
        let name = self.version_file(version);
        let path = self.store.path(&name);
        // A writer that is not atomic may show a half-written file for a moment.
        for wait_ms in [1, 10, 100, 500] {
            let text =
                self.store.read(&name).map_err(|e| fault::refused("a commit cannot be read", &path, e))?;
            let Some(text) = text else { return Ok(None) };
            match Seen::parse(&text) {
                Ok(seen) if !text.is_empty() => return Ok(Some(seen)),
                _ => std::thread::sleep(std::time::Duration::from_millis(wait_ms)),
            }
        }
        Err(Error::new(&codes::SINK_CONFLICT, "a commit in the table's log is not readable")
            .at(path.display()))
    }

    /// What tells whether a version's file is still the same; `None` if there is none. Blocks.
    pub fn mark(&self, version: u64) -> Result<Option<Mark>> {
        let name = self.version_file(version);
        let failed = |e| fault::refused("a commit cannot be read", &self.store.path(&name), e);
        self.store.mark(&name).map_err(failed)
    }

    /// Moves `head` over all commits whose files follow it. Blocks. Says in the change whether the head cannot be
    /// moved that way: its own file is gone or another one, or a checkpoint is ahead of the last file found, so
    /// that commits between may be gone.
    pub fn follow(&self, head: &mut Head) -> Result<Change> {
        let mut change = Change::default();
        let start = head.version;
        let mark = self.mark(start)?;
        change.reloaded = mark != head.mark;
        while let Some(seen) = self.read_version(head.version + 1)? {
            head.version += 1;
            change.absorb(head.version, &seen);
            if let Some(protocol) = seen.protocol {
                head.protocol = protocol;
            }
            if let Some(metadata) = seen.metadata {
                head.metadata = metadata;
            }
        }
        if head.version != start {
            head.mark = self.mark(head.version)?;
        }
        change.reloaded |= self.last_checkpoint()?.is_some_and(|version| version > head.version);
        Ok(change)
    }
}

/// What the table last heard of an application.
pub(crate) async fn last_txn(table: &DeltaTable, root: &Path, app_id: &str) -> Result<Option<i64>> {
    let store: LogStoreRef = table.log_store();
    let snapshot = table.snapshot().map_err(|e| fault::delta(root, e))?;
    snapshot.transaction_version(store.as_ref(), app_id).await.map_err(|e| fault::delta(root, e))
}

/// delta-rs keeps protocol and metadata in types whose fields are private; their JSON is the log's own.
fn mirror<T: DeserializeOwned>(theirs: &impl Serialize) -> Result<T> {
    serde_json::to_value(theirs)
        .and_then(serde_json::from_value)
        .map_err(|e| Error::new(&codes::INTERNAL, "the table's metadata has an unknown form").caused_by(e))
}
