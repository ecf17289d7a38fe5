//! Aggregates by arrays, maps and structs count more than they say.
//!
//! DataFusion keeps such keys as bytes that compare like the values. It counts those; at the end it makes values of all
//! of them at once, with tables of every element on the way, and counts nothing of that. So each byte that such an
//! aggregate takes from the pool takes several.

use std::fmt::{Debug, Display, Formatter, Result as Written};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// What an aggregate by structs takes in all for each byte that it counts: the keys, and the values made of them.
const STRUCTS: usize = 2;
/// What each level of arrays adds.
const LISTS: usize = 3;

/// How many bytes a node takes for each that it counts.
pub(super) fn of(node: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(1) };
    // A final aggregate reads what partial ones gave, where the keys stand first, the number of the grouping set too.
    let input = aggregate.input().schema();
    let mut most = 1;
    for (key, _) in aggregate.group_expr().expr() {
        let data_type = key.data_type(&input)?;
        if data_type.is_nested() {
            most = most.max(STRUCTS + LISTS * lists_in(&data_type));
        }
    }
    Ok(most)
}

/// How deep lists lie in lists.
fn lists_in(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => 1 + lists_in(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| lists_in(field.data_type())).max().unwrap_or(0),
        _ => 0,
    }
}

/// The pool, from which each byte takes `weight`.
pub(super) fn pool(pool: &Arc<dyn MemoryPool>, weight: usize) -> Arc<dyn MemoryPool> {
    Arc::new(Weighted { inner: Arc::clone(pool), weight })
}

/// The same context, where memory is counted in `pool`.
pub(super) fn counting(context: &TaskContext, pool: &Arc<dyn MemoryPool>) -> Arc<TaskContext> {
    let runtime = RuntimeEnv { memory_pool: Arc::clone(pool), ..context.runtime_env().as_ref().clone() };
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone(),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        Arc::new(runtime),
    ))
}

#[derive(Debug)]
struct Weighted {
    inner: Arc<dyn MemoryPool>,
    weight: usize,
}

impl Display for Weighted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        Display::fmt(&self.inner, f)
    }
}

impl MemoryPool for Weighted {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional.saturating_mul(self.weight));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink.saturating_mul(self.weight));
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.inner.try_grow(reservation, additional.saturating_mul(self.weight))
    }

    fn reserved(&self) -> usize {
        self.inner.reserved() / self.weight
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.inner.memory_limit() {
            MemoryLimit::Finite(limit) => MemoryLimit::Finite(limit / self.weight),
            other => other,
        }
    }
}
