//! Whether the scores of a trained model still are as they were in training.
//!
//! The population stability index over tenths of the training's scores (Siddiqi, Credit Risk Scorecards, 2006): below 0.1 is the same, beyond
//! 0.25 calls for training anew. What must stay true: it looks on and no verdict follows from it, so it may count the rows of
//! a repeated epoch twice, and it begins anew with every start.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Tenths in which scores are counted.
pub(super) const TENTHS: usize = 10;
/// Scores that are remembered: then older ones begin to fade.
const WATCHED: f64 = 10_000.0;
/// Below so many nothing is said: of a hundred scores that are as ever the index is 0.09 on average.
const LEAST: f64 = 100.0;
/// Below so many nobody is warned.
const LEAST_TO_WARN: f64 = 1_000.0;
/// Beyond this somebody is warned, and again only after it was below the other.
const MOVED: f64 = 0.25;
const SAME: f64 = 0.1;

/// Recent scores.
#[derive(Debug, Default)]
pub(super) struct Stability {
    tenths: Mutex<[f64; TENTHS]>,
    is_told: AtomicBool,
}

impl Stability {
    /// Counts scores by the tenths of the training's.
    pub fn add(&self, counted: &[u32; TENTHS]) {
        let mut tenths = self.tenths.lock();
        tenths.iter_mut().zip(counted).for_each(|(sum, count)| *sum += f64::from(*count));
        let total: f64 = tenths.iter().sum();
        if total > WATCHED {
            let fade = WATCHED / total;
            tenths.iter_mut().for_each(|sum| *sum *= fade);
        }
    }

    /// The index; `None` while there are too few scores.
    pub fn drift(&self) -> Option<f64> {
        self.over(LEAST)
    }

    fn over(&self, least: f64) -> Option<f64> {
        let tenths = *self.tenths.lock();
        let total: f64 = tenths.iter().sum();
        let usual = 1.0 / TENTHS as f64;
        let part = |count: &f64| {
            let share = (count / total).max(1e-4);
            (share - usual) * (share / usual).ln()
        };
        (total >= least).then(|| tenths.iter().map(part).sum())
    }

    /// The index, if somebody is to be warned now: once, until scores are again as in training.
    pub fn warning(&self) -> Option<f64> {
        let drift = self.over(LEAST_TO_WARN)?;
        if drift < SAME {
            self.is_told.store(false, Ordering::Relaxed);
        }
        (drift > MOVED && !self.is_told.swap(true, Ordering::Relaxed)).then_some(drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_once_until_scores_are_as_in_training() {
        let stability = Stability::default();
        assert_eq!(stability.drift(), None);
        stability.add(&[200; TENTHS]);
        assert!(stability.drift().unwrap() < 0.01 && stability.warning().is_none());
        let mut high = [0; TENTHS];
        high[9] = 2_000;
        stability.add(&high);
        assert!(stability.warning().unwrap() > 0.25);
        assert_eq!(stability.warning(), None, "it was told");
        (0..20).for_each(|_| stability.add(&[1_000; TENTHS]));
        assert_eq!(stability.warning(), None);
        (0..5).for_each(|_| stability.add(&high));
        assert!(stability.warning().is_some(), "it has come again");
    }
}
