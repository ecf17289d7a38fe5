//! What can be set about the log, and why the defaults are what they are.

use std::path::PathBuf;
use std::time::Duration;

use super::Clock;
use crate::LogError;

/// Settings of a [`Log`](super::Log). What a topic may set for itself is in [`TopicConfig`](super::TopicConfig).
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The folder that holds everything; created when missing.
    pub data_dir: PathBuf,
    /// Size at which a segment is closed and the next begun. 64 MiB: the step in which retention frees space, and
    /// the most that a partition reads again after a crash (about 50 ms from the page cache).
    pub segment_bytes: u64,
    /// Bytes a partition keeps at least before its oldest segments go; `None`: no limit, as in Kafka.
    pub retention_bytes: Option<u64>,
    /// Age, by timestamp, at which segments go; `None`: never. 7 days, as in Kafka.
    pub retention: Option<Duration>,
    /// How often retention looks. 30 s: with 64 MiB segments no disk fills unnoticed in between.
    pub retention_check_interval: Duration,
    /// How long an append waits for companions before both share an fsync. 0: sync at once whatever gathered while
    /// the previous fsync ran, which adapts by itself; more only helps disks whose fsync is dear.
    pub flush_interval: Duration,
    /// Largest batch accepted. 1,048,588, Kafka's default: clients are set to stay below it.
    pub max_message_bytes: usize,
    /// Largest batch once decompressed. 64 MiB: sixty times what a client puts into one, and no bomb.
    pub max_expanded_bytes: usize,
    /// How far a record's timestamp may be ahead of the clock. 1 hour, as in Kafka: one device with a fast clock
    /// must not keep a segment for ever.
    pub max_timestamp_ahead: Duration,
    /// Bytes of appends that wait for the disk; further ones wait before they are read. 64 MiB.
    pub max_queued_bytes: usize,
    /// Topics. 1,000: each costs a folder and a file read at start.
    pub max_topics: usize,
    /// Partitions of all topics together. 4,000: each that is written to holds one open file.
    pub max_partitions: usize,
    /// Partitions of a topic that does not say how many.
    pub default_partitions: i32,
    /// Bytes between two entries of a segment's index. 32 KiB: one small read finds any offset, and 100 GB of log
    /// cost 50 MB of memory.
    pub index_interval_bytes: u32,
    /// Idle time after which an idempotent producer is forgotten. 1 day, as in Kafka.
    pub producer_expiry: Duration,
    /// Idempotent producers remembered per partition; beyond, the longest idle are forgotten. 10,000 (2 MB).
    pub max_producers: usize,
    /// Aborted transactions that readers are told of, over all partitions, until retention takes their records; beyond,
    /// no transaction may begin. 1,000,000 (32 MB, which are also written with each new segment).
    pub max_aborted_transactions: usize,
    /// Bytes of committed offsets, with their keys and notes. 256 MiB, which are in memory too: two million offsets.
    pub max_group_bytes: u64,
    /// Threads that write and sync. 4: partitions sync side by side, and the file system merges what runs together.
    pub writers: usize,
    /// Where the time comes from.
    pub clock: Clock,
}

impl LogOptions {
    /// The defaults, in a folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        const MIB: usize = 1024 * 1024;
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            data_dir: data_dir.into(),
            segment_bytes: 64 * MIB as u64,
            retention_bytes: None,
            retention: Some(7 * DAY),
            retention_check_interval: Duration::from_secs(30),
            flush_interval: Duration::ZERO,
            max_message_bytes: 1_048_588,
            max_expanded_bytes: 64 * MIB,
            max_timestamp_ahead: Duration::from_secs(60 * 60),
            max_queued_bytes: 64 * MIB,
            max_topics: 1_000,
            max_partitions: 4_000,
            default_partitions: 1,
            index_interval_bytes: 32 * 1024,
            producer_expiry: DAY,
            max_producers: 10_000,
            max_aborted_transactions: 1_000_000,
            max_group_bytes: 256 * MIB as u64,
            writers: 4,
            clock: Clock::system(),
        }
    }

    /// Refuses values that cannot work, by name.
    pub(super) fn validate(&self) -> Result<(), LogError> {
        let refuse = |why: &str| Err(LogError::InvalidOption(why.to_owned()));
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return refuse("segment_bytes must be between 4 KiB and 1 GiB");
        }
        if self.max_message_bytes > MAX_APPEND_BYTES {
            return refuse("max_message_bytes must be at most 256 MiB");
        }
        if !(1024..=MAX_APPEND_BYTES).contains(&self.max_expanded_bytes) {
            return refuse("max_expanded_bytes must be between 1 KiB and 256 MiB");
        }
        if self.default_partitions < 1 {
            return refuse("default_partitions must be at least 1");
        }
        if self.index_interval_bytes == 0 || self.writers == 0 || self.max_queued_bytes == 0 {
            return refuse("index_interval_bytes, writers and max_queued_bytes must be at least 1");
        }
        Ok(())
    }
}

/// Positions inside a segment are 32 bits wide, with room for one append beyond the limit.
pub(super) const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Smaller segments would be more index than log.
pub(super) const MIN_SEGMENT_BYTES: u64 = 4 * 1024;
/// Most bytes of one append: with [`MAX_SEGMENT_BYTES`] it stays within 32 bits.
pub(super) const MAX_APPEND_BYTES: usize = 256 * 1024 * 1024;
