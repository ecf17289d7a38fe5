//! What a statement may read, compute and give: planning takes more than its length of time.

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use datafusion::logical_expr::LogicalPlan;
use forebay_core::Error;
use forebay_core::error::codes;

use super::Planner;
use crate::plan::sql_error::SqlError;

/// Most tables, views and subqueries of one statement, counted each time they are read with all that they read:
/// thirty views of which each reads the one before it twice would be a plan of a billion scans.
const MAX_READS: u64 = 2_000;

/// Deepest expression when the optimizer has put the expressions of all subqueries and views into each other.
const MAX_DEPTH: usize = 600;

/// How deep views stand on each other: whoever reads the last one plans all of them, so that a file in which each view
/// reads the one before it takes the square of its length.
pub(super) const MAX_STACKED: usize = 32;

/// Most columns of all SELECTs of a statement over tables: each is planned, optimized and kept.
const MAX_ALL_COLUMNS: u64 = 20_000;

/// Most fields of an answer over tables, nested ones counted.
pub(super) const MAX_FIELDS: usize = 20_000;

/// The same of a subquery, view or common table expression, which may be used often by what is around it.
pub(super) const MAX_FIELDS_ASIDE: usize = 2_000;

/// The weight of something that can be scanned.
pub(super) const SOURCE: Weight = Weight { reads: 1, depth: 0, columns: 0 };

/// What a planned table costs whoever reads it.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    /// The tables it reads, itself included.
    pub reads: u64,
    /// The depth of its deepest expression, with the deepest of what it reads under it.
    pub depth: usize,
    /// The columns of all SELECTs in it.
    pub columns: u64,
}

impl Planner<'_> {
    /// Refuses a query over tables whose types are too large: one that puts a struct twice into another, again and
    /// again, has types that double each time.
    pub(super) fn bounded(&self, plan: &LogicalPlan, most: usize) -> Result<(), SqlError> {
        if self.streaming || has_at_most(plan.schema().fields(), most).is_some() {
            return Ok(());
        }
        let message = format!("a query gives more than {most} fields, those of structs counted");
        Err(Error::new(&codes::SQL_PLAN, message).with_hint("Leave out what is not needed.").into())
    }

    /// Counts that the query at hand reads a table.
    pub(super) fn count_read(&mut self, index: usize) -> Result<(), SqlError> {
        let weight = self.weights.get(index).copied().unwrap_or(SOURCE);
        self.size += weight.reads;
        self.count_columns(weight.columns)?;
        self.below = self.below.max(weight.depth);
        if self.size > MAX_READS {
            let message = format!("the query reads more than {MAX_READS} tables, views and subqueries");
            return Err(Error::new(&codes::SQL_PLAN, message)
                .with_hint("Count each view with all that it reads, each time it is read.")
                .into());
        }
        Ok(())
    }

    /// Counts columns of a SELECT, each time that it is read.
    pub(super) fn count_columns(&mut self, columns: u64) -> Result<(), SqlError> {
        self.columns += columns;
        if self.streaming || self.columns <= MAX_ALL_COLUMNS {
            return Ok(());
        }
        let message = format!("the columns of all its SELECTs are more than {MAX_ALL_COLUMNS}");
        Err(Error::new(&codes::SQL_PLAN, message)
            .with_hint("Name those that you need where tables are read; subqueries and views count each time they are read.")
            .into())
    }

    /// The weight of the query at hand, if it can be borne.
    pub(super) fn weigh(&self) -> Result<Weight, SqlError> {
        let depth = self.below + self.depth;
        if depth > MAX_DEPTH {
            let message = format!("an expression is more than {MAX_DEPTH} operators deep");
            return Err(Error::new(&codes::SQL_PLAN, message)
                .with_hint("The views and subqueries that it uses are counted with it; simplify them.")
                .into());
        }
        Ok(Weight { reads: self.size + 1, depth, columns: self.columns })
    }
}

/// How many more fields there might be; `None` if there are more than `most` already.
fn has_at_most(fields: &Fields, most: usize) -> Option<usize> {
    fields.iter().try_fold(most, |left, field| {
        let left = left.checked_sub(1)?;
        match field.data_type() {
            DataType::Struct(inside) => has_at_most(inside, left),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _) => has_at_most(&Fields::from(vec![Arc::clone(item)]), left),
            _ => Some(left),
        }
    })
}
