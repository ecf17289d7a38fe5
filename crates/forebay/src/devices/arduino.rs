//! An Arduino with three sensors: temperature and humidity (DHT11), the distance of what stands in front of it (SR04),
//! movement (PIR); and its own word that it is there. Each has a topic of its own.
//!
//! ```text
//!  cm
//!  182 ┤~~~~~~~~~~~╮        ╭~~~~~~~~~     the wall, measured 50 times a second
//!      │            ╲      ╱
//!   60 ┤             ╲~~~~╱                somebody walks by
//!      └──────────┬────────────┬───────
//!      movement   ▲            ▲           seen first by the PIR, whose eye is wide; again after 3 s, if still there
//! ```
//!
//! What must stay true: the messages come in the order of the board's time, each is the one that the sketch of
//! `examples/arduino` would send, and everything follows from the seed. The board has no clock: no message has a time.

use std::io::Write as _;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use crate::cli::{Motion, SimulateArgs};

/// Time between two distances: 50 a second.
const TICK_MS: u64 = 20;
/// The same of the DHT11, which cannot measure more often, and of the sign of life.
const CLIMATE_MS: u64 = 2_000;
const ALIVE_MS: u64 = 30_000;
/// How long a PIR is blind after it has seen something.
const BLIND_MS: u64 = 3_000;
/// How far the wall is, in centimetres.
const WALL: f64 = 182.0;
/// How close somebody comes who walks by.
const CLOSEST: (f64, f64) = (15.0, 110.0);
/// How long that takes, when the first one comes and when the next one does after that: milliseconds.
const TAKES: (u64, u64) = (1_500, 6_000);
const FIRST: (u64, u64) = (1_500, 4_000);
const BETWEEN: (u64, u64) = (4_000, 20_000);
/// How long the PIR sees somebody before the SR04 does.
const AHEAD: (u64, u64) = (200, 600);

const STATUS: &str = "status_test";
const CLIMATE: &str = "dht_test";
const DISTANCE: &str = "sr04_test";
const MOVEMENT: &str = "pir_test";
/// The topics, as the example's sources read them.
pub const TOPICS: [&str; 4] = [STATUS, CLIMATE, DISTANCE, MOVEMENT];

/// The board and what is in front of it.
pub struct Board {
    /// The board's time, milliseconds since it was switched on.
    now: u64,
    /// Which of this moment's messages is next.
    turn: u8,
    passage: Passage,
    /// Until when the PIR sees nothing new.
    blind_until: u64,
    temperature: f64,
    humidity: f64,
}

/// Somebody who walks by.
struct Passage {
    /// When the PIR begins to see them, the SR04 does, and both no longer do.
    seen: u64,
    from: u64,
    until: u64,
    closest: f64,
}

/// A message, and when the board sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub topic: &'static str,
    /// Since the board was switched on.
    pub at: Duration,
    /// Whether it is JSON of measured values.
    pub is_measured: bool,
}

/// Refuses what an Arduino cannot do.
///
/// # Errors
/// `WRONG_USE`, saying what to leave out.
pub fn check(args: &SimulateArgs) -> Result<()> {
    let refused = |what: &str, hint: &str| {
        Err(Error::new(&codes::WRONG_USE, format!("the shape `arduino` has no {what}")).with_hint(hint))
    };
    if args.topic.is_some() {
        let hint = format!("Leave out `--topic`: each sensor has a topic of its own, {}.", TOPICS.join(", "));
        return refused("topic of one's choice", &hint);
    }
    if args.late.is_some() || args.fast_clock > 0.0 {
        return refused("clock", "Leave out `--late` and `--fast-clock`: its messages have the log's time.");
    }
    if args.values == Motion::Wander {
        return refused("other way to move", "Leave out `--values`: somebody walks by now and then.");
    }
    Ok(())
}

impl Board {
    /// A board that is just switched on.
    pub fn new(random: &mut fastrand::Rng) -> Self {
        let passage = Passage::after(0, FIRST, random);
        Self { now: 0, turn: 0, passage, blind_until: 0, temperature: 21.5, humidity: 40.0 }
    }

    /// The next message, written behind `value`.
    pub fn next(&mut self, value: &mut Vec<u8>, random: &mut fastrand::Rng) -> Told {
        loop {
            let (turn, at) = (self.turn, Duration::from_millis(self.now));
            self.turn += 1;
            let topic = match turn {
                0 if self.now.is_multiple_of(ALIVE_MS) => {
                    value.extend_from_slice(b"online");
                    STATUS
                }
                1 if self.now.is_multiple_of(CLIMATE_MS) => {
                    self.climate(value, random);
                    CLIMATE
                }
                2 if self.moves() => {
                    self.blind_until = self.now + BLIND_MS;
                    value.push(b'1');
                    MOVEMENT
                }
                3 => {
                    let distance = self.distance(random);
                    let write = write!(value, "{{\"distance\": {distance:.1}}}");
                    debug_assert!(write.is_ok(), "writing to memory cannot fail");
                    DISTANCE
                }
                4.. => {
                    (self.turn, self.now) = (0, self.now + TICK_MS);
                    if self.now >= self.passage.until {
                        self.passage = Passage::after(self.now, BETWEEN, random);
                    }
                    continue;
                }
                _ => continue,
            };
            return Told { topic, at, is_measured: topic == CLIMATE || topic == DISTANCE };
        }
    }

