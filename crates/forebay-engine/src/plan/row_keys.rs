//! Which columns of a query's rows tell them apart: what update mode replaces rows by.

use std::collections::BTreeSet;

use super::StreamPlan;
use super::graph::StepPlan;
use super::lower::{Output, Stage};
use super::origin::column_of;
use crate::lookup::Kind;

impl StreamPlan {
    /// The output columns that a group is known by, in their order: those of GROUP BY, or a part of them (the start of
    /// a window) that names no other group. Empty if there are no groups, if
    /// they are joined or parts of a union, or if a column of GROUP BY does not come out.
    pub fn row_keys(&self) -> Vec<String> {
        let graph = &self.graph().steps;
        let steps: Vec<&StepPlan> = graph.iter().map(|step| &step.plan).collect();
        if steps.iter().any(|step| matches!(step, StepPlan::Join(_))) {
            return Vec::new();
        }
        let Some(last) = steps.iter().rposition(|step| groups_of(step).is_some()) else { return Vec::new() };
        let Some(groups) = steps.get(last).copied().and_then(groups_of) else { return Vec::new() };
        // Parts of a union may have the same groups.
        if graph.iter().skip(last + 1).flat_map(|step| &step.from).any(|feeds| feeds.len() > 1) {
            return Vec::new();
        }
        // For each column the group column that it is or is a part of.
        let mut columns: Vec<Option<usize>> =
            (0..groups.columns).map(|at| Some(at).filter(|at| *at < groups.keys)).collect();
        let staged = steps.iter().skip(last + 1).filter_map(|step| match step {
            StepPlan::Stages(staged) => Some(&staged.stages),
            _ => None,
        });
        for stage in staged.flat_map(|stages| stages.iter()) {
            let projection = match stage {
                Stage::Project(projection) => projection,
                // A group may become several rows.
                Stage::Lookup(lookup) if matches!(lookup.spec.kind, Kind::Inner | Kind::Outer) => {
                    return Vec::new();
                }
                _ => continue,
            };
            let origin = |column: &Output| match column {
                Output::Same(index) => Some(*index),
                Output::Computed(expr) => column_of(expr, &mut Vec::new()),
            };
            columns = projection.columns.iter().map(|column| *columns.get(origin(column)?)?).collect();
        }
        let there: BTreeSet<usize> = columns.iter().flatten().copied().collect();
        if there.len() < groups.keys {
            return Vec::new();
        }
        let schema = self.output_schema();
        let named = columns.iter().zip(schema.fields()).filter(|(group, _)| group.is_some());
        named.map(|(_, field)| field.name().clone()).collect()
    }
}

/// How many columns an aggregation gives, and how many of them are its groups'.
struct Groups {
    columns: usize,
    keys: usize,
}

fn groups_of(step: &StepPlan) -> Option<Groups> {
    let (output, aggregates) = match step {
        StepPlan::Aggregate(spec) => (&spec.output, spec.aggregates.len()),
        StepPlan::Session(spec) => (&spec.output, spec.aggregates.len()),
        _ => return None,
    };
    let columns = output.fields().len();
    Some(Groups { columns, keys: columns.saturating_sub(aggregates) })
}
