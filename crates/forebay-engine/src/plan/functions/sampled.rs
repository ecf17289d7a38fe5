//! Some of many values, from which it can be told which one stands at a place of all of them in their order.
//!
//! Kept are values and for how many each stands. All different values are there until there are too many; then values
//! that are next to each other and stand for equally many are paired, and one of each pair stands for both:
//!
//! ```text
//! values that stand for     1        a b c d e f          b   d   f
//!                           2                       ──▶   2   2   2
//! ```
//!
//! That is the sketch of Karnin, Lang and Liberty (2016), with equal values put together and the least and the greatest
//! left alone. Which one of a pair stays follows from how many values there were, as good as by chance and the same at
//! each replay. Whatever order the values come in, and however they are divided into parts that are merged, a value
//! that is told is less than one part in a hundred away from its place.

use std::cmp::Ordering;

use arrow::datatypes::ArrowNativeTypeOp;

use super::numbers::is_nan;

/// Most different values; there are no fewer than this while nothing is left out. It is the sum of what may stand for each
/// power of two, where each power may have two thirds of the next.
pub(super) const MOST: usize = 3 * TOP;

/// Most values that stand for the highest power of two: with so many the error is half a hundredth of all values.
const TOP: usize = 256;

/// Most rows that one value stands for when it is taken: more than there ever are, and little enough that no sum of them ends.
const MOST_ROWS: u64 = 1 << 48;

/// The least length at which values are put in order on the way.
const SETTLES: usize = 64;

/// Values, and how many of all each stands for.
#[derive(Clone, Debug)]
pub(super) struct Sampled<N> {
    pairs: Vec<(N, u64)>,
    /// How many there were when they were put in order.
    settled: usize,
}

impl<N> Default for Sampled<N> {
    fn default() -> Self {
        Self { pairs: Vec::new(), settled: 0 }
    }
}

impl<N: ArrowNativeTypeOp> Sampled<N> {
    /// Takes a value that stands for so many.
    pub fn add(&mut self, value: N, count: u64) {
        if count == 0 {
            return;
        }
        self.pairs.push((value, count.min(MOST_ROWS)));
        if self.pairs.len() >= SETTLES.max(2 * self.settled) {
            self.settle();
        }
    }

    /// The values in their order, each once.
    pub fn pairs(&mut self) -> &[(N, u64)] {
        self.settle();
        &self.pairs
    }

    /// The value at this part of all; `None` if there is none.
    pub fn tell(&mut self, percentage: f64) -> Option<N> {
        self.settle();
        // Spark's place: the first that so many values do not surpass.
        let place = (percentage * self.total() as f64).ceil() as u64;
        let mut until = 0_u64;
        for (value, count) in &self.pairs {
            until = until.saturating_add(*count);
            if place <= until {
                return Some(*value);
            }
        }
        self.pairs.last().map(|(value, _)| *value)
    }

    /// What the values take beside this.
    pub fn bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<(N, u64)>()
    }

    fn total(&self) -> u64 {
        self.pairs.iter().fold(0, |total, (_, count)| total.saturating_add(*count))
    }

    fn settle(&mut self) {
        self.pairs.sort_unstable_by(|(a, _), (b, _)| order(*a, *b));
        self.pairs.dedup_by(|(value, count), (kept, all)| {
            let is_same = order(*value, *kept).is_eq();
            if is_same {
                *all = all.saturating_add(*count);
            }
            is_same
        });
        while self.pairs.len() > MOST {
            self.halve();
        }
        self.settled = self.pairs.len();
    }

    /// Pairs the values of one power of two.
    fn halve(&mut self) {
        let total = self.total();
        let [_, inner @ .., _] = self.pairs.as_mut_slice() else { return };
        let power = crowded(inner.iter().map(|(_, count)| *count));
        let of_power = 1_u64 << power;
        let keeps_first = is_heads(total, power);
        let mut waits: Option<&mut u64> = None;
        for (_, count) in inner.iter_mut().filter(|(_, count)| count & of_power != 0) {
            let Some(first) = waits.take() else {
                waits = Some(count);
                continue;
            };
            let (kept, other) = if keeps_first { (first, count) } else { (count, first) };
            *kept = kept.saturating_add(of_power);
            *other -= of_power;
        }
        self.pairs.retain(|(_, count)| *count > 0);
    }
}

