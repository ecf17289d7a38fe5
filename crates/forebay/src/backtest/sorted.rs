//! Rows held until it is their turn: in the order of their times; rows of one time in the order in which the table has them.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// Rows of a piece: few enough that it stays in the cache, so many that a batch costs nothing beside its rows.
pub const PIECE_ROWS: usize = 16_384;

/// Rows with their times in microseconds since 1970.
#[derive(Default)]
pub struct Gathered {
    batches: Vec<RecordBatch>,
    times: Vec<Vec<i64>>,
    newest: Option<i64>,
    is_unordered: bool,
    rows: usize,
    bytes: usize,
}

/// Rows whose turn it is, in pieces with their times, in order.
pub enum Pieces {
    /// They came in order.
    AsTheyCame(VecDeque<(RecordBatch, Vec<i64>)>),
    /// Batches, the order of their rows by time, batch and row, and how many have been handed over.
    Sorted(Vec<RecordBatch>, Vec<(i64, u32, u32)>, usize),
}

impl Gathered {
    /// Takes rows.
    pub fn push(&mut self, batch: RecordBatch, times: Vec<i64>) {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
        let after = self.newest.is_none_or(|newest| newest <= *first);
        self.is_unordered |= !after || !times.is_sorted();
        self.newest = Some(*last);
        self.rows += times.len();
        self.bytes += batch.get_array_memory_size() + size_of_val(times.as_slice());
        self.batches.push(batch);
        self.times.push(times);
    }

    /// What they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many they are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// True if they came in order.
    pub fn is_ordered(&self) -> bool {
        !self.is_unordered
    }

    /// The time of the last of them that came.
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Hands over those older than `before`, or all.
    pub fn release(&mut self, before: Option<i64>) -> Result<Pieces> {
        let held = std::mem::take(self);
        if held.is_unordered { self.sorted(held, before) } else { Ok(self.as_they_came(held, before)) }
    }

    fn as_they_came(&mut self, held: Self, before: Option<i64>) -> Pieces {
        let mut released = VecDeque::new();
        for (batch, times) in held.batches.into_iter().zip(held.times) {
            let until = before.map_or(times.len(), |before| times.partition_point(|time| *time < before));
            if until < times.len() {
                self.push(batch.slice(until, times.len() - until), times[until..].to_vec());
            }
            if until > 0 {
                released.push_back((batch.slice(0, until), times[..until].to_vec()));
            }
        }
        Pieces::AsTheyCame(released)
    }

    fn sorted(&mut self, held: Self, before: Option<i64>) -> Result<Pieces> {
        let places = held.times.iter().enumerate().flat_map(|(batch, times)| {
            times.iter().enumerate().map(move |(row, time)| (*time, batch as u32, row as u32))
        });
        let mut order: Vec<(i64, u32, u32)> = places.collect();
        // Rows of one time stay as they came; what came in order is found and merged.
        order.sort_by_key(|(time, ..)| *time);
        let until = before.map_or(order.len(), |before| order.partition_point(|(time, ..)| *time < before));
        let kept = order.split_off(until);
        if !kept.is_empty() {
            let (batch, times) = chosen(&held.batches, &kept)?;
            self.push(batch, times);
        }
        Ok(Pieces::Sorted(held.batches, order, 0))
    }
}

impl Iterator for Pieces {
    type Item = Result<(RecordBatch, Vec<i64>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::AsTheyCame(parts) => {
                let (mut batches, mut times) = (Vec::new(), Vec::new());
                while times.len() < PIECE_ROWS
                    && let Some((batch, of_batch)) = parts.pop_front()
                {
                    batches.push(batch);
                    times = if times.is_empty() { of_batch } else { [times, of_batch].concat() };
                }
                let first = batches.first()?;
                Some(match batches.as_slice() {
                    [only] => Ok((only.clone(), times)),
                    all => concat_batches(&first.schema(), all).map(|batch| (batch, times)).map_err(unfit),
                })
            }
            Self::Sorted(batches, order, at) => {
                let rows =
                    order.get(*at..order.len().min(*at + PIECE_ROWS)).filter(|rows| !rows.is_empty())?;
                *at += rows.len();
                Some(chosen(batches, rows))
            }
        }
    }
}

