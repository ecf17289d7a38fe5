//! Where among the filters and projections of an input its event time is observed.
//!
//! As Spark has it: a condition that does not read the event time is pushed below the watermark, so rows that it
//! refuses do not move it; a condition that reads it stands above. So [`Stage::Observe`] follows the leading filters,
//! those parts of an AND included that do not read the event time, and those of later filters that read columns which
//! were there already. Spark also puts before a generator that there is an element, where the array is a column or a field of one, and
//! pushes that below the watermark: so a record without an element does not move it either ([`Stage::Filled`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};

use super::columns::{moved, read};
use super::lower::{Output, Stage};
use super::origin::column_of;
use crate::generate::Filled;

/// Puts the stage in. `column` is the event time among the columns that come out in the end.
pub(super) fn place(stages: Vec<Stage>, column: usize) -> Vec<Stage> {
    let (mut column, first) = appears(&stages, column);
    let mut out: Vec<Stage> = Vec::with_capacity(stages.len() + 2);
    let mut rest = stages.into_iter();
    out.extend(rest.by_ref().take(first));
    // What is computed of the event time reads it too.
    let mut reading = BTreeSet::from([column]);
    while let Some(stage) = rest.next() {
        match &stage {
            Stage::Filter(condition) => {
                let (below, above): (Vec<_>, Vec<_>) = split_conjunction(condition)
                    .into_iter()
                    .cloned()
                    .partition(|part| read(part).is_disjoint(&reading));
                if above.is_empty() {
                    out.push(stage);
                    continue;
                }
                if !below.is_empty() {
                    out.push(Stage::Filter(conjunction(below)));
                }
                let above = Stage::Filter(conjunction(above));
                return before(out, column, &reading, std::iter::once(above).chain(rest));
            }
            Stage::Project(projection) => {
                let here = |output: &Output| matches!(output, Output::Same(index) if *index == column);
                let Some(next) = projection.columns.iter().position(here) else {
                    return before(out, column, &reading, std::iter::once(stage).chain(rest));
                };
                let tainted = projection.columns.iter().enumerate().filter(|(_, output)| match output {
                    Output::Same(index) => reading.contains(index),
                    Output::Computed(expr) => !read(expr).is_disjoint(&reading),
                });
                reading = tainted.map(|(index, _)| index).collect();
                column = next;
                out.push(stage);
            }
            // What finds no partner has been seen.
            Stage::Lookup(_) => {
                out.push(Stage::Observe(column));
                out.push(stage);
                out.extend(rest);
                return out;
            }
            // What does not need the elements is asked before.
            Stage::Generate(_) => return before(out, column, &reading, std::iter::once(stage).chain(rest)),
            Stage::Filled(_) | Stage::Observe(_) => out.push(stage),
        }
    }
    out.push(Stage::Observe(column));
    out
}

/// Observes behind `out`, before these stages. `reading` are the columns there that read the event time.
fn before(
    mut out: Vec<Stage>,
    column: usize,
    reading: &BTreeSet<usize>,
    stages: impl Iterator<Item = Stage>,
) -> Vec<Stage> {
    // Of each column which one it is behind `out`; all as they are there until a projection comes.
    let mut same: Option<Vec<Option<usize>>> = None;
    let (mut below, mut filled, mut behind) = (Vec::new(), Vec::new(), Vec::new());
    // Of each column of the last projection what it is behind `out`, if it is a column there or a field of one.
    let mut paths: Vec<Option<Arc<dyn PhysicalExpr>>> = paths_of(out.last());
    for stage in stages {
        let there = |column: usize| match &same {
            Some(same) => same.get(column).copied().flatten(),
            None => Some(column),
        };
        match stage {
            Stage::Filter(condition) => {
                let mut stays = Vec::new();
                for part in split_conjunction(&condition) {
                    let place = |column| there(column).filter(|column| !reading.contains(column));
                    // One that reads no column stays too.
                    match moved(part, place).filter(|part| !read(part).is_empty()) {
                        Some(part) => below.push(part),
                        None => stays.push(Arc::clone(part)),
                    }
                }
                if !stays.is_empty() {
                    behind.push(Stage::Filter(conjunction(stays)));
                }
            }
            Stage::Project(projection) => {
                let of = |output: &Output| match output {
                    Output::Same(index) => there(*index),
                    Output::Computed(_) => None,
                };
                let path = |output: &Output| match output {
                    Output::Same(index) => there(*index).map(path_to),
                    Output::Computed(expr) if is_path(expr) => moved(expr, there),
                    Output::Computed(_) => None,
                };
                paths = projection.columns.iter().map(path).collect();
                same = Some(projection.columns.iter().map(of).collect());
                behind.push(Stage::Project(projection));
            }
            Stage::Filled(_) | Stage::Observe(_) => behind.push(stage),
            Stage::Generate(generation) => {
                let array =
                    paths.get(generation.argument).cloned().flatten().filter(|_| !generation.is_outer);
                if let Some(array) = array.filter(|array| read(array).is_disjoint(reading)) {
                    filled.push(Stage::Filled(Filled { array, written: generation.written.clone() }));
                }
                paths = Vec::new();
                let columns = 0..generation.output.fields().len();
                same = Some(columns.map(|column| generation.below(column).and_then(there)).collect());
                behind.push(Stage::Generate(generation));
            }
            // Behind it stand rows that a record has become: they are asked there.
            Stage::Lookup(_) => {
                same = Some(Vec::new());
                behind.push(stage);
            }
        }
    }
    if !below.is_empty() {
        out.push(Stage::Filter(conjunction(below)));
    }
    out.extend(filled);
    out.push(Stage::Observe(column));
    out.extend(behind);
    out
}

/// Of each column that a stage gives where it is found behind it, if it is a column before it or a field of one.
fn paths_of(stage: Option<&Stage>) -> Vec<Option<Arc<dyn PhysicalExpr>>> {
    let Some(Stage::Project(projection)) = stage else { return Vec::new() };
    let path = |(index, output): (usize, &Output)| match output {
        Output::Computed(expr) if !is_path(expr) => None,
        _ => Some(path_to(index)),
    };
    projection.columns.iter().enumerate().map(path).collect()
}

fn path_to(column: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new("array", column))
}

fn is_path(expr: &Arc<dyn PhysicalExpr>) -> bool {
    column_of(expr, &mut Vec::new()).is_some()
}

/// The event time behind the first stage from which on it is a column, and how many stages those are.
fn appears(stages: &[Stage], column: usize) -> (usize, usize) {
    let mut column = column;
    for (index, stage) in stages.iter().enumerate().rev() {
        let projection = match stage {
            Stage::Project(projection) => projection,
            Stage::Lookup(lookup) => {
                column = lookup.spec.stream_column(column).unwrap_or(column);
                continue;
            }
            Stage::Generate(generation) => {
                column = generation.below(column).unwrap_or(column);
                continue;
            }
            _ => continue,
        };
        match projection.columns.get(column) {
            Some(Output::Same(below)) if index > 0 => column = *below,
            _ => return (column, index + 1),
        }
    }
    (column, 0)
}
