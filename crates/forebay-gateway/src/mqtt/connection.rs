//! One connection: one task, no channel, no lock that another connection holds for long.
//!
//! ```text
//!            ┌──────────────── bytes, as long as there is room ◀── client
//!            ▼
//!  packets ─ publishes ─▶ intake ─▶ log
//!     │                     └── outcomes, in order ─▶ acknowledgements ─▶ client
//!     └ the rest: answered at once                     session's outbox ─▶
//! ```
//!
//! The loop handles whole packets while there is room, hands what it gathered to the log as one batch, and waits for whatever comes
//! first. "Room" is how a slow log and a slow reader slow a device: without it nothing more is read, and TCP does the rest.
//!
//! When the connection ends, whatever the reason, the task goes on until all that was handed to the log has an outcome, and notes in
//! the session what the client does not know. Only then another connection can have the session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use forebay_storage::kill_point;
use mqtt_proto::TopicName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::{Instant, Sleep, timeout};

use super::broker::Broker;
use super::counters::add;
use super::handshake::Welcome;
use super::intake::Intake;
use super::outbox::Answer;
use super::session::{Inbound, Session, Stage};
use super::stream::{Event, Stream};
use super::wire::{self, Cut, Packet, Violation, Wire, code};
use crate::Identity;

/// Bytes that may wait for a client that does not read, before nothing more is read from it.
const BACKLOG: usize = 128 << 10;

/// Packets above this size need room of all connections together before they are read.
const LARGE: usize = 64 << 10;

/// How long a client that is sent away may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ends.
pub(super) enum End {
    /// The client closed or is out of reach.
    Gone,
    /// It said so: whether its will is wanted, and a new time for its session.
    Left { will: bool, expiry: Option<u32> },
    /// It is sent away: the reason code of DISCONNECT, and why.
    Sent(Violation),
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Sent(violation)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// A connection whose client was let in.
pub(super) struct Connection<S: AsyncRead + AsyncWrite + Unpin> {
    pub(super) broker: Arc<Broker>,
    pub(super) stream: Stream<S>,
    pub(super) session: Arc<Session>,
    pub(super) who: Identity,
    pub(super) wire: Wire,
    pub(super) inbound: Inbound,
    pub(super) intake: Intake,
    number: u64,
    pub(super) expiry: u32,
    keep_alive: Duration,
    pub(super) aliases: Vec<Option<TopicName>>,
    /// The end of the last whole packet.
    pub(super) heard: Instant,
    /// When the packet began that is not whole yet.
    began: Option<Instant>,
    /// The client's publishes are slowed until then.
    pub(super) slowed: Option<Instant>,
    pub(super) allowance: f64,
    pub(super) allowed_at: Instant,
    /// KiB of room that the next packet needs, and the room once it is there.
    needs: u32,
    room: Option<OwnedSemaphorePermit>,
    /// No more is read; it ends when all is answered.
    closing: bool,
    /// The session was given back.
    left: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(broker: Arc<Broker>, stream: Stream<S>, welcome: Welcome) -> Self {
        let now = Instant::now();
        Self {
            stream,
            session: welcome.opened.session,
            who: welcome.who,
            wire: welcome.wire,
            inbound: welcome.opened.inbound,
            intake: Intake::default(),
            number: welcome.opened.number,
            expiry: welcome.opened.expiry,
            keep_alive: Duration::from_millis(u64::from(welcome.keep_alive) * 1500),
            aliases: Vec::new(),
            heard: now,
            began: None,
            slowed: None,
            allowance: 1.0,
            allowed_at: now,
            needs: 0,
            room: None,
            closing: false,
            left: false,
            broker,
        }
    }

    /// Serves the client until one of the two ends it, then settles what is under way.
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        let will = match &end {
            End::Gone => true,
            End::Left { will, expiry } => {
                // A session that was to end with its connection may not be made to outlive it.
                if let Some(expiry) = expiry
                    && self.expiry != 0
                {
                    self.expiry = (*expiry).min(self.broker.options.max_session_expiry);
                }
                *will
            }
            End::Sent(violation) => {
                self.farewell(violation).await;
                true
            }
        };
        drop(timeout(FAREWELL, self.stream.close()).await);
        self.stream.input.clear();
        self.settle().await;
        self.leave(will);
    }

