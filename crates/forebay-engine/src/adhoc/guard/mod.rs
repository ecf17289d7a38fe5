//! Bounds on the batches between the operators of a plan.
//!
//! Operators take and make batches of [`BATCH_ROWS`] rows, but sources and window functions give larger ones, and a join
//! repeats a row for each that it meets: what comes of a batch is as wide as the widest row times its rows. So a [`Guard`]
//! stands above every operator whose rows vary in size or whose number of rows does, and cuts what it gives: by rows, and by bytes, because an
//! operator makes of a batch many times as much before it counts it (keys, copies). One stands below what repeats rows,
//! and refuses wide ones; below windows it counts what they hold ([`window`]), and aggregates by arrays count more than
//! they do by themselves ([`weighted`]). What must stay true: at each guard a statement ends when its time is up, and gives way to
//! others now and then, so that who no longer wants it can end it.

use std::fmt::{Formatter, Result as Written};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use forebay_core::Error;
use forebay_core::error::codes;
use futures::StreamExt;

use self::window::{Keeps, Kept};
use super::budget::failure;
use super::budget::growth::{size_of, varies};
use crate::generate::operator::GenerateExec;
use crate::plan::deadline::Deadline;
use crate::plan::session::BATCH_ROWS;

#[cfg(test)]
mod tests;
mod weighted;
mod window;

/// A batch of more bytes is cut, down to single rows.
const BATCH_BYTES: u64 = 4 << 20;

/// The plan with its guards; `pool` counts the `memory` that its operators may hold.
pub(super) fn guarded(
    plan: Arc<dyn ExecutionPlan>,
    memory: usize,
    pool: &Arc<dyn MemoryPool>,
    deadline: Option<Deadline>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plain = Checks { deadline, ..Checks::default() };
    let guarded = plan.transform_up(|node| {
        let keeps = Keeps::of(&node);
        let repeats = keeps.is_some() || node.name().ends_with("JoinExec");
        let weight = weighted::of(&node)?;
        let mut out = Arc::clone(&node);
        if repeats || weight > 1 {
            let checks = Checks {
                widest: repeats.then_some(memory / BATCH_ROWS),
                keeps,
                // What is below counts as always.
                pool: (weight > 1).then(|| Arc::clone(pool)),
                ..plain.clone()
            };
            let children = node.children().into_iter();
            let children = children.map(|child| Guard::over(bare(child), checks.clone()));
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            out = out.replace_children(children.collect(), options)?;
        }
        let rows_vary = node.schema().fields().iter().any(|field| varies(field.data_type()));
        let generates = node.downcast_ref::<GenerateExec>().is_some();
        if rows_vary || repeats || generates || weight > 1 || node.children().is_empty() {
            let pool = (weight > 1).then(|| weighted::pool(pool, weight));
            out = Guard::over(&out, Checks { pool, ..plain.clone() });
        }
        Ok(if Arc::ptr_eq(&out, &node) { Transformed::no(node) } else { Transformed::yes(out) })
    });
    guarded.map(|transformed| transformed.data)
}

/// What a guard stands over that looks at nothing else than the next one will.
fn bare(node: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    match node.downcast_ref::<Guard>() {
        Some(guard) if guard.checks.pool.is_none() => &guard.input,
        _ => node,
    }
}

/// What a guard looks at.
#[derive(Clone, Debug, Default)]
struct Checks {
    /// When the statement must have ended.
    deadline: Option<Deadline>,
    /// Most bytes of a row.
    widest: Option<usize>,
    /// What the window above holds.
    keeps: Option<Keeps>,
    /// Where what is below is counted, if not where what is above is.
    pool: Option<Arc<dyn MemoryPool>>,
}

/// Hands its input on in batches that are not too large, and refuses what is.
#[derive(Debug)]
struct Guard {
    input: Arc<dyn ExecutionPlan>,
    checks: Checks,
}

impl Guard {
    fn over(input: &Arc<dyn ExecutionPlan>, checks: Checks) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: Arc::clone(input), checks })
    }
}

impl DisplayAs for Guard {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> Written {
        f.write_str("Guard")
    }
}