/// These rows of batches, with their times.
fn chosen(batches: &[RecordBatch], rows: &[(i64, u32, u32)]) -> Result<(RecordBatch, Vec<i64>)> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let indices: Vec<(usize, usize)> =
        rows.iter().map(|(_, batch, row)| (*batch as usize, *row as usize)).collect();
    let batch = interleave_record_batch(&batches, &indices).map_err(unfit)?;
    Ok((batch, rows.iter().map(|(time, ..)| *time).collect()))
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "rows of a table cannot be put in order").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int32Array};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn batch(numbers: impl IntoIterator<Item = i32>) -> RecordBatch {
        let column: ArrayRef = Arc::new(numbers.into_iter().collect::<Int32Array>());
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn told(held: &mut Gathered, before: Option<i64>) -> Vec<(i64, i32)> {
        let mut all = Vec::new();
        for piece in held.release(before).unwrap() {
            let (batch, times) = piece.unwrap();
            let numbers = batch.column(0).as_primitive::<Int32Type>();
            all.extend(times.into_iter().zip(numbers.values().iter().copied()));
        }
        all
    }

    #[test]
    fn rows_come_in_the_order_of_time_and_those_of_one_time_in_the_tables() {
        let mut held = Gathered::default();
        held.push(batch([1, 2, 3]), vec![5, 9, 5]);
        held.push(batch([]), vec![]);
        held.push(batch([4, 5]), vec![5, -7]);
        assert_eq!(told(&mut held, None), [(-7, 5), (5, 1), (5, 3), (5, 4), (9, 2)]);
    }

    #[test]
    fn many_rows_come_in_pieces_and_none_is_lost() {
        let count = PIECE_ROWS as i32 * 2 + 77;
        for turn in [1, -1] {
            let mut held = Gathered::default();
            for from in (0..count).step_by(1_000) {
                let numbers = from..(from + 1_000).min(count);
                held.push(batch(numbers.clone()), numbers.map(|n| i64::from(n * turn)).collect());
            }
            assert!(held.rows() == count as usize && held.bytes() > 8 * count as usize);
            let all = told(&mut held, None);
            assert_eq!(all.len(), count as usize);
            assert!(all.iter().all(|(time, n)| *time == i64::from(n * turn)) && all.is_sorted());
        }
    }
    #[test]
    fn rows_that_are_not_older_stay_and_keep_their_order() {
        for (times, is_ordered) in [([1, 2, 2, 3, 3, 9], true), ([3, 1, 2, 3, 2, 9], false)] {
            let mut held = Gathered::default();
            for (number, time) in times.iter().enumerate() {
                held.push(batch([number as i32]), vec![*time]);
            }
            assert_eq!(held.is_ordered(), is_ordered);
            let mut sorted: Vec<(i64, i32)> = times.iter().copied().zip(0..).collect();
            sorted.sort();
            assert_eq!(told(&mut held, Some(1)), []);
            assert_eq!(told(&mut held, Some(3)), sorted[..3]);
            // What is left goes before what comes then.
            held.push(batch([6, 7]), vec![3, 9]);
            let last: Vec<_> =
                [3, 4, 6, 5, 7].into_iter().map(|n| (if [5, 7].contains(&n) { 9 } else { 3 }, n)).collect();
            let expected: Vec<(i64, i32)> =
                if is_ordered { last } else { vec![(3, 0), (3, 3), (3, 6), (9, 5), (9, 7)] };
            assert_eq!(told(&mut held, None), expected);
            assert_eq!(told(&mut held, None), []);
        }
    }
}
