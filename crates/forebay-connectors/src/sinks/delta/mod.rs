//! The Delta Lake sink: one epoch, one version of the table, once.
//!
//! ```text
//!  begin(N)   follow the log; is `txn (query, N)` there? ── yes ──▶ AlreadyWritten (log folder synced first)
//!     │ no
//!  lanes      one Parquet file per lane (and partition), fsynced, named in no version yet
//!     │
//!  commit(N)  follow the log, ask again, create version file V+1 with { commitInfo, txn, add… }
//!     │             └── somebody was faster: look at what they did, ask again, try V+2
//!  tidy       beside the stream: checkpoint · compaction · old files and old log entries
//! ```
//!
//! | dies | the table | the epoch on restart |
//! |---|---|---|
//! | while files are written | untouched; files without a home | is written anew; the old files fall to the sweep |
//! | between files and version file | untouched | the same |
//! | after the version file, before its folder is synced | has the epoch, if the disk kept the name | is recognised and the name synced, or is written anew |
//! | after that | has the epoch | is recognised by its `txn` |
//! | in compaction | either all old files or the new one | does not matter: no row changes |
//!
//! What must stay true: data files are durable before the version that names them, that version is durable before
//! `commit` returns, and no version is ever created without having looked for the epoch's `txn` in all before it.
//! The writing is ours (see `action.rs` for why); reading a table, its checkpoints and SQL over it are delta-rs's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use deltalake_core::DeltaTable;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::{Error, Result};
use forebay_storage::{Door, kill_point};
use parking_lot::Mutex;

mod action;
mod commit;
mod compact;
mod config;
mod door_store;
mod fault;
mod file;
mod fit;
mod open;
mod partition;
mod protocol;
pub mod read;
mod schema;
mod stats;
mod sweep;
mod table;
mod tidy;
mod writer;

#[cfg(test)]
mod tests;

pub use config::SPEC;
pub use door_store::DoorStore;

use action::{Action, CommitInfo, Txn};
use commit::{KillPoints, Linking, Verdict, commit};
use config::{Config, Upkeep};
use file::Finished;
use fit::{Fit, Outcome};
use table::{Change, Head, Table, last_txn};
use tidy::Tidier;
use writer::{DeltaLane, EpochShape, LaneFiles};

/// What names of data files begin with.
pub(crate) const FILE_PREFIX: &str = "forebay-";

/// Writes to a Delta table. See the module.
pub struct DeltaSink {
    config: Config,
    table: Arc<Table>,
    opened: Option<Opened>,
    current: Option<Current>,
    tidier: Tidier,
}

/// The table as this sink knows it.
struct Opened {
    input: SchemaRef,
    head: Head,
    fit: Fit,
    upkeep: Upkeep,
    /// Kept until the first epoch tells which query to look for.
    loaded: Option<DeltaTable>,
    /// The query whose past was looked up.
    asked: Option<String>,
    /// The newest `txn` of each application that was looked up or came by.
    txns: BTreeMap<String, i64>,
}

/// The epoch that is being written.
struct Current {
    shape: Arc<EpochShape>,
    linking: Arc<Linking>,
    /// A commit is running, or ran and was not waited for.
    busy: Arc<AtomicBool>,
}

impl DeltaSink {
    /// A sink for these options; a relative `path` lies under `data_dir`. Touches nothing yet.
    pub fn new(options: &Options, data_dir: &Path, door: Door) -> Result<Self> {
        Self::with_clock(options, data_dir, door, Arc::new(SystemClock))
    }

    /// The same with another clock than the machine's.
    pub fn with_clock(options: &Options, data_dir: &Path, door: Door, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = Config::new(options, data_dir)?;
        let table = Arc::new(Table::new(&config.path, door, clock)?);
        Ok(Self { config, table, opened: None, current: None, tidier: Tidier::default() })
    }

    /// Waits for housekeeping that [`Sink::tidy`] started.
    pub async fn settle(&mut self) {
        self.tidier.settle().await;
    }

