//! Which columns of a query's rows tell them apart: what update mode replaces rows by.
//!
//! Each column is followed from the groups to the output: it is a group column, or a window's start or end, which names no
//! other window; or it tells of which of GROUPING SETS the group is, as `grouping(k)` and `grouping_id()` do. Any expression over
//! nothing but that counts: it is computed for each set, and what differs between all of them tells them apart.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use forebay_core::output_mode::OutputMode;

use super::StreamPlan;
use super::columns;
use super::functions::window;
use super::graph::StepPlan;
use super::lower::{Output, Stage};
use super::origin::column_of;
use crate::lookup::Kind;

impl StreamPlan {
    /// The output columns that a group is known by, in their order. Empty if there are none: see
    /// [`StreamPlan::group_keys`].
    pub fn row_keys(&self) -> Vec<String> {
        self.group_keys().unwrap_or_default()
    }

    /// The output columns that a group is known by, in their order: those of GROUP BY, or a part of them (the start of
    /// a window) that names no other group; of GROUPING SETS also those that tell of which set it is. Empty without GROUP BY,
    /// where there is one group. `None` if there are no groups, if they are joined or parts of a union, if a column
    /// of GROUP BY does not come out, or if groups of two sets look alike.
    pub fn group_keys(&self) -> Option<Vec<String>> {
        let graph = &self.graph().steps;
        let steps: Vec<&StepPlan> = graph.iter().map(|step| &step.plan).collect();
        if steps.iter().any(|step| matches!(step, StepPlan::Join(_))) {
            return None;
        }
        let last = steps.iter().rposition(|step| groups_of(step).is_some())?;
        let groups = groups_of(steps.get(last)?)?;
        // Parts of a union may have the same groups.
        if graph.iter().skip(last + 1).flat_map(|step| &step.from).any(|feeds| feeds.len() > 1) {
            return None;
        }
        let mut columns = groups.columns;
        let staged = steps.iter().skip(last + 1).filter_map(|step| match step {
            StepPlan::Stages(staged) => Some(&staged.stages),
            _ => None,
        });
        for stage in staged.flat_map(|stages| stages.iter()) {
            let projection = match stage {
                Stage::Project(projection) => projection,
                // A group may become several rows.
                Stage::Lookup(lookup) if matches!(lookup.spec.kind, Kind::Inner | Kind::Outer) => {
                    return None;
                }
                Stage::Generate(_) => return None,
                _ => continue,
            };
            columns = projection.columns.iter().map(|column| says(column, &columns)).collect();
        }
        let is_there = |column: &Option<Says>| match column {
            Some(Says::Key { index, .. }) => Some(*index),
            _ => None,
        };
        let there: BTreeSet<usize> = columns.iter().filter_map(is_there).collect();
        if there.len() < groups.keys || !tell_apart(&columns, groups.sets) {
            return None;
        }
        let schema = self.output_schema();
        let named = columns.iter().zip(schema.fields()).filter(|(says, _)| says.is_some());
        Some(named.map(|(_, field)| field.name().clone()).collect())
    }

    /// True if in update mode a group comes out again whenever it changed, and nothing in its rows says which of
    /// those before they take the place of.
    pub fn repeats_without_keys(&self) -> bool {
        let has_groups = || self.graph().steps.iter().any(|step| groups_of(&step.plan).is_some());
        self.graph().mode == OutputMode::Update && has_groups() && self.group_keys().is_none()
    }
}

/// What a column says of the group that its row is.
#[derive(Clone, Debug)]
enum Says {
    /// The group column of this index, or a part of it that names no other group.
    Key {
        index: usize,
        /// True of a window, whose start and end are such parts.
        is_window: bool,
    },
    /// Of which of GROUPING SETS the group is: its value for each of them.
    Set(Vec<ScalarValue>),
}

