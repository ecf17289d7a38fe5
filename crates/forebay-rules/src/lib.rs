//! Alerts: a condition over a stream, watched for each key by itself, that opens and clears. And anomaly detectors, which say of
//! each row how unusual it is ([`detectors`], which the engine's operator calls).
//!
//! An alert is a query of the engine like any other: the engine turns the rule's conditions into boolean columns, and
//! this crate's [`AlertSink`] takes the rows. It knows neither SQL nor Kafka.
//!
//! ```text
//!  rows (key, when, clear, time, values)
//!    │  lanes      each partition's rows through the machines of their keys    `lane`, `awake`, `partition`, `track`, `machine`, `silent`
//!    ▼
//!  epoch           what they did, all partitions together; who is told of it   `epoch`, `notices`
//!    ▼
//!  journal         one entry an epoch, fsynced: what opened, changed, cleared, began to wait    `journal`, `state`
//!    ▼               ▲ what people do: acknowledge, comment                    `desk`
//!  AlertBook       what is open and what was, for whoever looks; each change told      `book`
//!                  and the silences that people make                         `silences`
//! ```
//!
//! [`backtest`] takes rows that are there already through the same lanes and epochs, and writes nothing.
//!
//! Where to read next: [`logic`] for what a rule can ask for and by which time, [`machine`] for what opens and clears an
//! alert, [`notices`] for who is told, [`sink`] for what a crash does to it all.
//! What must stay true: an epoch's transitions are in the journal all together or not at all, and an epoch that is
//! there is recognised by its number; so each transition is there once, whatever dies when. And alerts are a function of
//! the data: for keys whose records come in one partition they do not depend on where epochs end (`tests/suite`).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod alert;
mod awake;
pub mod backtest;
pub mod book;
pub mod columns;
mod desk;
pub mod detectors;
mod entry;
mod epoch;
mod journal;
mod key;
mod lane;
mod life;
pub mod logic;
mod machine;
pub mod notices;
mod partition;
mod readings;
mod recall;
mod removed;
mod rule;
mod silences;
mod silent;
pub mod sink;
mod state;
mod tell;
#[cfg(test)]
mod tests;
mod track;
mod window;

pub use alert::{Alert, AlertState};
pub use book::{AlertBook, Attended, Counts, OfKey};
pub use desk::Acknowledged;
pub use life::{Cause, Event, LevelChange, Life, NoDataOf, Remark};
pub use logic::{Level, Logic, Matches, NoData, Watched};
pub use notices::{Channel, Line, Notice, Notices};
pub use readings::Readings;
pub use recall::{Deed, Recalled, Says, Seen};
pub use removed::end_removed;
pub use rule::{Bounds, Rule, ValueColumn};
pub use silences::{End, LONGEST_NAME, MOST_NAMES, Silence, SilenceState, Silences, Wish};
pub use sink::AlertSink;