    fn opened(&mut self) -> Result<&mut Opened> {
        self.opened.as_mut().ok_or_else(|| Error::new(&codes::INTERNAL, "the Delta sink was not opened"))
    }

    /// Brings the head up to date and answers with the newest epoch of this query in the table.
    async fn catch_up(&mut self, query_id: &str) -> Result<Option<i64>> {
        let table = self.table.clone();
        let mut head = self.opened()?.head.clone();
        let follow = move || table.follow(&mut head).map(|change| (head, change));
        let (head, change) = tokio::task::spawn_blocking(follow).await.map_err(fault::task)??;
        if change.reloaded || self.opened()?.asked.as_ref().is_some_and(|asked| asked != query_id) {
            self.reload().await?;
        } else {
            self.moved(head, &change).await?;
        }
        let root = self.table.root.clone();
        let opened = self.opened()?;
        if let Some(loaded) = opened.loaded.take() {
            if let Some(version) = last_txn(&loaded, &root, query_id).await? {
                let known = opened.txns.entry(query_id.to_owned()).or_insert(version);
                *known = (*known).max(version);
            }
            opened.asked = Some(query_id.to_owned());
        }
        Ok(opened.txns.get(query_id).copied())
    }

    /// Takes over a newer head; fits the query again if the table is not what it was.
    async fn moved(&mut self, head: Head, change: &Change) -> Result<()> {
        let opened = self.opened()?;
        opened.note(change);
        if !change.table {
            opened.head = head;
            return Ok(());
        }
        let input = opened.input.clone();
        let same_table = opened.head.metadata.id == head.metadata.id;
        let (head, fit, since) = open::fit(&self.table, &self.config, &input, head).await?;
        if !same_table {
            tracing::warn!(table = %self.table.root.display(), "the table was replaced by another writer");
        }
        let upkeep = self.config.upkeep(&head.metadata);
        let opened = self.opened()?;
        opened.note(&since);
        (opened.head, opened.fit, opened.upkeep) = (head, fit, upkeep);
        Ok(())
    }

    /// Loads the table anew: its log went on so far that the commits between are gone.
    async fn reload(&mut self) -> Result<()> {
        let opened = self.opened()?;
        let (id, input) = (opened.head.metadata.id.clone(), opened.input.clone());
        let Some((loaded, head)) = self.table.load().await? else {
            return Err(Error::new(&codes::SINK_SCHEMA, "the Delta table is gone")
                .at(self.table.root.display())
                .with_hint("Restore the table, or start the query with a new checkpoint."));
        };
        if head.metadata.id != id {
            return Err(Error::new(&codes::SINK_SCHEMA, "another table stands where the query's table was")
                .at(self.table.root.display())
                .with_hint("Restore the table, or start the query with a new checkpoint."));
        }
        let (head, fit, since) = open::fit(&self.table, &self.config, &input, head).await?;
        self.know(input, open::Ready { head, fit, loaded, since });
        Ok(())
    }

    /// Starts from a table that was just loaded.
    fn know(&mut self, input: SchemaRef, ready: open::Ready) {
        let open::Ready { head, fit, loaded, since } = ready;
        let upkeep = self.config.upkeep(&head.metadata);
        let mut opened =
            Opened { input, head, fit, upkeep, loaded: Some(loaded), asked: None, txns: BTreeMap::new() };
        opened.note(&since);
        self.opened = Some(opened);
    }

    /// Makes sure that a version which is seen stays seen: its writer may have died before it synced the folder.
    async fn sync_log(&self) -> Result<()> {
        let table = self.table.clone();
        let sync = move || table.door.sync_dir(&table.log).map_err(|e| fault::sync_failed(&table.log, e));
        tokio::task::spawn_blocking(sync).await.map_err(fault::task)?
    }

