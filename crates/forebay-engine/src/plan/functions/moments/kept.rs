//! What is kept of the rows of one group, and what it tells.
//!
//! How many rows there are, their averages, and sums of powers of what rows are away from these, which is added to row by row
//! (Welford) and put together (Chan) by the formulas of Spark. Sums of the squares themselves would cancel each other out
//! where numbers are large and near to each other, as times are.

use std::fmt::Debug;

/// What is told of what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Corr,
    CovarPop,
    CovarSamp,
    Count,
    AvgX,
    AvgY,
    Sxx,
    Syy,
    Sxy,
    Slope,
    Intercept,
    R2,
    Skewness,
    Kurtosis,
}

impl Kind {
    /// True if it is of one number a row, and not of two.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Skewness | Self::Kurtosis)
    }

    /// The names of what it keeps.
    pub fn columns(self) -> &'static [&'static str] {
        if self.is_single() { Single::COLUMNS } else { Pairs::COLUMNS }
    }
}

/// What is kept of the rows of one group.
pub(super) trait Kept: Copy + Debug + Default + Send + Sync + 'static {
    /// The names of its numbers.
    const COLUMNS: &'static [&'static str];
    /// Whether a row can be taken back.
    const TAKES_BACK: bool;

    fn count(&self) -> f64;
    fn add(&mut self, row: [f64; 2]);
    fn take_back(&mut self, row: [f64; 2]);
    fn merge(&mut self, other: &Self);
    fn numbers(&self) -> [f64; 6];
    fn of(numbers: [f64; 6]) -> Self;
    /// The result; `None` is NULL.
    fn tell(&self, kind: Kind) -> Option<f64>;
}

/// Of pairs: averages of both, and the sums of the products of what they are away from them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pairs {
    count: f64,
    y: f64,
    x: f64,
    xy: f64,
    yy: f64,
    xx: f64,
}

impl Kept for Pairs {
    const COLUMNS: &'static [&'static str] = &["count", "y", "x", "xy", "yy", "xx"];
    const TAKES_BACK: bool = true;

    fn count(&self) -> f64 {
        self.count
    }

    fn add(&mut self, [y, x]: [f64; 2]) {
        self.count += 1.0;
        let (dy, dx) = (y - self.y, x - self.x);
        let (part_y, part_x) = (dy / self.count, dx / self.count);
        self.y += part_y;
        self.x += part_x;
        // What is left of `x - self.x`, without the digits that a large average has lost.
        self.xy += dy * (dx - part_x);
        self.yy += dy * (dy - part_y);
        self.xx += dx * (dx - part_x);
    }

    fn take_back(&mut self, [y, x]: [f64; 2]) {
        if self.count <= 1.0 {
            *self = Self::default();
            return;
        }
        let now = *self;
        self.count -= 1.0;
        self.y -= (y - now.y) / self.count;
        self.x -= (x - now.x) / self.count;
        self.xy -= (y - self.y) * (x - now.x);
        self.yy -= (y - self.y) * (y - now.y);
        self.xx -= (x - self.x) * (x - now.x);
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        let (dy, dx) = (other.y - self.y, other.x - self.x);
        let both = self.count * other.count;
        self.y += dy / count * other.count;
        self.x += dx / count * other.count;
        self.xy += other.xy + dy * (dx / count) * both;
        self.yy += other.yy + dy * (dy / count) * both;
        self.xx += other.xx + dx * (dx / count) * both;
        self.count = count;
    }

    fn numbers(&self) -> [f64; 6] {
        [self.count, self.y, self.x, self.xy, self.yy, self.xx]
    }

    fn of([count, y, x, xy, yy, xx]: [f64; 6]) -> Self {
        Self { count, y, x, xy, yy, xx }
    }

    fn tell(&self, kind: Kind) -> Option<f64> {
        let Self { count, y, x, xy, yy, xx } = *self;
        let slope = (xx != 0.0).then(|| xy / xx);
        let any = |value: f64| (count > 0.0).then_some(value);
        match kind {
            // Where one of them is always the same there is none; Spark's query ends there.
            Kind::Corr => (count > 1.0 && xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
            Kind::CovarPop => any(xy / count),
            Kind::CovarSamp => (count > 1.0).then(|| xy / (count - 1.0)),
            Kind::Count => Some(count),
            Kind::AvgX => any(x),
            Kind::AvgY => any(y),
            Kind::Sxx => any(xx),
            Kind::Syy => any(yy),
            Kind::Sxy => any(xy),
            Kind::Slope => slope,
            Kind::Intercept => slope.map(|slope| y - slope * x),
            // So it is in Spark, and not the other way about as in other databases.
            Kind::R2 if yy == 0.0 => None,
            Kind::R2 if xx == 0.0 => Some(1.0),
            Kind::R2 => Some((xy / (xx * yy).sqrt()).powi(2)),
            Kind::Skewness | Kind::Kurtosis => None,
        }
    }
}

