//! The rows of a table in memory, in the order of their times; rows of one time in the order in which the table has them.

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
    bytes: usize,
}

impl Gathered {
    /// Takes rows.
    pub fn push(&mut self, batch: RecordBatch, times: Vec<i64>) {
        let within = times.is_sorted();
        let after = self.newest.zip(times.first()).is_none_or(|(newest, first)| newest <= *first);
        self.is_unordered |= !within || !after;
        self.newest = times.last().copied().or(self.newest);
        self.bytes += batch.get_array_memory_size() + size_of_val(times.as_slice());
        self.batches.push(batch);
        self.times.push(times);
    }

    /// What they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if there is at least a piece.
    pub fn is_piece(&self) -> bool {
        self.times.iter().map(Vec::len).sum::<usize>() >= PIECE_ROWS
    }

    /// Hands them over in pieces, with their times, in order.
    pub fn pieces(self, take: &mut dyn FnMut(RecordBatch, Vec<i64>) -> Result<bool>) -> Result<()> {
        let Some(schema) = self.batches.first().map(RecordBatch::schema) else { return Ok(()) };
        if !self.is_unordered {
            let mut from = 0;
            while from < self.batches.len() {
                let (mut until, mut rows) = (from, 0);
                while until < self.batches.len() && rows < PIECE_ROWS {
                    rows += self.times[until].len();
                    until += 1;
                }
                let batch = concat_batches(&schema, &self.batches[from..until]).map_err(unfit)?;
                if !take(batch, self.times[from..until].concat())? {
                    return Ok(());
                }
                from = until;
            }
            return Ok(());
        }
        let places = self.times.iter().enumerate().flat_map(|(batch, times)| {
            times.iter().enumerate().map(move |(row, time)| (*time, batch as u32, row as u32))
        });
        let mut order: Vec<(i64, u32, u32)> = places.collect();
        order.sort_unstable();
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        for rows in order.chunks(PIECE_ROWS) {
            let indices: Vec<(usize, usize)> =
                rows.iter().map(|(_, batch, row)| (*batch as usize, *row as usize)).collect();
            let batch = interleave_record_batch(&batches, &indices).map_err(unfit)?;
            if !take(batch, rows.iter().map(|(time, ..)| *time).collect())? {
                return Ok(());
            }
        }
        Ok(())
    }
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

    fn told(held: Gathered) -> Vec<(i64, i32)> {
        let mut all = Vec::new();
        let mut take = |batch: RecordBatch, times: Vec<i64>| {
            let numbers = batch.column(0).as_primitive::<Int32Type>();
            all.extend(times.into_iter().zip(numbers.values().iter().copied()));
            Ok(true)
        };
        held.pieces(&mut take).unwrap();
        all
    }

    #[test]
    fn rows_come_in_the_order_of_time_and_those_of_one_time_in_the_tables() {
        let mut held = Gathered::default();
        held.push(batch([1, 2, 3]), vec![5, 9, 5]);
        held.push(batch([]), vec![]);
        held.push(batch([4, 5]), vec![5, -7]);
        assert_eq!(told(held), [(-7, 5), (5, 1), (5, 3), (5, 4), (9, 2)]);
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
            assert!(held.is_piece() && held.bytes() > 8 * count as usize);
            let all = told(held);
            assert_eq!(all.len(), count as usize);
            assert!(all.iter().all(|(time, n)| *time == i64::from(n * turn)) && all.is_sorted());
        }
    }
}
