//! Which rows of a column are null.
//!
//! Nulls are kept as a list of positions: a value costs nothing, a null one push, and taking rows back is cutting the
//! tail off. The bitmap that Arrow wants is made once, when the batch is done.

use arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer};
use arrow::util::bit_util;

/// Positions of nulls, ascending.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Nulls(Vec<u32>);

impl Nulls {
    pub(in super::super) fn push(&mut self, row: usize) {
        // Offsets are 32 bits wide, so no column of a batch has more rows than fit.
        self.0.push(row as u32);
    }

    /// Forgets the nulls at and after this row.
    pub(in super::super) fn truncate(&mut self, rows: usize) {
        while self.0.last().is_some_and(|last| *last as usize >= rows) {
            self.0.pop();
        }
    }

    /// The bitmap over this many rows; starts anew.
    pub(in super::super) fn take(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.0.is_empty() {
            return None;
        }
        let mut bits = MutableBuffer::from(vec![0xff_u8; bit_util::ceil(rows, 8)]);
        let bytes = bits.as_slice_mut();
        for row in self.0.drain(..) {
            bit_util::unset_bit(bytes, row as usize);
        }
        Some(NullBuffer::new(BooleanBuffer::new(bits.into(), 0, rows)))
    }
}
