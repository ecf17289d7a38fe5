//! What the log's calls take and give back.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::LogError;

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Once it is queued (acks=0): nobody learns what becomes of it, and no offset is known.
    None,
    /// Once it is on disk (acks=1 and acks=all, which are one with a single node).
    Durable,
}

/// The answer to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; -1 with [`Wait::None`]. For a repeated batch the offset it got the first time.
    pub base_offset: i64,
    /// First offset still in the partition.
    pub log_start_offset: i64,
    /// The log's time where the topic uses it, else -1.
    pub log_append_time: i64,
    /// True where everything in the append had been appended before (an idempotent producer's repeat).
    pub duplicate: bool,
}

/// What a reader wants to see of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything that is durable.
    Uncommitted,
    /// What lies before the last stable offset; of that, what was aborted is named.
    Committed,
}

/// What a read found.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// Whole batches, as they are on disk. The first may begin before the offset asked for.
    pub batches: Bytes,
    /// The offset after the last one readers may see.
    pub high_watermark: i64,
    /// The offset before which every transaction is decided.
    pub last_stable_offset: i64,
    /// First offset still in the partition.
    pub log_start_offset: i64,
    /// (producer, first offset) of the aborted transactions that the batches have to do with: from that offset on,
    /// what the producer wrote in a transaction is void until its next marker. Only for [`Isolation::Committed`].
    pub aborted: Vec<(i64, i64)>,
}

impl Fetched {
    /// The offset after the last one that the reader may see.
    pub fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.high_watermark,
            Isolation::Committed => self.last_stable_offset,
        }
    }
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// First offset still there.
    pub earliest: i64,
    /// The high watermark: the offset that comes next.
    pub latest: i64,
    /// The last stable offset: the first of the oldest open transaction, else [`Offsets::latest`].
    pub stable: i64,
}

impl Offsets {
    /// The offset after the last one that such a reader may see.
    pub fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.latest,
            Isolation::Committed => self.stable,
        }
    }
}

/// A transaction with records in a partition that is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Who has it open.
    pub producer_id: i64,
    /// The epoch it writes with.
    pub epoch: i16,
}

/// An append that has its place in the partition's order and waits to be durable.
#[derive(Debug)]
pub struct Pending(pub(super) oneshot::Receiver<Result<Appended, LogError>>);

impl Pending {
    /// Waits until it is on disk, or refused.
    pub async fn done(self) -> Result<Appended, LogError> {
        self.0.await.unwrap_or(Err(LogError::Closed))
    }
}
