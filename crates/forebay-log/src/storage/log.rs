//! The log as everybody else calls it.
//!
//! A [`Log`] is a handle: clones share one open log, whose threads end with [`Log::close`] or with the last clone.
//! What blocks says so; none of it waits for the network, and reads of files mostly for the page cache.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use forebay_storage::Door;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::admin::Topics;
use super::answers::{Appended, Fetched, Isolation, Offsets, Pending, Wait};
use super::checks::Checks;
use super::commit::checkpoint;
use super::config::TimestampType;
use super::core::Core;
use super::groups::GroupStore;
use super::ids::ProducerIds;
use super::keeper::{Keeper, retain_all};
use super::lock::Lock;
use super::partition::{Partition, Progress, Request, Work};
use super::sealed::{self, Kind};
use super::topic::{TopicInfo, open_all};
use super::validate::Rules;
use super::writers::Writers;
use super::{LogOptions, TopicConfig};
use crate::LogError;
use crate::quiet::Quiet;

mod transact;

/// The file that tells the layout of the folder.
const LAYOUT: Kind = Kind { name: b"FBYL", version: 1 };
/// The unit in which waiting bytes are counted: the semaphore counts to 2^32 only.
const SPACE_UNIT: usize = 1024;

/// An open log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    open: Arc<Open>,
}

struct Open {
    core: Arc<Core>,
    topics: Arc<Topics>,
    writers: Arc<Writers>,
    keeper: Arc<Keeper>,
    ids: ProducerIds,
    groups: GroupStore,
    /// Bytes of appends that may still be queued, in [`SPACE_UNIT`]s.
    space: Arc<Semaphore>,
    space_units: u32,
    checks: Checks,
    torn_bytes: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("data_dir", &self.open.core.options.data_dir).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens a log, or begins one. Blocks: after a crash it reads what was written last.
    ///
    /// # Errors
    /// [`LogError::Locked`] while another process has it open; [`LogError::Damaged`] and
    /// [`LogError::UnknownFormat`] for files that cannot be rebuilt from others.
    pub fn open(options: LogOptions, door: Door) -> Result<Self, LogError> {
        options.validate()?;
        let dir = options.data_dir.clone();
        let topics_dir = dir.join("topics");
        door.create_dir_all(&topics_dir).map_err(|e| LogError::io("create", &topics_dir, &e))?;
        let lock = Lock::take(&door, &dir)?;
        let layout = dir.join("format");
        if sealed::read(&layout, LAYOUT)?.is_none() {
            sealed::write(&door, &layout, LAYOUT, b"")?;
        }
        let core = Arc::new(Core::new(options, door));
        let mut torn_bytes = 0;
        let map = open_all(&core, &topics_dir, &mut torn_bytes)?;
        let topics = Arc::new(Topics::new(topics_dir, map));
        let space_units =
            u32::try_from(core.options.max_queued_bytes.div_ceil(SPACE_UNIT)).unwrap_or(u32::MAX);
        let space_units = space_units.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let open = Open {
            ids: ProducerIds::open(&core.door, dir.join("producer-ids"))?,
            groups: GroupStore::open(&core, dir.join("groups"))?,
            writers: Arc::default(),
            keeper: Arc::default(),
            space: Arc::new(Semaphore::new(space_units as usize)),
            space_units,
            checks: Checks::default(),
            torn_bytes,
            threads: Mutex::default(),
            lock: Mutex::new(Some(lock)),
            core,
            topics,
        };
        let started = open.writers.start(&open.core).and_then(|mut threads| {
            threads.push(open.keeper.start(&open.core, &open.topics)?);
            Ok(threads)
        });
        *open.threads.lock() = started.map_err(|e| LogError::io("start threads for", &dir, &e))?;
        Ok(Self { open: Arc::new(open) })
    }

    /// The settings it was opened with.
    pub fn options(&self) -> &LogOptions {
        &self.open.core.options
    }

    pub(crate) fn quiet(&self) -> Arc<Quiet> {
        Arc::clone(&self.open.core.quiet)
    }

