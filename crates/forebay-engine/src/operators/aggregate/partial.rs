//! The lane's half of an aggregation: rows into groups of key and pane.
//!
//! ```text
//! rows ─▶ pane of each row ─▶ late ones out ─▶ number of each key ─▶ number of (key, pane) ─▶ accumulators
//! ```
//!
//! Times that stand beside each other mostly lie in one pane, and the rows of a key that follow each other too: both are
//! compared with the one before, and only else looked up.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch, not};
use arrow::datatypes::TimestampMicrosecondType;
use forebay_core::Result;
use forebay_core::event_time::Watermark;

use super::numbers::{LATE, Members, PaneNumbers};
use super::{Plan, start_column};
use crate::operators::accumulators::Accumulators;
use crate::operators::groups::take_all;
use crate::operators::keys::{Interner, evaluate_keys, everything};
use crate::operators::{Counts, Late, Partial, broken, evaluate_times, failed, times_of};
use crate::plan::functions::window;
use crate::plan::graph::KeySet;

/// One lane of one epoch.
pub(super) struct Lane {
    plan: Arc<Plan>,
    /// `None` if no row is late: without a watermark, and in complete mode.
    late: Option<Watermark>,
    keys: Interner,
    panes: Option<PaneNumbers>,
    members: Members,
    accumulators: Accumulators,
    counts: Counts,
}

impl Lane {
    pub fn new(plan: Arc<Plan>, late: Option<Watermark>) -> Result<Self> {
        let late_by_window = late.filter(|_| plan.ends_by_window());
        let panes = plan.panes.map(|panes| PaneNumbers::new(panes, late_by_window));
        let (keys, accumulators) = (Interner::new(&plan.spec.key_fields)?, plan.aggregates.accumulators()?);
        Ok(Self {
            plan,
            late,
            keys,
            panes,
            members: Members::default(),
            accumulators,
            counts: Counts::default(),
        })
    }

    /// Adds rows to the groups of their keys and panes.
    fn add(&mut self, batch: &RecordBatch, keys: &[ArrayRef], panes: &[u32]) -> Result<()> {
        let (ids, total) = self.keys.intern(keys, batch.num_rows())?;
        if self.panes.is_none() {
            return self.accumulators.update(batch, ids, total);
        }
        let groups = self.members.number(ids, total, panes);
        self.accumulators.update(batch, &groups, self.members.each.len())
    }

    /// The rows that are not late by their window, with the pane of each. Without a window there are no panes.
    fn paned(&mut self, batch: RecordBatch, late: &mut Late) -> Result<(RecordBatch, Vec<u32>)> {
        let (Some(window), Some(panes)) = (&self.plan.spec.window, &mut self.panes) else {
            return Ok((batch, Vec::new()));
        };
        let mut times = evaluate_times(&window.ts, &batch)?;
        let mut batch = batch;
        if times.null_count() > 0 {
            let has_time = BooleanArray::new(present(&times), None);
            self.counts.filtered += times.null_count() as u64;
            batch = filter_record_batch(&batch, &has_time).map_err(broken)?;
            times = times_of(&filter(&times, &has_time).map_err(broken)?)?;
        }
        let mut numbers = Vec::with_capacity(batch.num_rows());
        if !panes.number(times.values(), &mut numbers) {
            return Ok((batch, numbers));
        }
        let is_late = BooleanArray::new(
            BooleanBuffer::collect_bool(numbers.len(), |row| numbers.get(row) == Some(&LATE)),
            None,
        );
        let sliding = window.sliding;
        let missed = |row: usize| {
            let start = times.values().get(row).map_or(0, |ts| sliding.last_start(*ts));
            (start, sliding.end(start))
        };
        let watermark = self.late.unwrap_or_default();
        let batch = without(batch, &is_late, &times, watermark, Some(&missed), late, &mut self.counts)?;
        numbers.retain(|number| *number != LATE);
        Ok((batch, numbers))
    }

