//! Generators: a row becomes one for each element of an array, or for each entry of a map.
//!
//! ```text
//!             ┌ the array ──▶ its elements, as they lie there (or a take, where they do not lie beside each other) ─┐
//! batch ──────┤                                                                                                    ├─▶ batch
//!             └ the others ─▶ a take: each value as often as its row has elements ─────────────────────────────────┘
//! ```
//!
//! Nothing is remembered between rows, so this is a stage of a lane, as a join with tables at rest is ([`crate::lookup`]).
//! [`plan`](crate::plan) makes the [`Generation`] once; only the columns that are read above it come here. What must stay true: a
//! record keeps its identity, however many rows it becomes, and has one fate: a row without an element gives none (with OUTER one
//! of NULLs), and a record without rows is unmatched; rows come out in the order of the records, elements in that of their array.
//! A small record may be a very large number of rows, so a batch is cut into [`slices`] before: no piece is
//! larger than the bounds there say, and no record becomes more rows than they do. Over tables at rest the same stage is an [`operator`].

use std::iter::repeat_n;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use self::lists::Lists;
use self::slices::Bounds;
use crate::plan::core_error;
use crate::plan::functions::under;
use crate::tags::{Tags, of_rows, without};

mod lists;
pub(crate) mod operator;
mod slices;
#[cfg(test)]
mod tests;
mod weight;

pub(crate) use self::slices::{Part, RECORD_ROWS, Slice, USUAL, too_many};

/// What a generator gives of an array or a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) enum Gives {
    /// `explode`: its elements; of a map keys and values.
    Elements,
    /// `posexplode`: the same behind their places, from 0.
    Positions,
    /// `inline`: the fields of its structs.
    Fields,
}

/// A generator, as a stage.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub gives: Gives,
    /// True if a row without an element comes out once, with NULLs.
    pub is_outer: bool,
    /// The column of arrays or maps. It does not come out itself.
    pub argument: usize,
    /// How many columns come out as they are: all others, in their order.
    pub others: usize,
    /// They, then those that are generated.
    pub output: SchemaRef,
    /// As it is written, for people: `explode(tags)`.
    pub written: String,
}

/// The rows of which a generator will make some: put before the event time is looked at, as Spark does.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    /// The arrays or maps.
    pub array: Arc<dyn PhysicalExpr>,
    /// The generator, as it is written.
    pub written: String,
}

impl Filled {
    /// Which rows have an element; `None` if all have.
    pub fn kept(&self, batch: &RecordBatch) -> Result<Option<BooleanBuffer>> {
        let failed = |error| core_error(&codes::QUERY_FAILED, error).at(&self.written);
        let array = self.array.evaluate(batch).and_then(|array| array.into_array(batch.num_rows()));
        let array = array.map_err(failed)?;
        let lists = Lists::of(&array)?;
        let kept = BooleanBuffer::collect_bool(lists.rows(), |row| !lists.range(row).is_empty());
        Ok((kept.count_set_bits() < lists.rows()).then_some(kept))
    }
}

/// What a generator made of a batch.
pub(crate) struct Generated {
    pub batch: RecordBatch,
    pub tags: Tags,
    /// Records of which no row came out.
    pub refused: u64,
}

impl Generation {
    /// The column before that a column which comes out is; `None` of one that is generated.
    pub fn below(&self, output: usize) -> Option<usize> {
        (output < self.others).then_some(output + usize::from(output >= self.argument))
    }

    /// Where a batch is to be cut so that no piece becomes more rows or bytes than `bounds`; empty if it need not be. `part` is what the
    /// batch is of a record, if it is not all of some.
    pub fn slices(
        &self,
        batch: &RecordBatch,
        tags: &Tags,
        part: Option<Part>,
        bounds: Bounds,
    ) -> Result<Vec<Slice>> {
        let lists = Lists::of(self.taken_apart(batch)?)?;
        let counts: Vec<usize> = (0..lists.rows()).map(|row| self.rows_of(&lists.range(row))).collect();
        let most = counts.iter().copied().max().unwrap_or_default() as u64;
        let bytes: usize = self.passed_on(batch).map(|column| column.get_array_memory_size()).sum();
        let is_small = most <= 1 || most.saturating_mul(bytes as u64) <= bounds.bytes;
        if is_small && counts.iter().sum::<usize>() <= bounds.rows {
            return Ok(Vec::new());
        }
        let weights = weight::of_rows(self.passed_on(batch), batch.num_rows());
        Ok(slices::cut(&counts, &weights, tags, part, bounds))
    }

