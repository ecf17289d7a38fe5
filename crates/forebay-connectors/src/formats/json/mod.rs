//! JSON, record by record and straight into columns.
//!
//! ```text
//!  BinaryViewArray      for each record
//!  ┌────────────┐   ┌───────────────────────────────────────────┐    ┌──────────┐
//!  │ {"a":1,…}  │──▶│ object ─ glue guesses the key ─ value ──┐ │───▶│ columns  │──▶ RecordBatch, kept
//!  │ {"a":1,…   │   │   ▲                                     │ │    │ n rows   │
//!  │ {"a":2,…}  │   │   └─────────────────────────────────────┘ │    └──────────┘
//!  └────────────┘   └─────────────── fault ─────────────────────┘         ▲
//!                          │                                              │ truncate to n
//!                          └──────────────────────────────────────────────┘──▶ BadRecord (quarantine)
//!                                                                          └──▶ Spark's answer (its three modes)
//! ```
//!
//! **The rule.** After each record, rows have grown by exactly one, all its bytes are consumed and nothing is pending;
//! otherwise that record alone is bad, the columns are cut back to where they were, and its neighbours stay byte for
//! byte what they would have been without it. There is no stream of bytes here in which a cut-off message could join
//! the next one.
//!
//! Two readers share the columns. The strict one ([`object`], [`value`], [`skip`], [`text`], [`number`]) is the fast
//! way and the whole truth of the mode `quarantine`: JSON by the RFC, the schema's types by the letter. In Spark's
//! modes it goes first, and what it refuses is given to [`spark`], which answers as Spark does. Where to read next:
//! [`decoder`] for the loop over records, [`column`] for the rollback, [`glue`] for the speed, [`sql`] for `from_json`,
//! [`infer`] for the way from records to a schema.

mod codes;
mod column;
mod decimal;
mod decoder;
mod fault;
mod format;
mod glue;
pub mod infer;
mod number;
mod object;
mod options;
mod reader;
mod skip;
mod spark;
mod sql;
mod text;
mod time;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use codes::CODES;
pub use format::JsonFormat;
pub use options::SPEC;
pub(crate) use options::{DATE_FORMAT, TIME_ZONE, TIMESTAMP_FORMAT, TIMESTAMP_NTZ_FORMAT};
pub use sql::FromJson;
pub(crate) use time::Times;
