//! Mean and spread of what is usual, for the detectors that measure in standard deviations.
//!
//! Rows are counted alike until `memory` of them are known (Welford, Note on a Method for Calculating Corrected Sums of Squares
//! and Products, Technometrics 1962); from then on each new row weighs 1/`memory` and the older ones fade (West, Updating Mean and
//! Variance Estimates, CACM 1979). What must stay true:
//!
//! * an odd row is learned as if it stood at the threshold, so that one spike neither moves the mean far nor blinds the detector;
//! * what lasts is usual: after `warm_up` odd rows in a row the baseline begins anew with them, so no key alarms for ever.

use forebay_core::Result;

use super::bytes::Tape;
use super::normal;
use super::per_key::Row;
use super::verdict::{Verdict, When, Why};

/// Mean and variance; the state of one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Baseline {
    rows: f64,
    pub mean: f64,
    variance: f64,
    odd_rows: f64,
}

/// What the user chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learning {
    /// Rows before the first verdict.
    pub warm_up: f64,
    /// Rows that are remembered.
    pub memory: f64,
    /// Standard deviations beyond which a row is odd.
    pub threshold: f64,
}

impl Baseline {
    /// True once enough rows are known.
    pub fn ready(&self, learning: &Learning) -> bool {
        self.rows >= learning.warm_up
    }

    /// The standard deviation; never 0, so that a value which was constant gives large, finite scores when it moves.
    pub fn spread(&self) -> f64 {
        let unbiased =
            if self.rows > 1.5 { self.variance * self.rows / (self.rows - 1.0) } else { self.variance };
        unbiased.sqrt().max(self.mean.abs() * 1e-9).max(1e-12)
    }

    /// How many standard deviations `x` is above the mean, within ±1e9.
    pub fn z(&self, x: f64) -> f64 {
        ((x - self.mean) / self.spread()).clamp(-1e9, 1e9)
    }

    /// Learns a row whose distance is `z`. True if it began anew.
    pub fn learn(&mut self, learning: &Learning, x: f64, z: f64) -> bool {
        if !self.ready(learning) || z.abs() <= learning.threshold {
            self.odd_rows = 0.0;
            self.add(learning.memory, x);
            return false;
        }
        self.odd_rows += 1.0;
        if self.odd_rows >= learning.warm_up {
            *self = Self::default();
            self.add(learning.memory, x);
            return true;
        }
        self.add(learning.memory, self.mean + self.spread() * learning.threshold.copysign(z));
        false
    }

    /// Judges a row by its distance, and then learns it, unless it is late. `when` is what "usual" is about.
    pub fn judge(&mut self, learning: &Learning, row: Row<'_>, when: When) -> Verdict {
        let (ready, z) = (self.ready(learning), self.z(row.x));
        let (usual, spread) = (self.mean, self.spread());
        if !row.late {
            self.learn(learning, row.x, z);
        }
        if !ready {
            return Verdict::SILENT;
        }
        Verdict {
            score: z.abs(),
            likelihood: normal::within(z),
            anomalous: z.abs() > learning.threshold,
            why: Why::Value { input: 0, value: row.x, usual, spread, when },
        }
    }

    fn add(&mut self, memory: f64, x: f64) {
        self.rows = (self.rows + 1.0).min(memory);
        let weight = self.rows.recip();
        let off = x - self.mean;
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
        if !(self.mean.is_finite() && self.variance.is_finite()) {
            // Values near the ends of their range: their squares have no room.
            *self = Self::default();
        }
    }

    /// Saves or loads.
    pub fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        tape.f64(&mut self.rows)?;
        tape.f64(&mut self.mean)?;
        tape.f64(&mut self.variance)?;
        tape.f64(&mut self.odd_rows)
    }
}
