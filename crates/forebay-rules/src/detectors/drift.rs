//! CUSUM and Page-Hinkley: small deviations to one side that add up.
//!
//! * **CUSUM** (Page, Continuous Inspection Schemes, Biometrika 1954): with deviations d in standard deviations,
//!   `up ← max(0, up + d - k)`, `down ← max(0, down - d - k)`; an alarm beyond h.
//! * **Page-Hinkley** (Hinkley, Inference about the Change-Point from Cumulative Sum Tests, Biometrika 1971): the sum of `d - δ`
//!   against its lowest point so far, and of `d + δ` against its highest; an alarm beyond λ. Here d is measured from the running mean
//!   of all rows since the last alarm, so no baseline must be known beforehand.
//!
//! The score is the larger of both sides over the alarm's limit. The likelihood is that of a random walk with this slope staying
//! below: `1 - e^(-2 k (s + 1.166))` (Siegmund, Sequential Analysis, 1985). After an alarm the sums start again at 0. Both count a row
//! for at most six standard deviations, so that a spike alone is no drift. Cost: some 25 ns a row.

use forebay_core::Result;

use super::baseline::{Baseline, Learning};
use super::bytes::Tape;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, Why};

/// What a single row counts at most, in standard deviations.
const MOST: f64 = 6.0;

#[derive(Debug)]
pub(crate) struct Cusum {
    pub learning: Learning,
    pub slack: f64,
    pub limit: f64,
}

#[derive(Debug)]
pub(crate) struct PageHinkley {
    pub learning: Learning,
    pub slack: f64,
    pub limit: f64,
}

/// A baseline and a sum for each side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    base: Baseline,
    up: f64,
    down: f64,
}

impl Sums {
    fn tape(&mut self, tape: &mut Tape<'_>) -> Result<()> {
        self.base.tape(tape)?;
        tape.f64(&mut self.up)?;
        tape.f64(&mut self.down)
    }

    /// Adds a deviation. The sum against its lowest point is the same number as one that never falls below 0.
    fn add(&mut self, z: f64, slack: f64, limit: f64, x: f64, usual: f64) -> Verdict {
        let z = z.clamp(-MOST, MOST);
        self.up = (self.up + z - slack).max(0.0);
        self.down = (self.down - z - slack).max(0.0);
        let sum = self.up.max(self.down);
        let up = self.up >= self.down;
        let anomalous = sum > limit;
        if anomalous {
            (self.up, self.down) = (0.0, 0.0);
        }
        let likelihood = if sum > 0.0 { 1.0 - (-2.0 * slack * (sum + 1.166)).exp() } else { 0.0 };
        Verdict { score: sum / limit, likelihood, anomalous, why: Why::Drift { value: x, usual, up } }
    }
}

impl Model for Cusum {
    const NAME: &'static str = "cusum";
    const VERSION: u32 = 1;
    type Key = Sums;

    fn fresh(&self) -> Sums {
        Sums::default()
    }

    fn step(&self, key: &mut Sums, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        let (ready, z, usual) = (key.base.ready(&self.learning), key.base.z(row.x), key.base.mean);
        if key.base.learn(&self.learning, row.x, z) || !ready {
            (key.up, key.down) = (0.0, 0.0);
            return Verdict::SILENT;
        }
        key.add(z, self.slack, self.limit, row.x, usual)
    }

    fn tape(&self, key: &mut Sums, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}

impl Model for PageHinkley {
    const NAME: &'static str = "page_hinkley";
    const VERSION: u32 = 1;
    type Key = Sums;

    fn fresh(&self) -> Sums {
        Sums::default()
    }

    fn step(&self, key: &mut Sums, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        let (ready, z) = (key.base.ready(&self.learning), key.base.z(row.x));
        // The mean is that of all rows, this one included, as in Hinkley's test.
        let anew = key.base.learn(&self.learning, row.x, z);
        if anew || !ready {
            (key.up, key.down) = (0.0, 0.0);
            return Verdict::SILENT;
        }
        let (z, usual) = (key.base.z(row.x), key.base.mean);
        let verdict = key.add(z, self.slack, self.limit, row.x, usual);
        if verdict.anomalous {
            key.base = Baseline::default();
        }
        verdict
    }

    fn tape(&self, key: &mut Sums, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}
