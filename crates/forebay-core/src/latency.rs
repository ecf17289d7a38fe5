//! How old records are when a query has committed them: from the record's own timestamp to the end of its epoch.
//!
//! Each lane counts the ages of its records at the epoch's planned time ([`Ages`], one addition per record and nothing
//! else); what the epoch took after that is the same for all of them and is added once, at its commit. [`Sliding`]
//! keeps the last ten seconds of commits. The counts are on a scale of sixteenths of powers of two, so a figure is at
//! most 1/16 away from the truth whatever its size. What must stay true: a record without a timestamp, or from a clock
//! that is ahead, counts as new; it never makes a figure negative or absurd.

use std::collections::VecDeque;

use crate::source::happened_at;

/// Steps between a power of two and the next.
const STEPS: usize = 16;
/// Ages are cut here, at 34 years.
const MOST: u64 = (1 << 40) - 1;
/// All steps of the scale: one for each age below 16 ms, then [`STEPS`] for each power of two.
const SCALE: usize = STEPS * 37;
/// How long a commit counts.
const WINDOW_SECONDS: i64 = 10;

/// How many records have which age, milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// Empty until the first record.
    counts: Vec<u64>,
}

/// The ages of records at their commit that half of them, and 99 in 100, do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of the records, milliseconds.
    pub p50_ms: u64,
    /// 99 of 100 records, milliseconds.
    pub p99_ms: u64,
}

impl Ages {
    /// Counts records by their timestamps (milliseconds since 1970) as seen at `now_ms`.
    pub fn add(&mut self, now_ms: i64, timestamps: &[i64]) {
        if timestamps.is_empty() {
            return;
        }
        self.counts.resize(SCALE, 0);
        for at in timestamps {
            let age = now_ms.saturating_sub(happened_at(*at, now_ms));
            self.counts[step(age.unsigned_abs())] += 1;
        }
    }

    /// Adds the counts of another part, each record `later_ms` older.
    pub fn add_later(&mut self, other: &Ages, later_ms: u64) {
        if other.counts.is_empty() {
            return;
        }
        self.counts.resize(SCALE, 0);
        for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let index = if later_ms == 0 { index } else { step(middle(index).saturating_add(later_ms)) };
            self.counts[index] += count;
        }
    }

    /// The figures; `None` without any record.
    pub fn latency(&self) -> Option<Latency> {
        let total: u64 = self.counts.iter().sum();
        let at = |rank: u64| {
            let mut seen = 0;
            let reached = self.counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            middle(reached.unwrap_or_default())
        };
        (total > 0).then(|| Latency { p50_ms: at(total.div_ceil(2)), p99_ms: at((total * 99).div_ceil(100)) })
    }
}

/// The place of an age on the scale.
fn step(age_ms: u64) -> usize {
    let age = age_ms.min(MOST);
    if age < STEPS as u64 {
        return age as usize;
    }
    let power = age.ilog2() as usize;
    (power - 3) * STEPS + ((age >> (power - 4)) as usize & (STEPS - 1))
}

/// The age in the middle of a step.
fn middle(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let shift = index / STEPS - 1;
    (((STEPS + index % STEPS) as u64) << shift) + (1 << shift) / 2
}

/// The ages of what was committed in the last ten seconds in which anything was.
#[derive(Clone, Debug, Default)]
pub struct Sliding {
    /// One for each second with a commit, by that second.
    seconds: VecDeque<(i64, Ages)>,
}

impl Sliding {
    /// An epoch that was planned at `planned_ms` has been committed at `now_ms`, with records of these ages at its
    /// plan. Gives the new figures; `None` if the epoch had no records.
    pub fn committed(&mut self, ages: &Ages, planned_ms: i64, now_ms: i64) -> Option<Latency> {
        if ages.counts.is_empty() {
            return None;
        }
        let second = now_ms.div_euclid(1000);
        // Also a clock that was set back ends what was counted before.
        self.seconds.retain(|(at, _)| (0..WINDOW_SECONDS).contains(&(second - at)));
        if self.seconds.back().is_none_or(|(at, _)| *at != second) {
            self.seconds.push_back((second, Ages::default()));
        }
        if let Some((_, counted)) = self.seconds.back_mut() {
            counted.add_later(ages, now_ms.saturating_sub(planned_ms).max(0).unsigned_abs());
        }
        let mut all = Ages::default();
        self.seconds.iter().for_each(|(_, counted)| all.add_later(counted, 0));
        all.latency()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: u64, expected: u64) -> bool {
        found.abs_diff(expected) <= expected / 16 + 1
    }

    #[test]
    fn every_age_has_a_step_whose_middle_is_near() {
        let mut last = 0;
        for age in (0..2_000).chain((11..40).flat_map(|power| [1 << power, (1 << power) * 3 / 2])) {
            let index = step(age);
            assert!(index < SCALE && index >= last, "{age}");
            assert!(near(middle(index), age), "{age} reads {}", middle(index));
            last = index;
        }
        assert_eq!(step(u64::MAX), SCALE - 1);
    }

    #[test]
    fn the_figures_are_those_of_the_records() {
        let mut ages = Ages::default();
        assert_eq!(ages.latency(), None);
        let timestamps: Vec<i64> = (0..1000).map(|n| 100_000 - n).collect();
        ages.add(100_000, &timestamps);
        let latency = ages.latency().unwrap();
        assert!(near(latency.p50_ms, 500) && near(latency.p99_ms, 990), "{latency:?}");
    }

    #[test]
    fn a_record_without_a_time_or_from_tomorrow_counts_as_new() {
        let mut ages = Ages::default();
        ages.add(1_000, &[-1, i64::MAX, 2_000, i64::MIN]);
        assert_eq!(ages.latency(), Some(Latency { p50_ms: 0, p99_ms: 0 }));
    }

    #[test]
    fn the_time_of_the_commit_counts_and_old_commits_do_not() {
        let mut sliding = Sliding::default();
        let mut ages = Ages::default();
        ages.add(10_000, &[9_990]);
        let first = sliding.committed(&ages, 10_000, 11_000).unwrap();
        assert!(near(first.p50_ms, 1_010), "{first:?}");
        assert_eq!(sliding.committed(&Ages::default(), 10_000, 12_000), None, "nothing was read");
        let second = sliding.committed(&ages, 20_000, 20_900).unwrap();
        assert!(near(second.p50_ms, 910) && near(second.p99_ms, 1_010), "{second:?}");
        let third = sliding.committed(&ages, 31_000, 31_000).unwrap();
        assert_eq!(third, Latency { p50_ms: 10, p99_ms: 10 });
    }
}