    /// Bytes of torn tails that were cut when the log was opened.
    pub fn torn_bytes(&self) -> u64 {
        self.open.torn_bytes
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<TopicInfo> {
        self.open.topics.list()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.open.topics.get(name).ok().map(|topic| topic.info.clone())
    }

    /// Creates a topic; durable on return. Blocks.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
    ) -> Result<TopicInfo, LogError> {
        self.open.topics.create(&self.open.core, name, partitions, config)
    }

    /// Says what [`Log::create_topic`] would refuse, and does nothing.
    pub fn check_topic(&self, name: &str, partitions: i32) -> Result<(), LogError> {
        self.open.topics.check_new(&self.open.core, name, partitions)
    }

    /// Deletes a topic and its data; durable on return. Blocks.
    pub fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.open.topics.delete(&self.open.core, name)
    }

    /// Raises the number of partitions to `total`; durable on return. Blocks.
    pub fn create_partitions(&self, name: &str, total: i32) -> Result<TopicInfo, LogError> {
        self.open.topics.grow(&self.open.core, name, total)
    }

    /// Replaces a topic's own settings; durable on return. Blocks.
    pub fn alter_topic_config(&self, name: &str, config: TopicConfig) -> Result<TopicInfo, LogError> {
        self.open.topics.alter(&self.open.core, name, config)
    }

    /// Validates an append and queues it. Its place in the partition is fixed on return: who pipelines calls this in
    /// order and awaits the answers later. Waits while more than
    /// [`max_queued_bytes`](LogOptions::max_queued_bytes) are queued.
    ///
    /// # Errors
    /// Everything that can be said without the partition's state; the rest comes with [`Pending::done`].
    pub async fn submit(&self, topic: &str, partition: i32, batches: Bytes) -> Result<Pending, LogError> {
        let core = &self.open.core;
        core.check_writable()?;
        let partition = self.open.topics.partition(topic, partition)?;
        let units = u32::try_from(batches.len().div_ceil(SPACE_UNIT)).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.open.space_units);
        let space =
            Arc::clone(&self.open.space).acquire_many_owned(units).await.map_err(|_| LogError::Closed)?;

        let config = *partition.config.read();
        let max_ahead = i64::try_from(core.options.max_timestamp_ahead.as_millis()).unwrap_or(i64::MAX);
        let rules = Rules {
            max_message_bytes: config.max_message_bytes,
            max_expanded_bytes: core.options.max_expanded_bytes,
            timestamp_type: config.timestamp_type,
            max_ahead,
        };
        let (batches, now) = self.open.checks.check(core, batches, rules).await?;
        let log_append_time = if config.timestamp_type == TimestampType::LogAppendTime { now } else { -1 };
        self.enqueue(&partition, Work::Append { batches, log_append_time }, Some(space))
    }

    fn enqueue(
        &self,
        partition: &Arc<Partition>,
        work: Work,
        space: Option<OwnedSemaphorePermit>,
    ) -> Result<Pending, LogError> {
        let (answer, pending) = oneshot::channel();
        let request = Request { work, answer, space };
        self.open.writers.enqueue(partition, request, self.open.core.options.flush_interval)?;
        Ok(Pending(pending))
    }

    /// [`Log::submit`] and, with [`Wait::Durable`], its answer.
    pub async fn append(
        &self,
        topic: &str,
        partition: i32,
        batches: Bytes,
        wait: Wait,
    ) -> Result<Appended, LogError> {
        let pending = self.submit(topic, partition, batches).await?;
        match wait {
            Wait::Durable => pending.done().await,
            Wait::None => {
                let log_start_offset = self.offsets(topic, partition)?.earliest;
                Ok(Appended { base_offset: -1, log_start_offset, log_append_time: -1, duplicate: false })
            }
        }
    }

    /// Whole batches from the one that holds `offset` on, up to `max_bytes`; with `min_one` the first even if it is
    /// larger. Nothing at the high watermark. Blocks for one read of a file, usually from the page cache.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] below the log's start and beyond the high watermark.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
        isolation: Isolation,
    ) -> Result<Fetched, LogError> {
        let partition = self.open.topics.partition(topic, partition)?;
        partition.read(offset, max_bytes, min_one, isolation, &self.open.core)
    }

    /// The ends of a partition; no I/O.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<Offsets, LogError> {
        Ok(self.open.topics.partition(topic, partition)?.offsets())
    }

    /// Bytes that a reader at `offset` has before it, and up to
    /// twice [`index_interval_bytes`](LogOptions::index_interval_bytes) more; no I/O.
    pub fn bytes_behind(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        isolation: Isolation,
    ) -> Result<u64, LogError> {
        Ok(self.open.topics.partition(topic, partition)?.bytes_behind(offset, isolation, &self.open.core))
    }

    /// (offset, timestamp) of the first record whose timestamp is at least `timestamp`. Blocks for a short walk.
    pub fn offset_for_timestamp(
        &self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<Option<(i64, i64)>, LogError> {
        let core = &self.open.core;
        let partition = self.open.topics.partition(topic, partition)?;
        partition.offset_for_timestamp(timestamp, core.options.max_expanded_bytes, &core.scratch)
    }

    /// Returns once the high watermark is beyond `beyond`.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] when there is no such topic, or no longer.
    pub async fn wait_for(&self, topic: &str, partition: i32, beyond: i64) -> Result<(), LogError> {
        let mut progress = self.open.topics.partition(topic, partition)?.progress.subscribe();
        let gone = || LogError::UnknownTopic(topic.to_owned());
        match progress.wait_for(|progress| moved(progress, Isolation::Uncommitted, beyond)).await {
            Ok(progress) if progress.deleted => Err(gone()),
            Ok(_) => Ok(()),
            Err(_) => Err(gone()),
        }
    }

    /// Returns true as soon as one of (topic, partition, beyond) has something beyond that such a reader may see, or is
    /// not there (any more); false after `timeout`.
    pub async fn wait_for_any(
        &self,
        places: &[(&str, i32, i64)],
        isolation: Isolation,
        timeout: Duration,
    ) -> bool {
        type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;
        let mut waiting: Vec<Waiting> = Vec::with_capacity(places.len());
        for (topic, partition, beyond) in places {
            let Ok(partition) = self.open.topics.partition(topic, *partition) else { return true };
            let (mut progress, beyond) = (partition.progress.subscribe(), *beyond);
            waiting.push(Box::pin(async move {
                let _ = progress.wait_for(|progress| moved(progress, isolation, beyond)).await;
            }));
        }
        let any = poll_fn(|context| {
            let ready = waiting.iter_mut().any(|one| one.as_mut().poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::time::timeout(timeout, any).await.is_ok()
    }

    /// A number that grows whenever a topic is created, deleted or altered.
    pub fn topic_changes(&self) -> watch::Receiver<u64> {
        self.open.topics.changes.subscribe()
    }

    /// A producer id nobody had before, with epoch 0. Durable; blocks once in a thousand calls.
    pub fn new_producer_id(&self) -> Result<(i64, i16), LogError> {
        self.open.core.check_writable()?;
        Ok((self.open.ids.take()?, 0))
    }

    /// The durable memory of the group coordinator.
    pub fn group_store(&self) -> GroupStore {
        self.open.groups.clone()
    }

    /// Does now what the log does by itself every
    /// [`retention_check_interval`](LogOptions::retention_check_interval). Blocks.
    pub fn retain(&self) {
        retain_all(&self.open.core, &self.open.topics);
    }

    /// Writes what is queued, makes the next start quick, ends the threads and gives the lock back. Appends are
    /// refused from here on; a second call does nothing.
    pub async fn close(&self) -> Result<(), LogError> {
        let open = Arc::clone(&self.open);
        open.space.close();
        let closing = tokio::task::spawn_blocking(move || open.shut_down(true));
        closing.await.map_err(|_| LogError::Closed)
    }
}

fn moved(progress: &Progress, isolation: Isolation, beyond: i64) -> bool {
    progress.deleted || progress.end(isolation) > beyond
}

impl Open {
    fn shut_down(&self, make_next_start_quick: bool) {
        self.writers.close();
        self.keeper.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
        let Some(lock) = self.lock.lock().take() else { return };
        self.core.quiet.sums(true);
        if make_next_start_quick && self.core.check_writable().is_ok() {
            for partition in self.topics.partitions() {
                checkpoint(&self.core, &partition, &mut partition.writer.lock());
            }
        }
        drop(lock);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shut_down(false);
    }
}
