//! What can go wrong in the log, by whose fault it is.
//!
//! The server turns each variant into one of Kafka's error codes; nothing else does, so the variants say what
//! happened and not how a protocol words it.

use std::io;
use std::path::PathBuf;

use crate::records::RecordsError;

/// A refusal or a failure of the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No topic of that name, or it was deleted meanwhile.
    #[error("there is no topic `{0}`")]
    UnknownTopic(String),

    /// The topic has no partition of that number.
    #[error("topic `{topic}` has no partition {partition}")]
    UnknownPartition {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: i32,
    },

    /// A topic of that name exists.
    #[error("topic `{0}` exists")]
    TopicExists(String),

    /// The name cannot be a topic's; says why.
    #[error("`{name}` cannot be a topic's name: {why}")]
    InvalidTopicName {
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A number of partitions that cannot be: below one, or below what the topic has.
    #[error("invalid number of partitions: {0}")]
    InvalidPartitions(String),

    /// A topic setting that is unknown, malformed or not offered; says what is.
    #[error("invalid topic setting: {0}")]
    InvalidConfig(String),

    /// One of the log's own limits is reached; names the option that raises it.
    #[error("{what} would exceed the limit of {limit} (option `{option}`)")]
    LimitReached {
        /// What there would be too many of.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The option of [`LogOptions`](crate::storage::LogOptions) that sets it.
        option: &'static str,
    },

    /// The offset is below the log's start or beyond the high watermark.
    #[error("offset {offset} is outside {log_start_offset}..={high_watermark}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset still there.
        log_start_offset: i64,
        /// The offset after the last one readers may see.
        high_watermark: i64,
    },

    /// A batch's checksum is wrong: it was damaged on its way.
    #[error("record batch is corrupt: {0}")]
    CorruptBatch(RecordsError),

    /// A batch is whole but breaks a rule of the format.
    #[error("record batch is invalid: {0}")]
    InvalidBatch(RecordsError),

    /// A batch, or what one append brought together, is larger than allowed.
    #[error("record batch of {size} bytes exceeds the limit of {limit}")]
    BatchTooLarge {
        /// Bytes of the batch.
        size: usize,
        /// The limit in force.
        limit: usize,
    },

    /// A record's timestamp is further ahead of the clock than allowed.
    #[error("timestamp {timestamp} is too far ahead of the log's clock, {now}")]
    InvalidTimestamp {
        /// The timestamp, milliseconds since 1970.
        timestamp: i64,
        /// The clock, milliseconds since 1970.
        now: i64,
    },

    /// An idempotent producer's sequence number does not follow its last one.
    #[error("producer {producer_id} sent sequence {got} where {expected} follows")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence number that follows.
        expected: i32,
        /// The one that came.
        got: i32,
    },

    /// A newer instance of the same producer has written already.
    #[error("producer {producer_id} has epoch {current}, a batch came with {got}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// Its newest epoch.
        current: i16,
        /// The batch's epoch.
        got: i16,
    },

    /// A batch does not belong to the transaction that its producer has open, or there is none.
    #[error("producer {producer_id} cannot write this: {why}")]
    InvalidTransaction {
        /// The producer.
        producer_id: i64,
        /// What is wrong.
        why: &'static str,
    },

    /// The disk is full. Nothing of the append was kept; it works again when there is room.
    #[error("no space left for {0}")]
    OutOfSpace(PathBuf),

    /// The file system refused something; the operation had no effect.
    #[error("cannot {doing} {path}: {why}", path = path.display())]
    Storage {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's words.
        why: String,
    },

    /// A durable file is damaged in a way that cannot be mended by itself.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// The folder was written by a version of Forebay that this one does not know.
    #[error("{path} has format {found}, this version of Forebay knows {known}", path = path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: u32,
        /// The format this version reads and writes.
        known: u32,
    },

    /// Another process has the log open.
    #[error("{path} is in use by another process; one log has one owner", path = .0.display())]
    Locked(PathBuf),

    /// An fsync failed earlier, or another step after which what is on disk is unknown: nothing is accepted until a
    /// restart. Says which.
    #[error(
        "the log takes no more writes, as what is on disk is unknown: {0}; restart it once the disk is sound"
    )]
    Failed(String),

    /// The log is being closed.
    #[error("the log is closed")]
    Closed,

    /// An option of the log makes no sense.
    #[error("invalid log option: {0}")]
    InvalidOption(String),
}

impl LogError {
    /// Wraps what the file system said about one operation.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        let path = path.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::OutOfSpace(path),
            _ => Self::Storage { doing, path, why: error.to_string() },
        }
    }

    /// True where the same call may succeed later without anybody changing the input.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::OutOfSpace(_) | Self::Storage { .. } | Self::LimitReached { .. })
    }
}
