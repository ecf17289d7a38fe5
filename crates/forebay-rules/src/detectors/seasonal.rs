//! The seasonal profile: a value against the same hour of other days, or of the same day in other weeks.
//!
//! The additive seasonal model of Winters (Forecasting Sales by Exponentially Weighted Moving Averages, Management Science 1960) with
//! slots of the calendar for seasons and without a trend: a value is level + season of its hour + rest. Rows need not be equally
//! spaced: the level follows over about a season by the time that passes, and an hour's season is corrected once for each visit by the
//! mean of the visit's rows, with weight 1/visits and at least γ. Each hour has a spread of its own, mixed with that of all hours while it has few
//! rows. An hour that was visited fewer than twice says nothing. Hours are UTC's, shifted by `offset_hours`. Cost: some 30 ns a row.

use forebay_core::Result;

use super::bytes::Tape;
use super::normal;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When, Why};

const HOUR_US: i64 = 3_600_000_000;
/// Rows that the spread of all hours counts for in that of one.
const PRIOR_ROWS: f64 = 8.0;

#[derive(Debug)]
pub(crate) struct Seasonal {
    /// 24 or 168.
    pub slots: usize,
    pub gamma: f64,
    pub threshold: f64,
    pub offset_us: i64,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    season: f64,
    variance: f64,
    rows: f64,
    visits: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    slots: Vec<Slot>,
    level: f64,
    rows: f64,
    variance: f64,
    /// The visit that is going on: which hour since 1970, how many rows, the sum of their deviations from the level.
    hour: i64,
    visit_rows: f64,
    visit_sum: f64,
}

impl Seasonal {
    fn hour(&self, at: i64) -> i64 {
        at.saturating_add(self.offset_us).div_euclid(HOUR_US)
    }

    /// 1970 began on a Thursday; which day a week begins with does not matter here.
    fn slot(&self, hour: i64) -> usize {
        let slots = i64::try_from(self.slots).unwrap_or(24);
        usize::try_from(hour.rem_euclid(slots)).unwrap_or(0)
    }

    /// The visit is over: its mean corrects the season of its hour.
    fn close_visit(&self, key: &mut Profile) {
        if key.visit_rows > 0.0 {
            let mean = key.visit_sum / key.visit_rows;
            let index = self.slot(key.hour);
            if let Some(slot) = key.slots.get_mut(index) {
                slot.visits += 1.0;
                slot.season += (mean - slot.season) * slot.visits.recip().max(self.gamma);
            }
        }
        (key.visit_rows, key.visit_sum) = (0.0, 0.0);
    }

    fn learn(&self, key: &mut Profile, row: Row<'_>, rest: f64, ready: bool, spread: f64) {
        let hour = self.hour(row.at);
        if hour != key.hour {
            self.close_visit(key);
            key.hour = hour;
        }
        let seasons = row.since as f64 / (HOUR_US as f64 * self.slots as f64);
        key.rows += 1.0;
        // Until a season has passed the level is the plain mean.
        let follow = (1.0 - (-seasons).exp()).max(if ready { 0.0 } else { key.rows.recip() });
        let index = self.slot(hour);
        let Some(slot) = key.slots.get_mut(index) else { return };
        let rest = if ready { rest.clamp(-self.threshold * spread, self.threshold * spread) } else { rest };
        key.visit_rows += 1.0;
        key.visit_sum += slot.season + rest;
        if slot.visits >= 1.0 {
            slot.rows = (slot.rows + 1.0).min(200.0);
            slot.variance += (rest * rest - slot.variance) / slot.rows;
            key.variance += (rest * rest - key.variance) / key.rows.clamp(1.0, 2_000.0);
        }
        key.level += follow * rest;
        if !(key.level.is_finite() && key.variance.is_finite() && key.visit_sum.is_finite()) {
            *key = self.fresh();
        }
    }
}

impl Model for Seasonal {
    const NAME: &'static str = "seasonal";
    const VERSION: u32 = 1;
    type Key = Profile;

    fn fresh(&self) -> Profile {
        Profile {
            slots: vec![Slot::default(); self.slots],
            level: 0.0,
            rows: 0.0,
            variance: 0.0,
            hour: i64::MIN,
            visit_rows: 0.0,
            visit_sum: 0.0,
        }
    }

    fn step(&self, key: &mut Profile, row: Row<'_>) -> Verdict {
        let slot = key.slots.get(self.slot(self.hour(row.at))).cloned().unwrap_or_default();
        let usual = key.level + slot.season;
        let rest = row.x - usual;
        let variance = (slot.variance * slot.rows + key.variance * PRIOR_ROWS) / (slot.rows + PRIOR_ROWS);
        let spread = variance.sqrt().max(usual.abs() * 1e-9).max(1e-12);
        let ready = slot.visits >= 2.0;
        if !row.late {
            self.learn(key, row, rest, ready, spread);
        }
        if !ready {
            return Verdict::SILENT;
        }
        let score = (rest.abs() / spread).min(1e9);
        let when = if self.slots > 24 { When::HourOfWeek } else { When::Hour };
        let why = Why::Value { input: 0, value: row.x, usual, spread, when };
        Verdict { score, likelihood: normal::within(score), anomalous: score > self.threshold, why }
    }

    fn tape(&self, key: &mut Profile, tape: &mut Tape<'_>) -> Result<()> {
        for slot in &mut key.slots {
            tape.f64(&mut slot.season)?;
            tape.f64(&mut slot.variance)?;
            tape.f64(&mut slot.rows)?;
            tape.f64(&mut slot.visits)?;
        }
        tape.f64(&mut key.level)?;
        tape.f64(&mut key.rows)?;
        tape.f64(&mut key.variance)?;
        tape.i64(&mut key.hour)?;
        tape.f64(&mut key.visit_rows)?;
        tape.f64(&mut key.visit_sum)
    }

    fn heap_per_key(&self) -> usize {
        self.slots * size_of::<Slot>()
    }
}
