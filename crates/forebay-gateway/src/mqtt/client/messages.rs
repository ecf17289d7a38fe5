//! Messages of the broker: in, and what is answered for each once its outcome is known. The rules are those of the end point's `publisher.rs`,
//! seen from the other side.

use std::sync::atomic::Ordering;

use futures::FutureExt;
use mqtt_proto::{QoS, TopicName, v5};
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{End, Link};
use crate::mqtt::counters::add;
use crate::mqtt::intake::{Judged, Pending, Step, Verdict, more_than_one};
use crate::mqtt::session::Stage;
use crate::mqtt::wire::{Outgoing, Skimmed, Version, code};
use crate::{Command, Message, Record, Routed};

impl<S: AsyncRead + AsyncWrite + Unpin> Link<'_, S> {
    pub(super) fn publish(&mut self, publish: v5::Publish) {
        let (qos, pid) = (publish.qos_pid.qos(), publish.qos_pid.pid().map_or(0, |pid| pid.value()));
        if self.is_repeat(Skimmed { qos, pid, dup: publish.dup }) {
            return;
        }
        self.client.counters.message(qos);
        let mut judged = self.judge(publish);
        for command in self.tools.routes.commands() {
            self.say(&command);
        }
        let records = std::mem::take(&mut judged.records);
        self.intake.add(Pending::new(qos, pid, &mut judged, None), records);
    }

    /// A message that is answered without a look at it.
    pub(super) fn refused(&mut self, skimmed: Skimmed, reason: u8, why: &str) {
        if self.is_repeat(skimmed) {
            return;
        }
        self.client.counters.message(skimmed.qos);
        let verdict = Verdict::Refused(reason, why.to_owned());
        let mut judged = Judged { topic: None, records: Vec::new(), verdict, publication: None, size: 64 };
        self.intake.add(Pending::new(skimmed.qos, skimmed.pid, &mut judged, None), Vec::new());
    }

    /// Whether a message is one that the log has, or that is on its way there; then it is answered, and not written again.
    fn is_repeat(&mut self, message: Skimmed) -> bool {
        let pid = message.pid;
        let answer = match message.qos {
            QoS::Level0 => return false,
            // An id that comes without DUP stands for another message.
            QoS::Level1 if !(self.inbound.unacknowledged.remove(&pid) && message.dup) => return false,
            QoS::Level1 => true,
            // The id alone tells: until its PUBREL nothing else may have it.
            QoS::Level2 => match self.inbound.exactly.get(&pid) {
                None => {
                    self.inbound.exactly.insert(pid, Stage::UnderWay);
                    return false;
                }
                Some(stage) => *stage == Stage::Received,
            },
        };
        add(&self.client.counters.repeated, 1);
        if answer {
            self.intake.add(Pending::answered(message.qos, pid, Verdict::Taken), Vec::new());
        }
        true
    }

    fn judge(&self, publish: v5::Publish) -> Judged {
        let size = 256 + publish.topic_name.len() + publish.payload.len();
        let judged = |records: Vec<Record>, verdict| {
            let size = size + more_than_one(&records);
            Judged { topic: None, records, verdict, publication: None, size }
        };
        let settings = &self.client.settings;
        // To a client the flag says that the message was there before it subscribed.
        if publish.retain && settings.drops_retained {
            add(&self.client.counters.retained_dropped, 1);
            return judged(Vec::new(), Verdict::Taken);
        }
        let user = &publish.properties.user_properties;
        let properties: Vec<_> =
            user.iter().map(|one| (one.name.to_string(), one.value.to_string())).collect();
        let message = Message {
            topic: &publish.topic_name,
            payload: publish.payload.clone(),
            from: &settings.name,
            properties: &properties,
            at: self.tools.clock.now_ms(),
            repeat: publish.dup,
        };
        match self.tools.routes.route(&message) {
            Routed::Records(records) => judged(records, Verdict::Taken),
            Routed::Nowhere => {
                let why = format!("no route takes the topic `{}`", &*publish.topic_name);
                judged(Vec::new(), Verdict::Refused(code::TOPIC_INVALID, why))
            }
            Routed::Wrong(error) => {
                judged(Vec::new(), Verdict::Refused(code::PAYLOAD_FORMAT, error.to_string()))
            }
        }
    }

    /// Publishes a command with QoS 0.
    fn say(&mut self, command: &Command) {
        let Ok(topic) = TopicName::try_from(command.topic.as_str()) else { return };
        let outgoing = Outgoing {
            topic: &topic,
            payload: &command.payload,
            qos: QoS::Level0,
            pid: 0,
            dup: false,
            retain: false,
            properties: &v5::PublishProperties::default(),
            id: None,
            expiry: None,
        };
        self.wire.publish(&mut self.stream.output, &outgoing);
        add(&self.client.counters.commands, 1);
    }

    /// Takes the outcome of a message, and of those behind it that have one too.
    pub(super) fn step(&mut self, step: Step) -> Result<(), End> {
        let mut next = Some(step);
        while let Some(step) = next {
            if let Step::Outcome(pending, verdict) = step {
                self.outcome(&pending, verdict)?;
            }
            next = std::future::poll_fn(|context| self.intake.poll_next(context)).now_or_never();
        }
        Ok(())
    }

    fn outcome(&mut self, pending: &Pending, verdict: Verdict) -> Result<(), End> {
        self.note(pending, &verdict);
        let reason = match verdict {
            Verdict::Unknown(_) if pending.qos == QoS::Level0 => return Ok(()),
            Verdict::Unknown(why) => return Err(End::Unsure(why)),
            Verdict::Refused(reason, _) if self.wire.version == Version::V5 => reason,
            // 3.1.1 has no way to refuse: a broker would send the message for ever.
            Verdict::Taken | Verdict::Refused(..) => code::SUCCESS,
        };
        let out = &mut self.stream.output;
        match pending.qos {
            QoS::Level0 => {}
            QoS::Level1 => self.wire.puback(out, pending.pid, reason, None),
            QoS::Level2 => self.wire.pubrec(out, pending.pid, reason, None),
        }
        Ok(())
    }

    /// Counts an outcome, and notes what has to be known of QoS 2.
    fn note(&mut self, pending: &Pending, verdict: &Verdict) {
        if pending.repeat {
            return;
        }
        let counters = &self.client.counters;
        match verdict {
            Verdict::Taken => add(&counters.taken, 1),
            Verdict::Refused(reason, why) => {
                let name = &self.client.settings.name;
                if counters.refused.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(gateway = %name, reason, why, "a message of the broker was refused and is gone; others are counted");
                } else {
                    tracing::debug!(gateway = %name, reason, why, "a message was refused");
                }
            }
            Verdict::Unknown(_) if pending.qos == QoS::Level0 => add(&counters.dropped, 1),
            Verdict::Unknown(_) => {}
        }
        if pending.qos == QoS::Level2 {
            let answered_as_taken = *verdict == Verdict::Taken
                || (matches!(verdict, Verdict::Refused(..)) && self.wire.version == Version::V3);
            if answered_as_taken {
                self.inbound.exactly.insert(pending.pid, Stage::Received);
            } else {
                self.inbound.exactly.remove(&pending.pid);
            }
        }
    }

    /// After the end: waits for the outcome of everything that the log was given. What stands behind a message of which the log could not
    /// tell (`is_unsure`) comes again behind it and is written again, so that the last of a device is the last in the log.
    pub(super) async fn settle(&mut self, mut is_unsure: bool) {
        self.intake.submit(&self.tools.log);
        while self.intake.len() > 0 {
            match std::future::poll_fn(|context| self.intake.poll_next(context)).await {
                Step::Submitted => self.intake.submit(&self.tools.log),
                Step::Outcome(pending, verdict) => {
                    self.note(&pending, &verdict);
                    // Its PUBACK will not leave any more.
                    is_unsure |= matches!(verdict, Verdict::Unknown(_)) && pending.qos != QoS::Level0;
                    if pending.qos == QoS::Level1 && verdict == Verdict::Taken && !is_unsure {
                        self.inbound.unacknowledged.insert(pending.pid);
                    }
                }
            }
        }
    }
}
