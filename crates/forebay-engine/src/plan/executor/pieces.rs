//! The pieces of a batch on their way through the stages: what comes of one of them must not be too much at once.
//!
//! A join with tables at rest cuts between records. A generator may have to cut a record itself; what its parts come to is put
//! together here. What must stay true: the parts of a record come one after the other, each as a piece of its own; the record is
//! counted once, emitted with the first of its rows, or else by what became of its last part.

use std::ops::Range;

use arrow::array::RecordBatch;
use forebay_core::Result;

use super::Fates;
use crate::generate::{Part, RECORD_ROWS, Slice, too_many};
use crate::tags::Tags;

/// A piece.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The stage that it comes to.
    pub stage: usize,
    pub batch: RecordBatch,
    pub tags: Tags,
    /// What it is of a record, if it is not all of some.
    pub part: Option<Part>,
    /// True if it is known to be small enough for its stage.
    pub fits: bool,
    /// Of which elements of its only row its stage makes rows, if not of all.
    pub elements: Option<Range<usize>>,
}

/// Those that are still to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// The next one last.
    stack: Vec<Piece>,
    /// True if rows of the record whose parts are coming have come out.
    is_out: bool,
    /// How many rows were made of it.
    made: u64,
}

impl Pieces {
    /// Begins with a batch; what was left of another is dropped.
    pub fn begin(&mut self, batch: RecordBatch) {
        *self = Self::default();
        self.stack.push(Piece { stage: 0, batch, tags: None, part: None, fits: false, elements: None });
    }

    pub fn next(&mut self) -> Option<Piece> {
        self.stack.pop()
    }

    /// Cuts a batch into pieces of whole records that come to a stage one after the other.
    pub fn cut(
        &mut self,
        stage: usize,
        cuts: &[usize],
        batch: &RecordBatch,
        tags: &Tags,
        part: Option<Part>,
    ) {
        let mut end = batch.num_rows();
        for start in cuts.iter().rev().copied().chain([0]) {
            let (batch, tags) = rows_of(batch, tags, start..end);
            self.stack.push(Piece { stage, batch, tags, part, fits: false, elements: None });
            end = start;
        }
    }

    /// The same, as a generator wants it.
    pub fn slice(&mut self, stage: usize, slices: Vec<Slice>, batch: &RecordBatch, tags: &Tags) {
        for Slice { rows, elements, part } in slices.into_iter().rev() {
            let (batch, tags) = rows_of(batch, tags, rows);
            self.stack.push(Piece { stage, batch, tags, part, fits: true, elements });
        }
    }

    /// Notes the rows that a generator made of a piece. Fails if they are more than may come of one record.
    pub fn made(&mut self, part: Option<Part>, rows: usize, written: &str) -> Result<()> {
        if part.is_none() {
            return Ok(());
        }
        self.made += rows as u64;
        if self.made <= RECORD_ROWS {
            return Ok(());
        }
        Err(too_many(written))
    }

    /// Counts what became of a piece; true if rows of its record came out before, so that all of its rows are repeats.
    pub fn count(&mut self, part: Option<Part>, of_piece: &Fates, fates: &mut Fates) -> bool {
        let Some(part) = part else {
            fates.add(of_piece);
            return false;
        };
        if *of_piece == Fates::default() {
            // It was cut into smaller ones, which are still to come.
            return false;
        }
        let was_out = self.is_out;
        self.is_out |= of_piece.emitted > 0;
        if self.is_out && !was_out {
            fates.emitted += 1;
        }
        if part == Part::Last {
            if !self.is_out {
                fates.add(of_piece);
            }
            (self.is_out, self.made) = (false, 0);
        }
        was_out
    }
}

fn rows_of(batch: &RecordBatch, tags: &Tags, rows: Range<usize>) -> (RecordBatch, Tags) {
    let tags = tags.as_ref().map(|tags| tags[rows.clone()].to_vec());
    (batch.slice(rows.start, rows.len()), tags)
}
