//! The file sinks: a folder of CSV or Parquet files, each row of each epoch in it once.
//!
//! ```text
//!  output/part-00000-UUID-c000.csv            there by right: named by a line of the manifest
//!  output/_forebay/staged/part-…              an epoch that is being written
//!  output/_forebay/manifest-000000            the commits
//!  output/_forebay/LOCK                       held while a query writes here
//!
//!  begin(N)   settle the commit before; is N in the manifest? ── yes ──▶ AlreadyWritten
//!     │ no
//!  lanes      part files under staged names, fsynced
//!     │
//!  commit(N)  one line in the manifest: N and its files ──▶ each file gets its name ──▶ their folders are synced
//! ```
//!
//! | dies | the folder | the epoch on restart |
//! |---|---|---|
//! | while files are written | as before; staged files | is written anew; what is staged is removed |
//! | between files and line | the same | the same |
//! | after the line, before all files have their names | some of the files of N | is in the manifest: the others get their names |
//! | after that | all files of N | is recognised |
//!
//! Why not Spark's own `_spark_metadata`: it names its files by their full paths, so a folder that is moved or archived is
//! lost to its readers; it lists all files ever written in every tenth entry; and only Spark looks at it, while pandas and
//! people see files of epochs that failed. A file that gets its name only after its commit is right for all of them. What a
//! reader of Spark's loses is that an epoch of several files appears at one instant: here they appear one after the other.
//!
//! What must stay true: nothing is visible before the commit and everything durable after it; what others put into the
//! folder is never touched; one sink holds a folder at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Refused, Sink, Written, place};
use forebay_core::{Epoch, Error, Result, Zone};
use forebay_storage::{Door, kill_point};
use parking_lot::Mutex;
use uuid::Uuid;

mod config;
mod csv;
mod cycle;
pub(crate) mod fault;
mod lane;
pub mod manifest;
mod merge;
mod part;
mod shape;
mod store;

#[cfg(test)]
mod tests;

pub use config::{CSV, PARQUET};
pub use cycle::{Archive, Cycles, Cycling, Made, archives, check as check_cycle, journal_mark};

use config::Config;
use lane::{EpochShape, FileLane};
use manifest::{Committed, PartFile};
use shape::Shape;
use store::Store;

/// Writes a folder of files. See the module.
pub struct FileSink {
    config: Config,
    door: Door,
    opened: Option<Opened>,
    current: Option<Arc<EpochShape>>,
}

struct Opened {
    shape: Shape,
    /// Locked by whoever works on the disk; a commit that was not waited for is waited for by what comes next.
    store: Arc<Mutex<Store>>,
}

impl FileSink {
    /// A sink for the options of `format`, `csv` or `parquet`; a relative `path` lies under `data_dir`. Touches nothing.
    pub fn new(format: &str, options: &Options, data_dir: &Path, door: Door, zone: Zone) -> Result<Self> {
        Ok(Self { config: Config::new(format, options, data_dir, zone)?, door, opened: None, current: None })
    }

    fn opened(&self) -> Result<&Opened> {
        self.opened.as_ref().ok_or_else(|| Error::new(&codes::INTERNAL, "the file sink was not opened"))
    }

    /// Runs work on the disk where it keeps nobody waiting.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.opened()?.store);
        tokio::task::spawn_blocking(move || work(&mut store.lock())).await.map_err(fault::task)
    }
}

#[async_trait]
impl Sink for FileSink {
    fn description(&self) -> String {
        format!("FileSink[{}]", self.config.path.display())
    }

