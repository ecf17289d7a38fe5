//! An answer as one JSON text of bounded size, for serving end points: its columns, and its rows as arrays.
//!
//! What must stay true: whatever the statement gives, no more than [`Bounds`] is kept, and the statement's work ends as
//! soon as they are reached. An answer without rows is one that has none: a first row that finds no room is an error.

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::StreamExt;

use super::Answer;
use super::budget::growth::size_of;
use super::render::{json_texts, refuse_far_times};
use crate::plan::words::type_name;

/// Rows that are written at once, if they are not too large, before the size of what was written is looked at.
const SLICE: usize = 128;

/// How much of an answer is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of the rows' JSON.
    pub bytes: usize,
}

/// An answer, or as much of it as its bounds allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Name and type, in Spark's words, of each column.
    pub columns: Vec<(String, String)>,
    /// The rows as a JSON array of arrays. Times are ISO 8601 in UTC, a number that JSON cannot hold is null.
    pub json: String,
    /// How many rows that are.
    pub count: usize,
    /// True if there were more.
    pub truncated: bool,
}

/// Takes an answer's rows until it ends or the bounds are reached.
pub async fn collect(mut answer: Answer, bounds: Bounds) -> Result<Rows> {
    let fields = answer.schema.fields().iter();
    let columns = fields.map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
    let mut rows = Rows { columns, json: "[".to_owned(), ..Rows::default() };
    while let Some(batch) = answer.batches.next().await {
        if !append(&mut rows, &batch?, bounds)? {
            rows.truncated = true;
            break;
        }
        tokio::task::yield_now().await;
    }
    rows.json.push(']');
    Ok(rows)
}

/// Adds a batch's rows; false if a row found no room.
fn append(rows: &mut Rows, batch: &RecordBatch, bounds: Bounds) -> Result<bool> {
    batch.columns().iter().try_for_each(refuse_far_times)?;
    let mut start = 0;
    while start < batch.num_rows() {
        let few = batch.slice(start, SLICE.min(batch.num_rows() - start));
        // Texts take up to six times their bytes as JSON, and more while they are written.
        let slice = if bytes_of(&few) <= bounds.bytes as u64 { few } else { batch.slice(start, 1) };
        // A number has eight bytes and, with its comma, two letters or more.
        if bytes_of(&slice) / 4 > bounds.bytes as u64 {
            return no_room(rows, bounds);
        }
        start += slice.num_rows();
        let texts =
            slice.columns().iter().map(json_texts).collect::<Result<Vec<_>, _>>().map_err(unwritable)?;
        let texts: Vec<&StringArray> =
            texts.iter().filter_map(|column| column.as_any().downcast_ref()).collect();
        for row in 0..slice.num_rows() {
            let value = |column: &&StringArray| {
                if column.is_valid(row) { column.value(row).to_owned() } else { "null".to_owned() }
            };
            let text = texts.iter().map(value).collect::<Vec<_>>().join(",");
            if rows.count == bounds.rows || rows.json.len() + text.len() + 4 > bounds.bytes {
                return no_room(rows, bounds);
            }
            if rows.count > 0 {
                rows.json.push(',');
            }
            rows.json.push('[');
            rows.json.push_str(&text);
            rows.json.push(']');
            rows.count += 1;
        }
    }
    Ok(true)
}

/// What it means that a row finds no room.
fn no_room(rows: &Rows, bounds: Bounds) -> Result<bool> {
    if rows.count > 0 || bounds.rows == 0 {
        return Ok(false);
    }
    let message = format!("the first row is longer than {} bytes", bounds.bytes);
    Err(Error::new(&codes::QUERY_LIMIT, message)
        .with_hint("Select fewer columns, or parts of long texts: `substring(c, 1, 1000)`."))
}

fn bytes_of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| size_of(column)).sum()
}

fn unwritable(error: ArrowError) -> Error {
    Error::new(&codes::QUERY_FAILED, "a value of the answer cannot be written").caused_by(error)
}
