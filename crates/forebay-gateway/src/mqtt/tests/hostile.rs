//! Bytes that nobody should send (trials.md, 48): each is answered as the specification says or closes its connection, and the server
//! serves on.

use std::time::Duration;

use mqtt_proto::{QoS, TopicFilter, v3, v5};
use proptest::prelude::*;

use super::stand::{Stand, five, pid, publish3, publish5, three};
use crate::mqtt::Options;
use crate::mqtt::wire::{self, Cut, Version};

/// What a client of 5.0 is told for some bytes behind its CONNECT; none: closed without a word.
async fn told(stand: &Stand, bytes: &[u8]) -> Option<u8> {
    let mut client = stand.five("told").await;
    client.raw(bytes).await;
    match client.read5().await {
        Some(v5::Packet::Disconnect(disconnect)) => Some(disconnect.reason_code as u8),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_the_connection_with_its_reason() {
    let stand = Stand::new();
    for (what, bytes, expected) in [
        ("a remaining length of 268,435,455", &b"\x30\xFF\xFF\xFF\x7F"[..], 0x95),
        ("a remaining length of five bytes", b"\x30\xFF\xFF\xFF\xFF\x01", 0x81),
        ("a wildcard in a topic", b"\x30\x05\x00\x02a#\x00", 0x90),
        ("a NUL in a topic", b"\x30\x05\x00\x02a\x00\x00", 0x90),
        ("QoS 3", b"\x36\x06\x00\x01a\x00\x01\x00", 0x81),
        ("DUP with QoS 0", b"\x38\x04\x00\x01a\x00", 0x81),
        ("packet id 0", b"\x32\x06\x00\x01a\x00\x00\x00", 0x81),
        ("no topic", b"\x30\x03\x00\x00\x00", 0x90),
        ("a topic beyond the packet", b"\x30\x03\x00\x50a", 0x81),
        ("not UTF-8", b"\x30\x04\x00\x01\xFF\x00", 0x81),
        ("alias 0", b"\x30\x07\x00\x01a\x03\x23\x00\x00", 0x94),
        ("an alias that is not set", b"\x30\x06\x00\x00\x03\x23\x00\x01", 0x82),
        ("the same property twice", b"\x30\x0A\x00\x01a\x06\x23\x00\x01\x23\x00\x01", 0x82),
        ("a second CONNECT", b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", 0x82),
        ("a CONNACK from a client", b"\x20\x03\x00\x00\x00", 0x82),
        ("SUBSCRIBE without its flags", b"\x80\x06\x00\x01\x00\x00\x01a\x00", 0x81),
        ("SUBSCRIBE to nothing", b"\x82\x03\x00\x01\x00", 0x82),
        ("SUBSCRIBE to a broken filter", b"\x82\x08\x00\x01\x00\x00\x02a#\x00", 0x8F),
        ("AUTH without a method", b"\xF0\x00", 0x82),
        ("packet type 0", b"\x00\x00", 0x81),
        ("bytes behind the end", b"\xC0\x01\x00", 0x81),
    ] {
        assert_eq!(told(&stand, bytes).await, Some(expected), "{what}");
    }
    assert!(stand.log.values().is_empty());
    assert!(stand.connect5(five("told")).await.1.session_present, "and it serves on");
}

#[tokio::test]
async fn publish_before_connect_is_closed_without_a_word() {
    let stand = Stand::new();
    for bytes in [
        publish5("t", 1, 1, "x").into_bytes(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01".to_vec(),
        b"\x10\x0C\x00\x04MQTT\x04\x03\x00\x00\x00\x00".to_vec(),
    ] {
        let mut client = stand.dial();
        client.raw(&bytes).await;
        let answer = client.read3().await;
        assert!(matches!(answer, None | Some(v3::Packet::Connack(_))), "{answer:?}");
    }
    let mut unknown = stand.dial();
    unknown.raw(b"\x10\x0C\x00\x04MQTT\x03\x02\x00\x00\x00\x00").await;
    match unknown.read3().await {
        Some(v3::Packet::Connack(connack)) => {
            assert_eq!(connack.code, v3::ConnectReturnCode::UnacceptableProtocolVersion);
        }
        other => panic!("{other:?}"),
    }
    assert!(stand.log.values().is_empty());
}

trait IntoBytes {
    fn into_bytes(self) -> Vec<u8>;
}

impl IntoBytes for v5::Publish {
    fn into_bytes(self) -> Vec<u8> {
        v5::Packet::Publish(self).encode().unwrap().as_ref().to_vec()
    }
}

#[tokio::test]
async fn a_connect_that_does_not_end_and_a_packet_that_does_not_are_closed_in_time() {
    let stand = Stand::with(Options {
        connect_timeout: Duration::from_millis(100),
        packet_timeout: Duration::from_millis(150),
        ..Options::default()
    });
    let mut silent = stand.dial();
    assert_eq!(silent.read3().await, None);
    let mut slow = stand.dial();
    for byte in b"\x10\x0C\x00\x04MQ" {
        slow.raw(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(slow.read3().await, None);
    let mut begun = stand.five("begun").await;
    begun.raw(b"\x30\x50\x00").await;
    assert_eq!(begun.disconnected().await, 0x82);
    assert_eq!(stand.broker.snapshot().connections_refused, 2);
}

/// Every packet that a client may send, in both versions.
fn every_packet() -> Vec<(Version, Vec<u8>)> {
    let filter = || TopicFilter::try_from("a/+/#").unwrap();
    let options = v5::SubscriptionOptions {
        max_qos: QoS::Level1,
        no_local: true,
        retain_as_published: true,
        retain_handling: v5::RetainHandling::DoNotSend,
    };
    let mut publish = publish5("a/b", 2, 7, "payload");
    publish.properties.content_type = Some("text/plain".into());
    publish.properties.user_properties.push(v5::UserProperty { name: "n".into(), value: "v".into() });
    let five = [
        v5::Packet::Publish(publish),
        v5::Packet::Puback(v5::Puback::new(pid(1), v5::PubackReasonCode::QuotaExceeded)),
        v5::Packet::Pubrec(v5::Pubrec::new_success(pid(1))),
        v5::Packet::Pubrel(v5::Pubrel::new(pid(1), v5::PubrelReasonCode::PacketIdentifierNotFound)),
        v5::Packet::Pubcomp(v5::Pubcomp::new_success(pid(1))),
        v5::Packet::Subscribe(v5::Subscribe::new(pid(2), vec![(filter(), options)])),
        v5::Packet::Unsubscribe(v5::Unsubscribe::new(pid(3), vec![filter()])),
        v5::Packet::Pingreq,
        v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::DisconnectWithWillMessage)),
    ];
    let three = [
        v3::Packet::Publish(publish3("a/b", 1, 7, "payload")),
        v3::Packet::Puback(pid(1)),
        v3::Packet::Pubrec(pid(1)),
        v3::Packet::Pubrel(pid(1)),
        v3::Packet::Pubcomp(pid(1)),
        v3::Packet::Subscribe(v3::Subscribe::new(pid(2), vec![(filter(), QoS::Level2)])),
        v3::Packet::Unsubscribe(v3::Unsubscribe::new(pid(3), vec![filter()])),
        v3::Packet::Pingreq,
        v3::Packet::Disconnect,
    ];
    let five = five.iter().map(|packet| (Version::V5, packet.encode().unwrap().as_ref().to_vec()));
    let three = three.iter().map(|packet| (Version::V3, packet.encode().unwrap().as_ref().to_vec()));
    five.chain(three).collect()
}

#[test]
fn a_packet_cut_at_any_byte_is_whole_or_not_and_never_something_else() {
    for (version, bytes) in every_packet() {
        for end in 0..bytes.len() {
            match wire::cut(&bytes[..end], 1000).unwrap() {
                Cut::Whole(..) => panic!("{end} bytes of {bytes:?} are taken for a packet"),
                Cut::Needs(total) => assert_eq!(total, bytes.len()),
                Cut::Header => assert!(end < 2),
            }
            if end >= 2 {
                // A body that lost its end is refused, or is a shorter packet of its own; it never panics.
                drop(wire::decode(version, bytes[0], &bytes[2..end]));
            }
        }
        assert_eq!(wire::cut(&bytes, 1000).unwrap(), Cut::Whole(2, bytes.len()));
        wire::decode(version, bytes[0], &bytes[2..]).unwrap();
    }
}

#[tokio::test]
async fn packets_split_at_any_byte_are_read_as_they_are() {
    let stand = Stand::new();
    let mut client = stand.three("a").await;
    let bytes = v3::Packet::Publish(publish3("t", 1, 9, "whole")).encode().unwrap().as_ref().to_vec();
    for end in 1..bytes.len() {
        client.raw(&bytes[..end]).await;
        tokio::task::yield_now().await;
        client.raw(&bytes[end..]).await;
        assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(9))));
    }
    assert_eq!(stand.log.values(), vec!["whole"; bytes.len() - 1]);
}

proptest! {
    #[test]
    fn no_bytes_panic(first: u8, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V3, Version::V5] {
            drop(wire::decode(version, first, &body));
        }
        drop(wire::decode_connect(0x10, &body));
        let mut named = b"\x00\x04MQTT\x05".to_vec();
        named.extend_from_slice(&body);
        drop(wire::decode_connect(0x10, &named));
        drop(wire::cut(&body, 1000));
    }

    #[test]
    fn no_change_of_a_good_packet_panics(at: proptest::sample::Index, other: u8, which: proptest::sample::Index) {
        let packets = every_packet();
        let (version, mut bytes) = packets[which.index(packets.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = other;
        drop(wire::decode(version, bytes[0], &bytes[2..]));
    }
}

#[tokio::test]
async fn random_bytes_end_their_connection_and_nothing_else() {
    let stand = Stand::new();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    println!("seed {seed:#x}");
    for _ in 0..200 {
        let mut client = stand.three("noise").await;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()
        })
        .take(16)
        .flatten()
        .collect();
        client.raw(&bytes).await;
        drop(client);
    }
    assert_eq!(stand.connect3(three("noise")).await.1.code, v3::ConnectReturnCode::Accepted);
    stand.until(|stand| stand.broker.snapshot().connections_now <= 1).await;
}
