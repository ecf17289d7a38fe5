//! One lane: rows become batches of their partitions, which go out as they fill.
//!
//! A lane builds its batches alone, so no lock is taken for a row; the producer numbers them when they are sent. Rows of
//! a lane that go to one partition stay in their order. What must stay true: what a lane holds is bounded, however many
//! partitions there are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::sink::{LaneWriter, Part};
use forebay_core::{Error, Result};
use forebay_log::records::{BatchBuilder, Compression};

use super::columns::Columns;
use super::fault::of_sink;
use super::outlet::Outlet;
use super::rows::Row;
use crate::kafka::{ProducerConfig, legal_topic, partition_for_key};

/// Topics of one lane in one epoch. Each is created where it is not there, so a column of device ids must not name millions.
const MOST_TOPICS: usize = 10_000;

/// What a lane wrote.
pub(super) struct LaneDone {
    pub rows: u64,
    /// Bytes of its batches before they were compressed.
    pub bytes: u64,
}

pub(super) struct KafkaLane {
    outlet: Arc<Outlet>,
    columns: Arc<Columns>,
    clock: Arc<dyn Clock>,
    compression: Compression,
    /// Bytes at which a batch is full.
    batch_bytes: usize,
    /// Bytes that may lie in open batches.
    room: usize,
    open: Vec<Open>,
    /// Of each topic its number in `open`.
    topics: HashMap<Arc<str>, usize>,
    /// The topic of the row before.
    last: usize,
    held: usize,
    rows: u64,
    bytes: u64,
}

/// The open batches of one topic.
struct Open {
    topic: Arc<str>,
    batches: Vec<Option<BatchBuilder>>,
    /// Where rows without a key go until that batch is full, as with Kafka's own clients.
    sticky: usize,
}

impl KafkaLane {
    pub fn new(
        outlet: &Arc<Outlet>,
        columns: &Arc<Columns>,
        config: &ProducerConfig,
        room: usize,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            outlet: Arc::clone(outlet),
            columns: Arc::clone(columns),
            clock: Arc::clone(clock),
            compression: config.compression,
            batch_bytes: config.batch_bytes,
            room,
            open: Vec::new(),
            topics: HashMap::new(),
            last: 0,
            held: 0,
            rows: 0,
            bytes: 0,
        }
    }

    async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Arc::clone(&self.columns);
        let rows = columns.rows(batch)?;
        // The time of writing, not of the epoch: brokers forget by it which batches they have seen.
        let now_ms = self.clock.now_ms();
        let mut headers = Vec::new();
        for number in 0..rows.len() {
            let row = rows.row(number)?;
            rows.headers(number, &mut headers)?;
            let topic = match self.known(row.topic) {
                Some(number) => number,
                None => self.open(row.topic).await?,
            };
            self.last = topic;
            let open = self.open.get_mut(topic).ok_or_else(nowhere)?;
            let (partition, sticky) = open.choose(&row)?;
            let large = row.key.map_or(0, <[u8]>::len) + row.value.map_or(0, <[u8]>::len) >= self.batch_bytes;
            if large {
                // It may be as large as the broker takes: those before it must not be refused with it.
                self.ship(topic, partition).await?;
            }
            let open = self.open.get_mut(topic).ok_or_else(nowhere)?;
            let place = open.batches.get_mut(partition).ok_or_else(nowhere)?;
            let batch = place.get_or_insert_with(|| BatchBuilder::new(self.compression));
            let before = if batch.is_empty() { 0 } else { batch.size() };
            batch.append(now_ms, row.key, row.value, &headers);
            let size = batch.size();
            self.held += size - before;
            self.rows += 1;
            if size >= self.batch_bytes {
                if sticky {
                    open.sticky = open.sticky.wrapping_add(1);
                }
                self.ship(topic, partition).await?;
            } else if self.held >= self.room {
                self.ship_all().await?;
            }
        }
        Ok(())
    }

    /// The number of a topic in `open`: nearly always that of the row before.
    fn known(&self, name: &str) -> Option<usize> {
        match self.open.get(self.last) {
            Some(open) if &*open.topic == name => Some(self.last),
            _ => self.topics.get(name).copied(),
        }
    }

    async fn open(&mut self, name: &str) -> Result<usize> {
        if !legal_topic(name) {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::new(&codes::SINK_REFUSED, format!("`{shown}` is no name of a topic")).with_hint(
                "A topic's name has letters, digits, `.`, `_` and `-`, and at most 249 of them; look at the column `topic`.",
            ));
        }
        if self.open.len() >= MOST_TOPICS {
            let message = format!("an epoch names more than {MOST_TOPICS} topics");
            return Err(Error::new(&codes::SINK_REFUSED, message).with_hint(
                "What tells so many rows apart belongs into the key; a cluster pays for every topic.",
            ));
        }
        let topic: Arc<str> = name.into();
        let partitions = self.outlet.partitions(&topic).await?;
        let batches = (0..partitions).map(|_| None).collect();
        self.open.push(Open { topic: Arc::clone(&topic), batches, sticky: fastrand::usize(..) });
        let number = self.open.len() - 1;
        self.topics.insert(topic, number);
        Ok(number)
    }

    async fn ship(&mut self, topic: usize, partition: usize) -> Result<()> {
        let Some(open) = self.open.get_mut(topic) else { return Ok(()) };
        let Some(batch) = open.batches.get_mut(partition).and_then(Option::take) else { return Ok(()) };
        self.held = self.held.saturating_sub(batch.size());
        self.bytes += batch.size() as u64;
        self.outlet.send(&open.topic, partition, batch).await
    }

    async fn ship_all(&mut self) -> Result<()> {
        for topic in 0..self.open.len() {
            for partition in 0..self.open.get(topic).map_or(0, |open| open.batches.len()) {
                self.ship(topic, partition).await?;
            }
        }
        Ok(())
    }

    fn told(&self, error: Error) -> Error {
        of_sink(self.outlet.explained(error))
    }
}

fn nowhere() -> Error {
    Error::new(&codes::INTERNAL, "a row was to go to a topic or partition that was not opened")
}

impl Open {
    /// The partition of a row, and whether it was free to choose.
    fn choose(&self, row: &Row<'_>) -> Result<(usize, bool)> {
        let count = self.batches.len().max(1);
        match (row.partition, row.key) {
            (Some(number), _) => match usize::try_from(number).ok().filter(|number| *number < count) {
                Some(number) => Ok((number, false)),
                None => {
                    let message = format!("topic `{}` has no partition {number}", self.topic);
                    let hint = format!(
                        "It has {count}, numbered from 0. NULL in the column `partition` lets the key decide; partitions are \
                         added with Kafka's own tools."
                    );
                    Err(Error::new(&codes::SINK_REFUSED, message).with_hint(hint))
                }
            },
            (None, Some(key)) => {
                let count = i32::try_from(count).unwrap_or(i32::MAX);
                Ok((usize::try_from(partition_for_key(key, count)).unwrap_or(0), false))
            }
            (None, None) => Ok((self.sticky % count, true)),
        }
    }
}

#[async_trait]
impl LaneWriter for KafkaLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.take(&batch).await.map_err(|error| self.told(error))
    }

    async fn finish(mut self: Box<Self>) -> Result<Part> {
        self.ship_all().await.map_err(|error| self.told(error))?;
        if self.rows > 0 {
            self.outlet.flush().await.map_err(|error| self.told(error))?;
        }
        Ok(Box::new(LaneDone { rows: self.rows, bytes: self.bytes }))
    }
}
