//! Late rows on their way to where they are kept: the row, by how much it is late, and the window it missed.

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch, not};
use forebay_core::Result;
use forebay_core::event_time::Watermark;

use super::{Counts, broken};

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
    /// Their event times.
    pub event_times: TimestampMicrosecondArray,
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
        let event_times = super::times_of(&filter(times, is_late).map_err(broken)?)?;
        let late_by = |us: &i64| watermark.0.saturating_sub(us.div_euclid(1_000));
        let late_by_ms = event_times.values().iter().map(late_by).collect();
        let missed = missed.map(|missed| {
            let windows = is_late.values().set_indices().map(missed);
            let (starts, ends): (Vec<i64>, Vec<i64>) = windows.unzip();
            (starts.into(), ends.into())
        });
        self.rows.push(LateRows { rows, event_times, late_by_ms, missed });
        Ok(())
    }
}

/// The rows of a batch that are not late by their event times; a row without one is not. The others are counted and put
/// aside.
pub(super) fn refuse(
    batch: RecordBatch,
    times: &TimestampMicrosecondArray,
    watermark: Watermark,
    late: &mut Late,
    counts: &mut Counts,
) -> Result<RecordBatch> {
    let (batch, is_late) = parted(batch, times, watermark, late)?;
    counts.late += is_late.map_or(0, |is_late| is_late.true_count() as u64);
    Ok(batch)
}

/// The same, with which rows are late, if any is.
pub(super) fn parted(
    batch: RecordBatch,
    times: &TimestampMicrosecondArray,
    watermark: Watermark,
    late: &mut Late,
) -> Result<(RecordBatch, Option<BooleanArray>)> {
    let is_late = |row: usize| times.is_valid(row) && watermark.has_passed(times.value(row));
    let is_late = BooleanArray::new(BooleanBuffer::collect_bool(times.len(), is_late), None);
    if is_late.true_count() == 0 {
        return Ok((batch, None));
    }
    late.push(&batch, &is_late, times, watermark, None)?;
    let rest = filter_record_batch(&batch, &not(&is_late).map_err(broken)?).map_err(broken)?;
    Ok((rest, Some(is_late)))
}