    /// Commits the files on a blocking thread; true if a version was written, false if the epoch was there.
    async fn publish(&mut self, id: &EpochId, files: Vec<Finished>) -> Result<bool> {
        let epoch = epoch_version(id)?;
        let Some(Current { linking, busy, .. }) = &self.current else {
            return Err(Error::new(&codes::INTERNAL, "a commit without an epoch"));
        };
        let (linking, busy) = (linking.clone(), busy.clone());
        let table = self.table.clone();
        let (config, opened) = (self.config.clone(), self.opened()?);
        let (input, fit, known) =
            (opened.input.clone(), opened.fit.clone(), opened.txns.get(&id.query_id).copied());
        let (mut head, id, query_id) = (opened.head.clone(), id.clone(), id.query_id.clone());
        busy.store(true, Ordering::SeqCst);
        let run = move || {
            let mut all = Change::default();
            let wrote = commit(&table, &mut head, KILL_POINTS, &linking, &mut |head, change| {
                if change.table {
                    still_fits(&config, &input, head, &fit)?;
                }
                all.txns.extend(change.txns.iter().cloned());
                all.table = all.table || change.table;
                let ours = all.txns.iter().filter(|txn| txn.app_id == id.query_id).map(|txn| txn.version);
                if ours.chain(known).max() >= Some(epoch) {
                    return Ok(Verdict::Stop);
                }
                Ok(Verdict::Write(epoch_actions(&id, epoch, &files, table.clock.now_ms())))
            });
            busy.store(linking.may_have_happened(), Ordering::SeqCst);
            wrote.map(|wrote| (wrote, head, all))
        };
        let (wrote, head, mut change) = tokio::task::spawn_blocking(run).await.map_err(fault::task)??;
        // Columns were compared above: the fit stays, the rest of the table's facts may be new.
        change.table = false;
        let upkeep = self.config.upkeep(&head.metadata);
        let opened = self.opened()?;
        opened.note(&change);
        if wrote {
            opened.txns.insert(query_id, epoch);
        }
        (opened.head, opened.upkeep) = (head, upkeep);
        Ok(wrote)
    }

    /// Removes the files of an epoch that did not become part of the table.
    async fn discard(&self, current: Current) -> Result<()> {
        let table = self.table.clone();
        let remove = move || {
            for name in current.shape.created.lock().drain(..) {
                match table.door.remove_file(&table.root.join(&name)) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        tracing::warn!(file = name, error = %e, "a file of an aborted epoch stays behind");
                    }
                    _ => {}
                }
            }
        };
        tokio::task::spawn_blocking(remove).await.map_err(fault::task)
    }
}

impl Opened {
    fn note(&mut self, change: &Change) {
        for txn in &change.txns {
            let known = self.txns.entry(txn.app_id.clone()).or_insert(txn.version);
            *known = (*known).max(txn.version);
        }
    }
}

const KILL_POINTS: KillPoints =
    KillPoints { before: Some("sink.delta.commit.before"), after: Some("sink.delta.commit.after") };

