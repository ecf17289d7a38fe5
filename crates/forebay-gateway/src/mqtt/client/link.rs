//! One connection to the broker, once it has let us in: one task, no channel.
//!
//! Whole packets are handled while there is room, what they bring goes to the log as one batch, and then it waits for whatever comes first.
//! "Room" is how a slow log slows the broker: at most `receive_maximum` messages are on their way (5.0's brokers send no more, of
//! others no more is read), and without room nothing is read.
//!
//! When the connection ends, whatever the reason, the task goes on until all that was handed to the log has an outcome.

use std::io;
use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use mqtt_proto::QoS;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::greet::Greeted;
use super::{Client, Tools};
use crate::mqtt::counters::add;
use crate::mqtt::intake::Intake;
use crate::mqtt::session::{Inbound, Stage};
use crate::mqtt::stream::{Event, Stream};
use crate::mqtt::wire::{Cut, FromBroker, Skimmed, Violation, Wire, code, cut, decode_from_broker, skim};

/// Acknowledgements that may wait for a broker that does not read, in bytes, before nothing more is read from it.
const BACKLOG: usize = 128 << 10;
/// How long the last acknowledgements may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// The packet id of the one SUBSCRIBE of a connection.
const SUBSCRIBE: u16 = 1;

/// Why a connection ended.
pub(super) enum End {
    /// It could not be made, broke, or the broker broke the protocol.
    Gone(Error),
    /// We took leave.
    Left,
    /// The log could not say that it has a message.
    Unsure(String),
    /// The broker said so: its reason code, and its words.
    Sent(u8, String),
}

/// See the module.
pub(super) struct Link<'c, S> {
    pub(super) client: &'c Client,
    pub(super) tools: &'c Tools,
    pub(super) stream: Stream<S>,
    pub(super) wire: Wire,
    pub(super) intake: Intake,
    pub(super) inbound: Inbound,
    keep_alive: Duration,
    /// When the broker was heard last.
    heard: Instant,
    /// Bytes that still come of a packet that is too large.
    skipping: usize,
    is_subscribed: bool,
    /// Nothing more is read.
    is_closing: bool,
}

impl<'c, S: AsyncRead + AsyncWrite + Unpin> Link<'c, S> {
    pub(super) fn new(
        client: &'c Client,
        tools: &'c Tools,
        stream: Stream<S>,
        greeted: Greeted,
        inbound: Inbound,
    ) -> Self {
        Self {
            client,
            tools,
            stream,
            wire: greeted.wire,
            intake: Intake::default(),
            inbound,
            keep_alive: greeted.keep_alive,
            heard: Instant::now(),
            skipping: 0,
            is_subscribed: false,
            is_closing: false,
        }
    }

    /// Serves it to its end. Answers why it ended, what is known of messages whose acknowledgement did not leave, and whether the
    /// broker has taken the subscriptions.
    pub(super) async fn run(mut self, subscribes: bool, stop: &CancellationToken) -> (End, Inbound, bool) {
        let settings = &self.client.settings;
        if subscribes {
            let retained = !settings.drops_retained;
            let qos = QoS::from_u8(settings.qos).unwrap_or(QoS::Level1);
            self.wire.subscribe(&mut self.stream.output, SUBSCRIBE, &settings.filters, qos, retained);
        } else {
            self.stands(None);
        }
        let end = self.serve(stop).await;
        if matches!(end, End::Left) {
            self.wire.leave(&mut self.stream.output);
        }
        if !matches!(end, End::Gone(_)) {
            drop(timeout(FAREWELL, self.stream.close()).await);
        }
        self.stream.input.clear();
        self.settle(matches!(end, End::Unsure(_))).await;
        (end, self.inbound, self.is_subscribed)
    }

