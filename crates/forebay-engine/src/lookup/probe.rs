//! The stream's side: the partners of each row, in pieces of bounded size.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::build::{broken, evaluate};
use super::{Built, Kind, Lookup};
use crate::plan::{core_error, truth};
use crate::tags::{Tags, of_rows, without};

/// Most pairs that are looked at together, and most that a piece of a batch may have, unless a single record has more.
pub(super) const PAIRS: usize = 65_536;

/// What a lookup made of a batch.
pub(crate) struct Probed {
    pub batch: RecordBatch,
    pub tags: Tags,
    /// Records of which no row came out.
    pub refused: u64,
}

/// The candidates of each row of a batch, as [`Built::candidates`] numbers them.
pub(crate) fn candidates(lookup: &Lookup, built: &Built, batch: &RecordBatch) -> Result<Vec<Range<u32>>> {
    let keys = evaluate(&lookup.keys, batch)?;
    built.candidates(&keys, &lookup.spec.null_safe, batch.num_rows())
}

/// Where a batch is to be cut so that no piece has too many pairs; empty if it need not be. Records stay whole.
pub(crate) fn pieces(candidates: &[Range<u32>], tags: &Tags) -> Vec<usize> {
    let (mut cuts, mut pairs, mut start) = (Vec::new(), 0, 0);
    let is_new = |row: usize| tags.as_ref().is_none_or(|tags| tags.get(row.wrapping_sub(1)) != tags.get(row));
    // Of the record at hand: where it begins, and the pairs before it.
    let (mut record, mut before) = (0, 0);
    for (row, range) in candidates.iter().enumerate() {
        if is_new(row) {
            (record, before) = (row, pairs);
        }
        pairs += range.len().max(1);
        if pairs > PAIRS && record > start {
            cuts.push(record);
            (start, pairs) = (record, pairs - before);
            before = 0;
        }
    }
    cuts
}

/// Joins a batch with those of its candidates for which the condition holds.
pub(crate) fn probe(
    lookup: &Lookup,
    built: &Built,
    batch: &RecordBatch,
    tags: &Tags,
    candidates: Vec<Range<u32>>,
) -> Result<Probed> {
    let kind = lookup.spec.kind;
    let is_one_enough = matches!(kind, Kind::Semi | Kind::Anti) && lookup.condition.is_none();
    let mut kept = Pairs::default();
    let mut chunk = Pairs::default();
    for (row, range) in candidates.into_iter().enumerate() {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        for number in range {
            chunk.push(row, built.candidate(number));
            if chunk.len() == PAIRS {
                kept.extend(holding(lookup, built, batch, std::mem::take(&mut chunk))?);
            }
            if is_one_enough {
                break;
            }
        }
    }
    kept.extend(holding(lookup, built, batch, chunk)?);
    match kind {
        Kind::Semi | Kind::Anti => filtered(kind, batch, tags, &kept),
        Kind::Inner | Kind::Outer => paired(lookup, built, batch, tags, kept),
    }
}

/// Numbers of rows of the stream and of the table.
#[derive(Default)]
struct Pairs {
    stream: Vec<u32>,
    table: Vec<u32>,
}

impl Pairs {
    fn push(&mut self, stream: u32, table: u32) {
        self.stream.push(stream);
        self.table.push(table);
    }

    fn len(&self) -> usize {
        self.stream.len()
    }

    fn extend(&mut self, other: Self) {
        self.stream.extend(other.stream);
        self.table.extend(other.table);
    }
}

