//! Record batches (Kafka's message format v2): the one walker of them, and their builder.
//!
//! A **batch** is a header of 61 bytes and then records, all of them compressed together or none. Logs, networks
//! and disks handle whole batches and look at headers only; who wants records opens a batch. So here too:
//!
//! ```text
//!  Bytes ──Batches──▶ Batch { header, bytes } ──records(limit, scratch)──▶ Records { data } ──▶ RecordRef, …
//!         slices, no copy                      decompressed once, bounded             offsets into `data`
//! ```
//!
//! A [`RecordRef`] is a handful of numbers: where in [`Records::data`] key, value and headers lie. No object, no
//! string and no allocation belongs to a single record; a decoder takes `data` and the ranges and goes on from there.
//!
//! **What must stay true:** whatever bytes come in, nothing here panics, every length is compared with what is
//! there before it is used, and nothing is allocated whose size a field of the input decides (decompression grows
//! its buffer as output appears, up to the caller's limit).

mod batches;
mod builder;
mod compression;
mod control;
mod error;
mod header;
mod headers;
mod lz4;
mod scratch;
mod snappy;
mod varint;
mod walk;

pub use batches::{Batch, Batches};
pub use builder::BatchBuilder;
pub use control::Marker;
pub use error::RecordsError;
pub use header::{BatchHeader, Compression, HEADER_BYTES};
pub use headers::{Headers, headers};
pub use scratch::Scratch;
pub use walk::{RecordRef, Records, RecordsIter};

pub(crate) use header::{CRC_COVERS_FROM, LOG_APPEND_TIME};
