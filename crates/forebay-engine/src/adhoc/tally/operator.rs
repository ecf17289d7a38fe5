//! The operator: reads a partition of the scan to its end, and gives the partial states of its groups.

use std::collections::VecDeque;
use std::fmt::{Formatter, Result as Written};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::groups::Groups;
use super::shape::Shape;
use crate::adhoc::budget::failure;
use crate::plan::deadline::Deadline;
use crate::plan::session::BATCH_ROWS;

/// Bytes of groups after which they are given out: so many of them hardly come again, and the next stage puts them together.
const MOST: usize = 32 << 20;

/// The first stage of an aggregate, over codes. A leaf: its scan gives columns of other types than the plan knows.
#[derive(Debug)]
pub(super) struct DictionaryAggregate {
    shape: Arc<Shape>,
    scan: Arc<dyn ExecutionPlan>,
    deadline: Option<Deadline>,
    metrics: ExecutionPlanMetricsSet,
}

impl DictionaryAggregate {
    pub fn new(shape: Shape, scan: Arc<dyn ExecutionPlan>, deadline: Option<Deadline>) -> Self {
        Self { shape: Arc::new(shape), scan, deadline, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for DictionaryAggregate {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut Formatter<'_>) -> Written {
        let columns = self.shape.columns.iter().map(|field| field.name().as_str());
        let by: Vec<_> = columns.take(self.shape.keys).collect();
        let aggregates: Vec<_> = self.shape.aggregates.iter().map(|function| function.name()).collect();
        write!(f, "DictionaryAggregate: by=[{}], aggr=[{}]", by.join(", "), aggregates.join(", "))
    }
}

impl ExecutionPlan for DictionaryAggregate {
    fn name(&self) -> &str {
        "DictionaryAggregate"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.shape.properties
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shape.schema)
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let running = Running {
            held: MemoryConsumer::new("DictionaryAggregate").register(context.memory_pool()),
            input: Some(make_cooperative(self.scan.execute(partition, context)?)),
            groups: groups(&self.shape)?,
            ready: VecDeque::new(),
            deadline: self.deadline,
            metrics: BaselineMetrics::new(&self.metrics, partition),
            shape: Arc::clone(&self.shape),
        };
        let batches = futures::stream::try_unfold(running, Running::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

fn groups(shape: &Shape) -> Result<Groups> {
    Groups::new(shape.keys, &shape.aggregates, &shape.arguments)
}

/// One partition on its way.
struct Running {
    shape: Arc<Shape>,
    /// `None` at its end.
    input: Option<SendableRecordBatchStream>,
    groups: Groups,
    /// What is to be given out next.
    ready: VecDeque<RecordBatch>,
    held: MemoryReservation,
    deadline: Option<Deadline>,
    metrics: BaselineMetrics,
}

impl Running {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some((batch, self)));
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            let batch = input.next().await.transpose()?;
            self.deadline.map_or(Ok(()), |deadline| deadline.check()).map_err(failure)?;
            let elapsed = self.metrics.elapsed_compute().clone();
            let _timer = elapsed.timer();
            match batch {
                Some(batch) => {
                    self.groups.add(&batch)?;
                    let size = self.groups.size();
                    // What others hold may leave less room than we would take.
                    if size > MOST || (self.held.try_resize(size).is_err() && self.groups.count() > 0) {
                        self.give_out()?;
                    }
                }
                None => {
                    self.input = None;
                    self.give_out()?;
                }
            }
        }
    }

    /// Makes batches of all groups, and begins anew.
    fn give_out(&mut self) -> Result<()> {
        let groups = std::mem::replace(&mut self.groups, groups(&self.shape)?);
        if groups.count() == 0 {
            return Ok(());
        }
        let all = groups.emit(&self.shape.schema)?;
        let starts = (0..all.num_rows()).step_by(BATCH_ROWS);
        self.ready.extend(starts.map(|start| all.slice(start, BATCH_ROWS.min(all.num_rows() - start))));
        Ok(())
    }
}
