//! What waits for a subscriber, and what it has not acknowledged.
//!
//! A message is queued only after the log has it. The queue is bounded in messages and bytes; both count until a message is sent
//! (QoS 0) or acknowledged. Messages of QoS 1 and 2 keep their packet id until the client has answered, also over connections, and are
//! sent again in their order before anything new. Retained messages are not queued but fetched as the client reads, so a subscription
//! to a hundred thousand topics costs no memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_proto::v5::PublishProperties;
use mqtt_proto::{QoS, TopicName};

use super::wire::{Outgoing, Wire};

/// Bytes that are put together for one write; also how far a client's reading may lag behind before nothing more is put together.
const WRITE: usize = 64 << 10;

/// What every queued message is taken to cost beside its bytes.
const OVERHEAD: usize = 128;

/// A message, as it was published.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) topic: TopicName,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Its properties that go on to subscribers.
    pub(super) properties: PublishProperties,
    /// When it expires, in milliseconds since 1970.
    pub(super) expires_at: Option<i64>,
    /// The client that sent it.
    pub(super) from: Arc<str>,
}

impl Publication {
    /// What it is taken to cost in memory.
    pub(super) fn size(&self) -> usize {
        let user = self.properties.user_properties.iter().map(|one| one.name.len() + one.value.len() + 64);
        OVERHEAD + self.topic.len() + self.payload.len() + user.sum::<usize>()
    }
}

/// A message for one subscriber.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) publication: Arc<Publication>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) id: Option<u32>,
}

/// Retained messages that a new subscription still has to get.
#[derive(Debug)]
pub(super) struct CatchUp {
    pub(super) filter: String,
    pub(super) qos: QoS,
    pub(super) id: Option<u32>,
    pub(super) after: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Published,
    Released,
}

#[derive(Debug)]
struct InFlight {
    pid: u16,
    stage: Stage,
    queued: Queued,
    /// Whether it was sent on this connection.
    sent: bool,
    /// Whether it was sent on any.
    tried: bool,
}

/// What an answer of the client meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It fits what was sent; so many bytes wait no more.
    Known(usize),
    /// Nothing was sent with this packet id that it could answer.
    Unknown,
}

/// What was dropped and sent while a write was put together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) messages: usize,
    pub(super) dropped: usize,
    /// Bytes that wait no more.
    pub(super) freed: usize,
}

/// What waits for one client.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Queued>,
    in_flight: VecDeque<InFlight>,
    pub(super) catch_up: VecDeque<CatchUp>,
    /// Bytes of queue and flight.
    pub(super) bytes: usize,
    last_pid: u16,
    /// How many messages the client takes without an acknowledgement.
    window: usize,
    resend: bool,
}

impl Outbox {
    /// A new connection: all that is unacknowledged goes again.
    pub(super) fn begin(&mut self, window: u16) {
        self.window = usize::from(window);
        self.resend = !self.in_flight.is_empty();
        for one in &mut self.in_flight {
            one.sent = false;
        }
    }

    /// The connection is gone: QoS 0 and what was to be fetched is not kept. Answers how many bytes wait no more.
    pub(super) fn park(&mut self) -> usize {
        let before = self.bytes;
        let bytes = &mut self.bytes;
        self.queue.retain(|queued| {
            let keep = queued.qos != QoS::Level0;
            if !keep {
                *bytes = bytes.saturating_sub(queued.publication.size());
            }
            keep
        });
        self.catch_up.clear();
        before - self.bytes
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, queued: Queued) {
        self.bytes += queued.publication.size();
        self.queue.push_back(queued);
    }

    pub(super) fn puback(&mut self, pid: u16) -> Answer {
        self.settle(pid, |one| one.queued.qos == QoS::Level1)
    }

    pub(super) fn pubcomp(&mut self, pid: u16) -> Answer {
        self.settle(pid, |one| one.stage == Stage::Released)
    }

    /// A PUBREC: a refusal ends the message, anything else awaits PUBREL and PUBCOMP.
    pub(super) fn pubrec(&mut self, pid: u16, refused: bool) -> Answer {
        if refused {
            return self.settle(pid, |one| one.queued.qos == QoS::Level2 && one.stage == Stage::Published);
        }
        match self.in_flight.iter_mut().find(|one| one.pid == pid && one.queued.qos == QoS::Level2) {
            Some(one) => {
                one.stage = Stage::Released;
                Answer::Known(0)
            }
            None => Answer::Unknown,
        }
    }

    fn settle(&mut self, pid: u16, fits: impl Fn(&InFlight) -> bool) -> Answer {
        let at = self.in_flight.iter().position(|one| one.pid == pid && one.sent && fits(one));
        let Some(one) = at.and_then(|at| self.in_flight.remove(at)) else { return Answer::Unknown };
        let size = one.queued.publication.size();
        self.bytes = self.bytes.saturating_sub(size);
        Answer::Known(size)
    }

