//! De-duplication: the first row of each key comes out, the others are counted.
//!
//! ```text
//! lane:  rows ─▶ late ones out ─▶ the first of each key in the lane
//! run:   those of all lanes ─▶ the first of each key ─▶ those whose key the table does not have ─▶ out, and into the table
//! ```
//!
//! When a key is forgotten, as in Spark 4.0: with the event time among the keys, when the watermark has reached it; with
//! `within`, when the watermark has reached the event time of the key's first row plus `within`, which later rows do not
//! move; else never. A row is late by its event time, whether that is a key or not. First is first by lane, then as the rows
//! came.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, filter_record_batch, not};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type};
use forebay_core::error::codes;
use forebay_core::event_time::Watermark;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Result};

use super::keys::{Interner, Zeros, normalised};
use super::late::parted;
use super::{Counts, EpochTimes, Late, Operator, PORTS, Partial, Step, broken, meaning, times_of};
use crate::plan::graph::DeduplicateSpec;
use crate::state::{Changes, Layout, NEVER, Table, Upserts};

/// `deduplicate`.
pub(crate) struct Deduplication {
    plan: Arc<Plan>,
}

struct Plan {
    spec: Arc<DeduplicateSpec>,
    fields: Vec<FieldRef>,
    layout: Arc<Layout>,
}

impl Deduplication {
    pub fn new(spec: Arc<DeduplicateSpec>) -> Result<Self> {
        let field = |index: &usize| spec.input.fields().get(*index).cloned().ok_or_else(missing);
        let fields = spec.keys.iter().map(field).collect::<Result<Vec<FieldRef>>>()?;
        let layout = Layout::new(fields.clone(), meaning::values(Vec::new(), meaning::deduplicate(&spec)));
        Ok(Self { plan: Arc::new(Plan { spec, fields, layout }) })
    }
}

impl Operator for Deduplication {
    fn name(&self) -> &str {
        &self.plan.spec.name
    }

    fn spark_name(&self) -> &'static str {
        if self.plan.spec.within_us.is_some() { "dedupeWithinWatermark" } else { "dedupe" }
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        vec![Arc::clone(&self.plan.layout)]
    }

    fn partial(&self, _: usize, times: &EpochTimes) -> Result<Box<dyn Partial>> {
        let late = self.plan.spec.event_time.map(|_| times.late);
        let firsts = Firsts::new(&self.plan)?;
        Ok(Box::new(Lane {
            plan: Arc::clone(&self.plan),
            late,
            firsts,
            rows: Vec::new(),
            counts: Counts::default(),
        }))
    }

    fn run(
        &self,
        tables: &[Table],
        [partials, _]: [Vec<RecordBatch>; PORTS],
        times: &EpochTimes,
    ) -> Result<Step> {
        let (plan, table, evict) = (&self.plan, super::table(tables, 0)?, times.evict_us());
        let forgets = plan.forgets();
        let (mut firsts, mut fates) = (Firsts::new(plan)?, Counts::default());
        let (mut rows, mut upserts) = (Vec::new(), Vec::new());
        for batch in partials {
            let keys = plan.keys(&batch)?;
            let known = table.find(&table.encode(&keys)?);
            let first = firsts.mask(&keys, batch.num_rows())?;
            let new = BooleanBuffer::collect_bool(batch.num_rows(), |row| {
                first.value(row) && known.get(row).is_some_and(Option::is_none)
            });
            fates.deduplicated += (batch.num_rows() - new.count_set_bits()) as u64;
            if new.count_set_bits() == 0 {
                continue;
            }
            let new = BooleanArray::new(new, None);
            let batch = filter_record_batch(&batch, &new).map_err(broken)?;
            upserts.push((plan.keys(&batch)?, plan.expiry(&batch)?));
            rows.push(batch);
        }
        let upserts = together(plan, upserts, forgets.then_some(evict))?;
        let evicts = forgets && table.oldest().is_some_and(|oldest| oldest <= evict);
        let changes = Changes { upserts, evict_through: evicts.then_some(evict), ..Changes::default() };
        Ok(Step { changes: vec![changes], rows, fates: [fates, Counts::default()] })
    }

    fn follows_watermark(&self, _: OutputMode) -> bool {
        self.plan.spec.event_time.is_some()
    }

    fn is_waited_for(&self) -> bool {
        false
    }

    fn passes_rows(&self) -> bool {
        true
    }
}

impl Plan {
    fn forgets(&self) -> bool {
        let Some(event_time) = self.spec.event_time else { return false };
        self.spec.within_us.is_some() || self.spec.keys.contains(&event_time)
    }

    fn keys(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let normal = |column| normalised(column, Zeros::Apart);
        let key = |index: &usize| batch.columns().get(*index).map(normal).ok_or_else(missing);
        self.spec.keys.iter().map(key).collect()
    }

    fn event_times(&self, batch: &RecordBatch) -> Result<Option<TimestampMicrosecondArray>> {
        let Some(index) = self.spec.event_time else { return Ok(None) };
        times_of(batch.columns().get(index).ok_or_else(missing)?).map(Some)
    }

