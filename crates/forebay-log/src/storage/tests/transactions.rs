//! Open and aborted transactions through restarts, damage and retention.

use std::time::Duration;

use super::*;
use crate::records::Marker;

/// A batch of one producer's transaction, with one record per sequence number.
fn part(producer: i64, epoch: i16, first: i32, count: i32) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None).producer(producer, epoch, first).transactional();
    for i in first..first + count {
        batch.append(1_000_000, None, Some(format!("{producer}-{i}").as_bytes()), &[]);
    }
    batch.build().unwrap()
}

async fn end(log: &Log, producer: i64, epoch: i16, marker: Marker) -> i64 {
    let pending = log.end_transaction("t", 0, producer, epoch, marker).unwrap();
    pending.done().await.unwrap().base_offset
}

/// What a reader of committed data finds, read in steps of `max_bytes`.
fn committed(log: &Log, max_bytes: usize) -> Vec<String> {
    let (mut offset, mut found) = (log.offsets("t", 0).unwrap().earliest, Vec::new());
    loop {
        let fetched = log.read("t", 0, offset, max_bytes, true, Isolation::Committed).unwrap();
        if fetched.batches.is_empty() {
            assert_eq!(offset, fetched.last_stable_offset);
            return found;
        }
        let (mut coming, mut within) = (fetched.aborted, std::collections::HashSet::new());
        coming.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
        for batch in Batches::new(&fetched.batches) {
            let batch = batch.unwrap();
            let header = batch.header;
            offset = header.next_offset();
            assert!(offset <= fetched.last_stable_offset);
            while let Some((producer, _)) = coming.pop_if(|(_, first)| *first <= header.last_offset()) {
                within.insert(producer);
            }
            match batch.marker(&Scratch::new()).unwrap() {
                Some(Marker::Abort) => drop(within.remove(&header.producer_id)),
                Some(Marker::Commit) => {}
                None if header.is_transactional() && within.contains(&header.producer_id) => {}
                None => {
                    let records = batch.records(1 << 20, &Scratch::new()).unwrap();
                    for record in &records {
                        let value = record.unwrap().value.unwrap();
                        let value = &records.data[value.start as usize..value.end as usize];
                        found.push(String::from_utf8(value.to_vec()).unwrap());
                    }
                }
            }
        }
    }
}

/// Random transactions over several segments, against what they should come to; the log ends in every way, with its
/// files lost or damaged, and comes back to the same.
#[tokio::test]
async fn what_is_committed_is_the_same_after_any_way_of_ending() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for (close, lost) in
        [(true, None), (false, None), (true, Some("producers")), (false, Some(".index")), (true, Some("all"))]
    {
        let fixture = Fixture::new();
        let options = LogOptions { segment_bytes: 4096, ..fixture.options() };
        let mut log = Log::open(options.clone(), Door::new()).unwrap();
        log.create_topic("t", 1, TopicConfig::default()).unwrap();
        // Values by offset, and of each producer's open transaction.
        let mut decided = std::collections::BTreeMap::new();
        let mut open: [Vec<(i64, String)>; 4] = Default::default();
        let mut sequences = [0; 4];
        for round in 0..3 {
            for _ in 0..80 {
                let producer = random.usize(0..4);
                let id = producer as i64;
                match random.u8(0..10) {
                    0 | 1 if !open[producer].is_empty() => {
                        let marker = if random.bool() { Marker::Abort } else { Marker::Commit };
                        assert!(end(&log, id, 0, marker).await >= 0);
                        let ended = std::mem::take(&mut open[producer]);
                        if marker == Marker::Commit {
                            decided.extend(ended);
                        }
                    }
                    2 => {
                        let value = format!("plain-{}", random.u32(..));
                        let at = append(&log, batch(1_000_000, &[&value])).await.unwrap();
                        decided.insert(at, value);
                    }
                    _ => {
                        log.begin_transaction("t", 0, id, 0).unwrap();
                        let (first, count) = (sequences[producer], random.i32(1..4));
                        let at = append(&log, part(id, 0, first, count)).await.unwrap();
                        sequences[producer] += count;
                        let values = (0..count).map(|i| (at + i64::from(i), format!("{id}-{}", first + i)));
                        open[producer].extend(values);
                    }
                }
            }
            let stable = open.iter().filter_map(|it| Some(it.first()?.0)).min();
            let ends = log.offsets("t", 0).unwrap();
            assert_eq!(ends.stable, stable.unwrap_or(ends.latest), "seed {seed}");
            let before_it = |(at, _): &(&i64, &String)| **at < ends.stable;
            let expected: Vec<String> =
                decided.iter().filter(before_it).map(|(_, value)| value.clone()).collect();
            for max_bytes in [1, 500, 3000, 1 << 20] {
                assert_eq!(committed(&log, max_bytes), expected, "seed {seed}, round {round}");
            }
            let still_open: usize = open.iter().filter(|it| !it.is_empty()).count();
            assert_eq!(log.open_transactions().len(), still_open);

            if close {
                log.close().await.unwrap();
            }
            drop(log);
            for entry in std::fs::read_dir(fixture.partition()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_str().unwrap();
                let goes = lost
                    .is_some_and(|lost| name.ends_with(lost) || (lost == "all" && !name.ends_with(".log")));
                if goes {
                    std::fs::remove_file(path).unwrap();
                }
            }
            log = Log::open(options.clone(), Door::new()).unwrap();
            assert_eq!(log.offsets("t", 0).unwrap(), ends, "seed {seed}");
            for max_bytes in [1, 3000, 1 << 20] {
                assert_eq!(committed(&log, max_bytes), expected, "seed {seed}, after the restart");
            }
        }
    }
}

