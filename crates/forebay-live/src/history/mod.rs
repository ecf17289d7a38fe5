//! What happened when: the last ninety seconds in memory, seconds, ten seconds and minutes on disk, for each device and
//! number field.
//!
//! ```text
//!            now - 24 h          now - 6 h           now - 15 min           now - 90 s       now
//!  minutes   ├──── files ──────────────────────────────────────────────  open ┤
//!  10 s                          ├──── files ──────────────────────────  open ┤
//!  seconds                                           ├──── files ──────  open ┤
//!  memory                                                                     ├── mutable ───┤
//! ```
//!
//! The axis is the record timestamp, never later than the clock. A row goes into its own second while memory holds that;
//! older ones go to the frames on disk at once, which is also how a history is filled from a log that was read late; what is
//! older than a day is counted as too old and changes nothing. Seconds leave memory when they are that old, or earlier when
//! all together take more bytes than they may; then a frame of each width takes them.
//!
//! What must stay true: each value is in memory, or in exactly one frame of each width that is kept for so long: a question adds
//! what memory, and open frames and files of one width hold, and counts nothing twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

pub(crate) mod buckets;
pub(crate) mod coarse;
mod frame;
mod saved;
pub(crate) mod segment;
mod stat;
#[cfg(test)]
mod tests;

use forebay_storage::DoorFile;
use parking_lot::Mutex;

pub use buckets::Range;
pub(crate) use stat::Stat;

use self::buckets::Buckets;
use self::coarse::{Coarse, Place};
use self::frame::Frame;
use self::segment::{Entry, Reader};

/// How long seconds stay in memory: a sparkline shows sixty of them.
const HELD_MS: i64 = 90_000;
/// How long seconds are kept.
pub(crate) const WINDOW_MS: i64 = 15 * 60_000;
/// How long frames of ten seconds are kept.
pub(crate) const TENS_KEPT_MS: i64 = 6 * 3_600_000;
/// How long frames of a minute are kept, and with that everything.
pub(crate) const MINUTES_KEPT_MS: i64 = 24 * 3_600_000;

/// A second that nothing came for in this time is put in order and gives back what writing needed.
const SETTLED_SECONDS: i64 = 3;

/// The history of a source.
#[derive(Debug)]
pub(crate) struct Timeline {
    width: usize,
    /// By their number since 1970.
    seconds: BTreeMap<i64, Frame>,
    /// Seconds up to here left early, ms.
    early: i64,
    /// Most bytes of the seconds in memory.
    budget: usize,
    /// Messages of each second that is kept, by its number since 1970.
    messages: BTreeMap<i64, u64>,
    ones: Coarse,
    tens: Coarse,
    minutes: Coarse,
    too_old: u64,
}

/// Whose history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// All devices merged.
    All,
    /// The device of this id.
    Device(u32),
    /// Nobody: a key that is not there.
    Nobody,
}

impl Timeline {
    /// An empty one for this many number fields; `budget` bounds the bytes of the seconds.
    pub fn new(width: usize, budget: usize, place: &Place) -> Self {
        Self::named(width, budget, ["1s", "10s", "60s"], place)
    }

    /// An empty one for the counts of labels: its files have names of their own.
    pub fn of_labels(budget: usize, place: &Place) -> Self {
        Self::named(1, budget, ["labels-1s", "labels-10s", "labels-60s"], place)
    }

