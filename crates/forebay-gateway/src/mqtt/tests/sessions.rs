//! Sessions, wills, keep-alive: what outlives a connection, and what ends one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use mqtt_proto::{QoS, TopicName, v3, v5};

use super::stand::{Stand, five, pid, publish5, three};
use crate::mqtt::Options;

#[tokio::test]
async fn a_session_is_there_until_it_expires_or_a_clean_start() {
    let stand = Stand::new();
    let (client, connack) = stand.connect5(five("a")).await;
    assert!(!connack.session_present);
    drop(client);
    stand.alone().await;
    let (client, connack) = stand.connect5(five("a")).await;
    assert!(connack.session_present);
    drop(client);
    stand.alone().await;
    let mut clean = five("a");
    clean.clean_start = true;
    clean.properties.session_expiry_interval = Some(1);
    let (client, connack) = stand.connect5(clean).await;
    assert!(!connack.session_present);
    drop(client);
    stand.alone().await;
    stand.until(|stand| stand.broker.snapshot().sessions_now == 0).await;
    assert!(!stand.connect5(five("a")).await.1.session_present);
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let stand = Stand::new();
    let mut first = stand.five("a").await;
    let (mut second, connack) = stand.connect5(five("a")).await;
    assert!(connack.session_present);
    assert_eq!(first.disconnected().await, 0x8E);
    second.send5(v5::Packet::Pingreq).await;
    assert_eq!(second.read5().await, Some(v5::Packet::Pingresp));
    assert_eq!(stand.broker.snapshot().sessions_taken_over, 1);
}

#[tokio::test]
async fn a_session_belongs_to_who_began_it() {
    let stand = Stand::new();
    let mut mine = five("a");
    mine.username = Some("me".into());
    mine.password = Some(Bytes::from_static(b"right"));
    let (_mine, connack) = stand.connect5(mine).await;
    assert_eq!(connack.reason_code as u8, 0);
    let (_, connack) = stand.connect5(five("a")).await;
    assert_eq!(connack.reason_code as u8, 0x85);
}

#[tokio::test]
async fn who_has_no_right_is_told_so_and_closed() {
    let stand = Stand::new();
    stand.access.closed.store(true, Ordering::SeqCst);
    let (mut client, connack) = stand.connect5(five("a")).await;
    assert_eq!(connack.reason_code as u8, 0x87);
    assert_eq!(client.read5().await, None);
    let mut wrong = three("b");
    wrong.username = Some("me".into());
    wrong.password = Some(Bytes::from_static(b"wrong"));
    let (mut client, connack) = stand.connect3(wrong).await;
    assert_eq!(connack.code, v3::ConnectReturnCode::BadUserNameOrPassword);
    assert_eq!(client.read3().await, None);
    let (_, connack) = stand.connect3(three("c")).await;
    assert_eq!(connack.code, v3::ConnectReturnCode::NotAuthorized);
    assert_eq!(stand.broker.snapshot().sessions_now, 0);
}

#[tokio::test]
async fn a_client_without_an_id_gets_one() {
    let stand = Stand::new();
    let mut connect = five("");
    connect.clean_start = true;
    let (_client, connack) = stand.connect5(connect).await;
    assert!(connack.properties.assigned_client_id.is_some_and(|id| id.len() > 8));
    let (_, connack) = stand.connect3(three("")).await;
    assert_eq!(connack.code, v3::ConnectReturnCode::IdentifierRejected);
    let mut clean = three("");
    clean.clean_session = true;
    assert_eq!(stand.connect3(clean).await.1.code, v3::ConnectReturnCode::Accepted);
}

fn with_will(name: &str, delay: u32) -> v5::Connect {
    let mut connect = five(name);
    let mut will =
        v5::LastWill::new(QoS::Level1, TopicName::try_from("wills/a").unwrap(), Bytes::from_static(b"gone"));
    will.properties.delay_interval = Some(delay);
    connect.last_will = Some(will);
    connect
}

