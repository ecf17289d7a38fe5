//! What one batch of rows says of event time: how far it comes, and which rows claim to be from the future.
//!
//! A device whose clock runs fast must not make a fleet late: a time above the limit is counted apart and moves no
//! watermark. Its row is processed like any other.

use std::time::Duration;

use arrow::buffer::NullBuffer;

use crate::clock::millis;

/// What was seen of some rows' event times. Those that are too far ahead count in `ahead` and `furthest_us` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many times there were, without NULLs.
    pub count: u64,
    /// The lowest, in microseconds.
    pub min_us: Option<i64>,
    /// The highest.
    pub max_us: Option<i64>,
    /// How many were too far ahead.
    pub ahead: u64,
    /// The highest of those.
    pub furthest_us: Option<i64>,
    sum_us: i128,
}

/// The highest event time that an epoch of this time believes, in microseconds: `maxFutureSkew` after it was planned.
/// Without a skew it believes everything.
pub fn future_limit_us(planned_at_ms: i64, skew: Option<Duration>) -> i64 {
    let Some(skew) = skew else { return i64::MAX };
    planned_at_ms.saturating_add(millis(skew)).saturating_mul(1_000)
}

/// Looks at the times of a batch (µs); those above `limit_us` are too far ahead. What stands under a NULL is not looked at.
pub fn survey(times_us: &[i64], validity: Option<&NullBuffer>, limit_us: i64) -> Survey {
    let validity = validity.filter(|validity| validity.null_count() > 0);
    let whole = validity.is_none().then(|| extremes(times_us)).flatten();
    if let Some((min, max)) = whole.filter(|(_, max)| *max <= limit_us) {
        return Survey {
            count: times_us.len() as u64,
            min_us: Some(min),
            max_us: Some(max),
            sum_us: sum(times_us, min, max),
            ..Survey::default()
        };
    }
    let mut found = Survey::default();
    let mut look = |ts: i64| {
        if ts > limit_us {
            found.ahead += 1;
            found.furthest_us = found.furthest_us.max(Some(ts));
        } else {
            found.count += 1;
            found.min_us = Some(found.min_us.map_or(ts, |min| min.min(ts)));
            found.max_us = found.max_us.max(Some(ts));
            found.sum_us += i128::from(ts);
        }
    };
    match validity {
        None => times_us.iter().for_each(|&ts| look(ts)),
        Some(validity) => {
            times_us.iter().zip(validity).filter(|(_, valid)| *valid).for_each(|(&ts, _)| look(ts));
        }
    }
    found
}

impl Survey {
    /// Adds what was seen of other rows.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min_us = match (self.min_us, other.min_us) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.max_us = self.max_us.max(other.max_us);
        self.ahead += other.ahead;
        self.furthest_us = self.furthest_us.max(other.furthest_us);
        self.sum_us += other.sum_us;
    }

    /// The highest time in milliseconds, rounded down: what moves a watermark.
    pub fn max_ms(&self) -> Option<i64> {
        self.max_us.map(|max| max.div_euclid(1_000))
    }

    /// The lowest time in milliseconds, rounded down.
    pub fn min_ms(&self) -> Option<i64> {
        self.min_us.map(|min| min.div_euclid(1_000))
    }

    /// The mean in milliseconds, rounded down.
    pub fn avg_ms(&self) -> Option<i64> {
        let count = i128::from(self.count);
        let mean = self.sum_us.div_euclid(count.max(1)).div_euclid(1_000);
        i64::try_from(mean).ok().filter(|_| count > 0)
    }
}

/// The lowest and the highest.
fn extremes(times: &[i64]) -> Option<(i64, i64)> {
    let first = *times.first()?;
    Some(times.iter().fold((first, first), |(min, max), &ts| (min.min(ts), max.max(ts))))
}

/// The sum, in 64 bits where it is known to fit.
fn sum(times: &[i64], min: i64, max: i64) -> i128 {
    let greatest = u128::from(min.unsigned_abs().max(max.unsigned_abs()));
    if greatest * times.len() as u128 <= i64::MAX as u128 {
        return i128::from(times.iter().sum::<i64>());
    }
    times.iter().map(|&ts| i128::from(ts)).sum()
}
