//! CONNECT and CONNACK.

use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::settings::{Protocol, Settings};
use crate::mqtt::stream::{Event, Stream};
use crate::mqtt::wire::{
    Connack, Cut, FromBroker, Hello, Version, Violation, Wire, code, cut, decode_from_broker,
};

/// Largest CONNACK that is read.
const MAX_CONNACK: u32 = 256 << 10;

/// Let in.
pub(super) struct Greeted {
    /// The broker has our session still.
    pub(super) present: bool,
    pub(super) keep_alive: Duration,
    pub(super) wire: Wire,
}

/// Says who we are and waits for the answer; the caller limits its time.
pub(super) async fn greet<S>(stream: &mut Stream<S>, settings: &Settings) -> Result<Greeted, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let version = match settings.protocol {
        Protocol::V311 => Version::V3,
        Protocol::V5 => Version::V5,
    };
    let mut wire = Wire { version, problem_information: false, max_packet: u32::MAX };
    let keep_alive = u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1);
    let hello = Hello {
        client: &settings.client,
        user: settings.user.as_deref(),
        password: settings.password.as_deref(),
        keep_alive,
        expiry: u32::try_from(settings.expiry.as_secs()).unwrap_or(u32::MAX),
        receive_maximum: settings.receive_maximum,
    };
    wire.connect(&mut stream.output, &hello);
    let connack = answer(stream, version, settings).await?;
    if connack.code != code::SUCCESS {
        return Err(refused(settings, &connack));
    }
    if let Some(expiry) = connack.expiry.filter(|expiry| u64::from(*expiry) < settings.expiry.as_secs()) {
        tracing::warn!(gateway = %settings.name, seconds = expiry, "the broker keeps the session for a shorter time than `sessionExpiry`");
    }
    wire.max_packet = connack.max_packet.unwrap_or(u32::MAX);
    let keep_alive = connack.keep_alive.filter(|seconds| *seconds > 0).unwrap_or(keep_alive);
    Ok(Greeted { present: connack.present, keep_alive: Duration::from_secs(keep_alive.into()), wire })
}

async fn answer<S>(stream: &mut Stream<S>, version: Version, settings: &Settings) -> Result<Connack, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let server = &settings.server;
    let away = |what: &str| Error::new(&codes::GATEWAY_AWAY, format!("broker {server}: {what}"));
    let broken = |violation: Violation| away("what it answers is not MQTT").with_detail(violation.why);
    loop {
        // Something else listens there: its first byte tells, the length behind it means nothing.
        if stream.input.first().is_some_and(|first| *first != 0x20) {
            return Err(away("what it answers is no CONNACK")
                .with_hint("Is this the port of an MQTT broker, and does it want TLS (`mqtts://`) or not?"));
        }
        if let Cut::Whole(header, total) = cut(&stream.input, MAX_CONNACK).map_err(broken)? {
            let first = stream.input.first().copied().unwrap_or_default();
            let body = stream.input.get(header..total).unwrap_or_default();
            let packet = decode_from_broker(version, first, body);
            stream.consume(total);
            return match packet.map_err(broken)? {
                FromBroker::Connack(connack) => Ok(*connack),
                _ => Err(away("what it answers is no CONNACK")),
            };
        }
        match stream.event(true).await {
            Ok(Event::Read(0)) => {
                return Err(away("it closed the connection without an answer").with_hint(
                    "Some brokers close where they do not know the version or the client id: try the option `version: 3.1.1`, or another `clientId`.",
                ));
            }
            Ok(_) => {}
            Err(error) => return Err(away("the connection broke").with_detail(error)),
        }
    }
}

/// Why we were not let in, and what may help.
fn refused(settings: &Settings, connack: &Connack) -> Error {
    let (why, hint) = match connack.code {
        code::VERSION => ("it does not know this version of MQTT", "Set the option `version: 3.1.1`."),
        code::CLIENT_ID => (
            "it does not take the client id",
            "Choose another `clientId`: letters and digits, at most 23 of them, suit every broker.",
        ),
        code::BAD_PASSWORD => (
            "it does not know the user, or the password is wrong",
            "Check the options `user` and `password`.",
        ),
        code::NOT_AUTHORIZED => (
            "it does not let this client in",
            "Check the options `user` and `password`, and the client certificate if it wants one.",
        ),
        _ => ("it does not let us in now", "The broker's log may say why. It is tried again by itself."),
    };
    let (server, number) = (&settings.server, connack.code);
    let error = Error::new(&codes::GATEWAY_REFUSED, format!("broker {server}: {why} ({number:#04x})"))
        .with_hint(hint);
    if connack.why.is_empty() { error } else { error.with_detail(&connack.why) }
}