#[tokio::test]
async fn a_will_is_published_unless_the_client_takes_leave() {
    let stand = Stand::new();
    let (mut client, _) = stand.connect5(with_will("a", 0)).await;
    client
        .send5(v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnect)))
        .await;
    assert_eq!(client.read5().await, None);
    stand.alone().await;
    assert_eq!(stand.broker.snapshot().wills, 0);
    let (client, _) = stand.connect5(with_will("a", 0)).await;
    drop(client);
    stand.until(|stand| stand.log.values() == ["gone"]).await;
    let (mut client, _) = stand.connect5(with_will("a", 0)).await;
    client
        .send5(v5::Packet::Disconnect(v5::Disconnect::new(
            v5::DisconnectReasonCode::DisconnectWithWillMessage,
        )))
        .await;
    stand.until(|stand| stand.log.values() == ["gone", "gone"]).await;
}

#[tokio::test]
async fn a_delayed_will_waits_and_is_forgotten_if_the_client_comes_back() {
    let stand = Stand::new();
    drop(stand.connect5(with_will("a", 1)).await);
    stand.alone().await;
    let (mut client, _) = stand.connect5(with_will("a", 1)).await;
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert!(stand.log.values().is_empty());
    client.send5(v5::Packet::Pingreq).await;
    client.read5().await;
    drop(client);
    stand.alone().await;
    assert!(stand.log.values().is_empty());
    stand.until(|stand| stand.log.values() == ["gone"]).await;
}

#[tokio::test]
async fn silence_for_one_and_a_half_keep_alives_ends_a_connection() {
    let stand = Stand::new();
    let mut connect = with_will("a", 0);
    connect.keep_alive = 1;
    let began = std::time::Instant::now();
    let (mut client, _) = stand.connect5(connect).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    client.send5(v5::Packet::Pingreq).await;
    assert_eq!(client.read5().await, Some(v5::Packet::Pingresp));
    assert_eq!(client.disconnected().await, 0x8D);
    assert!(began.elapsed() >= Duration::from_millis(2400), "{:?}", began.elapsed());
    stand.until(|stand| stand.log.values() == ["gone"]).await;
}

#[tokio::test]
async fn a_shutdown_answers_what_was_read_and_says_that_it_goes() {
    let stand = Stand::new();
    stand.log.set(super::stand::Mood::Holds);
    let mut client = stand.five("a").await;
    client.send5(v5::Packet::Publish(publish5("t", 1, 1, "x"))).await;
    stand.until(|stand| stand.log.held() == 1).await;
    let broker = stand.broker.clone();
    let down = tokio::spawn(async move { broker.shutdown(Duration::from_secs(5)).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    stand.log.release(true);
    assert_eq!(client.read5().await, Some(v5::Packet::Puback(v5::Puback::new_success(pid(1)))));
    assert_eq!(client.disconnected().await, 0x8B);
    down.await.unwrap();
    assert_eq!(stand.broker.snapshot().connections_now, 0);
}

#[tokio::test]
async fn limits_of_connections_and_sessions_hold() {
    let stand = Stand::with(Options { max_connections: 2, max_sessions: 3, ..Options::default() });
    let one = stand.five("1").await;
    let _two = stand.five("2").await;
    let mut three = stand.dial();
    three.send5(v5::Packet::Connect(five("3"))).await;
    assert_eq!(three.read5().await, None);
    drop(one);
    stand.until(|stand| stand.broker.snapshot().connections_now == 1).await;
    drop(stand.five("3").await);
    stand.until(|stand| stand.broker.snapshot().connections_now == 1).await;
    assert_eq!(stand.connect5(five("4")).await.1.reason_code as u8, 0x97);
}

#[tokio::test]
async fn a_connection_that_nobody_polls_any_more_gives_its_session_back() {
    let stand = Stand::new();
    let (mut client, server) = tokio::io::duplex(4096);
    let broker = stand.broker.clone();
    let peer = crate::mqtt::Peer { name: "test".into(), certificate: None };
    let served = tokio::spawn(async move { broker.serve(server, peer).await });
    let connect = v5::Packet::Connect(with_will("a", 0)).encode().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, connect.as_ref()).await.unwrap();
    stand.until(|stand| stand.broker.snapshot().connections == 1).await;
    served.abort();
    stand.alone().await;
    assert!(stand.connect5(five("a")).await.1.session_present);
    stand.until(|stand| stand.log.values() == ["gone"]).await;
}
