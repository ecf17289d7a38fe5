//! From the bytes of a broker to packets: what a client reads.
//!
//! A message is read with more patience than the codec has. A broker passes on what others publish, and sends again what is not
//! acknowledged: what a client will not read stops everything behind it for ever. So a payload is never looked into, reason codes
//! are numbers, and of a message that cannot be read at all still its number is ([`skim`]), so that it can be refused.

use bytes::Bytes;
use mqtt_proto::{Pid, QoS, QosPid, TopicName, v5};

use super::{Version, Violation, code};

/// A packet that a broker sends.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) enum FromBroker {
    Connack(Box<Connack>),
    Publish(Box<v5::Publish>),
    Puback { pid: u16, code: u8 },
    Pubrel { pid: u16 },
    Suback { pid: u16, codes: Vec<u8> },
    Pingresp,
    Disconnect { code: u8, why: String },
}

/// What a broker answers to CONNECT.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Connack {
    pub(in crate::mqtt) present: bool,
    /// 5.0's reason code, also for 3.1.1.
    pub(in crate::mqtt) code: u8,
    pub(in crate::mqtt) why: String,
    /// The session expiry that the broker chose, in seconds.
    pub(in crate::mqtt) expiry: Option<u32>,
    pub(in crate::mqtt) keep_alive: Option<u16>,
    pub(in crate::mqtt) max_packet: Option<u32>,
}

/// What can be said of a PUBLISH by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct Skimmed {
    pub(in crate::mqtt) qos: QoS,
    /// Its packet id; 0 with QoS 0.
    pub(in crate::mqtt) pid: u16,
    pub(in crate::mqtt) dup: bool,
}

/// Reads a packet's body.
pub(in crate::mqtt) fn decode_from_broker(
    version: Version,
    first: u8,
    body: &[u8],
) -> Result<FromBroker, Violation> {
    match first {
        0x20 => connack(version, body).map(|packet| FromBroker::Connack(Box::new(packet))),
        0x30..=0x3F => publish(version, first, body).map(|packet| FromBroker::Publish(Box::new(packet))),
        // The reason code is there in 5.0 alone, and may be left out where it is 0.
        0x40 => Ok(FromBroker::Puback { pid: pid(body)?, code: body.get(2).copied().unwrap_or_default() }),
        0x62 => Ok(FromBroker::Pubrel { pid: pid(body)? }),
        0x90 => suback(version, body),
        0xD0 if body.is_empty() => Ok(FromBroker::Pingresp),
        0xE0 if version == Version::V5 => Ok(disconnect(body)),
        _ => Err(Violation::new(code::PROTOCOL, format!("a packet {first:#04x} that no broker sends"))),
    }
}

/// Quality of service, packet id and DUP of a PUBLISH of which only the beginning is there; `None` while that is too little.
pub(in crate::mqtt) fn skim(first: u8, body: &[u8]) -> Result<Option<Skimmed>, Violation> {
    let qos = QoS::from_u8((first >> 1) & 3).map_err(|_| malformed("QoS 3"))?;
    let dup = first & 8 != 0;
    if qos == QoS::Level0 {
        return Ok(Some(Skimmed { qos, pid: 0, dup }));
    }
    let Some(length) = two(body, 0) else { return Ok(None) };
    match two(body, 2 + usize::from(length)) {
        None => Ok(None),
        Some(0) => Err(malformed("packet id 0")),
        Some(pid) => Ok(Some(Skimmed { qos, pid, dup })),
    }
}

