//! One segment: a file of batches, and where in it things are.
//!
//! Only the writer of the partition changes a segment; readers look at its index for a moment and then read the
//! file, opened anew, with no lock held. What they can see ends at the last durable batch.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::RwLock;

use super::core::Core;
use super::index::Index;
use super::scan::{ScanEnd, read_at, scan};
use crate::records::{BatchHeader, Batches, HEADER_BYTES, RecordsError, Scratch};

/// A file of batches, named by the offset of its first.
#[derive(Debug)]
pub(super) struct Segment {
    pub base_offset: i64,
    pub path: PathBuf,
    index: RwLock<Index>,
}

/// Why a read found nothing.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    /// Bytes that are no batch, at a position.
    Damaged(u64, String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Segment {
    pub fn new(dir: &Path, base_offset: i64, index: Index) -> Self {
        Self { base_offset, path: dir.join(format!("{base_offset:020}.log")), index: RwLock::new(index) }
    }

    /// The offset that a segment's file name tells; `None` for other files.
    pub fn base_offset_of(name: &str) -> Option<i64> {
        let digits = name.strip_suffix(".log")?;
        if digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse().ok()
        } else {
            None
        }
    }

    pub fn index_path(&self) -> PathBuf {
        self.path.with_extension("index")
    }

    /// Durable bytes.
    pub fn len(&self) -> u32 {
        self.index.read().covered
    }

    pub fn next_offset(&self) -> i64 {
        self.index.read().next_offset
    }

    pub fn max_timestamp(&self) -> i64 {
        self.index.read().max_timestamp
    }

    /// What is known about the segment now.
    pub fn index(&self) -> Index {
        self.index.read().clone()
    }

    /// Makes batches visible that were appended and are durable.
    pub fn publish(&self, batches: &[BatchHeader], interval: u32) {
        let mut index = self.index.write();
        for header in batches {
            index.add(self.base_offset, header, interval);
        }
    }

    /// A position from which a walk meets the batch that holds `offset`.
    pub fn position_of(&self, offset: i64) -> u32 {
        self.index.read().position_of(self.base_offset, offset)
    }

    /// Bytes from the block that holds `offset`, or else from the beginning, to the end; none behind the last offset.
    pub fn bytes_behind(&self, offset: i64) -> u64 {
        let index = self.index.read();
        if offset >= index.next_offset {
            return 0;
        }
        u64::from(index.covered - index.position_of(self.base_offset, offset))
    }

    /// Whole batches from the one that holds `offset` to the one before `below`, up to `max_bytes`; with `min_one` the
    /// first in any case. Also the offset after them.
    pub fn read(
        &self,
        offset: i64,
        below: i64,
        max_bytes: usize,
        min_one: bool,
        core: &Core,
    ) -> Result<(Bytes, i64), ReadError> {
        let (from, to) = {
            let index = self.index.read();
            (u64::from(index.position_of(self.base_offset, offset)), u64::from(index.covered))
        };
        let file = File::open(&self.path)?;
        // The block may begin before the batch that is wanted, by less than the interval.
        let size = (max_bytes as u64)
            .saturating_add(core.options.index_interval_bytes.into())
            .max(HEADER_BYTES as u64)
            .min(to - from);
        let bytes = core.buffers.read_at(&file, from, size)?;
        let damaged = |at: usize, e: RecordsError| ReadError::Damaged(from + at as u64, e.to_string());

        let mut walk = Batches::new(&bytes);
        let mut start = 0;
        let mut end = 0;
        let mut next = offset;
        while let Some(batch) = walk.next() {
            let batch = batch.map_err(|e| damaged(walk.position(), e))?;
            if batch.header.base_offset >= below {
                return Ok((bytes.slice(start..end), next));
            } else if batch.header.next_offset() <= offset {
                start = walk.position();
                end = start;
            } else if walk.position() - start <= max_bytes || (min_one && end == start) {
                end = walk.position();
                next = batch.header.next_offset();
            } else {
                break;
            }
        }
        if end > start || !min_one {
            return Ok((bytes.slice(start..end), next));
        }
        self.read_one(&file, from + start as u64, to)
    }

    /// The whole batch at a position, however large it is, and the offset after it.
    fn read_one(&self, file: &File, at: u64, to: u64) -> Result<(Bytes, i64), ReadError> {
        let head = read_at(file, at, (HEADER_BYTES as u64).min(to.saturating_sub(at)))?;
        let header = BatchHeader::parse(&head).map_err(|e| ReadError::Damaged(at, e.to_string()))?;
        match header {
            Some(header) if header.length as u64 <= to - at => {
                Ok((read_at(file, at, header.length as u64)?, header.next_offset()))
            }
            _ => Err(ReadError::Damaged(at, "no whole batch stands here".to_owned())),
        }
    }

    /// (offset, timestamp) of the first record at or behind `from_offset` with a timestamp of `timestamp` or later.
    pub fn find_time(
        &self,
        timestamp: i64,
        from_offset: i64,
        limit: usize,
        scratch: &Scratch,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let (from, to) = {
            let index = self.index.read();
            match index.position_of_time(timestamp) {
                Some(position) => (position, index.covered),
                None => return Ok(None),
            }
        };
        let mut found = None;
        let end = scan(&self.path, from.into(), to.into(), |_, batch| {
            let is_before =
                batch.header.max_timestamp < timestamp || batch.header.next_offset() <= from_offset;
            if is_before || batch.header.is_control() {
                return Ok(ControlFlow::Continue(()));
            }
            for record in &batch.records(limit, scratch)? {
                let record = record?;
                if record.timestamp >= timestamp && record.offset >= from_offset {
                    found = Some((record.offset, record.timestamp));
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match end {
            ScanEnd::Broken { at, why } => Err(ReadError::Damaged(at, why)),
            ScanEnd::Reached | ScanEnd::Stopped => Ok(found),
        }
    }
}
