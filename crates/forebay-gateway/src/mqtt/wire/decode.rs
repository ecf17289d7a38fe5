//! From bytes to packets.

use mqtt_proto::{Pid, Protocol, QoS, TopicName, v3, v5};

use super::{Connect, Packet, Version, Violation, Will, code};

/// The first packet of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mqtt) enum Cut {
    /// Its header is not there yet.
    Header,
    /// So many bytes in all are needed, not all are there.
    Needs(usize),
    /// Its header's bytes and its whole length.
    Whole(usize, usize),
}

/// Finds the end of the first packet; refuses one that is larger than `max`, before it has arrived.
pub(in crate::mqtt) fn cut(input: &[u8], max: u32) -> Result<Cut, Violation> {
    let mut remaining = 0_usize;
    for (at, byte) in input.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let header = at + 2;
            let total = header + remaining;
            if total > usize::try_from(max).unwrap_or(usize::MAX) {
                return Err(Violation::new(
                    code::TOO_LARGE,
                    format!("a packet of {total} bytes, {max} are allowed"),
                ));
            }
            return Ok(if input.len() >= total { Cut::Whole(header, total) } else { Cut::Needs(total) });
        }
        if at == 3 {
            return Err(Violation::new(code::MALFORMED, "a remaining length of more than four bytes"));
        }
    }
    Ok(Cut::Header)
}

/// Reads the body of a CONNECT packet. The version is told with a refusal, as far as it is known.
pub(in crate::mqtt) fn decode_connect(
    first: u8,
    body: &[u8],
) -> Result<Connect, (Option<Version>, Violation)> {
    if first != 0x10 {
        return Err((None, Violation::new(code::PROTOCOL, "the first packet is no CONNECT")));
    }
    let mut at = 0;
    let protocol = Protocol::decode(body, &mut at).map_err(|error| match error {
        mqtt_proto::Error::InvalidProtocol(name, level) if matches!(&*name, "MQTT" | "MQIsdp") => {
            let version = if level > 5 { Version::V5 } else { Version::V3 };
            (Some(version), Violation::new(code::VERSION, format!("protocol level {level} is not known")))
        }
        other => (None, Violation::new(code::MALFORMED, other.to_string())),
    })?;
    let version = if protocol == Protocol::V500 { Version::V5 } else { Version::V3 };
    connect_body(protocol, first, body, &mut at).map_err(|violation| (Some(version), violation))
}

fn connect_body(protocol: Protocol, first: u8, body: &[u8], at: &mut usize) -> Result<Connect, Violation> {
    let flags = body.get(*at).copied().unwrap_or_default();
    if flags & 0b10_0100 == 0b10_0000 {
        return Err(Violation::new(code::MALFORMED, "will retain without a will"));
    }
    let connect = if protocol == Protocol::V500 {
        let header = header5(first, body)?;
        let packet =
            v5::Connect::decode_buffer_with_protocol(body, at, header, protocol).map_err(violation5)?;
        let properties = &packet.properties;
        if properties.receive_max == Some(0) || properties.max_packet_size == Some(0) {
            return Err(Violation::new(code::PROTOCOL, "a receive maximum or maximum packet size of 0"));
        }
        if properties.auth_data.is_some() && properties.auth_method.is_none() {
            return Err(Violation::new(code::PROTOCOL, "authentication data without a method"));
        }
        Connect {
            version: Version::V5,
            clean_start: packet.clean_start,
            keep_alive: packet.keep_alive,
            client: packet.client_id.to_string(),
            user: packet.username.map(|name| name.to_string()),
            password: packet.password.map(|secret| secret.to_vec()),
            expiry: properties.session_expiry_interval.unwrap_or(0),
            receive_maximum: properties.receive_max.unwrap_or(u16::MAX),
            max_packet: properties.max_packet_size.unwrap_or(u32::MAX),
            problem_information: properties.request_problem_info.unwrap_or(true),
            auth_method: properties.auth_method.is_some(),
            will: packet.last_will.map(|will| Will {
                qos: will.qos,
                retain: will.retain,
                topic: will.topic_name,
                payload: will.payload,
                delay: will.properties.delay_interval.unwrap_or(0),
                properties: v5::PublishProperties {
                    payload_is_utf8: will.properties.payload_is_utf8,
                    message_expiry_interval: will.properties.message_expiry_interval,
                    content_type: will.properties.content_type,
                    response_topic: will.properties.response_topic,
                    correlation_data: will.properties.correlation_data,
                    user_properties: will.properties.user_properties,
                    ..Default::default()
                },
            }),
        }
    } else {
        let packet = v3::Connect::decode_buffer_with_protocol(body, at, protocol).map_err(violation3)?;
        if packet.password.is_some() && packet.username.is_none() {
            return Err(Violation::new(code::MALFORMED, "a password without a user name"));
        }
        Connect {
            version: Version::V3,
            clean_start: packet.clean_session,
            keep_alive: packet.keep_alive,
            client: packet.client_id.to_string(),
            user: packet.username.map(|name| name.to_string()),
            password: packet.password.map(|secret| secret.to_vec()),
            expiry: if packet.clean_session { 0 } else { u32::MAX },
            receive_maximum: u16::MAX,
            max_packet: u32::MAX,
            problem_information: false,
            auth_method: false,
            will: packet.last_will.map(|will| Will {
                qos: will.qos,
                retain: will.retain,
                topic: will.topic_name,
                payload: will.message,
                delay: 0,
                properties: v5::PublishProperties::default(),
            }),
        }
    };
    ended(body, *at)?;
    if connect.client.contains('\0') || connect.user.as_ref().is_some_and(|name| name.contains('\0')) {
        return Err(Violation::new(code::MALFORMED, "a NUL character in a string"));
    }
    Ok(connect)
}

