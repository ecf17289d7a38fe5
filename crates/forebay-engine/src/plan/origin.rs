//! Where a column of a query comes from.

use std::sync::Arc;

use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::StreamPlan;
use super::functions::FIELD;
use super::lower::{Output, Stage};

impl StreamPlan {
    /// The source's column that an output column is, from the column down to the field of a struct; `None` if it is
    /// computed, if it is a table's, or if there are several sources.
    pub fn origin(&self, output: &str) -> Option<Vec<String>> {
        // Behind an operator with state nothing is a column of the source any more, and of several sources it is none.
        if self.remembers() || self.graph.inputs.len() > 1 {
            return None;
        }
        let [input] = self.graph.inputs.as_slice() else { return None };
        let mut index = self.output_schema.index_of(output).ok()?;
        // The innermost field first.
        let mut path = Vec::new();
        for stage in input.stages.iter().rev() {
            index = match stage {
                Stage::Project(projection) => match projection.columns.get(index)? {
                    Output::Same(index) => *index,
                    Output::Computed(expr) => column_of(expr, &mut path)?,
                },
                Stage::Lookup(lookup) => lookup.spec.stream_column(index)?,
                Stage::Filter(_) | Stage::Observe(_) => index,
            };
        }
        path.push(input.input_schema.fields().get(index)?.name().clone());
        path.reverse();
        Some(path)
    }
}

/// The column that an expression takes a field of; the names of the fields go to `path`.
pub(super) fn column_of(expr: &Arc<dyn PhysicalExpr>, path: &mut Vec<String>) -> Option<usize> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(column.index());
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.fun().name() == FIELD)?;
    let [base, name] = call.args() else { return None };
    path.push(name.downcast_ref::<Literal>()?.value().try_as_str().flatten()?.to_owned());
    column_of(base, path)
}
