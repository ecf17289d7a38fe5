//! Text and bytes of any length: one buffer, and the end of each row in it.

use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::super::fault::{Fault, Parse, code};
use super::Nulls;

/// Values of any length, back to back.
#[derive(Clone, Debug)]
pub(in super::super) struct VarBytes {
    bytes: Vec<u8>,
    /// Where each row starts, and at last where the next will: always one more than rows, the first is zero.
    offsets: Vec<i32>,
    nulls: Nulls,
    /// Bytes for each row in the batch before: what to reserve.
    expected: usize,
}

impl Default for VarBytes {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], nulls: Nulls::default(), expected: 16 }
    }
}

impl VarBytes {
    pub(in super::super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(in super::super) fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
        self.bytes.reserve(rows.saturating_mul(self.expected).min(64 << 20));
    }

    /// Adds a value.
    #[inline]
    pub(in super::super) fn push(&mut self, value: &[u8]) -> Parse {
        self.bytes.extend_from_slice(value);
        self.close_row()
    }

    /// Bytes to which the next value can be added piece by piece; [`Self::close_row`] makes the row.
    pub(in super::super) fn open_row(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes what was added since the last row into a row.
    #[inline]
    pub(in super::super) fn close_row(&mut self) -> Parse {
        match i32::try_from(self.bytes.len()) {
            Ok(end) => {
                self.offsets.push(end);
                Ok(())
            }
            Err(_) => Err(Fault::new(code::LIMIT, "expected at most 2 GiB of text in a column of one batch")),
        }
    }

    /// The bytes of a row.
    pub(in super::super) fn get(&self, row: usize) -> &[u8] {
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) => self.bytes.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    pub(in super::super) fn push_null(&mut self) {
        self.nulls.push(self.rows());
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    pub(in super::super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.nulls.truncate(rows);
        let end = self.offsets.last().copied().unwrap_or_default();
        self.bytes.truncate(end as usize);
    }

    /// Offsets, bytes and nulls; starts anew.
    pub(in super::super) fn take(
        &mut self,
    ) -> (OffsetBuffer<i32>, Buffer, Option<arrow::buffer::NullBuffer>) {
        let rows = self.rows();
        if let Some(mean) = self.bytes.len().checked_div(rows) {
            self.expected = mean + 1;
        }
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let bytes = std::mem::take(&mut self.bytes);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(bytes), self.nulls.take(rows))
    }
}
