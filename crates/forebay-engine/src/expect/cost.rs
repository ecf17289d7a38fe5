//! What expectations cost: how long each of them took, in the batches that were looked at.
//!
//! All conditions of a source are one plan, so none has a time of its own. Every so many batches, at first more often, each is also
//! computed alone over a few rows, and what all took since the last time is divided as they took then. Rates are timed as they are held.
//! The first batch is not timed: it makes what is made once (a pattern is compiled), which would be most of the cost for hours. What
//! must stay true: what is told of a rule never becomes less; and no batch waits for another.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forebay_core::expectation::Spent;

/// Batches between two looks, once there were so many.
const EVERY: u64 = 32;

/// Most rows of a look.
const ROWS: usize = 1_024;

/// The times of a source's expectations, which all its decoders add to.
pub(super) struct Costs {
    batches: AtomicU64,
    /// Of batches since the newest look.
    nanos: AtomicU64,
    rows: AtomicU64,
    /// Of each check.
    spent: Vec<(AtomicU64, AtomicU64)>,
}

impl Costs {
    pub fn new(checks: usize) -> Self {
        let spent = (0..checks).map(|_| <(AtomicU64, AtomicU64)>::default()).collect();
        Self { batches: AtomicU64::new(0), nanos: AtomicU64::new(0), rows: AtomicU64::new(0), spent }
    }

    /// Adds a batch of which all conditions together took so long. `alone` computes the condition of one check over so many of its rows, and says how long that took.
    pub fn took(&self, rows: usize, took: Duration, mut alone: impl FnMut(usize, usize) -> Duration) {
        if rows == 0 {
            return;
        }
        let (all, judged) = (nanos(took), rows as u64);
        let batch = self.batches.fetch_add(1, Relaxed);
        if batch == 0 {
            return;
        }
        if !(batch.is_power_of_two() || batch.is_multiple_of(EVERY)) {
            self.nanos.fetch_add(all, Relaxed);
            self.rows.fetch_add(judged, Relaxed);
            return;
        }
        let mut each = Vec::with_capacity(self.spent.len());
        for check in 0..self.spent.len() {
            each.push(nanos(alone(check, rows.min(ROWS))).max(1));
        }
        let sum: u64 = each.iter().sum();
        let all = u128::from(self.nanos.swap(0, Relaxed) + all);
        let judged = self.rows.swap(0, Relaxed) + judged;
        for ((nanos, rows), one) in self.spent.iter().zip(each) {
            let share = all * u128::from(one) / u128::from(sum.max(1));
            nanos.fetch_add(u64::try_from(share).unwrap_or(u64::MAX), Relaxed);
            rows.fetch_add(judged, Relaxed);
        }
    }

    /// Adds what holding rows to rates took, in equal parts to those that are rates.
    pub fn held(&self, took: Duration, rates: &[usize]) {
        let each = nanos(took) / (rates.len() as u64).max(1);
        for (nanos, _) in rates.iter().filter_map(|check| self.spent.get(*check)) {
            nanos.fetch_add(each, Relaxed);
        }
    }

    /// What each check took so far, and of how many rows.
    pub fn spent(&self) -> Vec<Spent> {
        let told = |(nanos, rows): &(AtomicU64, AtomicU64)| Spent {
            nanos: nanos.load(Relaxed),
            rows: rows.load(Relaxed),
        };
        self.spent.iter().map(told).collect()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_took_is_divided_as_each_takes_alone_and_never_shrinks() {
        let costs = Costs::new(2);
        let mut before = costs.spent();
        costs.took(100, Duration::from_secs(1), |_, _| panic!("the first batch is looked at"));
        let mut looks = 0;
        for batch in 0..3 * EVERY {
            costs.took(100, Duration::from_micros(30), |check, rows| {
                assert_eq!(rows, 100);
                looks += u64::from(check == 0);
                Duration::from_micros(if check == 0 { 20 } else { 180 })
            });
            assert!(batch > 0 || looks == 1, "the second batch tells the first cost");
            let now = costs.spent();
            assert!(now.iter().zip(&before).all(|(now, before)| now.nanos >= before.nanos), "{batch}");
            before = now;
        }
        let [cheap, dear] = before[..] else { panic!("{before:?}") };
        let all = 3 * EVERY * 30_000;
        assert_eq!((cheap.nanos, dear.nanos), (all / 10, all / 10 * 9));
        assert_eq!((cheap.rows, dear.rows), (3 * EVERY * 100, 3 * EVERY * 100));
        assert_eq!(looks, 8, "the batches 1, 2, 4, 8, 16, 32, 64 and 96");
        costs.held(Duration::from_nanos(900), &[1]);
        assert_eq!(costs.spent()[1].nanos, dear.nanos + 900);
    }
}
