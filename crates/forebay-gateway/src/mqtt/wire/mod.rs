//! Packets: from bytes to what they say, and back, for 3.1.1 and 5.0 alike.
//!
//! The bytes of one packet are cut out here, so that a length is looked at before anything is kept for it, and are then read by the
//! codec. What the codec lets pass and the specification forbids is refused here too: bytes behind the end, values of zero where there
//! is none, wills and passwords that the flags contradict. Nothing here waits, and no input makes it panic.

mod decode;
mod encode;
mod from_broker;
mod to_broker;

use mqtt_proto::v5;
use mqtt_proto::{QoS, TopicFilter, TopicName};

pub(super) use decode::{Cut, cut, decode, decode_connect, resolve_alias};
pub(super) use encode::{Outgoing, Wire};
pub(super) use from_broker::{Connack, FromBroker, Skimmed, decode_from_broker, skim};
pub(super) use to_broker::Hello;

/// Which MQTT a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1, and 3.1, which differs in nothing that a server sees beside its name.
    V3,
    /// 5.0
    V5,
}

/// A breach of the protocol: the reason code of MQTT 5's DISCONNECT, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u8,
    pub(super) why: String,
}

impl Violation {
    pub(super) fn new(code: u8, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// Reason codes that this end point uses.
pub(super) mod code {
    pub(in crate::mqtt) const SUCCESS: u8 = 0x00;
    pub(in crate::mqtt) const MALFORMED: u8 = 0x81;
    pub(in crate::mqtt) const PROTOCOL: u8 = 0x82;
    pub(in crate::mqtt) const IMPLEMENTATION: u8 = 0x83;
    pub(in crate::mqtt) const VERSION: u8 = 0x84;
    pub(in crate::mqtt) const CLIENT_ID: u8 = 0x85;
    pub(in crate::mqtt) const BAD_PASSWORD: u8 = 0x86;
    pub(in crate::mqtt) const NOT_AUTHORIZED: u8 = 0x87;
    pub(in crate::mqtt) const UNAVAILABLE: u8 = 0x88;
    pub(in crate::mqtt) const BUSY: u8 = 0x89;
    pub(in crate::mqtt) const SHUTTING_DOWN: u8 = 0x8B;
    pub(in crate::mqtt) const AUTH_METHOD: u8 = 0x8C;
    pub(in crate::mqtt) const KEEP_ALIVE: u8 = 0x8D;
    pub(in crate::mqtt) const TAKEN_OVER: u8 = 0x8E;
    pub(in crate::mqtt) const FILTER_INVALID: u8 = 0x8F;
    pub(in crate::mqtt) const TOPIC_INVALID: u8 = 0x90;
    pub(in crate::mqtt) const ID_IN_USE: u8 = 0x91;
    pub(in crate::mqtt) const RECEIVE_MAXIMUM: u8 = 0x93;
    pub(in crate::mqtt) const ALIAS_INVALID: u8 = 0x94;
    pub(in crate::mqtt) const TOO_LARGE: u8 = 0x95;
    pub(in crate::mqtt) const QUOTA: u8 = 0x97;
    pub(in crate::mqtt) const PAYLOAD_FORMAT: u8 = 0x99;
}

/// A packet that a client may send after its CONNECT.
#[derive(Debug)]
pub(super) enum Packet {
    Publish(v5::Publish),
    Puback { pid: u16 },
    Pubrec { pid: u16, code: u8 },
    Pubrel { pid: u16 },
    Pubcomp { pid: u16 },
    Subscribe { pid: u16, id: Option<u32>, filters: Vec<(TopicFilter, v5::SubscriptionOptions)> },
    Unsubscribe { pid: u16, filters: Vec<TopicFilter> },
    Pingreq,
    Disconnect { will: bool, expiry: Option<u32> },
}

/// What a client's CONNECT says, in 5.0's words.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) version: Version,
    pub(super) clean_start: bool,
    pub(super) keep_alive: u16,
    pub(super) client: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) will: Option<Will>,
    /// Seconds that the session outlives the connection; `u32::MAX`: for ever.
    pub(super) expiry: u32,
    pub(super) receive_maximum: u16,
    pub(super) max_packet: u32,
    pub(super) problem_information: bool,
    pub(super) auth_method: bool,
}

/// A will: what is published for a client that is gone.
#[derive(Clone, Debug)]
pub(super) struct Will {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) topic: TopicName,
    pub(super) payload: bytes::Bytes,
    pub(super) delay: u32,
    pub(super) properties: v5::PublishProperties,
}
