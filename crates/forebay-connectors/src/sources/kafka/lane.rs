//! A lane: reads the ranges of some partitions, opens their batches and hands out envelopes.
//!
//! ```text
//!  slot ─ chunk ─▶ batch by batch: checksum · void? · decompress · walk ─▶ envelope builder ─▶ Envelope
//! ```
//!
//! It runs on the task of whoever polls it. Partitions take turns, chunk by chunk, so that none of their slots
//! stands full while another is read. What must stay true: exactly the records whose offset lies in the range are
//! handed out, in order, whatever batches they came in: one may begin before the range or end behind it, offsets
//! may be missing, batches may be empty. A range ends when its last position is behind us, record or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use forebay_core::error::codes;
use forebay_core::source::{Envelope, Wanted};
use forebay_core::{Error, Partition, PositionRange, Result};
use forebay_log::records::{Batch, Batches, RecordsError, Scratch};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::envelope::EnvelopeBuilder;
use super::inbox::{Chunk, Failure, Inbox, Taken};
use super::remote::bad_batch;
use super::transport::Transport;
use crate::kafka::At;

/// How a source reads.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) scratch: Scratch,
    pub(super) wanted: Wanted,
    pub(super) max_batch_bytes: usize,
    pub(super) check_crcs: bool,
    pub(super) fail_on_data_loss: bool,
    /// How long nothing may arrive that should be there.
    pub(super) patience: Duration,
}

/// A stream of the records of these ranges.
pub(super) fn lane(reading: Reading, ranges: Vec<PositionRange>) -> forebay_core::source::Lane {
    let parts = ranges.into_iter().map(Part::new).collect();
    let builder = EnvelopeBuilder::new(reading.wanted);
    let lane = Lane { reading, parts, turn: 0, current: None, builder, ready: VecDeque::new() };
    futures::stream::try_unfold(lane, |mut lane| async move {
        Ok(lane.next().await?.map(|envelope| (envelope, lane)))
    })
    .boxed()
}

/// One partition's range, and how far it is read.
struct Part {
    range: PositionRange,
    at: i64,
}

impl Part {
    fn new(range: PositionRange) -> Self {
        Self { at: range.from.0, range }
    }

    fn end(&self) -> i64 {
        self.range.to.0
    }

    fn is_done(&self) -> bool {
        self.at >= self.end()
    }
}

struct Lane {
    reading: Reading,
    parts: Vec<Part>,
    /// Whose turn it is.
    turn: usize,
    /// The part whose chunk is being read, and what is left of the chunk.
    current: Option<(usize, Chunk)>,
    builder: EnvelopeBuilder,
    /// Usually one; a batch of very many records makes several.
    ready: VecDeque<Envelope>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.reading.inbox.not_needed(self.parts.iter().map(|part| &part.range.partition));
    }
}

impl Lane {
    async fn next(&mut self) -> Result<Option<Envelope>> {
        let mut deadline = Instant::now() + self.reading.patience;
        loop {
            if let Some(envelope) = self.ready.pop_front() {
                return Ok(Some(envelope));
            }
            if let Some((index, chunk)) = self.current.take() {
                self.read(index, chunk)?;
                continue;
            }
            self.parts.retain(|part| !part.is_done());
            if self.parts.is_empty() {
                return Ok(None);
            }
            // A second handle, so that what is borrowed from it does not keep us from being changed.
            let inbox = Arc::clone(&self.reading.inbox);
            let arrival = inbox.arrival();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.take_one().await? {
                deadline = Instant::now() + self.reading.patience;
                continue;
            }
            if let Some(error) = inbox.lost(self.partitions(), self.reading.patience) {
                inbox.forgive();
                return Err(error);
            }
            if timeout_at(deadline, arrival).await.is_err() {
                self.stalled().await?;
                deadline = Instant::now() + self.reading.patience;
            }
        }
    }

    fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.parts.iter().map(|part| &part.range.partition)
    }

    /// Takes a chunk of the first part that has one; false if none has.
    async fn take_one(&mut self) -> Result<bool> {
        for step in 0..self.parts.len() {
            let index = (self.turn + step) % self.parts.len();
            let part = &self.parts[index];
            match self.reading.inbox.take(&part.range.partition, part.at) {
                Taken::Nothing => {}
                Taken::Chunk(chunk) => {
                    self.current = Some((index, chunk));
                    self.turn = index + 1;
                    return Ok(true);
                }
                Taken::Failure(Failure::Fatal(error)) => return Err(error),
                Taken::Failure(Failure::OutOfRange) => {
                    self.step_over_loss(index).await?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Reads up to the next envelope. One at a time, so that its bytes are still in the caches of the core when they
    /// are decoded, and their buffers go round. An envelope with room goes on with the next chunk if it is there.
    fn read(&mut self, index: usize, mut chunk: Chunk) -> Result<()> {
        loop {
            self.read_chunk(index, &mut chunk)?;
            let part = &self.parts[index];
            if !self.ready.is_empty() && !part.is_done() && !chunk.batches.is_empty() {
                self.current = Some((index, chunk));
                return Ok(());
            }
            if part.is_done() {
                if !chunk.batches.is_empty() {
                    chunk.from = part.end();
                    self.reading.inbox.put_back(&part.range.partition, chunk);
                }
                return self.flush(index);
            }
            // The slot asks for more only once this is read: take what follows, if the envelope has room.
            let more = !self.builder.is_full() && self.reading.inbox.is_ready(&part.range.partition);
            match more.then(|| self.reading.inbox.take(&part.range.partition, part.at)) {
                Some(Taken::Chunk(next)) => chunk = next,
                _ => return self.flush(index),
            }
        }
    }

    /// Walks batches up to a full envelope, the end of the chunk or the end of the range. What is left behind the
    /// range belongs to the next one.
    fn read_chunk(&mut self, index: usize, chunk: &mut Chunk) -> Result<()> {
        while self.ready.is_empty()
            && let Some(batch) = Batches::new(&chunk.batches).next()
        {
            let part = &self.parts[index];
            let partition = part.range.partition.clone();
            let batch = batch.map_err(|error| bad_batch(&partition, part.at, error))?;
            let header = &batch.header;
            if header.base_offset >= part.end() {
                self.parts[index].at = part.end();
                return Ok(());
            }
            if header.next_offset() > part.at {
                let offset = header.base_offset;
                self.read_batch(index, &batch, chunk).map_err(|error| match error {
                    Unreadable::Batch(why) => bad_batch(&partition, offset, why),
                    Unreadable::Other(error) => error,
                })?;
                let part = &mut self.parts[index];
                part.at = batch.header.next_offset().min(part.end());
                if batch.header.next_offset() > part.end() {
                    return Ok(());
                }
            }
            chunk.batches.advance(batch.bytes.len());
        }
        if chunk.batches.is_empty() {
            let part = &mut self.parts[index];
            part.at = part.at.max(chunk.next.min(part.end()));
        }
        Ok(())
    }

    fn read_batch(&mut self, index: usize, batch: &Batch, chunk: &mut Chunk) -> Result<(), Unreadable> {
        let reading = &self.reading;
        if reading.check_crcs {
            batch.verify_crc()?;
        }
        if chunk.aborted.is_void(batch, &reading.scratch)? {
            return Ok(());
        }
        let (from, to) = (self.parts[index].at, self.parts[index].end());
        let records = batch.records(reading.max_batch_bytes, &reading.scratch)?;
        if records.is_empty() {
            return Ok(());
        }
        let timestamp_type = i32::from(batch.header.is_log_append_time());
        if !self.builder.accepts(timestamp_type) {
            self.flush(index)?;
        }
        self.builder.begin(&records, timestamp_type);
        for record in &records {
            let record = record?;
            if record.offset < from {
                continue;
            }
            if record.offset >= to {
                break;
            }
            self.builder.push(&record, &records.data);
            if self.builder.is_full_of_records() {
                self.parts[index].at = record.offset + 1;
                self.flush(index)?;
                self.builder.begin(&records, timestamp_type);
            }
        }
        if self.builder.is_full() {
            self.parts[index].at = batch.header.next_offset().min(to);
            self.flush(index)?;
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        if !self.builder.is_empty() {
            let part = &self.parts[index];
            self.ready.push_back(self.builder.finish(&part.range.partition, part.at)?);
        }
        self.builder.clear();
        Ok(())
    }

    /// The position is gone. Fails, or goes on where there is something, as the options say.
    async fn step_over_loss(&mut self, index: usize) -> Result<()> {
        let part = &self.parts[index];
        let partition = part.range.partition.clone();
        let places = BTreeMap::from([(partition.clone(), At::Earliest)]);
        // A topic that is gone has no offsets at all.
        let earliest = match self.reading.transport.offsets(&places).await {
            Ok(found) => found.get(&partition).copied().flatten().unwrap_or(part.end()),
            Err(error) if error.is_retryable() => return Err(error),
            Err(_) => part.end(),
        };
        let next = if earliest > part.at { earliest.min(part.end()) } else { part.end() };
        if self.reading.fail_on_data_loss {
            return Err(data_loss(&partition, part.at, next));
        }
        tracing::warn!(%partition, from = part.at, to = next, "records are gone; going on after them");
        self.parts[index].at = next;
        Ok(())
    }

    /// Nothing came for long although the range says that there is something: is it still there?
    async fn stalled(&mut self) -> Result<()> {
        let places = self.parts.iter().map(|part| (part.range.partition.clone(), At::Latest)).collect();
        let latest = self.reading.transport.offsets(&places).await?;
        for part in &mut self.parts {
            let partition = &part.range.partition;
            let end = latest.get(partition).copied().flatten().unwrap_or(0);
            if end >= part.range.to.0 {
                continue;
            }
            if self.reading.fail_on_data_loss {
                return Err(data_loss(partition, end.max(part.at), part.range.to.0));
            }
            tracing::warn!(%partition, from = part.at, to = part.range.to.0, "records are gone; going on after them");
            part.at = part.range.to.0;
        }
        if self.parts.iter().any(Part::is_done) {
            return Ok(());
        }
        let partitions: Vec<String> = self.partitions().map(ToString::to_string).collect();
        let message =
            format!("nothing arrived from {} for {:?}", partitions.join(", "), self.reading.patience);
        Err(Error::new(&codes::SOURCE_UNAVAILABLE, message))
    }
}

/// The error for records that were never read and are not there any more.
pub(super) fn data_loss(partition: &Partition, from: i64, to: i64) -> Error {
    Error::new(&codes::DATA_LOSS, format!("records of {partition} from offset {from} to {to} are gone"))
        .at(format_args!("{partition} at offset {from}"))
}

/// Why a batch could not be read: it is damaged, or something else happened.
enum Unreadable {
    Batch(RecordsError),
    Other(Error),
}

impl From<RecordsError> for Unreadable {
    fn from(error: RecordsError) -> Self {
        Self::Batch(error)
    }
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

#[cfg(test)]
mod tests;