fn publish(version: Version, first: u8, body: &[u8]) -> Result<v5::Publish, Violation> {
    let short = || malformed("a PUBLISH that ends too early");
    let length = usize::from(two(body, 0).ok_or_else(short)?);
    let name = body.get(2..2 + length).ok_or_else(short)?;
    let name = std::str::from_utf8(name).map_err(|_| malformed("a topic that is not UTF-8"))?;
    let skimmed = skim(first, body)?.ok_or_else(short)?;
    let mut at = 2 + length + if skimmed.qos == QoS::Level0 { 0 } else { 2 };
    let properties = match version {
        Version::V3 => v5::PublishProperties::default(),
        Version::V5 => v5::PublishProperties::decode(body, &mut at, v5::PacketType::Publish)
            .map_err(|error| Violation::new(code::MALFORMED, error.to_string()))?,
    };
    let invalid = |why: &str| Violation::new(code::TOPIC_INVALID, why);
    if properties.topic_alias.is_some() || name.is_empty() {
        return Err(invalid("a topic alias where none is allowed, or no topic"));
    }
    let qos_pid = match (skimmed.qos, Pid::try_from(skimmed.pid)) {
        (QoS::Level1, Ok(pid)) => QosPid::Level1(pid),
        (QoS::Level2, Ok(pid)) => QosPid::Level2(pid),
        _ => QosPid::Level0,
    };
    Ok(v5::Publish {
        dup: skimmed.dup,
        retain: first & 1 != 0,
        qos_pid,
        topic_name: TopicName::try_from(name).map_err(|_| invalid("a topic with wildcards"))?,
        payload: Bytes::copy_from_slice(body.get(at..).ok_or_else(short)?),
        properties,
    })
}

fn connack(version: Version, body: &[u8]) -> Result<Connack, Violation> {
    let [flags, reason, ..] = *body else { return Err(malformed("a CONNACK that ends too early")) };
    let mut connack = Connack { present: flags & 1 == 1, code: reason, ..Connack::default() };
    // A broker that knows no 5.0 answers in 3.1.1's words.
    if version == Version::V3 || (body.len() == 2 && (1..=5).contains(&reason)) {
        connack.code = match reason {
            0 => code::SUCCESS,
            1 => code::VERSION,
            2 => code::CLIENT_ID,
            3 => code::UNAVAILABLE,
            4 => code::BAD_PASSWORD,
            _ => code::NOT_AUTHORIZED,
        };
        return Ok(connack);
    }
    let mut at = 2;
    let properties = v5::ConnackProperties::decode(body, &mut at, v5::PacketType::Connack)
        .map_err(|error| Violation::new(code::MALFORMED, error.to_string()))?;
    connack.why = properties.reason_string.as_deref().unwrap_or_default().to_owned();
    connack.expiry = properties.session_expiry_interval;
    connack.keep_alive = properties.server_keep_alive;
    connack.max_packet = properties.max_packet_size;
    Ok(connack)
}

fn suback(version: Version, body: &[u8]) -> Result<FromBroker, Violation> {
    let pid = two(body, 0).ok_or_else(|| malformed("a SUBACK that ends too early"))?;
    let mut at = 2;
    if version == Version::V5 {
        v5::SubackProperties::decode(body, &mut at, v5::PacketType::Suback)
            .map_err(|error| Violation::new(code::MALFORMED, error.to_string()))?;
    }
    Ok(FromBroker::Suback { pid, codes: body.get(at..).unwrap_or_default().to_vec() })
}

/// Whatever else is wrong with it, it says that the broker goes.
fn disconnect(body: &[u8]) -> FromBroker {
    let mut at = 1;
    let properties = v5::DisconnectProperties::decode(body, &mut at, v5::PacketType::Disconnect);
    let why = properties.ok().filter(|_| body.len() > 1).and_then(|properties| properties.reason_string);
    FromBroker::Disconnect {
        code: body.first().copied().unwrap_or_default(),
        why: why.as_deref().unwrap_or_default().to_owned(),
    }
}

/// The packet id at the front of an acknowledgement.
fn pid(body: &[u8]) -> Result<u16, Violation> {
    two(body, 0).filter(|pid| *pid != 0).ok_or_else(|| malformed("an acknowledgement without a packet id"))
}

fn two(body: &[u8], at: usize) -> Option<u16> {
    match body.get(at..at + 2) {
        Some(&[high, low]) => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

fn malformed(why: &str) -> Violation {
    Violation::new(code::MALFORMED, why)
}