    async fn serve(&mut self, stop: &CancellationToken) -> End {
        // Twice in a keep-alive, so that one answer may be late.
        let beat = (self.keep_alive / 2).max(Duration::from_millis(500));
        let timer = tokio::time::sleep(beat);
        tokio::pin!(timer);
        loop {
            if !self.is_closing
                && let Err(end) = self.digest()
            {
                return end;
            }
            if self.is_closing && self.intake.len() == 0 {
                return End::Left;
            }
            let may_read = !self.is_closing && self.has_room();
            let step = tokio::select! {
                biased;
                step = std::future::poll_fn(|context| self.intake.poll_next(context)) => self.step(step),
                () = stop.cancelled(), if !self.is_closing => {
                    self.is_closing = true;
                    self.intake.submit(&self.tools.log);
                    Ok(())
                }
                event = self.stream.event(may_read) => self.event(event),
                () = timer.as_mut() => self.beat(may_read, timer.as_mut(), beat),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Whether another message may be taken.
    fn has_room(&self) -> bool {
        let settings = &self.client.settings;
        !self.intake.is_submitting()
            && self.intake.len() < usize::from(settings.receive_maximum)
            && self.intake.bytes() < settings.under_way_bytes
            && self.stream.backlog() < BACKLOG
    }

    fn event(&mut self, event: io::Result<Event>) -> Result<(), End> {
        let counters = &self.client.counters;
        match event {
            Ok(Event::Read(0)) => return Err(End::Gone(self.client.away("it closed the connection"))),
            Ok(Event::Read(bytes)) => {
                self.heard = Instant::now();
                add(&counters.bytes_in, bytes);
            }
            Ok(Event::Wrote(bytes)) => add(&counters.bytes_out, bytes),
            Err(error) => return Err(End::Gone(self.client.away("the connection broke").with_detail(error))),
        }
        Ok(())
    }

    /// Asks whether the broker is there; it is asked also while nothing is read, so that it keeps the connection.
    fn beat(&mut self, may_read: bool, timer: std::pin::Pin<&mut Sleep>, beat: Duration) -> Result<(), End> {
        let now = Instant::now();
        if !may_read {
            self.heard = now;
        } else if now.duration_since(self.heard) >= self.keep_alive {
            return Err(End::Gone(self.client.away("nothing was heard of it for a whole keep-alive")));
        }
        if self.stream.backlog() < BACKLOG {
            self.wire.pingreq(&mut self.stream.output);
        }
        timer.reset(now + beat);
        Ok(())
    }

    /// Handles whole packets as far as there is room, and hands what they bring to the log.
    fn digest(&mut self) -> Result<(), End> {
        let result = loop {
            if !self.has_room() {
                break Ok(());
            }
            match self.next() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(end) => break Err(end),
            }
        };
        // Also what came before a breach is the log's.
        self.intake.submit(&self.tools.log);
        result
    }

    /// Handles the next packet; false if it has not arrived.
    fn next(&mut self) -> Result<bool, End> {
        if self.skipping > 0 {
            let here = self.skipping.min(self.stream.input.len());
            self.stream.consume(here);
            self.skipping -= here;
            if self.skipping > 0 {
                return Ok(false);
            }
        }
        let broken = |violation: Violation| self.broken(&violation);
        let (header, total) = match cut(&self.stream.input, u32::MAX).map_err(broken)? {
            Cut::Header => return Ok(false),
            Cut::Needs(total) => (mqtt_proto::header_len(total), total),
            Cut::Whole(header, total) => (header, total),
        };
        let first = self.stream.input.first().copied().unwrap_or_default();
        if total > usize::try_from(self.client.settings.max_packet).unwrap_or(usize::MAX) {
            return self.too_large(first, header, total);
        }
        let Some(body) = self.stream.input.get(header..total) else { return Ok(false) };
        let packet = decode_from_broker(self.wire.version, first, body);
        let packet = match (packet, first >> 4 == 3) {
            (Ok(packet), _) => packet,
            (Err(violation), true) => {
                let skimmed = skim(first, body);
                self.stream.consume(total);
                let skimmed = skimmed.map_err(|violation| self.broken(&violation))?;
                self.refuse(skimmed, &violation)?;
                return Ok(true);
            }
            (Err(violation), false) => return Err(self.broken(&violation)),
        };
        self.stream.consume(total);
        self.packet(packet)?;
        Ok(true)
    }

    /// A packet that is not kept: a message is refused as soon as its id is there, and the rest of it passed over.
    fn too_large(&mut self, first: u8, header: usize, total: usize) -> Result<bool, End> {
        let max = self.client.settings.max_packet;
        let violation =
            Violation::new(code::TOO_LARGE, format!("a packet of {total} bytes, `maxPacketSize` is {max}"));
        let body = self.stream.input.get(header..).unwrap_or_default();
        if first >> 4 != 3 {
            return Err(self.broken(&violation));
        }
        let skimmed = skim(first, body).map_err(|violation| self.broken(&violation))?;
        if skimmed.is_none() {
            return Ok(false);
        }
        self.skipping = total;
        add(&self.client.counters.too_large, 1);
        self.refuse(skimmed, &violation)?;
        Ok(true)
    }

    fn refuse(&mut self, skimmed: Option<Skimmed>, violation: &Violation) -> Result<(), End> {
        let Some(skimmed) = skimmed else { return Err(self.broken(violation)) };
        self.refused(skimmed, violation.code, &violation.why);
        Ok(())
    }

    fn broken(&self, violation: &Violation) -> End {
        End::Gone(self.client.away("it broke the protocol").with_detail(&violation.why))
    }

    fn packet(&mut self, packet: FromBroker) -> Result<(), End> {
        match packet {
            FromBroker::Publish(publish) => self.publish(*publish),
            FromBroker::Pubrel { pid } => {
                // One whose PUBREC is still to come stays: its message may not be in the log.
                let known = self.inbound.exactly.get(&pid) == Some(&Stage::Received);
                if known {
                    self.inbound.exactly.remove(&pid);
                }
                self.wire.pubcomp(&mut self.stream.output, pid, known);
            }
            FromBroker::Suback { pid: SUBSCRIBE, codes } => self.subscribed(&codes)?,
            FromBroker::Pingresp => {}
            FromBroker::Disconnect { code, why } => return Err(End::Sent(code, why)),
            FromBroker::Suback { .. } | FromBroker::Connack(_) | FromBroker::Puback { .. } => {
                let violation = Violation::new(code::PROTOCOL, "an answer to what was not asked");
                return Err(self.broken(&violation));
            }
        }
        Ok(())
    }

    /// What the broker says to each filter. It is enough if it takes one: what is refused is told and stays so until somebody acts.
    fn subscribed(&mut self, codes: &[u8]) -> Result<(), End> {
        let settings = &self.client.settings;
        let answers = settings.filters.iter().zip(codes.iter().chain(std::iter::repeat(&0x80)));
        let refused: Vec<String> = answers
            .clone()
            .filter(|(_, code)| **code > 2)
            .map(|(filter, code)| format!("`{filter}` ({code:#04x})"))
            .collect();
        let error = |message: String, hint: &str| {
            Error::new(&codes::GATEWAY_REFUSED, format!("broker {}: {message}", settings.server))
                .with_hint(hint)
        };
        let mut problem = None;
        if !refused.is_empty() {
            let message = format!("it does not let us subscribe to {}", refused.join(", "));
            let hint = "May the user read these topics there, and does the broker know shared subscriptions?";
            let error = error(message, hint);
            if refused.len() == settings.filters.len() {
                return Err(End::Gone(error));
            }
            tracing::error!(gateway = %settings.name, %error, "a subscription was refused");
            problem = Some(error);
        } else if answers.clone().any(|(_, code)| *code == 0 && settings.qos > 0) {
            let message = "it grants QoS 0 only, which it may drop".to_owned();
            problem = Some(error(
                message,
                "Look at what the broker allows this user; or say `qos: 0` if that is meant.",
            ));
        }
        self.is_subscribed = true;
        self.stands(problem);
        Ok(())
    }

    fn stands(&self, problem: Option<Error>) {
        let (name, server) = (&self.client.settings.name, &self.client.settings.server);
        if self.client.standing.up(self.tools.clock.now_ms(), problem) {
            tracing::info!(gateway = %name, broker = %server, "connected to the broker");
        }
    }
}
