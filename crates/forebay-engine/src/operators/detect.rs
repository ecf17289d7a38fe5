//! Detection: each row comes out with what a model says of it.
//!
//! ```text
//! lane:  rows as they came
//! run:   those of all lanes, keys numbered ─▶ the keys' state out of the table ─▶ judged and learned, row by row ─▶ out, with
//!        four columns more; the state of every key that came ─▶ the table
//! ```
//!
//! Rows of a key are judged in the order of their lanes and as they came there. A lane has whole partitions, so where a key comes by one
//! partition that is the partition's own order, however it is cut into epochs: no row is sorted, since what is in one epoch
//! here may be in two there. Where a key comes by several partitions, their rows count as they happen to arrive.
//!
//! The table has a row for each key, with the model's bytes. It is never forgotten; the query's `stateLimit` bounds it. A model that
//! remembers nothing has no table. Where the rows that were learned are far less than what is remembered of their keys, the changelog
//! has them, and a restart learns them again: what is learned follows from rows and state alone.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, LargeBinaryBuilder, RecordBatch, UInt32Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use forebay_core::detect::Judge;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Result};

use super::keys::{Interner, Zeros, everything, everything_field, normalised};
use super::{Counts, EpochTimes, Late, Operator, PORTS, Partial, Step, broken, meaning, misplaced};
use crate::plan::graph::DetectSpec;
use crate::state::{Again, Changes, Layout, NEVER, Slot, Table, Upserts, own_views};

/// About what a row takes in a changelog, as what a key learned: its key, its time and its inputs.
const ROW_BYTES: usize = 64;
/// How much less that must be than what is remembered: a restart learns it again.
const WORTH: usize = 4;

/// A detector.
pub(crate) struct Detection {
    learner: Arc<Learner>,
    /// `None` if nothing is remembered.
    layout: Option<Arc<Layout>>,
}

/// What judges and learns, without what it knows.
#[derive(Debug)]
struct Learner {
    spec: Arc<DetectSpec>,
    /// Of the key's columns.
    fields: Vec<FieldRef>,
}

impl Detection {
    pub fn new(spec: Arc<DetectSpec>) -> Result<Self> {
        let field = |index: &usize| spec.input.fields().get(*index).cloned().ok_or_else(misplaced);
        let fields = spec.keys.iter().map(field).collect::<Result<Vec<FieldRef>>>()?;
        let learner = Arc::new(Learner { spec, fields });
        let layout = learner.spec.model.remembers().then(|| {
            let state = Arc::new(Field::new("state", DataType::LargeBinary, false));
            let fields = &learner.fields;
            let keys = if fields.is_empty() { vec![everything_field()] } else { fields.clone() };
            let values = meaning::values(vec![state], meaning::detect(&learner.spec));
            Layout::with_again(keys, values, Arc::clone(&learner) as Arc<dyn Again>)
        });
        Ok(Self { learner, layout })
    }
}

impl Learner {
    fn column<'b>(&self, batch: &'b RecordBatch, index: usize) -> Result<&'b ArrayRef> {
        batch.columns().get(index).ok_or_else(misplaced)
    }

    fn keys(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let key = |index: &usize| Ok(normalised(self.column(batch, *index)?, Zeros::Same));
        self.spec.keys.iter().map(key).collect()
    }

    fn inputs(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.spec.columns.iter().map(|index| self.column(batch, *index).cloned()).collect()
    }

    /// The number of each row's key.
    fn numbered(&self, interner: &mut Interner, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let (ids, total) = interner.intern(keys, rows)?;
        if u32::try_from(total).is_err() {
            let message = format!("an epoch brought {total} keys to `{}`", self.spec.name);
            return Err(Error::new(&codes::STATE_LIMIT, message));
        }
        Ok(ids.iter().map(|id| *id as u32).collect())
    }

    /// The keys in the order of their numbers.
    fn met(&self, interner: &mut Interner) -> Result<Vec<ArrayRef>> {
        if self.fields.is_empty() { Ok(vec![everything()]) } else { interner.emit() }
    }

    /// A batch with what the judge says of it.
    fn judged(&self, judge: &mut dyn Judge, numbers: &[u32], batch: &RecordBatch) -> Result<RecordBatch> {
        let times = self.spec.time.map(|index| self.column(batch, index)).transpose()?;
        let said = judge.judge(numbers, times, &self.inputs(batch)?)?;
        let columns = batch.columns().iter().cloned().chain(said).collect();
        RecordBatch::try_new(Arc::clone(&self.spec.output), columns).map_err(broken)
    }

    /// What was learned of these rows: their keys, times and inputs, as [`Again::changes`] takes them.
    fn cause(&self, partials: &[RecordBatch]) -> Result<RecordBatch> {
        let columns = |batch: &RecordBatch| -> Result<Vec<ArrayRef>> {
            let mut columns = self.keys(batch)?;
            if columns.is_empty() {
                let first = UInt32Array::from(vec![0; batch.num_rows()]);
                columns.push(take(&everything(), &first, None).map_err(broken)?);
            }
            columns.extend(self.spec.time.map(|index| self.column(batch, index).cloned()).transpose()?);
            columns.extend(self.inputs(batch)?);
            Ok(columns)
        };
        let all = partials.iter().map(columns).collect::<Result<Vec<_>>>()?;
        let width = all.first().map_or(0, Vec::len);
        let joined = (0..width).map(|at| {
            let parts: Vec<&dyn Array> = all.iter().filter_map(|it| it.get(at)).map(AsRef::as_ref).collect();
            let column = concat(&parts).map_err(broken)?;
            Ok((at.to_string(), own_views(&column)))
        });
        RecordBatch::try_from_iter(joined.collect::<Result<Vec<_>>>()?).map_err(broken)
    }
}

