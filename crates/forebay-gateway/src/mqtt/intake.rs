//! Messages on their way to the log.
//!
//! ```text
//!  PUBLISH ──judge──▶ batch ──submit──▶ pending ──outcome──▶ PUBACK or PUBREC, then subscribers
//!           (access,   (all of one      (in order)
//!            routes)    read)
//! ```
//!
//! What must stay true: outcomes are taken from the front only, so acknowledgements leave in the order in which messages came; a
//! message is acknowledged, kept as retained and given to subscribers only once the log has all records it became. One submit at
//! a time is under way for a connection, so the order in the log is the order of the wire.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt_proto::{QoS, TopicName, v5};
use tokio::sync::OwnedSemaphorePermit;

use super::broker::Broker;
use super::counters::add;
use super::options::Retained;
use super::outbox::Publication;
use super::wire::code;
use crate::{Delivery, Identity, Log, Message, Place, Record, Refusal, Routed};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The log has it, or the file says that it is not wanted.
    Taken,
    /// It will never be taken: MQTT 5's reason code, and why.
    Refused(u8, String),
    /// Nobody knows; it may come again.
    Unknown(String),
}

impl Verdict {
    /// A message is taken if all of its records are; unknown outweighs refused, because a repeat may help.
    pub(super) fn join(&mut self, outcome: Result<Place, Refusal>) {
        match (outcome, &*self) {
            (Ok(_), _) | (Err(Refusal::Never(_)), Self::Unknown(_)) => {}
            (Err(Refusal::Never(error)), _) => *self = Self::Refused(code::IMPLEMENTATION, error.to_string()),
            (Err(Refusal::Unknown(error)), _) => *self = Self::Unknown(error.to_string()),
        }
    }
}

/// A message that was looked at.
pub(super) struct Judged {
    /// Its topic, to be told if it is refused.
    pub(super) topic: Option<TopicName>,
    /// What goes to the log; nothing if the verdict is final.
    pub(super) records: Vec<Record>,
    pub(super) verdict: Verdict,
    /// What goes to subscribers once the log has it.
    pub(super) publication: Option<Arc<Publication>>,
    pub(super) size: usize,
}

/// Looks at a message: may it be published, where does it go.
pub(super) fn judge(
    broker: &Broker,
    who: &Identity,
    client: &Arc<str>,
    publish: v5::Publish,
    now: i64,
) -> Judged {
    let size = 256 + publish.topic_name.len() + publish.payload.len();
    let topic = Some(publish.topic_name.clone());
    let refused = |code, why: String| Judged {
        topic: topic.clone(),
        records: Vec::new(),
        verdict: Verdict::Refused(code, why),
        publication: None,
        size,
    };
    if !broker.access.may_publish(who, client, &publish.topic_name) {
        return refused(code::NOT_AUTHORIZED, "not allowed to publish to this topic".to_owned());
    }
    if publish.retain && broker.options.retained == Retained::Drop {
        add(&broker.counters.retained_dropped, 1);
        return Judged { topic, records: Vec::new(), verdict: Verdict::Taken, publication: None, size };
    }
    let user = &publish.properties.user_properties;
    let properties: Vec<_> = user.iter().map(|one| (one.name.to_string(), one.value.to_string())).collect();
    let message = Message {
        topic: &publish.topic_name,
        payload: publish.payload.clone(),
        from: client,
        properties: &properties,
        at: now,
        repeat: publish.dup,
    };
    let forgets = publish.retain && publish.payload.is_empty() && broker.options.retained == Retained::State;
    let records = match broker.routes.route(&message) {
        Routed::Records(records) => records,
        // The way to say that a topic has no state any more need not be a message that the routes know.
        Routed::Nowhere | Routed::Wrong(_) if forgets => Vec::new(),
        Routed::Nowhere => return refused(code::TOPIC_INVALID, "no route takes this topic".to_owned()),
        Routed::Wrong(error) => return refused(code::PAYLOAD_FORMAT, error.to_string()),
    };
    let size = size + more_than_one(&records);
    let publication = publication(broker, client, publish, now);
    Judged { topic, records, verdict: Verdict::Taken, publication, size }
}

/// The bytes of what a message was turned into, where it is more than the message itself.
pub(super) fn more_than_one(records: &[Record]) -> usize {
    match records {
        [] | [_] => 0,
        many => many.iter().map(|record| 256 + record.value.len()).sum(),
    }
}

/// What subscribers would get; none where nobody could.
fn publication(
    broker: &Broker,
    client: &Arc<str>,
    publish: v5::Publish,
    now: i64,
) -> Option<Arc<Publication>> {
    let keeps = publish.retain && broker.options.retained == Retained::State;
    if !keeps && broker.tree.read().len() == 0 {
        return None;
    }
    let expiry = publish.properties.message_expiry_interval;
    Some(Arc::new(Publication {
        qos: publish.qos_pid.qos(),
        retain: publish.retain,
        topic: publish.topic_name,
        payload: publish.payload,
        expires_at: expiry.map(|seconds| now.saturating_add(i64::from(seconds).saturating_mul(1000))),
        properties: v5::PublishProperties {
            topic_alias: None,
            message_expiry_interval: None,
            ..publish.properties
        },
        from: client.clone(),
    }))
}

