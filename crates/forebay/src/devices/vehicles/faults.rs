//! What goes wrong with vehicles on demand, and the truth about it: a line for each fault, with what it was, on which vehicle,
//! from when until when.
//!
//! ```text
//!            begins      shows                 over       forgotten
//!  ──────────┬───────────┬─────────────────────┬──────────┬─────────
//!            │  grows    │ three reports at    │ fades    │
//!            │           │ least, and its time │          │
//!            └─ from ────┴─────────────────────┴─ until ──┘
//! ```
//!
//! What must stay true: what is in the truth was in the records, at the times that it says, and nothing outside of these times
//! was. A fault ends only after three whole reports have shown it, however seldom a vehicle reports and however many are
//! damaged; a vehicle has one at a time, and none for a while after it. The kinds come in turns, so all of them come.

use super::report::{Flaw, Report, car, time, uuid};
use super::roads::Place;
use super::vehicle::{Vehicle, between};
use crate::cli::Fault;

/// Seconds from the start to the first fault, and from the begin of one to that of the next.
const FIRST: (f64, f64) = (3.0, 8.0);
const BETWEEN: (f64, f64) = (6.0, 16.0);
/// Seconds after a fault in which its vehicle has no other: an alert has cleared by then.
const RESTS: f64 = 90.0;
/// Reports that show a fault before it may end.
const SHOWN: u32 = 3;
/// Where a fault begins to show, and where it is over: the limits of the seed, and what its alerts clear at.
const TOO_FAST: (f64, f64) = (140.0, 130.0);
const TOO_HOT: (f64, f64) = (110.0, 100.0);
const TOO_EMPTY: (f64, f64) = (10.0, 20.0);

/// What a fault does to a vehicle at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    None,
    /// It wants to drive so many km/h.
    Speeds(f64),
    /// Its engine wants to be so warm.
    Heats(f64),
    /// So much is left in its tank, and it stands.
    Stolen(f64),
    /// It says that it is where nothing can be.
    Lost(Place),
    /// It says that it is so many kilometres further south.
    Thrown(f64),
}

impl Effect {
    /// The trip goes on as long as it lasts.
    pub fn holds(self) -> bool {
        self != Self::None
    }
}

/// When faults begin, and which.
pub struct Schedule {
    kinds: Vec<Fault>,
    turn: usize,
    next: f64,
}

impl Schedule {
    pub fn new(kinds: &[Fault], random: &mut fastrand::Rng) -> Self {
        let all = kinds.contains(&Fault::All);
        let mut kinds: Vec<Fault> =
            Fault::KINDS.into_iter().filter(|kind| all || kinds.contains(kind)).collect();
        random.shuffle(&mut kinds);
        Self { kinds, turn: 0, next: between(FIRST, random) }
    }

    /// The fault that is due now, if this vehicle can have it.
    pub fn due(&mut self, now: f64, vehicle: &Vehicle, random: &mut fastrand::Rng) -> Option<Spell> {
        let kind = *self.kinds.get(self.turn).filter(|_| now >= self.next)?;
        if !vehicle.is_under_way() || (kind == Fault::FuelTheft && vehicle.fuel < 2.0 * TOO_EMPTY.1) {
            return None;
        }
        self.turn = (self.turn + 1) % self.kinds.len();
        self.next = now + between(BETWEEN, random);
        Some(Spell::new(kind, now, random))
    }
}

/// A fault of a vehicle, and what was seen of it.
pub struct Spell {
    kind: Fault,
    effect: Effect,
    ends: f64,
    is_over: bool,
    shown: u32,
    reports: u32,
    seen: Option<(i64, i64, u128)>,
    /// The worst value that was told; of positions none.
    peak: Option<f64>,
}

impl Spell {
    fn new(kind: Fault, now: f64, random: &mut fastrand::Rng) -> Self {
        let (effect, lasts) = match kind {
            Fault::Overspeed | Fault::All => (Effect::Speeds(between((150.0, 175.0), random)), (15.0, 30.0)),
            Fault::Overheat => (Effect::Heats(between((118.0, 130.0), random)), (40.0, 60.0)),
            Fault::FuelTheft => (Effect::Stolen(between((2.0, 8.0), random)), (20.0, 40.0)),
            Fault::GpsInvalid => (Effect::Lost(nowhere(random)), (5.0, 15.0)),
            Fault::GpsJump => (Effect::Thrown(between((1_200.0, 3_000.0), random)), (8.0, 20.0)),
        };
        let ends = now + between(lasts, random);
        Self { kind, effect, ends, is_over: false, shown: 0, reports: 0, seen: None, peak: None }
    }

