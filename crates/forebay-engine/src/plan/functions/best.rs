//! The greatest or the least value of each group, in Spark's order: field by field and element by element, NULL below all
//! others, NaN above every other number, -0.0 as 0.0.
//!
//! Values are kept as arrow's rows: bytes whose order is that of the values, so that whatever is nested takes one
//! comparison, and no order of rows or states gives another result.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::nullif;
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, Row, RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::EmitTo;

use super::percentages::only;
use super::{counts, failed};
use crate::operators::{Zeros, normalised};
use crate::plan::truth;

/// What each group has.
#[derive(Debug)]
pub(super) struct Best {
    /// True of the ordering to an earlier value of one that takes its place.
    wins: fn(Ordering) -> bool,
    keeps: Keeps,
    converter: RowConverter,
    each: Vec<Option<OwnedRow>>,
    /// The row of NULL.
    none: OwnedRow,
    /// The best row of a batch for each group, counted from 1; 0 between batches.
    winners: Vec<u32>,
    /// What the rows take.
    bytes: usize,
}

/// What is known of a value beside its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Nothing: what comes out compares as the value did, and may have another zero or NaN.
    Place,
    /// The value as it came; of those that compare alike the same one comes out whatever their order is.
    Value,
}

impl Best {
    pub fn new(of: &DataType, keeps: Keeps, wins: fn(Ordering) -> bool) -> Result<Self> {
        let columns = if keeps == Keeps::Value { 2 } else { 1 };
        let converter = RowConverter::new(vec![SortField::new(of.clone()); columns])?;
        let none = converter.convert_columns(&vec![new_null_array(of, 1); columns])?.row(0).owned();
        Ok(Self { wins, keeps, converter, each: Vec::new(), none, winners: Vec::new(), bytes: 0 })
    }

    /// Takes the values of these rows but for NULLs; gives the groups that have another value now, and the row of each.
    pub fn take_rows(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<Vec<(usize, usize)>> {
        if self.each.len() < total {
            self.each.resize(total, None);
            self.winners.resize(total, 0);
        }
        let (rows, nulls) = (self.rows(values)?, values.logical_nulls());
        let mut touched = Vec::new();
        for (row, group) in groups.iter().enumerate().take(rows.num_rows()) {
            if !counts(filter, row) || nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let (Some(winner), Some(best)) = (self.winners.get(*group), self.each.get(*group)) else {
                continue;
            };
            let (is_first, earlier) = match *winner {
                0 => (true, best.as_ref().map(OwnedRow::row)),
                winner => (false, Some(rows.row(winner as usize - 1))),
            };
            if earlier.is_some_and(|earlier| !self.wins(rows.row(row), earlier)) {
                continue;
            }
            if is_first {
                touched.push(*group);
            }
            if let Some(winner) = self.winners.get_mut(*group) {
                *winner = row as u32 + 1;
            }
        }
        let mut taken = Vec::with_capacity(touched.len());
        for group in touched {
            let (Some(winner), Some(best)) = (self.winners.get_mut(group), self.each.get_mut(group)) else {
                continue;
            };
            let row = std::mem::take(winner) as usize - 1;
            let new = rows.row(row).owned();
            self.bytes = (self.bytes + bytes_of(&new)).saturating_sub(best.as_ref().map_or(0, bytes_of));
            *best = Some(new);
            taken.push((group, row));
        }
        Ok(taken)
    }

    /// The values of groups, NULL where none came.
    pub fn emit(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let each = emit.take_needed(&mut self.each);
        self.winners.truncate(self.each.len());
        self.bytes = self.each.iter().flatten().map(bytes_of).sum();
        self.values(each.iter().map(Option::as_ref))
    }

    /// The value of the first group.
    pub fn first(&self) -> Result<ScalarValue> {
        self.value(self.each.first().and_then(Option::as_ref))
    }

    /// The value of a row, NULL of none.
    pub fn value(&self, row: Option<&OwnedRow>) -> Result<ScalarValue> {
        only(&self.values(std::iter::once(row))?)
    }

    /// The rows of values.
    pub fn rows(&self, values: &ArrayRef) -> Result<Rows> {
        let mut columns = vec![normalised(values, Zeros::Same)];
        if self.keeps == Keeps::Value {
            columns.push(ArrayRef::clone(values));
        }
        Ok(self.converter.convert_columns(&columns)?)
    }

    /// True if the place of `earlier` is `row`'s.
    pub fn wins(&self, row: Row<'_>, earlier: Row<'_>) -> bool {
        (self.wins)(row.cmp(&earlier))
    }

    fn values<'r>(&'r self, rows: impl Iterator<Item = Option<&'r OwnedRow>>) -> Result<ArrayRef> {
        let rows = rows.map(|row| row.unwrap_or(&self.none).row());
        match self.converter.convert_rows(rows)?.pop() {
            Some(values) => Ok(values),
            None => failed("a column of values is expected"),
        }
    }

    pub fn size(&self) -> usize {
        let each = size_of::<Option<OwnedRow>>() + size_of::<u32>();
        size_of_val(self) + self.converter.size() + self.each.capacity() * each + self.bytes
    }
}

/// The values as states of groups of one row: NULL where the filter refuses it.
pub(super) fn states(values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<ArrayRef> {
    match filter {
        Some(filter) => Ok(nullif(values, &BooleanArray::new(!&truth(filter), None))?),
        None => Ok(ArrayRef::clone(values)),
    }
}

fn bytes_of(row: &OwnedRow) -> usize {
    row.as_ref().len()
}
