//! Order, group commit, reading, idempotent producers while the log is open.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn offsets_follow_and_reads_give_back_what_came() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    assert_eq!(append(&log, batch(5, &["a", "b"])).await.unwrap(), 0);
    let two: Bytes = [batch(5, &["c"]), batch(5, &["d", "e"])].concat().into();
    assert_eq!(append(&log, two).await.unwrap(), 2);
    assert_eq!(log.offsets("t", 0).unwrap(), Offsets { earliest: 0, latest: 5, stable: 5 });
    for max_bytes in [0, 1, 100, 1 << 20] {
        for from in 0..5 {
            let expected: Vec<_> =
                (from..5).map(|i| (i, ["a", "b", "c", "d", "e"][i as usize].to_owned())).collect();
            assert_eq!(read_from(&log, from, max_bytes), expected);
        }
    }
    assert!(log.read("t", 0, 5, 100, true, Isolation::Uncommitted).unwrap().batches.is_empty());
    for outside in [-1, 6] {
        let refused = log.read("t", 0, outside, 100, true, Isolation::Uncommitted).unwrap_err();
        assert!(matches!(refused, LogError::OffsetOutOfRange { high_watermark: 5, .. }));
    }
    assert!(
        log.read("t", 0, 0, 10, false, Isolation::Uncommitted).unwrap().batches.is_empty(),
        "no whole batch fits"
    );
    assert!(matches!(
        log.read("t", 1, 0, 1, true, Isolation::Uncommitted),
        Err(LogError::UnknownPartition { .. })
    ));
    assert!(matches!(log.read("u", 0, 0, 1, true, Isolation::Uncommitted), Err(LogError::UnknownTopic(_))));
}

#[tokio::test]
async fn the_rest_of_a_full_answer_costs_no_read() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, batch(5, &["a"])).await.unwrap();
    std::fs::remove_file(fixture.partition().join("00000000000000000000.log")).unwrap();
    let fetched = log.read("t", 0, 0, 0, false, Isolation::Uncommitted).unwrap();
    assert_eq!((fetched.batches.len(), fetched.high_watermark), (0, 1));
    assert!(log.read("t", 0, 0, 0, true, Isolation::Uncommitted).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_keep_each_callers_order_and_share_syncs() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    let mut callers = Vec::new();
    for caller in 0..8 {
        let log = log.clone();
        callers.push(tokio::spawn(async move {
            let mut pending = Vec::new();
            for i in 0..100 {
                pending.push(log.submit("t", 0, batch(1, &[&format!("{caller}-{i}")])).await.unwrap());
            }
            let mut last = -1;
            for one in pending {
                let offset = one.done().await.unwrap().base_offset;
                assert!(offset > last);
                last = offset;
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let found = read_from(&log, 0, 3000);
    assert_eq!(found.len(), 800);
    for caller in 0..8 {
        let prefix = format!("{caller}-");
        let mine: Vec<_> = found.iter().filter_map(|(_, value)| value.strip_prefix(&prefix)).collect();
        assert_eq!(mine, (0..100).map(|i| i.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_instead_of_growing() {
    let fixture = Fixture::new();
    let options =
        LogOptions { max_queued_bytes: 4096, flush_interval: Duration::from_millis(20), ..fixture.options() };
    let log = Log::open(options, Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for i in 0..20 {
        let large = "x".repeat(3000);
        let _unwatched = log.submit("t", 0, batch(1, &[&large])).await.unwrap();
        assert!(i < 2 || log.offsets("t", 0).unwrap().latest > i - 2);
    }
    let larger_than_the_queue = "x".repeat(100_000);
    assert_eq!(append(&log, batch(1, &[&larger_than_the_queue])).await.unwrap(), 20);
}

#[tokio::test]
async fn repeats_of_an_idempotent_producer_get_their_first_offset() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    for i in 0..6 {
        assert_eq!(append(&log, numbered(9, 0, i * 10, 10)).await.unwrap(), i64::from(i) * 10);
    }
    let again = log.append("t", 0, numbered(9, 0, 30, 10), Wait::Durable).await.unwrap();
    assert_eq!((again.base_offset, again.duplicate), (30, true));
    assert!(matches!(
        append(&log, numbered(9, 0, 61, 1)).await,
        Err(LogError::OutOfOrderSequence { expected: 60, got: 61, .. })
    ));
    append(&log, numbered(9, 1, 0, 1)).await.unwrap();
    assert!(matches!(
        append(&log, numbered(9, 0, 60, 1)).await,
        Err(LogError::InvalidProducerEpoch { current: 1, got: 0, .. })
    ));
    assert_eq!(log.offsets("t", 0).unwrap().latest, 61);
}

#[tokio::test]
async fn a_repeat_in_the_same_round_is_stored_once() {
    let fixture = Fixture::new();
    let options = LogOptions { flush_interval: Duration::from_millis(50), ..fixture.options() };
    let log = Log::open(options, Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    let first = log.submit("t", 0, numbered(9, 0, 0, 3)).await.unwrap();
    let second = log.submit("t", 0, numbered(9, 0, 0, 3)).await.unwrap();
    assert_eq!(first.done().await.unwrap().base_offset, 0);
    let second = second.done().await.unwrap();
    assert_eq!((second.base_offset, second.duplicate), (0, true));
    assert_eq!(values(&log), ["0", "1", "2"]);
}

#[tokio::test]
async fn waiters_wake_when_data_is_durable_or_the_topic_goes() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    assert!(!log.wait_for_any(&[("t", 0, 0)], Isolation::Uncommitted, Duration::from_millis(10)).await);
    assert!(
        log.wait_for_any(&[("t", 0, 0), ("gone", 0, 0)], Isolation::Uncommitted, Duration::from_secs(60))
            .await
    );
    let waiter = tokio::spawn({
        let log = log.clone();
        async move {
            log.wait_for("t", 0, 0).await.unwrap();
            assert!(log.wait_for_any(&[("t", 0, 0)], Isolation::Uncommitted, Duration::ZERO).await);
            log.wait_for("t", 0, 1).await
        }
    });
    tokio::task::yield_now().await;
    append(&log, batch(1, &["a"])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.delete_topic("t").unwrap();
    assert!(matches!(waiter.await.unwrap(), Err(LogError::UnknownTopic(_))));
}

#[tokio::test]
async fn acks_0_is_not_told_the_offset_and_a_closed_log_refuses() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    let appended = log.append("t", 0, batch(1, &["a"]), Wait::None).await.unwrap();
    assert_eq!(appended.base_offset, -1);
    log.close().await.unwrap();
    log.close().await.unwrap();
    assert_eq!(values(&log), ["a"], "what was queued is written");
    assert!(matches!(append(&log, batch(1, &["b"])).await, Err(LogError::Closed)));
}

#[tokio::test]
async fn the_log_stamps_topics_that_ask_for_it() {
    let fixture = Fixture::new();
    let log = fixture.open();
    let config = TopicConfig::from_entries([("message.timestamp.type", "LogAppendTime")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    let appended = log.append("t", 0, batch(5, &["a"]), Wait::Durable).await.unwrap();
    assert_eq!(appended.log_append_time, 1_000_000);
    assert_eq!(log.offset_for_timestamp("t", 0, 6).unwrap(), Some((0, 1_000_000)));
    assert_eq!(values(&log), ["a"]);
}
