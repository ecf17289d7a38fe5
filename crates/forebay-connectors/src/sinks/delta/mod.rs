//! The Delta Lake sink: one epoch, one version of the table, once.
//!
//! ```text
//!  begin(N)   follow the log; is `txn (query, N)` there? ── yes ──▶ AlreadyWritten (log folder synced first)
//!     │ no
//!  lanes      one Parquet file per lane (and partition), fsynced, named in no version yet
//!     │
//!  commit(N)  follow the log, ask again, create version file V+1 with { commitInfo, txn, remove…, add… }
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
//! An epoch only adds in append mode. In complete mode its version also removes all files that the table has, in update
//! mode those that hold rows with its keys, which are first written anew without them (`upsert.rs`).
//!
//! What must stay true: data files are durable before the version that names them, that version is durable before
//! `commit` returns, and no version is ever created without having looked for the epoch's `txn` in all before it.
//! The writing is ours (see `action.rs` for why); reading a table, its checkpoints and SQL over it are delta-rs's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written, place};
use forebay_core::{Epoch, Error, OutputMode, Result};
use forebay_storage::{Door, kill_point};
use parking_lot::Mutex;

mod action;
mod careful;
mod commit;
mod compact;
mod config;
mod dictionary;
mod door_store;
mod epoch;
mod fault;
mod file;
mod fit;
pub mod history;
mod keys;
mod known;
mod live;
mod open;
pub mod ordered;
mod overlap;
pub(crate) mod partition;
mod protocol;
mod prune;
pub mod read;
pub(crate) mod schema;
mod stats;
pub(crate) mod store;
mod sweep;
pub(crate) mod table;
mod tidy;
mod upsert;
mod writer;

#[cfg(test)]
mod tests;

pub use config::SPEC;
pub use door_store::DoorStore;

use config::{Config, Output};
use epoch::{Current, epoch_version};
use file::Finished;
use keys::{EpochKeys, KeyShape};
use known::Opened;
use store::Location;
use table::Table;
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

impl DeltaSink {
    /// A sink for these options; a relative `path` lies under `data_dir`. Touches nothing yet.
    pub fn new(options: &Options, data_dir: &Path, door: Door) -> Result<Self> {
        Self::with_clock(options, data_dir, door, Arc::new(SystemClock))
    }

    /// The same with another clock than the machine's.
    pub fn with_clock(options: &Options, data_dir: &Path, door: Door, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = Config::new(options, data_dir)?;
        let table = Arc::new(Table::at(&config.location, door, clock)?);
        Ok(Self { config, table, opened: None, current: None, tidier: Tidier::default() })
    }

    /// Waits for housekeeping that [`Sink::tidy`] started.
    pub async fn settle(&mut self) {
        self.tidier.settle().await;
    }

    fn opened(&mut self) -> Result<&mut Opened> {
        self.opened.as_mut().ok_or_else(|| Error::new(&codes::INTERNAL, "the Delta sink was not opened"))
    }

    /// Makes sure that a version which is seen stays seen: its writer may have died before it synced the folder.
    async fn sync_log(&self) -> Result<()> {
        self.table.ask(|table| table.store.sync_log()).await
    }
}

/// How long the end of a query waits for compaction or a log checkpoint that has begun.
const LAST_HOUSEKEEPING: Duration = Duration::from_secs(30);

#[async_trait]
impl Sink for DeltaSink {
    fn description(&self) -> String {
        format!("DeltaSink[{}]", self.table.root.display())
    }