impl ExecutionPlan for Guard {
    fn name(&self) -> &str {
        "Guard"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Self::over(&input, self.checks.clone()))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Checks { deadline, widest, keeps, pool } = self.checks.clone();
        let below = match &pool {
            None => Arc::clone(&context),
            Some(pool) => weighted::counting(&context, pool),
        };
        let input = self.input.execute(partition, below)?;
        let schema = input.schema();
        let mut kept = keeps
            .map(|keeps| Kept::new(keeps, MemoryConsumer::new("window").register(context.memory_pool())));
        let batches = input.flat_map(move |batch| {
            let cut = batch.and_then(|batch| {
                let width = widest.map_or(Ok(0), |most| checked_width(&batch, most))?;
                if let Some(kept) = &mut kept {
                    kept.take(&batch, width)?;
                }
                let mut spans = Vec::new();
                spans_of(&batch, 0, batch.num_rows(), &mut spans);
                Ok((batch, spans))
            });
            let (batch, spans) = match cut {
                Ok(cut) => cut,
                Err(error) => return futures::stream::iter([Err(error)]).left_stream(),
            };
            let part = move |(start, rows)| {
                deadline.map_or(Ok(()), |deadline| deadline.check()).map_err(failure)?;
                part_of(&batch, start, rows)
            };
            futures::stream::iter(spans.into_iter().map(part)).right_stream()
        });
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, batches))))
    }
}

/// Where a batch is cut: first rows and their number.
fn spans_of(batch: &RecordBatch, start: usize, rows: usize, spans: &mut Vec<(usize, usize)>) {
    let part = batch.slice(start, rows);
    let bytes: u64 = part.columns().iter().map(|column| size_of(column)).sum();
    if rows <= 1 || (rows <= BATCH_ROWS && bytes <= BATCH_BYTES) {
        spans.push((start, rows));
        return;
    }
    // By rows alone it is cut into full batches.
    let first = if bytes <= BATCH_BYTES { BATCH_ROWS } else { rows / 2 };
    spans_of(batch, start, first, spans);
    spans_of(batch, start + first, rows - first, spans);
}

/// Some rows of a batch. What is much is copied: who holds a slice would be counted for all of it.
fn part_of(batch: &RecordBatch, start: usize, rows: usize) -> Result<RecordBatch> {
    if rows == batch.num_rows() {
        return Ok(batch.clone());
    }
    let all: u64 = batch.columns().iter().map(|column| size_of(column)).sum();
    if all <= BATCH_BYTES {
        return Ok(batch.slice(start, rows));
    }
    let (start, end) =
        (u32::try_from(start).unwrap_or(u32::MAX), u32::try_from(start + rows).unwrap_or(u32::MAX));
    Ok(take_record_batch(batch, &UInt32Array::from_iter_values(start..end))?)
}

/// The bytes of the widest row, or more; an error if they are more than `most`.
fn checked_width(batch: &RecordBatch, most: usize) -> Result<u64> {
    let width = batch.columns().iter().map(|column| widest(column)).fold(0, u64::saturating_add);
    if width <= most as u64 {
        return Ok(width);
    }
    let message = format!("a row of {width} bytes is too wide for a join or a window function");
    Err(failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(format!(
        "At most {most} bytes are possible: leave long texts and arrays out, or cut them."
    ))))
}

/// The bytes of the longest value.
fn widest(array: &dyn Array) -> u64 {
    fn longest<O: Copy + TryInto<u64>>(offsets: &[O]) -> u64 {
        let number = |offset: O| offset.try_into().unwrap_or(0);
        let lengths = offsets.windows(2).map(|pair| number(pair[1]).saturating_sub(number(pair[0])));
        lengths.max().unwrap_or(0)
    }
    let frame = array.data_type().primitive_width().unwrap_or(16) as u64;
    let longest = match array.data_type() {
        DataType::Utf8 => longest(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => longest(array.as_string::<i64>().value_offsets()),
        DataType::Binary => longest(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => longest(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => u64::from(array.as_string_view().lengths().max().unwrap_or(0)),
        DataType::BinaryView => u64::from(array.as_binary_view().lengths().max().unwrap_or(0)),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| widest(column)).sum(),
        other if varies(other) => {
            (0..array.len()).map(|row| size_of(&array.slice(row, 1))).max().unwrap_or(0)
        }
        _ => 0,
    };
    frame + longest
}
