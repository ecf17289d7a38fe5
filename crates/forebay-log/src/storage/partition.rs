//! A partition as its readers and its callers see it. Its writer's half is in `commit.rs`.
//!
//! Three locks, never two of the readers' at once and none held during a read of a file: the list of segments, the
//! inbox of appends that wait, and the writer's state, which belongs to whoever writes, rolls, retains or deletes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use forebay_storage::DoorFile;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::config::Effective;
use super::core::Core;
use super::producers::Producers;
use super::segment::{ReadError, Segment};
use super::transactions::{self, Aborted};
use super::validate::Sound;
use super::{Appended, Fetched, Isolation, Offsets};
use crate::LogError;
use crate::records::{Marker, Scratch};

/// What readers wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// The offset after the last durable record.
    pub high_watermark: i64,
    /// The offset before which every transaction is decided.
    pub last_stable: i64,
    pub deleted: bool,
}

impl Progress {
    /// The offset after the last one that such a reader may see.
    pub fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.high_watermark,
            Isolation::Committed => self.last_stable,
        }
    }
}

/// What is to be done in the partition's order.
pub(super) enum Work {
    Append {
        batches: Vec<Sound>,
        log_append_time: i64,
    },
    /// Let a producer write in a transaction.
    Enrol {
        producer_id: i64,
        epoch: i16,
    },
    /// Write the marker of a producer's transaction, if it wrote anything.
    End {
        producer_id: i64,
        epoch: i16,
        marker: Marker,
    },
}

/// Work that waits for its place.
pub(super) struct Request {
    pub work: Work,
    pub answer: oneshot::Sender<Result<Appended, LogError>>,
    /// An append's share of the bytes that may wait.
    pub space: Option<OwnedSemaphorePermit>,
}

/// The appends that wait, in their order.
#[derive(Default)]
pub(super) struct Inbox {
    pub requests: Vec<Request>,
    /// True while the partition is in the writers' queue or in a writer's hands.
    pub scheduled: bool,
}

/// What only the one who writes may touch.
#[derive(Debug)]
pub(super) struct Writer {
    /// The active segment, opened at the first append.
    pub file: Option<DoorFile>,
    pub producers: Producers,
    pub next_offset: i64,
    /// True when index and producers on disk are behind.
    pub dirty: bool,
}

/// One partition.
pub(super) struct Partition {
    pub topic: String,
    pub number: i32,
    pub dir: PathBuf,
    pub config: RwLock<Effective>,
    /// Oldest first; the last is the active one. Empty until the first append.
    pub segments: RwLock<Vec<Arc<Segment>>>,
    pub log_start: AtomicI64,
    pub progress: watch::Sender<Progress>,
    /// Transactions that were aborted, in the order of their markers.
    pub aborted: RwLock<Vec<Aborted>>,
    pub inbox: Mutex<Inbox>,
    pub writer: Mutex<Writer>,
}

impl Partition {
    pub fn offsets(&self) -> Offsets {
        let Progress { high_watermark, last_stable, .. } = *self.progress.borrow();
        let earliest = self.log_start.load(Ordering::Acquire);
        // Retention may have taken the beginning of an open transaction.
        Offsets { earliest, latest: high_watermark, stable: last_stable.max(earliest).min(high_watermark) }
    }