#[tokio::test]
async fn a_late_batch_of_an_ended_transaction_is_refused() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    log.begin_transaction("t", 0, 7, 0).unwrap();
    assert_eq!(append(&log, part(7, 0, 0, 2)).await.unwrap(), 0);
    assert_eq!(end(&log, 7, 1, Marker::Abort).await, 2);
    assert_eq!(end(&log, 7, 1, Marker::Abort).await, -1, "there is nothing more to end");
    assert!(matches!(
        append(&log, part(7, 0, 2, 1)).await,
        Err(LogError::InvalidProducerEpoch { current: 1, got: 0, .. })
    ));
    assert!(matches!(append(&log, part(7, 1, 0, 1)).await, Err(LogError::InvalidTransaction { .. })));
    log.begin_transaction("t", 0, 7, 1).unwrap();
    assert_eq!(append(&log, part(7, 1, 0, 1)).await.unwrap(), 3, "a new epoch counts anew");
    assert_eq!(append(&log, part(7, 1, 0, 1)).await.unwrap(), 3, "a repeat");
    assert!(matches!(
        log.end_transaction("t", 0, 7, 0, Marker::Abort).unwrap().done().await,
        Err(LogError::InvalidProducerEpoch { .. })
    ));
    assert_eq!(end(&log, 7, 1, Marker::Commit).await, 4);
    assert_eq!(committed(&log, 1 << 20), ["7-0"]);
    assert_eq!(append(&log, part(7, 1, 0, 1)).await.unwrap(), 3, "a repeat, also when it is over");
}

#[tokio::test]
async fn an_append_and_the_end_of_its_transaction_may_share_a_sync() {
    let fixture = Fixture::new();
    let options = LogOptions { flush_interval: Duration::from_millis(50), ..fixture.options() };
    let log = Log::open(options, Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    log.begin_transaction("t", 0, 7, 0).unwrap();
    let first = log.submit("t", 0, part(7, 0, 0, 1)).await.unwrap();
    let ended = log.end_transaction("t", 0, 7, 0, Marker::Abort).unwrap();
    log.begin_transaction("t", 0, 7, 0).unwrap();
    let second = log.submit("t", 0, part(7, 0, 1, 1)).await.unwrap();
    let again = log.end_transaction("t", 0, 7, 0, Marker::Commit).unwrap();
    let late = log.submit("t", 0, part(7, 0, 2, 1)).await.unwrap();
    assert_eq!(first.done().await.unwrap().base_offset, 0);
    assert_eq!(ended.done().await.unwrap().base_offset, 1);
    assert_eq!(second.done().await.unwrap().base_offset, 2);
    assert_eq!(again.done().await.unwrap().base_offset, 3);
    assert!(late.done().await.is_err());
    assert_eq!(committed(&log, 1 << 20), ["7-1"]);
}

#[tokio::test]
async fn retention_takes_aborted_transactions_with_their_records() {
    let fixture = Fixture::new();
    let options = LogOptions { segment_bytes: 4096, max_aborted_transactions: 20, ..fixture.options() };
    let log = Log::open(options.clone(), Door::new()).unwrap();
    let config = TopicConfig::from_entries([("retention.bytes", "1000")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    log.begin_transaction("t", 0, 1, 0).unwrap();
    append(&log, part(1, 0, 0, 1)).await.unwrap();
    for i in 0..20 {
        log.begin_transaction("t", 0, 7, 0).unwrap();
        append(&log, part(7, 0, i * 20, 20)).await.unwrap();
        end(&log, 7, 0, Marker::Abort).await;
    }
    let refused = log.begin_transaction("t", 0, 8, 0).unwrap_err();
    assert!(matches!(refused, LogError::LimitReached { option: "max_aborted_transactions", .. }));
    log.retain();
    let ends = log.offsets("t", 0).unwrap();
    assert!(
        ends.earliest > 100 && ends.stable == ends.earliest,
        "{ends:?}: the open one's beginning is gone"
    );
    log.begin_transaction("t", 0, 8, 0).unwrap();
    drop(log);
    let log = Log::open(options, Door::new()).unwrap();
    assert_eq!(log.offsets("t", 0).unwrap(), ends);
    assert_eq!(log.open_transactions().len(), 1);
    end(&log, 1, 0, Marker::Commit).await;
    assert!(committed(&log, 1 << 20).is_empty());
    assert_eq!(log.offsets("t", 0).unwrap().stable, ends.latest + 1);
    log.delete_topic("t").unwrap();
}

#[tokio::test]
async fn a_producer_in_a_transaction_is_not_forgotten_for_others() {
    let fixture = Fixture::new();
    let log = Log::open(LogOptions { max_producers: 3, ..fixture.options() }, Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    log.begin_transaction("t", 0, 100, 0).unwrap();
    append(&log, part(100, 0, 0, 1)).await.unwrap();
    for id in 0..20 {
        append(&log, numbered(id, 0, 0, 1)).await.unwrap();
    }
    assert_eq!(append(&log, part(100, 0, 0, 1)).await.unwrap(), 0, "still known as a repeat");
    assert!(append(&log, part(100, 0, 5, 1)).await.is_err(), "and what follows, too");
}
