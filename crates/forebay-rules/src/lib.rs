//! Alerts: a condition over a stream, watched for each key by itself, that opens and clears.
//!
//! An alert is a query of the engine like any other: the engine turns the rule's conditions into boolean columns, and
//! this crate's [`AlertSink`] takes the rows. It knows neither SQL nor Kafka.
//!
//! ```text
//!  rows (key, when, clear, time, values)
//!    │  lanes      each partition's rows become the few at which something changes     `lane`, `track`
//!    ▼
//!  epoch           all partitions in the order of time, through each key's machine     `epoch`, `machine`
//!    ▼
//!  journal         one entry an epoch, fsynced: what opened, cleared, began to wait    `journal`, `state`
//!    ▼
//!  AlertBook       what is open and what was, for whoever looks; each change told      `book`
//! ```
//!
//! Where to read next: [`machine`] for what opens and clears an alert, [`sink`] for what a crash does to it.
//! What must stay true: an epoch's transitions are in the journal all together or not at all, and an epoch that is
//! there is recognised by its number; so each transition is there once, whatever dies when.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod alert;
pub mod book;
pub mod columns;
mod epoch;
mod journal;
mod key;
mod lane;
pub mod machine;
mod recall;
mod removed;
mod rule;
pub mod sink;
mod state;
mod tell;
#[cfg(test)]
mod tests;
mod track;

pub use alert::{Alert, AlertState};
pub use book::{AlertBook, Counts, OfKey};
pub use recall::{Deed, Recalled, Seen};
pub use removed::end_removed;
pub use rule::{Bounds, Rule, ValueColumn};
pub use sink::AlertSink;