    /// The rows of a batch; of the only row of a batch, where `only` says so, those of these elements.
    pub fn rows(&self, batch: &RecordBatch, tags: &Tags, only: Option<Range<usize>>) -> Result<Generated> {
        let lists = Lists::of(self.taken_apart(batch)?)?;
        let first = only.as_ref().map_or(0, |only| only.start);
        let run = |row: usize| {
            let all = lists.range(row);
            match &only {
                Some(only) => all.start + only.start..all.end.min(all.start + only.end),
                None => all,
            }
        };
        let runs: Vec<Range<usize>> = (0..lists.rows()).map(run).collect();
        let mut of: Vec<u32> = Vec::with_capacity(runs.iter().map(|run| self.rows_of(run)).sum());
        for (row, run) in (0u32..).zip(&runs) {
            of.extend(repeat_n(row, self.rows_of(run)));
        }
        let (refused, out_tags) = (without(tags, batch.num_rows(), &of), of_rows(tags, &of));
        let rows = of.len();
        let is_each = rows == batch.num_rows() && of.iter().zip(0u32..).all(|(row, at)| *row == at);
        let of = UInt32Array::from(of);
        let others = self.passed_on(batch).map(|column| match is_each {
            true => Ok(Arc::clone(column)),
            false => take(column, &of, None).map_err(broken),
        });
        let mut columns = others.collect::<Result<Vec<ArrayRef>>>()?;
        if self.gives == Gives::Positions {
            columns.push(Arc::new(self.positions(&runs, first)));
        }
        columns.extend(self.elements(&lists, &runs)?);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options);
        Ok(Generated { batch: batch.map_err(broken)?, tags: out_tags, refused })
    }

    /// The column of arrays or maps.
    fn taken_apart<'b>(&self, batch: &'b RecordBatch) -> Result<&'b ArrayRef> {
        batch.columns().get(self.argument).ok_or_else(misplaced)
    }

    /// The others.
    fn passed_on<'b>(&self, batch: &'b RecordBatch) -> impl Iterator<Item = &'b ArrayRef> + use<'b> {
        let argument = self.argument;
        batch.columns().iter().enumerate().filter(move |(at, _)| *at != argument).map(|(_, column)| column)
    }

    /// How many rows these elements of a row are.
    fn rows_of(&self, run: &Range<usize>) -> usize {
        if self.is_outer { run.len().max(1) } else { run.len() }
    }

    /// The places of elements in their arrays, the first of which is at `first`.
    fn positions(&self, runs: &[Range<usize>], first: usize) -> Int32Array {
        let mut places: Vec<Option<i32>> = Vec::new();
        for run in runs {
            let until = first + run.len();
            places.extend((first..until).map(|place| i32::try_from(place).ok()));
            places.extend((run.is_empty() && self.is_outer).then_some(None));
        }
        places.into()
    }

    /// The columns of the elements.
    fn elements(&self, lists: &Lists<'_>, runs: &[Range<usize>]) -> Result<Vec<ArrayRef>> {
        let chosen: Vec<ArrayRef> = match beside(runs, self.is_outer) {
            Some(all) => lists.elements.iter().map(|values| values.slice(all.start, all.len())).collect(),
            None => {
                let mut each: Vec<Option<u32>> = Vec::new();
                for run in runs {
                    each.extend(run.clone().map(|at| u32::try_from(at).ok()));
                    each.extend((run.is_empty() && self.is_outer).then_some(None));
                }
                let each = UInt32Array::from(each);
                let taken = lists.elements.iter().map(|values| take(values, &each, None).map_err(broken));
                taken.collect::<Result<_>>()?
            }
        };
        match (self.gives, chosen.as_slice()) {
            (Gives::Fields, [structs]) => {
                let structs = structs.as_struct_opt().ok_or_else(misplaced)?;
                let field =
                    |child| under(structs.nulls(), child).map_err(|e| core_error(&codes::INTERNAL, e));
                structs.columns().iter().map(field).collect()
            }
            (Gives::Fields, _) => Err(misplaced()),
            _ => Ok(chosen),
        }
    }
}

/// All of these runs as one, if they lie beside each other, in their order, and each is rows of itself only.
fn beside(runs: &[Range<usize>], is_outer: bool) -> Option<Range<usize>> {
    let mut all: Option<Range<usize>> = None;
    for run in runs {
        match &mut all {
            _ if run.is_empty() && is_outer => return None,
            _ if run.is_empty() => {}
            None => all = Some(run.clone()),
            Some(all) if all.end == run.start => all.end = run.end,
            Some(_) => return None,
        }
    }
    Some(all.unwrap_or_default())
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the columns of a generator do not fit together").caused_by(error)
}

fn misplaced() -> Error {
    Error::new(&codes::INTERNAL, "what a generator is to take apart is no array and no map")
}
