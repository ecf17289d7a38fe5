//! A client of an MQTT broker (Mosquitto, EMQX, HiveMQ): what it subscribes to goes to the log, by the same routes as what devices publish here.
//!
//! ```text
//!  dial ─▶ greet (CONNECT, session kept) ─▶ subscribe ─▶ link: messages ─▶ intake ─▶ log
//!    ▲                                                     ▲                  │ has it, in order
//!    └── pause, twice as long each time ◀── end            └─ PUBACK, PUBREC ◀┘
//! ```
//!
//! What must stay true:
//! - a message with QoS 1 or 2 is acknowledged only after the log has it, fsynced, in the order in which messages came, and on the connection
//!   on which it came: a packet id means nothing on another one. What the log cannot tell is not acknowledged: the connection
//!   ends, and the broker sends everything again that it has no acknowledgement of;
//! - the session belongs to the client id and outlives connections and runs, so the broker keeps what comes meanwhile. When it
//!   has forgotten the session all the same, that is told and counted;
//! - the next connection is made only once everything of the last one has an outcome, so a repeat is known as one where that is possible:
//!   the log has its message, and its acknowledgement never left;
//! - what cannot be taken ever (no route, larger than `max_packet`) is refused and counted, because a broker would send it for ever.
//!
//! Start reading at `link.rs`.

mod counters;
mod dial;
mod greet;
mod link;
mod messages;
mod publish;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use forebay_core::Error;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::counters::Counters;
use self::link::{End, Link};
pub use self::publish::{Message, NotPublished, publish};
pub use self::settings::{Protocol, Server, Settings, filters};
use super::session::Inbound;
use super::stream::Stream;
use super::wire::code;
use crate::doors::{Counts, Standing, State};
use crate::{ByteStream, Log, Routes};

/// Pauses between two connections: from the first, twice as long each time, up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that lasts so long, or brings a message, was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(20);
/// How long a broker may take until it has let us in.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client of one broker.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    counters: Counters,
    standing: Standing,
}

/// What the client works with.
pub(in crate::mqtt) struct Tools {
    pub(in crate::mqtt) routes: Arc<dyn Routes>,
    pub(in crate::mqtt) log: Arc<dyn Log>,
    pub(in crate::mqtt) clock: Arc<dyn Clock>,
}

/// What is remembered from one connection to the next.
#[derive(Default)]
struct Memory {
    inbound: Inbound,
    /// The subscriptions of this run were told to the broker once.
    is_subscribed: bool,
    /// The broker had a session of us in this run.
    had_session: bool,
}

impl Client {
    /// A client that connects to nobody yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, counters: Counters::default(), standing: Standing::default() }
    }

    /// Takes messages until `stop`; then what was read is acknowledged, and it takes leave. The session stays.
    pub async fn run(
        self: Arc<Self>,
        routes: Arc<dyn Routes>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let tools = Tools { routes, log, clock };
        if self.settings.password.is_some() && !self.settings.server.is_private() {
            let name = &self.settings.name;
            tracing::warn!(gateway = %name, "the password goes to the broker in plain text; `mqtts://` would hide it");
        }
        let (mut memory, mut pause) = (Memory::default(), PAUSES.0);
        while !stop.is_cancelled() {
            let began = Instant::now();
            let taken = self.counters.taken();
            let end = self.connect_once(&tools, &mut memory, &stop).await;
            if stop.is_cancelled() {
                break;
            }
            let is_fought_over = matches!(&end, End::Sent(reason, _) if *reason == code::TAKEN_OVER);
            let was_good = began.elapsed() >= GOOD || self.counters.taken() > taken;
            if was_good && !is_fought_over && !matches!(end, End::Unsure(_)) {
                pause = PAUSES.0;
            }
            self.tell(end, tools.clock.now_ms());
            // Many clients of a broker that is back do not come all at once.
            let length = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(length) => pause = (pause * 2).min(PAUSES.1),
            }
        }
        self.standing.down(tools.clock.now_ms(), None);
    }

    /// One connection, from its beginning until everything that it brought has an outcome.
    async fn connect_once(&self, tools: &Tools, memory: &mut Memory, stop: &CancellationToken) -> End {
        let greeted = async {
            let stream = self.settings.server.dial().await?;
            let mut stream = Stream::new(stream);
            greet::greet(&mut stream, &self.settings).await.map(|greeted| (stream, greeted))
        };
        let greeted = tokio::select! {
            greeted = timeout(PATIENCE, greeted) => greeted,
            () = stop.cancelled() => return End::Gone(self.away("the run ends")),
        };
        let (stream, greeted) = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => return End::Gone(error),
            Err(_) => return End::Gone(self.away("the broker did not answer within 15 seconds")),
        };
        self.counters.connected();
        if !greeted.present {
            // What the ids stood for is forgotten: the same one will be another message.
            memory.inbound = Inbound::default();
            if std::mem::replace(&mut memory.had_session, true) {
                self.counters.session_lost();
                tracing::error!(gateway = %self.settings.name, "the broker forgot the session: what it kept for us is gone");
            }
        }
        memory.had_session = true;
        let subscribes = !memory.is_subscribed || !greeted.present;
        let link: Link<'_, Box<dyn ByteStream>> =
            Link::new(self, tools, stream, greeted, std::mem::take(&mut memory.inbound));
        let (end, inbound, is_subscribed) = link.run(subscribes, stop).await;
        memory.inbound = inbound;
        memory.is_subscribed |= is_subscribed;
        end
    }

    /// Says why there is no connection; the same reason once.
    fn tell(&self, end: End, now: i64) {
        let error = match end {
            End::Gone(error) => error,
            End::Left => return,
            End::Unsure(why) => {
                self.counters.unsure();
                self.away("the log could not say that it has a message; the broker is to send it again")
                    .with_detail(why)
            }
            End::Sent(reason, why) => {
                let error = Error::new(
                    &codes::GATEWAY_REFUSED,
                    format!("the broker {} closed the connection ({reason:#04x})", self.settings.server),
                );
                let error = if why.is_empty() { error } else { error.with_detail(why) };
                if reason != code::TAKEN_OVER {
                    error
                } else {
                    error.with_hint(
                        "Another client has the same `clientId`: give each run one of its own, or one of them takes the other's messages.",
                    )
                }
            }
        };
        if self.standing.down(now, Some(error.clone())) {
            tracing::warn!(gateway = %self.settings.name, %error, "no connection to the broker; it is tried again");
        }
    }

    fn away(&self, what: &str) -> Error {
        Error::new(&codes::GATEWAY_AWAY, format!("broker {}: {what}", self.settings.server))
    }
}

impl Counts for Client {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counters.all()
    }

    fn state(&self) -> Option<State> {
        Some(self.standing.state())
    }
}
