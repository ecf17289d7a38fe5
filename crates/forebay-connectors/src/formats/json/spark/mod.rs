//! Spark's answer for records that strict JSON refuses, in the modes PERMISSIVE, DROPMALFORMED and FAILFAST.
//!
//! ```text
//!   record ─▶ strict reader ──ok──▶ row                 (nearly all records; the same row in every mode)
//!                  │ fault
//!                  └──▶ tokens (Jackson's) ─▶ convert (Spark's) ─▶ row | partial row | nothing | corrupt
//! ```
//!
//! Spark is lenient in ways no one would design: single quotes, bare `NaN`, a second object after the first, `"1.5"`
//! for a DOUBLE, and whatever its parser finds when it goes on after an error. People's pipelines depend on it, so it is
//! rebuilt here step by step: [`tokens`] is Jackson's parser with Spark's default features, [`convert`] what Spark does
//! with its tokens, in the same order. It is slower than the strict reader and need not be fast. What must stay true:
//! wherever the strict reader gives a row, this would give the same one.

mod convert;
mod java;
mod strings;
mod tokens;

use super::column::Object;
use super::options::Rules;

pub(super) use convert::{Cell, append};

/// What Spark makes of a record.
#[derive(Debug)]
pub(super) enum Answer {
    /// A row, one cell for each field.
    Row(Vec<Cell>),
    /// A bad record of which some fields could be read.
    Partial(Vec<Cell>),
    /// A bad record of which nothing could be read.
    Corrupt,
    /// No record at all: empty or blank.
    Nothing,
}

/// Reads a record as Spark does.
pub(super) fn answer(record: &[u8], fields: &Object, rules: &Rules) -> Answer {
    let text = java::decode_utf8(record);
    convert::record(&mut tokens::Tokens::new(text.as_bytes(), rules), fields, rules)
}