    /// The rows and their keys; those that are late by a key that is the event time are out, also of `panes`.
    fn keyed(
        &mut self,
        batch: RecordBatch,
        panes: &mut Vec<u32>,
        late: &mut Late,
    ) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let keys = evaluate_keys(&self.plan.spec.keys, &batch)?;
        let event_time = self.plan.spec.event_key.and_then(|index| keys.get(index));
        let (Some(watermark), Some(event_time)) = (self.late, event_time) else { return Ok((batch, keys)) };
        let times = times_of(event_time)?;
        // A NULL is never late: nothing compares with it.
        let late_us = watermark.micros();
        let is_late = BooleanBuffer::collect_bool(times.len(), |row| {
            times.is_valid(row) && times.value(row) <= late_us
        });
        if is_late.count_set_bits() == 0 {
            return Ok((batch, keys));
        }
        let is_late = BooleanArray::new(is_late, None);
        let start = event_time.as_struct_opt().and_then(|window| window.column_by_name("start"));
        let start = start.and_then(|start| start.as_primitive_opt::<TimestampMicrosecondType>());
        let ends = times.clone();
        let bounds = |row: usize| (start.map_or(0, |start| start.value(row)), ends.value(row));
        let missed = start.map(|_| &bounds as &dyn Fn(usize) -> (i64, i64));
        // A row is late by its time, not by the end of its window.
        let ts =
            self.plan.spec.event_key.and_then(|index| window::calendar_time(self.plan.spec.keys.get(index)?));
        let times = ts.map_or_else(|| Ok(times.clone()), |ts| evaluate_times(ts, &batch))?;
        let batch = without(batch, &is_late, &times, watermark, missed, late, &mut self.counts)?;
        let kept = not(&is_late).map_err(broken)?;
        if !panes.is_empty() {
            *panes = kept.values().set_indices().filter_map(|row| panes.get(row).copied()).collect();
        }
        let keys = keys.iter().map(|key| filter(key, &kept)).collect::<Result<_, _>>().map_err(broken)?;
        Ok((batch, keys))
    }
}

/// The keys of these rows in the groups of one of GROUPING SETS: NULL where it has none, and its number.
fn of_set(set: &KeySet, keys: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
    let key = |(key, has): (&ArrayRef, &bool)| {
        if *has { Arc::clone(key) } else { new_null_array(key.data_type(), rows) }
    };
    let mut of_set: Vec<ArrayRef> = keys.iter().zip(&set.has).map(key).collect();
    of_set.push(set.number.to_array_of_size(rows).map_err(failed)?);
    Ok(of_set)
}

/// The rows that are not late; the others are counted and handed on.
fn without(
    batch: RecordBatch,
    is_late: &BooleanArray,
    times: &TimestampMicrosecondArray,
    watermark: Watermark,
    missed: Option<&dyn Fn(usize) -> (i64, i64)>,
    late: &mut Late,
    counts: &mut Counts,
) -> Result<RecordBatch> {
    counts.late += is_late.values().count_set_bits() as u64;
    late.push(&batch, is_late, times, watermark, missed)?;
    filter_record_batch(&batch, &not(is_late).map_err(broken)?).map_err(broken)
}

fn present(times: &TimestampMicrosecondArray) -> BooleanBuffer {
    times.nulls().map_or_else(|| BooleanBuffer::new_set(times.len()), |nulls| nulls.inner().clone())
}

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, late: &mut Late) -> Result<()> {
        let (batch, mut panes) = self.paned(batch, late)?;
        let (batch, keys) = self.keyed(batch, &mut panes, late)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.counts.taken += batch.num_rows() as u64;
        let plan = Arc::clone(&self.plan);
        if plan.spec.sets.is_empty() {
            return self.add(&batch, &keys, &panes);
        }
        // Spark gives each row once for each set.
        plan.spec
            .sets
            .iter()
            .try_for_each(|set| self.add(&batch, &of_set(set, &keys, batch.num_rows())?, &panes))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<RecordBatch>> {
        let (mut columns, total) = match &self.panes {
            None if self.plan.has_one_group() => (vec![everything()], 1),
            None => {
                let total = self.keys.len();
                (self.keys.emit()?, total)
            }
            Some(panes) => {
                let (keys, starts): (Vec<u32>, Vec<i64>) =
                    self.members.each.iter().map(|(key, pane)| (*key, panes.start(*pane))).unzip();
                let total = keys.len();
                let mut columns = take_all(&self.keys.emit()?, &keys.into())?;
                columns.push(start_column(starts));
                (columns, total)
            }
        };
        if total == 0 {
            return Ok(Vec::new());
        }
        columns.extend(self.accumulators.state(total)?);
        Ok(vec![self.plan.partial(columns, total)?])
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
