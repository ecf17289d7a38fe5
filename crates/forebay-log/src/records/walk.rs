//! The walk over the records of one batch.
//!
//! ```text
//!  length | attributes i8 | timestamp Δ | offset Δ | key length, key | value length, value | count, headers
//! ```
//! All numbers but the attributes are zigzag varints; a length of -1 is null.
//!
//! The parts are inlined by force into the loop of whoever walks: this is the hottest loop of a read, and the compiler
//! otherwise splits it, which costs a quarter of it.

use std::ops::Range;

use bytes::Bytes;

use super::varint::{read_i32, read_i64};
use super::{BatchHeader, RecordsError};

/// The least a record can take: one byte for each of its seven numbers, key and value being null.
const LEAST_RECORD: usize = 7;

/// The records of one batch: their bytes, decompressed, and how to walk them.
#[derive(Debug, Clone)]
pub struct Records {
    /// What the ranges of every [`RecordRef`] point into.
    pub data: Bytes,
    base_offset: i64,
    base_timestamp: i64,
    /// The one timestamp of all records, where the log stamped them.
    append_time: Option<i64>,
    last_offset_delta: i32,
    count: i32,
}

/// Where one record's parts lie in [`Records::data`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRef {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; the log's own time where the topic says so.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Range<u32>>,
    /// The value; `None` is null.
    pub value: Option<Range<u32>>,
    /// All headers; see [`headers`](super::headers()).
    pub headers: Range<u32>,
    /// How many they are.
    pub header_count: u32,
}

impl Records {
    pub(super) fn new(header: &BatchHeader, data: Bytes) -> Result<Self, RecordsError> {
        let declared = header.record_count;
        let most = i32::try_from(data.len() / LEAST_RECORD).unwrap_or(i32::MAX);
        if declared < 0 || declared > most {
            return Err(RecordsError::BadCount { declared, found: most });
        }
        Ok(Self {
            data,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: header.is_log_append_time().then_some(header.max_timestamp),
            last_offset_delta: header.last_offset_delta,
            count: declared,
        })
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// True for a batch that compaction emptied.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the records in order. The first error ends the walk; without one it yields [`Records::len`] records.
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { records: self, bytes: &self.data, at: 0, index: 0, last_delta: -1, over: false }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordRef, RecordsError>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

/// See [`Records::iter`].
#[derive(Debug, Clone)]
pub struct RecordsIter<'a> {
    records: &'a Records,
    bytes: &'a [u8],
    at: usize,
    index: i32,
    last_delta: i32,
    over: bool,
}

impl RecordsIter<'_> {
    #[inline(always)]
    fn record(&mut self) -> Result<RecordRef, &'static str> {
        const CUT: &str = "it is cut off";
        let length = read_i32(self.bytes, &mut self.at).ok_or(CUT)?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(CUT)?;
        // All further fields are read from the record alone, so none can reach into the next.
        let bytes = &self.bytes[..end];
        let mut at = self.at + 1; // attributes: none are defined
        let timestamp_delta = read_i64(bytes, &mut at).ok_or("its timestamp is cut off")?;
        let offset_delta = read_i32(bytes, &mut at).ok_or("its offset is cut off")?;
        if offset_delta <= self.last_delta || offset_delta > self.records.last_offset_delta {
            return Err("its offset is not between its neighbours'");
        }
        let key = field(bytes, &mut at).ok_or("its key is cut off")?;
        let value = field(bytes, &mut at).ok_or("its value is cut off")?;
        let header_count = read_i32(bytes, &mut at).ok_or("its headers are cut off")?;
        let header_count = u32::try_from(header_count).map_err(|_| "its number of headers is negative")?;
        let headers_start = at;
        for _ in 0..header_count {
            field(bytes, &mut at).flatten().ok_or("a header's key is null or cut off")?;
            field(bytes, &mut at).ok_or("a header's value is cut off")?;
        }
        if at != end {
            return Err("bytes are left behind its last field");
        }
        self.at = end;
        self.last_delta = offset_delta;
        let timestamp = match self.records.append_time {
            Some(time) => time,
            None => self.records.base_timestamp.saturating_add(timestamp_delta),
        };
        Ok(RecordRef {
            offset: self.records.base_offset.saturating_add(i64::from(offset_delta)),
            timestamp,
            key,
            value,
            headers: headers_start as u32..at as u32,
            header_count,
        })
    }

    fn check_end(&self) -> Option<RecordsError> {
        if self.at == self.bytes.len() {
            return None;
        }
        Some(RecordsError::BadCount { declared: self.records.count, found: self.index.saturating_add(1) })
    }
}

impl Iterator for RecordsIter<'_> {
    type Item = Result<RecordRef, RecordsError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        if self.index == self.records.count {
            self.over = true;
            return self.check_end().map(Err);
        }
        let record = self.record();
        self.index += 1;
        Some(record.map_err(|why| {
            self.over = true;
            RecordsError::BadRecord { index: self.index - 1, why }
        }))
    }
}

/// One field with a length before it: `Some(None)` is null, `None` is malformed. Positions fit 32 bits because a
/// batch's length and the decompression limit do.
#[inline(always)]
fn field(bytes: &[u8], at: &mut usize) -> Option<Option<Range<u32>>> {
    let length = read_i32(bytes, at)?;
    if length < 0 {
        return if length == -1 { Some(None) } else { None };
    }
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    if end > bytes.len() {
        return None;
    }
    let range = *at as u32..end as u32;
    *at = end;
    Some(Some(range))
}
