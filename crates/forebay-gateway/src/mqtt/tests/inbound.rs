//! From devices to the log: what is acknowledged when, in which order, how often.

use std::time::Duration;

use mqtt_proto::{TopicName, v3, v5};

use super::stand::{Mood, Stand, pid, publish3, publish5};
use crate::mqtt::{Options, Retained};

#[tokio::test]
async fn a_puback_waits_for_the_log() {
    let stand = Stand::new();
    stand.log.set(Mood::Holds);
    let mut client = stand.three("a").await;
    client.send3(v3::Packet::Publish(publish3("t/1", 1, 7, "x"))).await;
    stand.until(|stand| stand.log.held() == 1).await;
    client.silent().await;
    stand.log.release(true);
    assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(7))));
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_of_the_messages() {
    let stand = Stand::new();
    stand.log.set(Mood::Holds);
    let mut client = stand.three("a").await;
    for id in [3, 1, 2] {
        client.send3(v3::Packet::Publish(publish3("t", if id == 1 { 2 } else { 1 }, id, "x"))).await;
    }
    stand.until(|stand| stand.log.held() == 3).await;
    stand.log.release_last();
    stand.log.release_last();
    client.silent().await;
    stand.log.release(true);
    assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(3))));
    assert_eq!(client.read3().await, Some(v3::Packet::Pubrec(pid(1))));
    assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(2))));
}

#[tokio::test]
async fn what_came_in_one_read_goes_to_the_log_in_one_batch() {
    let stand = Stand::new();
    let mut client = stand.three("a").await;
    let mut bytes = Vec::new();
    for id in 1..=50 {
        bytes.extend_from_slice(
            v3::Packet::Publish(publish3("t", 1, id, &id.to_string())).encode().unwrap().as_ref(),
        );
    }
    client.raw(&bytes).await;
    for id in 1..=50 {
        assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(id))));
    }
    assert_eq!(*stand.log.batches.lock(), [50]);
    assert_eq!(stand.log.values(), (1..=50).map(|id: i32| id.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_with_qos_2_that_comes_again_is_in_the_log_once() {
    let stand = Stand::new();
    let mut client = stand.five("a").await;
    let publish = |dup| v5::Packet::Publish(v5::Publish { dup, ..publish5("t", 2, 5, "once") });
    client.send5(publish(false)).await;
    assert_eq!(client.read5().await, Some(v5::Packet::Pubrec(v5::Pubrec::new_success(pid(5)))));
    client.send5(publish(true)).await;
    assert_eq!(client.read5().await, Some(v5::Packet::Pubrec(v5::Pubrec::new_success(pid(5)))));
    drop(client);
    stand.alone().await;
    let mut client = stand.five("a").await;
    client.send5(publish(true)).await;
    assert_eq!(client.read5().await, Some(v5::Packet::Pubrec(v5::Pubrec::new_success(pid(5)))));
    client.send5(v5::Packet::Pubrel(v5::Pubrel::new_success(pid(5)))).await;
    assert_eq!(client.read5().await, Some(v5::Packet::Pubcomp(v5::Pubcomp::new_success(pid(5)))));
    assert_eq!(stand.log.values(), ["once"]);
    // The id is free: the same again is another message.
    client.send5(publish(false)).await;
    client.read5().await;
    assert_eq!(stand.log.values(), ["once", "once"]);
    // A PUBREL that fits nothing is answered and says so.
    client.send5(v5::Packet::Pubrel(v5::Pubrel::new_success(pid(99)))).await;
    match client.read5().await {
        Some(v5::Packet::Pubcomp(pubcomp)) => assert_eq!(pubcomp.reason_code as u8, 0x92),
        other => panic!("{other:?}"),
    }
    assert_eq!(stand.broker.snapshot().publishes_repeated, 2);
}

#[tokio::test]
async fn messages_whose_connection_broke_before_the_acknowledgement_are_recognised() {
    let stand = Stand::new();
    stand.log.set(Mood::Holds);
    let mut client = stand.five("a").await;
    client.send5(v5::Packet::Publish(publish5("t", 1, 1, "one"))).await;
    client.send5(v5::Packet::Publish(publish5("t", 2, 2, "two"))).await;
    stand.until(|stand| stand.log.held() == 2).await;
    drop(client);
    stand.log.set(Mood::Takes);
    let log = stand.log.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        log.release(true);
    });
    // Waits for the outcome of what the first connection sent.
    let mut client = stand.five("a").await;
    for (level, id, payload) in [(1, 1, "one"), (2, 2, "two"), (1, 3, "three")] {
        client
            .send5(v5::Packet::Publish(v5::Publish { dup: true, ..publish5("t", level, id, payload) }))
            .await;
    }
    assert_eq!(client.read5().await, Some(v5::Packet::Puback(v5::Puback::new_success(pid(1)))));
    assert_eq!(client.read5().await, Some(v5::Packet::Pubrec(v5::Pubrec::new_success(pid(2)))));
    assert_eq!(client.read5().await, Some(v5::Packet::Puback(v5::Puback::new_success(pid(3)))));
    assert_eq!(stand.log.values(), ["one", "two", "three"]);
}

