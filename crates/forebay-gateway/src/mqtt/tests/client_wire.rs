//! What a broker may send, read from any bytes; and the client against the end point of our own.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::SystemClock;
use mqtt_proto::v5;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::stand::{Stand, TestLog, TestRoutes, five, publish5};
use crate::Counts;
use crate::mqtt::client::{Client, Protocol, Server, Settings};
use crate::mqtt::wire::{Version, decode_from_broker, skim};

proptest! {
    #[test]
    fn no_bytes_of_a_broker_make_the_client_panic(first: u8, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V3, Version::V5] {
            drop(decode_from_broker(version, first, &body));
        }
        drop(skim(first, &body));
    }
}

#[test]
fn a_message_cut_at_any_place_is_refused_and_never_another_message() {
    let mut publish = publish5("t/1", 1, 7, "payload");
    publish.properties.content_type = Some("text".into());
    let packet = v5::Packet::Publish(publish.clone()).encode().unwrap();
    let body = &packet.as_ref()[2..];
    for end in 0..body.len() {
        if let Ok(read) = decode_from_broker(Version::V5, 0x32, &body[..end]) {
            let crate::mqtt::wire::FromBroker::Publish(read) = read else { panic!() };
            assert!(b"payload".starts_with(&read.payload) && read.topic_name == publish.topic_name);
        }
    }
}

#[tokio::test]
async fn two_clients_share_what_devices_publish_to_an_end_point() {
    for protocol in [Protocol::V311, Protocol::V5] {
        let stand = Stand::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = stand.broker.clone();
        tokio::spawn(async move { broker.listen(listener, None, std::future::pending()).await });
        let (log, stop) = (Arc::new(TestLog::default()), CancellationToken::new());
        let clients: Vec<Arc<Client>> = ["a", "b"]
            .map(|client| {
                Arc::new(Client::new(Settings {
                    name: "hall".to_owned(),
                    server: Server { host: "localhost".to_owned(), port, is_encrypted: false, tls: None },
                    protocol,
                    client: client.to_owned(),
                    user: None,
                    password: None,
                    filters: vec!["$share/g/t/#".to_owned()],
                    qos: 1,
                    expiry: Duration::from_secs(60),
                    keep_alive: Duration::from_secs(30),
                    receive_maximum: 5,
                    under_way_bytes: 1 << 20,
                    max_packet: 1 << 20,
                    drops_retained: false,
                }))
            })
            .into();
        for client in &clients {
            let run = Arc::clone(client).run(
                Arc::new(TestRoutes),
                log.clone(),
                Arc::new(SystemClock),
                stop.clone(),
            );
            tokio::spawn(run);
        }
        stand.until(|_| clients.iter().all(|client| client.state().unwrap().is_up)).await;
        let (mut device, _) = stand.connect5(five("device")).await;
        for id in 1..=100 {
            device.send5(v5::Packet::Publish(publish5("t/1", 1, id, &id.to_string()))).await;
            device.read5().await;
        }
        stand.until(|_| log.values().len() == 100).await;
        let mut numbers: Vec<u32> = log.values().iter().map(|value| value.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=100));
        stop.cancel();
    }
}