    /// Puts together what may be sent now, behind what `out` holds already.
    pub(super) fn write(&mut self, wire: &Wire, out: &mut Vec<u8>, now: i64) -> Sent {
        let mut sent = Sent::default();
        if self.resend {
            self.write_again(wire, out, now, &mut sent);
        }
        while out.len() < WRITE && !self.resend {
            let Some(queued) = self.queue.front() else { break };
            if queued.qos != QoS::Level0 && self.in_flight.len() >= self.window {
                break;
            }
            let Some(queued) = self.queue.pop_front() else { break };
            self.write_one(wire, out, now, queued, &mut sent);
        }
        self.bytes = self.bytes.saturating_sub(sent.freed);
        sent
    }

    /// Whether a message that is not queued could go out at once.
    pub(super) fn has_room(&self, out: &[u8]) -> bool {
        out.len() < WRITE && self.queue.is_empty() && !self.resend && self.in_flight.len() < self.window
    }

    /// Sends a message that waits in no queue.
    pub(super) fn write_now(&mut self, wire: &Wire, out: &mut Vec<u8>, now: i64, queued: Queued) -> Sent {
        self.bytes += queued.publication.size();
        let mut sent = Sent::default();
        self.write_one(wire, out, now, queued, &mut sent);
        self.bytes = self.bytes.saturating_sub(sent.freed);
        sent
    }

    fn write_again(&mut self, wire: &Wire, out: &mut Vec<u8>, now: i64, sent: &mut Sent) {
        let mut window = self.window.saturating_sub(self.in_flight.iter().filter(|one| one.sent).count());
        let mut at = 0;
        while let Some(one) = self.in_flight.get_mut(at) {
            at += 1;
            if one.sent {
                continue;
            }
            if window == 0 || out.len() >= WRITE {
                return;
            }
            window -= 1;
            one.sent = true;
            if one.stage == Stage::Released {
                wire.pubrel(out, one.pid, true);
                continue;
            }
            let dup = std::mem::replace(&mut one.tried, true);
            // A message that has expired since is still owed: the client may have it.
            let expiry = remaining(&one.queued.publication, now).unwrap_or(Some(1));
            if wire.publish(out, &outgoing(&one.queued, one.pid, dup, expiry)) {
                sent.messages += 1;
                continue;
            }
            // The client takes smaller packets than before: to it the message was never sent.
            at -= 1;
            window += 1;
            if let Some(one) = self.in_flight.remove(at) {
                sent.dropped += 1;
                sent.freed += one.queued.publication.size();
            }
        }
        self.resend = false;
    }

    fn write_one(&mut self, wire: &Wire, out: &mut Vec<u8>, now: i64, queued: Queued, sent: &mut Sent) {
        let size = queued.publication.size();
        let Some(expiry) = remaining(&queued.publication, now) else {
            sent.dropped += 1;
            sent.freed += size;
            return;
        };
        let pid = if queued.qos == QoS::Level0 { 0 } else { self.next_pid() };
        if !wire.publish(out, &outgoing(&queued, pid, false, expiry)) {
            sent.dropped += 1;
            sent.freed += size;
            return;
        }
        sent.messages += 1;
        if queued.qos == QoS::Level0 {
            sent.freed += size;
        } else {
            self.in_flight.push_back(InFlight {
                pid,
                stage: Stage::Published,
                queued,
                sent: true,
                tried: true,
            });
        }
    }

    fn next_pid(&mut self) -> u16 {
        loop {
            self.last_pid = self.last_pid.checked_add(1).unwrap_or(1);
            // Ends: the window leaves ids free.
            if !self.in_flight.iter().any(|one| one.pid == self.last_pid) {
                return self.last_pid;
            }
        }
    }
}

fn outgoing(queued: &Queued, pid: u16, dup: bool, expiry: Option<u32>) -> Outgoing<'_> {
    Outgoing {
        topic: &queued.publication.topic,
        payload: &queued.publication.payload,
        qos: queued.qos,
        pid,
        dup,
        retain: queued.retain,
        properties: &queued.publication.properties,
        id: queued.id,
        expiry,
    }
}

/// Seconds that a message still has, `Some(None)` if it does not expire; none if it has expired.
fn remaining(publication: &Publication, now: i64) -> Option<Option<u32>> {
    let Some(at) = publication.expires_at else { return Some(None) };
    let left = at.saturating_sub(now);
    (left > 0).then(|| Some(u32::try_from((left + 999) / 1000).unwrap_or(u32::MAX)))
}
