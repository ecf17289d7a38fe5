//! Where among the filters and projections of an input its event time is observed.
//!
//! As Spark has it: a condition that does not read the event time is pushed below the watermark, so rows that it
//! refuses do not move it; a condition that reads it stands above. So [`Stage::Observe`] follows the leading filters,
//! those parts of an AND included that do not read the event time.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};

use super::lower::{Output, Stage};

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
                let (above, below): (Vec<_>, Vec<_>) =
                    split_conjunction(condition).into_iter().cloned().partition(|part| reads(part, &reading));
                if above.is_empty() {
                    out.push(stage);
                    continue;
                }
                if !below.is_empty() {
                    out.push(Stage::Filter(conjunction(below)));
                }
                out.push(Stage::Observe(column));
                out.push(Stage::Filter(conjunction(above)));
                out.extend(rest);
                return out;
            }
            Stage::Project(projection) => {
                let here = |output: &Output| matches!(output, Output::Same(index) if *index == column);
                let Some(next) = projection.columns.iter().position(here) else {
                    out.push(Stage::Observe(column));
                    out.push(stage);
                    out.extend(rest);
                    return out;
                };
                let tainted = projection.columns.iter().enumerate().filter(|(_, output)| match output {
                    Output::Same(index) => reading.contains(index),
                    Output::Computed(expr) => reads(expr, &reading),
                });
                reading = tainted.map(|(index, _)| index).collect();
                column = next;
                out.push(stage);
            }
            Stage::Observe(_) => out.push(stage),
        }
    }
    out.push(Stage::Observe(column));
    out
}

/// The event time behind the first stage from which on it is a column, and how many stages those are.
fn appears(stages: &[Stage], column: usize) -> (usize, usize) {
    let mut column = column;
    for (index, stage) in stages.iter().enumerate().rev() {
        let Stage::Project(projection) = stage else { continue };
        match projection.columns.get(column) {
            Some(Output::Same(below)) if index > 0 => column = *below,
            _ => return (column, index + 1),
        }
    }
    (column, 0)
}

fn reads(expr: &Arc<dyn PhysicalExpr>, columns: &BTreeSet<usize>) -> bool {
    let mut found = false;
    // The closure cannot fail.
    let _ = expr.apply(|expr| {
        found |= expr.downcast_ref::<Column>().is_some_and(|column| columns.contains(&column.index()));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}
