//! What became of a record, found by reading the log again; and what a window waits for ([`window`]).
//!
//! ```text
//! find: the records of a device around a time ─▶ decode ─▶ each query and alert: where ([`journey`]) and what became of it
//! ```
//!
//! What must stay true: nothing is told that was not seen. The record is decoded and the query's conditions are
//! computed again, now, by the same code that the stream runs; which epoch read it is told from the checkpoint's
//! journal, that it came too late from the table of late rows, and which alert it opened or cleared from the journal of
//! alerts, as far back as these go, and otherwise said not to be known.

pub mod alert;
pub mod find;
pub mod journey;
pub mod missed;
pub mod once;
pub mod reader;
pub mod window;
