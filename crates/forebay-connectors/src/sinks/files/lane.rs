//! One lane of one epoch: batches in, staged files out.
//!
//! A lane has one open file, or one for each partition that it meets. What must stay true: rows keep their order inside a
//! lane's file, memory and open files are bounded by constants, and every file that was ever created is in the epoch's
//! list, so that an abort removes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::json::LineDelimitedWriter;
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::sink::{LaneWriter, Part as SinkPart, Refused};
use forebay_core::{Error, Result};
use forebay_storage::Door;
use parking_lot::Mutex;
use uuid::Uuid;

use super::config::Config;
use super::fault;
use super::manifest::PartFile;
use super::part::{Finished, Part};
use super::shape::Shape;
use super::store::Store;
use crate::sinks::delta::partition::{LONGEST_NAME, Splitter, too_long};

/// Files of partitions that a lane keeps open; beyond it the one with the most rows ends.
const MOST_OPEN: usize = 32;
/// Bytes that all open files of a lane hold together before the largest is written out.
const MOST_MEMORY: usize = 16 << 20;

/// What the lanes of an epoch share.
pub(crate) struct EpochShape {
    pub root: PathBuf,
    pub door: Door,
    pub config: Config,
    pub shape: Shape,
    /// In the name of each file of this attempt, as Spark's jobs have one.
    pub job: Uuid,
    /// Every file that was created.
    pub created: Mutex<Vec<String>>,
    /// Rows whose folder cannot be made, in the order of each lane.
    pub refused: Mutex<Vec<(usize, Refused)>>,
}

/// Writes a lane.
pub(crate) struct FileLane {
    epoch: Arc<EpochShape>,
    lane: usize,
    splitter: Option<Splitter>,
    open: BTreeMap<usize, (String, Part)>,
    /// Files so far.
    count: usize,
    /// By the number in their order of creation.
    finished: Vec<PartFile>,
}

impl FileLane {
    pub fn new(epoch: Arc<EpochShape>, lane: usize) -> Self {
        Self { epoch, lane, splitter: None, open: BTreeMap::new(), count: 0, finished: Vec::new() }
    }

    /// Writes rows of one place, a new file after each `maxRecordsPerFile`.
    async fn write_piece(&mut self, number: usize, rows: &RecordBatch) -> Result<()> {
        let most = self.epoch.config.max_records;
        let mut at = 0;
        while at < rows.num_rows() {
            if !self.open.contains_key(&number) {
                if self.open.len() >= MOST_OPEN {
                    let largest = self.open.iter().max_by_key(|(_, (_, part))| part.rows());
                    let largest = largest.map(|(number, _)| *number);
                    self.end(largest.into_iter().collect()).await?;
                }
                let created = self.create(number)?;
                self.open.insert(number, created);
            }
            let Some((_, part)) = self.open.get_mut(&number) else { return Ok(()) };
            let room = usize::try_from(most - part.rows()).unwrap_or(usize::MAX);
            let piece = rows.slice(at, room.min(rows.num_rows() - at));
            at += piece.num_rows();
            part.write(&piece)?;
            if part.rows() >= most {
                self.end(vec![number]).await?;
            }
        }
        while self.open.values().map(|(_, part)| part.memory()).sum::<usize>() > MOST_MEMORY {
            match self.open.values_mut().max_by_key(|(_, part)| part.memory()) {
                Some((_, part)) => part.flush()?,
                None => break,
            }
        }
        Ok(())
    }

    /// The rows whose values fit into names of folders, which are the only place where they stand; the others are set aside.
    fn with_folders(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let names = &self.epoch.shape.partition_names;
        if names.is_empty() {
            return Ok(batch);
        }
        let columns = self.epoch.shape.folders(&batch)?;
        let mut fits = BooleanBufferBuilder::new(batch.num_rows());
        for row in 0..batch.num_rows() {
            match too_long(names, &columns, row)? {
                None => fits.append(true),
                Some((name, bytes)) => {
                    fits.append(false);
                    let refused = refusal(&batch.slice(row, 1), name, bytes)?;
                    self.epoch.refused.lock().push((self.lane, refused));
                }
            }
        }
        let fits = BooleanArray::new(fits.finish(), None);
        if fits.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        filter_record_batch(&batch, &fits)
            .map_err(|e| Error::new(&codes::INTERNAL, "rows cannot be told apart").caused_by(e))
    }

    fn create(&mut self, number: usize) -> Result<(String, Part)> {
        let EpochShape { root, door, config, shape, job, created, .. } = &*self.epoch;
        let folder = self.splitter.as_ref().and_then(|splitter| splitter.place(number));
        let folder = folder.map(|place| place.folder.as_str()).unwrap_or_default();
        // Spark puts a point before the number where there are folders.
        let before = if folder.is_empty() { '-' } else { '.' };
        let name =
            format!("{folder}part-{:05}-{job}{before}c{:03}.{}", self.lane, self.count, config.extension());
        self.count += 1;
        created.lock().push(name.clone());
        let part = Part::create(door, &Store::staged(root, &name), &config.format, &shape.file_schema)?;
        Ok((name, part))
    }

    /// Finishes these files on a blocking thread.
    async fn end(&mut self, numbers: Vec<usize>) -> Result<()> {
        let ending: Vec<_> = numbers.iter().filter_map(|number| self.open.remove(number)).collect();
        let finish = move || -> Result<Vec<PartFile>> {
            let finish = |(name, part): (String, Part)| {
                let Finished { rows, bytes, header, crc32c } = part.finish()?;
                Ok(PartFile { name, rows, bytes, header, crc32c: Some(crc32c) })
            };
            ending.into_iter().map(finish).collect()
        };
        self.finished.extend(tokio::task::spawn_blocking(finish).await.map_err(fault::task)??);
        Ok(())
    }
}

#[async_trait]
impl LaneWriter for FileLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.with_folders(batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (rows, columns) = self.epoch.shape.apply(&batch)?;
        if columns.is_empty() {
            return self.write_piece(0, &rows).await;
        }
        if self.splitter.is_none() {
            let names = self.epoch.shape.partition_names.clone();
            self.splitter = Some(Splitter::of_whole_names(names, self.epoch.shape.partition_types())?);
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

    async fn finish(mut self: Box<Self>) -> Result<SinkPart> {
        self.end(self.open.keys().copied().collect()).await?;
        Ok(Box::new(self.finished))
    }
}

/// A row for the quarantine.
fn refusal(row: &RecordBatch, name: &str, bytes: usize) -> Result<Refused> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    let written = writer.write(row).and_then(|()| writer.finish());
    written.map_err(|e| Error::new(&codes::INTERNAL, "a row cannot be set aside").caused_by(e))?;
    let mut text = writer.into_inner();
    text.truncate(text.trim_ascii_end().len());
    let why = format!(
        "the folder of this value would have a name of {bytes} bytes, and file systems end at {LONGEST_NAME}; it stands nowhere else"
    );
    Ok(Refused { code: "files.name_too_long".to_owned(), path: format!("$.{name}"), why, row: text })
}
