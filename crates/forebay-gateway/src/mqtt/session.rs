//! A session: what is remembered of a client beyond its connection.
//!
//! Inbound: the packet ids whose messages the log has while the client does not know it yet. They are what makes QoS 2 exactly once,
//! and a repeat of QoS 1 recognisable: an id is in here only while the client may not use it for anything else, so what comes with
//! it is the same message. Outbound: what waits for the client and what it has not acknowledged, in order.
//!
//! One connection at a time has a session; `number` says which. It takes `Inbound` with it and gives it back when everything that
//! it sent to the log has an outcome, so the next connection finds the truth.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mqtt_proto::TopicFilter;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::outbox::Outbox;
use super::wire::Will;
use crate::Identity;

/// Where a message with QoS 2 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// On its way to the log; its PUBREC is to come.
    UnderWay,
    /// In the log, or refused and answered as 3.1.1 wants it: its PUBREC may have been sent, its PUBREL is to come.
    Received,
}

/// What is remembered of what a client sent.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// QoS 2, from its PUBLISH to its PUBREL.
    pub(super) exactly: HashMap<u16, Stage>,
    /// QoS 1: in the log, and its PUBACK was never sent.
    pub(super) unacknowledged: HashSet<u16>,
}

/// A session.
pub(super) struct Session {
    pub(super) client: Arc<str>,
    /// Who began it; nobody else may go on with it.
    pub(super) who: Identity,
    /// Wakes the connection: something waits for the client, or it has to go.
    pub(super) wake: Notify,
    /// Wakes connections that wait for this one to leave.
    pub(super) released: Notify,
    connected: AtomicBool,
    state: Mutex<State>,
}

/// What of a session changes.
#[derive(Default)]
pub(super) struct State {
    /// The connection that has it; 0: none.
    pub(super) number: u64,
    /// The connection has to go, and why.
    pub(super) leave: Option<(u8, &'static str)>,
    /// It is over; nothing may be added.
    pub(super) ended: bool,
    /// When it ends if nobody comes back, in milliseconds since 1970.
    pub(super) ends_at: Option<i64>,
    pub(super) filters: HashSet<TopicFilter>,
    pub(super) inbound: Inbound,
    pub(super) outbox: Outbox,
    pub(super) will: Option<Will>,
    /// When the will of a client that is gone is published.
    pub(super) will_at: Option<i64>,
}

impl Session {
    pub(super) fn new(client: Arc<str>, who: Identity) -> Arc<Self> {
        Arc::new(Self {
            client,
            who,
            wake: Notify::new(),
            released: Notify::new(),
            connected: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Whether somebody is there. May be out of date at once; for choices that may be wrong.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Notes who has it; 0: nobody.
    pub(super) fn belongs_to(&self, state: &mut State, number: u64) {
        state.number = number;
        state.leave = None;
        self.connected.store(number != 0, Ordering::Relaxed);
    }

    /// Tells the connection that it has to go; the first reason counts.
    pub(super) fn dismiss(&self, state: &mut State, code: u8, why: &'static str) {
        if state.number != 0 && state.leave.is_none() {
            state.leave = Some((code, why));
            self.wake.notify_one();
        }
    }
}
