//! From a broker to the log: what is acknowledged when, and what comes twice over which ends. The broker is a test that says packet by packet
//! what it is told to.

use std::time::Duration;

use mqtt_proto::{TopicName, v3, v5};
use tokio::time::timeout;

use super::hall::Hall;
use super::stand::{Mood, pid, publish3, publish5};
use crate::Counts;

fn again(publish: v5::Publish) -> v5::Packet {
    v5::Packet::Publish(v5::Publish { dup: true, ..publish })
}

fn acked(id: u16) -> Option<v5::Packet> {
    Some(v5::Packet::Puback(v5::Puback::new_success(pid(id))))
}

#[tokio::test]
async fn the_session_is_kept_and_the_broker_learns_what_may_be_under_way() {
    let hall = Hall::new(|settings| {
        settings.filters = vec!["t/#".to_owned(), "$share/g/u".to_owned()];
        (settings.user, settings.password) = (Some("uno".to_owned()), Some("secret".to_owned()));
    })
    .await;
    let mut link = hall.dialled().await;
    let Some(v5::Packet::Connect(connect)) = link.read5().await else { panic!() };
    assert!(!connect.clean_start);
    assert_eq!(
        (connect.properties.session_expiry_interval, connect.properties.receive_max),
        (Some(3600), Some(10))
    );
    assert_eq!((&*connect.client_id, connect.username.as_deref()), ("forebay-1", Some("uno")));
    assert_eq!(connect.password.as_deref(), Some(&b"secret"[..]));
    link.send5(v5::Packet::Connack(v5::Connack::new(false, v5::ConnectReasonCode::Success))).await;
    let Some(v5::Packet::Subscribe(packet)) = link.read5().await else { panic!() };
    let filters: Vec<&str> = packet.topics.iter().map(|(filter, _)| &**filter).collect();
    assert_eq!(filters, ["t/#", "$share/g/u"]);
    assert!(!format!("{:?}", hall.client).contains("secret"), "the password is never printed");
    assert!(!hall.client.state().unwrap().is_up, "not before the broker took the subscriptions");
    let codes = vec![v5::SubscribeReasonCode::GrantedQoS2, v5::SubscribeReasonCode::NotAuthorized];
    link.send5(v5::Packet::Suback(v5::Suback::new(packet.pid, codes))).await;
    hall.until(|hall| hall.client.state().unwrap().is_up).await;
    let problem = hall.client.state().unwrap().problem.unwrap().to_string();
    assert!(problem.contains("$share/g/u") && !problem.contains("t/#"), "{problem}");
}

#[tokio::test]
async fn an_acknowledgement_waits_for_the_log_and_keeps_the_order() {
    let hall = Hall::three(|_| {}).await;
    hall.log.set(Mood::Holds);
    let mut link = hall.subscribed3(false).await;
    for id in [3, 1, 2] {
        let level = if id == 1 { 2 } else { 1 };
        link.send3(v3::Packet::Publish(publish3("t/1", level, id, &id.to_string()))).await;
    }
    hall.until(|hall| hall.log.held() == 3).await;
    hall.log.release_last();
    hall.log.release_last();
    link.silent().await;
    hall.log.release(true);
    assert_eq!(link.read3().await, Some(v3::Packet::Puback(pid(3))));
    assert_eq!(link.read3().await, Some(v3::Packet::Pubrec(pid(1))));
    assert_eq!(link.read3().await, Some(v3::Packet::Puback(pid(2))));
    assert_eq!(hall.log.values(), ["3", "1", "2"]);
}

#[tokio::test]
async fn what_the_log_cannot_say_is_not_acknowledged_and_comes_again_in_order() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.subscribed(false).await;
    hall.log.set(Mood::Holds);
    for id in [1, 2] {
        link.send5(v5::Packet::Publish(publish5("t/1", 1, id, &id.to_string()))).await;
    }
    hall.until(|hall| hall.log.held() == 2).await;
    hall.log.release_last();
    hall.log.release(false);
    assert_eq!(link.read5().await, None, "closed without an acknowledgement");
    hall.log.set(Mood::Takes);
    let mut link = hall.five(true).await;
    for id in [1, 2] {
        link.send5(again(publish5("t/1", 1, id, &id.to_string()))).await;
        assert_eq!(link.read5().await, acked(id));
    }
    // The last of the device is the last in the log.
    assert_eq!(hall.log.values(), ["1", "2", "1", "2"]);
    assert_eq!((hall.count("unknown"), hall.count("taken")), (1, 3));
}

