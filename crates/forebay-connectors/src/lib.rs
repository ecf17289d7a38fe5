//! Connectors: what Forebay reads from and writes to, one small folder for each system.
//!
//! [`sources`], [`sinks`], [`tables`] and [`formats`] each hold the explicit list of what there is; [`kafka`] is the client that
//! the Kafka source, the producer and the command line share. A connector implements a trait of `forebay-core` and
//! knows nothing of the engine that drives it.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

pub mod formats;
pub mod kafka;
pub mod s3;
pub mod sinks;
pub mod sources;
pub mod tables;
mod tls;
