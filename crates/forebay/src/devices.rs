//! Simulated devices: the events of the plant, and a nested form of them, with faults on request.
//!
//! The plant's events have the fields and ranges of a small manufacturing plant (temperature 20 to 80, humidity 30 to
//! 90, both with two decimals, seconds since 1970). Values are independent of each other, or [`wander`] as those of
//! machines do. Everything random comes from one seed, so a run can be repeated; only the time stamps come from the
//! clock.

mod wander;

use std::io::Write as _;

use crate::cli::{Motion, Shape, SimulateArgs};
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

/// Makes events.
pub struct Devices {
    random: fastrand::Rng,
    shape: Shape,
    count: u32,
    /// Where the devices are, if their values follow from those before.
    wander: Option<Wander>,
    late: f64,
    corrupt: f64,
    duplicate: f64,
    fast_clock: f64,
    sequence: u64,
}

impl Devices {
    /// Devices as asked for on the command line, their random numbers from `seed`.
    pub fn new(args: &SimulateArgs, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let wander = match args.values {
            Motion::Uniform => None,
            Motion::Wander => Some(Wander::new(args.devices, args.rate, &mut random)),
        };
        Self {
            random,
            shape: args.shape,
            count: args.devices,
            wander,
            late: args.late,
            corrupt: args.corrupt,
            duplicate: args.duplicate,
            fast_clock: args.fast_clock,
            sequence: 0,
        }
    }

    /// The next event, written over `value`; returns what it counts for once it is sent, and what its repeat counts
    /// for if it is to be sent twice.
    pub fn next(&mut self, now_ms: i64, value: &mut Vec<u8>) -> (Sent, Option<Sent>) {
        let mut sent = Sent { events: 1, messages: 1, ..Sent::default() };
        let device = self.random.u32(1..=self.count);
        let (temperature, humidity) = match &mut self.wander {
            None => (self.random.u32(2_000..=8_000), self.random.u32(3_000..=9_000)),
            Some(wander) => wander.next(device, &mut self.random),
        };
        let mut seconds = now_ms.div_euclid(1000);
        if self.happens(self.late) {
            seconds -= self.random.i64(60..=3_600);
            sent.late = 1;
        } else if self.happens(self.fast_clock) {
            seconds += 3_600;
            sent.fast = 1;
        }
        value.clear();
        match self.shape {
            Shape::Plant => plant(value, device, temperature, humidity, seconds),
            Shape::Nested => self.nested(value, device, temperature, humidity, seconds, now_ms),
        }
        self.sequence += 1;
        if self.happens(self.corrupt) {
            self.damage(value);
            sent.corrupt = 1;
        } else if temperature > 7_000 {
            sent.hot = 1;
        }
        let repeat = Sent { events: 0, late: 0, fast: 0, duplicates: 1, ..sent };
        (sent, self.happens(self.duplicate).then_some(repeat))
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
mod tests {
    use super::*;

    #[test]
    fn a_repeat_counts_as_a_message_of_its_own() {
        use clap::Parser;
        let line = "forebay simulate --duplicate 1 --corrupt 0.5 --late 0.5 --fast-clock 1";
        let crate::cli::Command::Simulate(args) =
            crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("another command")
        };
        let (mut devices, mut value, mut total) = (Devices::new(&args, 7), Vec::new(), Sent::default());
        for _ in 0..100 {
            let (event, repeat) = devices.next(0, &mut value);
            let repeat = repeat.unwrap();
            assert_eq!((event.events, event.messages, event.duplicates), (1, 1, 0));
            assert_eq!((repeat.events, repeat.messages, repeat.duplicates), (0, 1, 1));
            assert_eq!((event.corrupt, event.hot), (repeat.corrupt, repeat.hot), "both decode, or neither");
            assert_eq!((event.late + event.fast, repeat.late + repeat.fast), (1, 0), "an event is late once");
            total.add(&event);
            total.add(&repeat);
        }
        assert_eq!(
            (total.events, total.messages, total.duplicates, total.late + total.fast),
            (100, 200, 100, 100)
        );
    }

    fn events(line: &str, count: usize) -> Vec<String> {
        use clap::Parser;
        let crate::cli::Command::Simulate(args) =
            crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("another command")
        };
        let (mut devices, mut value) = (Devices::new(&args, args.seed.unwrap()), Vec::new());
        let mut next = || {
            devices.next(1_732_150_000_000, &mut value);
            String::from_utf8(value.clone()).unwrap()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_events_in_every_version() {
        let uniform = events("forebay simulate --seed 7", 1_000);
        assert_eq!(uniform[..2], UNIFORM_7);
        assert_eq!(uniform, events("forebay simulate --seed 7 --values uniform", 1_000));
        let wander = events("forebay simulate --seed 7 --values wander", 1_000);
        assert_eq!(wander, events("forebay simulate --seed 7 --values wander", 1_000));
        assert_ne!(wander, events("forebay simulate --seed 8 --values wander", 1_000));
    }

    const UNIFORM_7: [&str; 2] = [
        r#"{"device_id": "device_2", "temperature": 36.2, "humidity": 54.17, "timestamp": 1732150000}"#,
        r#"{"device_id": "device_2", "temperature": 78.55, "humidity": 43.33, "timestamp": 1732150000}"#,
    ];

    #[test]
    fn an_event_reads_as_python_writes_it() {
        let mut out = Vec::new();
        plant(&mut out, 2, 5_512, 6_170, 1_732_150_000);
        let text =
            r#"{"device_id": "device_2", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}"#;
        assert_eq!(out, text.as_bytes());
        assert_eq!(Hundredths(2_000).to_string(), "20.0");
        assert_eq!(Hundredths(2_005).to_string(), "20.05");
    }
}
