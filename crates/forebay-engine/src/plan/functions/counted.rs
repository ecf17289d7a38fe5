//! Numbers in their order and how often each is there, and which of them a percentage means.

/// The least length at which numbers are put together on the way.
const SETTLES: usize = 64;

/// Which number a percentage means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Way {
    /// One that is there.
    pub is_discrete: bool,
    /// From the greatest down.
    pub is_down: bool,
}

/// The numbers of a group and how often each is there. Unless it is settled, a number may be there several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub pairs: Vec<(f64, i64)>,
    /// So many of them were left when it was last settled.
    settled: usize,
}

impl Counted {
    /// Of these, each once, settled.
    #[cfg(test)]
    pub fn of(numbers: &[f64]) -> Self {
        let mut counted = Self::default();
        numbers.iter().for_each(|number| counted.add(*number, 1));
        counted.settle();
        counted
    }

    pub fn add(&mut self, number: f64, count: i64) {
        // One NaN, which is above everything.
        let number = if number.is_nan() { f64::NAN } else { number };
        self.pairs.push((number, count));
        if self.pairs.len() > SETTLES.max(2 * self.settled) {
            self.settle();
        }
    }

    /// Puts the numbers in order, each once.
    pub fn settle(&mut self) {
        self.pairs.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        self.pairs.dedup_by(|(number, count), (kept, all)| {
            let is_same = number.to_bits() == kept.to_bits();
            if is_same {
                *all = all.saturating_add(*count);
            }
            is_same
        });
        self.settled = self.pairs.len();
    }

    /// The number at this place of all, each as often as it is there; it must be settled.
    pub fn at(&self, place: i64) -> Option<f64> {
        let mut before = 0_i64;
        for (number, count) in &self.pairs {
            before = before.saturating_add(*count);
            if place < before {
                return Some(*number);
            }
        }
        self.pairs.last().map(|(number, _)| *number)
    }

    pub fn tell(&self, percentage: f64, way: Way) -> Option<f64> {
        let all = self.pairs.iter().fold(0_i64, |all, (_, count)| all.saturating_add(*count));
        let at = |place: i64| self.at(if way.is_down { all - 1 - place } else { place });
        if way.is_discrete {
            return at(((all as f64 * percentage).ceil() as i64 - 1).max(0));
        }
        let place = all.saturating_sub(1) as f64 * percentage;
        let (one, next) = (at(place.floor() as i64)?, at(place.ceil() as i64)?);
        if one == next || place == place.floor() {
            return Some(one);
        }
        Some((place.ceil() - place) * one + (place - place.floor()) * next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_numbers_lies_the_part_that_is_asked_for() {
        let counted = Counted::of(&[10.0, 0.0, 4.0, 10.0]);
        let way = |is_discrete, is_down| Way { is_discrete, is_down };
        let told = |percentage| counted.tell(percentage, way(false, false));
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(told), [0.0, 3.0, 7.0, 10.0, 10.0].map(Some));
        let there = |percentage| counted.tell(percentage, way(true, false));
        assert_eq!([0.0, 0.25, 0.3, 0.5, 0.75, 1.0].map(there), [0.0, 0.0, 4.0, 4.0, 10.0, 10.0].map(Some));
        assert_eq!(Counted::default().tell(0.5, way(false, false)), None);
    }

    /// What Spark 4.0 gives for `percentile_disc(…) WITHIN GROUP (ORDER BY x DESC)` and `percentile_cont` of the same.
    #[test]
    fn from_the_greatest_down_places_are_counted_from_there() {
        let counted = Counted::of(&[0.0, 1.0, 2.0, 10.0]);
        let way = |is_discrete| Way { is_discrete, is_down: true };
        let there = |percentage| counted.tell(percentage, way(true));
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(there), [10.0, 10.0, 2.0, 1.0, 0.0].map(Some));
        let between = |percentage| counted.tell(percentage, way(false));
        assert_eq!([0.1, 0.25, 1.0].map(between), [7.6, 4.0, 0.0].map(Some));
        assert_eq!([true, false].map(|is| Counted::default().tell(0.5, way(is))), [None, None]);
    }
}
