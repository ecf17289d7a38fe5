//! The Kafka client: what source, producer and command line share.
//!
//! It is a thin client on the wire types of `kafka-protocol`: it moves whole record batches and leaves them closed.
//! Who wants records opens them with the walker of `forebay-log`, the same one that serves the embedded log.
//!
//! ```text
//!   options.rs   kafka.* options, as Java users write them  →  ClientConfig
//!   connection/  one socket: TLS, SASL, versions, pipelined calls answered in order
//!   client.rs    brokers, metadata, retries; what can be asked of a cluster
//!   producer/    batches per partition, in order, each written once (idempotence), alone or in a transaction
//!   transactions.rs  what a transaction's coordinator is asked
//! ```
//!
//! **What must stay true:** a connection that was asked to be encrypted and authenticated is so before the first
//! other byte is sent, or it is not made at all: no fall-back exists. And every wait has an end: a broker that is
//! away gives `SOURCE_UNAVAILABLE`, which callers may try again.

mod admin;
mod client;
mod connection;
mod error;
mod ids;
mod jaas;
mod metadata;
mod offsets;
mod options;
mod producer;
mod properties;
mod retry;
mod security;
mod transactions;
mod write;

pub use admin::NewTopic;
pub use client::Client;
pub use connection::Connection;
pub use error::{refused, unavailable};
pub use metadata::{ClusterMetadata, PartitionMetadata, TopicMetadata, Topics, legal_topic};
pub use offsets::{At, Found};
pub use options::{ClientConfig, Isolation};
pub use producer::{
    Delivery, NewRecord, Producer, ProducerConfig, RefusedRecord, Transaction, Written, partition_for_key,
};
pub use retry::Backoff;
pub use transactions::{Author, Marked, Transactions};

pub use crate::tls::Secret;