    fn identity(&self, home: Option<&Path>) -> String {
        match &self.config.location {
            Location::Folder(_) => format!("DeltaSink[{}]", place(&self.table.root, home).display()),
            Location::Bucket(bucket) => format!("DeltaSink[{}]", bucket.address()),
        }
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn min_commit_interval(&self) -> Option<Duration> {
        Some(self.config.min_commit_interval).filter(|interval| !interval.is_zero())
    }

    fn output(&mut self, mode: OutputMode, keys: &[String]) -> Result<()> {
        if mode == OutputMode::Update && keys.is_empty() {
            let message = "a Delta table cannot take rows in output mode update: they have no keys";
            return Err(Error::new(&codes::OUTPUT_MODE, message).with_hint(
                "A row takes the place of the one with the same values of GROUP BY, so put each column of GROUP BY into the \
                 SELECT as it is; with ROLLUP, CUBE or GROUPING SETS also `grouping_id()`, which tells a total from a group of \
                 NULL. Or use `outputMode: complete`, which writes the whole result, or `append`, which writes what is final.",
            ));
        }
        self.config.output = Output { mode, keys: keys.to_vec() };
        Ok(())
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        open::check(&self.config, schema).map(|_| ())
    }

    async fn fits(&mut self, schema: &Schema) -> Result<()> {
        open::check(&self.config, schema)?;
        match self.table.load().await? {
            Some((_, head)) => open::try_fit(&self.config, schema, &head).map(|_| ()),
            None => Ok(()),
        }
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        let ready = open::open(&self.table, &self.config, &schema).await?;
        self.know(schema, ready).await
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        let newest = self.catch_up(query_id).await?;
        Ok(newest.and_then(|version| u64::try_from(version).ok()).map(Epoch))
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let newest = self.catch_up(&id.query_id).await?;
        if newest >= Some(epoch_version(id)?) {
            self.sync_log().await?;
            return Ok(Begun::AlreadyWritten);
        }
        let table = self.table.clone();
        let encoding = self.config.encoding.clone();
        let Output { mode, keys } = self.config.output.clone();
        let opened = self.opened()?;
        let keys = (mode == OutputMode::Update).then(|| KeyShape::new(&opened.fit, &opened.input, &keys));
        let shape = Arc::new(EpochShape {
            table,
            fit: opened.fit.clone(),
            encoding,
            target_size: opened.upkeep.target_size,
            indexed_columns: opened.upkeep.indexed_columns,
            keys: keys.transpose()?,
            stem: format!("{}e{:010}", file_stem(&id.query_id), id.epoch.0),
            created: Mutex::default(),
        });
        self.current = Some(Current { shape: shape.clone(), linking: Arc::default(), busy: Arc::default() });
        let writer = |lane| Box::new(DeltaLane::new(shape.clone(), lane)) as Box<dyn LaneWriter>;
        Ok(Begun::Writers((0..lanes).map(writer).collect()))
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let (mut files, mut keys) = (Vec::new(), EpochKeys::default());
        for part in parts {
            let lane = part
                .downcast::<LaneFiles>()
                .map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to a Delta commit"))?;
            files.extend(lane.files);
            keys.join(lane.keys);
        }
        let mode = self.config.output.mode;
        // In complete mode no rows are a result too.
        let empties =
            mode == OutputMode::Complete && self.opened()?.live.as_ref().is_some_and(|live| !live.is_empty());
        if files.is_empty() && !empties {
            self.current = None;
            return Ok(Written::default());
        }
        kill_point("sink.delta.files.after");
        let written = Written {
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
            files: files.len() as u64,
        };
        let bound = self.opened()?.upkeep.small();
        let small = |files: &[Finished]| files.iter().filter(|file| file.size < bound).count();
        // What the next epoch takes out again is not worth compacting.
        let small_files = if mode == OutputMode::Complete { 0 } else { small(&files) };
        let rewritten = self.publish(id, files, keys).await?;
        let current = self.current.take();
        if let Some(rewritten) = rewritten {
            self.tidier.wrote(small_files + small(&rewritten));
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

    async fn close(&mut self) {
        if tokio::time::timeout(LAST_HOUSEKEEPING, self.settle()).await.is_err() {
            tracing::warn!("housekeeping of a Delta table was cut short; the next run takes it up");
        }
    }

    async fn tidy(&mut self) -> Result<()> {
        let Some(Opened { head, upkeep, asked: Some(query_id), .. }) = &mut self.opened else {
            return Ok(());
        };
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

/// What names of this query's files begin with. A hash: an identity may hold anything.
fn file_stem(query_id: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash: String =
        Sha256::digest(query_id.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{FILE_PREFIX}{hash}-")
}
