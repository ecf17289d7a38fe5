//! The robust z-score: distance from the median of a sliding window, in median absolute deviations.
//!
//! Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993: `0.6745 (x - median) / MAD`, odd beyond 3.5; where
//! more than half of the window is one value and MAD is 0, `(x - median) / (1.2533 · mean absolute deviation)`. A half of the window may be
//! spikes without moving it, so all rows are learned. The window is kept twice, by age and by size: a
//! row moves part of the sorted one (a copy of some hundred bytes), and the MAD is found by halving, because the deviations
//! to both sides of the median are sorted already. Cost: some 180 ns a row at 256 rows.

use forebay_core::Result;

use super::bytes::Tape;
use super::normal;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When, Why};

/// What makes MAD and mean deviation of a normal distribution its standard deviation.
const OF_MAD: f64 = 1.482_602_218_505_602;
const OF_MEAN: f64 = 1.253_314_137_315_5;

#[derive(Debug)]
pub(crate) struct Robust {
    pub window: usize,
    pub warm_up: usize,
    pub threshold: f64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// By age, a ring once it is full.
    ring: Vec<f64>,
    oldest: usize,
    sorted: Vec<f64>,
}

impl Window {
    fn add(&mut self, x: f64, most: usize) {
        if self.ring.len() < most {
            self.ring.push(x);
        } else if let Some(slot) = self.ring.get_mut(self.oldest) {
            let gone = std::mem::replace(slot, x);
            self.oldest = (self.oldest + 1) % most;
            let at = self.sorted.partition_point(|value| *value < gone);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        let at = self.sorted.partition_point(|value| *value < x);
        self.sorted.insert(at, x);
    }

    fn at(&self, index: usize) -> f64 {
        self.sorted.get(index).copied().unwrap_or(0.0)
    }

    /// The median, of an even number the lower one.
    fn median(&self) -> f64 {
        self.at(self.sorted.len().saturating_sub(1) / 2)
    }

    /// The standard deviation that half of the window speaks for; never 0.
    fn spread(&self) -> f64 {
        let median = self.median();
        let mad = self.mad(median) * OF_MAD;
        let floor = (median.abs() * 1e-9).max(1e-12);
        if mad > floor {
            return mad;
        }
        let sum: f64 = self.sorted.iter().map(|value| (value - median).abs()).sum();
        let mean = sum / self.sorted.len().max(1) as f64;
        (mean * OF_MEAN).max(floor)
    }

    /// The median of the deviations: the smallest d for which half of the window lies within ± d. Both sides of the median are
    /// sorted by deviation, so the d is found in a merge of two sorted lists.
    fn mad(&self, median: f64) -> f64 {
        let middle = self.sorted.len().saturating_sub(1) / 2;
        let wanted = middle; // Deviations that may be smaller.
        let below = middle + 1; // Values at or below the median, nearest last.
        let above = self.sorted.len() - below.min(self.sorted.len());
        // How many come from below; the others come from above.
        let (mut low, mut high) = (0, (wanted + 1).min(below));
        let (take_low, take_high) =
            (|i: usize| median - self.at(middle - i), |i: usize| self.at(below + i) - median);
        while low < high {
            let mid = usize::midpoint(low, high);
            let other = wanted - mid;
            if other < above && take_high(other) < take_low(mid) { high = mid } else { low = mid + 1 }
        }
        // `low` deviations from below and `wanted - low + 1` from above are the smallest; the largest of them is the median.
        let from_below = if low > 0 { take_low(low - 1) } else { 0.0 };
        let count_above = (wanted + 1).saturating_sub(low).min(above);
        let from_above = if count_above > 0 { take_high(count_above - 1) } else { 0.0 };
        from_below.max(from_above)
    }
}

impl Model for Robust {
    const NAME: &'static str = "robust_z";
    const VERSION: u32 = 1;
    type Key = Window;

    fn fresh(&self) -> Window {
        Window::default()
    }

    fn step(&self, key: &mut Window, row: Row<'_>) -> Verdict {
        let verdict = if key.sorted.len() >= self.warm_up {
            let (usual, spread) = (key.median(), key.spread());
            let score = ((row.x - usual).abs() / spread).min(1e9);
            let why = Why::Value { input: 0, value: row.x, usual, spread, when: When::Now };
            Verdict { score, likelihood: normal::within(score), anomalous: score > self.threshold, why }
        } else {
            Verdict::SILENT
        };
        if !row.late {
            key.add(row.x, self.window);
        }
        verdict
    }

    fn tape(&self, key: &mut Window, tape: &mut Tape<'_>) -> Result<()> {
        tape.list(&mut key.ring, self.window)?;
        tape.below(&mut key.oldest, key.ring.len())?;
        if let Tape::Load(_) = tape {
            key.sorted.clone_from(&key.ring);
            key.sorted.sort_by(f64::total_cmp);
        }
        Ok(())
    }

    fn heap_per_key(&self) -> usize {
        2 * self.window * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    /// The k-th smallest deviation, the plain way.
    fn plain(values: &[f64]) -> (f64, f64) {
        let middle = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[(values.len() - 1) / 2]
        };
        let median = middle(&mut values.to_vec());
        (median, middle(&mut values.iter().map(|value| (value - median).abs()).collect()))
    }

    #[test]
    fn median_and_mad_of_the_sliding_window_are_those_of_its_values() {
        let mut random = Random(7);
        for most in [1, 2, 3, 8, 33] {
            let (mut window, mut values) = (Window::default(), Vec::new());
            for _ in 0..300 {
                let x = (random.normal() * 4.0).round();
                values.push(x);
                window.add(x, most);
                let last = &values[values.len().saturating_sub(most)..];
                let (median, mad) = plain(last);
                assert_eq!((window.median(), window.mad(window.median())), (median, mad), "{last:?}");
            }
        }
    }
}
