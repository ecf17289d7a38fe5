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

/// What a read found.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Whole batches, as they are on disk. The first may begin before the offset asked for.
    pub batches: Bytes,
    /// The offset after the last one readers may see.
    pub high_watermark: i64,
    /// First offset still in the partition.
    pub log_start_offset: i64,
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// First offset still there.
    pub earliest: i64,
    /// The high watermark: the offset that comes next.
    pub latest: i64,
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