/// A message whose outcome is to come.
pub(super) struct Pending {
    pub(super) qos: QoS,
    pub(super) pid: u16,
    pub(super) publication: Option<Arc<Publication>>,
    pub(super) topic: Option<TopicName>,
    /// It is a repeat of one that the log has.
    pub(super) repeat: bool,
    size: usize,
    verdict: Verdict,
    deliveries: Vec<Delivery>,
    first: Option<Delivery>,
    room: Option<OwnedSemaphorePermit>,
}

impl Pending {
    pub(super) fn new(qos: QoS, pid: u16, judged: &mut Judged, room: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            qos,
            pid,
            publication: judged.publication.take(),
            topic: judged.topic.take(),
            repeat: false,
            size: judged.size,
            verdict: std::mem::replace(&mut judged.verdict, Verdict::Taken),
            deliveries: Vec::new(),
            first: None,
            room,
        }
    }

    /// One that needs nothing of the log, in its place in the order.
    pub(super) fn answered(qos: QoS, pid: u16, verdict: Verdict) -> Self {
        let mut judged = Judged { topic: None, records: Vec::new(), verdict, publication: None, size: 64 };
        Self { repeat: true, ..Self::new(qos, pid, &mut judged, None) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(delivery) = &mut self.first {
            let Poll::Ready(outcome) = Pin::new(delivery).poll(context) else { return Poll::Pending };
            self.verdict.join(outcome);
            self.first = None;
        }
        while let Some(delivery) = self.deliveries.last_mut() {
            let Poll::Ready(outcome) = Pin::new(delivery).poll(context) else { return Poll::Pending };
            self.verdict.join(outcome);
            self.deliveries.pop();
        }
        Poll::Ready(())
    }
}

/// What happened to what is under way.
pub(super) enum Step {
    /// The log took the batch; another may be gathered.
    Submitted,
    /// A message has its outcome.
    Outcome(Pending, Verdict),
}

type Submit = Pin<Box<dyn Future<Output = Vec<Delivery>> + Send>>;

/// The messages of one connection that have no outcome yet, in the order in which they came.
#[derive(Default)]
pub(super) struct Intake {
    pending: VecDeque<Pending>,
    /// What this read brought: each with the number of its records.
    batch: Vec<(Pending, usize)>,
    records: Vec<Record>,
    submit: Option<Submit>,
    bytes: usize,
}

impl Intake {
    /// Messages without an outcome.
    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.batch.len()
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the log is still being asked to take the last batch; until it has, no other is begun.
    pub(super) fn is_submitting(&self) -> bool {
        self.submit.is_some()
    }

    pub(super) fn add(&mut self, pending: Pending, records: Vec<Record>) {
        self.bytes += pending.size;
        self.batch.push((pending, records.len()));
        self.records.extend(records);
    }

    /// Hands what was gathered to the log.
    pub(super) fn submit(&mut self, log: &Arc<dyn Log>) {
        if self.submit.is_some() || self.batch.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            self.pending.extend(self.batch.drain(..).map(|(pending, _)| pending));
            return;
        }
        let log = log.clone();
        self.submit = Some(Box::pin(async move { log.submit(records).await }));
    }

    fn submitted(&mut self, deliveries: Vec<Delivery>) {
        let mut deliveries = deliveries.into_iter();
        for (mut pending, count) in self.batch.drain(..) {
            if count > 0 {
                pending.first = deliveries.next();
                pending.deliveries = deliveries.by_ref().take(count - 1).collect();
                if pending.first.is_none() || pending.deliveries.len() + 1 < count {
                    pending.verdict =
                        Verdict::Unknown("the log answered for fewer records than it was given".to_owned());
                }
            }
            self.pending.push_back(pending);
        }
    }

    /// The next thing that happened: there is room for another batch, or the next message in order has its outcome. Stays pending if
    /// nothing is under way. Nothing is lost when it is polled no more.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(submit) = &mut self.submit
            && let Poll::Ready(deliveries) = submit.as_mut().poll(context)
        {
            self.submit = None;
            self.submitted(deliveries);
            return Poll::Ready(Step::Submitted);
        }
        let Some(front) = self.pending.front_mut() else { return Poll::Pending };
        let Poll::Ready(()) = front.poll(context) else { return Poll::Pending };
        let Some(mut pending) = self.pending.pop_front() else { return Poll::Pending };
        self.bytes = self.bytes.saturating_sub(pending.size);
        pending.room = None;
        let verdict = std::mem::replace(&mut pending.verdict, Verdict::Taken);
        Poll::Ready(Step::Outcome(pending, verdict))
    }
}