/// What an aggregation gives.
struct Groups {
    /// What each of its columns says; the aggregates say nothing.
    columns: Vec<Option<Says>>,
    /// How many of them are its groups'.
    keys: usize,
    /// How many GROUPING SETS there are.
    sets: usize,
}

fn groups_of(step: &StepPlan) -> Option<Groups> {
    let (output, aggregates, window) = match step {
        StepPlan::Aggregate(spec) => {
            (&spec.output, spec.aggregates.len(), spec.window.as_ref().map(|window| window.position))
        }
        StepPlan::Session(spec) => (&spec.output, spec.aggregates.len(), Some(spec.position)),
        _ => return None,
    };
    let numbers: Vec<ScalarValue> = match step {
        StepPlan::Aggregate(spec) => spec.sets.iter().map(|set| set.number.clone()).collect(),
        _ => Vec::new(),
    };
    let is_window = |index: usize| match step {
        // Without a window of the operator's own each group column is the key of its index.
        StepPlan::Aggregate(spec) if window.is_none() => {
            spec.keys.get(index).is_some_and(|key| window::calendar_time(key).is_some())
        }
        _ => window == Some(index),
    };
    let (all, sets) = (output.fields().len(), numbers.len());
    let keys = all.saturating_sub(aggregates + usize::from(sets > 0));
    let mut columns: Vec<Option<Says>> =
        (0..keys).map(|index| Some(Says::Key { index, is_window: is_window(index) })).collect();
    if sets > 0 {
        columns.push(Some(Says::Set(numbers)));
    }
    columns.resize(all, None);
    Some(Groups { columns, keys, sets })
}

/// What an output column says, by what its input's columns do.
fn says(column: &Output, columns: &[Option<Says>]) -> Option<Says> {
    let expr = match column {
        Output::Same(index) => return columns.get(*index)?.clone(),
        Output::Computed(expr) => expr,
    };
    let mut path = Vec::new();
    match column_of(expr, &mut path) {
        Some(index) => columns.get(index)?.clone().filter(|says| match says {
            Says::Key { is_window, .. } => *is_window || path.is_empty(),
            Says::Set(_) => path.is_empty(),
        }),
        None => of_sets(expr, columns).map(Says::Set),
    }
}

/// What an expression comes to for each of the sets, if it is about nothing else.
fn of_sets(expr: &Arc<dyn PhysicalExpr>, columns: &[Option<Says>]) -> Option<Vec<ScalarValue>> {
    let read: BTreeSet<usize> = columns::read(expr);
    let Some(Says::Set(values)) = columns.get(*read.first()?)? else { return None };
    if is_volatile(expr) {
        return None;
    }
    let sets = values.len();
    let array = |(index, says): (usize, &Option<Says>)| -> Option<ArrayRef> {
        match says {
            Some(Says::Set(values)) => ScalarValue::iter_to_array(values.iter().cloned()).ok(),
            _ if read.contains(&index) => None,
            _ => Some(new_null_array(&DataType::Null, sets)),
        }
    };
    let arrays = columns.iter().enumerate().map(array).collect::<Option<Vec<ArrayRef>>>()?;
    let fields = arrays.iter().enumerate();
    let fields = fields.map(|(at, array)| Field::new(format!("c{at}"), array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
    let batch = RecordBatch::try_new(schema, arrays).ok()?;
    let values = expr.evaluate(&batch).and_then(|values| values.into_array(sets)).ok()?;
    (0..sets).map(|set| ScalarValue::try_from_array(&values, set).ok()).collect()
}

/// True if no two of the sets look alike in all columns.
fn tell_apart(columns: &[Option<Says>], sets: usize) -> bool {
    let told = |set: usize| -> Vec<Option<&ScalarValue>> {
        let of_set = columns.iter().filter_map(|says| match says {
            Some(Says::Set(values)) => Some(values.get(set)),
            _ => None,
        });
        of_set.collect()
    };
    (0..sets).map(told).collect::<HashSet<_>>().len() == sets
}
