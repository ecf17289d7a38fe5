//! One keyed table in memory.
//!
//! ```text
//!  key ─▶ Index ─▶ Slot ─▶ Segment 0 ▒▒▒▒░▒▒▒   a row that is replaced or goes only loses its bit (░);
//!                          Segment 1 ▒░▒▒▒▒▒▒   rows are never changed where they lie
//!                          Segment 2 ▒▒▒▒
//! ```
//!
//! Each epoch's upserts become a segment. What expires is found by segment: each knows a time before which none of its
//! rows expires, and only those that the watermark has reached are looked through, at about a nanosecond a row. Rows
//! that are written together expire at about the same time in every operator, so these are few; lists of slots by
//! expiry would cost more memory than that, and would have to be cleaned of every row that is replaced or moved.
//! [`super::tidy`] merges what became small or sparse.
//!
//! What must stay true: an epoch's cost follows its changes. No step but that search looks at rows that do not change,
//! and rewriting is paid by the rows that died.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::compute::interleave;
use arrow::row::{RowConverter, Rows, SortField};
use forebay_core::Result;

use super::columns::{fit, typed};
use super::error::{arrow_failed, bug};
use super::index::Index;
use super::segment::{Held, Segment};
use super::{Changes, Layout, NEVER, Slot, Upserts};

/// Most segments: what [`Slot`] can tell apart, and one that tidying writes before it frees another. Tidying keeps some
/// thousands of rows in each, so memory ends before.
const MOST_SEGMENTS: usize = (1 << 16) - 1;

/// What changes did to the rows of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Rows whose key was not there.
    pub added: u64,
    /// Rows that took the place of the one with their key.
    pub replaced: u64,
    /// Rows that went and left nothing in their place.
    pub removed: u64,
}

/// Rows by key. `Send + Sync`; looking never changes it.
pub(crate) struct Table {
    layout: Arc<Layout>,
    converter: Arc<RowConverter>,
    /// By [`Slot::segment`]; one without rows is free.
    pub(super) held: Vec<Held>,
    pub(super) index: Index,
    /// Rows that changed since it was tidied.
    pub(super) changed: usize,
}

impl Table {
    /// An empty table. Fails if there is no key column, or one of a type that has no row form.
    pub fn new(layout: Arc<Layout>) -> Result<Self> {
        if layout.keys.is_empty() {
            return Err(bug("a table of state needs a key column"));
        }
        let fields = layout.keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let converter = Arc::new(RowConverter::new(fields).map_err(|e| arrow_failed(&e))?);
        Ok(Self { layout, converter, held: Vec::new(), index: Index::default(), changed: 0 })
    }

    /// Rows that are there.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the table takes, for `stateLimit`; what is dead and not yet given back counts.
    pub fn bytes(&self) -> usize {
        self.held.iter().map(Held::bytes).sum::<usize>() + self.index.bytes()
    }

    /// Key columns as [`Table::find`] takes them. The caller normalises what counts as equal (-0.0, NaN) before.
    pub fn encode(&self, keys: &[ArrayRef]) -> Result<Rows> {
        self.converter.convert_columns(keys).map_err(|e| arrow_failed(&e))
    }

    /// Where the rows with these keys lie.
    pub fn find(&self, keys: &Rows) -> Vec<Option<Slot>> {
        let hashes: Vec<u32> = keys.iter().map(|key| self.index.hash(key.data())).collect();
        self.look_up(&hashes, keys.iter().map(|key| key.data()))
    }

