//! Forebay's words as types, its configuration, and its decisions as pure functions.
//!
//! This crate opens no file, no socket and no clock of its own: it takes facts and returns decisions. The other
//! crates meet only here: sources, sinks and formats implement [`source::Source`], [`sink::Sink`] and
//! [`format::Format`]; the engine drives them without knowing which system stands behind. Arrow's arrays are the
//! only currency; a record is never an object of its own on the way from source to sink.
//!
//! Where to read next: [`source`] and [`sink`] for the two ends of an epoch, [`ledger`] for what is counted,
//! [`event_time`], [`window`] and [`zone`] for time, [`config`] for the pipeline file, [`error`] for how failures
//! speak.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

pub mod catalog;
pub mod checkpoint;
pub mod clock;
pub mod config;
pub mod cycle;
pub mod ddl;
pub mod detect;
pub mod error;
pub mod event_time;
pub mod expectation;
pub mod fields;
pub mod format;
pub mod json_text;
pub mod key;
pub mod last;
pub mod latency;
pub mod ledger;
pub mod limits;
pub mod options;
pub mod output_mode;
pub mod position;
pub mod progress;
pub mod quality;
pub mod reference;
pub mod route;
pub mod scram;
pub mod silence;
pub mod sink;
pub mod source;
pub mod table;
pub mod trigger;
pub mod window;
pub mod zone;

pub use error::{Code, Error, Fault, Result};
pub use event_time::Watermark;
pub use ledger::Ledger;
pub use output_mode::OutputMode;
pub use position::{Epoch, Partition, Position, PositionRange, Positions, TopicIds};
pub use zone::Zone;