impl Again for Learner {
    fn changes(&self, table: &Table, cause: &RecordBatch) -> Result<Changes> {
        let (mut judge, mut interner) = (self.spec.model.judge()?, Interner::new(&self.fields)?);
        let split = cause.columns().split_at_checked(self.fields.len().max(1));
        let (keys, learned_of) = split.ok_or_else(misplaced)?;
        let (time, inputs) = match (self.spec.time, learned_of) {
            (Some(_), [time, inputs @ ..]) => (Some(time), inputs),
            (Some(_), []) => return Err(misplaced()),
            (None, inputs) => (None, inputs),
        };
        let keys = keys.get(..self.fields.len()).unwrap_or_default();
        let numbers = self.numbered(&mut interner, keys, cause.num_rows())?;
        let keys = self.met(&mut interner)?;
        let found = remembered(judge.as_mut(), table, &keys)?;
        judge.judge(&numbers, time, inputs)?;
        Ok(learned(judge.as_mut(), keys, found))
    }
}

/// Lets the judge know what the table has of these keys, which are in the order of their numbers; where they lie there.
fn remembered(judge: &mut dyn Judge, table: &Table, keys: &[ArrayRef]) -> Result<Vec<Option<Slot>>> {
    let found = table.find(&table.encode(keys)?);
    let slots: Vec<Slot> = found.iter().flatten().copied().collect();
    let values = table.values(&slots)?;
    let states = values.first().and_then(|column| column.as_binary_opt::<i64>()).ok_or_else(misplaced)?;
    let numbers = (0u32..).zip(&found).filter(|(_, slot)| slot.is_some());
    for ((number, _), row) in numbers.zip(0..states.len()) {
        judge.load(number, states.value(row))?;
    }
    Ok(found)
}

/// What the judge knows of these keys now.
fn learned(judge: &mut dyn Judge, keys: Vec<ArrayRef>, found: Vec<Option<Slot>>) -> Changes {
    let (mut states, mut state) = (LargeBinaryBuilder::with_capacity(found.len(), 0), Vec::new());
    for (number, _) in (0u32..).zip(&found) {
        state.clear();
        judge.save(number, &mut state);
        states.append_value(&state);
    }
    let expires = Int64Array::from(vec![NEVER; found.len()]);
    let upserts = Upserts::taken(&keys, expires, &[Arc::new(states.finish()) as ArrayRef]);
    Changes { upserts: Some(upserts), found: Some(found), ..Changes::default() }
}

impl Operator for Detection {
    fn name(&self) -> &str {
        &self.learner.spec.name
    }

    fn spark_name(&self) -> &'static str {
        // Spark has no such operator; what users write themselves it calls so.
        "transformWithStateExec"
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        self.layout.iter().cloned().collect()
    }

    fn partial(&self, _: usize, _: &EpochTimes) -> Result<Box<dyn Partial>> {
        Ok(Box::new(Lane::default()))
    }

    fn run(
        &self,
        tables: &[Table],
        [partials, _]: [Vec<RecordBatch>; PORTS],
        _: &EpochTimes,
    ) -> Result<Step> {
        let mut changes: Vec<Changes> = self.layouts().iter().map(|_| Changes::default()).collect();
        if partials.is_empty() {
            return Ok(Step { changes, ..Step::default() });
        }
        let learner = &self.learner;
        let (mut judge, mut interner) = (learner.spec.model.judge()?, Interner::new(&learner.fields)?);
        let number =
            |batch: &RecordBatch| learner.numbered(&mut interner, &learner.keys(batch)?, batch.num_rows());
        let numbered = partials.iter().map(number).collect::<Result<Vec<_>>>()?;
        let found = match tables.first() {
            Some(table) => {
                let keys = learner.met(&mut interner)?;
                let found = remembered(judge.as_mut(), table, &keys)?;
                Some((keys, found))
            }
            None => None,
        };
        let batches = partials.iter().zip(&numbered);
        let rows = batches.map(|(batch, numbers)| learner.judged(judge.as_mut(), numbers, batch));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        if let (Some((keys, found)), Some(own)) = (found, changes.first_mut()) {
            *own = learned(judge.as_mut(), keys, found);
            let came = partials.iter().map(RecordBatch::num_rows).sum::<usize>();
            if came * ROW_BYTES < own.bytes() / WORTH {
                own.cause = Some(learner.cause(&partials)?);
            }
        }
        Ok(Step { changes, rows, fates: [Counts::default(); PORTS] })
    }

    fn follows_watermark(&self, _: OutputMode) -> bool {
        false
    }

    fn is_waited_for(&self) -> bool {
        false
    }

    fn passes_rows(&self) -> bool {
        true
    }
}

/// The rows of one lane.
#[derive(Default)]
struct Lane(Vec<RecordBatch>);

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, _: &mut Late) -> Result<()> {
        if batch.num_rows() > 0 {
            self.0.push(batch);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>> {
        Ok(self.0)
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }

    /// Nothing is counted here, and readings are judged in the order in which they come.
    fn push_repeated(&mut self, batch: RecordBatch, _: &BooleanArray, late: &mut Late) -> Result<Counts> {
        self.push(batch, late).map(|()| Counts::default())
    }
}