#[tokio::test]
async fn a_repeat_whose_first_is_in_the_log_is_acknowledged_and_not_written_again() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.subscribed(false).await;
    hall.log.set(Mood::Holds);
    for id in [1, 2, 3] {
        link.send5(v5::Packet::Publish(publish5("t/1", if id == 3 { 2 } else { 1 }, id, "x"))).await;
    }
    hall.until(|hall| hall.log.held() == 3).await;
    drop(link);
    tokio::time::sleep(Duration::from_millis(50)).await;
    hall.log.set(Mood::Takes);
    hall.log.release(true);
    let mut link = hall.five(true).await;
    link.send5(again(publish5("t/1", 1, 1, "x"))).await;
    assert_eq!(link.read5().await, acked(1));
    // Without DUP the id stands for another message.
    link.send5(v5::Packet::Publish(publish5("t/1", 1, 2, "y"))).await;
    assert_eq!(link.read5().await, acked(2));
    link.send5(again(publish5("t/1", 2, 3, "x"))).await;
    assert_eq!(link.read5().await, Some(v5::Packet::Pubrec(v5::Pubrec::new_success(pid(3)))));
    link.send5(v5::Packet::Pubrel(v5::Pubrel::new_success(pid(3)))).await;
    assert_eq!(link.read5().await, Some(v5::Packet::Pubcomp(v5::Pubcomp::new_success(pid(3)))));
    assert_eq!(hall.log.values(), ["x", "x", "x", "y"]);
    assert_eq!((hall.count("repeated"), hall.count("taken"), hall.count("connections")), (2, 4, 2));
}

#[tokio::test]
async fn when_the_broker_forgot_the_session_ids_mean_nothing_and_it_is_told() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.subscribed(false).await;
    hall.log.set(Mood::Holds);
    link.send5(v5::Packet::Publish(publish5("t/1", 1, 1, "old"))).await;
    link.send5(v5::Packet::Publish(publish5("t/1", 2, 2, "old"))).await;
    hall.until(|hall| hall.log.held() == 2).await;
    drop(link);
    tokio::time::sleep(Duration::from_millis(50)).await;
    hall.log.set(Mood::Takes);
    hall.log.release(true);
    // It subscribes again, since the subscriptions are forgotten too.
    let mut link = hall.subscribed(false).await;
    link.send5(again(publish5("t/1", 1, 1, "new"))).await;
    assert_eq!(link.read5().await, acked(1));
    link.send5(again(publish5("t/1", 2, 2, "new"))).await;
    link.read5().await;
    assert_eq!(hall.log.values(), ["old", "old", "new", "new"]);
    assert_eq!((hall.count("sessions_lost"), hall.count("repeated")), (1, 0));
}

