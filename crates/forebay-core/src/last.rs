//! What each key said last, for expectations of how fast a value changes.
//!
//! A value counts by the partition it came in, so what is remembered after some records follows from these records and those before
//! them in the partition, in their order; into which batches and epochs they were cut leaves no trace. A key whose records come in
//! several partitions has a last value in each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::position::Partition;

/// A value that was accepted, and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastValue {
    /// Microseconds since 1970.
    pub time_us: i64,
    /// The value, finite.
    pub value: f64,
}

impl LastValue {
    /// True if a value of this key may follow this one: the change between them, up or down, is at most `max` for each second between
    /// their times, whichever of them is earlier. Of values of one time only equal ones may. What doubles cannot tell apart is equal.
    pub fn allows(self, next: Self, max: f64) -> bool {
        let change = (next.value - self.value).abs();
        let seconds = next.time_us.abs_diff(self.time_us) as f64 / 1e6;
        let rounding = 4.0 * f64::EPSILON * next.value.abs().max(self.value.abs());
        change <= max * seconds + rounding
    }

    /// What is last after a value that was accepted: a late one leaves it as it is.
    pub fn then(self, next: Self) -> Self {
        if next.time_us >= self.time_us { next } else { self }
    }
}

/// Which values: of one rule, in one partition.
pub type Lane = (Partition, Arc<str>);

/// Last values by rule and partition, then by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastValues(HashMap<Lane, HashMap<Box<str>, LastValue>>);

impl LastValues {
    /// Those of a rule in a partition.
    pub fn of(&self, lane: &Lane) -> Option<&HashMap<Box<str>, LastValue>> {
        self.0.get(lane)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, lane: &Lane) -> &mut HashMap<Box<str>, LastValue> {
        self.0.entry(lane.clone()).or_default()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(HashMap::is_empty)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    /// Takes these over, each in the place of the one that it has of the same key.
    pub fn take(&mut self, others: Self) {
        for (lane, values) in others.0 {
            self.0.entry(lane).or_default().extend(values);
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&Lane, &str, LastValue)> {
        self.0.iter().flat_map(|(lane, values)| values.iter().map(move |(key, last)| (lane, &**key, *last)))
    }

    /// Bytes that they take in memory, more or less.
    pub fn bytes(&self) -> u64 {
        self.bytes_beyond(&Self::default())
    }

    /// The same of the keys that others lack.
    pub fn bytes_beyond(&self, others: &Self) -> u64 {
        const EACH: usize = 64;
        let is_new = |lane: &Lane, key: &str| others.of(lane).is_none_or(|known| !known.contains_key(key));
        let new = self.all().filter(|(lane, key, _)| is_new(lane, key));
        new.map(|(_, key, _)| (key.len() + EACH) as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64, value: f64) -> LastValue {
        LastValue { time_us: (seconds * 1e6) as i64, value }
    }

    #[test]
    fn a_change_is_held_against_the_time_between_whichever_is_earlier() {
        for (last, next, max, allowed) in [
            (at(0.0, 10.0), at(1.0, 15.0), 5.0, true),
            (at(0.0, 10.0), at(1.0, 5.0), 5.0, true),
            (at(0.0, 10.0), at(1.0, 15.1), 5.0, false),
            (at(0.0, 10.0), at(1.0, 4.9), 5.0, false),
            (at(0.0, 10.0), at(2.0, 20.0), 5.0, true),
            // A late one is held against the last one all the same.
            (at(2.0, 20.0), at(0.0, 10.0), 5.0, true),
            (at(1.0, 20.0), at(0.0, 10.0), 5.0, false),
            // At one time there is one value.
            (at(1.0, 20.0), at(1.0, 20.0), 5.0, true),
            (at(1.0, 20.0), at(1.0, 20.1), 5.0, false),
            (at(1.0, 0.0), at(1.0, -0.0), 5.0, true),
            // 1.3 - 1.0 is a little more than 0.3.
            (at(0.0, 1.0), at(0.1, 1.3), 3.0, true),
            (at(0.0, f64::MAX), at(1.0, -f64::MAX), 5.0, false),
            (
                LastValue { time_us: i64::MIN, value: 0.0 },
                LastValue { time_us: i64::MAX, value: 1e9 },
                1.0,
                true,
            ),
        ] {
            assert_eq!(last.allows(next, max), allowed, "{last:?} {next:?} {max}");
        }
    }

    #[test]
    fn a_key_that_speaks_again_takes_no_more_room() {
        let of = |keys: &[&str]| {
            let mut values = LastValues::default();
            let lane = (Partition::new("t", 0), Arc::from("rule"));
            for key in keys {
                values.of_mut(&lane).insert((*key).into(), at(0.0, 1.0));
            }
            values
        };
        assert_eq!(of(&["a", "b"]).bytes_beyond(&of(&["a"])), of(&["b"]).bytes());
        assert_eq!(of(&["a"]).bytes_beyond(&of(&["a"])), 0);
    }

    #[test]
    fn what_is_late_is_not_the_last() {
        assert_eq!(at(5.0, 1.0).then(at(4.0, 2.0)), at(5.0, 1.0));
        assert_eq!(at(5.0, 1.0).then(at(5.0, 1.0)), at(5.0, 1.0));
        assert_eq!(at(5.0, 1.0).then(at(6.0, 2.0)), at(6.0, 2.0));
    }
}
