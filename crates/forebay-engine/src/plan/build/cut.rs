//! Where a plan is cut: at its operators with state. What lies above the first of them, or down to a source, is a segment of filters,
//! projections, generators and joins with tables at rest.

use std::any::Any;
use std::sync::Arc;

use datafusion::logical_expr::{EmptyRelation, LogicalPlan, Projection};

use super::{Source, Sources};
use crate::plan::provider::StreamTable;
use crate::plan::{generator, statics};

/// True if a plan has an operator with state.
pub(in crate::plan) fn remembers(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| remembers(input)),
        _ => match cut(plan) {
            (_, Some(node @ LogicalPlan::Union(_))) => remembers(node),
            (_, node) => node.is_some(),
        },
    }
}

/// A plan down to its first operator with state, in whose place stands a leaf of its columns; and that operator.
pub(super) fn cut(plan: &LogicalPlan) -> (LogicalPlan, Option<&LogicalPlan>) {
    match plan {
        LogicalPlan::Projection(projection) => {
            let (input, node) = cut(&projection.input);
            let cut = Projection::try_new_with_schema(
                projection.expr.clone(),
                Arc::new(input),
                Arc::clone(&projection.schema),
            );
            (cut.map_or_else(|_| plan.clone(), LogicalPlan::Projection), node)
        }
        LogicalPlan::Filter(filter) => {
            let (input, node) = cut(&filter.input);
            let mut filter = filter.clone();
            filter.input = Arc::new(input);
            (LogicalPlan::Filter(filter), node)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (input, node) = cut(&alias.input);
            let mut alias = alias.clone();
            alias.input = Arc::new(input);
            (LogicalPlan::SubqueryAlias(alias), node)
        }
        LogicalPlan::TableScan(_) => (plan.clone(), None),
        LogicalPlan::Join(join) if statics::sides(join).is_some() => {
            let (stream, node) = statics::stream_of(join).map_or((plan.clone(), None), cut);
            (LogicalPlan::Join(statics::with_stream(join, stream)), node)
        }
        operator => match generator::of(operator) {
            Some(generate) => {
                let (input, node) = cut(&generate.input);
                (generate.on(input).unwrap_or_else(|_| plan.clone()), node)
            }
            // A join of two streams, an aggregation and the like.
            None => {
                let schema = Arc::clone(operator.schema());
                (LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }), Some(operator))
            }
        },
    }
}

/// True if somewhere in a plan two streams are joined.
pub(super) fn joins_streams(plan: &LogicalPlan) -> bool {
    is_stream_join(plan) || plan.inputs().into_iter().any(joins_streams)
}

/// True for a join both of whose sides are streams.
pub(in crate::plan) fn is_stream_join(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if is_stream(&join.left) && is_stream(&join.right))
}

fn is_stream(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => (scan.source.as_ref() as &dyn Any).is::<StreamTable>(),
        other => other.inputs().into_iter().any(is_stream),
    }
}

/// The source that a plan without operators reads.
pub(in crate::plan) fn source_of<'s, 'a>(
    plan: &LogicalPlan,
    sources: &'s Sources<'a>,
) -> Option<&'s Source<'a>> {
    match plan {
        LogicalPlan::TableScan(scan) => sources.get(scan.table_name.table()),
        LogicalPlan::Join(join) => source_of(statics::stream_of(join)?, sources),
        other => source_of(other.inputs().into_iter().next()?, sources),
    }
}