#[tokio::test]
async fn a_slow_log_slows_the_broker_and_loses_nothing() {
    let hall = Hall::three(|settings| settings.receive_maximum = 2).await;
    let mut link = hall.subscribed3(false).await;
    hall.log.set(Mood::Holds);
    for id in 1..=50 {
        link.send3(v3::Packet::Publish(publish3("t/1", 1, id, &id.to_string()))).await;
    }
    hall.until(|hall| hall.log.held() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(hall.log.held(), 2, "no more than that is on its way");
    hall.log.set(Mood::Takes);
    hall.log.release(true);
    for id in 1..=50 {
        assert_eq!(link.read3().await, Some(v3::Packet::Puback(pid(id))));
    }
    assert_eq!(hall.log.values(), (1..=50).map(|id: i32| id.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_can_never_be_taken_is_refused_and_stops_nothing() {
    let hall = Hall::new(|settings| settings.max_packet = 1000).await;
    let mut link = hall.subscribed(false).await;
    let code = |packet: Option<v5::Packet>| match packet {
        Some(v5::Packet::Puback(puback)) => (puback.pid.value(), puback.reason_code as u8),
        Some(v5::Packet::Pubrec(pubrec)) => (pubrec.pid.value(), pubrec.reason_code as u8),
        other => panic!("{other:?}"),
    };
    let long = "x".repeat(100_000);
    link.send5(v5::Packet::Publish(publish5("t/1", 1, 1, &long))).await;
    assert_eq!(code(link.read5().await).0, 1);
    link.send5(v5::Packet::Publish(publish5("t/1", 2, 2, &long))).await;
    assert_eq!(code(link.read5().await).0, 2);
    link.send5(v5::Packet::Publish(publish5("t/1", 0, 0, &long))).await;
    link.send5(v5::Packet::Publish(publish5("nowhere/1", 1, 3, "x"))).await;
    assert_eq!(code(link.read5().await), (3, 0x90));
    link.send5(v5::Packet::Publish(publish5("wrong/1", 1, 4, "x"))).await;
    assert_eq!(code(link.read5().await), (4, 0x99));
    // A topic with a wildcard, which no broker should pass on: it would send it for ever.
    link.raw(&[0x32, 8, 0, 3, b't', b'/', b'#', 0, 5, 0]).await;
    assert_eq!(code(link.read5().await), (5, 0x90));
    // A payload that is not the UTF-8 that it says: somebody published it, and it is the log's to keep.
    link.raw(&[0x32, 10, 0, 1, b't', 0, 6, 2, 1, 1, 0xFF, 0xFE]).await;
    assert_eq!(link.read5().await, acked(6));
    assert_eq!(hall.log.values(), ["\u{FFFD}\u{FFFD}"]);
    assert_eq!((hall.count("refused"), hall.count("too_large"), hall.count("connections")), (6, 3, 1));
}

#[tokio::test]
async fn three_one_one_cannot_refuse_so_it_acknowledges_and_counts() {
    let hall = Hall::three(|_| {}).await;
    let mut link = hall.subscribed3(false).await;
    link.send3(v3::Packet::Publish(publish3("nowhere/1", 1, 3, "x"))).await;
    assert_eq!(link.read3().await, Some(v3::Packet::Puback(pid(3))));
    hall.log.set(Mood::Never);
    link.send3(v3::Packet::Publish(publish3("t/1", 2, 4, "x"))).await;
    assert_eq!(link.read3().await, Some(v3::Packet::Pubrec(pid(4))));
    assert_eq!(hall.count("refused"), 2);
}

#[tokio::test]
async fn what_was_retained_is_dropped_where_the_file_says_so() {
    let hall = Hall::new(|settings| settings.drops_retained = true).await;
    let mut link = hall.five(false).await;
    let Some(v5::Packet::Subscribe(packet)) = link.read5().await else { panic!() };
    assert_eq!(packet.topics[0].1.retain_handling, v5::RetainHandling::DoNotSend);
    let publish = |retain, id| v5::Packet::Publish(v5::Publish { retain, ..publish5("t/1", 1, id, "x") });
    link.send5(publish(true, 1)).await;
    assert_eq!(link.read5().await, acked(1));
    link.send5(publish(false, 2)).await;
    assert_eq!(link.read5().await, acked(2));
    assert_eq!((hall.log.values().len(), hall.count("retained_dropped")), (1, 1));
}

#[tokio::test]
async fn a_refusal_says_why_and_is_tried_again() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.dialled().await;
    link.read5().await;
    let connack = v5::Connack::new(false, v5::ConnectReasonCode::BadUserNameOrPassword);
    link.send5(v5::Packet::Connack(connack)).await;
    hall.until(|hall| hall.client.state().unwrap().problem.is_some()).await;
    let problem = hall.client.state().unwrap().problem.unwrap();
    assert!(problem.code().id == "FB-2013" && problem.hint().contains("`password`"), "{problem}");
    // A broker that speaks 3.1.1 alone.
    let mut link = hall.dialled().await;
    link.read5().await;
    link.raw(&[0x20, 2, 0, 1]).await;
    hall.until(|hall| hall.client.state().unwrap().problem.unwrap().hint().contains("3.1.1")).await;
    // No MQTT at all.
    let mut link = hall.dialled().await;
    link.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    hall.until(|hall| hall.client.state().unwrap().problem.unwrap().code().id == "FB-2012").await;
    // Sent away by a second client of the same id.
    let mut link = hall.subscribed(true).await;
    hall.until(|hall| hall.client.state().unwrap().is_up).await;
    assert!(hall.client.state().unwrap().problem.is_none());
    link.send5(v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::SessionTakenOver))).await;
    hall.until(|hall| !hall.client.state().unwrap().is_up).await;
    assert!(hall.client.state().unwrap().problem.unwrap().hint().contains("`clientId`"));
}

#[tokio::test]
async fn at_the_end_what_was_read_is_acknowledged_and_the_session_stays() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.subscribed(false).await;
    hall.log.set(Mood::Holds);
    link.send5(v5::Packet::Publish(publish5("t/1", 1, 1, "x"))).await;
    hall.until(|hall| hall.log.held() == 1).await;
    hall.stop.cancel();
    link.silent().await;
    link.send5(v5::Packet::Publish(publish5("t/1", 1, 2, "too late"))).await;
    hall.log.release(true);
    assert_eq!(link.read5().await, acked(1));
    assert_eq!(link.read5().await, Some(v5::Packet::Disconnect(v5::Disconnect::new_normal())));
    assert_eq!(link.read5().await, None);
    timeout(Duration::from_secs(5), hall.task).await.expect("it ends").unwrap();
    assert_eq!(hall.log.values(), ["x"]);
}

#[tokio::test]
async fn a_broker_that_is_silent_is_left() {
    let hall = Hall::new(|settings| settings.keep_alive = Duration::from_secs(1)).await;
    let mut link = hall.subscribed(false).await;
    assert_eq!(link.read5().await, Some(v5::Packet::Pingreq));
    link.send5(v5::Packet::Pingresp).await;
    // Then nothing more is said; another connection is made.
    let mut other = hall.five(true).await;
    other.send5(v5::Packet::Publish(publish5("t/1", 1, 1, "x"))).await;
    assert_eq!(other.read5().await, acked(1));
}

#[tokio::test]
async fn the_topic_of_a_message_and_its_properties_go_to_the_routes() {
    let hall = Hall::new(|_| {}).await;
    let mut link = hall.subscribed(false).await;
    let mut publish = publish5("t/a/b", 1, 1, "x");
    publish.topic_name = TopicName::try_from("t/ä").unwrap();
    publish.properties.user_properties.push(v5::UserProperty { name: "k".into(), value: "v".into() });
    link.send5(v5::Packet::Publish(publish)).await;
    assert_eq!(link.read5().await, acked(1));
}
