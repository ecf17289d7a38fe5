//! From packets to bytes, in the words that the client's version knows.

use std::sync::Arc;

use mqtt_proto::v5::{ConnackProperties, PubackProperties, PublishProperties, PubrecProperties};
use mqtt_proto::{Pid, QoS, QosPid, TopicName, VarBytes, v3, v5};

use super::{Version, code};

/// How one client is written to.
#[derive(Clone, Copy, Debug)]
pub(in crate::mqtt) struct Wire {
    pub(in crate::mqtt) version: Version,
    /// Whether it wants reason strings.
    pub(in crate::mqtt) problem_information: bool,
    /// The largest packet it takes.
    pub(in crate::mqtt) max_packet: u32,
}

/// One message to a subscriber.
pub(in crate::mqtt) struct Outgoing<'a> {
    pub(in crate::mqtt) topic: &'a TopicName,
    pub(in crate::mqtt) payload: &'a bytes::Bytes,
    pub(in crate::mqtt) qos: QoS,
    pub(in crate::mqtt) pid: u16,
    pub(in crate::mqtt) dup: bool,
    pub(in crate::mqtt) retain: bool,
    pub(in crate::mqtt) properties: &'a PublishProperties,
    pub(in crate::mqtt) id: Option<u32>,
    /// Seconds until it expires.
    pub(in crate::mqtt) expiry: Option<u32>,
}

impl Wire {
    pub(super) fn push(&self, out: &mut Vec<u8>, packet: Result<VarBytes, mqtt_proto::Error>) -> bool {
        match packet {
            Ok(bytes) if bytes.as_ref().len() <= usize::try_from(self.max_packet).unwrap_or(usize::MAX) => {
                out.extend_from_slice(bytes.as_ref());
                true
            }
            _ => false,
        }
    }

