//! Rows as lines of CSV, byte for byte as Spark's writer puts them.
//!
//! `texts` turns a value into its text, `dialect` a text into what stands between two separators: trimmed, quoted and
//! escaped by the rules of the writer that Spark uses; `encoder` walks a batch. What must stay true: the bytes are Spark's
//! (`tests.rs` holds them to files that a Spark wrote), and a value never ends its own field or line.

mod dialect;
mod encoder;
mod pattern;
mod texts;

#[cfg(test)]
mod tests;

pub(crate) use dialect::Dialect;
pub(crate) use encoder::Encoder;
pub(crate) use pattern::Pattern;
pub(crate) use texts::Texts;
