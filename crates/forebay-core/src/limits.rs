//! How much one epoch takes: a limit is shared out over partitions in proportion to what waits in each.
//!
//! The rules are Spark's, so that `maxOffsetsPerTrigger`, `minOffsetsPerTrigger` and `maxTriggerDelay` mean the same
//! here: shares are rounded down, but a partition with anything to read gets at least one record, so that a small
//! partition beside a huge one is never starved. The sum may exceed the limit by that rounding.

use std::time::Duration;

use crate::options::Options;
use crate::position::{Position, PositionRange};

/// How much an epoch of one source takes, from its options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `maxOffsetsPerTrigger`.
    pub max: Option<u64>,
    /// `minOffsetsPerTrigger`.
    pub min: Option<u64>,
    /// `maxTriggerDelay`: how long the minimum may hold an epoch back. Spark's default is 15 minutes.
    pub max_delay: Duration,
}

impl Limits {
    /// The limits that a source's options ask for.
    pub fn from_options(options: &Options) -> Self {
        let count = |name: &str| options.integer(name).and_then(|count| u64::try_from(count).ok());
        Self {
            max: count("maxOffsetsPerTrigger"),
            min: count("minOffsetsPerTrigger"),
            max_delay: options.duration("maxTriggerDelay").unwrap_or(Duration::from_secs(15 * 60)),
        }
    }

    /// The ranges of the next epoch: shortened to the maximum, or all empty while the minimum is awaited.
    pub fn apply(&self, ranges: Vec<PositionRange>, since_last: Duration) -> Vec<PositionRange> {
        if let Some(min) = self.min
            && !is_worth_starting(min, &ranges, since_last, self.max_delay)
        {
            return ranges.into_iter().map(|range| PositionRange { to: range.from, ..range }).collect();
        }
        match self.max {
            Some(max) => share_out(max, &ranges),
            None => ranges,
        }
    }
}

/// Shortens ranges so that together they hold about `limit` positions. Ranges that fit stay as they are.
pub fn share_out(limit: u64, ranges: &[PositionRange]) -> Vec<PositionRange> {
    let total = waiting(ranges);
    if total <= limit {
        return ranges.to_vec();
    }
    let shortened = ranges.iter().map(|range| {
        let size = size(range);
        // In 128 bits the product is exact, where Spark's floating point may be off by one for huge numbers.
        let share = (u128::from(limit) * u128::from(size) / u128::from(total)) as u64;
        let at_least_one = u64::from(size > 0 && limit > 0);
        let taken = i64::try_from(share.max(at_least_one).min(size)).unwrap_or(i64::MAX);
        PositionRange { to: Position(range.from.0.saturating_add(taken)), ..range.clone() }
    });
    shortened.collect()
}

/// True if an epoch should start now: `minimum` positions wait, or something waits and `since_last` (the time since
/// the last epoch began) has reached `longest`.
pub fn is_worth_starting(
    minimum: u64,
    ranges: &[PositionRange],
    since_last: Duration,
    longest: Duration,
) -> bool {
    let waiting = waiting(ranges);
    waiting >= minimum || (waiting > 0 && since_last >= longest)
}

/// Positions in all ranges together.
pub fn waiting(ranges: &[PositionRange]) -> u64 {
    ranges.iter().map(size).fold(0, u64::saturating_add)
}

fn size(range: &PositionRange) -> u64 {
    if range.is_empty() { 0 } else { range.to.0.abs_diff(range.from.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Partition;

    fn ranges(sizes: &[(i64, i64)]) -> Vec<PositionRange> {
        let range = |(index, (from, to)): (usize, &(i64, i64))| PositionRange {
            partition: Partition::new("t", index as i32),
            from: Position(*from),
            to: Position(*to),
        };
        sizes.iter().enumerate().map(range).collect()
    }

    fn ends(limit: u64, sizes: &[(i64, i64)]) -> Vec<i64> {
        share_out(limit, &ranges(sizes)).iter().map(|range| range.to.0).collect()
    }

    #[test]
    fn shares_are_proportional_and_nobody_starves() {
        assert_eq!(ends(10, &[(0, 100), (50, 150)]), [5, 55]);
        assert_eq!(ends(10, &[(0, 1000), (0, 10), (7, 7)]), [9, 1, 7]);
        assert_eq!(ends(1000, &[(0, 100), (0, 10)]), [100, 10]);
        assert_eq!(ends(3, &[(0, 10), (0, 10), (0, 10), (0, 10)]), [1, 1, 1, 1]);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        assert_eq!(ends(u64::MAX, &[(0, i64::MAX), (i64::MAX - 1, i64::MAX)]), [i64::MAX, i64::MAX]);
        assert_eq!(ends(2, &[(0, i64::MAX), (0, i64::MAX)]), [1, 1]);
    }

    #[test]
    fn a_minimum_waits_but_not_for_ever() {
        let few = ranges(&[(0, 5)]);
        let second = Duration::from_secs(1);
        assert!(!is_worth_starting(10, &few, Duration::ZERO, second));
        assert!(is_worth_starting(10, &few, second, second));
        assert!(is_worth_starting(5, &few, Duration::ZERO, second));
        assert!(!is_worth_starting(1, &ranges(&[(3, 3)]), second, second));
    }
}