    fn named(width: usize, budget: usize, [ones, tens, minutes]: [&'static str; 3], place: &Place) -> Self {
        Self {
            width,
            seconds: BTreeMap::new(),
            early: i64::MIN,
            budget,
            messages: BTreeMap::new(),
            ones: Coarse::new(ones, 1_000, WINDOW_MS, place),
            tens: Coarse::new(tens, 10_000, TENS_KEPT_MS, place),
            minutes: Coarse::new(minutes, 60_000, MINUTES_KEPT_MS, place),
            too_old: 0,
        }
    }

    /// Counts a message. `at` is its time, not later than now.
    pub fn message(&mut self, at: i64, now_ms: i64) {
        if at < now_ms - MINUTES_KEPT_MS {
            self.too_old += 1;
        } else if at >= now_ms - WINDOW_MS {
            *self.messages.entry(at.div_euclid(1000)).or_default() += 1;
        }
    }

    /// Adds what a message says of a device: (number field, value) of those that it held, all finite. `at` is the record's
    /// time, not later than now.
    pub fn add(&mut self, at: i64, id: u32, values: &[(usize, f64)], now_ms: i64) {
        if at < now_ms - MINUTES_KEPT_MS {
            return;
        }
        if at >= self.floor(now_ms) {
            let width = self.width;
            let second = self.seconds.entry(at.div_euclid(1000)).or_insert_with(|| Frame::new(width));
            put(second, id, values);
            return;
        }
        for coarse in [&mut self.ones, &mut self.tens, &mut self.minutes] {
            if at >= now_ms - coarse.keep {
                put(coarse.frame(at, self.width, now_ms), id, values);
            }
        }
    }

    /// From here on memory holds seconds, ms.
    pub fn floor(&self, now_ms: i64) -> i64 {
        let window = now_ms.div_euclid(1000) * 1000 - HELD_MS + 1000;
        // A clock that was set back must not keep seconds out of memory for ever.
        if self.early <= now_ms { window.max(self.early) } else { window }
    }

    /// Lets seconds go that are too old or too many, and writes and drops frames. Once a second.
    ///
    /// # Errors
    /// What the disk says; nothing is lost by it, see [`Coarse::tidy`].
    pub fn tidy(&mut self, now_ms: i64) -> io::Result<()> {
        let newest = self.seconds.last_key_value().map_or(0, |(second, _)| *second);
        let mut bytes = 0;
        for (second, frame) in &mut self.seconds {
            if frame.is_open() && *second + SETTLED_SECONDS < newest {
                frame.seal();
            }
            bytes += frame.bytes();
        }
        while let Some((second, frame)) = self.seconds.first_key_value() {
            let is_over_budget = bytes > self.budget && self.seconds.len() > 1;
            if second * 1000 >= self.floor(now_ms) && !is_over_budget {
                break;
            }
            bytes -= frame.bytes();
            if let Some((second, frame)) = self.seconds.pop_first() {
                self.early = self.early.max((second + 1) * 1000);
                self.coarse_mut().into_iter().for_each(|coarse| coarse.take(second * 1000, &frame, now_ms));
            }
        }
        self.messages = self.messages.split_off(&((now_ms - WINDOW_MS).div_euclid(1000)));
        let floor = self.floor(now_ms);
        let tidied = self.coarse_mut().map(|coarse| coarse.tidy(floor, now_ms));
        tidied.into_iter().collect()
    }

    /// The frames on disk, from the narrow to the wide.
    fn coarse(&self) -> [&Coarse; 3] {
        [&self.ones, &self.tens, &self.minutes]
    }

    fn coarse_mut(&mut self) -> [&mut Coarse; 3] {
        [&mut self.ones, &mut self.tens, &mut self.minutes]
    }

    /// The files that must be synced, and with them their folder, before a snapshot may name their present lengths. They
    /// are given out once: if a sync fails, no later snapshot may be made.
    pub fn take_unsynced(&mut self) -> Vec<Arc<Mutex<DoorFile>>> {
        self.coarse_mut().into_iter().flat_map(Coarse::take_unsynced).collect()
    }

    /// Files that may be removed once a snapshot of this moment is durable.
    pub fn take_dropped(&mut self) -> Vec<std::path::PathBuf> {
        self.coarse_mut().into_iter().flat_map(Coarse::take_dropped).collect()
    }

    /// From now on no file is written: what there is stays in memory, as far as that reaches.
    pub fn stay_in_memory(&mut self) {
        self.coarse_mut().into_iter().for_each(Coarse::stay_in_memory);
    }

    /// Messages that were too old for any of it.
    pub fn too_old(&self) -> u64 {
        self.too_old
    }

    /// Bytes of the seconds and the open frames in memory.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let open = self.coarse().into_iter().flat_map(|coarse| coarse.open.values());
        self.seconds.values().chain(open.map(|open| &open.frame)).map(Frame::bytes).sum()
    }

    /// Messages of each second that is kept up to `last` (begin of a second, ms), the newest last; from the first second
    /// in which there were any.
    pub fn messages(&self, last: i64) -> Vec<u64> {
        let (first, last) = ((last - WINDOW_MS) / 1000 + 1, last / 1000);
        let Some((&first, _)) = self.messages.range(first..=last).next() else { return Vec::new() };
        (first..=last).map(|second| self.messages.get(&second).copied().unwrap_or(0)).collect()
    }

