//! Topics on disk.
//!
//! ```text
//!  data_dir/
//!    format                       version of this layout
//!    lock                         held by the one process that owns the log
//!    producer-ids                 the next block of ids for idempotent producers
//!    groups                       committed offsets of consumer groups, and transactional producers
//!    topics/NAME/topic.json       id, partitions, settings; while it is there, the topic is
//!    topics/NAME/0/               a partition: its segments, oldest first
//!       00000000000000000000.log    batches exactly as they came, with their base offset set
//!       00000000000000000000.index  offset and time index of the part of the segment that it covers
//!       start                       first offset still there, once retention took some
//!       producers                   what idempotent producers wrote last, and which transactions were open or
//!                                   aborted, up to some offset
//! ```
//!
//! **The promise:** an offset is acknowledged, and shown to any reader, only after the bytes of its batch, and the
//! name of the file they are in, are on disk. Everything but the `.log` files can be computed from them: an
//! index or a list of producers that is missing or damaged is rebuilt at start.
//!
//! **The way of an append:**
//!
//! ```text
//!  submit ── validate (crc, records, limits; on the caller's thread if it is little: `checks.rs`)
//!     └─▶ inbox of the partition ─▶ a writer takes all that gathered:
//!            sequence check, offsets ─▶ one vectored write ─▶ one fdatasync ─▶ high watermark ─▶ answers
//! ```
//!
//! While one fdatasync runs, the next appends gather: that is the group commit, and it needs no timer. A partition
//! is served by one writer at a time, so its order is that of the inbox; different partitions sync side by side.
//!
//! **What fails how.** A full disk fails the appends of one round, cuts what was half written and goes on. A failed
//! fsync ends all writing (see [`LogError::Failed`](crate::LogError::Failed)): the kernel may have dropped the
//! pages, and a second fsync would lie. After a crash the last segment is read from where its index ends; the
//! first batch that is not whole and sound ends the log there.
//!
//! Read on in `log.rs` (what others call), `commit.rs` (the round above), `recovery.rs` (the start).

mod admin;
mod answers;
mod buffers;
mod checks;
mod clock;
mod commit;
mod config;
mod core;
mod groups;
mod ids;
mod index;
mod keeper;
mod lock;
mod log;
mod options;
mod partition;
mod producers;
mod recovery;
mod retention;
mod scan;
mod sealed;
mod segment;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests damage files on purpose")]
mod tests;
mod topic;
mod transactions;
mod validate;
mod writers;

pub use answers::{Appended, Fetched, Isolation, Offsets, OpenTransaction, Pending, Wait};
pub use clock::Clock;
pub use config::{ConfigEntry, TOPIC_SETTINGS, TimestampType, TopicConfig};
pub use groups::GroupStore;
pub use log::Log;
pub use options::LogOptions;
pub use topic::TopicInfo;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
