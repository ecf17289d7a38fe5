//! One lane of one epoch: batches in, data files out.
//!
//! A lane writes one file for each partition it meets and begins a new one at the target size. Encoding happens on
//! the task that calls, so lanes run in parallel; fsyncs happen on blocking threads. What must stay true: rows keep
//! their order inside a lane's file, memory and open files are bounded by constants whatever the rows say (in update
//! mode the epoch's keys are held too), and every file that was ever created is in the epoch's list, so that an abort
//! removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::sink::{LaneWriter, Part};
use parking_lot::Mutex;

use super::fault;
use super::file::{DataFile, Encoding, Finished, ROW_GROUP_BYTES};
use super::fit::Fit;
use super::keys::{EpochKeys, KeyShape};
use super::partition::{Place, Splitter};
use super::table::Table;

/// Partition files that a lane keeps open; beyond it the one with the most rows ends. A fleet of devices as
/// partitions makes many small files then, which compaction mends, instead of running out of descriptors.
const MOST_OPEN: usize = 32;

/// What the lanes of an epoch share.
pub(crate) struct EpochShape {
    pub table: Arc<Table>,
    pub fit: Fit,
    pub encoding: Encoding,
    pub target_size: u64,
    pub indexed_columns: usize,
    /// By which rows are found again, in update mode.
    pub keys: Option<KeyShape>,
    /// What file names begin with: says who wrote them and in which epoch.
    pub stem: String,
    /// Every file that was created, relative to the table.
    pub created: Mutex<Vec<String>>,
}

/// What a lane hands over.
pub(crate) struct LaneFiles {
    pub files: Vec<Finished>,
    /// Empty unless rows are found by keys.
    pub keys: EpochKeys,
}

/// Writes a lane.
pub(crate) struct DeltaLane {
    epoch: Arc<EpochShape>,
    lane: usize,
    splitter: Option<Splitter>,
    open: BTreeMap<usize, DataFile>,
    finished: Vec<Finished>,
    keys: EpochKeys,
}

impl DeltaLane {
    pub fn new(epoch: Arc<EpochShape>, lane: usize) -> Self {
        let (open, finished) = (BTreeMap::new(), Vec::new());
        Self { epoch, lane, splitter: None, open, finished, keys: EpochKeys::default() }
    }

    async fn write_piece(&mut self, number: usize, rows: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(&number) {
            if self.open.len() >= MOST_OPEN {
                let largest = self.open.iter().max_by_key(|(_, file)| file.size()).map(|(number, _)| *number);
                self.end(largest.into_iter().collect()).await?;
            }
            let file = self.create(&self.place(number), rows)?;
            self.open.insert(number, file);
        }
        let Some(file) = self.open.get_mut(&number) else { return Ok(()) };
        file.write(rows)?;
        if file.size() >= self.epoch.target_size {
            self.end(vec![number]).await?;
        }
        self.spare_memory()
    }

    /// Many partitions together may hold no more than one large file would.
    fn spare_memory(&mut self) -> Result<()> {
        while self.open.values().map(DataFile::memory).sum::<usize>() > 2 * ROW_GROUP_BYTES {
            match self.open.values_mut().max_by_key(|file| file.memory()) {
                Some(file) => file.flush()?,
                None => break,
            }
        }
        Ok(())
    }

    fn place(&self, number: usize) -> Place {
        self.splitter.as_ref().and_then(|splitter| splitter.place(number)).cloned().unwrap_or_default()
    }

    fn create(&self, place: &Place, first: &RecordBatch) -> Result<DataFile> {
        let EpochShape { table, fit, encoding, stem, created, .. } = &*self.epoch;
        let uuid = uuid::Uuid::new_v4();
        let name = format!("{}{stem}-l{}-{uuid}.{}", place.folder, self.lane, encoding.extension());
        if !place.folder.is_empty() {
            table.store.make_folder(&place.folder)?;
        }
        created.lock().push(name.clone());
        DataFile::create(&table.store, name, fit.file_schema.clone(), encoding, Some(first))
    }

    /// Finishes these files on a blocking thread.
    async fn end(&mut self, numbers: Vec<usize>) -> Result<()> {
        let mut ending = Vec::new();
        for number in numbers {
            if let Some(file) = self.open.remove(&number) {
                ending.push((file, self.place(number)));
            }
        }
        let indexed = self.epoch.indexed_columns;
        let finish = move || -> Result<Vec<Finished>> {
            ending.into_iter().map(|(file, place)| file.finish(place, indexed)).collect()
        };
        let finished = tokio::task::spawn_blocking(finish).await.map_err(fault::task)??;
        self.finished.extend(finished);
        Ok(())
    }
}

#[async_trait]
impl LaneWriter for DeltaLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (rows, columns) = self.epoch.fit.apply(&batch)?;
        if let Some(keys) = &self.epoch.keys {
            self.keys.add(keys, &rows, &columns)?;
        }
        if columns.is_empty() {
            return self.write_piece(0, &rows).await;
        }
        if self.splitter.is_none() {
            let names = self.epoch.fit.partition_names().map(str::to_owned).collect();
            let types = columns.iter().map(|column| column.data_type().clone());
            self.splitter = Some(Splitter::new(names, types)?);
        }
        let pieces = match &mut self.splitter {
            Some(splitter) => splitter.split(rows, &columns)?,
            None => Vec::new(),
        };
        for (number, piece) in pieces {
            self.write_piece(number, &piece).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Part> {
        self.end(self.open.keys().copied().collect()).await?;
        let folders: BTreeSet<String> = self.finished.iter().map(|file| file.place.folder.clone()).collect();
        let sync = move |table: &Table| folders.iter().try_for_each(|folder| table.store.sync_folder(folder));
        self.epoch.table.ask(sync).await?;
        Ok(Box::new(LaneFiles { files: self.finished, keys: self.keys }))
    }
}
