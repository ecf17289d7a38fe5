//! From records to a schema: the columns that a topic's messages have, and what is unsure about them.
//!
//! ```text
//! record ─▶ shape (JSON without its content) ─▶ seen (what stood in each place, counted) ─▶ types + notes
//!                                                                                            │
//! record ─▶ the decoder itself, with these types ─▶ what it still refuses ◀──────────────────┘
//! ```
//!
//! The decoder of the mode `quarantine` converts nothing, so a type is chosen that takes everything that was seen, if
//! there is one: BIGINT for whole numbers, DOUBLE as soon as one has a fraction, STRUCT of all fields of all records.
//! Where there is none (text here, a number there) the type of most records is taken and a note says so. Nothing is
//! NOT NULL: that a field was always there is no promise.
//!
//! What must stay true: the same records give the same answer, and the last word is the decoder's: [`infer`] decodes
//! the records with what it found and tells what would go to the quarantine.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, BinaryViewArray};
use arrow::datatypes::{Schema, SchemaRef};
use forebay_core::ddl;
use forebay_core::error::{Error, Result, codes};
use forebay_core::format::{BadRecordMode, Format};
use forebay_core::options::Options;

use super::JsonFormat;

mod seen;
mod shape;
mod times;
mod types;

#[cfg(test)]
mod tests;

use seen::Seen;

/// What records have in common.
#[derive(Debug)]
pub struct Inferred {
    /// The columns, in the order in which the records first had them.
    pub schema: SchemaRef,
    /// What is unsure: the place of a field, such as `site.pos.lat` or `tags[]`, and why.
    pub notes: Vec<(String, String)>,
    /// Records that do not decode with these columns: by code and JSON path, how many.
    pub refused: BTreeMap<(&'static str, String), u64>,
    /// Records that were looked at.
    pub records: u64,
}

impl Inferred {
    /// The columns as Spark DDL, one a line.
    ///
    /// # Errors
    /// `BAD_SCHEMA` if a type has no name in Spark, which inferring does not choose.
    pub fn ddl(&self) -> Result<String> {
        let columns = self.schema.fields().iter();
        let columns = columns.map(|field| ddl::to_ddl(&Schema::new(vec![Arc::clone(field)])));
        Ok(columns.collect::<Result<Vec<_>>>()?.join(",\n"))
    }
}

/// Infers the columns of these values; null is a tombstone.
///
/// # Errors
/// `BAD_SCHEMA` if no record is a JSON object with a field.
pub fn infer(values: &BinaryViewArray) -> Result<Inferred> {
    let mut root = Seen::default();
    for value in values.iter().flatten() {
        // What is no JSON tells nothing; the decoder says what is wrong with it.
        if let Some(shape) = shape::read(value) {
            root.add(&shape);
        }
    }
    let (fields, notes) = types::columns(&root);
    if fields.is_empty() {
        let message = match values.len() {
            0 => "there is no record to infer a schema from".to_owned(),
            read => format!("none of {read} record(s) is a JSON object with fields"),
        };
        return Err(Error::new(&codes::BAD_SCHEMA, message).with_hint(
            "A schema can be inferred from records that are JSON objects, such as {\"device_id\": \"d1\", \"temperature\": 71.5}.",
        ));
    }
    let schema = Arc::new(Schema::new(fields));
    let format = JsonFormat::new(Arc::clone(&schema), BadRecordMode::Quarantine, &Options::default())?;
    let mut refused = BTreeMap::new();
    for bad in format.decoder().decode(values)?.bad {
        *refused.entry((bad.code, bad.path)).or_default() += 1;
    }
    Ok(Inferred { schema, notes, refused, records: values.len() as u64 })
}
