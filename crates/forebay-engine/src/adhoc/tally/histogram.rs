//! How often each code occurs in a batch of one key with few values: `count(*)` then costs no more than this.

use arrow::array::{Array, DictionaryArray};
use arrow::datatypes::Int32Type;

/// Values of a dictionary up to which its codes are counted: it takes as long as so many rows.
const MOST: usize = 1_024;
/// Rows next to each other are counted apart, so that one need not wait until the other's count is written.
const LANES: usize = 4;

/// The last batch's counts; reused.
#[derive(Default)]
pub(super) struct Histogram {
    lanes: Vec<u32>,
    /// Rows with the value at each place of the dictionary.
    pub counts: Vec<u32>,
    /// Rows that are NULL.
    pub nulls: u32,
    /// Where they are.
    pub null_rows: Vec<usize>,
}

impl Histogram {
    /// Counts a batch of fewer than 2^32 rows; false if its dictionary has too many values for that.
    pub fn count(&mut self, codes: &DictionaryArray<Int32Type>) -> bool {
        let values = codes.values().len();
        if values > MOST || values > codes.len() {
            return false;
        }
        // One more, for what stands in the place of a NULL and is no code.
        let width = values + 1;
        let at = |code: i32| (code as usize).min(values);
        self.lanes.clear();
        self.lanes.resize(width * LANES, 0);
        let keys = codes.keys().values().as_ref();
        let (fours, rest) = keys.as_chunks::<LANES>();
        let (first, others) = self.lanes.split_at_mut(width);
        let (second, others) = others.split_at_mut(width);
        let (third, fourth) = others.split_at_mut(width);
        let add = |lane: &mut [u32], code: i32| {
            if let Some(count) = lane.get_mut(at(code)) {
                *count += 1;
            }
        };
        for [one, two, three, four] in fours {
            add(first, *one);
            add(second, *two);
            add(third, *three);
            add(fourth, *four);
        }
        for code in rest {
            add(first, *code);
        }
        let lanes = first.iter().zip(second.iter()).zip(third.iter()).zip(fourth.iter());
        self.counts.clear();
        self.counts.extend(lanes.map(|(((one, two), three), four)| one + two + three + four));
        self.null_rows.clear();
        if let Some(nulls) = codes.nulls().filter(|nulls| nulls.null_count() > 0) {
            self.null_rows.extend((!nulls.inner()).set_indices());
        }
        self.nulls = self.null_rows.len() as u32;
        for row in &self.null_rows {
            if let Some(count) = keys.get(*row).and_then(|code| self.counts.get_mut(at(*code))) {
                *count -= 1;
            }
        }
        self.counts.truncate(values);
        true
    }
}
