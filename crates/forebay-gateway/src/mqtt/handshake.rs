//! From the first byte to the CONNACK: within one deadline, with little memory, and without a word to who does not speak MQTT.

use std::sync::Arc;

use mqtt_proto::v5::ConnackProperties;
use tokio::io::{AsyncRead, AsyncWrite};

use super::broker::{Broker, Opened};
use super::counters::add;
use super::listen::Peer;
use super::stream::{Event, Stream};
use super::topic;
use super::wire::{Connect, Cut, Version, Violation, Wire, code, cut, decode_connect};
use crate::{Credentials, Identity};

/// Largest CONNECT: a client id, a name, a password and a will of 64 KiB each at most, of which no honest client comes near.
const MAX_CONNECT: u32 = 256 << 10;

/// Who was let in, and how to speak with it.
pub(super) struct Welcome {
    pub(super) opened: Opened,
    pub(super) who: Identity,
    pub(super) wire: Wire,
    /// Seconds; 0: none.
    pub(super) keep_alive: u16,
}

/// Reads the CONNECT and answers it. None if the client was not let in; what it is told waits in the stream.
pub(super) async fn welcome<S>(broker: &Broker, stream: &mut Stream<S>, peer: &Peer) -> Option<Welcome>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connect = match read_connect(broker, stream).await? {
        Ok(connect) => connect,
        Err((version, violation)) => {
            tracing::debug!(gateway = %broker.options.name, peer = %peer.name, why = violation.why, "a connection was refused");
            if let Some(version) = version {
                let wire = Wire { version, problem_information: true, max_packet: u32::MAX };
                refuse(stream, &wire, violation.code, &violation.why);
            }
            return None;
        }
    };
    let wire = Wire {
        version: connect.version,
        problem_information: connect.problem_information,
        max_packet: connect.max_packet,
    };
    let told = &mut *stream;
    match let_in(broker, connect, peer).await {
        Ok((opened, who, keep_alive, properties)) => {
            wire.connack(&mut told.output, opened.present, code::SUCCESS, properties);
            Some(Welcome { opened, who, wire, keep_alive })
        }
        Err(violation) => {
            let gateway = &*broker.options.name;
            tracing::warn!(gateway, peer = %peer.name, code = violation.code, why = violation.why, "a client was not let in");
            refuse(told, &wire, violation.code, &violation.why);
            None
        }
    }
}

fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut Stream<S>, wire: &Wire, code: u8, why: &str) {
    let reason = wire.problem_information.then(|| Arc::from(why));
    let properties = ConnackProperties { reason_string: reason, ..Default::default() };
    wire.connack(&mut stream.output, false, code, properties);
}

type Read = Result<Connect, (Option<Version>, Violation)>;

async fn read_connect<S>(broker: &Broker, stream: &mut Stream<S>) -> Option<Read>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let max = broker.options.max_packet.min(MAX_CONNECT);
    loop {
        if stream.input.first().is_some_and(|first| *first != 0x10) {
            return Some(Err((None, Violation::new(code::PROTOCOL, "the first packet is no CONNECT"))));
        }
        match cut(&stream.input, max) {
            Err(violation) => return Some(Err((None, violation))),
            Ok(Cut::Whole(header, total)) => {
                let body = stream.input.get(header..total).unwrap_or_default();
                let connect = decode_connect(0x10, body);
                stream.consume(total);
                return Some(connect);
            }
            Ok(_) => match stream.event(true).await {
                Ok(Event::Read(0)) | Err(_) => return None,
                Ok(Event::Read(bytes)) => add(&broker.counters.bytes_in, bytes),
                Ok(Event::Wrote(_)) => {}
            },
        }
    }
}

type Entry = (Opened, Identity, u16, ConnackProperties);

async fn let_in(broker: &Broker, mut connect: Connect, peer: &Peer) -> Result<Entry, Violation> {
    if connect.auth_method {
        return Err(Violation::new(code::AUTH_METHOD, "no authentication method is known"));
    }
    let assigned = connect.client.is_empty();
    if assigned {
        if connect.version == Version::V3 && !connect.clean_start {
            return Err(Violation::new(code::CLIENT_ID, "a session that is to be kept needs a client id"));
        }
        connect.client = broker.new_client_id();
    }
    let client: Arc<str> = connect.client.as_str().into();
    let who = authenticate(broker, &connect, peer).await?;
    if let Some(will) = &connect.will {
        if !topic::name_is_good(&will.topic, broker.options.topic_levels) {
            return Err(Violation::new(code::TOPIC_INVALID, "the will's topic is empty or too deep"));
        }
        if !broker.access.may_publish(&who, &client, &will.topic) {
            return Err(Violation::new(code::NOT_AUTHORIZED, "not allowed to publish to the will's topic"));
        }
    }
    let opened = broker.open(&connect, &client, &who).await.map_err(|reason| {
        Violation::new(
            reason,
            match reason {
                code::CLIENT_ID => "this client id belongs to somebody else",
                code::QUOTA => "too many sessions",
                _ => "the server is not available",
            },
        )
    })?;
    let options = &broker.options;
    let keep_alive = match options.max_keep_alive {
        Some(max)
            if connect.version == Version::V5 && (connect.keep_alive == 0 || connect.keep_alive > max) =>
        {
            max
        }
        _ => connect.keep_alive,
    };
    let properties = ConnackProperties {
        session_expiry_interval: (opened.expiry != connect.expiry).then_some(opened.expiry),
        receive_max: Some(options.receive_maximum),
        max_packet_size: Some(options.max_packet),
        assigned_client_id: assigned.then(|| client.clone()),
        topic_alias_max: Some(options.topic_aliases),
        server_keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
        ..Default::default()
    };
    Ok((opened, who, keep_alive, properties))
}

/// Asks who it is, on a thread where comparing a password stops nobody else.
async fn authenticate(broker: &Broker, connect: &Connect, peer: &Peer) -> Result<Identity, Violation> {
    let named = connect.user.is_some() || connect.password.is_some();
    let access = broker.access.clone();
    let (user, secret) = (connect.user.clone(), connect.password.clone());
    let (certificate, client) = (peer.certificate.clone(), connect.client.clone());
    let Ok(_turn) = broker.logins.acquire().await else {
        return Err(Violation::new(code::UNAVAILABLE, "the server is not available"));
    };
    let asked = tokio::task::spawn_blocking(move || {
        access.authenticate(&Credentials {
            user: user.as_deref(),
            secret: secret.as_deref(),
            certificate: certificate.as_deref(),
            client: &client,
        })
    });
    match asked.await {
        Ok(Ok(who)) => Ok(who),
        Ok(Err(_)) if named => Err(Violation::new(code::BAD_PASSWORD, "unknown user or wrong password")),
        Ok(Err(_)) => Err(Violation::new(code::NOT_AUTHORIZED, "credentials are needed")),
        Err(_) => Err(Violation::new(code::UNAVAILABLE, "the server could not look at the credentials")),
    }
}
