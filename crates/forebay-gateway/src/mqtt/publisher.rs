//! The publisher's side of a connection: messages in, and what is answered for each once its outcome is known.

use std::time::Duration;

use forebay_storage::kill_point;
use futures::FutureExt;
use mqtt_proto::{QoS, v5};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::{Connection, End};
use super::counters::add;
use super::intake::{self, Pending, Step, Verdict};
use super::refusals;
use super::session::Stage;
use super::topic;
use super::wire::{self, Version, Violation, code};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn publish(
        &mut self,
        mut publish: v5::Publish,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Violation> {
        let options = &self.broker.options;
        wire::resolve_alias(&mut publish, &mut self.aliases, options.topic_aliases)?;
        if !topic::name_is_good(&publish.topic_name, options.topic_levels) {
            return Err(Violation::new(code::TOPIC_INVALID, "a topic that is empty or too deep"));
        }
        let (qos, pid) = (publish.qos_pid.qos(), publish.qos_pid.pid().map_or(0, |pid| pid.value()));
        let counters = self.broker.clone();
        let counters = &counters.counters;
        match qos {
            QoS::Level0 => add(&counters.publishes_qos0, 1),
            QoS::Level1 => {
                if self.repeated_once(pid, publish.dup) {
                    return Ok(());
                }
                add(&counters.publishes_qos1, 1);
            }
            QoS::Level2 => {
                if self.repeated_exactly(pid)? {
                    return Ok(());
                }
                add(&counters.publishes_qos2, 1);
            }
        }
        self.spend();
        let now = self.broker.now();
        let mut judged = intake::judge(&self.broker, &self.who, &self.session.client, publish, now);
        let records = std::mem::take(&mut judged.records);
        self.intake.add(Pending::new(qos, pid, &mut judged, room), records);
        kill_point("gateway.mqtt.received");
        for command in self.broker.routes.commands() {
            self.broker.say(command);
        }
        Ok(())
    }

    /// Whether a message with QoS 1 is one that the log has: it came before, and its PUBACK never left.
    fn repeated_once(&mut self, pid: u16, dup: bool) -> bool {
        if self.wire.version == Version::V5 && self.inbound.exactly.contains_key(&pid) {
            let verdict = Verdict::Refused(code::ID_IN_USE, "the packet id is in use".to_owned());
            self.intake.add(Pending::answered(QoS::Level1, pid, verdict), Vec::new());
            return true;
        }
        let repeated = self.inbound.unacknowledged.remove(&pid) && dup;
        if repeated {
            add(&self.broker.counters.publishes_repeated, 1);
            self.intake.add(Pending::answered(QoS::Level1, pid, Verdict::Taken), Vec::new());
        }
        repeated
    }

    /// Whether a message with QoS 2 came before, by its packet id alone: until its PUBREL nothing else may have it.
    fn repeated_exactly(&mut self, pid: u16) -> Result<bool, Violation> {
        match self.inbound.exactly.get(&pid) {
            Some(Stage::Received) => {
                self.intake.add(Pending::answered(QoS::Level2, pid, Verdict::Taken), Vec::new())
            }
            Some(Stage::UnderWay) => {}
            None => {
                let max = usize::from(self.broker.options.receive_maximum);
                if self.wire.version == Version::V5 && self.inbound.exactly.len() >= max {
                    return Err(Violation::new(
                        code::RECEIVE_MAXIMUM,
                        "more messages without PUBREL than the receive maximum",
                    ));
                }
                self.inbound.exactly.insert(pid, Stage::UnderWay);
                return Ok(false);
            }
        }
        add(&self.broker.counters.publishes_repeated, 1);
        Ok(true)
    }

    /// Takes one publish off the client's rate; it may be that the next has to wait.
    fn spend(&mut self) {
        let Some(rate) = self.broker.options.publish_rate else { return };
        let rate = f64::from(rate.max(1));
        let now = self.heard;
        self.allowance =
            (self.allowance + now.duration_since(self.allowed_at).as_secs_f64() * rate).min(rate) - 1.0;
        self.allowed_at = now;
        if self.allowance < 0.0 {
            self.slowed = Some(now + Duration::from_secs_f64(-self.allowance / rate));
        }
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

    /// Answers one message; see `docs/mqtt.md` for what is answered when.
    fn outcome(&mut self, pending: &Pending, verdict: Verdict) -> Result<(), End> {
        let why = self.note(pending, &verdict);
        let out = &mut self.stream.output;
        let (reason, why) = match (verdict, self.wire.version) {
            (Verdict::Taken, _) => (code::SUCCESS, None),
            // 3.1.1 has no way to refuse: a device would send the message for ever.
            (Verdict::Refused(..), Version::V3) => (code::SUCCESS, None),
            (Verdict::Refused(reason, _), Version::V5) => (reason, why),
            (Verdict::Unknown(_), _) if pending.qos == QoS::Level0 => return Ok(()),
            (Verdict::Unknown(why), _) => {
                return Err(Violation::new(
                    code::BUSY,
                    format!("the log could not say that it has a message: {why}"),
                )
                .into());
            }
        };
        match pending.qos {
            QoS::Level0 => {}
            QoS::Level1 => self.wire.puback(out, pending.pid, reason, why.as_deref()),
            QoS::Level2 => self.wire.pubrec(out, pending.pid, reason, why.as_deref()),
        }
        kill_point("gateway.mqtt.answered");
        Ok(())
    }

    /// Counts an outcome, gives what the log has to subscribers, and notes what the session has to remember. Answers a refusal's reason.
    fn note(&mut self, pending: &Pending, verdict: &Verdict) -> Option<String> {
        if pending.repeat {
            return None;
        }
        let counters = &self.broker.counters;
        let (counter, why) = match verdict {
            Verdict::Taken => (&counters.publishes_taken, None),
            Verdict::Refused(_, why) => (&counters.publishes_refused, Some(why.clone())),
            Verdict::Unknown(_) if pending.qos == QoS::Level0 => (&counters.publishes_dropped, None),
            Verdict::Unknown(_) => (&counters.publishes_unknown, None),
        };
        add(counter, 1);
        if let (Verdict::Taken, Some(publication)) = (verdict, &pending.publication) {
            self.broker.spread(publication);
        }
        if let Verdict::Refused(reason, why) = verdict {
            // By 3.1.1 the device itself is told nothing.
            let topic = pending.topic.as_deref().unwrap_or_default();
            refusals::tell(&self.broker, &self.session, "a message", topic, (*reason, why));
        }
        let answered_as_taken = *verdict == Verdict::Taken
            || (matches!(verdict, Verdict::Refused(..)) && self.wire.version == Version::V3);
        match pending.qos {
            QoS::Level0 | QoS::Level1 => {}
            QoS::Level2 if answered_as_taken => {
                self.inbound.exactly.insert(pending.pid, Stage::Received);
            }
            QoS::Level2 => {
                self.inbound.exactly.remove(&pending.pid);
            }
        }
        why
    }

    /// After the end: waits for the outcome of everything that the log was given, so that the session knows it.
    pub(super) async fn settle(&mut self) {
        self.intake.submit(&self.broker.log);
        while self.intake.len() > 0 {
            match std::future::poll_fn(|context| self.intake.poll_next(context)).await {
                Step::Submitted => self.intake.submit(&self.broker.log),
                Step::Outcome(pending, verdict) => {
                    self.note(&pending, &verdict);
                    // Its PUBACK will not leave any more.
                    if pending.qos == QoS::Level1 && verdict == Verdict::Taken {
                        self.inbound.unacknowledged.insert(pending.pid);
                    }
                }
            }
        }
    }
}