#[tokio::test]
async fn an_acknowledged_id_is_another_message_even_with_dup() {
    let stand = Stand::new();
    let mut client = stand.five("a").await;
    client.send5(v5::Packet::Publish(publish5("t", 1, 1, "one"))).await;
    client.read5().await;
    drop(client);
    stand.alone().await;
    let mut client = stand.five("a").await;
    client.send5(v5::Packet::Publish(v5::Publish { dup: true, ..publish5("t", 1, 1, "other") })).await;
    client.read5().await;
    assert_eq!(stand.log.values(), ["one", "other"]);
}

#[tokio::test]
async fn what_the_log_cannot_say_is_not_acknowledged() {
    let stand = Stand::new();
    stand.log.set(Mood::Unknown);
    let mut five = stand.five("five").await;
    five.send5(v5::Packet::Publish(publish5("t", 1, 1, "x"))).await;
    assert_eq!(five.disconnected().await, 0x89);
    let mut three = stand.three("three").await;
    three.send3(v3::Packet::Publish(publish3("t", 2, 1, "x"))).await;
    assert_eq!(three.read3().await, None);
    let mut none = stand.five("none").await;
    none.send5(v5::Packet::Publish(publish5("t", 0, 0, "x"))).await;
    none.send5(v5::Packet::Pingreq).await;
    assert_eq!(none.read5().await, Some(v5::Packet::Pingresp));
    let counted = stand.broker.snapshot();
    assert_eq!((counted.publishes_unknown, counted.publishes_dropped, counted.publishes_taken), (2, 1, 0));
    // The message with QoS 2 is not remembered as there.
    stand.log.set(Mood::Takes);
    stand.until(|stand| stand.broker.snapshot().connections_now == 1).await;
    let mut three = stand.three("three").await;
    three.send3(v3::Packet::Publish(v3::Publish { dup: true, ..publish3("t", 2, 1, "x") })).await;
    assert_eq!(three.read3().await, Some(v3::Packet::Pubrec(pid(1))));
    assert_eq!(stand.log.values(), ["x"]);
}

#[tokio::test]
async fn a_refusal_has_its_reason_in_5_and_is_acknowledged_and_counted_in_3() {
    let stand = Stand::new();
    let mut five = stand.five("five").await;
    for (topic, expected) in [("nowhere/x", 0x90), ("wrong/x", 0x99), ("secret/x", 0x87)] {
        five.send5(v5::Packet::Publish(publish5(topic, 1, 1, "x"))).await;
        match five.read5().await {
            Some(v5::Packet::Puback(puback)) => {
                assert_eq!(puback.reason_code as u8, expected, "{topic}");
                assert!(puback.properties.reason_string.is_some());
            }
            other => panic!("{other:?}"),
        }
        five.send5(v5::Packet::Publish(publish5(topic, 2, 1, "x"))).await;
        match five.read5().await {
            Some(v5::Packet::Pubrec(pubrec)) => assert_eq!(pubrec.reason_code as u8, expected),
            other => panic!("{other:?}"),
        }
    }
    let mut three = stand.three("three").await;
    three.send3(v3::Packet::Publish(publish3("nowhere/x", 1, 1, "x"))).await;
    assert_eq!(three.read3().await, Some(v3::Packet::Puback(pid(1))));
    stand.log.set(Mood::Never);
    five.send5(v5::Packet::Publish(publish5("t", 1, 1, "x"))).await;
    match five.read5().await {
        Some(v5::Packet::Puback(puback)) => assert_eq!(puback.reason_code as u8, 0x83),
        other => panic!("{other:?}"),
    }
    assert_eq!(stand.broker.snapshot().publishes_refused, 8);
    assert!(stand.log.values().is_empty());
}

