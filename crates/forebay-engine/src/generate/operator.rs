//! A generator over tables at rest: the [`Generation`] of a stream as an operator of a plan that DataFusion runs.
//!
//! Rows, their order and the way they are cut are those of a stream, only in smaller pieces, as batches between the operators of such a plan
//! are smaller. What must stay true: a piece is made when somebody asks for it and not before, so a bomb takes no memory, and whoever counts
//! rows, time or bytes above can end it between two pieces; one row becomes no more rows than a record of a stream may.

use std::fmt::{Formatter, Result as Written};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use forebay_core::Error;
use futures::StreamExt;

use super::slices::{Bounds, too_many};
use super::{Generation, RECORD_ROWS, Slice};
use crate::plan::session::BATCH_ROWS;

/// A quarter of a stream's bytes: several operators of a statement hold a batch at once.
const AT_REST: Bounds = Bounds { rows: BATCH_ROWS, bytes: 4 << 20 };

/// Bytes that are not worth a copy.
const SMALL: usize = 64 << 10;

/// The operator.
#[derive(Debug)]
pub(crate) struct GenerateExec {
    stage: Arc<Generation>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl GenerateExec {
    /// Over the rows of this plan.
    pub fn new(stage: Arc<Generation>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&stage.output)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { stage, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GenerateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> Written {
        write!(f, "GenerateExec: {}", self.stage.written)
    }
}

impl ExecutionPlan for GenerateExec {
    fn name(&self) -> &str {
        "GenerateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.stage.output)
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// What comes of a partition stays in its order.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(Arc::clone(&self.stage), input))),
            _ => internal_err!("a generator has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stage = Arc::clone(&self.stage);
        let pieces = self.input.execute(partition, context)?.flat_map(move |batch| {
            let cut = batch.and_then(|batch| Ok((cut(&stage, &batch)?, batch)));
            match cut {
                Ok((slices, batch)) => {
                    let stage = Arc::clone(&stage);
                    let made = slices.into_iter().map(move |slice| made(&stage, &batch, slice));
                    futures::stream::iter(made).left_stream()
                }
                Err(error) => futures::stream::iter([Err(error)]).right_stream(),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), pieces)))
    }
}

/// The slices of a batch, at least one.
fn cut(stage: &Generation, batch: &RecordBatch) -> Result<Vec<Slice>> {
    let slices = stage.slices(batch, &None, None, AT_REST).map_err(external)?;
    if slices.is_empty() {
        return Ok(vec![Slice { rows: 0..batch.num_rows(), elements: None, part: None }]);
    }
    let longest = slices.iter().filter_map(|slice| slice.elements.as_ref()).map(|elements| elements.end);
    if longest.max().is_some_and(|rows| rows as u64 > RECORD_ROWS) {
        return Err(external(too_many(&stage.written)));
    }
    Ok(slices)
}

fn made(stage: &Generation, batch: &RecordBatch, slice: Slice) -> Result<RecordBatch> {
    let rows = batch.slice(slice.rows.start, slice.rows.len());
    let made = stage.rows(&rows, &None, slice.elements).map_err(external)?.batch;
    let holds_more = made.columns().iter().any(holds_more);
    if !holds_more {
        return Ok(made);
    }
    let all = u32::try_from(made.num_rows()).map_err(|e| DataFusionError::External(Box::new(e)))?;
    Ok(take_record_batch(&made, &UInt32Array::from_iter_values(0..all))?)
}

/// True of a part of an array that is much larger: whoever holds the part would hold, and be counted for, all of it.
fn holds_more(column: &ArrayRef) -> bool {
    let own = column.to_data().get_slice_memory_size().unwrap_or(usize::MAX);
    column.get_array_memory_size() > own.saturating_mul(2).saturating_add(SMALL)
}

/// Forebay's error on its way through DataFusion.
fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