    /// One field of a second that memory holds (its begin, ms), if anybody sent it.
    pub fn second(&self, start: i64, who: Who, field: usize) -> Option<Stat> {
        let frame = self.seconds.get(&start.div_euclid(1000))?;
        of(frame, who, field)
    }

    /// What memory knows of a question, and where the files hold the rest.
    pub fn gather(
        &self,
        field: usize,
        range: Range,
        points: usize,
        whose: Vec<Who>,
        now_ms: i64,
    ) -> Gathered {
        let lines = whose.len();
        let whose = whose.into_iter().enumerate().map(|(line, who)| (who, line)).collect();
        self.gather_into(field, range, points, whose, lines, now_ms)
    }

    /// The same, where each is added to the line beside it, of so many.
    pub fn gather_into(
        &self,
        field: usize,
        range: Range,
        points: usize,
        whose: Vec<(Who, usize)>,
        lines: usize,
        now_ms: i64,
    ) -> Gathered {
        let mut buckets = Buckets::new(range, now_ms, points, lines);
        let from = buckets.start.div_euclid(1000);
        for (second, frame) in self.seconds.range(from..) {
            take(&mut buckets, second * 1000, frame, &whose, field);
        }
        let coarse = match range {
            Range::Minutes15 => &self.ones,
            Range::Hours6 => &self.tens,
            Range::Hours24 => &self.minutes,
        };
        for (start, open) in &coarse.open {
            take(&mut buckets, *start, &open.frame, &whose, field);
        }
        let files = coarse.files.iter().filter_map(|segment| {
            let wanted = segment.entries.iter().filter(|entry| buckets.covers(entry.start));
            let wanted: Vec<Entry> = wanted.copied().collect();
            (!wanted.is_empty()).then(|| (Arc::clone(&segment.file), wanted))
        });
        let files = files.collect();
        Gathered { buckets, whose, field, width: self.width, files }
    }
}

/// A question half answered: what is left to do needs no lock.
#[derive(Debug)]
pub(crate) struct Gathered {
    buckets: Buckets,
    /// Each with the line that it is added to.
    whose: Vec<(Who, usize)>,
    field: usize,
    width: usize,
    files: Vec<(Arc<File>, Vec<Entry>)>,
}

impl Gathered {
    /// Adds what the files hold. Blocks. A frame that cannot be read is left out, with a warning.
    pub fn read(mut self) -> Buckets {
        let mut unread = None;
        let series = |wanted: fn(&Who) -> Option<u32>| {
            let each = self.whose.iter();
            each.filter_map(|(who, line)| Some((wanted(who)?, *line))).collect::<Vec<(u32, usize)>>()
        };
        let merged = series(|who| (*who == Who::All).then_some(0));
        let devices = series(|who| match who {
            Who::Device(id) => Some(*id),
            _ => None,
        });
        for (file, entries) in &self.files {
            let mut reader = Reader::new(file, self.width);
            for entry in entries {
                let read = reader.head(entry).and_then(|head| {
                    let found = if devices.is_empty() {
                        Vec::new()
                    } else {
                        reader.devices(&head, &devices, self.field)?
                    };
                    Ok((head, found))
                });
                match read {
                    Ok((head, found)) => {
                        for (_, index) in &merged {
                            self.buckets.add(*index, entry.start, &head.all[self.field]);
                        }
                        for (index, stat) in found {
                            self.buckets.add(index, entry.start, &stat);
                        }
                    }
                    Err(error) => unread = Some(error),
                }
            }
        }
        if let Some(error) = unread {
            tracing::warn!(%error, "a part of the history cannot be read and is left out");
        }
        self.buckets
    }
}

fn put(frame: &mut Frame, id: u32, values: &[(usize, f64)]) {
    let slot = frame.count(id, 1);
    for (field, value) in values {
        frame.add(slot, *field, *value);
    }
}

fn of(frame: &Frame, who: Who, field: usize) -> Option<Stat> {
    match who {
        Who::All => frame.all.get(field).copied().filter(|stat| stat.n > 0),
        Who::Device(id) => frame.get(frame.find(id)?, field),
        Who::Nobody => None,
    }
}

fn take(buckets: &mut Buckets, start: i64, frame: &Frame, whose: &[(Who, usize)], field: usize) {
    if !buckets.covers(start) {
        return;
    }
    for (who, line) in whose {
        if let Some(stat) = of(frame, *who, field) {
            buckets.add(*line, start, &stat);
        }
    }
}
