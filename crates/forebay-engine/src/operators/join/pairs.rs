//! Rows of the left meet rows of the right: candidates by key, some thousand at a time, of which those stay for which the
//! condition holds.
//!
//! Candidates are two lists of row numbers. The columns that the condition reads are taken by them, the others only for
//! pairs that stay; so neither a key with many rows nor wide rows take more memory than some thousand pairs do, beside what
//! comes out.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use forebay_core::Result;

use super::Plan;
use crate::operators::groups::take_all;
use crate::operators::{misplaced, out};
use crate::plan::graph::JoinKind;
use crate::state::{Slot, Table};

/// Most candidates that are asked at once, and about as many rows of a batch that comes out.
pub(super) const CANDIDATES: usize = 8_192;

/// Which rows of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Came,
    Held,
}

/// The rows of a side that meet those of the other.
pub(super) enum Rows<'a> {
    Came {
        columns: &'a [ArrayRef],
        key: &'a [u32],
        may_meet: &'a BooleanBuffer,
        starts: &'a [u32],
        order: &'a [u32],
        met: &'a mut [bool],
    },
    Held {
        table: &'a Table,
        slots: &'a [Slot],
        /// Where the columns begin among the table's values.
        first_column: usize,
        starts: &'a [u32],
        met: &'a mut [bool],
    },
}

impl Rows<'_> {
    /// Those columns of those rows.
    fn take(&self, columns: &[usize], rows: &[u32]) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Came { columns: all, .. } => {
                let rows = UInt32Array::from(rows.to_vec());
                let wanted: Option<Vec<ArrayRef>> =
                    columns.iter().map(|column| all.get(*column).cloned()).collect();
                take_all(&wanted.ok_or_else(misplaced)?, &rows)
            }
            Self::Held { table, slots, first_column, .. } => {
                let wanted: Vec<usize> = columns.iter().map(|column| first_column + column).collect();
                let slots: Vec<Slot> = rows.iter().map(|row| slots[*row as usize]).collect();
                table.columns(&slots, &wanted)
            }
        }
    }

    fn met(&mut self) -> &mut [bool] {
        match self {
            Self::Came { met, .. } | Self::Held { met, .. } => met,
        }
    }

    /// Where the rows of a key are.
    fn of(&self, key: u32) -> Range<usize> {
        let (Self::Came { starts, .. } | Self::Held { starts, .. }) = self;
        starts[key as usize] as usize..starts[key as usize + 1] as usize
    }

    /// Appends the rows at these places.
    fn push(&self, places: Range<usize>, to: &mut Vec<u32>) {
        match self {
            Self::Came { order, .. } => to.extend_from_slice(&order[places]),
            Self::Held { .. } => to.extend(places.map(|row| row as u32)),
        }
    }
}

/// Rows of the left and rows of the right on their way to come out.
pub(super) struct Meeting<'a, 'b> {
    plan: &'a Plan,
    sides: [Rows<'b>; 2],
    candidates: [Vec<u32>; 2],
    pairs: [Vec<u32>; 2],
    rows: &'a mut Vec<RecordBatch>,
}

impl<'a, 'b> Meeting<'a, 'b> {
    pub fn new(plan: &'a Plan, sides: [Rows<'b>; 2], rows: &'a mut Vec<RecordBatch>) -> Self {
        Self { plan, sides, candidates: Default::default(), pairs: Default::default(), rows }
    }

    /// All that meet come out: for each row of the left those of the right, or the other way round. The rows that it goes by
    /// are those that came.
    pub fn run(mut self, by_left: bool) -> Result<()> {
        let (by, to) = if by_left { (0, 1) } else { (1, 0) };
        let Rows::Came { key, may_meet, .. } = &self.sides[by] else { return Err(misplaced()) };
        let (key, may_meet) = (*key, *may_meet);
        let semi = self.plan.spec.kind == JoinKind::LeftSemi;
        for row in may_meet.set_indices() {
            let mut others = self.sides[to].of(key[row]);
            if semi && by_left && self.plan.condition.is_none() {
                others.end = others.end.min(others.start + 1);
            }
            while !others.is_empty() {
                if semi && by_left && self.sides[by].met()[row] {
                    break;
                }
                let end = others.end.min(others.start + CANDIDATES - self.candidates[by].len());
                self.candidates[by].extend(std::iter::repeat_n(row as u32, end - others.start));
                self.sides[to].push(others.start..end, &mut self.candidates[to]);
                others.start = end;
                if self.candidates[by].len() == CANDIDATES {
                    self.ask()?;
                }
            }
        }
        self.ask()?;
        self.give()
    }

    /// Of the candidates those stay for which the condition holds.
    fn ask(&mut self) -> Result<()> {
        let [lefts, rights] = &mut self.candidates;
        let holds = match &self.plan.condition {
            Some(condition) if !lefts.is_empty() => {
                let mut columns = self.sides[0].take(&condition.left, lefts)?;
                columns.extend(self.sides[1].take(&condition.right, rights)?);
                Some(condition.holds(columns, lefts.len())?)
            }
            _ => None,
        };
        let semi = self.plan.spec.kind == JoinKind::LeftSemi;
        let [left, right] = &mut self.sides;
        let (left_met, right_met) = (left.met(), right.met());
        for (index, (left, right)) in lefts.drain(..).zip(rights.drain(..)).enumerate() {
            if holds.as_ref().is_some_and(|holds| !holds.value(index)) {
                continue;
            }
            let is_again = std::mem::replace(&mut left_met[left as usize], true);
            // What a left row meets after it has come out has met nothing.
            if !(semi && is_again) {
                right_met[right as usize] = true;
                self.pairs[0].push(left);
                self.pairs[1].push(right);
            }
        }
        if self.pairs[0].len() >= CANDIDATES { self.give() } else { Ok(()) }
    }

    /// The pairs come out.
    fn give(&mut self) -> Result<()> {
        let count = self.pairs[0].len();
        if count == 0 {
            return Ok(());
        }
        let all = |width: usize| (0..width).collect::<Vec<_>>();
        let mut columns = self.sides[0].take(&all(self.plan.left.width), &self.pairs[0])?;
        if self.plan.spec.kind != JoinKind::LeftSemi {
            columns.extend(self.sides[1].take(&all(self.plan.right.width), &self.pairs[1])?);
        }
        self.rows.push(out::batch(&self.plan.spec.output, columns, count)?);
        self.pairs.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}