    fn identity(&self, home: Option<&Path>) -> String {
        format!("FileSink[{}, {}]", self.config.word(), place(&self.config.path, home).display())
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn min_commit_interval(&self) -> Option<Duration> {
        Some(self.config.min_commit_interval).filter(|interval| !interval.is_zero())
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        Shape::new(&self.config, schema).map(drop)
    }

    async fn fits(&mut self, schema: &Schema) -> Result<()> {
        let shape = Shape::new(&self.config, schema)?;
        store::refuse_sparks(&self.config.path)?;
        let root = self.config.path.clone();
        let newest = tokio::task::spawn_blocking(move || {
            let mut columns = None;
            manifest::commits(&root, |committed| {
                columns = Some(committed.columns);
                Ok(())
            })?;
            Ok::<_, Error>(columns)
        });
        same_columns(&shape, newest.await.map_err(fault::task)??.as_deref())
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        let shape = Shape::new(&self.config, &schema)?;
        // One that was opened before and failed gives its lock back.
        self.opened = None;
        let (root, door) = (self.config.path.clone(), self.door.clone());
        let opening = tokio::task::spawn_blocking(move || Store::open(&root, &door));
        let store = opening.await.map_err(fault::task)??;
        same_columns(&shape, store.columns())?;
        self.opened = Some(Opened { shape, store: Arc::new(Mutex::new(store)) });
        Ok(())
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        let query_id = query_id.to_owned();
        self.with_store(move |store| store.newest(&query_id).map(Epoch)).await
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let (query, epoch) = (id.query_id.clone(), id.epoch.0);
        let is_there = self.with_store(move |store| {
            store.settle()?;
            Ok::<_, Error>(store.newest(&query) >= Some(epoch))
        });
        if is_there.await?? {
            return Ok(Begun::AlreadyWritten);
        }
        let shape = Arc::new(EpochShape {
            root: self.config.path.clone(),
            door: self.door.clone(),
            config: self.config.clone(),
            shape: self.opened()?.shape.clone(),
            job: Uuid::new_v4(),
            created: Mutex::default(),
            refused: Mutex::default(),
        });
        self.current = Some(Arc::clone(&shape));
        let writer = |lane| Box::new(FileLane::new(Arc::clone(&shape), lane)) as Box<dyn LaneWriter>;
        Ok(Begun::Writers((0..lanes).map(writer).collect()))
    }

    async fn prepare(&mut self, _: &EpochId) -> Result<Vec<Refused>> {
        let Some(current) = &self.current else { return Ok(Vec::new()) };
        let mut refused = std::mem::take(&mut *current.refused.lock());
        refused.sort_by_key(|(lane, _)| *lane);
        Ok(refused.into_iter().map(|(_, row)| row).collect())
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut files: Vec<PartFile> = Vec::new();
        for part in parts {
            let lane = part.downcast::<Vec<PartFile>>();
            files.extend(
                *lane.map_err(|_| {
                    Error::new(&codes::INTERNAL, "a part of another sink came to a file sink")
                })?,
            );
        }
        if files.is_empty() {
            self.current = None;
            return Ok(Written::default());
        }
        kill_point("sink.files.staged.after");
        let written = Written {
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files: files.len() as u64,
        };
        let committed = Committed {
            query: id.query_id.clone(),
            epoch: id.epoch.0,
            planned_at_ms: id.planned_at_ms,
            columns: self.opened()?.shape.columns(),
            files,
        };
        self.with_store(move |store| store.publish(committed)).await??;
        self.current = None;
        kill_point("sink.files.commit.after");
        Ok(written)
    }

    async fn abort(&mut self, id: &EpochId) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let (query, epoch) = (id.query_id.clone(), id.epoch.0);
        let names = std::mem::take(&mut *current.created.lock());
        self.with_store(move |store| store.discard(names, &query, epoch)).await
    }

    async fn close(&mut self) {
        self.current = None;
        self.opened = None;
    }
}

/// Refuses rows of other columns than those of the files that are there: whoever reads the folder would take one for the
/// other.
fn same_columns(shape: &Shape, there: Option<&[String]>) -> Result<()> {
    let (columns, Some(there)) = (shape.columns(), there) else { return Ok(()) };
    if columns == there {
        return Ok(());
    }
    let message = format!(
        "the files in the folder have the columns {}, the query has {}",
        there.join(", "),
        columns.join(", ")
    );
    Err(Error::new(&codes::SINK_SCHEMA, message).with_hint(
        "Files of one folder have the same columns in the same order. Change the SELECT back, or give the query another `path` \
         and another `checkpointLocation`.",
    ))
}
