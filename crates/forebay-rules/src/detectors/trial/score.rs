//! The measures: precision, recall, F1, and a score that prefers the early.
//!
//! A row is in a window if its time is. In the first `min(15 %, 750)` rows of a series a detector may learn; flags there do not count, nor do
//! windows that end there. Of what is left:
//!
//! * **true** are windows with a flag, **missed** those without one, **false** flags outside of all windows, each by itself;
//! * precision = true / (true + false), recall = true / (true + missed), F1 their harmonic mean;
//! * the **early score** follows the Numenta Anomaly Benchmark (Lavin and Ahmad, Evaluating Real-Time Anomaly Detection Algorithms, ICMLA 2015).
//!   With `σ(y) = 2 / (1 + e^(5y)) - 1`, a window gives σ(y) for its first flag, where y runs from -1 at the window's first
//!   row to 0 at its last, or -1 if there is none. A flag outside costs: `0.11 σ(y)`, where y is its distance in rows behind the end of the
//!   window before it, in lengths of that window, at most 3; -0.11 before the first window. The sum is put on a
//!   scale on which a detector that never flags has 0 and one that flags each window's first row alone has 100. In series without
//!   windows each flag costs 0.11 and the scale is that of one window.

use super::Series;

/// The share and the most rows of a series in which flags do not count.
const LEARNING_SHARE: f64 = 0.15;
const LEARNING_MOST: f64 = 750.0;
/// The weight of a flag outside of all windows.
const FALSE_WEIGHT: f64 = 0.11;

/// Counts of one series or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Windows with a flag.
    pub hits: u32,
    /// Windows without one.
    pub missed: u32,
    /// Flags outside of all windows.
    pub false_flags: u32,
    /// The sum that [`Tally::early`] puts on its scale.
    pub sum: f64,
}

/// What a detector achieved.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each series and its counts.
    pub series: Vec<(String, Tally)>,
}

impl Report {
    /// All series together.
    pub fn total(&self) -> Tally {
        self.series.iter().fold(Tally::default(), |sum, (_, tally)| Tally {
            hits: sum.hits + tally.hits,
            missed: sum.missed + tally.missed,
            false_flags: sum.false_flags + tally.false_flags,
            sum: sum.sum + tally.sum,
        })
    }
}

impl Tally {
    /// The share of alarms that were right; 1 if there were none.
    pub fn precision(&self) -> f64 {
        share(self.hits, self.false_flags)
    }

    /// The share of windows that were found; 1 if there are none.
    pub fn recall(&self) -> f64 {
        share(self.hits, self.missed)
    }

    /// The harmonic mean of both.
    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
    }

    /// The early score: 0 for silence, 100 for perfection, below 0 for noise.
    pub fn early(&self) -> f64 {
        let windows = f64::from(self.hits + self.missed);
        let (silent, perfect) = (-windows, windows.max(1.0) * sigmoid(-1.0));
        if windows == 0.0 {
            return 100.0 * self.sum / perfect;
        }
        100.0 * (self.sum - silent) / (perfect - silent)
    }
}

fn share(right: u32, wrong: u32) -> f64 {
    if right + wrong == 0 { 1.0 } else { f64::from(right) / f64::from(right + wrong) }
}

fn sigmoid(y: f64) -> f64 {
    2.0 / (1.0 + (5.0 * y).exp()) - 1.0
}

/// The rows of a window: the first, and one past the last.
fn rows_of(series: &Series, window: (i64, i64)) -> (usize, usize) {
    let first = series.at.iter().position(|at| *at >= window.0).unwrap_or(series.at.len());
    let after = series.at.iter().rposition(|at| *at <= window.1).map_or(0, |last| last + 1);
    (first, after.max(first))
}

/// Counts the flags of a series; `flags` are row numbers in order.
pub fn tally(series: &Series, flags: &[usize]) -> Tally {
    let learning = (series.at.len() as f64 * LEARNING_SHARE).min(LEARNING_MOST) as usize;
    let windows: Vec<(usize, usize)> = series
        .windows
        .iter()
        .map(|window| rows_of(series, *window))
        .filter(|(first, after)| *after > learning && after > first)
        .collect();
    let mut tally = Tally::default();
    let mut found = vec![false; windows.len()];
    for flag in flags.iter().copied().filter(|flag| *flag >= learning) {
        if let Some(index) = windows.iter().position(|(first, after)| (*first..*after).contains(&flag)) {
            if let (Some(found), Some((first, after))) = (found.get_mut(index), windows.get(index))
                && !*found
            {
                *found = true;
                let length = (after - first - 1).max(1) as f64;
                tally.hits += 1;
                tally.sum += sigmoid((flag - first) as f64 / length - 1.0);
            }
            continue;
        }
        tally.false_flags += 1;
        let before = windows.iter().rev().find(|(_, after)| *after <= flag);
        let cost = before.map_or(-1.0, |(first, after)| {
            let length = (after - first - 1).max(1) as f64;
            sigmoid(((flag + 1 - after) as f64 / length).min(3.0))
        });
        tally.sum += FALSE_WEIGHT * cost;
    }
    tally.missed = u32::try_from(found.iter().filter(|found| !**found).count()).unwrap_or(u32::MAX);
    tally.sum -= f64::from(tally.missed);
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 rows a second apart; windows are rows 40..=49 and 70..=79.
    fn series() -> Series {
        let at = (0..100).map(|second| second * 1_000_000).collect();
        let windows = vec![(40_000_000, 49_000_000), (70_000_000, 79_000_000)];
        Series { name: String::new(), at, values: vec![0.0; 100], windows }
    }

    #[test]
    fn silence_is_nothing_and_perfection_a_hundred() {
        assert!(tally(&series(), &[]).early().abs() < 1e-9);
        assert!((tally(&series(), &[40, 70]).early() - 100.0).abs() < 1e-9);
        assert_eq!(tally(&series(), &[40, 41, 49, 70]).false_flags, 0, "a window counts once");
    }

    #[test]
    fn the_early_count_more_and_the_false_cost() {
        let early = |flags: &[usize]| tally(&series(), flags).early();
        assert!(early(&[40, 70]) > early(&[44, 70]));
        assert!(early(&[44, 70]) > early(&[49, 70]));
        assert!(early(&[40, 50, 70]) > early(&[40, 65, 70]), "just behind a window costs less");
        assert!(early(&[40, 70]) > early(&[20, 40, 70]));
        let wrong = tally(&series(), &[14, 15, 30, 75]);
        assert_eq!(
            (wrong.hits, wrong.missed, wrong.false_flags),
            (1, 1, 2),
            "row 14 is within the first 15 %"
        );
        assert!((wrong.precision() - 1.0 / 3.0).abs() < 1e-9 && (wrong.recall() - 0.5).abs() < 1e-9);
    }
}
