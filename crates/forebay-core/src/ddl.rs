//! Schemas as Spark writes them: DDL text to Arrow and back.
//!
//! ```text
//! id STRING NOT NULL, at TIMESTAMP, place STRUCT<hall: INT, row: INT>, tags MAP<STRING, STRING> COMMENT 'as sent'
//! ```
//!
//! [`parse`] takes what Spark's `StructType.fromDDL` takes: names bare or in back quotes, types in any case, the
//! colon after a name optional everywhere, the whole also as `STRUCT<…>`. [`to_ddl`] prints a schema so that
//! parsing gives the same schema again: that round trip is what must stay true.
//!
//! Nested types follow the conventions of Delta Lake and of Spark's Parquet files, so that no cast stands between
//! decoder and table: the item of a list is a nullable `element`; the entries of a map are `key_value` with a `key`
//! that is never null and a nullable `value`; a TIMESTAMP is microseconds in UTC, a TIMESTAMP_NTZ microseconds
//! without zone. A COMMENT is kept as the field's metadata under [`COMMENT`], as in Spark.

use std::fmt;

mod parse;
mod print;
mod scan;
mod types;

pub use parse::parse;
pub use print::{to_ddl, type_words};
pub use types::timestamp;

/// The metadata key under which a column's COMMENT is kept.
pub const COMMENT: &str = "comment";

/// How deep types may nest. Spark has no bound; a schema that people write stays far below, and every walk over
/// the type (decoder, planner, Parquet writer) recurses.
pub const MAX_DEPTH: usize = 64;

/// Most columns and fields, all levels together: a bound against schemas that are made by accident.
pub const MAX_FIELDS: usize = 10_000;

/// Why a text is not a schema, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset})")]
pub struct DdlError {
    /// Where in the text, in bytes; always on a character's boundary and at most the text's length.
    pub offset: usize,
    /// How many bytes are meant, at least 1 unless the place is the end of the text.
    pub length: usize,
    /// What is wrong: lower case, no period.
    pub message: String,
    /// What to write instead, in whole sentences.
    pub hint: String,
}

/// The beginning of a text, short enough for a message.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 40;
        match self.0.char_indices().nth(MOST) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests;
