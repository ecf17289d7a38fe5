//! From the log to subscribers: who gets what, how often, and what a slow one costs.

use mqtt_proto::{QoS, TopicFilter, v3, v5};

use super::stand::{Client, Mood, Stand, five, pid, publish3, publish5};
use crate::mqtt::{Options, Retained};

async fn said(client: &mut Client, packet: v5::Publish) {
    let expects = packet.qos_pid.qos();
    client.send5(v5::Packet::Publish(packet)).await;
    if expects != QoS::Level0 {
        assert!(matches!(client.read5().await, Some(v5::Packet::Puback(_) | v5::Packet::Pubrec(_))));
    }
}

#[tokio::test]
async fn a_subscriber_gets_what_the_log_has_and_nothing_before() {
    let stand = Stand::new();
    let (mut device, mut reader) = (stand.five("device").await, stand.five("reader").await);
    assert_eq!(reader.subscribe5("plant/+/dht11", |_| {}).await, 2);
    stand.log.set(Mood::Holds);
    device.send5(v5::Packet::Publish(publish5("plant/7/dht11", 1, 1, "hot"))).await;
    stand.until(|stand| stand.log.held() == 1).await;
    reader.silent().await;
    stand.log.release(true);
    let message = reader.message5().await;
    assert_eq!(
        (&*message.topic_name, &message.payload[..], message.qos_pid.qos()),
        ("plant/7/dht11", &b"hot"[..], QoS::Level1)
    );
    stand.log.set(Mood::Never);
    device.send5(v5::Packet::Publish(publish5("plant/7/dht11", 1, 2, "lost"))).await;
    device.send5(v5::Packet::Publish(publish5("plant/7/pir", 1, 3, "other"))).await;
    reader.silent().await;
}

#[tokio::test]
async fn messages_of_qos_1_and_2_are_sent_until_they_are_acknowledged() {
    let stand = Stand::new();
    let (mut device, mut reader) = (stand.five("device").await, stand.five("reader").await);
    reader.subscribe5("t/#", |_| {}).await;
    said(&mut device, publish5("t", 1, 1, "one")).await;
    said(&mut device, publish5("t", 2, 2, "two")).await;
    let (one, two) = (reader.message5().await, reader.message5().await);
    assert!(!one.dup && !two.dup);
    let (first, second) = (one.qos_pid.pid().unwrap(), two.qos_pid.pid().unwrap());
    reader.send5(v5::Packet::Pubrec(v5::Pubrec::new_success(second))).await;
    assert_eq!(reader.read5().await, Some(v5::Packet::Pubrel(v5::Pubrel::new_success(second))));
    drop(reader);
    stand.until(|stand| stand.broker.snapshot().connections_now == 1).await;
    // Waits while the reader is away.
    said(&mut device, publish5("t", 1, 3, "three")).await;
    said(&mut device, publish5("t", 0, 0, "zero")).await;
    let mut reader = stand.five("reader").await;
    let again = reader.message5().await;
    assert!(again.dup && again.qos_pid.pid() == Some(first) && &again.payload[..] == b"one");
    assert_eq!(reader.read5().await, Some(v5::Packet::Pubrel(v5::Pubrel::new_success(second))));
    let three = reader.message5().await;
    assert!(!three.dup && &three.payload[..] == b"three");
    reader.send5(v5::Packet::Puback(v5::Puback::new_success(first))).await;
    reader.send5(v5::Packet::Pubcomp(v5::Pubcomp::new_success(second))).await;
    reader.send5(v5::Packet::Puback(v5::Puback::new_success(three.qos_pid.pid().unwrap()))).await;
    stand.until(|stand| stand.broker.snapshot().queued_bytes_now == 0).await;
    reader.silent().await;
}

#[tokio::test]
async fn no_more_than_the_receive_maximum_is_in_flight() {
    let stand = Stand::new();
    let mut connect = five("reader");
    connect.properties.receive_max = Some(2);
    let (mut reader, _) = stand.connect5(connect).await;
    let mut device = stand.five("device").await;
    reader.subscribe5("t", |_| {}).await;
    for id in 1..=4 {
        said(&mut device, publish5("t", 1, id, "x")).await;
    }
    let first = reader.message5().await;
    reader.message5().await;
    reader.silent().await;
    reader.send5(v5::Packet::Puback(v5::Puback::new_success(first.qos_pid.pid().unwrap()))).await;
    reader.message5().await;
    reader.silent().await;
}