    /// A packet that is made by hand; no longer than a SUBACK can be.
    fn push_short(&self, out: &mut Vec<u8>, first: u8, body: &[u8]) {
        out.push(first);
        let mut rest = body.len();
        loop {
            let low = u8::try_from(rest & 0x7F).unwrap_or_default();
            rest >>= 7;
            out.push(if rest > 0 { low | 0x80 } else { low });
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(body);
    }

    /// The reason as a property, where it is wanted and fits: a packet that grew beyond the client's limit by it goes without.
    fn reason(&self, why: Option<&str>) -> Option<Arc<str>> {
        let why = why.filter(|_| self.problem_information)?;
        let room = usize::try_from(self.max_packet).unwrap_or(usize::MAX).min(1024);
        (why.len() + 32 <= room).then(|| why.into())
    }

    pub(in crate::mqtt) fn connack(
        &self,
        out: &mut Vec<u8>,
        present: bool,
        reason: u8,
        properties: ConnackProperties,
    ) {
        match self.version {
            Version::V3 => {
                let code = match reason {
                    code::SUCCESS => v3::ConnectReturnCode::Accepted,
                    code::VERSION => v3::ConnectReturnCode::UnacceptableProtocolVersion,
                    code::CLIENT_ID => v3::ConnectReturnCode::IdentifierRejected,
                    code::BAD_PASSWORD => v3::ConnectReturnCode::BadUserNameOrPassword,
                    code::NOT_AUTHORIZED => v3::ConnectReturnCode::NotAuthorized,
                    _ => v3::ConnectReturnCode::ServerUnavailable,
                };
                self.push(out, v3::Packet::Connack(v3::Connack::new(present, code)).encode());
            }
            Version::V5 => {
                let reason_code =
                    v5::ConnectReasonCode::from_u8(reason).unwrap_or(v5::ConnectReasonCode::UnspecifiedError);
                let packet = v5::Connack { session_present: present, reason_code, properties };
                self.push(out, v5::Packet::Connack(packet).encode());
            }
        }
    }

    pub(in crate::mqtt) fn puback(&self, out: &mut Vec<u8>, pid: u16, reason: u8, why: Option<&str>) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let packet = match self.version {
            Version::V3 => v3::Packet::Puback(pid).encode(),
            Version::V5 => v5::Packet::Puback(v5::Puback {
                pid,
                reason_code: v5::PubackReasonCode::from_u8(reason)
                    .unwrap_or(v5::PubackReasonCode::UnspecifiedError),
                properties: PubackProperties { reason_string: self.reason(why), ..Default::default() },
            })
            .encode(),
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn pubrec(&self, out: &mut Vec<u8>, pid: u16, reason: u8, why: Option<&str>) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let packet = match self.version {
            Version::V3 => v3::Packet::Pubrec(pid).encode(),
            Version::V5 => v5::Packet::Pubrec(v5::Pubrec {
                pid,
                reason_code: v5::PubrecReasonCode::from_u8(reason)
                    .unwrap_or(v5::PubrecReasonCode::UnspecifiedError),
                properties: PubrecProperties { reason_string: self.reason(why), ..Default::default() },
            })
            .encode(),
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn pubrel(&self, out: &mut Vec<u8>, pid: u16, known: bool) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let reason = if known {
            v5::PubrelReasonCode::Success
        } else {
            v5::PubrelReasonCode::PacketIdentifierNotFound
        };
        let packet = match self.version {
            Version::V3 => v3::Packet::Pubrel(pid).encode(),
            Version::V5 => v5::Packet::Pubrel(v5::Pubrel::new(pid, reason)).encode(),
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn pubcomp(&self, out: &mut Vec<u8>, pid: u16, known: bool) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let reason = if known {
            v5::PubcompReasonCode::Success
        } else {
            v5::PubcompReasonCode::PacketIdentifierNotFound
        };
        let packet = match self.version {
            Version::V3 => v3::Packet::Pubcomp(pid).encode(),
            Version::V5 => v5::Packet::Pubcomp(v5::Pubcomp::new(pid, reason)).encode(),
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn suback(&self, out: &mut Vec<u8>, pid: u16, codes: &[u8]) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let packet = match self.version {
            // By hand: the codec writes a refusal as 3, which no client knows; it is 0x80.
            Version::V3 => {
                let mut body = pid.value().to_be_bytes().to_vec();
                body.extend(codes.iter().map(|code| if *code > 2 { 0x80 } else { *code }));
                return self.push_short(out, 0x90, &body);
            }
            Version::V5 => {
                let code = |code: &u8| {
                    v5::SubscribeReasonCode::from_u8(*code)
                        .unwrap_or(v5::SubscribeReasonCode::UnspecifiedError)
                };
                v5::Packet::Suback(v5::Suback::new(pid, codes.iter().map(code).collect())).encode()
            }
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn unsuback(&self, out: &mut Vec<u8>, pid: u16, there: &[bool]) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let packet = match self.version {
            Version::V3 => v3::Packet::Unsuback(pid).encode(),
            Version::V5 => {
                let code = |there: &bool| match there {
                    true => v5::UnsubscribeReasonCode::Success,
                    false => v5::UnsubscribeReasonCode::NoSubscriptionExisted,
                };
                v5::Packet::Unsuback(v5::Unsuback::new(pid, there.iter().map(code).collect())).encode()
            }
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn pingresp(&self, out: &mut Vec<u8>) {
        self.push(out, v3::Packet::Pingresp.encode());
    }

    /// Only 5.0 lets a server say why it closes.
    pub(in crate::mqtt) fn disconnect(&self, out: &mut Vec<u8>, reason: u8, why: &str) {
        if self.version == Version::V3 {
            return;
        }
        let reason_code =
            v5::DisconnectReasonCode::from_u8(reason).unwrap_or(v5::DisconnectReasonCode::UnspecifiedError);
        let properties =
            v5::DisconnectProperties { reason_string: self.reason(Some(why)), ..Default::default() };
        self.push(out, v5::Packet::Disconnect(v5::Disconnect { reason_code, properties }).encode());
    }

    /// A message to a subscriber; false if it is larger than what the client takes.
    pub(in crate::mqtt) fn publish(&self, out: &mut Vec<u8>, message: &Outgoing<'_>) -> bool {
        let qos_pid = match (message.qos, Pid::try_from(message.pid)) {
            (QoS::Level1, Ok(pid)) => QosPid::Level1(pid),
            (QoS::Level2, Ok(pid)) => QosPid::Level2(pid),
            _ => QosPid::Level0,
        };
        let packet = match self.version {
            Version::V3 => v3::Packet::Publish(v3::Publish {
                dup: message.dup,
                retain: message.retain,
                qos_pid,
                topic_name: message.topic.clone(),
                payload: message.payload.clone(),
            })
            .encode(),
            Version::V5 => v5::Packet::Publish(v5::Publish {
                dup: message.dup,
                retain: message.retain,
                qos_pid,
                topic_name: message.topic.clone(),
                payload: message.payload.clone(),
                properties: PublishProperties {
                    subscription_id: message.id.and_then(|id| v5::VarByteInt::try_from(id).ok()),
                    message_expiry_interval: message.expiry,
                    ..message.properties.clone()
                },
            })
            .encode(),
        };
        self.push(out, packet)
    }
}
