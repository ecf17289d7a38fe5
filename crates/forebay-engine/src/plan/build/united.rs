//! The rows of a plan among whose filters and projections a union may be: those of each of its parts, with the same columns.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use forebay_core::Error;
use forebay_core::error::codes;

use super::{Builder, Rows, arrow_schema};
use crate::plan::graph::{Feed, StepPlan};
use crate::plan::lower::{Output, Projection, Stage};
use crate::plan::sql_error::SqlError;
use crate::plan::told::columns;
use crate::plan::{conditions, union};

impl Builder<'_> {
    /// One feed of the rows of several.
    pub(super) fn one(&mut self, feeds: Vec<Feed>) -> Feed {
        match feeds.as_slice() {
            [feed] => *feed,
            _ => self.step(StepPlan::Union, vec![feeds]),
        }
    }

    /// Builds everything that gives the rows of a plan.
    pub fn rows(&mut self, plan: &LogicalPlan) -> Result<Rows, SqlError> {
        let parts = union::parts(plan).map_err(SqlError::planning)?;
        if let [part] = parts.as_slice() {
            return self.part(part);
        }
        let schema = Arc::clone(plan.schema());
        let columns = arrow_schema(&schema);
        let (mut all, mut told): (Option<Rows>, Vec<_>) = (None, Vec::new());
        for part in parts {
            let part = if self.is_joined { conditions::settled(part, self.session)? } else { part };
            let mut rows = self.part(&part)?;
            told.push(std::mem::take(&mut rows.told));
            let feeds = rows.feeds.iter().map(|feed| self.conformed(*feed, &columns)).collect::<Vec<_>>();
            match &mut all {
                Some(all) => {
                    all.feeds.extend(feeds);
                    all.are_groups |= rows.are_groups;
                }
                // What the first part's columns are, those of the union are.
                None => all = Some(Rows { schema: Arc::clone(&schema), feeds, ..rows }),
            }
        }
        let all = all.map(|all| Rows { told: columns::united(&told), ..all });
        all.ok_or_else(|| Error::new(&codes::INTERNAL, "a union has no parts").into())
    }

    /// The same rows with these very columns: what the optimizer made of a part may be NULL less often than the union.
    fn conformed(&mut self, feed: Feed, rows: &SchemaRef) -> Feed {
        match feed {
            Feed::Input(number) => {
                if let Some(input) = self.inputs.get_mut(number) {
                    conform(&mut input.lowered.stages, rows);
                    input.rows = Arc::clone(rows);
                }
            }
            Feed::Step(number) => match self.steps.get_mut(number).map(|step| &mut step.plan) {
                Some(StepPlan::Stages(staged)) => {
                    let mut stages = staged.stages.to_vec();
                    conform(&mut stages, rows);
                    (staged.stages, staged.rows) = (stages.into(), Arc::clone(rows));
                }
                _ => {
                    let mut stages = Vec::new();
                    conform(&mut stages, rows);
                    return self.stages(stages, Arc::clone(rows), feed);
                }
            },
        }
        feed
    }
}

/// Lets stages give these columns, of which only how often they are NULL may differ.
fn conform(stages: &mut Vec<Stage>, rows: &SchemaRef) {
    if let Some(Stage::Project(last)) = stages.last_mut() {
        last.schema = Arc::clone(rows);
        return;
    }
    let columns = (0..rows.fields().len()).map(Output::Same).collect();
    stages.push(Stage::Project(Projection { columns, schema: Arc::clone(rows) }));
}
