//! What can be set on the server, and why each default is what it is.
//!
//! Every field is a limit or a habit that clients can see. Nothing here is about storage: segment sizes, fsync,
//! retention and the number of partitions of a topic belong to
//! [`crate::storage::LogOptions`].

use super::access::Guard;
use std::time::Duration;

/// The settings of one [`super::Server`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// What stands before the server: TLS and users. Without it, it listens on loopback alone.
    pub guard: Option<Guard>,
    /// Host that clients are told to dial, if it is not the name by which they asked for us in TLS, or the
    /// address they came in on (a proxy, a port mapping).
    pub advertised_host: Option<String>,
    /// Port that clients are told to dial, if it is not the port they came in on.
    pub advertised_port: Option<u16>,
    /// Create a topic when a client asks for its metadata and allows it. True, as in Apache Kafka: the plainest
    /// producer program works on an empty log.
    pub auto_create_topics: bool,
    /// Connections at once. For one more the connection that was idle longest is closed, as in Apache Kafka; where
    /// none is idle, one whose request arrives slowly ([`Self::crowded_timeout`]), or else the new one.
    pub max_connections: usize,
    /// Largest request, its length prefix not counted. 100 MiB as in Apache Kafka. A larger prefix closes the
    /// connection before anything is allocated.
    pub max_request_bytes: usize,
    /// Elements in all arrays of one request together. An element of two bytes on the wire becomes about a hundred
    /// in memory, so bytes alone do not bound what a request costs. Clients send one element per topic or partition.
    pub max_request_items: usize,
    /// Produce requests of one connection that may be under way before we stop reading from it. Behind any other
    /// request we read on once it is answered.
    pub max_pipelined_requests: usize,
    /// Bytes of requests that have arrived and are worked on, over all connections; past it, reading waits. An
    /// eighth is for requests of up to 64 KiB, [`Self::max_request_bytes`] for one large one at a time, the rest for
    /// all.
    pub max_request_memory: usize,
    /// Bytes of record batches that are being read or sent, over all connections. An eighth is for answers of up to
    /// 1 MiB: past the rest, a Fetch gets no more at a time.
    pub max_response_memory: usize,
    /// Most bytes of record batches in one Fetch answer, whatever the client allows (a single larger batch is still
    /// sent). 55 MiB, Apache Kafka's `fetch.max.bytes`.
    pub max_fetch_bytes: usize,
    /// Longest time a Fetch may wait for data, whatever the client allows.
    pub max_fetch_wait: Duration,
    /// A connection with nothing under way is closed after this long without a request. 10 minutes, as in Apache
    /// Kafka; clients close theirs a minute earlier.
    pub idle_timeout: Duration,
    /// Time for TLS, and then for logging in, where that is asked for.
    pub login_timeout: Duration,
    /// Time in which a request that began must have arrived whole.
    pub receive_timeout: Duration,
    /// While others wait for memory that a half-read request or half-sent answer holds, its client must move at
    /// 64 KiB/s, judged after each such time; else the connection is closed. A request that was let in beyond the
    /// memory for all (one at a time, the one with least left to send first) has twice this time to arrive.
    pub crowded_timeout: Duration,
    /// Time in which a client must take some bytes of a waiting answer; a large answer may take longer as a whole.
    pub send_timeout: Duration,
    /// Time that open connections get, at shutdown, to take the answers they wait for.
    pub drain_timeout: Duration,
    /// Consumer groups at once, those with nothing but committed offsets included.
    pub max_groups: usize,
    /// Members of one group.
    pub max_group_members: usize,
    /// Bytes of names and metadata that one member may bring, and of assignment that it may get.
    pub max_member_bytes: usize,
    /// Bytes of all members' metadata and assignments, over all groups; past it, nobody new may join. 64 MiB: a
    /// hundred thousand members of the usual size.
    pub max_group_memory: usize,
    /// Longest metadata string of a committed offset, as Apache Kafka's `offset.metadata.max.bytes`.
    pub max_offset_metadata_bytes: usize,
    /// Transactional ids at once; for one more, the one that was idle longest is forgotten, if for an hour at least.
    pub max_transactional_ids: usize,
    /// Longest time that a producer may ask its transactions to be allowed. 15 minutes, as in Apache Kafka: so long may
    /// a producer that died keep readers of committed data from what came behind its records.
    pub max_transaction_timeout: Duration,
    /// Idle time after which a transactional id is forgotten. 7 days, as in Apache Kafka.
    pub transactional_id_expiry: Duration,
    /// Bytes of partitions, groups and offsets that one transaction may hold: some ten thousand.
    pub max_transaction_bytes: usize,
    /// Bytes that all transactions may hold.
    pub max_transaction_memory: usize,
    /// Shortest session timeout that a member may ask for.
    pub min_session_timeout: Duration,
    /// Longest session timeout that a member may ask for.
    pub max_session_timeout: Duration,
    /// Longest rebalance timeout that is honoured; a longer one is cut to it.
    pub max_rebalance_timeout: Duration,
    /// Time that an empty group waits for more members after its first one. Zero: the members of an embedded log's
    /// groups start one by one on one machine, and a second rebalance costs them less than three idle seconds.
    pub initial_rebalance_delay: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            guard: None,
            advertised_host: None,
            advertised_port: None,
            auto_create_topics: true,
            max_connections: 1_000,
            max_request_bytes: 100 << 20,
            max_request_items: 100_000,
            max_pipelined_requests: 64,
            max_request_memory: 256 << 20,
            max_response_memory: 256 << 20,
            max_fetch_bytes: 55 << 20,
            max_fetch_wait: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            login_timeout: Duration::from_secs(10),
            receive_timeout: Duration::from_secs(60),
            crowded_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(5),
            max_groups: 10_000,
            max_group_members: 1_000,
            max_member_bytes: 256 << 10,
            max_group_memory: 64 << 20,
            max_offset_metadata_bytes: 4096,
            max_transactional_ids: 10_000,
            max_transaction_timeout: Duration::from_secs(15 * 60),
            transactional_id_expiry: Duration::from_secs(7 * 24 * 60 * 60),
            max_transaction_bytes: 2 << 20,
            max_transaction_memory: 64 << 20,
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1_800),
            max_rebalance_timeout: Duration::from_secs(1_800),
            initial_rebalance_delay: Duration::ZERO,
        }
    }
}
