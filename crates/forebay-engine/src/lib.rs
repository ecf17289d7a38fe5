//! The engine: plans SQL over streams, runs epochs, keeps checkpoints and the quarantine.
//!
//! It drives sources, formats and sinks through the traits of `forebay-core` and knows no system by name. A query is
//! planned once ([`plan`]), then runs epoch after epoch ([`epoch`] is the essay to read first) on a durable
//! [`checkpoint`]. SQL over tables at rest, for `forebay query`, is in [`adhoc`].
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

pub mod adhoc;
pub mod checkpoint;
pub mod epoch;
pub mod expect;
mod generate;
pub mod held;
pub mod late;
pub mod lookup;
mod operators;
pub mod plan;
pub mod quality;
pub mod quarantine;
pub mod query;
mod state;
pub mod status;
mod tags;
pub mod taken;
