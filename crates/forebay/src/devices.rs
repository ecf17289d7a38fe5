//! Simulated devices: the events of the plant, a nested form of them, events of several devices of a customer, made,
//! described by files or played from them, an Arduino's, and those of vehicles; all with faults on request.
//!
//! The plant's events have the fields and ranges of a small manufacturing plant (temperature 20 to 80, humidity 30 to
//! 90, both with two decimals, seconds since 1970). Values are independent of each other, or [`wander`] as those of
//! machines do. Everything random comes from one seed, so a run can be repeated; only the time stamps come from the
//! clock.

mod arduino;
mod customers;
mod decimal;
mod described;
mod one;
mod samples;
mod spells;
mod stamp;
mod vehicles;
mod wander;

use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use crate::cli::{Motion, Shape, SimulateArgs};
use arduino::Board;
use customers::{Customers, Moment};
use samples::Lines;
use spells::Spells;
use vehicles::Fleet;
use wander::Wander;

/// What was sent, for the summary: of one message, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Events as devices measured them.
    pub events: u64,
    /// Messages: events plus repeats.
    pub messages: u64,
    /// Messages that will not decode.
    pub corrupt: u64,
    /// Events sent twice.
    pub duplicates: u64,
    /// Events that are up to an hour old, or were held up.
    pub late: u64,
    /// Events from a fast clock.
    pub fast: u64,
    /// Events above 70 degrees that will decode.
    pub hot: u64,
    /// Faults of vehicles that began.
    pub faults: u64,
}

impl Sent {
    /// Adds what another counts.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.messages += other.messages;
        self.corrupt += other.corrupt;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.fast += other.fast;
        self.hot += other.hot;
        self.faults += other.faults;
    }
}

/// Makes events, or plays them.
pub struct Devices {
    random: fastrand::Rng,
    making: Making,
    /// Events that come late, from a file.
    late_lines: Option<Lines>,
    /// The customer of the event that was made last, if it has one.
    customer: Vec<u8>,
    /// What the Arduino told last.
    told: Option<arduino::Told>,
    late: f64,
    corrupt: f64,
    duplicate: f64,
    fast_clock: f64,
    sequence: u64,
}

/// Where events come from.
enum Making {
    /// Of one device each; where these are, if their values follow from those before.
    One { shape: Shape, count: u32, wander: Option<Wander> },
    /// Of several devices of a customer, and when they are in trouble.
    Several(Customers, Option<Spells>),
    /// Of an Arduino with three sensors.
    Board(Board),
    /// Of vehicles on their way.
    Vehicles(Box<Fleet>),
    /// From a file; by how much their times are moved, in microseconds, or that it is not known yet.
    Played { lines: Lines, moved: Option<i64> },
}

/// The share of late events where a file of them is given and no share.
const SOME_LATE: f64 = 0.05;

