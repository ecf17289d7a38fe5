//! Where a column of a query comes from.

use std::sync::Arc;

use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::StreamPlan;
use super::functions::FIELD;
use super::graph::Input;
use super::lower::{Output, Stage};

impl StreamPlan {
    /// The column of each input's source that an output column is, from the column down to the field of a struct; `None` if it
    /// is computed there or made of an array's elements, or if it is a table's.
    pub fn origins(&self, output: &str) -> Vec<Option<Vec<String>>> {
        // Behind an operator with state nothing is a column of a source any more.
        let of = |input: &Input| if self.remembers() { None } else { input.origin(output) };
        self.graph.inputs.iter().map(of).collect()
    }
}

impl Input {
    fn origin(&self, output: &str) -> Option<Vec<String>> {
        let mut index = self.rows.index_of(output).ok()?;
        // The innermost field first.
        let mut path = Vec::new();
        for stage in self.stages.iter().rev() {
            index = match stage {
                Stage::Project(projection) => match projection.columns.get(index)? {
                    Output::Same(index) => *index,
                    Output::Computed(expr) => column_of(expr, &mut path)?,
                },
                Stage::Lookup(lookup) => lookup.spec.stream_column(index)?,
                Stage::Generate(generation) => generation.below(index)?,
                Stage::Filter(_) | Stage::Filled(_) | Stage::Observe(_) => index,
            };
        }
        path.push(self.input_schema.fields().get(index)?.name().clone());
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