#[async_trait]
impl Sink for DeltaSink {
    fn description(&self) -> String {
        format!("DeltaSink[{}]", self.table.root.display())
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn min_commit_interval(&self) -> Option<Duration> {
        Some(self.config.min_commit_interval).filter(|interval| !interval.is_zero())
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        let ready = open::open(&self.table, &self.config, &schema).await?;
        self.tidier.start_at(self.table.last_checkpoint(), self.table.clock.now_ms());
        self.know(schema, ready);
        Ok(())
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let newest = self.catch_up(&id.query_id).await?;
        if newest >= Some(epoch_version(id)?) {
            self.sync_log().await?;
            return Ok(Begun::AlreadyWritten);
        }
        let table = self.table.clone();
        let encoding = self.config.encoding.clone();
        let opened = self.opened()?;
        let shape = Arc::new(EpochShape {
            table,
            fit: opened.fit.clone(),
            encoding,
            target_size: opened.upkeep.target_size,
            indexed_columns: opened.upkeep.indexed_columns,
            stem: format!("{}e{:010}", file_stem(&id.query_id), id.epoch.0),
            created: Mutex::default(),
        });
        self.current = Some(Current { shape: shape.clone(), linking: Arc::default(), busy: Arc::default() });
        let writer = |lane| Box::new(DeltaLane::new(shape.clone(), lane)) as Box<dyn LaneWriter>;
        Ok(Begun::Writers((0..lanes).map(writer).collect()))
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut files = Vec::new();
        for part in parts {
            let lane = part
                .downcast::<LaneFiles>()
                .map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to a Delta commit"))?;
            files.extend(lane.0);
        }
        if files.is_empty() {
            self.current = None;
            return Ok(Written::default());
        }
        kill_point("sink.delta.files.after");
        let written = Written {
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
            files: files.len() as u64,
        };
        let small = self.opened()?.upkeep.small();
        let small = files.iter().filter(|file| file.size < small).count();
        let wrote = self.publish(id, files).await?;
        let current = self.current.take();
        if wrote {
            self.tidier.wrote(small);
        } else {
            // The epoch got into the table by another way (an earlier attempt whose answer was lost).
            self.sync_log().await?;
            if let Some(current) = current {
                self.discard(current).await?;
            }
        }
        Ok(written)
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        match self.current.take() {
            // The version that names these files may be there: better some bytes too many than a row too few.
            Some(current) if current.busy.load(Ordering::SeqCst) => {
                tracing::warn!("the outcome of a commit is not known; its files stay until the sweep");
                Ok(())
            }
            Some(current) => self.discard(current).await,
            None => Ok(()),
        }
    }

    async fn tidy(&mut self) -> Result<()> {
        let Some(Opened { head, upkeep, asked: Some(query_id), .. }) = &self.opened else { return Ok(()) };
        let task = tidy::Task {
            table: self.table.clone(),
            upkeep: *upkeep,
            encoding: self.config.encoding.clone(),
            stem: file_stem(query_id),
        };
        self.tidier.tidy(task, head, self.config.compact_after);
        Ok(())
    }
}

/// Delta's txn versions are signed.
fn epoch_version(id: &EpochId) -> Result<i64> {
    i64::try_from(id.epoch.0)
        .map_err(|e| Error::new(&codes::INTERNAL, "an epoch beyond all bounds").caused_by(e))
}

/// What names of this query's files begin with. A hash: an identity may hold anything.
fn file_stem(query_id: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash: String =
        Sha256::digest(query_id.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{FILE_PREFIX}{hash}-")
}

/// After a foreign change of the table between `begin` and `commit`: files written under the old fit may only go in
/// if the new one is the same. Otherwise the epoch is tried again, and then told what no longer fits.
fn still_fits(config: &Config, input: &SchemaRef, head: &Head, fit: &Fit) -> Result<()> {
    match open::try_fit(config, input, head)? {
        Outcome::Fits(now) if now == *fit => Ok(()),
        _ => Err(Error::new(&codes::SINK_CONFLICT, "another writer changed the table's columns meanwhile")),
    }
}

/// The lines of an epoch's commit, with Spark's names for what it is.
fn epoch_actions(id: &EpochId, epoch: i64, files: &[Finished], now_ms: i64) -> Vec<Action> {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let info = CommitInfo::new(now_ms, "STREAMING UPDATE", true)
        .parameter("outputMode", "Append")
        .parameter("queryId", &id.query_id)
        .parameter("queryName", &id.query_name)
        .parameter("epochId", epoch)
        .metric("numAddedFiles", files.len())
        .metric("numRemovedFiles", 0)
        .metric("numOutputRows", rows)
        .metric("numOutputBytes", bytes);
    let txn = Txn { app_id: id.query_id.clone(), version: epoch, last_updated: Some(now_ms) };
    let mut actions = vec![Action::CommitInfo(info), Action::Txn(txn)];
    actions.extend(files.iter().map(|file| Action::Add(file.add(now_ms, true))));
    actions
}
