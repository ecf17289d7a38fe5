//! A slice of the devices that somebody looks at: which ones, in which order, and what of them changed since.
//!
//! A [`View`] remembers what it has shown, in its reader's memory, so a reader asks "what differs" and the source keeps nothing
//! for anybody. What must stay true: `changes` looks at the rows of the slice only, however many devices there are; only
//! `again` may look at all.

mod fitting;

use std::collections::HashSet;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};

pub(crate) use self::fitting::Fitting;

use crate::device::{Device, DeviceState};
use crate::devices::{Devices, Row};
use crate::layout::Layout;
use crate::order::{Seat, natural};
use crate::source::SourceLive;
use crate::value::Value;

/// Most rows of a slice.
const MOST_ROWS: usize = 1_000;

/// Which devices, in which order.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// A part of the key or of a text value, upper and lower case alike; empty: all.
    pub search: String,
    /// Only devices in this state.
    pub state: Option<DeviceState>,
    /// Only devices whose event times are behind what the watermark waits for.
    pub late: bool,
    /// Only devices of which each of these fields (indices) was last one of these values, as a person writes them; an empty
    /// text stands for none.
    pub only_values: Vec<(usize, Vec<String>)>,
    /// Only these keys.
    pub only: Option<Arc<HashSet<String>>>,
    /// The order.
    pub sort: Sort,
    /// How many to pass over.
    pub offset: usize,
    /// How many to show; 1,000 at most.
    pub limit: usize,
    /// The field of the sparklines; `None`: no sparklines.
    pub spark: Option<usize>,
}

/// The order of devices. Equal ones, and those without a value, follow by key, the latter at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By key.
    #[default]
    Key,
    /// By key, the last first.
    KeyDescending,
    /// Who was heard longest ago first.
    LastSeen,
    /// Who was heard last first.
    LastSeenDescending,
    /// By how far the clock is off, who is furthest behind first.
    Clock,
    /// By how far the clock is off, who is furthest ahead first.
    ClockDescending,
    /// By a field, the least first.
    Field(usize),
    /// By a field, the greatest first.
    FieldDescending(usize),
}

impl Sort {
    /// `key`, `-lastSeen`, `temperature`, `-clock`; nothing is `key`. A field with the name `clock` goes before clocks.
    ///
    /// # Errors
    /// `BAD_VALUE` for a name that is none of these, with those that there are.
    pub fn parse(text: &str, layout: &Layout) -> Result<Self> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        Ok(match (name, descending) {
            ("" | "key", false) => Self::Key,
            ("" | "key", true) => Self::KeyDescending,
            ("lastSeen", false) => Self::LastSeen,
            ("lastSeen", true) => Self::LastSeenDescending,
            _ => match layout.field(name) {
                Some(field) if descending => Self::FieldDescending(field),
                Some(field) => Self::Field(field),
                None if name == "clock" && descending => Self::ClockDescending,
                None if name == "clock" => Self::Clock,
                None => {
                    let fields = layout.fields.iter().map(|field| field.name.as_str());
                    let unknown =
                        unknown_name("sort", name, ["key", "lastSeen", "clock"].into_iter().chain(fields));
                    return Err(Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint()));
                }
            },
        })
    }
}

/// The rows of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Devices that fit the question.
    pub total: u64,
    /// How many of them stand before the first row.
    pub offset: usize,
    /// The rows.
    pub devices: Vec<Device>,
}

/// What changed in the rows of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The version up to which nothing is missing.
    pub version: u64,
    /// The newest record timestamp among the rows that changed, ms.
    pub newest: Option<i64>,
    /// The rows that changed.
    pub rows: Vec<Change>,
}

/// What changed of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its index in the slice.
    pub index: usize,
    /// The timestamp of its newest record, ms.
    pub last_seen: i64,
    /// Messages per second.
    pub rate: f64,
    /// Field and value, where it differs from what was shown.
    pub values: Vec<(usize, Value)>,
}

/// A slice that somebody looks at.
#[derive(Debug)]
pub struct View {
    source: Arc<SourceLive>,
    ask: Ask,
    version: u64,
    total: u64,
    seats: Vec<Seat>,
    /// The values that were shown, by row.
    shown: Vec<Vec<Value>>,
}

impl SourceLive {
    /// The devices of a slice, and the view by which to follow it. Sorting by anything but the key looks at every device:
    /// some ten milliseconds for 100,000.
    pub fn view(self: &Arc<Self>, ask: Ask) -> (View, Slice) {
        let mut view = View {
            source: Arc::clone(self),
            ask,
            version: 0,
            total: 0,
            seats: Vec::new(),
            shown: Vec::new(),
        };
        let (seats, total) = view.choose();
        let slice = view.show(seats, total);
        (view, slice)
    }
}

impl View {
    /// The question.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// What changed in the rows since they were last shown. Which rows and in which order stays as it is.
    pub fn changes(&mut self) -> Changes {
        let version = self.source.version();
        let now_ms = self.source.now_ms();
        let mut changes = Changes { version, newest: None, rows: Vec::new() };
        let devices = self.source.devices.read();
        for (index, (seat, shown)) in self.seats.iter().zip(&mut self.shown).enumerate() {
            let Some(row) = devices.at(seat.place, seat.id).filter(|row| row.version > self.version) else {
                continue;
            };
            let mut values = Vec::new();
            for (field, (value, shown)) in devices.values(seat.place).iter().zip(shown).enumerate() {
                if value != shown {
                    shown.clone_from(value);
                    values.push((field, value.clone()));
                }
            }
            let last_seen = row.last.0;
            changes.newest = changes.newest.max(Some(last_seen));
            changes.rows.push(Change { index, last_seen, rate: row.rate(now_ms), values });
        }
        drop(devices);
        self.version = version;
        changes
    }