    /// What it does from here on. Once it is over it does nothing more, and what it did fades.
    pub fn effect(&mut self, now: f64, vehicle: &mut Vehicle, random: &mut fastrand::Rng) -> Effect {
        if !self.is_over && now >= self.ends && self.shown >= SHOWN {
            self.is_over = true;
            if self.kind == Fault::FuelTheft {
                vehicle.fill_up(random);
            }
        }
        if self.is_over { Effect::None } else { self.effect }
    }

    /// A whole report of its vehicle was sent. True once nothing of it is left; that report does not belong to it any more.
    pub fn saw(&mut self, report: &Report) -> bool {
        let (value, shows, is_gone) = match self.kind {
            Fault::Overspeed | Fault::All => {
                (Some(report.speed), report.speed > TOO_FAST.0, report.speed < TOO_FAST.1)
            }
            Fault::Overheat => {
                (Some(report.temperature), report.temperature > TOO_HOT.0, report.temperature < TOO_HOT.1)
            }
            Fault::FuelTheft => (Some(report.fuel), report.fuel < TOO_EMPTY.0, report.fuel > TOO_EMPTY.1),
            Fault::GpsInvalid | Fault::GpsJump => (None, !self.is_over, self.is_over),
        };
        if self.is_over && is_gone {
            return true;
        }
        self.shown += u32::from(shows);
        self.reports += 1;
        let from = self.seen.map_or(report.at, |(from, _, _)| from);
        self.seen = Some((from, report.at, report.trip.id));
        let worse = |peak: f64, value: f64| {
            if self.kind == Fault::FuelTheft { peak.min(value) } else { peak.max(value) }
        };
        self.peak = value.map(|value| self.peak.map_or(value, |peak| worse(peak, value)));
        false
    }

    /// Its line of the truth; `None` if nobody saw it.
    pub fn truth(&self, index: usize, is_over: bool) -> Option<Vec<u8>> {
        let (from, until, trip) = self.seen?;
        let peak = self.peak.map(|peak| format!("{peak:.2}")).unwrap_or_else(|| "null".to_owned());
        Some(
            format!(
                "{{\"fault\": \"{}\", \"car_id\": \"{}\", \"trip_id\": \"{}\", \"from\": \"{}\", \"until\": \"{}\", \
                 \"reports\": {}, \"shown\": {}, \"peak\": {peak}, \"over\": {is_over}}}",
                self.kind.word(),
                car(index),
                uuid(trip),
                time(from),
                time(until),
                self.reports,
                self.shown,
            )
            .into_bytes(),
        )
    }
}

/// The line of the truth of a damaged record.
pub fn damaged(report: &Report, flaw: Flaw) -> Vec<u8> {
    let at = time(report.at);
    format!(
        "{{\"fault\": \"corrupt\", \"car_id\": \"{}\", \"trip_id\": \"{}\", \"from\": \"{at}\", \"until\": \"{at}\", \
         \"how\": \"{}\", \"code\": \"{}\"}}",
        report.car(),
        uuid(report.trip.id),
        flaw.word(),
        flaw.code(),
    )
    .into_bytes()
}

/// Seconds after a fault in which its vehicle has no other.
pub fn rests_until(now: f64) -> f64 {
    now + RESTS
}

/// A place that no map has.
fn nowhere(random: &mut fastrand::Rng) -> Place {
    let beyond = |edge: f64, random: &mut fastrand::Rng| edge + between((1.0, 400.0), random);
    match random.u8(0..3) {
        0 => Place { latitude: beyond(90.0, random), longitude: 50.1 },
        1 => Place { latitude: 26.3, longitude: -beyond(180.0, random) },
        _ => Place { latitude: 999.0, longitude: 999.0 },
    }
}