    /// See [`Log::read`](super::Log::read).
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
        isolation: Isolation,
        core: &Core,
    ) -> Result<Fetched, LogError> {
        let ends = self.offsets();
        let Offsets { earliest, latest, stable } = ends;
        let out_of_range =
            LogError::OffsetOutOfRange { offset, log_start_offset: earliest, high_watermark: latest };
        if offset < earliest || offset > latest {
            return Err(out_of_range);
        }
        let mut fetched = Fetched {
            high_watermark: latest,
            last_stable_offset: stable,
            log_start_offset: earliest,
            ..Fetched::default()
        };
        // Where nothing may be returned, as to the rest of an answer that is full, no file is looked at.
        let below = ends.end(isolation);
        if offset >= below || (max_bytes == 0 && !min_one) {
            return Ok(fetched);
        }
        let Some(segment) = self.segment_of(offset) else { return Err(out_of_range) };
        match segment.read(offset, below, max_bytes, min_one, core) {
            Ok((batches, next)) => {
                if isolation == Isolation::Committed && !batches.is_empty() {
                    fetched.aborted = transactions::within(&self.aborted.read(), offset, next);
                }
                fetched.batches = batches;
                Ok(fetched)
            }
            // Retention, or the topic's deletion, was faster.
            Err(ReadError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                self.check_alive()?;
                Err(LogError::OffsetOutOfRange {
                    offset,
                    log_start_offset: self.offsets().earliest,
                    high_watermark: latest,
                })
            }
            Err(e) => Err(self.read_error(&segment, e)),
        }
    }

    /// Forgets the aborted transactions whose markers lie before an offset.
    pub fn forget_aborted(&self, core: &Core, before: i64) {
        let mut aborted = self.aborted.write();
        let gone = aborted.partition_point(|aborted| aborted.last < before);
        aborted.drain(..gone);
        let kept = aborted.len();
        aborted.shrink_to(2 * kept);
        core.aborted.fetch_sub(gone, Ordering::Relaxed);
    }

    /// See [`Log::bytes_behind`](super::Log::bytes_behind).
    pub fn bytes_behind(&self, offset: i64, isolation: Isolation, core: &Core) -> u64 {
        let ends = self.offsets();
        match ends.end(isolation) {
            end if end <= offset => 0,
            end if end == ends.latest => self.bytes_from(offset),
            // Both ends are blocks' beginnings; not to count the last block would be too little.
            end => {
                let between = self.bytes_from(offset).saturating_sub(self.bytes_from(end));
                between.saturating_add(core.options.index_interval_bytes.into())
            }
        }
    }

    fn bytes_from(&self, offset: i64) -> u64 {
        let segments = self.segments.read();
        let from = segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
        segments[from..].iter().map(|segment| segment.bytes_behind(offset)).sum()
    }

    /// See [`Log::offset_for_timestamp`](super::Log::offset_for_timestamp).
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
        limit: usize,
        scratch: &Scratch,
    ) -> Result<Option<(i64, i64)>, LogError> {
        let earliest = self.offsets().earliest;
        let segments: Vec<_> = self.segments.read().clone();
        for segment in segments.iter().filter(|segment| segment.max_timestamp() >= timestamp) {
            match segment.find_time(timestamp, earliest, limit, scratch) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(ReadError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.read_error(segment, e)),
            }
        }
        Ok(None)
    }

    /// The segment that holds an offset, or the next one where it is in a gap.
    fn segment_of(&self, offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let behind = segments.partition_point(|segment| segment.base_offset <= offset);
        let from = behind.saturating_sub(1);
        segments[from..].iter().find(|segment| offset < segment.next_offset()).cloned()
    }

    fn read_error(&self, segment: &Segment, error: ReadError) -> LogError {
        match error {
            ReadError::Io(e) => LogError::io("read", &segment.path, &e),
            ReadError::Damaged(at, why) => {
                LogError::Damaged { path: segment.path.clone(), why: format!("at byte {at}: {why}") }
            }
        }
    }

    /// The segment that is written to, if there was an append.
    pub fn active(&self) -> Option<Arc<Segment>> {
        self.segments.read().last().cloned()
    }

    pub fn check_alive(&self) -> Result<(), LogError> {
        if self.progress.borrow().deleted { Err(LogError::UnknownTopic(self.topic.clone())) } else { Ok(()) }
    }

    /// Where the file with the log's start lies.
    pub fn start_path(&self) -> PathBuf {
        self.dir.join("start")
    }

    /// Where the file with the producers' state lies.
    pub fn producers_path(&self) -> PathBuf {
        self.dir.join("producers")
    }
}