    /// Looks again which devices are in the slice, and in which order: the rows, if that differs or `always`.
    pub fn again(&mut self, always: bool) -> Option<Slice> {
        let (seats, total) = self.choose();
        let same =
            total == self.total && seats.iter().map(|seat| seat.id).eq(self.seats.iter().map(|seat| seat.id));
        (always || !same).then(|| self.show(seats, total))
    }

    /// Copies out what these devices show, and remembers it.
    fn show(&mut self, seats: Vec<Seat>, total: u64) -> Slice {
        let (version, now_ms) = (self.source.version(), self.source.now_ms());
        let mut devices = Vec::with_capacity(seats.len());
        let mut seated = Vec::with_capacity(seats.len());
        {
            let all = self.source.devices.read();
            for seat in seats {
                if let Some(row) = all.at(seat.place, seat.id) {
                    devices.push(self.source.shown(&all, seat.place, row, now_ms));
                    seated.push(seat);
                }
            }
        }
        let ids: Vec<u32> = seated.iter().map(|seat| seat.id).collect();
        for (device, spark) in devices.iter_mut().zip(self.source.sparks(&ids, self.ask.spark)) {
            device.spark = spark;
        }
        self.shown = devices.iter().map(|device| device.values.clone()).collect();
        (self.version, self.total, self.seats) = (version, total, seated);
        Slice { total, offset: self.ask.offset, devices }
    }

    /// The devices of the slice, and how many fit the question.
    fn choose(&self) -> (Vec<Seat>, u64) {
        let seats = self.source.order().by_key(&self.source.devices);
        let (ask, limit) = (&self.ask, self.ask.limit.min(MOST_ROWS));
        let takes_all = ask.takes_all();
        if takes_all && matches!(ask.sort, Sort::Key | Sort::KeyDescending) {
            let total = seats.len() as u64;
            let page = match ask.sort {
                Sort::Key => seats.iter().skip(ask.offset).take(limit).cloned().collect(),
                _ => seats.iter().rev().skip(ask.offset).take(limit).cloned().collect(),
            };
            return (page, total);
        }
        let fitting = Fitting::new(ask, self.source.now_ms());
        let mut chosen: Vec<(Value, &Seat)> = Vec::new();
        {
            let devices = self.source.devices.read();
            for seat in seats.iter() {
                let Some(row) = devices.at(seat.place, seat.id) else { continue };
                let values = devices.values(seat.place);
                if fitting.unfit(&devices, row, values) == Some(None) {
                    chosen.push((rank(ask.sort, &devices, row, values), seat));
                }
            }
        }
        // The seats stand by key already, and a stable sort leaves equal ones so.
        match ask.sort {
            Sort::Key => {}
            Sort::KeyDescending => chosen.reverse(),
            Sort::LastSeen | Sort::Clock | Sort::Field(_) => {
                chosen.sort_by(|(a, _), (b, _)| compare(a, b, false))
            }
            Sort::LastSeenDescending | Sort::ClockDescending | Sort::FieldDescending(_) => {
                chosen.sort_by(|(a, _), (b, _)| compare(a, b, true));
            }
        }
        let total = chosen.len() as u64;
        (chosen.into_iter().skip(ask.offset).take(limit).map(|(_, seat)| seat.clone()).collect(), total)
    }
}

impl Ask {
    fn takes_all(&self) -> bool {
        let takes_any_value = self.only_values.is_empty() && self.search.is_empty();
        takes_any_value && self.state.is_none() && !self.late && self.only.is_none()
    }
}

/// What a device is sorted by.
fn rank(sort: Sort, devices: &Devices, row: &Row, values: &[Value]) -> Value {
    match sort {
        Sort::Key | Sort::KeyDescending => Value::Null,
        Sort::LastSeen | Sort::LastSeenDescending => Value::Number(row.last.0 as f64),
        Sort::Clock | Sort::ClockDescending => {
            devices.clock(row).map_or(Value::Null, |clock| Value::Number(clock.offset as f64))
        }
        Sort::Field(field) | Sort::FieldDescending(field) => values.get(field).cloned().unwrap_or_default(),
    }
}

/// Values of one field; those that are not there come last in either direction.
fn compare(a: &Value, b: &Value, descending: bool) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let order = match (a, b) {
        (Value::Null, Value::Null) => return Ordering::Equal,
        (Value::Null, _) => return Ordering::Greater,
        (_, Value::Null) => return Ordering::Less,
        (Value::Whole(a), Value::Whole(b)) => a.cmp(b),
        (Value::Number(_) | Value::Whole(_), Value::Number(_) | Value::Whole(_)) => {
            a.number().partial_cmp(&b.number()).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => natural(a, b),
        _ => Ordering::Equal,
    };
    if descending { order.reverse() } else { order }
}

#[cfg(test)]
mod tests;