/// The power of two that has more values than it may have, the lowest of several. A value stands for a sum of powers.
fn crowded(counts: impl Iterator<Item = u64>) -> u32 {
    let mut sizes = [0_usize; u64::BITS as usize];
    for count in counts {
        for (power, size) in sizes.iter_mut().enumerate() {
            *size += usize::from(count >> power & 1 == 1);
        }
    }
    let top = sizes.iter().rposition(|size| *size > 0).unwrap_or(0);
    let most = |power: usize| (TOP as f64 * (2.0_f64 / 3.0).powi((top - power) as i32)).max(1.0);
    let crowded = (0..=top).zip(&sizes).find(|(power, size)| **size as f64 > most(*power));
    // If none has too many, all together have: the fullest.
    let fullest = || (0..=top).zip(&sizes).max_by_key(|(_, size)| **size);
    crowded.or_else(fullest).map_or(0, |(power, _)| power as u32)
}

/// A coin that falls the same way for the same numbers (the last step of SplitMix64).
fn is_heads(total: u64, power: u32) -> bool {
    let mixed = (total ^ u64::from(power) << 56).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ mixed >> 31) & 1 == 0
}

/// Spark's order of numbers: NaN above every other.
fn order<N: ArrowNativeTypeOp>(a: N, b: N) -> Ordering {
    match (is_nan(a), is_nan(b)) {
        (false, false) => a.compare(b),
        (a, b) => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = i64>) -> Sampled<i64> {
        let mut sampled = Sampled::default();
        numbers.into_iter().for_each(|number| sampled.add(number, 1));
        sampled
    }

    /// Numbers in orders that are hard for a sketch: each once, from 0.
    fn orders(most: i64) -> [Vec<i64>; 4] {
        let inwards = (0..most).map(|i| if i % 2 == 0 { i / 2 } else { most - 1 - i / 2 });
        [
            (0..most).collect(),
            (0..most).rev().collect(),
            inwards.collect(),
            (0..most).map(|i| i * 7_919 % most).collect(),
        ]
    }

    /// How far the worst of many percentages is off, as a part of all numbers.
    fn worst(sampled: &mut Sampled<i64>, most: i64) -> f64 {
        let off = |percent: i32| {
            let percentage = f64::from(percent) / 1_000.0;
            let right = ((percentage * most as f64).ceil() as i64 - 1).max(0);
            (sampled.tell(percentage).unwrap() - right).abs() as f64 / most as f64
        };
        (0..=1_000).map(off).fold(0.0, f64::max)
    }

    #[test]
    fn few_values_are_told_exactly() {
        let most = MOST as i64;
        for numbers in orders(most) {
            assert_eq!(worst(&mut of(numbers), most), 0.0);
        }
        let mut four = of([10, 0, 2, 1]);
        assert_eq!([0.0, 0.1, 0.4, 0.5, 0.51, 1.0].map(|at| four.tell(at).unwrap()), [0, 0, 1, 1, 2, 10]);
        assert_eq!(of([]).tell(0.5), None);
    }

    #[test]
    fn many_values_are_told_within_a_hundredth_in_any_order_and_however_they_are_divided() {
        let most = 40_009;
        for (order, numbers) in orders(most).into_iter().enumerate() {
            for part in [40_009, 11_000, 900] {
                let mut all = Sampled::default();
                for numbers in numbers.chunks(part) {
                    for (number, count) in of(numbers.to_vec()).pairs() {
                        all.add(*number, *count);
                    }
                }
                assert_eq!(all.total(), most as u64);
                assert!(all.pairs().len() <= MOST);
                let worst = worst(&mut all, most);
                assert!(worst < 0.01, "order {order}, parts of {part}: {worst}");
                assert_eq!([all.tell(0.0), all.tell(1.0)], [Some(0), Some(most - 1)]);
            }
        }
    }

    #[test]
    fn a_value_that_comes_often_is_kept_once_and_nan_stands_last() {
        let mut sampled = Sampled::default();
        for i in 0..10_000 {
            sampled.add([1.5, f64::INFINITY, -f64::NAN, f64::NEG_INFINITY][i % 4], 1);
        }
        assert_eq!(sampled.pairs().len(), 4);
        assert!(sampled.pairs.capacity() <= 2 * SETTLES);
        let told = [0.25, 0.5, 0.75].map(|at| sampled.tell(at).unwrap());
        assert_eq!(told, [f64::NEG_INFINITY, 1.5, f64::INFINITY]);
        assert!(sampled.tell(0.7501).unwrap().is_nan());
    }

    #[test]
    fn counts_without_end_neither_panic_nor_turn_round() {
        let mut sampled = Sampled::default();
        for number in 0..2_000_i64 {
            sampled.add(number, u64::MAX);
        }
        assert!(sampled.pairs().len() <= MOST);
        assert_eq!(sampled.tell(0.0), Some(0));
    }
}
