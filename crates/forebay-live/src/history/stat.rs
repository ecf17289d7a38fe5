//! Count, mean, least and greatest of some values: what every bucket of the history holds.

/// What is known of some values. Merging two gives what is known of both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stat {
    /// How many; the rest means nothing while it is 0.
    pub n: u32,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
}

impl Stat {
    /// Of one value.
    pub fn of(value: f64) -> Self {
        Self { n: 1, mean: value, min: value, max: value }
    }

    /// Adds a finite value.
    #[cfg(test)]
    pub fn add(&mut self, value: f64) {
        self.merge(&Self::of(value));
    }

    /// Adds what is known of other values.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            *self = *other;
            return;
        }
        let total = f64::from(self.n) + f64::from(other.n);
        // Each mean times its share: the difference of the means may be beyond what a number can hold.
        self.mean = self.mean * (f64::from(self.n) / total) + other.mean * (f64::from(other.n) / total);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.n = self.n.saturating_add(other.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_parts_is_the_same_as_adding_all() {
        let values = [3.0, -1.0, 8.5, 8.5, 0.0, 1e9];
        let mut all = Stat::default();
        values.iter().for_each(|value| all.add(*value));
        for cut in 0..=values.len() {
            let (mut left, mut right) = (Stat::default(), Stat::default());
            values[..cut].iter().for_each(|value| left.add(*value));
            values[cut..].iter().for_each(|value| right.add(*value));
            left.merge(&right);
            assert_eq!((left.n, left.min, left.max), (all.n, all.min, all.max));
            assert!((left.mean - all.mean).abs() <= 1e-6 * all.mean.abs());
        }
    }

    #[test]
    fn the_largest_numbers_have_a_mean() {
        let mut stat = Stat::of(f64::MAX);
        stat.add(-f64::MAX);
        assert_eq!(stat.mean, 0.0);
        stat.add(f64::MAX);
        assert!(stat.mean.is_finite());
    }
}
