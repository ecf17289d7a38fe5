//! The stuck sensor: a value that no longer changes, although it usually does.
//!
//! A run is a stretch of rows within `tolerance` of its first value. Of the rows before the run it is known how often a value repeated
//! the one before; with that chance p, r repeats in a row have the chance p^r (a geometric distribution of run lengths:
//! Feller, An Introduction to Probability Theory and Its Applications, 1968, XIII). The score is r over `rows`. A row is odd if the
//! run has `rows` repeats or more, lasts `seconds` or more, and has a chance below 1e-6: a counter that mostly stands at zero is
//! not stuck. Told once a run. Cost: some 15 ns a row.

use forebay_core::Result;

use super::bytes::Tape;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, Why};

/// The chance below which a run does not happen by itself.
const BY_CHANCE: f64 = 1e-6;
/// Pairs of rows that are remembered.
const MEMORY: f64 = 2_000.0;
/// A run that was told counts for so many repeats, or four times the longest before: the next one like it is told too, the one after is not.
const TOLD: f64 = 10.0;
/// Pairs before the first verdict.
const WARM_UP: f64 = 20.0;

#[derive(Debug)]
pub(crate) struct Stuck {
    pub rows: f64,
    pub tolerance: f64,
    pub lasting_us: i64,
}

/// The state of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    value: f64,
    since: i64,
    pub repeats: f64,
    pub told: f64,
    /// Pairs of rows before this run, and how many of them were repeats.
    pairs: f64,
    repeated: f64,
    /// Repeats of the longest run before.
    longest: f64,
}

impl Run {
    /// Takes a row; true if it repeats.
    pub fn take(&mut self, at: i64, x: f64, tolerance: f64) -> bool {
        let first = self.pairs == 0.0 && self.repeats == 0.0 && self.since == 0 && self.value == 0.0;
        if !first && (x - self.value).abs() <= tolerance {
            self.repeats += 1.0;
            return true;
        }
        // A run counts for 50 repeats at most: a stuck sensor must not teach that being stuck is usual.
        let repeats = self.repeats.min(50.0);
        let new = if self.told > 0.0 { TOLD } else { 50.0 };
        self.longest = self.longest.max(self.repeats.min(4.0 * self.longest + new));
        self.pairs += repeats + 1.0;
        self.repeated += repeats;
        if self.pairs > MEMORY {
            let fade = MEMORY / self.pairs;
            self.pairs *= fade;
            self.repeated *= fade;
        }
        (self.value, self.since, self.repeats, self.told) = (x, at, 0.0, 0.0);
        false
    }

    /// The chance of a run as long as this one, if enough is known; half a repeat is taken to have been seen. One that is
    /// less than three times the longest before has none below 1e-3, because runs may come in clusters.
    pub fn chance(&self) -> Option<f64> {
        let share = (self.repeated + 0.5) / (self.pairs + 1.0);
        let chance = share.powf(self.repeats);
        (self.pairs >= WARM_UP).then_some(if self.repeats > 3.0 * self.longest {
            chance
        } else {
            chance.max(1e-3)
        })
    }

    /// Saves or loads.
    pub fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        tape.f64(&mut self.value)?;
        tape.i64(&mut self.since)?;
        tape.f64(&mut self.repeats)?;
        tape.f64(&mut self.told)?;
        tape.f64(&mut self.pairs)?;
        tape.f64(&mut self.repeated)?;
        tape.f64(&mut self.longest)
    }

    /// What to say of it.
    pub fn why(&self, at: i64) -> Why {
        Why::Stuck { value: self.value, rows: self.repeats as u32 + 1, lasted: at.saturating_sub(self.since) }
    }
}

impl Model for Stuck {
    const NAME: &'static str = "stuck";
    const VERSION: u32 = 1;
    type Key = Run;

    fn fresh(&self) -> Run {
        Run::default()
    }

    fn step(&self, key: &mut Run, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        key.take(row.at, row.x, self.tolerance);
        let Some(chance) = key.chance() else { return Verdict::SILENT };
        let long = key.repeats >= self.rows && row.at.saturating_sub(key.since) >= self.lasting_us;
        let anomalous = long && chance < BY_CHANCE && key.told == 0.0;
        if anomalous {
            key.told = 1.0;
        }
        let score = key.repeats / self.rows;
        Verdict { score, likelihood: 1.0 - chance, anomalous, why: key.why(row.at) }
    }

    fn tape(&self, key: &mut Run, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}
