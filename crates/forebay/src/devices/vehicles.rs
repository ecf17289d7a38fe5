//! A fleet of vehicles with the fields of seed 003's producer: trips over roads, and on demand what goes wrong on them, with
//! the truth about it.
//!
//! ```text
//!  vehicles in turns ──▶ report ──▶ damaged? ──▶ raw_telemetry
//!        ▲                  │           │
//!    a fault of its own ────┴───────────┴──────▶ --truth TOPIC: what was wrong, when, on which vehicle
//! ```
//!
//! Time here is the fleet's own: at a rate of 20 events a second that of the clock; where as many are made as go, each vehicle
//! reports once a second, and with `--count` the last report is of now. So speeds fit distances, whatever the rate.
//!
//! What must stay true: everything but the time of the first report follows from the seed. Without a fault nothing is
//! reported that the rules of `examples/fleet.yaml` call one ([`vehicle`]); with one the truth says so ([`faults`]).

mod faults;
mod report;
mod roads;
mod vehicle;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use crate::cli::{Motion, Shape, SimulateArgs};
use faults::{Effect, Schedule, Spell, damaged, rests_until};
use report::{Flaw, Report};
use vehicle::Vehicle;

/// Most vehicles: each remembers where it is.
const MOST: u32 = 1_000_000;

/// Refuses what vehicles cannot do, and for others what only they can.
///
/// # Errors
/// `WRONG_USE`, saying what to leave out.
pub fn check(args: &SimulateArgs, shape: Shape) -> Result<()> {
    let refused = |what: &str, hint: &str| Err(Error::new(&codes::WRONG_USE, what).with_hint(hint));
    if shape != Shape::Fleet {
        return match args.faults.is_empty() && args.truth.is_none() {
            true => Ok(()),
            false => {
                refused("`--faults` and `--truth` are those of vehicles", "Use them with `--shape fleet`.")
            }
        };
    }
    if args.late.is_some() || args.fast_clock > 0.0 {
        let hint = "Leave out `--late` and `--fast-clock`: where a vehicle is belongs to when.";
        return refused("the shape `fleet` has no other clock", hint);
    }
    if args.values == Motion::Wander {
        return refused(
            "the shape `fleet` has no other way to move",
            "Leave out `--values`: vehicles drive.",
        );
    }
    if args.devices > MOST {
        return refused(&format!("at most {MOST} vehicles drive"), "Take fewer `--devices`.");
    }
    if args.truth.as_deref() == Some(args.topic()) {
        return refused("the truth would be among the events", "Give `--truth` a topic of its own.");
    }
    Ok(())
}

/// The vehicles.
pub struct Fleet {
    vehicles: Vec<Vehicle>,
    spells: Vec<Option<Spell>>,
    /// Until when each has no new fault.
    rests: Vec<f64>,
    schedule: Schedule,
    /// Seconds between two reports of the fleet, and since its beginning.
    step: f64,
    now: f64,
    /// When it began, seconds since 1970; known with the first report.
    since: Option<i64>,
    /// How long before the first report it is to begin.
    before: i64,
    turn: usize,
    last: Option<Report>,
    truth: Vec<Vec<u8>>,
    keeps_truth: bool,
}

impl Fleet {
    pub fn new(args: &SimulateArgs, random: &mut fastrand::Rng) -> Self {
        let count = args.devices as usize;
        let step = match args.rate() {
            rate if rate > 0.0 => 1.0 / rate,
            _ => 1.0 / f64::from(args.devices),
        };
        let before = match args.count {
            Some(count) if args.rate() == 0.0 => seconds(0, count as f64 * step),
            _ => 0,
        };
        Self {
            vehicles: (0..count).map(|car| Vehicle::new(car, random)).collect(),
            spells: (0..count).map(|_| None).collect(),
            rests: vec![0.0; count],
            schedule: Schedule::new(&args.faults, random),
            step,
            now: 0.0,
            since: None,
            before,
            turn: 0,
            last: None,
            truth: Vec::new(),
            keeps_truth: args.truth.is_some(),
        }
    }

    pub fn count(&self) -> usize {
        self.vehicles.len()
    }

    /// The next report, written over `value`, and its key behind `key`. True if a fault begins with it.
    pub fn next(
        &mut self,
        now_ms: i64,
        value: &mut Vec<u8>,
        key: &mut Vec<u8>,
        random: &mut fastrand::Rng,
    ) -> bool {
        self.settle();
        let since = match self.since {
            Some(since) => since,
            None => self.begin(now_ms.div_euclid(1_000) - self.before),
        };
        self.now += self.step;
        let (turn, now) = (self.turn, self.now);
        self.turn = (turn + 1) % self.vehicles.len();
        let vehicle = &mut self.vehicles[turn];
        let mut begins = false;
        if self.spells[turn].is_none() && now >= self.rests[turn] {
            self.spells[turn] = self.schedule.due(now, vehicle, random);
            begins = self.spells[turn].is_some();
        }
        let effect = match &mut self.spells[turn] {
            Some(spell) => spell.effect(now, vehicle, random),
            None => Effect::None,
        };
        vehicle.go_on(now, since, effect, random);
        let report = vehicle.report(seconds(since, now), effect, random);
        report.write(None, value);
        report.key(key);
        self.last = Some(report);
        begins
    }

    /// The fleet begins at this second.
    fn begin(&mut self, since: i64) -> i64 {
        self.since = Some(since);
        self.vehicles.iter_mut().for_each(|vehicle| vehicle.begin(since));
        since
    }

    /// Breaks the report that was made last.
    pub fn damage(&mut self, value: &mut Vec<u8>, random: &mut fastrand::Rng) {
        let flaw = Flaw::ALL[random.usize(..Flaw::ALL.len())];
        let Some(report) = self.last.take() else { return };
        report.write(Some(flaw), value);
        if self.keeps_truth {
            self.truth.push(damaged(&report, flaw));
        }
    }

    /// The last report went out whole: the fault of its vehicle has seen it.
    fn settle(&mut self) {
        let Some(report) = self.last.take() else { return };
        let spell = &mut self.spells[report.car];
        if spell.as_mut().is_some_and(|spell| spell.saw(&report))
            && let Some(spell) = spell.take()
        {
            self.rests[report.car] = rests_until(self.now);
            self.tell(&spell, report.car, true);
        }
    }

    fn tell(&mut self, spell: &Spell, car: usize, is_over: bool) {
        if self.keeps_truth {
            self.truth.extend(spell.truth(car, is_over));
        }
    }

    /// The lines of the truth that came since the last time.
    pub fn take_truth(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.truth)
    }

    /// The same at the end, with the faults that are not over.
    pub fn end(&mut self) -> Vec<Vec<u8>> {
        self.settle();
        let spells: Vec<(usize, Spell)> = self
            .spells
            .iter_mut()
            .enumerate()
            .filter_map(|(car, spell)| Some((car, spell.take()?)))
            .collect();
        for (car, spell) in spells {
            self.tell(&spell, car, false);
        }
        self.take_truth()
    }
}

/// A second of the fleet's time as seconds since 1970.
#[allow(clippy::cast_possible_truncation, reason = "seconds of a run, far below what an i64 holds")]
fn seconds(since: i64, now: f64) -> i64 {
    since + now as i64
}

#[cfg(test)]
mod tests;
