//! The producer: records in, each written once and in order, outcomes out.
//!
//! ```text
//!  send() ─ partition by key ─▶ queue of the partition ─▶ its sender: one batch in flight, tried until written
//!     └── waits while too much is buffered                     └─▶ Delivery of each record
//! ```
//!
//! Keys choose partitions as Java's partitioner does; records without a key stay with one partition until its batch
//! is full, then take the next. acks=all and idempotence always. Records that were not flushed when the producer is
//! dropped may be lost; [`Producer::flush`] says when they are not. In a [`Transaction`] all partitions write under its one
//! author, and a failure is that of the whole; whole batches ([`Producer::send_batch`]) are for who has many records at a time.

mod aside;
mod config;
mod partitioner;
mod queue;
mod sender;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Result};
use forebay_log::records::BatchBuilder;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::Client;
use aside::Aside;
use queue::{Outcome, Queue};

pub use aside::RefusedRecord;
pub use config::ProducerConfig;
pub use partitioner::partition_for_key;
pub use transaction::Transaction;

/// A record to be written; everything is borrowed and copied once, into its batch.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Where to. Missing topics are created where the cluster allows that.
    pub topic: &'a str,
    /// Which partition; `None` lets the key decide.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970: when the record was made, not when what it tells of happened. Retention goes by it,
    /// and so does a restarted Apache Kafka when it decides which producers it still knows: with times more than a
    /// day old (`producer.id.expiration.ms`) it can no longer recognise a repeat.
    pub timestamp: i64,
    /// Headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl<'a> NewRecord<'a> {
    /// A record with a value, and the rest left out.
    pub fn value(topic: &'a str, value: &'a [u8], timestamp: i64) -> Self {
        Self { topic, partition: None, key: None, value: Some(value), timestamp, headers: &[] }
    }
}

/// Writes records. Shared by reference; one is enough for a process.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    config: ProducerConfig,
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    budget: Arc<Budget>,
    aside: Arc<Aside>,
    transaction: Option<Arc<Transaction>>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

#[derive(Debug)]
struct Topic {
    queues: Vec<Arc<Queue>>,
    /// Where records without a key go at the moment.
    sticky: AtomicUsize,
}

/// Bytes that wait, and the first failure since the last flush.
#[derive(Debug, Default)]
struct Budget {
    /// Signed: a batch may be sent before the last of its records is counted in.
    waiting: AtomicI64,
    room: Notify,
    failure: Mutex<Option<Error>>,
}

impl Budget {
    async fn wait_for_room(&self, limit: usize) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.waiting.load(Ordering::Acquire) < limit as i64 {
                return;
            }
            room.await;
        }
    }

    fn give_back(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes as i64, Ordering::AcqRel);
        self.room.notify_waiters();
    }

    fn remember(&self, error: &Error) {
        self.failure.lock().get_or_insert_with(|| error.clone());
    }
}

/// The outcome of one record, when it is known.
#[derive(Debug)]
pub struct Delivery {
    partition: Partition,
    index: i64,
    outcome: watch::Receiver<Outcome>,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its partition.
    pub partition: Partition,
    /// Its offset; -1 if the broker recognised a repeat and did not say.
    pub offset: i64,
}

impl Delivery {
    /// Waits until the record is written, or is known not to be.
    pub async fn wait(mut self) -> Result<Written> {
        let base = settled(&mut self.outcome).await?;
        let offset = if base < 0 { -1 } else { base + self.index };
        Ok(Written { partition: self.partition, offset })
    }
}

async fn settled(outcome: &mut watch::Receiver<Outcome>) -> Result<i64> {
    match outcome.wait_for(Option::is_some).await {
        Ok(settled) => settled.clone().unwrap_or(Ok(-1)),
        Err(_) => Err(Error::new(
            &codes::SOURCE_UNAVAILABLE,
            "the producer was closed before the record was written",
        )),
    }
}

impl Producer {
    /// A producer over a client. Must be called inside a tokio runtime.
    pub fn new(client: Client, config: ProducerConfig) -> Self {
        Self::make(client, config, None)
    }

    /// One that writes in the transactions of one author.
    pub fn in_transaction(client: Client, config: ProducerConfig, transaction: Arc<Transaction>) -> Self {
        Self::make(client, config, Some(transaction))
    }

    fn make(client: Client, config: ProducerConfig, transaction: Option<Arc<Transaction>>) -> Self {
        let stop = CancellationToken::new();
        Self {
            client,
            config,
            topics: Mutex::default(),
            budget: Arc::default(),
            aside: Arc::default(),
            transaction,
            stop: stop.clone(),
            _stop_when_dropped: stop.drop_guard(),
        }
    }

    /// Takes a record. Returns once it has its place in order; waits while too much is buffered.
    ///
    /// # Errors
    /// `SOURCE_REFUSED` or `SOURCE_UNAVAILABLE` if the topic cannot be had. The record's own outcome is in the
    /// [`Delivery`], which may be dropped: [`Producer::flush`] reports failures, too.
    pub async fn send(&self, record: NewRecord<'_>) -> Result<Delivery> {
        let topic = self.topic(record.topic).await?;
        let (number, sticky) = topic.choose(&record);
        let Some(queue) = usize::try_from(number).ok().and_then(|number| topic.queues.get(number)) else {
            return Err(no_partition(record.topic, number));
        };
        self.budget.wait_for_room(self.config.buffer_bytes).await;
        let place = queue.push(&record, self.config.compression, self.config.batch_bytes);
        self.budget.waiting.fetch_add(place.bytes as i64, Ordering::AcqRel);
        if sticky && place.full {
            topic.sticky.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Delivery { partition: queue.partition.clone(), index: place.index, outcome: place.outcome })
    }