/// Those pairs for which the condition is true.
fn holding(lookup: &Lookup, built: &Built, batch: &RecordBatch, pairs: Pairs) -> Result<Pairs> {
    let Some(condition) = lookup.condition.as_ref().filter(|_| pairs.len() > 0) else { return Ok(pairs) };
    let failed = |error| core_error(&codes::QUERY_FAILED, error).at("the condition of the join");
    let spec = &lookup.spec;
    let (stream, table) = (UInt32Array::from(pairs.stream.clone()), UInt32Array::from(pairs.table.clone()));
    let columns = spec.condition_columns.iter().map(|column| {
        let (of, rows) = match place(spec.stream_start(), spec.stream_columns, *column) {
            Place::Stream(column) => (batch.columns().get(column), &stream),
            Place::Table(column) => (built.rows.columns().get(column), &table),
        };
        take(of.ok_or_else(misplaced)?, rows, None).map_err(broken)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(pairs.len()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(&spec.condition_schema), columns, &options)
        .map_err(broken)?;
    let mask = match condition.evaluate(&rows).map_err(failed)? {
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok(pairs),
        ColumnarValue::Scalar(_) => return Ok(Pairs::default()),
        ColumnarValue::Array(mask) => mask,
    };
    let mut kept = Pairs::default();
    for pair in truth(mask.as_boolean_opt().ok_or_else(misplaced)?).set_indices() {
        kept.push(pairs.stream[pair], pairs.table[pair]);
    }
    Ok(kept)
}

/// Which side of a pair a column is of.
enum Place {
    Stream(usize),
    Table(usize),
}

fn place(start: usize, width: usize, column: usize) -> Place {
    match column.checked_sub(start) {
        Some(stream) if stream < width => Place::Stream(stream),
        _ if start == 0 => Place::Table(column - width),
        _ => Place::Table(column),
    }
}

/// Semi and anti: rows as they are, or not at all.
fn filtered(kind: Kind, batch: &RecordBatch, tags: &Tags, pairs: &Pairs) -> Result<Probed> {
    let mut comes = vec![kind == Kind::Anti; batch.num_rows()];
    for row in &pairs.stream {
        comes[*row as usize] = kind == Kind::Semi;
    }
    let rows: Vec<u32> = (0u32..).zip(&comes).filter(|(_, comes)| **comes).map(|(row, _)| row).collect();
    let refused = without(tags, batch.num_rows(), &rows);
    if rows.len() == batch.num_rows() {
        return Ok(Probed { batch: batch.clone(), tags: tags.clone(), refused });
    }
    let out_tags = tags.as_ref().map(|tags| rows.iter().map(|row| tags[*row as usize]).collect());
    let rows = UInt32Array::from(rows);
    let batch = arrow::compute::take_record_batch(batch, &rows).map_err(broken)?;
    Ok(Probed { batch, tags: out_tags, refused })
}

/// Inner and outer: a row for each pair.
fn paired(lookup: &Lookup, built: &Built, batch: &RecordBatch, tags: &Tags, pairs: Pairs) -> Result<Probed> {
    let spec = &lookup.spec;
    let refused = if spec.kind == Kind::Inner { without(tags, batch.num_rows(), &pairs.stream) } else { 0 };
    let (stream, table) = match spec.kind {
        Kind::Outer => completed(pairs, batch.num_rows()),
        _ => (pairs.stream, UInt32Array::from(pairs.table)),
    };
    let is_each = stream.len() == batch.num_rows() && stream.iter().zip(0u32..).all(|(row, at)| *row == at);
    let out_tags = of_rows(tags, &stream);
    let rows = stream.len();
    let stream = UInt32Array::from(stream);
    let of_stream = batch.columns().iter().map(|column| match is_each {
        true => Ok(Arc::clone(column)),
        false => take(column, &stream, None).map_err(broken),
    });
    let of_stream = of_stream.collect::<Result<Vec<ArrayRef>>>()?;
    let of_table = built.rows.columns().iter().map(|column| take(column, &table, None).map_err(broken));
    let of_table = of_table.collect::<Result<Vec<ArrayRef>>>()?;
    let columns = match spec.stream_is_left {
        true => [of_stream, of_table].concat(),
        false => [of_table, of_stream].concat(),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch =
        RecordBatch::try_new_with_options(Arc::clone(&spec.output), columns, &options).map_err(broken)?;
    Ok(Probed { batch, tags: out_tags, refused })
}

/// With a NULL for each row that has no pair, in its place.
fn completed(pairs: Pairs, rows: usize) -> (Vec<u32>, UInt32Array) {
    let mut stream = Vec::with_capacity(pairs.len().max(rows));
    let mut table: Vec<Option<u32>> = Vec::with_capacity(pairs.len().max(rows));
    let mut pairs = pairs.stream.into_iter().zip(pairs.table).peekable();
    for row in (0u32..).take(rows) {
        let before = stream.len();
        while let Some((_, partner)) = pairs.next_if(|(of, _)| *of == row) {
            stream.push(row);
            table.push(Some(partner));
        }
        if stream.len() == before {
            stream.push(row);
            table.push(None);
        }
    }
    (stream, table.into())
}

fn misplaced() -> Error {
    Error::new(&codes::INTERNAL, "a column of a join is not where it should be")
}
