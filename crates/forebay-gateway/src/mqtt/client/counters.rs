//! What the client counts.

use std::sync::atomic::{AtomicU64, Ordering};

use mqtt_proto::QoS;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) sessions_lost: AtomicU64,
    pub(super) messages: [AtomicU64; 3],
    pub(super) repeated: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) retained_dropped: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

impl Counters {
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn session_lost(&self) {
        self.sessions_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unsure(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn message(&self, qos: QoS) {
        if let Some(count) = self.messages.get(qos as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Each by its name, which never changes.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        let [qos0, qos1, qos2] = &self.messages;
        let all = [
            ("connections", &self.connections),
            ("sessions_lost", &self.sessions_lost),
            ("messages_qos0", qos0),
            ("messages_qos1", qos1),
            ("messages_qos2", qos2),
            ("repeated", &self.repeated),
            ("taken", &self.taken),
            ("refused", &self.refused),
            ("too_large", &self.too_large),
            ("unknown", &self.unknown),
            ("dropped", &self.dropped),
            ("retained_dropped", &self.retained_dropped),
            ("commands", &self.commands),
            ("bytes_in", &self.bytes_in),
            ("bytes_out", &self.bytes_out),
        ];
        all.into_iter().map(|(what, count)| (what, count.load(Ordering::Relaxed))).collect()
    }
}