#[tokio::test]
async fn overlapping_subscriptions_no_local_and_identifiers_do_as_they_say() {
    let stand = Stand::new();
    let mut reader = stand.five("reader").await;
    let mut device = stand.five("device").await;
    reader.subscribe5("t/#", |packet| packet.topics[0].1.max_qos = QoS::Level0).await;
    reader.subscribe5("t/+", |packet| packet.topics[0].1.max_qos = QoS::Level1).await;
    said(&mut device, publish5("t/x", 2, 1, "x")).await;
    assert_eq!(reader.message5().await.qos_pid.qos(), QoS::Level1);
    reader.silent().await;
    // With identifiers: one copy for each.
    for (filter, id) in [("t/#", 7), ("t/+", 8)] {
        reader
            .subscribe5(filter, |packet| {
                packet.properties.subscription_id = v5::VarByteInt::try_from(id).ok()
            })
            .await;
    }
    said(&mut device, publish5("t/x", 0, 0, "x")).await;
    let mut ids = [reader.message5().await, reader.message5().await]
        .map(|one| one.properties.subscription_id.unwrap().value());
    ids.sort_unstable();
    assert_eq!(ids, [7, 8]);
    device.subscribe5("t/mine", |packet| packet.topics[0].1.no_local = true).await;
    said(&mut device, publish5("t/mine", 0, 0, "x")).await;
    device.silent().await;
}

#[tokio::test]
async fn what_may_not_be_read_and_reserved_topics_stay_apart() {
    let stand = Stand::with(Options { max_subscriptions: 2, ..Options::default() });
    let (mut device, mut reader) = (stand.five("device").await, stand.five("reader").await);
    assert_eq!(reader.subscribe5("secret/#", |_| {}).await, 0x87);
    assert_eq!(reader.subscribe5("#", |_| {}).await, 2);
    assert_eq!(reader.subscribe5("+/a", |_| {}).await, 2);
    assert_eq!(reader.subscribe5("b", |_| {}).await, 0x97);
    said(&mut device, publish5("$own/a", 0, 0, "x")).await;
    reader.silent().await;
    let filters = vec![TopicFilter::try_from("#").unwrap(), TopicFilter::try_from("never").unwrap()];
    reader.send5(v5::Packet::Unsubscribe(v5::Unsubscribe::new(pid(4), filters))).await;
    match reader.read5().await {
        Some(v5::Packet::Unsuback(unsuback)) => {
            assert_eq!(unsuback.topics.iter().map(|code| *code as u8).collect::<Vec<_>>(), [0, 0x11]);
        }
        other => panic!("{other:?}"),
    }
    said(&mut device, publish5("a", 0, 0, "x")).await;
    reader.silent().await;
    assert_eq!(stand.broker.snapshot().subscriptions_now, 1);
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let stand = Stand::new();
    let (mut one, mut two, mut device) =
        (stand.five("one").await, stand.five("two").await, stand.five("device").await);
    one.subscribe5("$share/group/t/#", |_| {}).await;
    two.subscribe5("$share/group/t/#", |_| {}).await;
    for id in 1..=4 {
        said(&mut device, publish5("t/x", 1, id, "x")).await;
    }
    for _ in 0..2 {
        one.message5().await;
        two.message5().await;
    }
    one.silent().await;
    two.silent().await;
}

#[tokio::test]
async fn retained_state_is_given_to_new_subscribers_however_much_it_is() {
    let stand = Stand::with(Options { retained: Retained::State, queue_messages: 10, ..Options::default() });
    let mut device = stand.five("device").await;
    for at in 0..300 {
        let publish = v5::Publish { retain: true, ..publish5(&format!("state/{at:03}"), 0, 0, "old") };
        said(&mut device, publish.clone()).await;
        said(&mut device, v5::Publish { payload: "new".into(), ..publish }).await;
    }
    said(&mut device, v5::Publish { retain: true, payload: "".into(), ..publish5("state/000", 1, 1, "") })
        .await;
    assert_eq!(stand.broker.snapshot().retained_now, 299);
    let mut reader = stand.five("reader").await;
    reader.subscribe5("state/+", |_| {}).await;
    for at in 1..300 {
        let message = reader.message5().await;
        assert_eq!(
            (&*message.topic_name, &message.payload[..], message.retain),
            (&*format!("state/{at:03}"), &b"new"[..], true)
        );
    }
    // Live messages are not flagged, and not kept without the flag.
    said(&mut device, publish5("state/000", 0, 0, "live")).await;
    assert!(!reader.message5().await.retain);
    reader.silent().await;
}

