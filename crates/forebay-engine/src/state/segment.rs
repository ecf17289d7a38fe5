//! Rows in columns that never change, and which of them still count.
//!
//! A key is kept in its row form (`arrow-row`) alone: one comparison of bytes whatever its columns are, and typed
//! columns come back from it. That form may change with a version of Arrow, so it stays in memory. What must stay true:
//! a segment owns exactly its rows. Columns are copied when they come, so that no buffer of a batch is kept alive by a
//! slice of it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Array, ArrayRef, Int64Array, UInt16Array, UInt64Array};
use arrow::compute::{interleave, take};
use arrow::row::Rows;
use forebay_core::Result;

use super::columns::own_views;
use super::error::{arrow_failed, bug};
use super::{NEVER, Slot};

/// Most rows of a segment: what [`Slot`] can tell apart.
pub(super) const MOST_ROWS: usize = 1 << 16;

/// Bytes of keys after which a batch goes on in another segment; offsets have 32 bits.
const MOST_KEY_BYTES: usize = 256 << 20;

/// Rows that never change.
#[derive(Debug, Default)]
pub(super) struct Segment {
    keys: Keys,
    expires: Box<[i64]>,
    values: Vec<ArrayRef>,
    bytes: usize,
}

impl Segment {
    /// A batch of rows, copied; several segments where one would be too large.
    pub fn of(keys: &Rows, expires: &[i64], values: &[ArrayRef]) -> Result<Vec<Self>> {
        let mut segments = Vec::new();
        let mut from = 0;
        while from < expires.len() {
            let mut bytes = 0;
            let mut to = from;
            while to < expires.len() && to - from < MOST_ROWS {
                bytes += keys.row_len(to);
                if bytes > MOST_KEY_BYTES && to > from {
                    break;
                }
                to += 1;
            }
            segments.push(Self::copied(keys, expires, values, from..to)?);
            from = to;
        }
        Ok(segments)
    }

    fn copied(keys: &Rows, expires: &[i64], values: &[ArrayRef], rows: Range<usize>) -> Result<Self> {
        let wanted = UInt64Array::from_iter_values(rows.clone().map(|row| row as u64));
        let copy = |array: &ArrayRef| take(array, &wanted, None).map(|array| own_views(&array));
        let own_keys = Keys::join(rows.len(), rows.clone().map(|row| keys.row(row).data()))?;
        let values = values.iter().map(copy).collect::<Result<_, _>>().map_err(|e| arrow_failed(&e))?;
        Ok(Self::new(own_keys, expires[rows].into(), values))
    }

    /// The rows of `parts` that still count, in their order. They must be [`MOST_ROWS`] at most, and one at least.
    pub fn merged(parts: &[&Held]) -> Result<Self> {
        let rows = || parts.iter().flat_map(|part| part.rows().map(move |row| (*part, row)));
        let count = parts.iter().map(|part| part.alive()).sum();
        let keys = Keys::join(count, rows().map(|(part, row)| part.segment.key(row)))?;
        let places: Vec<(usize, usize)> = parts
            .iter()
            .enumerate()
            .flat_map(|(number, part)| part.rows().map(move |row| (number, usize::from(row))))
            .collect();
        let columns = parts.first().map_or(0, |part| part.segment.values.len());
        let column = |at: usize| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.segment.values[at].as_ref()).collect();
            interleave(&arrays, &places).map(|array| own_views(&array))
        };
        let expires = rows().map(|(part, row)| part.segment.expires(row)).collect();
        let values = (0..columns).map(column).collect::<Result<_, _>>().map_err(|e| arrow_failed(&e))?;
        Ok(Self::new(keys, expires, values))
    }

    fn new(keys: Keys, expires: Box<[i64]>, values: Vec<ArrayRef>) -> Self {
        let arrays: usize = values.iter().map(|array| array.get_array_memory_size()).sum();
        let bytes =
            size_of::<Self>() + keys.offsets.len() * 4 + keys.bytes.len() + expires.len() * 8 + arrays;
        Self { keys, expires, values, bytes }
    }

    pub fn len(&self) -> usize {
        self.expires.len()
    }

    pub fn key(&self, row: u16) -> &[u8] {
        let (row, offsets) = (usize::from(row), &self.keys.offsets);
        &self.keys.bytes[offsets[row] as usize..offsets[row + 1] as usize]
    }

    pub fn expires(&self, row: u16) -> i64 {
        self.expires[usize::from(row)]
    }

    pub fn values(&self) -> &[ArrayRef] {
        &self.values
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Keys in their row form, one behind the other.
#[derive(Debug, Default)]
struct Keys {
    /// Where each key begins, and the end of the last.
    offsets: Box<[u32]>,
    bytes: Box<[u8]>,
}

impl Keys {
    fn join<'a>(count: usize, keys: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Self> {
        let len: usize = keys.clone().map(<[u8]>::len).sum();
        if u32::try_from(len).is_err() {
            return Err(bug("the keys of a segment of state are larger than 4 GiB"));
        }
        let (mut offsets, mut bytes) = (Vec::with_capacity(count + 1), Vec::with_capacity(len));
        offsets.push(0);
        for key in keys {
            bytes.extend_from_slice(key);
            offsets.push(bytes.len() as u32);
        }
        Ok(Self { offsets: offsets.into(), bytes: bytes.into() })
    }
}