/// Reads the body of any packet behind the CONNECT.
pub(in crate::mqtt) fn decode(version: Version, first: u8, body: &[u8]) -> Result<Packet, Violation> {
    let mut at = 0;
    let packet = match version {
        Version::V5 => decode5(first, body, &mut at)?,
        Version::V3 => decode3(first, body, &mut at)?,
    };
    ended(body, at)?;
    if let Packet::Publish(publish) = &packet {
        check_publish(publish)?;
    }
    Ok(packet)
}

fn check_publish(publish: &v5::Publish) -> Result<(), Violation> {
    if publish.dup && publish.qos_pid.qos() == QoS::Level0 {
        return Err(Violation::new(code::MALFORMED, "DUP with QoS 0"));
    }
    if publish.properties.subscription_id.is_some() {
        return Err(Violation::new(code::PROTOCOL, "a subscription identifier in a client's PUBLISH"));
    }
    if publish.properties.topic_alias == Some(0) {
        return Err(Violation::new(code::ALIAS_INVALID, "topic alias 0"));
    }
    Ok(())
}

fn decode5(first: u8, body: &[u8], at: &mut usize) -> Result<Packet, Violation> {
    let header = header5(first, body)?;
    Ok(match header.typ {
        v5::PacketType::Publish => {
            Packet::Publish(v5::Publish::decode(body, at, header).map_err(violation5)?)
        }
        v5::PacketType::Puback => {
            let packet = v5::Puback::decode(body, at, header).map_err(violation5)?;
            Packet::Puback { pid: packet.pid.value() }
        }
        v5::PacketType::Pubrec => {
            let packet = v5::Pubrec::decode(body, at, header).map_err(violation5)?;
            Packet::Pubrec { pid: packet.pid.value(), code: packet.reason_code as u8 }
        }
        v5::PacketType::Pubrel => {
            let packet = v5::Pubrel::decode(body, at, header).map_err(violation5)?;
            Packet::Pubrel { pid: packet.pid.value() }
        }
        v5::PacketType::Pubcomp => {
            let packet = v5::Pubcomp::decode(body, at, header).map_err(violation5)?;
            Packet::Pubcomp { pid: packet.pid.value() }
        }
        v5::PacketType::Subscribe => {
            let packet = v5::Subscribe::decode(body, at, header).map_err(violation5)?;
            let id = packet.properties.subscription_id.map(v5::VarByteInt::value);
            if id == Some(0) {
                return Err(Violation::new(code::PROTOCOL, "subscription identifier 0"));
            }
            Packet::Subscribe { pid: packet.pid.value(), id, filters: packet.topics }
        }
        v5::PacketType::Unsubscribe => {
            let packet = v5::Unsubscribe::decode(body, at, header).map_err(violation5)?;
            Packet::Unsubscribe { pid: packet.pid.value(), filters: packet.topics }
        }
        v5::PacketType::Pingreq => Packet::Pingreq,
        v5::PacketType::Disconnect => {
            let packet = v5::Disconnect::decode(body, at, header).map_err(violation5)?;
            let will = packet.reason_code != v5::DisconnectReasonCode::NormalDisconnect;
            Packet::Disconnect { will, expiry: packet.properties.session_expiry_interval }
        }
        other => return Err(Violation::new(code::PROTOCOL, format!("{other} from a client"))),
    })
}

