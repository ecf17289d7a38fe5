//! What a client says to a broker beside its acknowledgements.

use mqtt_proto::v5::{ConnectProperties, RetainHandling, SubscriptionOptions};
use mqtt_proto::{Pid, Protocol, QoS, TopicFilter, v3, v5};

use super::{Version, Wire};

/// What a CONNECT says; the session is always to be kept.
#[derive(Clone, Copy)]
pub(in crate::mqtt) struct Hello<'a> {
    pub(in crate::mqtt) client: &'a str,
    pub(in crate::mqtt) user: Option<&'a str>,
    pub(in crate::mqtt) password: Option<&'a str>,
    /// Seconds.
    pub(in crate::mqtt) keep_alive: u16,
    /// Seconds that the session outlives a connection.
    pub(in crate::mqtt) expiry: u32,
    pub(in crate::mqtt) receive_maximum: u16,
}

impl Wire {
    pub(in crate::mqtt) fn connect(&self, out: &mut Vec<u8>, hello: &Hello<'_>) {
        let password = hello.password.map(|text| bytes::Bytes::copy_from_slice(text.as_bytes()));
        let packet = match self.version {
            Version::V3 => v3::Packet::Connect(v3::Connect {
                protocol: Protocol::V311,
                clean_session: false,
                keep_alive: hello.keep_alive,
                client_id: hello.client.into(),
                last_will: None,
                username: hello.user.map(Into::into),
                password,
            })
            .encode(),
            Version::V5 => v5::Packet::Connect(v5::Connect {
                protocol: Protocol::V500,
                clean_start: false,
                keep_alive: hello.keep_alive,
                properties: ConnectProperties {
                    session_expiry_interval: Some(hello.expiry),
                    receive_max: Some(hello.receive_maximum),
                    ..Default::default()
                },
                client_id: hello.client.into(),
                last_will: None,
                username: hello.user.map(Into::into),
                password,
            })
            .encode(),
        };
        self.push(out, packet);
    }

    /// Asks for messages. What is retained comes once for each subscription that is new (5.0), or never without `retained`; 3.1.1 knows no such choice.
    pub(in crate::mqtt) fn subscribe(
        &self,
        out: &mut Vec<u8>,
        pid: u16,
        filters: &[String],
        qos: QoS,
        retained: bool,
    ) {
        let Ok(pid) = Pid::try_from(pid) else { return };
        let filters = filters.iter().filter_map(|filter| TopicFilter::try_from(filter.as_str()).ok());
        let retain_handling =
            if retained { RetainHandling::SendAtSubscribeIfNotExist } else { RetainHandling::DoNotSend };
        let packet = match self.version {
            Version::V3 => {
                let filters = filters.map(|filter| (filter, qos)).collect();
                v3::Packet::Subscribe(v3::Subscribe::new(pid, filters)).encode()
            }
            Version::V5 => {
                let options = SubscriptionOptions {
                    max_qos: qos,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling,
                };
                let filters = filters.map(|filter| (filter, options)).collect();
                v5::Packet::Subscribe(v5::Subscribe::new(pid, filters)).encode()
            }
        };
        self.push(out, packet);
    }

    pub(in crate::mqtt) fn pingreq(&self, out: &mut Vec<u8>) {
        self.push(out, v3::Packet::Pingreq.encode());
    }

    /// Takes leave; the session stays.
    pub(in crate::mqtt) fn leave(&self, out: &mut Vec<u8>) {
        let packet = match self.version {
            Version::V3 => v3::Packet::Disconnect.encode(),
            Version::V5 => v5::Packet::Disconnect(v5::Disconnect::new_normal()).encode(),
        };
        self.push(out, packet);
    }
}
