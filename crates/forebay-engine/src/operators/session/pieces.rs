//! The lane's half of sessions: rows into pieces of sessions.
//!
//! A piece is what rows of one key that meet each other cover. Two pieces may turn out to meet when a row comes between
//! them: both stay as they are, and the operator makes one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch, not};
use arrow::datatypes::Int64Type;
use forebay_core::error::codes;
use forebay_core::event_time::Watermark;
use forebay_core::{Error, Result, ddl};

use super::Plan;
use crate::operators::accumulators::Accumulators;
use crate::operators::groups::take_all;
use crate::operators::keys::{Interner, evaluate_keys};
use crate::operators::{Counts, Late, Partial, broken, evaluate, evaluate_times};
use crate::plan::graph::Gap;

/// No piece.
const NONE: u32 = u32::MAX;

/// One lane of one epoch.
pub(super) struct Lane {
    plan: Arc<Plan>,
    late: Option<Watermark>,
    keys: Interner,
    pieces: Pieces,
    accumulators: Accumulators,
    counts: Counts,
}

impl Lane {
    pub fn new(plan: Arc<Plan>, late: Option<Watermark>) -> Result<Self> {
        let (keys, accumulators) = (Interner::new(&plan.spec.key_fields)?, plan.aggregates.accumulators()?);
        Ok(Self { plan, late, keys, pieces: Pieces::default(), accumulators, counts: Counts::default() })
    }

