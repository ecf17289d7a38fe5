//! Arrays and maps of a column as what they are made of: where the elements of each row are, and the elements of all rows.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use forebay_core::Result;

use super::misplaced;

/// The arrays or maps of a column.
pub(super) struct Lists<'c> {
    offsets: &'c [i32],
    nulls: Option<&'c NullBuffer>,
    /// The elements of all rows: one column, of maps the keys and the values.
    pub elements: Vec<ArrayRef>,
}

impl<'c> Lists<'c> {
    pub fn of(column: &'c ArrayRef) -> Result<Self> {
        if let Some(lists) = column.as_list_opt::<i32>() {
            let elements = vec![ArrayRef::clone(lists.values())];
            return Ok(Self { offsets: lists.value_offsets(), nulls: lists.nulls(), elements });
        }
        let maps = column.as_map_opt().ok_or_else(misplaced)?;
        let elements = vec![ArrayRef::clone(maps.keys()), ArrayRef::clone(maps.values())];
        Ok(Self { offsets: maps.value_offsets(), nulls: maps.nulls(), elements })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Where the elements of a row are; what stands under a NULL is none.
    pub fn range(&self, row: usize) -> Range<usize> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return 0..0;
        }
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }
}
