//! Bounds on the batches between the operators of a plan.
//!
//! Operators take and make batches of [`BATCH_ROWS`] rows, but sources and window functions give larger ones, and a join
//! repeats a row for each that it meets: what comes of a batch is as wide as the widest row times its rows. What windows
//! hold is not counted in DataFusion's pool. So a [`Guard`] stands above what gives batches of any size, and cuts them;
//! and one stands below what repeats rows, and refuses wide ones; below windows it counts what they hold.

use std::collections::VecDeque;
use std::fmt::{Formatter, Result as Written};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use forebay_core::Error;
use forebay_core::error::codes;
use futures::StreamExt;

use super::bounds::MAX_FRAME;
use super::budget::failure;
use super::budget::growth::{size_of, varies};
use crate::plan::session::BATCH_ROWS;

/// The plan with its guards; `memory` is what its operators may hold.
pub(super) fn guarded(plan: Arc<dyn ExecutionPlan>, memory: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let guarded = plan.transform_up(|node| {
        let is_window = matches!(node.name(), "WindowAggExec" | "BoundedWindowAggExec");
        let repeats = is_window || node.name().ends_with("JoinExec");
        let mut out = Arc::clone(&node);
        if repeats {
            let keeps = is_window.then(|| Keeps::of(&node));
            let children = node.children().into_iter();
            let children =
                children.map(|child| Guard::over(child, Some(memory / BATCH_ROWS), keeps)).collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            out = out.replace_children(children, options)?;
        }
        if is_window || node.children().is_empty() {
            out = Guard::over(&out, None, None);
        }
        Ok(if Arc::ptr_eq(&out, &node) { Transformed::no(node) } else { Transformed::yes(out) })
    });
    guarded.map(|transformed| transformed.data)
}

/// What a window holds of its rows.
#[derive(Clone, Copy, Debug)]
struct Keeps {
    /// The last so many of them.
    rows: u64,
    /// True if any of its rows may get the widest of their texts.
    spreads: bool,
}

impl Keeps {
    fn of(window: &Arc<dyn ExecutionPlan>) -> Self {
        let before = window.children().first().map_or(0, |input| input.schema().fields().len());
        let schema = window.schema();
        Self {
            rows: if window.name() == "WindowAggExec" { u64::MAX } else { 2 * MAX_FRAME },
            spreads: schema.fields().iter().skip(before).any(|field| varies(field.data_type())),
        }
    }
}

/// Hands its input on in batches that are not too large, and refuses what is.
#[derive(Debug)]
struct Guard {
    input: Arc<dyn ExecutionPlan>,
    /// Most bytes of a row.
    widest: Option<usize>,
    keeps: Option<Keeps>,
}

impl Guard {
    fn over(
        input: &Arc<dyn ExecutionPlan>,
        widest: Option<usize>,
        keeps: Option<Keeps>,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: Arc::clone(input), widest, keeps })
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
        Ok(Arc::new(Self { input, ..*self }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let schema = input.schema();
        let widest = self.widest;
        let mut kept = self.keeps.map(|keeps| Kept {
            keeps,
            last: VecDeque::new(),
            rows: 0,
            bytes: 0,
            widest: 0,
            reservation: MemoryConsumer::new("window").register(context.memory_pool()),
        });
        let batches = input.flat_map(move |batch| {
            let checked = batch.and_then(|batch| {
                let width = widest.map_or(Ok(0), |most| checked_width(&batch, most))?;
                if let Some(kept) = &mut kept {
                    kept.take(&batch, width)?;
                }
                Ok(batch)
            });
            let slices: Vec<Result<RecordBatch>> = match checked {
                Err(error) => vec![Err(error)],
                Ok(batch) if batch.num_rows() <= BATCH_ROWS => vec![Ok(batch)],
                Ok(batch) => {
                    let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
                    starts
                        .map(|start| Ok(batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start))))
                        .collect()
                }
            };
            futures::stream::iter(slices)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// What a window holds by now.
struct Kept {
    keeps: Keeps,
    last: VecDeque<(u64, u64)>,
    rows: u64,
    bytes: u64,
    widest: u64,
    reservation: MemoryReservation,
}

impl Kept {
    fn take(&mut self, batch: &RecordBatch, width: u64) -> Result<()> {
        let (rows, bytes) = (batch.num_rows() as u64, batch.columns().iter().map(|it| size_of(it)).sum());
        self.last.push_back((rows, bytes));
        self.rows += rows;
        self.bytes += bytes;
        self.widest = self.widest.max(width);
        while let Some((rows, bytes)) = self.last.front()
            && self.rows - rows > self.keeps.rows
        {
            self.rows -= rows;
            self.bytes -= bytes;
            self.last.pop_front();
        }
        let spread = if self.keeps.spreads { self.rows.saturating_mul(self.widest) } else { 0 };
        // The rows as they came, and all in one piece.
        let held = self.bytes.saturating_mul(2).saturating_add(spread);
        self.reservation.try_resize(usize::try_from(held).unwrap_or(usize::MAX))
    }
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
