//! Where in a segment an offset, or a time, is to be found: roughly, for one short walk from there.
//!
//! One sparse list serves both questions. An entry begins a **block** of at least
//! [`index_interval_bytes`](super::LogOptions::index_interval_bytes) of whole batches:
//!
//! ```text
//!  offset of the block's first batch (less the segment's) u32 | its position u32 | greatest timestamp up to the
//!  block's end i64
//! ```
//! Offsets and positions rise, and so does the *running* greatest timestamp, whatever order the records' own
//! timestamps have: the first entry whose timestamp reaches T is the block that holds the first record of T or later.
//!
//! The list of the active segment lives in memory. It is written when the segment is closed or the log shut down
//! cleanly, with the length it covers: what lies behind is walked at start.

use std::path::Path;

use forebay_storage::Door;

use super::sealed::{self, Fields, Kind};
use crate::LogError;
use crate::records::BatchHeader;

const KIND: Kind = Kind { name: b"FBYI", version: 1 };
const ENTRY_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    offset: u32,
    position: u32,
    max_timestamp: i64,
}

/// What is known about the first `covered` bytes of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    entries: Vec<Entry>,
    /// Bytes of the segment that are whole, durable batches.
    pub covered: u32,
    /// The offset after the last of them.
    pub next_offset: i64,
    /// Greatest timestamp in them; -1 when there is none.
    pub max_timestamp: i64,
}

impl Index {
    /// Of a segment in which nothing is.
    pub fn empty(base_offset: i64) -> Self {
        Self { entries: Vec::new(), covered: 0, next_offset: base_offset, max_timestamp: -1 }
    }

    /// Adds the batch that follows what is covered.
    pub fn add(&mut self, base_offset: i64, header: &BatchHeader, interval: u32) {
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        // Appends are refused, and segments rolled, long before either number exceeds 32 bits.
        let length = u32::try_from(header.length).unwrap_or(u32::MAX);
        let offset = u32::try_from(header.base_offset.saturating_sub(base_offset)).unwrap_or(u32::MAX);
        match self.entries.last_mut() {
            // A large batch gets an entry of its own, so that nobody has to read it to get behind it.
            Some(last) if self.covered - last.position < interval && length < interval => {
                last.max_timestamp = self.max_timestamp;
            }
            _ => {
                let entry = Entry { offset, position: self.covered, max_timestamp: self.max_timestamp };
                self.entries.push(entry);
            }
        }
        self.covered = self.covered.saturating_add(length);
        self.next_offset = header.next_offset();
    }

    /// A position from which a walk meets the batch that holds `offset`.
    pub fn position_of(&self, base_offset: i64, offset: i64) -> u32 {
        let relative = offset.saturating_sub(base_offset);
        let behind = self.entries.partition_point(|entry| i64::from(entry.offset) <= relative);
        behind.checked_sub(1).and_then(|i| self.entries.get(i)).map_or(0, |entry| entry.position)
    }

    /// A position from which a walk meets the first batch with a timestamp of `timestamp` or later; `None` when
    /// there is none.
    pub fn position_of_time(&self, timestamp: i64) -> Option<u32> {
        let at = self.entries.partition_point(|entry| entry.max_timestamp < timestamp);
        self.entries.get(at).map(|entry| entry.position)
    }

    /// Writes the index beside its segment; durable on return.
    pub fn write(&self, door: &Door, path: &Path) -> Result<(), LogError> {
        let mut payload = Vec::with_capacity(20 + self.entries.len() * ENTRY_BYTES);
        payload.extend_from_slice(&self.covered.to_be_bytes());
        payload.extend_from_slice(&self.next_offset.to_be_bytes());
        payload.extend_from_slice(&self.max_timestamp.to_be_bytes());
        for entry in &self.entries {
            payload.extend_from_slice(&entry.offset.to_be_bytes());
            payload.extend_from_slice(&entry.position.to_be_bytes());
            payload.extend_from_slice(&entry.max_timestamp.to_be_bytes());
        }
        sealed::write(door, path, KIND, &payload)
    }

    /// Reads an index; `None` when it is not there.
    pub fn read(path: &Path) -> Result<Option<Self>, LogError> {
        let Some(payload) = sealed::read(path, KIND)? else { return Ok(None) };
        let parsed = Self::parse(&payload);
        parsed
            .map(Some)
            .ok_or_else(|| LogError::Damaged { path: path.to_path_buf(), why: "it is cut off".to_owned() })
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let mut index = Self {
            entries: Vec::with_capacity(payload.len() / ENTRY_BYTES),
            covered: u32::from_be_bytes(fields.take()?),
            next_offset: i64::from_be_bytes(fields.take()?),
            max_timestamp: i64::from_be_bytes(fields.take()?),
        };
        while !fields.0.is_empty() {
            index.entries.push(Entry {
                offset: u32::from_be_bytes(fields.take()?),
                position: u32::from_be_bytes(fields.take()?),
                max_timestamp: i64::from_be_bytes(fields.take()?),
            });
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Batch, BatchBuilder, Compression};

    fn header(base_offset: i64, timestamp: i64, value: usize) -> BatchHeader {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(timestamp, None, Some(&vec![0; value]), &[]);
        let mut header = Batch::parse(&batch.build().unwrap()).unwrap().header;
        header.base_offset = base_offset;
        header
    }

    #[test]
    fn survives_the_disk_and_finds_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.index");
        let mut index = Index::empty(100);
        let mut positions = Vec::new();
        for i in 0..50 {
            positions.push(index.covered);
            // Timestamps fall and rise; every tenth batch is larger than the interval.
            let size = if i % 10 == 9 { 2000 } else { 100 };
            index.add(100, &header(100 + i, 1000 + (i * 7) % 13, size), 1000);
        }
        index.write(&Door::new(), &path).unwrap();
        assert_eq!(Index::read(&path).unwrap().unwrap(), index);
        for i in 0..50 {
            let found = index.position_of(100, 100 + i);
            assert!(found <= positions[i as usize] && positions[i as usize] - found <= 1000, "{i}");
        }
        assert_eq!(index.position_of_time(0), Some(0));
        assert_eq!(index.position_of_time(1013), None);
        assert!(index.entries.len() < 20);
    }
}