    /// How many partitions a topic has, as last looked; one that is missing is created where the cluster allows that.
    ///
    /// # Errors
    /// `SOURCE_REFUSED` or `SOURCE_UNAVAILABLE` if the topic cannot be had.
    pub async fn partitions(&self, topic: &str) -> Result<usize> {
        Ok(self.topic(topic).await?.queues.len())
    }

    /// Takes a whole batch, for one partition. Returns once it has its place in order; waits while too much is buffered.
    /// [`Producer::flush`] says what became of it. Records of it that the topic refuses for good do not fail it: the others are
    /// written in their order, and [`Producer::take_refused`] has them.
    ///
    /// # Errors
    /// `SOURCE_REFUSED` if there is no such partition or the producer is closed, and as [`Producer::send`].
    pub async fn send_batch(&self, topic: &str, partition: usize, batch: BatchBuilder) -> Result<()> {
        let opened = self.topic(topic).await?;
        let queue = opened.queues.get(partition).ok_or_else(|| no_partition(topic, partition))?;
        self.budget.wait_for_room(self.config.buffer_bytes).await;
        if self.stop.is_cancelled() {
            return Err(Error::new(&codes::SOURCE_REFUSED, "the producer is closed"));
        }
        self.budget.waiting.fetch_add(batch.size() as i64, Ordering::AcqRel);
        queue.push_batch(batch);
        Ok(())
    }

    /// The records of whole batches that topics have refused for good, once: those of a partition in their order. Complete
    /// after a [`Producer::flush`].
    pub fn take_refused(&self) -> Vec<RefusedRecord> {
        let mut refused = self.aside.take();
        refused.sort_by(|a, b| a.partition.cmp(&b.partition));
        refused
    }

    /// Looks whether topics that were written to have more partitions by now; later records go there too.
    pub async fn refresh(&self) -> Result<()> {
        let names: Vec<Arc<str>> = self.topics.lock().keys().cloned().collect();
        for name in names {
            let found = self.client.usable_or_created(&name).await?;
            let known = self.topics.lock().get(&name).cloned();
            if let Some(known) = known.filter(|known| known.queues.len() < found.len()) {
                let mut queues = known.queues.clone();
                queues.extend(found.into_iter().skip(queues.len()).map(|partition| self.start(partition)));
                let sticky = AtomicUsize::new(known.sticky.load(Ordering::Relaxed));
                self.topics.lock().insert(name, Arc::new(Topic { queues, sticky }));
            }
        }
        Ok(())
    }

    /// Ends it at once: what waits is not sent any more.
    pub fn close(&self) {
        self.stop.cancel();
    }

    /// Sends what is waiting and returns when all of it is written.
    ///
    /// # Errors
    /// The first failure since the last flush, if any record could not be written.
    pub async fn flush(&self) -> Result<()> {
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        let mut pending: Vec<_> =
            topics.iter().flat_map(|topic| topic.queues.iter().flat_map(|queue| queue.hurry())).collect();
        for outcome in &mut pending {
            // Failures are remembered where they happen.
            drop(settled(outcome).await);
        }
        match self.budget.failure.lock().take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    async fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let found = self.topics.lock().get(name).cloned();
        match found {
            Some(topic) => Ok(topic),
            None => self.open_topic(name).await,
        }
    }

    async fn open_topic(&self, name: &str) -> Result<Arc<Topic>> {
        let partitions = self.client.usable_or_created(name).await?;
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        let queues: Vec<_> = partitions.into_iter().map(|partition| self.start(partition)).collect();
        let topic = Arc::new(Topic { queues, sticky: AtomicUsize::new(fastrand::usize(..)) });
        topics.insert(name.into(), Arc::clone(&topic));
        Ok(topic)
    }

    /// The queue of a partition, and the task that empties it.
    fn start(&self, partition: Partition) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(partition));
        let sending = sender::run(
            self.client.clone(),
            Arc::clone(&queue),
            self.config.clone(),
            (Arc::clone(&self.budget), Arc::clone(&self.aside)),
            self.transaction.clone(),
        );
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(sending).await });
        queue
    }
}

fn no_partition(topic: &str, number: impl std::fmt::Display) -> Error {
    Error::new(&codes::SOURCE_REFUSED, format!("topic `{topic}` has no partition {number}"))
}

impl Topic {
    /// The partition of a record, and whether it was free to choose.
    fn choose(&self, record: &NewRecord<'_>) -> (i32, bool) {
        let partitions = self.queues.len();
        match (record.partition, record.key) {
            (Some(number), _) => (number, false),
            (None, Some(key)) => (partition_for_key(key, partitions as i32), false),
            (None, None) => ((self.sticky.load(Ordering::Relaxed) % partitions.max(1)) as i32, true),
        }
    }
}