#[tokio::test]
async fn a_flood_of_retained_messages_is_bounded() {
    let stand = Stand::with(Options { retained: Retained::State, max_retained: 50, ..Options::default() });
    let mut device = stand.five("device").await;
    for at in 0..200 {
        said(&mut device, v5::Publish { retain: true, ..publish5(&format!("flood/{at}"), 1, 1, "x") }).await;
    }
    assert_eq!(stand.broker.snapshot().retained_now, 50);
    assert_eq!(stand.log.values().len(), 200, "each is in the log all the same");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_bounded() {
    let stand = Stand::with(Options { queue_messages: 10, ..Options::default() });
    let mut device = stand.five("device").await;
    let mut reader = stand.five("reader").await;
    reader.subscribe5("t", |packet| packet.topics[0].1.max_qos = QoS::Level1).await;
    let big = "x".repeat(30_000);
    for _ in 0..60 {
        said(&mut device, publish5("t", 0, 0, &big)).await;
    }
    device.send5(v5::Packet::Pingreq).await;
    device.read5().await;
    assert!(stand.broker.snapshot().deliveries_dropped > 20);
    said(&mut device, publish5("t", 1, 1, &big)).await;
    // It is sent away once its queue is full of what must not be dropped.
    stand.until(|stand| stand.broker.snapshot().connections_broken == 1).await;
}

#[tokio::test]
async fn messages_that_expired_or_are_too_large_are_not_sent() {
    let stand = Stand::new();
    let mut connect = five("reader");
    connect.properties.max_packet_size = Some(100);
    let (mut reader, _) = stand.connect5(connect.clone()).await;
    let mut device = stand.five("device").await;
    reader.subscribe5("t", |_| {}).await;
    said(&mut device, publish5("t", 1, 1, &"x".repeat(200))).await;
    reader.silent().await;
    drop(reader);
    stand.until(|stand| stand.broker.snapshot().connections_now == 1).await;
    let mut short = publish5("t", 1, 2, "short");
    short.properties.message_expiry_interval = Some(1);
    said(&mut device, short).await;
    let mut long = publish5("t", 1, 3, "long");
    long.properties.message_expiry_interval = Some(100);
    said(&mut device, long).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (mut reader, _) = stand.connect5(connect).await;
    let message = reader.message5().await;
    assert_eq!(&message.payload[..], b"long");
    assert!(message.properties.message_expiry_interval.is_some_and(|left| (90..100).contains(&left)));
    assert_eq!(stand.broker.snapshot().deliveries_dropped, 2);
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_told_in_the_words_of_3_1_1() {
    let stand = Stand::new();
    let mut three = stand.three("three").await;
    let filters = ["secret/x", "t"].map(|filter| (TopicFilter::try_from(filter).unwrap(), QoS::Level1));
    three.send3(v3::Packet::Subscribe(v3::Subscribe::new(pid(1), filters.into()))).await;
    match three.read3().await {
        Some(v3::Packet::Suback(suback)) => {
            assert_eq!(suback.topics, [v3::SubscribeReturnCode::Failure, v3::SubscribeReturnCode::MaxLevel1])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_versions_read_each_other() {
    let stand = Stand::new();
    let (mut three, mut five) = (stand.three("three").await, stand.five("five").await);
    let subscribe = v3::Subscribe::new(pid(1), vec![(TopicFilter::try_from("t").unwrap(), QoS::Level1)]);
    three.send3(v3::Packet::Subscribe(subscribe)).await;
    assert!(matches!(three.read3().await, Some(v3::Packet::Suback(_))));
    let mut publish = publish5("t", 1, 1, "x");
    publish.properties.content_type = Some("text/plain".into());
    said(&mut five, publish).await;
    match three.read3().await {
        Some(v3::Packet::Publish(publish)) => assert_eq!(&publish.payload[..], b"x"),
        other => panic!("{other:?}"),
    }
    five.subscribe5("t", |_| {}).await;
    three.send3(v3::Packet::Publish(publish3("t", 0, 0, "y"))).await;
    assert_eq!(&five.message5().await.payload[..], b"y");
}