    /// When the keys of these rows may go (µs).
    fn expiry(&self, batch: &RecordBatch) -> Result<Vec<i64>> {
        let times = self.event_times(batch)?.filter(|_| self.forgets());
        let Some(times) = times else { return Ok(vec![NEVER; batch.num_rows()]) };
        Ok(match self.spec.within_us {
            // Spark takes a NULL for 1970 here.
            Some(within) => times.iter().map(|time| time.unwrap_or(0).saturating_add(within)).collect(),
            None => times.iter().map(|time| time.unwrap_or(NEVER)).collect(),
        })
    }
}

/// The keys to remember as one; without those that are forgotten at once.
fn together(
    plan: &Plan,
    parts: Vec<(Vec<ArrayRef>, Vec<i64>)>,
    evict: Option<i64>,
) -> Result<Option<Upserts>> {
    let expires: Vec<i64> = parts.iter().flat_map(|(_, expires)| expires.iter().copied()).collect();
    let stays = BooleanBuffer::collect_bool(expires.len(), |row| {
        evict.is_none_or(|evict| expires.get(row).is_some_and(|expiry| *expiry > evict))
    });
    if stays.count_set_bits() == 0 {
        return Ok(None);
    }
    let stays = BooleanArray::new(stays, None);
    let mut keys = Vec::with_capacity(plan.fields.len());
    for index in 0..plan.fields.len() {
        let columns: Vec<&dyn Array> =
            parts.iter().filter_map(|(keys, _)| keys.get(index).map(AsRef::as_ref)).collect();
        let whole = arrow::compute::concat(&columns).map_err(broken)?;
        keys.push(filter(&whole, &stays).map_err(broken)?);
    }
    let kept = stays.values().set_indices().filter_map(|row| expires.get(row).copied());
    Ok(Some(Upserts::taken(&keys, Int64Array::from_iter_values(kept), &[])))
}

/// Which rows are the first of their key.
struct Firsts {
    interner: Interner,
    seen: Vec<bool>,
}

impl Firsts {
    fn new(plan: &Plan) -> Result<Self> {
        let fields: Vec<FieldRef> = plan.fields.iter().map(by_bits).collect();
        Ok(Self { interner: Interner::new(&fields)?, seen: Vec::new() })
    }

    fn mask(&mut self, keys: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
        let keys: Vec<ArrayRef> = keys.iter().map(bits).collect();
        let (ids, total) = self.interner.intern(&keys, rows)?;
        self.seen.resize(total, false);
        let seen = &mut self.seen;
        let first = |id: &usize| seen.get_mut(*id).is_some_and(|seen| !std::mem::replace(seen, true));
        Ok(BooleanArray::from(ids.iter().map(first).collect::<Vec<bool>>()))
    }
}

/// The field of [`bits`].
fn by_bits(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Float64 => DataType::Int64,
        DataType::Float32 => DataType::Int32,
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// Numbers by their bits, since what numbers keys takes -0.0 for 0.0.
fn bits(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>();
            Arc::new(numbers.unary::<_, Int64Type>(|number| number.to_bits().cast_signed()))
        }
        DataType::Float32 => {
            let numbers = column.as_primitive::<Float32Type>();
            Arc::new(numbers.unary::<_, Int32Type>(|number| number.to_bits().cast_signed()))
        }
        _ => Arc::clone(column),
    }
}

/// One lane of one epoch.
struct Lane {
    plan: Arc<Plan>,
    late: Option<Watermark>,
    firsts: Firsts,
    rows: Vec<RecordBatch>,
    counts: Counts,
}

impl Lane {
    /// Takes rows; says what became of those that are `counted`, or of all.
    fn take(
        &mut self,
        batch: RecordBatch,
        counted: Option<&BooleanArray>,
        late: &mut Late,
    ) -> Result<Counts> {
        let (mut batch, mut counted, mut counts) = (batch, counted.cloned(), Counts::default());
        if let (Some(watermark), Some(times)) = (self.late, self.plan.event_times(&batch)?) {
            let (rest, is_late) = parted(batch, &times, watermark, late)?;
            batch = rest;
            if let Some(is_late) = is_late {
                counts.late = among(&is_late, counted.as_ref());
                let stay = not(&is_late).map_err(broken)?;
                counted = counted
                    .map(|counted| filter(&counted, &stay))
                    .transpose()
                    .map_err(broken)?
                    .map(|it| it.as_boolean().clone());
            }
        }
        if batch.num_rows() > 0 {
            let first = self.firsts.mask(&self.plan.keys(&batch)?, batch.num_rows())?;
            counts.deduplicated = among(&not(&first).map_err(broken)?, counted.as_ref());
            if first.true_count() > 0 {
                self.rows.push(filter_record_batch(&batch, &first).map_err(broken)?);
            }
        }
        self.counts.add(&counts);
        Ok(counts)
    }
}

/// How many of those that are counted, or of all, these rows are.
fn among(rows: &BooleanArray, counted: Option<&BooleanArray>) -> u64 {
    let rows = rows.values();
    counted.map_or_else(|| rows.count_set_bits(), |counted| (rows & counted.values()).count_set_bits()) as u64
}

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, late: &mut Late) -> Result<()> {
        self.take(batch, None, late).map(drop)
    }

    fn push_repeated(
        &mut self,
        batch: RecordBatch,
        firsts: &BooleanArray,
        late: &mut Late,
    ) -> Result<Counts> {
        self.take(batch, Some(firsts), late)
    }

    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>> {
        Ok(self.rows)
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

fn missing() -> Error {
    Error::new(&codes::INTERNAL, "a column that rows are de-duplicated by is not there")
}
