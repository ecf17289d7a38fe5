//! The rows of one lane of one side: those that are late go, of the others is told what their key is, when they are forgotten,
//! and whether they may meet another at all.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::filter_record_batch;
use forebay_core::Result;
use forebay_core::event_time::Watermark;

use super::condition::truth;
use super::side::Side;
use crate::operators::keys::evaluate_keys;
use crate::operators::late::refuse;
use crate::operators::{Counts, Late, Partial, broken, times_of};

pub(super) struct Lane {
    side: Arc<Side>,
    late: Watermark,
    rows: Vec<RecordBatch>,
    counts: Counts,
}

impl Lane {
    pub fn new(side: Arc<Side>, late: Watermark) -> Self {
        Self { side, late, rows: Vec::new(), counts: Counts::default() }
    }
}

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, late: &mut Late) -> Result<()> {
        let side = &self.side;
        let times = side.spec.event_time.and_then(|column| batch.columns().get(column));
        let batch = match times.map(times_of).transpose()? {
            Some(times) => refuse(batch, &times, self.late, late, &mut self.counts)?,
            None => batch,
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = evaluate_keys(&side.spec.keys, &batch)?;
        let mut expires = side.expires(&batch, &keys)?;
        let has_key =
            keys.iter().fold(None, |all, key| NullBuffer::union(all.as_ref(), key.logical_nulls().as_ref()));
        let mut may_meet =
            has_key.map_or_else(|| BooleanBuffer::new_set(batch.num_rows()), |has_key| has_key.into_inner());
        if let Some(filter) = &side.filter {
            let passes = truth(filter, &batch)?;
            // One that fails is past its time, whatever that is.
            let fails = expires.iter_mut().zip(passes.values()).filter(|(_, passes)| !passes);
            fails.for_each(|(expires, _)| *expires = i64::MIN);
            may_meet = &may_meet & passes.values();
        }
        let may_meet = BooleanArray::new(may_meet, None);
        let columns = batch.columns()[..side.width].iter().cloned();
        let told: [ArrayRef; 2] = [Arc::new(Int64Array::from(expires)), Arc::new(may_meet.clone())];
        let columns = keys.into_iter().chain(told).chain(columns).collect();
        let mut rows = RecordBatch::try_new(Arc::clone(&side.came), columns).map_err(broken)?;
        if !side.outer && may_meet.true_count() < rows.num_rows() {
            self.counts.unmatched += (rows.num_rows() - may_meet.true_count()) as u64;
            rows = filter_record_batch(&rows, &may_meet).map_err(broken)?;
        }
        if rows.num_rows() > 0 {
            self.rows.push(rows);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>> {
        Ok(self.rows)
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