    /// Where the rows with these keys and their hashes lie.
    fn look_up<'a>(&self, hashes: &[u32], keys: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Slot>> {
        // One step for all keys after the other: each step's reads do not depend on each other, so the processor has many of
        // them on their way at once, where a walk key by key would wait for memory three times a key.
        let mut found: Vec<Option<Slot>> = hashes.iter().map(|hash| self.index.candidate(*hash)).collect();
        for ((key, hash), found) in keys.zip(hashes).zip(&mut found) {
            if found.is_some_and(|slot| self.key(slot) != key) {
                *found = self.index.find(*hash, |slot| self.key(slot) == key);
            }
        }
        found
    }

    /// The key columns of these rows, in this order.
    pub fn keys(&self, slots: &[Slot]) -> Result<Vec<ArrayRef>> {
        typed(&self.layout, &self.converter, slots.iter().map(|slot| self.key(*slot)))
    }

    /// The value columns of these rows, in this order.
    pub fn values(&self, slots: &[Slot]) -> Result<Vec<ArrayRef>> {
        let all: Vec<usize> = (0..self.layout.values.fields().len()).collect();
        self.columns(slots, &all)
    }

    /// Some value columns of these rows.
    pub fn columns(&self, slots: &[Slot], wanted: &[usize]) -> Result<Vec<ArrayRef>> {
        let fields = self.layout.values.fields();
        if slots.is_empty() {
            return Ok(wanted.iter().map(|at| new_empty_array(fields[*at].data_type())).collect());
        }
        // Only the segments that are asked for: their number in `used`, by id.
        let (mut numbers, mut used) = (vec![usize::MAX; self.held.len()], Vec::new());
        let mut places = Vec::with_capacity(slots.len());
        for slot in slots {
            let number = &mut numbers[usize::from(slot.segment)];
            if *number == usize::MAX {
                *number = used.len();
                used.push(self.held[usize::from(slot.segment)].segment.values());
            }
            places.push((*number, usize::from(slot.row)));
        }
        let column = |at: usize| {
            let arrays: Vec<&dyn Array> = used.iter().map(|values| values[at].as_ref()).collect();
            interleave(&arrays, &places).map_err(|e| arrow_failed(&e))
        };
        wanted.iter().map(|at| column(*at)).collect()
    }

    /// When a row expires.
    pub fn expires(&self, slot: Slot) -> i64 {
        self.held[usize::from(slot.segment)].segment.expires(slot.row)
    }

    /// Rows that expire at or before `through`, by expiry.
    pub fn due(&self, through: i64) -> Vec<Slot> {
        let through = through.min(NEVER - 1);
        let mut due: Vec<(i64, Slot)> = Vec::new();
        for (id, held) in self.numbered().filter(|(_, held)| held.earliest() <= through) {
            let before = due.len();
            due.extend(held.due(id, through));
            if due.len() == before {
                // Its earliest rows have gone: it need not be looked through again.
                held.oldest();
            }
        }
        due.sort_unstable();
        due.into_iter().map(|(_, slot)| slot).collect()
    }

    /// All rows.
    pub fn all(&self) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.len());
        for (segment, held) in self.numbered() {
            slots.extend(held.rows().map(|row| Slot { segment, row }));
        }
        slots
    }

    /// The earliest expiry that a row has; `None` if there is none that expires.
    pub fn oldest(&self) -> Option<i64> {
        let mut by_bound: Vec<&Held> = self.held.iter().filter(|held| held.alive() > 0).collect();
        by_bound.sort_unstable_by_key(|held| held.earliest());
        let mut oldest = NEVER;
        for held in by_bound {
            if held.earliest() >= oldest {
                break;
            }
            oldest = oldest.min(held.oldest());
        }
        Some(oldest).filter(|oldest| *oldest != NEVER)
    }

    /// When the last row that expires has done so, at the latest.
    pub fn newest(&self) -> Option<i64> {
        self.held.iter().filter(|held| held.alive() > 0).filter_map(|held| held.latest).max()
    }

    /// Makes the changes of an epoch, and counts what they did. After an error nothing has changed. The place of rows that
    /// are no more is free after [`Table::tidy`].
    pub fn apply(&mut self, changes: &Changes) -> Result<Applied> {
        let segments = match &changes.upserts {
            Some(upserts) => self.pack(upserts)?,
            None => Vec::new(),
        };
        let removed = changes.removed.as_ref().map(|keys| self.encode(keys)).transpose()?;
        let free = self.held.iter().filter(|held| held.segment.len() == 0).count();
        if self.held.len() - free + segments.len() > MOST_SEGMENTS {
            return Err(bug("a table of state has too many rows"));
        }
        let mut applied = Applied::default();
        let mut found = changes.found.as_deref();
        for segment in segments {
            let of_segment = found.and_then(|found| found.split_at_checked(segment.len()));
            found = of_segment.map(|(_, rest)| rest);
            self.upsert(segment, of_segment.map(|(of_segment, _)| of_segment), &mut applied);
        }
        if let Some(removed) = removed {
            applied.removed += removed.iter().map(|key| self.remove(key.data())).sum::<u64>();
        }
        if let Some(through) = changes.evict_through {
            applied.removed += self.evict(through.min(NEVER - 1)) as u64;
        }
        self.held.iter_mut().filter(|held| held.alive() == 0).for_each(|held| *held = Held::default());
        self.changed += (applied.added + applied.replaced + applied.removed) as usize;
        Ok(applied)
    }

    /// Room for as many more rows.
    pub(super) fn reserve(&mut self, more: usize) {
        self.index.reserve(more);
    }

    /// The rows as they are now, shared and not copied.
    pub(super) fn freeze(&self) -> Frozen {
        Frozen {
            layout: Arc::clone(&self.layout),
            converter: Arc::clone(&self.converter),
            held: self.held.iter().filter(|held| held.alive() > 0).cloned().collect(),
        }
    }

    /// The key of a row as bytes, which are in the order of keys.
    pub fn key(&self, slot: Slot) -> &[u8] {
        key(&self.held, slot)
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, &Held)> {
        self.held.iter().enumerate().map(|(id, held)| (id as u16, held))
    }

    /// Segments of new rows, checked against the layout.
    fn pack(&self, upserts: &Upserts) -> Result<Vec<Segment>> {
        let rows = upserts.expires.len();
        let columns = || upserts.keys.iter().chain(&upserts.values);
        if upserts.expires.null_count() > 0 || columns().any(|array| array.len() != rows) {
            return Err(bug("the columns of changed state do not fit each other"));
        }
        let fields = self.layout.values.fields();
        if upserts.values.len() != fields.len() {
            return Err(bug("changed state has another number of columns than its table"));
        }
        let values = upserts.values.iter().zip(fields).map(|(array, field)| fit(array, field.data_type()));
        let values: Vec<ArrayRef> = values.collect::<Result<_>>()?;
        Segment::of(&self.encode(&upserts.keys)?, upserts.expires.values(), &values)
    }

    /// A free id, with these rows under it.
    pub(super) fn hold(&mut self, segment: Segment) -> u16 {
        let held = Held::new(segment);
        match self.held.iter().position(|held| held.segment.len() == 0) {
            Some(free) => {
                self.held[free] = held;
                free as u16
            }
            None => {
                self.held.push(held);
                (self.held.len() - 1) as u16
            }
        }
    }

    /// Takes rows in; `found` says where those with their keys lie, if that is known.
    fn upsert(&mut self, segment: Segment, found: Option<&[Option<Slot>]>, applied: &mut Applied) {
        let keys = || (0..segment.len()).map(|row| segment.key(row as u16));
        let hashes: Vec<u32> = keys().map(|key| self.index.hash(key)).collect();
        let before = found.map_or_else(|| self.look_up(&hashes, keys()), <[_]>::to_vec);
        let id = self.hold(segment);
        for (row, (hash, before)) in hashes.into_iter().zip(before).enumerate() {
            let slot = Slot { segment: id, row: row as u16 };
            let is_moved = before.is_some_and(|before| self.index.replace(hash, before, slot));
            let before = if is_moved {
                before
            } else {
                // A new key, or one that this segment has brought before.
                self.index.set(hash, slot, |other| key(&self.held, other) == key(&self.held, slot))
            };
            match before {
                Some(before) => {
                    self.held[usize::from(before.segment)].kill(before.row);
                    applied.replaced += 1;
                }
                None => applied.added += 1,
            }
        }
    }

    fn remove(&mut self, wanted: &[u8]) -> u64 {
        let hash = self.index.hash(wanted);
        let Some(slot) = self.index.remove(hash, |slot| key(&self.held, slot) == wanted) else { return 0 };
        self.held[usize::from(slot.segment)].kill(slot.row);
        1
    }

    fn evict(&mut self, through: i64) -> usize {
        let mut gone = Vec::new();
        for (id, held) in self.held.iter_mut().enumerate() {
            if held.earliest() > through || held.alive() == 0 {
                continue;
            }
            let first = gone.len();
            gone.extend(held.due(id as u16, through).map(|(_, slot)| slot));
            gone[first..].iter().for_each(|slot| held.kill(slot.row));
            held.oldest();
        }
        let count = gone.len();
        if count > self.index.len() / 8 {
            self.index.retain(|slot| self.held[usize::from(slot.segment)].is_live(slot.row));
        } else {
            for gone in gone {
                let hash = self.index.hash(key(&self.held, gone));
                self.index.remove(hash, |slot| slot == gone);
            }
        }
        count
    }
}

impl fmt::Debug for Table {
    /// Its size; rows are nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// The rows of a table at one moment, for a snapshot.
#[derive(Debug)]
pub(super) struct Frozen {
    pub layout: Arc<Layout>,
    converter: Arc<RowConverter>,
    held: Vec<Held>,
}

impl Frozen {
    pub fn rows(&self) -> usize {
        self.held.iter().map(Held::alive).sum()
    }

    /// The next rows, typed; what was given is let go.
    pub fn next(&mut self) -> Option<Result<Upserts>> {
        self.held.pop().map(|held| {
            let keys = typed(&self.layout, &self.converter, held.rows().map(|row| held.segment.key(row)))?;
            let (expires, values) = held.columns()?;
            Ok(Upserts { keys, expires, values })
        })
    }
}

fn key(held: &[Held], slot: Slot) -> &[u8] {
    held[usize::from(slot.segment)].segment.key(slot.row)
}
