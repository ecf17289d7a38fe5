//! Groups as columns: the keys and states of a table's rows, or of rows that are about to be.

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use forebay_core::Result;

use super::broken;
use crate::state::{Slot, Table};

/// Rows of a table's layout, outside of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    pub keys: Vec<ArrayRef>,
    pub states: Vec<ArrayRef>,
    pub len: usize,
}

impl Groups {
    /// Those rows of a table.
    pub fn of(table: &Table, slots: &[Slot]) -> Result<Self> {
        Ok(Self { keys: table.keys(slots)?, states: table.values(slots)?, len: slots.len() })
    }

    /// A partial's batch, whose first `width` columns are keys.
    pub fn from_batch(batch: &RecordBatch, width: usize) -> Self {
        let (keys, states) = batch.columns().split_at(width.min(batch.num_columns()));
        Self { keys: keys.to_vec(), states: states.to_vec(), len: batch.num_rows() }
    }

    /// These rows, in this order.
    pub fn take(&self, rows: &UInt32Array) -> Result<Self> {
        Ok(Self { keys: take_all(&self.keys, rows)?, states: take_all(&self.states, rows)?, len: rows.len() })
    }

    /// The rows of all, one after the other.
    pub fn all(parts: Vec<Self>) -> Result<Self> {
        let mut parts: Vec<Self> = parts.into_iter().filter(|part| part.len > 0).collect();
        if parts.len() < 2 {
            return Ok(parts.pop().unwrap_or_default());
        }
        let whole = |columns: fn(&Self) -> &[ArrayRef]| -> Result<Vec<ArrayRef>> {
            let width = parts.first().map_or(0, |part| columns(part).len());
            let column = |index: usize| -> Vec<&dyn Array> {
                parts.iter().filter_map(|part| columns(part).get(index)).map(AsRef::as_ref).collect()
            };
            (0..width).map(|index| concat(&column(index)).map_err(broken)).collect()
        };
        let (keys, states) = (whole(|part| &part.keys)?, whole(|part| &part.states)?);
        Ok(Self { keys, states, len: parts.iter().map(|part| part.len).sum() })
    }

    /// These rows and then those.
    pub fn then(self, other: Self) -> Result<Self> {
        Self::all(vec![self, other])
    }
}

/// The rows of all columns, in this order.
pub(super) fn take_all(columns: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>> {
    columns.iter().map(|column| take(column, rows, None)).collect::<Result<_, _>>().map_err(broken)
}
