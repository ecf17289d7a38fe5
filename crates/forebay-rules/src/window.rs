//! How many of a key's newest rows matched: the memory of [`Matches`].
//!
//! What must stay true: it is a function of the rows in the order in which they came, and no larger than what the rule counts.

use serde::{Deserialize, Serialize};

use crate::logic::Matches;

/// The rows that count. One of the two is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Of the newest rows, which matched: the newest is the lowest bit.
    #[serde(default, skip_serializing_if = "is_zero")]
    bits: u64,
    /// When the newest matching rows were, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    times: Vec<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(bits: &u64) -> bool {
    *bits == 0
}

impl Window {
    /// Takes a row; true if enough of them matched.
    pub fn take(&mut self, matches: Matches, at: i64, holds: bool) -> bool {
        match matches {
            Matches::OfRows { count, of } => {
                self.times = Vec::new();
                let mask = u64::MAX >> (Matches::MOST_ROWS - of.clamp(1, Matches::MOST_ROWS));
                self.bits = (self.bits << 1 | u64::from(holds)) & mask;
                self.bits.count_ones() >= count
            }
            Matches::Within { count, ms } => {
                self.bits = 0;
                if holds {
                    let place = self.times.partition_point(|time| *time <= at);
                    self.times.insert(place, at);
                }
                let count = count.clamp(1, Matches::MOST_WITHIN) as usize;
                let newest = self.times.last().map_or(at, |last| at.max(*last));
                let from = newest.saturating_sub(ms);
                let old = self.times.partition_point(|time| *time < from);
                let surplus = self.times.len().saturating_sub(count);
                self.times.drain(..old.max(surplus));
                self.times.len() >= count
            }
        }
    }

    /// How many rows it counts.
    pub fn len(&self) -> usize {
        self.bits.count_ones() as usize + self.times.len()
    }

    /// True if nothing is remembered. Leading rows that did not match say nothing.
    pub fn is_empty(&self) -> bool {
        self.bits == 0 && self.times.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_newest_rows_enough_must_match() {
        let mut window = Window::default();
        let matches = Matches::OfRows { count: 2, of: 3 };
        let rows = [true, false, true, false, false, true, true];
        let met: Vec<_> = rows.into_iter().map(|holds| window.take(matches, 0, holds)).collect();
        assert_eq!(met, [false, false, true, false, false, false, true]);
        let (mut all, every) = (Window::default(), Matches::OfRows { count: 64, of: 64 });
        assert!((0..63).all(|_| !all.take(every, 0, true)) && all.take(every, 0, true));
        assert!(!all.take(every, 0, false));
    }

    #[test]
    fn within_a_time_both_ends_count() {
        let matches = Matches::Within { count: 3, ms: 100 };
        let run = |times: &[i64]| {
            let mut window = Window::default();
            times.iter().map(|at| window.take(matches, *at, true)).collect::<Vec<_>>()
        };
        assert_eq!(run(&[0, 50, 100, 150, 201, 202]), [false, false, true, true, false, true]);
        assert_eq!(run(&[50, 100, 0]), [false, false, true], "rows that come late are counted too");
        assert_eq!(run(&[0, 0, 0]), [false, false, true], "and those of one millisecond");
        assert_eq!(run(&[i64::MIN, i64::MAX, i64::MAX, i64::MAX]), [false, false, false, true]);
    }

    #[test]
    fn nothing_is_remembered_that_cannot_count_any_more() {
        let mut window = Window::default();
        let matches = Matches::Within { count: 2, ms: 10 };
        for at in 0..1_000 {
            window.take(matches, at, true);
        }
        assert_eq!(window.len(), 2);
        window.take(matches, 2_000, false);
        assert!(window.is_empty());
    }
}