#[tokio::test]
async fn a_slow_log_stops_the_reading_and_loses_nothing() {
    let stand = Stand::with(Options { receive_maximum: 4, ..Options::default() });
    stand.log.set(Mood::Holds);
    let mut client = stand.three("a").await;
    for id in 1..=20 {
        client.send3(v3::Packet::Publish(publish3("t", 1, id, &id.to_string()))).await;
    }
    stand.until(|stand| stand.log.held() == 4).await;
    client.silent().await;
    assert_eq!(stand.log.held(), 4, "no more was read");
    stand.log.set(Mood::Takes);
    stand.log.release(true);
    for id in 1..=20 {
        assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(id))));
    }
    assert_eq!(stand.log.values().len(), 20);
}

#[tokio::test]
async fn topic_aliases_name_topics() {
    let stand = Stand::new();
    let mut client = stand.five("a").await;
    let aliased = |topic: &str, alias| {
        let mut publish = publish5(topic, 0, 0, topic);
        publish.properties.topic_alias = Some(alias);
        v5::Packet::Publish(publish)
    };
    client.send5(aliased("t/one", 1)).await;
    let mut again = publish5("x", 1, 1, "again");
    again.topic_name = TopicName::try_from("").unwrap();
    again.properties.topic_alias = Some(1);
    client.send5(v5::Packet::Publish(again)).await;
    client.read5().await;
    assert_eq!(stand.log.values(), ["t/one", "again"]);
    client.send5(aliased("t", 17)).await;
    assert_eq!(client.disconnected().await, 0x94);
}

#[tokio::test]
async fn retained_messages_are_dropped_if_the_file_says_so() {
    let stand = Stand::with(Options { retained: Retained::Drop, ..Options::default() });
    let mut client = stand.three("a").await;
    client.send3(v3::Packet::Publish(v3::Publish { retain: true, ..publish3("t", 1, 1, "old") })).await;
    assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(1))));
    client.send3(v3::Packet::Publish(publish3("t", 1, 2, "new"))).await;
    assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(2))));
    assert_eq!(stand.log.values(), ["new"]);
    assert_eq!(stand.broker.snapshot().retained_dropped, 1);
}

#[tokio::test]
async fn a_rate_slows_and_drops_nothing() {
    let stand = Stand::with(Options { publish_rate: Some(20), ..Options::default() });
    let mut client = stand.three("a").await;
    let began = std::time::Instant::now();
    for id in 1..=10 {
        client.send3(v3::Packet::Publish(publish3("t", 1, id, "x"))).await;
    }
    for id in 1..=10 {
        assert_eq!(client.read3().await, Some(v3::Packet::Puback(pid(id))));
    }
    assert!(began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_message_with_qos_2_that_comes_twice_before_the_log_answers_is_written_once() {
    let stand = Stand::new();
    stand.log.set(Mood::Holds);
    let mut client = stand.three("a").await;
    for dup in [false, true] {
        client.send3(v3::Packet::Publish(v3::Publish { dup, ..publish3("t", 2, 4, "once") })).await;
    }
    // A PUBREL ahead of its PUBREC frees nothing.
    client.send3(v3::Packet::Pubrel(pid(4))).await;
    assert_eq!(client.read3().await, Some(v3::Packet::Pubcomp(pid(4))));
    stand.log.release(true);
    assert_eq!(client.read3().await, Some(v3::Packet::Pubrec(pid(4))));
    client.silent().await;
    assert_eq!(stand.log.values(), ["once"]);
}
