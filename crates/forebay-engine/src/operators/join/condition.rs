//! The condition of a join, taken apart: what reads one side alone is settled before rows meet; the rest is asked of pairs,
//! over the columns that it reads and no others.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::utils::collect_columns;
use forebay_core::Result;

use crate::operators::{evaluate, failed, misplaced, out};

/// Each of which must hold.
type Conditions = Vec<Arc<dyn PhysicalExpr>>;

/// What must hold of a pair.
pub(super) struct Condition {
    expr: Arc<dyn PhysicalExpr>,
    /// The columns that it reads, of the left side and of the right.
    pub left: Vec<usize>,
    pub right: Vec<usize>,
    /// Those of the left, then those of the right.
    schema: SchemaRef,
}

impl Condition {
    /// Of conditions over `pair`, whose first columns are so many of the left side; `None` if there are none.
    pub fn new(conditions: &[Arc<dyn PhysicalExpr>], pair: &SchemaRef, width: usize) -> Result<Option<Self>> {
        let read: BTreeSet<usize> = conditions.iter().flat_map(columns).collect();
        let read: Vec<usize> = read.into_iter().collect();
        let schema = Arc::new(pair.project(&read).map_err(crate::operators::broken)?);
        let Some(expr) = all(conditions, |column| read.binary_search(&column).ok())? else { return Ok(None) };
        let (left, right): (Vec<usize>, Vec<usize>) = read.into_iter().partition(|column| *column < width);
        let right = right.into_iter().map(|column| column - width).collect();
        Ok(Some(Self { expr, left, right, schema }))
    }

    /// For which of these pairs it holds; the columns are those that it reads.
    pub fn holds(&self, columns: Vec<ArrayRef>, pairs: usize) -> Result<BooleanArray> {
        truth(&self.expr, &out::batch(&self.schema, columns, pairs)?)
    }
}

/// Those conditions that read columns and only such ones; and the others.
pub(super) fn reading(conditions: Conditions, is_of: impl Fn(usize) -> bool) -> (Conditions, Conditions) {
    conditions.into_iter().partition(|condition| {
        let read = columns(condition);
        !read.is_empty() && read.into_iter().all(&is_of)
    })
}

/// One condition that holds where all do, over columns that are elsewhere; `None` of none.
pub(super) fn all(
    conditions: &[Arc<dyn PhysicalExpr>],
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let mut whole: Option<Arc<dyn PhysicalExpr>> = None;
    for condition in conditions {
        let placed = Arc::clone(condition).transform(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => {
                let Some(index) = place(column.index()) else {
                    return Err(datafusion::common::DataFusionError::External(Box::new(misplaced())));
                };
                let moved: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), index));
                Ok(Transformed::yes(moved))
            }
            None => Ok(Transformed::no(expr)),
        });
        let placed = placed.data().map_err(failed)?;
        whole = Some(match whole {
            Some(before) => Arc::new(BinaryExpr::new(before, Operator::And, placed)),
            None => placed,
        });
    }
    Ok(whole)
}

/// Where a condition is true; NULL is not.
pub(super) fn truth(
    condition: &Arc<dyn PhysicalExpr>,
    batch: &arrow::array::RecordBatch,
) -> Result<BooleanArray> {
    let holds = evaluate(condition, batch)?;
    let holds = holds.as_boolean_opt().ok_or_else(misplaced)?;
    Ok(match holds.nulls() {
        Some(valid) => BooleanArray::new(holds.values() & valid.inner(), None),
        None => holds.clone(),
    })
}

fn columns(condition: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    collect_columns(condition).iter().map(Column::index).collect()
}

/// The fields of columns that may be NULL, whatever their input says: only what comes out is held to its schema.
pub(super) fn nullable(schema: &Schema) -> Vec<arrow::datatypes::FieldRef> {
    let fields = schema.fields().iter();
    fields.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect()
}