    fn moves(&self) -> bool {
        self.now >= self.passage.seen && self.now >= self.blind_until
    }

    /// `{"temperature": 21.5, "humidity": 40}`: a DHT11 tells tenths of a degree and whole per cents.
    fn climate(&mut self, value: &mut Vec<u8>, random: &mut fastrand::Rng) {
        self.temperature = (self.temperature + 0.2 * (random.f64() - 0.5)).clamp(18.0, 27.0);
        self.humidity = (self.humidity + 1.2 * (random.f64() - 0.5)).clamp(30.0, 60.0);
        let (temperature, humidity) = (self.temperature, self.humidity);
        let write = write!(value, "{{\"temperature\": {temperature:.1}, \"humidity\": {humidity:.0}}}");
        debug_assert!(write.is_ok(), "writing to memory cannot fail");
    }

    /// What the echo comes back from, in centimetres: the wall, or somebody before it.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of some seconds")]
    fn distance(&self, random: &mut fastrand::Rng) -> f64 {
        let noise = random.f64() - 0.5;
        let Passage { from, until, closest, .. } = self.passage;
        if !(from..until).contains(&self.now) {
            return WALL + noise;
        }
        // From -1 to 1 on the way through the beam; closest in its middle.
        let way = 2.0 * (self.now - from) as f64 / (until - from) as f64 - 1.0;
        (closest + 60.0 * way * way).min(WALL) + 3.0 * noise
    }
}

impl Passage {
    fn after(now: u64, pause: (u64, u64), random: &mut fastrand::Rng) -> Self {
        let mut between = |(least, most): (u64, u64)| random.u64(least..=most);
        let seen = now + between(pause);
        let from = seen + between(AHEAD);
        let until = from + between(TAKES);
        let (nearest, farthest) = CLOSEST;
        Self { seen, from, until, closest: nearest + (farthest - nearest) * random.f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a board tells in so many seconds.
    fn told(seed: u64, seconds: u64) -> Vec<(Told, String)> {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut board, mut all) = (Board::new(&mut random), Vec::new());
        loop {
            let mut value = Vec::new();
            let told = board.next(&mut value, &mut random);
            if told.at >= Duration::from_secs(seconds) {
                return all;
            }
            all.push((told, String::from_utf8(value).unwrap()));
        }
    }

    fn of<'t>(all: &'t [(Told, String)], topic: &str) -> Vec<&'t (Told, String)> {
        all.iter().filter(|(told, _)| told.topic == topic).collect()
    }

    #[test]
    fn each_sensor_has_its_pace_and_the_order_is_that_of_the_boards_time() {
        for seed in 0..50 {
            let all = told(seed, 60);
            assert!(all.is_sorted_by_key(|(told, _)| told.at), "seed {seed}");
            let count = |topic| of(&all, topic).len();
            assert_eq!((count(DISTANCE), count(CLIMATE), count(STATUS)), (3_000, 30, 2), "seed {seed}");
            assert_eq!((all[0].0.topic, all[0].1.as_str()), (STATUS, "online"));
            assert_eq!(all, told(seed, 60), "the seed says all");
        }
    }

    #[test]
    fn a_movement_is_told_before_somebody_is_near_and_never_of_an_empty_room() {
        for seed in 0..50 {
            let all = told(seed, 120);
            let near: Vec<Duration> = of(&all, DISTANCE)
                .into_iter()
                .filter(|(_, value)| distance(value) < WALL - 5.0)
                .map(|(told, _)| told.at)
                .collect();
            let moved: Vec<Duration> = of(&all, MOVEMENT).into_iter().map(|(told, _)| told.at).collect();
            assert!(!moved.is_empty() && !near.is_empty(), "seed {seed}");
            let (before, after) = (Duration::from_secs(4), Duration::from_millis(700));
            for at in &moved {
                let is_seen = near.iter().any(|near| *near >= *at && *near <= *at + after);
                assert!(is_seen || *at + after > Duration::from_secs(120), "seed {seed}: {at:?}");
            }
            for at in &near {
                let is_told = moved.iter().any(|moved| *moved <= *at && *moved + before >= *at);
                assert!(is_told, "seed {seed}: near at {at:?} without a movement");
            }
            assert!(moved.is_sorted_by(|one, next| *next - *one >= Duration::from_millis(BLIND_MS)));
        }
    }

    #[test]
    fn values_are_those_that_the_sensors_can_measure() {
        let all = told(7, 600);
        for (_, value) in of(&all, CLIMATE) {
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            let (temperature, humidity) = (&value["temperature"], &value["humidity"]);
            assert!((0.0..=50.0).contains(&temperature.as_f64().unwrap()), "{value}");
            assert!((20..=90).contains(&humidity.as_u64().unwrap()), "{value}");
        }
        assert!(of(&all, DISTANCE).iter().all(|(_, value)| (2.0..=400.0).contains(&distance(value))));
    }

    fn distance(value: &str) -> f64 {
        serde_json::from_str::<serde_json::Value>(value).unwrap()["distance"].as_f64().unwrap()
    }
}
