//! LIMIT in append mode: the first rows there ever are, and none after them.
//!
//! ```text
//! lane:  rows ─▶ as many as there may ever be
//! run:   those of all lanes ─▶ as many as are left ─▶ out; how many came out ─▶ the table
//! ```
//!
//! The table has one row, the number of rows that came out. First is first by lane, then as the rows came. A row too many
//! is filtered.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type};
use forebay_core::Result;
use forebay_core::output_mode::OutputMode;

use super::keys::{everything, everything_field};
use super::{Counts, EpochTimes, Late, Operator, PORTS, Partial, Step, meaning, misplaced};
use crate::plan::graph::LimitSpec;
use crate::state::{Changes, Layout, NEVER, Table, Upserts};

/// `LIMIT`.
pub(crate) struct Limit {
    spec: Arc<LimitSpec>,
    layout: Arc<Layout>,
}

impl Limit {
    pub fn new(spec: Arc<LimitSpec>) -> Self {
        let rows = Arc::new(Field::new("rows", DataType::Int64, false));
        let values = meaning::values(vec![rows], format!("rows of LIMIT {}", spec.most));
        Self { spec, layout: Layout::new(vec![everything_field()], values) }
    }

    /// How many rows came out in the epochs before.
    fn given(&self, table: &Table) -> Result<usize> {
        let slots = table.all();
        if slots.is_empty() {
            return Ok(0);
        }
        let values = table.values(&slots)?;
        let rows = values.first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        let rows = rows.and_then(|rows| rows.values().first().copied()).ok_or_else(misplaced)?;
        Ok(usize::try_from(rows).unwrap_or(0))
    }
}

impl Operator for Limit {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn spark_name(&self) -> &'static str {
        "globalLimit"
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        vec![Arc::clone(&self.layout)]
    }

    fn partial(&self, _: usize, _: &EpochTimes) -> Result<Box<dyn Partial>> {
        Ok(Box::new(Lane { left: self.spec.most, rows: Vec::new(), counts: Counts::default() }))
    }

    fn run(
        &self,
        tables: &[Table],
        [partials, _]: [Vec<RecordBatch>; PORTS],
        _: &EpochTimes,
    ) -> Result<Step> {
        let before = self.given(super::table(tables, 0)?)?;
        let mut lane =
            Lane { left: self.spec.most.saturating_sub(before), rows: Vec::new(), counts: Counts::default() };
        partials.into_iter().for_each(|batch| lane.take(batch));
        let given = self.spec.most.saturating_sub(lane.left);
        let upserts = (given > before).then(|| {
            let rows: ArrayRef = Arc::new(Int64Array::from(vec![given as i64]));
            Upserts { keys: vec![everything()], expires: Int64Array::from(vec![NEVER]), values: vec![rows] }
        });
        let changes = Changes { upserts, ..Changes::default() };
        Ok(Step { changes: vec![changes], rows: lane.rows, fates: [lane.counts, Counts::default()] })
    }

    fn follows_watermark(&self, _: OutputMode) -> bool {
        false
    }

    fn passes_rows(&self) -> bool {
        true
    }
}

/// The first rows of those that come.
struct Lane {
    /// How many more.
    left: usize,
    rows: Vec<RecordBatch>,
    counts: Counts,
}

impl Lane {
    fn take(&mut self, batch: RecordBatch) {
        let taken = self.left.min(batch.num_rows());
        self.left -= taken;
        self.counts.filtered += (batch.num_rows() - taken) as u64;
        if taken > 0 {
            self.rows.push(batch.slice(0, taken));
        }
    }
}

impl Partial for Lane {
    fn push(&mut self, batch: RecordBatch, _: &mut Late) -> Result<()> {
        self.take(batch);
        Ok(())
    }

    fn push_repeated(&mut self, batch: RecordBatch, firsts: &BooleanArray, _: &mut Late) -> Result<Counts> {
        let taken = self.left.min(batch.num_rows());
        self.take(batch);
        let refused = firsts.slice(taken, firsts.len() - taken).true_count() as u64;
        Ok(Counts { filtered: refused, ..Counts::default() })
    }

    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>> {
        Ok(self.rows)
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