fn decode3(first: u8, body: &[u8], at: &mut usize) -> Result<Packet, Violation> {
    let (remaining, total) = lengths(body)?;
    let header = v3::Header::new_with(first, remaining, total).map_err(violation3)?;
    Ok(match header.typ {
        v3::PacketType::Publish => {
            let packet = v3::Publish::decode(body, at, header).map_err(violation3)?;
            Packet::Publish(v5::Publish {
                dup: packet.dup,
                retain: packet.retain,
                qos_pid: packet.qos_pid,
                topic_name: packet.topic_name,
                payload: packet.payload,
                properties: v5::PublishProperties::default(),
            })
        }
        v3::PacketType::Puback => Packet::Puback { pid: pid(body, at)? },
        v3::PacketType::Pubrec => Packet::Pubrec { pid: pid(body, at)?, code: code::SUCCESS },
        v3::PacketType::Pubrel => Packet::Pubrel { pid: pid(body, at)? },
        v3::PacketType::Pubcomp => Packet::Pubcomp { pid: pid(body, at)? },
        v3::PacketType::Subscribe => {
            let packet = v3::Subscribe::decode(body, at, header).map_err(violation3)?;
            let wish = |qos| v5::SubscriptionOptions {
                max_qos: qos,
                no_local: false,
                retain_as_published: false,
                retain_handling: v5::RetainHandling::SendAtSubscribe,
            };
            let filters = packet.topics.into_iter().map(|(filter, qos)| (filter, wish(qos))).collect();
            Packet::Subscribe { pid: packet.pid.value(), id: None, filters }
        }
        v3::PacketType::Unsubscribe => {
            let packet = v3::Unsubscribe::decode(body, at, header).map_err(violation3)?;
            Packet::Unsubscribe { pid: packet.pid.value(), filters: packet.topics }
        }
        v3::PacketType::Pingreq => Packet::Pingreq,
        v3::PacketType::Disconnect => Packet::Disconnect { will: false, expiry: None },
        other => return Err(Violation::new(code::PROTOCOL, format!("{other:?} from a client"))),
    })
}

fn pid(body: &[u8], at: &mut usize) -> Result<u16, Violation> {
    let [high, low] = *body else {
        return Err(Violation::new(code::MALFORMED, "an acknowledgement that is not two bytes long"));
    };
    *at = 2;
    let pid = Pid::try_from(u16::from_be_bytes([high, low])).map_err(violation3)?;
    Ok(pid.value())
}

fn lengths(body: &[u8]) -> Result<(u32, u32), Violation> {
    let long = || Violation::new(code::TOO_LARGE, "a packet that is too long");
    let remaining = u32::try_from(body.len()).map_err(|_| long())?;
    let total = mqtt_proto::total_len(body.len()).map_err(|_| long())?;
    Ok((remaining, u32::try_from(total).map_err(|_| long())?))
}

fn header5(first: u8, body: &[u8]) -> Result<v5::Header, Violation> {
    let (remaining, total) = lengths(body)?;
    v5::Header::new_with(first, remaining, total).map_err(violation5)
}

fn ended(body: &[u8], at: usize) -> Result<(), Violation> {
    if at == body.len() {
        return Ok(());
    }
    Err(Violation::new(code::MALFORMED, "bytes behind the end of a packet"))
}

fn violation3(error: mqtt_proto::Error) -> Violation {
    use mqtt_proto::Error;
    let reason = match error {
        Error::InvalidTopicName(_) => code::TOPIC_INVALID,
        Error::InvalidTopicFilter(_) => code::FILTER_INVALID,
        Error::EmptySubscription => code::PROTOCOL,
        _ => code::MALFORMED,
    };
    Violation::new(reason, error.to_string())
}

fn violation5(error: v5::ErrorV5) -> Violation {
    use v5::ErrorV5;
    let reason = match error {
        ErrorV5::Common(error) => return violation3(error),
        ErrorV5::InvalidPayloadFormat => code::PAYLOAD_FORMAT,
        ErrorV5::InvalidResponseTopic | ErrorV5::DuplicatedProperty(_) | ErrorV5::InvalidByteProperty(..) => {
            code::PROTOCOL
        }
        _ => code::MALFORMED,
    };
    Violation::new(reason, error.to_string())
}

/// The name behind a topic alias, or a new one for it.
pub(in crate::mqtt) fn resolve_alias(
    publish: &mut v5::Publish,
    aliases: &mut Vec<Option<TopicName>>,
    max: u16,
) -> Result<(), Violation> {
    let Some(alias) = publish.properties.topic_alias.take() else {
        return Ok(());
    };
    if alias > max {
        return Err(Violation::new(code::ALIAS_INVALID, format!("topic alias {alias}, {max} are allowed")));
    }
    let at = usize::from(alias) - 1;
    if publish.topic_name.is_empty() {
        let Some(Some(name)) = aliases.get(at) else {
            return Err(Violation::new(code::PROTOCOL, format!("topic alias {alias} is not set")));
        };
        publish.topic_name = name.clone();
        return Ok(());
    }
    if aliases.len() <= at {
        aliases.resize(at + 1, None);
    }
    if let Some(place) = aliases.get_mut(at) {
        *place = Some(publish.topic_name.clone());
    }
    Ok(())
}
