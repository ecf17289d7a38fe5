//! What the end point may be told, and every limit it keeps.

use std::sync::Arc;
use std::time::Duration;

/// What becomes of messages that a device sends with the retain flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retained {
    /// They are messages as others are; nothing is kept.
    #[default]
    Process,
    /// They are acknowledged, counted, and go nowhere.
    Drop,
    /// They are messages as others are, and the last of each topic is kept for subscribers: in memory, not over a restart.
    State,
}

/// Limits and habits of the end point. Every number is a bound on memory or time that one client, or all, can take.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is called in logs.
    pub name: Arc<str>,
    /// What becomes of retained messages.
    pub retained: Retained,
    /// Largest packet, in bytes with its header. A larger one ends the connection before it is read.
    pub max_packet: u32,
    /// Publishes of one connection that may be on their way to the log: MQTT 5's receive maximum. No more is read beyond it.
    pub receive_maximum: u16,
    /// Bytes of one connection that may be on their way to the log before no more is read from it.
    pub under_way_bytes: usize,
    /// Memory for packets above 64 KiB that are being read or on their way to the log, of all connections.
    pub large_packets: usize,
    /// Topic aliases a client may set on one connection.
    pub topic_aliases: u16,
    /// Levels that a topic or filter may have.
    pub topic_levels: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Sessions at a time, connected or not.
    pub max_sessions: usize,
    /// Longest time that a session outlives its connection, in seconds. 3.1.1's sessions without a clean start get it.
    pub max_session_expiry: u32,
    /// Subscriptions of one session.
    pub max_subscriptions: usize,
    /// Messages that wait for one subscriber. QoS 0 beyond it is dropped and counted; for QoS 1 and 2 the subscriber is disconnected.
    pub queue_messages: usize,
    /// Bytes that wait for one subscriber.
    pub queue_bytes: usize,
    /// Bytes that wait for all subscribers.
    pub queue_bytes_total: usize,
    /// Retained messages that are kept.
    pub max_retained: usize,
    /// Bytes of retained messages that are kept.
    pub retained_bytes: usize,
    /// Publishes a second that are read from one connection; it is slowed to them, nothing is dropped.
    pub publish_rate: Option<u32>,
    /// Longest keep-alive, in seconds, that an MQTT 5 client may choose; none: any, also no keep-alive.
    pub max_keep_alive: Option<u16>,
    /// A connection that has not sent all of its CONNECT by then is closed.
    pub connect_timeout: Duration,
    /// A packet that has begun must be whole by then, and what is sent must be read by then.
    pub packet_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "mqtt".into(),
            retained: Retained::default(),
            max_packet: 1 << 20,
            receive_maximum: 256,
            under_way_bytes: 1 << 20,
            large_packets: 128 << 20,
            topic_aliases: 16,
            topic_levels: 64,
            max_connections: 20_000,
            max_sessions: 50_000,
            max_session_expiry: 24 * 60 * 60,
            max_subscriptions: 100,
            queue_messages: 1_000,
            queue_bytes: 4 << 20,
            queue_bytes_total: 256 << 20,
            max_retained: 100_000,
            retained_bytes: 64 << 20,
            publish_rate: None,
            max_keep_alive: None,
            connect_timeout: Duration::from_secs(10),
            packet_timeout: Duration::from_secs(60),
        }
    }
}