    fn leave(&mut self, will: bool) {
        self.left = true;
        let inbound = std::mem::take(&mut self.inbound);
        self.broker.leave(&self.session, inbound, self.expiry, will);
    }

    async fn farewell(&mut self, violation: &Violation) {
        let client = &*self.session.client;
        match violation.code {
            code::TAKEN_OVER => add(&self.broker.counters.sessions_taken_over, 1),
            code::SHUTTING_DOWN => {}
            code => {
                add(&self.broker.counters.connections_broken, 1);
                let gateway = &*self.broker.options.name;
                tracing::info!(gateway, client, code, why = violation.why, "a client was disconnected");
            }
        }
        self.wire.disconnect(&mut self.stream.output, violation.code, &violation.why);
    }

    async fn serve(&mut self) -> End {
        let timer = tokio::time::sleep(self.patience());
        tokio::pin!(timer);
        loop {
            if let Err(end) = self.work() {
                return end;
            }
            let may_read = self.may_read();
            if let Some(slowed) = self.slowed.filter(|slowed| *slowed < timer.deadline()) {
                timer.as_mut().reset(slowed);
            }
            if self.closing && self.intake.len() == 0 {
                return End::Sent(Violation::new(code::SHUTTING_DOWN, "the server goes"));
            }
            let step = tokio::select! {
                biased;
                step = std::future::poll_fn(|context| self.intake.poll_next(context)) => self.step(step),
                event = self.stream.event(may_read) => self.event(event),
                room = self.broker.large.clone().acquire_many_owned(self.needs), if self.needs > 0 => self.got_room(room),
                () = self.session.wake.notified() => Ok(()),
                () = timer.as_mut() => self.time(may_read, timer.as_mut()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Everything that needs no waiting.
    fn work(&mut self) -> Result<(), End> {
        if !self.closing {
            self.digest()?;
        }
        self.deliver()
    }

    fn may_read(&self) -> bool {
        !self.closing && self.needs == 0 && self.slowed.is_none() && self.has_room()
    }

    /// Whether another message may be taken.
    fn has_room(&self) -> bool {
        let options = &self.broker.options;
        !self.intake.is_submitting()
            && self.intake.len() < usize::from(options.receive_maximum)
            && self.intake.bytes() < options.under_way_bytes
            && self.stream.backlog() < BACKLOG
    }

    fn event(&mut self, event: io::Result<Event>) -> Result<(), End> {
        match event? {
            Event::Read(0) => return Err(End::Gone),
            Event::Read(bytes) => add(&self.broker.counters.bytes_in, bytes),
            Event::Wrote(bytes) => {
                add(&self.broker.counters.bytes_out, bytes);
                kill_point("gateway.mqtt.sent");
            }
        }
        Ok(())
    }

    fn got_room(&mut self, room: Result<OwnedSemaphorePermit, AcquireError>) -> Result<(), End> {
        self.needs = 0;
        self.room = room.ok();
        Ok(())
    }

    /// Handles the whole packets that were read, as far as there is room, and hands what they publish to the log.
    fn digest(&mut self) -> Result<(), End> {
        let max = self.broker.options.max_packet;
        let result = loop {
            if self.slowed.is_some() || !self.has_room() {
                break Ok(());
            }
            match wire::cut(&self.stream.input, max) {
                Ok(Cut::Header) if self.stream.input.is_empty() => break Ok(()),
                Ok(Cut::Header) => {
                    self.began.get_or_insert_with(Instant::now);
                    break Ok(());
                }
                Ok(Cut::Needs(total)) => {
                    self.began.get_or_insert_with(Instant::now);
                    if total > LARGE && self.room.is_none() {
                        self.needs = u32::try_from(total.div_ceil(1024)).unwrap_or(u32::MAX);
                    }
                    break Ok(());
                }
                Ok(Cut::Whole(header, total)) => {
                    let first = self.stream.input.first().copied().unwrap_or_default();
                    let body = self.stream.input.get(header..total).unwrap_or_default();
                    let packet = wire::decode(self.wire.version, first, body);
                    self.stream.consume(total);
                    self.heard = Instant::now();
                    self.began = None;
                    if let Err(end) = packet.map_err(End::from).and_then(|packet| self.packet(packet)) {
                        break Err(end);
                    }
                }
                Err(violation) => break Err(violation.into()),
            }
        };
        // Also what came before a breach is the log's.
        self.intake.submit(&self.broker.log);
        result
    }

    fn packet(&mut self, packet: Packet) -> Result<(), End> {
        let room = self.room.take();
        match packet {
            Packet::Publish(publish) => self.publish(publish, room)?,
            Packet::Puback { pid } => {
                let answer = self.session.state().outbox.puback(pid);
                self.answered(answer);
            }
            Packet::Pubrec { pid, code } => {
                let answer = self.session.state().outbox.pubrec(pid, code >= 0x80);
                if code < 0x80 {
                    self.wire.pubrel(&mut self.stream.output, pid, answer != Answer::Unknown);
                }
                self.answered(answer);
            }
            Packet::Pubcomp { pid } => {
                let answer = self.session.state().outbox.pubcomp(pid);
                self.answered(answer);
            }
            Packet::Pubrel { pid } => {
                // One whose PUBREC is still to come stays: its message may not be in the log.
                let known = self.inbound.exactly.get(&pid) == Some(&Stage::Received);
                if known {
                    self.inbound.exactly.remove(&pid);
                    kill_point("gateway.mqtt.released");
                }
                self.wire.pubcomp(&mut self.stream.output, pid, known);
            }
            Packet::Subscribe { pid, id, filters } => self.subscribe(pid, id, filters)?,
            Packet::Unsubscribe { pid, filters } => self.unsubscribe(pid, &filters),
            Packet::Pingreq => self.wire.pingresp(&mut self.stream.output),
            Packet::Disconnect { expiry: Some(expiry), .. } if self.expiry == 0 && expiry != 0 => {
                return Err(
                    Violation::new(code::PROTOCOL, "a session expiry after a CONNECT with none").into()
                );
            }
            Packet::Disconnect { will, expiry } => return Err(End::Left { will, expiry }),
        }
        Ok(())
    }

    fn answered(&self, answer: Answer) {
        if let Answer::Known(bytes) = answer {
            super::counters::less(&self.broker.counters.queued_bytes_now, bytes);
        }
    }

    /// How long from now until something has to be looked at.
    fn patience(&self) -> Duration {
        let mut due = Instant::now() + self.broker.options.packet_timeout;
        if !self.keep_alive.is_zero() {
            due = due.min(self.heard + self.keep_alive);
        }
        due.saturating_duration_since(Instant::now()).max(Duration::from_millis(10))
    }

    /// The timer: is the client still there, does it finish what it began, may it go on?
    fn time(&mut self, may_read: bool, timer: std::pin::Pin<&mut Sleep>) -> Result<(), End> {
        let now = Instant::now();
        if self.slowed.is_some_and(|until| until <= now) {
            self.slowed = None;
        }
        let quiet = now.duration_since(self.heard);
        if !may_read {
            // It is we who do not read: what the client sent meanwhile is not seen yet. But a client has to take what it is sent.
            if self.stream.backlog() >= BACKLOG && quiet >= self.broker.options.packet_timeout {
                return Err(Violation::new(code::QUOTA, "the client does not read").into());
            }
            if self.stream.backlog() < BACKLOG && self.needs == 0 {
                self.heard = now;
            }
        } else if !self.keep_alive.is_zero() && quiet >= self.keep_alive {
            return Err(
                Violation::new(code::KEEP_ALIVE, "nothing was heard for one and a half keep-alives").into()
            );
        } else if self
            .began
            .is_some_and(|began| now.duration_since(began) >= self.broker.options.packet_timeout)
        {
            return Err(Violation::new(code::PROTOCOL, "a packet that does not end").into());
        }
        timer.reset(now + self.patience());
        Ok(())
    }

    /// Puts what waits for the client into the buffer, and looks whether it has to go.
    fn deliver(&mut self) -> Result<(), End> {
        let session = self.session.clone();
        let mut state = session.state();
        if let Some((reason, why)) = state.leave
            && state.number == self.number
        {
            if reason != code::SHUTTING_DOWN {
                return Err(Violation::new(reason, why).into());
            }
            self.closing = true;
        }
        if self.stream.backlog() < BACKLOG {
            self.pump(&mut state);
        }
        Ok(())
    }
}

/// Somebody stopped polling the connection. What is under way has an outcome that nobody will learn, so it is not remembered.
impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Connection<S> {
    fn drop(&mut self) {
        if !self.left {
            self.inbound.exactly.retain(|_, stage| *stage == Stage::Received);
            self.leave(true);
        }
    }
}