    /// Where the session of each row begins and ends. Only rows that have one are left.
    fn spans(&mut self, batch: RecordBatch) -> Result<(RecordBatch, Int64Array, Int64Array)> {
        let times = evaluate_times(&self.plan.spec.ts, &batch)?;
        let gaps = match &self.plan.spec.gap {
            Gap::Static(gap) => Int64Array::from(vec![*gap; batch.num_rows()]),
            Gap::PerRow(gap) => evaluate(gap, &batch)?
                .as_primitive_opt::<Int64Type>()
                .cloned()
                .ok_or_else(|| Error::new(&codes::INTERNAL, "the gap of a session is no number"))?,
        };
        let starts = Int64Array::new(times.values().clone(), times.nulls().cloned());
        let whole = |row: usize| starts.is_valid(row) && gaps.is_valid(row) && gaps.value(row) > 0;
        let mask = BooleanBuffer::collect_bool(batch.num_rows(), whole);
        let refused = batch.num_rows() - mask.count_set_bits();
        let ends = |starts: &Int64Array, gaps: &Int64Array| -> Int64Array {
            starts.values().iter().zip(gaps.values()).map(|(start, gap)| start.saturating_add(*gap)).collect()
        };
        if refused == 0 {
            let ends = ends(&starts, &gaps);
            return Ok((batch, starts, ends));
        }
        self.counts.filtered += refused as u64;
        let mask = BooleanArray::new(mask, None);
        let kept = |column: &Int64Array| -> Result<Int64Array> {
            Ok(filter(column, &mask).map_err(broken)?.as_primitive::<Int64Type>().clone())
        };
        let (starts, gaps) = (kept(&starts)?, kept(&gaps)?);
        let ends = ends(&starts, &gaps);
        Ok((filter_record_batch(&batch, &mask).map_err(broken)?, starts, ends))
    }
}

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, late: &mut Late) -> Result<()> {
        let (mut batch, mut starts, mut ends) = self.spans(batch)?;
        if let Some(watermark) = self.late {
            let is_late = |row: usize| ends.values().get(row).is_some_and(|end| watermark.has_passed(*end));
            let is_late = BooleanBuffer::collect_bool(ends.len(), is_late);
            if is_late.count_set_bits() > 0 {
                self.counts.late += is_late.count_set_bits() as u64;
                let is_late = BooleanArray::new(is_late, None);
                let times = TimestampMicrosecondArray::new(starts.values().clone(), None);
                let missed = |row: usize| (starts.value(row), ends.value(row));
                late.push(&batch, &is_late, &times, watermark, Some(&missed))?;
                let kept = not(&is_late).map_err(broken)?;
                batch = filter_record_batch(&batch, &kept).map_err(broken)?;
                let rest = |column: &Int64Array| -> Result<Int64Array> {
                    Ok(filter(column, &kept).map_err(broken)?.as_primitive::<Int64Type>().clone())
                };
                (starts, ends) = (rest(&starts)?, rest(&ends)?);
            }
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = evaluate_keys(&self.plan.spec.keys, &batch)?;
        let (ids, total) = self.keys.intern(&keys, batch.num_rows())?;
        self.counts.taken += batch.num_rows() as u64;
        let groups = self.pieces.number(ids, total, starts.values(), ends.values());
        self.accumulators.update(&batch, &groups, self.pieces.each.len())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<RecordBatch>> {
        let total = self.pieces.each.len();
        if total == 0 {
            return Ok(Vec::new());
        }
        let each = &self.pieces.each;
        let keys: Vec<u32> = each.iter().map(|piece| piece.key).collect();
        let starts = TimestampMicrosecondArray::from_iter_values(each.iter().map(|piece| piece.start));
        let ends = TimestampMicrosecondArray::from_iter_values(each.iter().map(|piece| piece.end));
        let mut columns = take_all(&self.keys.emit()?, &keys.into())?;
        columns.push(Arc::new(starts.with_data_type(ddl::timestamp())));
        columns.push(Arc::new(ends.with_data_type(ddl::timestamp())));
        columns.extend(self.accumulators.state(total)?);
        Ok(vec![RecordBatch::try_new(Arc::clone(&self.plan.partial), columns).map_err(broken)?])
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

/// The part of a session that a lane has seen.
#[derive(Clone, Copy, Debug)]
struct Piece {
    key: u32,
    start: i64,
    end: i64,
}

/// Pieces, numbered from 0.
#[derive(Default)]
struct Pieces {
    each: Vec<Piece>,
    /// By key and start.
    sorted: BTreeMap<(u32, i64), u32>,
    /// The piece of the row before of each key.
    newest: Vec<u32>,
}

impl Pieces {
    /// The piece of each row.
    fn number(&mut self, keys: &[usize], total_keys: usize, starts: &[i64], ends: &[i64]) -> Vec<usize> {
        self.newest.resize(total_keys, NONE);
        let mut numbers = Vec::with_capacity(keys.len());
        for ((key, start), end) in keys.iter().zip(starts).zip(ends) {
            let newest = self.newest.get(*key).copied().unwrap_or(NONE);
            let number = match self.each.get_mut(newest as usize) {
                Some(piece) if piece.start <= *start && *start <= piece.end => {
                    piece.end = piece.end.max(*end);
                    newest
                }
                _ => {
                    let found = self.find(Piece { key: *key as u32, start: *start, end: *end });
                    if let Some(place) = self.newest.get_mut(*key) {
                        *place = found;
                    }
                    found
                }
            };
            numbers.push(number as usize);
        }
        numbers
    }

    /// The piece that this row meets, grown by it; a new one if there is none.
    fn find(&mut self, row: Piece) -> u32 {
        let before = self.sorted.range(..=(row.key, row.start)).next_back();
        if let Some((&(key, _), &number)) = before
            && let Some(piece) = self.each.get_mut(number as usize)
            && key == row.key
            && row.start <= piece.end
        {
            piece.end = piece.end.max(row.end);
            return number;
        }
        let after = self.sorted.range((row.key, row.start)..).next();
        if let Some((&(key, start), &number)) = after
            && let Some(piece) = self.each.get_mut(number as usize)
            && key == row.key
            && start <= row.end
        {
            piece.start = row.start;
            piece.end = piece.end.max(row.end);
            self.sorted.remove(&(key, start));
            self.sorted.insert((key, row.start), number);
            return number;
        }
        let number = self.each.len() as u32;
        self.each.push(row);
        self.sorted.insert((row.key, row.start), number);
        number
    }
}
