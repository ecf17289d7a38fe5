//! Late rows on their way to where they are kept: the row, by how much it is late, and the window it missed.

use arrow::array::{BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{filter, filter_record_batch};
use forebay_core::Result;
use forebay_core::event_time::Watermark;

use super::broken;

/// Collects the late rows of one lane. Take them out after each batch: they are not bounded here.
#[derive(Debug, Default)]
pub(crate) struct Late {
    rows: Vec<LateRows>,
}

/// Late rows of one batch.
#[derive(Clone, Debug)]
pub(crate) struct LateRows {
    /// As they came to the operator.
    pub rows: RecordBatch,
    /// From the event time to the watermark by which they are late, in milliseconds.
    pub late_by_ms: Int64Array,
    /// Start and end of the window that each missed, the last one if it missed several. For a session it is the one that
    /// the row alone would have been.
    pub missed: Option<(TimestampMicrosecondArray, TimestampMicrosecondArray)>,
}

impl Late {
    /// What came since the last time.
    pub fn take(&mut self) -> Vec<LateRows> {
        std::mem::take(&mut self.rows)
    }

    /// Takes those rows of a batch for which `is_late` is true. `times` are the event times of all its rows, `missed`
    /// gives start and end of the window that a row of this index missed.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        is_late: &BooleanArray,
        times: &TimestampMicrosecondArray,
        watermark: Watermark,
        missed: Option<&dyn Fn(usize) -> (i64, i64)>,
    ) -> Result<()> {
        let rows = filter_record_batch(batch, is_late).map_err(broken)?;
        let late_by = filter(times, is_late).map_err(broken)?;
        let late_by_ms =
            arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMicrosecondType>(&late_by)
                .values()
                .iter()
                .map(|us| watermark.0.saturating_sub(us.div_euclid(1_000)))
                .collect();
        let missed = missed.map(|missed| {
            let windows = is_late.values().set_indices().map(missed);
            let (starts, ends): (Vec<i64>, Vec<i64>) = windows.unzip();
            (starts.into(), ends.into())
        });
        self.rows.push(LateRows { rows, late_by_ms, missed });
        Ok(())
    }
}
