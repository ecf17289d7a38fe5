//! What the end point counts, for metrics and the page.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the counters and their snapshot of one list: name and meaning stand once.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one end point.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64,)* }

        /// The counters at one moment. Those that end in `_now` are how many there are, the others only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(super) fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections that are open.
    connections_now,
    /// Connections that got through their CONNECT.
    connections,
    /// Connections that were refused: no CONNECT in time, not let in, too many.
    connections_refused,
    /// Connections that ended for a breach of the protocol or a limit.
    connections_broken,
    /// Sessions, connected or not.
    sessions_now,
    /// Sessions that another connection took over.
    sessions_taken_over,
    /// Subscriptions.
    subscriptions_now,
    /// Messages received with QoS 0.
    publishes_qos0,
    /// Messages received with QoS 1.
    publishes_qos1,
    /// Messages received with QoS 2; one that came again counts once.
    publishes_qos2,
    /// Messages that came again and were recognised: acknowledged, not written again.
    publishes_repeated,
    /// Messages that the log has, or that routes drop on purpose.
    publishes_taken,
    /// Messages refused for good: no route, wrong payload, not allowed, not for this log.
    publishes_refused,
    /// Messages whose outcome the log could not tell; their connection was closed without an acknowledgement.
    publishes_unknown,
    /// Messages with QoS 0 that the log did not take.
    publishes_dropped,
    /// Retained messages dropped because the file says so.
    retained_dropped,
    /// Bytes read.
    bytes_in,
    /// Bytes written.
    bytes_out,
    /// Messages sent to subscribers.
    deliveries,
    /// Messages dropped for a subscriber that does not read, or is away: QoS 0, expired, too large for it, or beyond its queue.
    deliveries_dropped,
    /// Retained messages that are kept.
    retained_now,
    /// Will messages that were published.
    wills,
    /// Bytes that wait for subscribers.
    queued_bytes_now,
}

pub(super) fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

pub(super) fn less(counter: &AtomicU64, by: usize) {
    counter.fetch_sub(by as u64, Ordering::Relaxed);
}
