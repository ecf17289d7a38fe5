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

mod offsets;
mod pulse;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use forebay_core::key;

use self::offsets::Offsets;
use self::pulse::Pulse;
use crate::columns::{Column, Columns};
use crate::device::{ClockBounds, ClockState, Clocks, DeviceClock, OffClock};
use crate::layout::Layout;
use crate::value::Value;

/// One in so many devices goes when there are too many, so that not every newcomer looks through all.
const GO_AT_ONCE: usize = 100;

/// Clocks that are off and told by name.
const WORST: usize = 3;

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
    /// How far off clocks may be, if the source has an event time.
    clocks: Option<ClockBounds>,
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
    offsets: Offsets,
}

/// Which record a row came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Its timestamp, never later than now, ms.
    pub at: i64,
    pub offset: i64,
    /// Its event time, ms.
    pub event: Option<i64>,
}

impl Devices {
    /// None yet; `most` of them at once.
    pub fn new(layout: &Layout, most: usize, quiet_after: Option<i64>) -> Self {
        Self {
            fields: layout.fields.len(),
            most: most.max(1),
            quiet_after,
            clocks: None,
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

    /// The same, which look after clocks by these bounds.
    pub fn with_clocks(self, clocks: Option<ClockBounds>) -> Self {
        Self { clocks, ..self }
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
        if let (Some(bounds), Some(event)) = (self.clocks, from.event) {
            device.offsets.add(event.saturating_sub(from.at), bounds);
        }
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

    /// True if the device's event times are older than its source's watermark waits for.
    pub fn is_late(&self, row: &Row) -> bool {
        self.clock(row).is_some_and(|clock| clock.state == ClockState::Behind)
    }

    /// How far a device's clock is off.
    pub fn clock(&self, row: &Row) -> Option<DeviceClock> {
        row.offsets.shown(self.clocks?)
    }

    /// The clocks of all; `None` if the source has no event time.
    pub fn clocks(&self) -> Option<Clocks> {
        let bounds = self.clocks?;
        let (mut clocks, mut worst) = (Clocks::default(), Vec::new());
        for (_, row) in self.all() {
            let Some(offset) = row.offsets.median() else { continue };
            match bounds.state(offset) {
                ClockState::Ahead => clocks.ahead += 1,
                ClockState::Behind => clocks.behind += 1,
                ClockState::Right => continue,
            }
            worst.push((std::cmp::Reverse(offset.unsigned_abs()), &row.key, offset));
        }
        if worst.len() > WORST {
            worst.select_nth_unstable(WORST);
            worst.truncate(WORST);
        }
        worst.sort_unstable();
        let named = |(_, key, offset): (_, &Arc<str>, i64)| OffClock { key: Arc::clone(key), offset };
        clocks.worst = worst.into_iter().map(named).collect();
        Some(clocks)
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
            offsets: Offsets::default(),
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
