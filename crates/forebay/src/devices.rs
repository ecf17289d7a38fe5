//! Simulated devices: the events of the plant, a nested form of them, and events of several devices of a customer, made,
//! described by files or played from them; all with faults on request.
//!
//! The plant's events have the fields and ranges of a small manufacturing plant (temperature 20 to 80, humidity 30 to
//! 90, both with two decimals, seconds since 1970). Values are independent of each other, or [`wander`] as those of
//! machines do. Everything random comes from one seed, so a run can be repeated; only the time stamps come from the
//! clock.

mod customers;
mod decimal;
mod described;
mod samples;
mod stamp;
mod wander;

use std::io::Write as _;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use crate::cli::{Motion, Shape, SimulateArgs};
use customers::{Customers, Moment};
use samples::Lines;
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
    /// Events that are up to an hour old.
    pub late: u64,
    /// Events from a fast clock.
    pub fast: u64,
    /// Events above 70 degrees that will decode.
    pub hot: u64,
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
    /// Of several devices of a customer.
    Several(Customers),
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
        let making = match (&args.samples, &args.device_files) {
            (Some(file), _) => {
                Making::Played { lines: Lines::read(file)?, moved: (!args.shift).then_some(0) }
            }
            (None, Some(folder)) => Making::Several(Customers::Described(described::read(folder)?)),
            (None, None) if shape == Shape::Devices => Making::Several(Customers::made(args, &mut random)),
            (None, None) => {
                let wander = match args.values {
                    Motion::Uniform => None,
                    Motion::Wander => Some(Wander::new(args.devices, args.rate, &mut random)),
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
            Making::One { count, .. } | Making::Several(Customers::Made { devices: count, .. }) => {
                format!("simulating {count} device(s){}", late(" with "))
            }
            Making::Several(Customers::Described(customers)) => {
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
            Making::Several(_) => self.of_several(now_ms, value, &mut sent),
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
        if self.happens(self.corrupt) {
            self.damage(value);
            sent.corrupt = 1;
        } else if is_hot {
            sent.hot = 1;
        }
        let repeat = Sent { events: 0, late: 0, fast: 0, duplicates: 1, ..sent };
        Some((sent, self.happens(self.duplicate).then_some(repeat)))
    }

    /// The key of the event that was made last: its customer, whose events so keep their order.
    pub fn key(&self) -> Option<&[u8]> {
        (!self.customer.is_empty()).then_some(&self.customer)
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
            Shape::Nested => self.nested(value, device, temperature, humidity, seconds, now_ms),
            Shape::Plant | Shape::Devices => plant(value, device, temperature, humidity, seconds),
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
        let Making::Several(customers) = &mut self.making else { return false };
        let moment = Moment { seconds, millis: now_ms.rem_euclid(1000), number: self.sequence };
        customers.event(moment, value, &mut self.customer, &mut self.random)
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

    fn nested(
        &mut self,
        out: &mut Vec<u8>,
        device: u32,
        temperature: u32,
        humidity: u32,
        seconds: i64,
        now_ms: i64,
    ) {
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let millis = now_ms.rem_euclid(1000);
        let status = ["ok", "ok", "ok", "warn", "fault"][self.random.usize(0..5)];
        let (lat, lon) = (48.0 + f64::from(device % 100) / 1000.0, 11.0 + f64::from(device % 77) / 1000.0);
        let write = write!(
            out,
            "{{\"event_id\": \"e-{:012}\", \"ts\": \"{}.{millis:03}Z\", \"site\": {{\"plant\": \"plant_{}\", \"line\": {}, \"pos\": {{\"lat\": {lat:.3}, \"lon\": {lon:.3}}}}}, \"device\": {{\"id\": \"device_{device}\", \"fw\": \"1.4.{}\"}}, \"readings\": [{}.{:02}, {}.{:02}, {}], \"status\": \"{status}\", \"ok\": {}, \"seq\": {}}}",
            self.sequence,
            time.format("%Y-%m-%dT%H:%M:%S"),
            device % 4,
            device % 12,
            device % 10,
            temperature / 100,
            temperature % 100,
            humidity / 100,
            humidity % 100,
            self.random.u32(900..1100),
            status != "fault",
            self.sequence,
        );
        debug_assert!(write.is_ok(), "writing to memory cannot fail");
    }
}

/// `{"device_id": "device_1", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}`
fn plant(out: &mut Vec<u8>, device: u32, temperature: u32, humidity: u32, seconds: i64) {
    let write = write!(
        out,
        "{{\"device_id\": \"device_{device}\", \"temperature\": {}, \"humidity\": {}, \"timestamp\": {seconds}}}",
        Hundredths(temperature),
        Hundredths(humidity),
    );
    debug_assert!(write.is_ok(), "writing to memory cannot fail");
}

/// A number of hundredths as Python prints the rounded float: `61.7`, `55.12`, `20.0`.
struct Hundredths(u32);

impl std::fmt::Display for Hundredths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, cents) = (self.0 / 100, self.0 % 100);
        if cents.is_multiple_of(10) {
            write!(f, "{whole}.{}", cents / 10)
        } else {
            write!(f, "{whole}.{cents:02}")
        }
    }
}

#[cfg(test)]
mod tests;
