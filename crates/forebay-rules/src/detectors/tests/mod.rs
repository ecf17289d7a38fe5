//! What every detector promises, for all kinds at once; and who must find what.

mod classes;
mod judging;
mod promises;
mod reading;
mod trained;

use super::random::Random;
use super::{Detector, KINDS, NO_TIME, Rows, Verdicts, detector};

/// Settings with which a kind is quick to warm up.
fn quick(name: &str) -> &'static [(&'static str, f64)] {
    match name {
        "half_space_trees" => &[("window", 40.0), ("depth", 4.0), ("trees", 5.0)],
        "holt_winters" => &[("period", 3.0)],
        "seasonal" => &[("days", 1.0)],
        "robust_z" => &[("window", 50.0)],
        _ => &[],
    }
}

/// A detector of each kind that learns as it goes, quick to warm up.
fn every_kind() -> Vec<Box<dyn Detector>> {
    let inputs = |several: bool| if several { 3 } else { 1 };
    let made = KINDS.iter().map(|kind| detector(kind.name, inputs(kind.several), quick(kind.name), 100));
    made.collect::<Result<_, _>>().unwrap()
}

/// Rows of some keys with all that is awkward: spikes, repeats, missing values, late rows, rows without a time, huge numbers.
#[derive(Clone, Default)]
struct Table {
    keys: Vec<u32>,
    at: Vec<i64>,
    columns: [Vec<f64>; 3],
}

impl Table {
    fn awkward(seed: u64, rows: usize) -> Self {
        let (mut random, mut table, mut now) = (Random(seed), Self::default(), 1_700_000_000_000_000);
        for _ in 0..rows {
            now += 400_000_000 + i64::try_from(random.below(400_000_000)).unwrap();
            let at = match random.below(40) {
                0 => NO_TIME,
                1 => now - 3_600_000_000,
                2 => now + 20_000_000_000,
                _ => now,
            };
            table.keys.push(u32::try_from(random.below(3)).unwrap());
            table.at.push(at);
            for column in &mut table.columns {
                column.push(match random.below(60) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => 1e3,
                    3 => 1e307 * random.normal(),
                    4..=9 => 20.0,
                    _ => 20.0 + random.normal(),
                });
            }
        }
        table
    }

    /// The verdicts, bit by bit, of these rows in batches of the lengths that `next` gives.
    fn judged(
        &self,
        detector: &mut dyn Detector,
        mut next: impl FnMut() -> usize,
    ) -> Vec<(u64, u64, bool, String)> {
        let (mut out, mut verdicts, mut first) = (Vec::new(), Verdicts::default(), 0);
        while first < self.keys.len() {
            let after = (first + next()).min(self.keys.len());
            let inputs: Vec<&[f64]> =
                self.columns.iter().take(detector.inputs()).map(|column| &column[first..after]).collect();
            let rows = Rows { keys: &self.keys[first..after], at: &self.at[first..after], inputs: &inputs };
            detector.observe(&rows, &mut verdicts).unwrap();
            for row in 0..verdicts.len() {
                let why = verdicts.whys.iter().find(|(at, _)| *at == row).map(|(_, why)| format!("{why:?}"));
                let (score, likelihood) = (verdicts.scores[row], verdicts.likelihoods[row]);
                assert!(score.is_nan() == likelihood.is_nan(), "{}: {score} {likelihood}", detector.name());
                assert!(
                    score.is_nan() || (0.0..=1.0).contains(&likelihood),
                    "{}: {likelihood}",
                    detector.name()
                );
                let bits = (score.to_bits(), likelihood.to_bits());
                out.push((bits.0, bits.1, verdicts.anomalous[row], why.unwrap_or_default()));
            }
            first = after;
        }
        out
    }

    fn rows(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            keys: self.keys[range.clone()].to_vec(),
            at: self.at[range.clone()].to_vec(),
            columns: self.columns.clone().map(|column| column[range.clone()].to_vec()),
        }
    }

    fn of_key(&self, key: u32) -> Self {
        let mut table = Self::default();
        for row in (0..self.keys.len()).filter(|row| self.keys[*row] == key) {
            table.keys.push(key);
            table.at.push(self.at[row]);
            for (to, from) in table.columns.iter_mut().zip(&self.columns) {
                to.push(from[row]);
            }
        }
        table
    }
}