/// A segment and which of its rows still count. A clone shares the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub segment: Arc<Segment>,
    /// A bit for each row.
    live: Vec<u64>,
    alive: usize,
    earliest: Bound,
    /// No row that expires at all does so after this.
    pub latest: Option<i64>,
}

/// A time before which no row that counts expires. Rows of a segment only go, so it only rises, and who looks through the
/// segment anyway may raise it.
#[derive(Debug)]
struct Bound(AtomicI64);

impl Clone for Bound {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Default for Bound {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }
}

impl Held {
    /// All of these rows.
    pub fn new(segment: Segment) -> Self {
        let rows = segment.len();
        let mut live = vec![u64::MAX; rows.div_ceil(64)];
        if let (Some(last), used @ 1..) = (live.last_mut(), rows % 64) {
            *last = (1 << used) - 1;
        }
        let earliest = segment.expires.iter().copied().min().unwrap_or(i64::MAX);
        let latest = segment.expires.iter().copied().filter(|expires| *expires != NEVER).max();
        Self {
            segment: Arc::new(segment),
            live,
            alive: rows,
            earliest: Bound(AtomicI64::new(earliest)),
            latest,
        }
    }

    /// Rows that count.
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Rows that do not count any more.
    pub fn dead(&self) -> usize {
        self.segment.len() - self.alive
    }

    pub fn is_live(&self, row: u16) -> bool {
        self.live[usize::from(row) / 64] >> (row % 64) & 1 == 1
    }

    /// The row does not count any more.
    pub fn kill(&mut self, row: u16) {
        if self.is_live(row) {
            self.live[usize::from(row) / 64] &= !(1 << (row % 64));
            self.alive -= 1;
        }
    }

    /// The rows that count, in their order.
    pub fn rows(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        self.live.iter().enumerate().flat_map(|(word, bits)| {
            let rest = |bits: &u64| Some(bits & (bits - 1)).filter(|rest| *rest != 0);
            let words = std::iter::successors(Some(*bits).filter(|bits| *bits != 0), rest);
            words.map(move |bits| (word * 64) as u16 + bits.trailing_zeros() as u16)
        })
    }

    /// The rows that count and expire at or before `through`, as slots of segment `id`, with their expiry.
    pub fn due(&self, id: u16, through: i64) -> impl Iterator<Item = (i64, Slot)> + '_ {
        let rows = self.segment.expires.iter().enumerate().filter(move |(_, expires)| **expires <= through);
        rows.map(|(row, expires)| (*expires, row as u16))
            .filter(|(_, row)| self.is_live(*row))
            .map(move |(expires, row)| (expires, Slot { segment: id, row }))
    }

    /// Expiry and values of the rows that count, in their order.
    pub fn columns(&self) -> Result<(Int64Array, Vec<ArrayRef>)> {
        let expires = self.rows().map(|row| self.segment.expires(row)).collect();
        if self.dead() == 0 {
            return Ok((expires, self.segment.values.clone()));
        }
        let rows: UInt16Array = self.rows().collect();
        let values = self.segment.values.iter().map(|array| take(array, &rows, None));
        Ok((expires, values.collect::<Result<_, _>>().map_err(|e| arrow_failed(&e))?))
    }

    /// A time before which no row that counts expires; the earliest such expiry, where nothing went since [`Held::oldest`].
    pub fn earliest(&self) -> i64 {
        self.earliest.0.load(Ordering::Relaxed)
    }

    /// The earliest expiry of a row that counts.
    pub fn oldest(&self) -> i64 {
        let oldest = self.rows().map(|row| self.segment.expires(row)).min().unwrap_or(i64::MAX);
        self.earliest.0.store(oldest, Ordering::Relaxed);
        oldest
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.segment.bytes() + self.live.capacity() * 8
    }
}
