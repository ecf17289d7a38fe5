//! The embedded log: Kafka record batches on disk, and a small Kafka server before them.
//!
//! Three rooms, each usable without the next:
//!
//! ```text
//!  records   bytes ⇄ record batches (v2): the one walker that the server, the in-process reader
//!            and the Kafka source share
//!  storage   topics, partitions, segments, producers, transactions, groups: durable, without a network
//!  server    the Kafka protocol before it
//! ```
//!
//! The one promise: what [`storage::Log::append`] acknowledged, and what any reader was shown, survives a crash at
//! any moment. Everything durable passes the storage door of `forebay-storage`.
//!
//! Start reading at [`storage`]; the format is explained in [`records`].
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod error;
mod quiet;
pub mod records;
pub mod server;
pub mod storage;

pub use error::LogError;
