//! The Kafka source: topics as positions and envelopes, from brokers or from the embedded log.
//!
//! ```text
//!   spec.rs        the options, as Spark has them        settings.rs   what they mean (edges.rs: as offsets)
//!   source.rs      KafkaSource: start, available, wait, read
//!   topics.rs      which topics there are, and whether they are still the same
//!   transport.rs   the seam: remote.rs + fetcher.rs (brokers) | embedded.rs (segments read in place)
//!   inbox.rs       what was fetched and not read yet, across epochs
//!   lane.rs        opens batches: lane by lane into envelopes (envelope.rs, transactions.rs)
//! ```
//!
//! The two transports differ only in who fills the inbox. **What must stay true:** a range that is read twice gives
//! the same records, and no record is skipped without a word: what is gone is `DATA_LOSS`, what is damaged is
//! `BAD_BATCH`, what is void (aborted transactions, control batches) is not a record.

mod balance;
mod edges;
mod embedded;
mod envelope;
mod fetcher;
mod inbox;
mod lag;
mod lane;
mod remote;
mod settings;
mod source;
mod spec;
mod topics;
mod transactions;
mod transport;

pub use source::KafkaSource;
pub use spec::SPEC;
