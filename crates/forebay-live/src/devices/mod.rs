//! The newest that is known of each device: its values, when it was heard, how often.
//!
//! ```text
//! key ──hash──▶ place ──▶ Row { key, id, last, count, gap, pulse, version }    values[place * fields ..]
//! ```
//!
//! Newest is by record timestamp, then by offset: a record that comes late fills only what no other has filled. A null in a
//! newer record keeps the value before it, since many devices send one field at a time. Places are taken again by others; an
//! **id** never is, so the history of one device is never taken for that of another.
//!
//! The number of devices is bounded: where a new one finds no place, those that were quiet longest go, some at once, and
//! are counted. What must stay true: one look into the map for each row, and no allocation for a row of a known device whose
//! texts did not change.

mod pulse;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use forebay_core::key;

use self::pulse::Pulse;
use crate::columns::{Column, Columns};
use crate::layout::Layout;
use crate::value::Value;

/// One in so many devices goes when there are too many, so that not every newcomer looks through all.
const GO_AT_ONCE: usize = 100;

/// A device is quiet after so many of its usual gaps without a message, but not before [`QUIET_MS`].
const QUIET_GAPS: f32 = 10.0;
const QUIET_MS: f32 = 30_000.0;

/// All devices of a source.
#[derive(Debug)]
pub(crate) struct Devices {
    fields: usize,
    most: usize,
    /// After how long a device is quiet, if the file says so, ms.
    quiet_after: Option<i64>,
    by_key: HashMap<Arc<str>, u32>,
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    /// By place, then field.
    values: Vec<Value>,
    next_id: u32,
    evicted: u64,
    /// Grows whenever a device comes or goes.
    membership: u64,
    scratch: String,
}

/// A device.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub key: Arc<str>,
    /// Its number in the history.
    pub id: u32,
    /// Timestamp of its newest record, ms, and that record's offset.
    pub last: (i64, i64),
    pub count: u64,
    /// The version with which something of it changed last.
    pub version: u64,
    /// Its usual gap between messages, ms; 0 until it is known.
    gap_ms: f32,
    pulse: Pulse,
}

/// Which record a row came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Its timestamp, never later than now, ms.
    pub at: i64,
    pub offset: i64,
}

impl Devices {
    /// None yet; `most` of them at once.
    pub fn new(layout: &Layout, most: usize, quiet_after: Option<i64>) -> Self {
        Self {
            fields: layout.fields.len(),
            most: most.max(1),
            quiet_after,
            by_key: HashMap::new(),
            rows: Vec::new(),
            free: Vec::new(),
            values: Vec::new(),
            next_id: 0,
            evicted: 0,
            membership: 0,
            scratch: String::new(),
        }
    }

    /// Takes one row of a batch: counts it for its device and keeps what is new. Returns the device's id.
    pub fn take(
        &mut self,
        columns: &Columns,
        key: Option<usize>,
        row: usize,
        from: Origin,
        version: u64,
    ) -> u32 {
        let place = match key.map(|key| columns.of(key)).filter(|column| !column.is_null(row)) {
            Some(Column::Text(texts, _)) => self.place(&key::kept(texts.value(row))),
            Some(Column::Whole(numbers, _)) => {
                let mut text = std::mem::take(&mut self.scratch);
                text.clear();
                let _ = write!(text, "{}", numbers.value(row));
                let place = self.place(&text);
                self.scratch = text;
                place
            }
            _ => self.place(""),
        };
        let Some(device) = &mut self.rows[place] else { return u32::MAX };
        let is_newer = device.heard(from, version);
        let first = place * self.fields;
        for (field, value) in self.values[first..first + self.fields].iter_mut().enumerate() {
            if is_newer || *value == Value::Null {
                columns.show(field, row, value);
            }
        }
        device.id
    }

    /// The place of a key; a new one is given a place.
    fn place(&mut self, key: &str) -> usize {
        if let Some(place) = self.by_key.get(key) {
            return *place as usize;
        }
        if self.by_key.len() >= self.most {
            self.make_room();
        }
        let key: Arc<str> = key.into();
        let row = Row::new(Arc::clone(&key), self.next_id);
        self.next_id += 1;
        self.membership += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.rows[place as usize] = Some(row);
                place as usize
            }
            None => {
                self.rows.push(Some(row));
                self.values.resize(self.rows.len() * self.fields, Value::Null);
                self.rows.len() - 1
            }
        };
        self.by_key.insert(key, place as u32);
        place
    }

    /// Lets those go that were heard longest ago.
    fn make_room(&mut self) {
        let mut by_age: Vec<((i64, i64), u32)> =
            self.all().map(|(place, row)| (row.last, place as u32)).collect();
        let going = (self.most / GO_AT_ONCE).max(1).min(by_age.len());
        if going < by_age.len() {
            by_age.select_nth_unstable(going);
        }
        for (_, place) in by_age.into_iter().take(going) {
            if let Some(row) = self.rows[place as usize].take() {
                self.by_key.remove(&row.key);
                let first = place as usize * self.fields;
                self.values[first..first + self.fields].fill(Value::Null);
                self.free.push(place);
                self.evicted += 1;
            }
        }
        self.membership += 1;
    }

    /// All devices with their places.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.rows.iter().enumerate().filter_map(|(place, row)| Some((place, row.as_ref()?)))
    }

    /// The device at a place, if it is still the one of this id.
    pub fn at(&self, place: usize, id: u32) -> Option<&Row> {
        self.rows.get(place)?.as_ref().filter(|row| row.id == id)
    }

    /// The device of a key, and its place. A long key may be given whole, or as it is kept.
    pub fn find(&self, key: &str) -> Option<(usize, &Row)> {
        let place = *self.by_key.get(&*key::kept(key))? as usize;
        Some((place, self.rows[place].as_ref()?))
    }

    /// The newest values of the device at a place.
    pub fn values(&self, place: usize) -> &[Value] {
        &self.values[place * self.fields..(place + 1) * self.fields]
    }

    /// True if the device was not heard for so long that it is quiet.
    pub fn is_quiet(&self, row: &Row, now_ms: i64) -> bool {
        let patience = self.quiet_after.unwrap_or_else(|| (row.gap_ms * QUIET_GAPS).max(QUIET_MS) as i64);
        now_ms - row.last.0 > patience
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many had to go.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Differs whenever a device has come or gone.
    pub fn membership(&self) -> u64 {
        self.membership
    }
}

impl Row {
    fn new(key: Arc<str>, id: u32) -> Self {
        Self {
            key,
            id,
            last: (i64::MIN, i64::MIN),
            count: 0,
            version: 0,
            gap_ms: 0.0,
            pulse: Pulse::default(),
        }
    }

    /// Counts a message; true if it is newer than all before.
    fn heard(&mut self, from: Origin, version: u64) -> bool {
        self.count += 1;
        self.version = version;
        self.pulse.beat(from.at.div_euclid(1000));
        let is_newer = (from.at, from.offset) >= self.last;
        if !is_newer {
            return false;
        }
        // Messages of one second are one burst: the gap is from burst to burst.
        let is_next = self.last.0 != i64::MIN && from.at.div_euclid(1000) > self.last.0.div_euclid(1000);
        if is_next {
            let gap = (from.at - self.last.0) as f32;
            self.gap_ms = if self.gap_ms == 0.0 { gap } else { self.gap_ms + (gap - self.gap_ms) / 8.0 };
        }
        self.last = (from.at, from.offset);
        true
    }

    /// Messages per second over the last ten full seconds.
    pub fn rate(&self, now_ms: i64) -> f64 {
        self.pulse.rate(now_ms.div_euclid(1000))
    }
}