/// Of single numbers: their average, and the sums of the second, third and fourth powers of what they are away from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Single {
    count: f64,
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
}

impl Kept for Single {
    const COLUMNS: &'static [&'static str] = &["count", "mean", "second", "third", "fourth"];
    const TAKES_BACK: bool = false;

    fn count(&self) -> f64 {
        self.count
    }

    fn add(&mut self, [value, _]: [f64; 2]) {
        self.count += 1.0;
        let d = value - self.mean;
        let part = d / self.count;
        self.mean += part;
        self.second += d * (d - part);
        self.third += d * (d * d - part * part) - 3.0 * part * self.second;
        self.fourth +=
            d * (d * d * d - part * part * part) - 4.0 * part * self.third - 6.0 * part * part * self.second;
    }

    fn take_back(&mut self, _: [f64; 2]) {}

    fn merge(&mut self, other: &Self) {
        let (n, m) = (self.count, other.count);
        let d = other.mean - self.mean;
        let part = d / (n + m);
        let (a, b) = (*self, other);
        self.count = n + m;
        self.mean += part * m;
        self.second += b.second + d * part * n * m;
        self.third +=
            b.third + part * part * d * n * m * (n - m) + 3.0 * part * (n * b.second - m * a.second);
        self.fourth += b.fourth
            + part * part * part * d * n * m * (n * n - n * m + m * m)
            + 6.0 * part * part * (n * n * b.second + m * m * a.second)
            + 4.0 * part * (n * b.third - m * a.third);
    }

    fn numbers(&self) -> [f64; 6] {
        [self.count, self.mean, self.second, self.third, self.fourth, 0.0]
    }

    fn of([count, mean, second, third, fourth, _]: [f64; 6]) -> Self {
        Self { count, mean, second, third, fourth }
    }

    fn tell(&self, kind: Kind) -> Option<f64> {
        // All numbers are the same, or there are none.
        if self.second == 0.0 {
            return None;
        }
        let (n, second) = (self.count, self.second);
        Some(match kind {
            Kind::Skewness => n.sqrt() * self.third / (second * second * second).sqrt(),
            _ => n * self.fourth / (second * second) - 3.0,
        })
    }
}

/// Puts what another kept to this.
pub(super) fn put<K: Kept>(kept: &mut K, other: &K) {
    if kept.count() == 0.0 {
        *kept = *other;
    } else if other.count() > 0.0 {
        kept.merge(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f64; 2]; 5] =
        [[1e9 + 1.0, 4.0], [1e9 + 2.0, 5.0], [1e9 - 7.0, -3.0], [1e9, 0.5], [1e9 + 40.0, 9.0]];

    fn kept<K: Kept>(rows: &[[f64; 2]]) -> K {
        let mut kept = K::default();
        rows.iter().for_each(|row| kept.add(*row));
        kept
    }

    fn near<K: Kept>(one: &K, other: &K) -> bool {
        one.numbers().iter().zip(other.numbers()).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + a.abs()))
    }

    #[test]
    fn parts_come_to_what_the_whole_is() {
        for cut in 0..=ROWS.len() {
            let (before, after) = ROWS.split_at(cut);
            let (mut pairs, mut single) = (kept::<Pairs>(before), kept::<Single>(before));
            put(&mut pairs, &kept(after));
            put(&mut single, &kept(after));
            assert!(near(&pairs, &kept(&ROWS)), "{cut}: {pairs:?}");
            assert!(near(&single, &kept(&ROWS)), "{cut}: {single:?}");
        }
    }

    #[test]
    fn a_row_that_leaves_a_frame_is_taken_back() {
        let mut pairs: Pairs = kept(&ROWS);
        ROWS[..3].iter().for_each(|row| pairs.take_back(*row));
        assert!(near(&pairs, &kept(&ROWS[3..])), "{pairs:?}");
        ROWS[3..].iter().for_each(|row| pairs.take_back(*row));
        assert_eq!(pairs.count, 0.0);
    }
}
