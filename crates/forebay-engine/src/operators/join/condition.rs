//! The condition of a join, taken apart: what reads one side alone is settled before rows meet; the rest is asked of pairs,
//! over the columns that it reads and no others.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt};
use forebay_core::Result;

use crate::operators::{evaluate, misplaced, out};
use crate::plan;
use crate::plan::columns::{moved, read};

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
        let columns: BTreeSet<usize> = conditions.iter().flat_map(read).collect();
        let read: Vec<usize> = columns.into_iter().collect();
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
        let read = read(condition);
        !read.is_empty() && read.into_iter().all(&is_of)
    })
}

/// One condition that holds where all do, over columns that are elsewhere; `None` of none.
pub(super) fn all(
    conditions: &[Arc<dyn PhysicalExpr>],
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let placed = conditions.iter().map(|condition| moved(condition, &place).ok_or_else(misplaced));
    Ok(conjunction_opt(placed.collect::<Result<Vec<_>>>()?))
}

/// Where a condition is true; NULL is not.
pub(super) fn truth(condition: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let holds = evaluate(condition, batch)?;
    let holds = holds.as_boolean_opt().ok_or_else(misplaced)?;
    Ok(BooleanArray::new(plan::truth(holds), None))
}

/// The fields of columns that may be NULL, whatever their input says: only what comes out is held to its schema.
pub(super) fn nullable(schema: &Schema) -> Vec<FieldRef> {
    let fields = schema.fields().iter();
    fields.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect()
}