impl Devices {
    /// Devices as asked for on the command line, their random numbers from `seed`. Reads the files that it names.
    ///
    /// # Errors
    /// `WRONG_USE` for another shape than that of the files; as [`described::read`] and [`Lines::read`].
    pub fn new(args: &SimulateArgs, seed: u64) -> Result<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let has_files = args.device_files.is_some() || args.samples.is_some() || args.late_samples.is_some();
        let shape = args.shape.unwrap_or(if has_files { Shape::Devices } else { Shape::Plant });
        if has_files && shape != Shape::Devices {
            let told = "files of devices and samples are of the shape `devices`";
            return Err(Error::new(&codes::WRONG_USE, told)
                .with_hint("Leave out `--shape`; `forebay produce --file FILE` sends lines of any kind."));
        }
        if shape == Shape::Arduino {
            arduino::check(args)?;
        }
        vehicles::check(args, shape)?;
        if args.spells && (shape != Shape::Devices || args.samples.is_some()) {
            return Err(Error::new(&codes::WRONG_USE, "spells are those of devices of customers")
                .with_hint("Use `--spells` with `--shape devices` or `--device-files`."));
        }
        let mut spells = || args.spells.then(|| Spells::new(args.rate(), &mut random));
        let making = match (&args.samples, &args.device_files) {
            (Some(file), _) => {
                Making::Played { lines: Lines::read(file)?, moved: (!args.shift).then_some(0) }
            }
            (None, Some(folder)) => Making::Several(Customers::Described(described::read(folder)?), spells()),
            (None, None) if shape == Shape::Devices => {
                let spells = spells();
                Making::Several(Customers::made(args, &mut random), spells)
            }
            (None, None) if shape == Shape::Arduino => Making::Board(Board::new(&mut random)),
            (None, None) if shape == Shape::Fleet => {
                Making::Vehicles(Box::new(Fleet::new(args, &mut random)))
            }
            (None, None) => {
                let wander = match args.values {
                    Motion::Uniform => None,
                    Motion::Wander => Some(Wander::new(args.devices, args.rate(), &mut random)),
                };
                Making::One { shape, count: args.devices, wander }
            }
        };
        let late_lines = args.late_samples.as_deref().map(Lines::read).transpose()?;
        Ok(Self {
            random,
            making,
            late: args.late.unwrap_or(if late_lines.is_some() { SOME_LATE } else { 0.0 }),
            late_lines,
            customer: Vec::new(),
            told: None,
            corrupt: args.corrupt,
            duplicate: args.duplicate,
            fast_clock: args.fast_clock,
            sequence: 0,
        })
    }

    /// What is done, for the first line: `simulating 3 device(s)`.
    pub fn about(&self) -> String {
        let late = |before: &str| match &self.late_lines {
            Some(late) => format!("{before}{} late one(s)", late.len()),
            None => String::new(),
        };
        match &self.making {
            Making::One { count, .. } | Making::Several(Customers::Made { devices: count, .. }, _) => {
                format!("simulating {count} device(s){}", late(" with "))
            }
            Making::Board(_) => "simulating an Arduino with three sensors".to_owned(),
            Making::Vehicles(fleet) => format!("simulating {} vehicle(s)", fleet.count()),
            Making::Several(Customers::Described(customers), _) => {
                let count: usize = customers.iter().map(|customer| customer.devices.len()).sum();
                let files = customers.len();
                format!("simulating {count} device(s) of {files} file(s){}", late(" with "))
            }
            Making::Played { lines, .. } => format!("playing {} sample(s){}", lines.len(), late(" and ")),
        }
    }

    /// The next event, written over `value`; returns what it counts for once it is sent, and what its repeat counts
    /// for if it is to be sent twice. `None` once all is played.
    pub fn next(&mut self, now_ms: i64, value: &mut Vec<u8>) -> Option<(Sent, Option<Sent>)> {
        let mut sent = Sent { events: 1, messages: 1, ..Sent::default() };
        value.clear();
        self.customer.clear();
        let is_hot = match &mut self.making {
            Making::One { .. } => self.of_one(now_ms, value, &mut sent),
            Making::Several(..) => self.of_several(now_ms, value, &mut sent),
            Making::Board(board) => {
                self.told = Some(board.next(value, &mut self.random));
                false
            }
            Making::Vehicles(fleet) => {
                let begins = fleet.next(now_ms, value, &mut self.customer, &mut self.random);
                sent.faults = u64::from(begins);
                false
            }
            Making::Played { lines, moved } => {
                // The late ones keep their distance from the samples.
                let moved = *moved.get_or_insert_with(|| now_ms.saturating_mul(1_000) - lines.first());
                if !lines.next(moved, value, &mut self.customer) {
                    let late = self.late_lines.as_mut();
                    if !late.is_some_and(|late| late.next(moved, value, &mut self.customer)) {
                        return None;
                    }
                    sent.late = 1;
                }
                false
            }
        };
        self.sequence += 1;
        // A movement is one whatever its message says, and so is a text: there is nothing to decode.
        let can_be_damaged = self.told.is_none_or(|told| told.is_measured);
        if can_be_damaged && self.happens(self.corrupt) {
            match &mut self.making {
                Making::Vehicles(fleet) => fleet.damage(value, &mut self.random),
                _ => self.damage(value),
            }
            sent.corrupt = 1;
        } else if is_hot {
            sent.hot = 1;
        }
        let repeat = Sent { events: 0, late: 0, fast: 0, faults: 0, duplicates: 1, ..sent };
        Some((sent, self.happens(self.duplicate).then_some(repeat)))
    }

    /// What became known of faults since the last time, a line of JSON each.
    pub fn take_truth(&mut self) -> Vec<Vec<u8>> {
        match &mut self.making {
            Making::Vehicles(fleet) => fleet.take_truth(),
            _ => Vec::new(),
        }
    }

    /// The same at the end, with the faults that are not over.
    pub fn end(&mut self) -> Vec<Vec<u8>> {
        match &mut self.making {
            Making::Vehicles(fleet) => fleet.end(),
            _ => Vec::new(),
        }
    }

    /// The key of the event that was made last: its customer or its car and trip, whose events so keep their order.
    pub fn key(&self) -> Option<&[u8]> {
        (!self.customer.is_empty()).then_some(&self.customer)
    }

    /// Where the event that was made last goes, if it is not where all go.
    pub fn topic(&self) -> Option<&'static str> {
        Some(self.told?.topic)
    }

    /// When the event that was made last is due at the devices' own pace, since the start; `None` where they have none.
    pub fn due(&self) -> Option<Duration> {
        Some(self.told?.at)
    }

    /// An event of one device; true if it is above 70 degrees.
    fn of_one(&mut self, now_ms: i64, value: &mut Vec<u8>, sent: &mut Sent) -> bool {
        let Making::One { shape, count, wander } = &mut self.making else { return false };
        let shape = *shape;
        let device = self.random.u32(1..=*count);
        let (temperature, humidity) = match wander {
            None => (self.random.u32(2_000..=8_000), self.random.u32(3_000..=9_000)),
            Some(wander) => wander.next(device, &mut self.random),
        };
        let seconds = self.seconds(now_ms, sent);
        match shape {
            Shape::Nested => {
                let measured = one::Measured { device, temperature, humidity, seconds };
                one::nested(value, &measured, now_ms.rem_euclid(1_000), self.sequence, &mut self.random);
            }
            Shape::Sensors => one::sensor(value, device, temperature, humidity, seconds),
            Shape::Plant | Shape::Devices | Shape::Arduino | Shape::Fleet => {
                one::plant(value, device, temperature, humidity, seconds);
            }
        }
        temperature > 7_000
    }

    /// An event of several devices, or the next of the file of late ones; true if a device is above 70 degrees.
    fn of_several(&mut self, now_ms: i64, value: &mut Vec<u8>, sent: &mut Sent) -> bool {
        if self.late_lines.is_some() && self.happens(self.late) {
            let late = self.late_lines.as_mut();
            if late.is_some_and(|late| late.next(0, value, &mut self.customer)) {
                sent.late = 1;
                return false;
            }
        }
        let seconds = self.seconds(now_ms, sent);
        let Making::Several(customers, spells) = &mut self.making else { return false };
        if let Some(spells) = spells {
            spells.go_on();
        }
        let moment = Moment { seconds, millis: now_ms.rem_euclid(1000), number: self.sequence };
        let made = customers.event(moment, spells.as_ref(), value, &mut self.customer, &mut self.random);
        sent.late |= u64::from(made.is_late);
        made.is_hot
    }

    /// The time as a device's clock has it, or had it when it measured what it sends now.
    fn seconds(&mut self, now_ms: i64, sent: &mut Sent) -> i64 {
        let seconds = now_ms.div_euclid(1000);
        if self.late_lines.is_none() && self.happens(self.late) {
            sent.late = 1;
            seconds - self.random.i64(60..=3_600)
        } else if self.happens(self.fast_clock) {
            sent.fast = 1;
            seconds + 3_600
        } else {
            seconds
        }
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.f64() < share
    }

    /// Makes an event undecodable in one of the ways that devices and networks do.
    fn damage(&mut self, value: &mut Vec<u8>) {
        match self.random.u8(0..4) {
            0 => value.truncate(value.len() / 2),
            1 => value.clear(),
            2 => value.extend_from_slice(b"}{"),
            _ => value[1] = 0xff,
        }
    }
}

/// Where the events of a shape go, if not to a topic of one's choice.
pub fn topics(shape: Option<Shape>) -> Option<&'static [&'static str]> {
    (shape == Some(Shape::Arduino)).then_some(&arduino::TOPICS)
}

#[cfg(test)]
mod tests;
