//! Publishing to a broker: a connection for some messages, which ends once the broker has all of them.
//!
//! For what is said now and then, as alerts are: no connection stands idle, and none has to be looked after. What must stay true: a message
//! counts as published only after its PUBACK; and what a broker will never take is told apart from what it does not take now.

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::error::codes;
use mqtt_proto::{QoS, TopicName, v5};
use tokio::time::{Duration, timeout};

use super::greet::{self, Greeted};
use super::settings::Settings;
use crate::ByteStream;
use crate::mqtt::stream::{Event, Stream};
use crate::mqtt::wire::{Cut, FromBroker, Outgoing, Wire, code, cut, decode_from_broker};

/// Largest packet that is read: nothing is subscribed to, so only acknowledgements come.
const MAX_PACKET: u32 = 64 << 10;
/// How long the leave may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A message that is to be published with QoS 1.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its topic, without wildcards.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Whether the broker keeps it for those that come later.
    pub is_retained: bool,
}

/// Why messages were not published, or not all of them.
#[derive(Debug)]
pub enum NotPublished {
    /// The broker will never take one of them; the others it has.
    Never(Error),
    /// Not now: it may have some of them.
    Now(Error),
}

/// Publishes messages in their order; the broker may take so long to let us in, and to acknowledge each of them.
///
/// # Errors
/// See [`NotPublished`].
pub async fn publish(
    settings: &Settings,
    messages: &[Message],
    patience: Duration,
) -> Result<(), NotPublished> {
    let late = || {
        let what = format!("broker {}: it does not answer in time", settings.server);
        NotPublished::Now(Error::new(&codes::GATEWAY_AWAY, what))
    };
    let mut publishing = timeout(patience, Publishing::begin(settings)).await.map_err(|_| late())??;
    let mut never = None;
    for message in messages {
        match timeout(patience, publishing.one(message)).await.map_err(|_| late())? {
            Err(NotPublished::Never(error)) => never = Some(error),
            other => other?,
        }
    }
    publishing.wire.leave(&mut publishing.stream.output);
    drop(timeout(FAREWELL, publishing.stream.close()).await);
    never.map_or(Ok(()), |error| Err(NotPublished::Never(error)))
}

/// The packet id of what is under way: one message after the other is.
const PID: u16 = 1;

struct Publishing<'s> {
    settings: &'s Settings,
    stream: Stream<Box<dyn ByteStream>>,
    wire: Wire,
}

impl<'s> Publishing<'s> {
    /// Connects, and waits until the broker lets us in.
    async fn begin(settings: &'s Settings) -> Result<Self, NotPublished> {
        let mut stream = Stream::new(settings.server.dial().await.map_err(NotPublished::Now)?);
        let Greeted { wire, .. } = greet::greet(&mut stream, settings).await.map_err(NotPublished::Now)?;
        Ok(Self { settings, stream, wire })
    }

    /// Publishes a message and waits until the broker has it.
    async fn one(&mut self, message: &Message) -> Result<(), NotPublished> {
        let never = |settings: &Settings, what: &str| {
            let error = Error::new(&codes::GATEWAY_REFUSED, format!("broker {}: {what}", settings.server));
            NotPublished::Never(error.at(&message.topic))
        };
        let Ok(topic) = TopicName::try_from(message.topic.as_str()) else {
            return Err(never(self.settings, "the topic is none"));
        };
        let outgoing = Outgoing {
            topic: &topic,
            payload: &message.payload,
            qos: QoS::Level1,
            pid: PID,
            dup: false,
            retain: message.is_retained,
            properties: &v5::PublishProperties::default(),
            id: None,
            expiry: None,
        };
        if !self.wire.publish(&mut self.stream.output, &outgoing) {
            return Err(never(self.settings, "the message is larger than what it takes"));
        }
        match self.acknowledged().await.map_err(NotPublished::Now)? {
            0..0x80 => Ok(()),
            reason @ (code::TOPIC_INVALID | code::PAYLOAD_FORMAT) => {
                Err(never(self.settings, &format!("it refused the message ({reason:#04x})")))
            }
            reason => Err(NotPublished::Now(
                Error::new(
                    &codes::GATEWAY_REFUSED,
                    format!("broker {}: it refused the message ({reason:#04x})", self.settings.server),
                )
                .at(&message.topic)
                .with_hint("May the user write to this topic there?"),
            )),
        }
    }

    /// Waits for the acknowledgement; gives its reason code.
    async fn acknowledged(&mut self) -> Result<u8, Error> {
        let server = &self.settings.server;
        let away = |what: &str| Error::new(&codes::GATEWAY_AWAY, format!("broker {server}: {what}"));
        let broken = |why: String| away("what it answers is not MQTT").with_detail(why);
        loop {
            while let Cut::Whole(header, total) =
                cut(&self.stream.input, MAX_PACKET).map_err(|violation| broken(violation.why))?
            {
                let first = self.stream.input.first().copied().unwrap_or_default();
                let body = self.stream.input.get(header..total).unwrap_or_default();
                let packet = decode_from_broker(self.wire.version, first, body);
                self.stream.consume(total);
                match packet.map_err(|violation| broken(violation.why))? {
                    FromBroker::Puback { pid: PID, code } => return Ok(code),
                    FromBroker::Disconnect { code, why } => {
                        return Err(away(&format!("it closed the connection ({code:#04x})")).with_detail(why));
                    }
                    _ => {}
                }
            }
            match self.stream.event(true).await {
                Ok(Event::Read(0)) => return Err(away("it closed the connection")),
                Ok(_) => {}
                Err(error) => return Err(away("the connection broke").with_detail(error)),
            }
        }
    }
}
