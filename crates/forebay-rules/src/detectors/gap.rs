//! The gap: a row that comes much later than the rows of its key usually do.
//!
//! The logarithm of the time between two rows is compared with its mean and spread (intervals are taken to be log-normal: Crow and Shimizu,
//! Lognormal Distributions, 1988); the spread is at least 0.1, so that a perfect beat does not make jitter odd. A row is odd if
//! it is beyond `threshold` deviations and the wait was `factor` times the usual or more. The gap is told by the row that ends it; that
//! a key is silent at this moment is told by the watermark and is the business of no-data rules. Cost: a logarithm, some 30 ns a row.

use forebay_core::Result;

use super::baseline::{Baseline, Learning};
use super::bytes::Tape;
use super::normal;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, Why};

/// The least spread of the logarithm of intervals.
const LEAST_SPREAD: f64 = 0.1;

#[derive(Debug)]
pub(crate) struct Gap {
    pub learning: Learning,
    pub factor: f64,
}

/// Judges the time since the row before: deviations and the usual interval.
pub(crate) fn judge(intervals: &mut Baseline, learning: &Learning, since: i64) -> Option<(f64, f64)> {
    if since <= 0 {
        return None;
    }
    let log = (since as f64).ln();
    let ready = intervals.ready(learning);
    let (usual, spread) = (intervals.mean, intervals.spread().max(LEAST_SPREAD));
    let z = (log - usual) / spread;
    intervals.learn(learning, log, z);
    ready.then_some((z, usual.exp()))
}

impl Model for Gap {
    const NAME: &'static str = "gap";
    const VERSION: u32 = 1;
    type Key = Baseline;

    fn fresh(&self) -> Baseline {
        Baseline::default()
    }

    fn step(&self, key: &mut Baseline, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        let Some((z, usual)) = judge(key, &self.learning, row.since) else { return Verdict::SILENT };
        let (times, usual) = (row.since as f64 / usual, usual as i64);
        let z = z.max(0.0);
        Verdict {
            score: times,
            likelihood: normal::within(z),
            anomalous: z > self.learning.threshold && times >= self.factor,
            why: Why::Gap { lasted: row.since, usual },
        }
    }

    fn tape(&self, key: &mut Baseline, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}
