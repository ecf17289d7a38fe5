//! The Kafka source keeps its promises on whatever speaks Kafka's protocol: one suite, given an address.
//!
//! [`suite`] runs on Apache Kafka and on the embedded log alike. Each function is one promise, makes topics of its own and fails when it compared nothing.

mod positions;
mod records;
mod topic;
mod troubles;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_connectors::kafka::NewRecord;
use forebay_connectors::sources::kafka::KafkaSource;
use forebay_core::source::{Available, Source, Wanted};
use forebay_core::{Partition, Position};
use forebay_log::storage::Log;

use self::positions::{
    a_longer_topic_made_anew_is_noticed, a_topic_made_anew_is_data_loss, lag_monitors_see_what_was_committed,
    new_partitions_start_at_the_earliest, positions_nobody_has_are_data_loss,
};
use self::records::{
    every_compression_is_read, every_record_comes_once_and_in_order, keys_headers_and_tombstones_survive,
    large_records_pass, ranges_are_exact_and_repeatable,
};
use self::topic::{Topic, client, parse, ranges, read};
use self::troubles::aborted_records_are_no_records;

pub use self::troubles::restart_suite;

/// Where a suite runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// `host:port` of a broker.
    pub bootstrap: String,
    /// The log behind that address, if sources shall read it in place.
    pub log: Option<Log>,
}

impl Place {
    /// A broker; sources fetch from it.
    pub fn at(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), log: None }
    }
}

/// Every promise that holds on any broker. `python` is an interpreter with `confluent_kafka`.
pub async fn suite(place: &Place, python: &str) -> Result<()> {
    every_record_comes_once_and_in_order(place).await.context("every record once and in order")?;
    every_compression_is_read(place).await.context("every compression")?;
    ranges_are_exact_and_repeatable(place).await.context("ranges are exact")?;
    keys_headers_and_tombstones_survive(place).await.context("keys, headers, tombstones")?;
    a_new_query_starts_where_it_is_told(place).await.context("starting offsets")?;
    a_query_ends_where_it_is_told(place).await.context("ending offsets")?;
    waiting_ends_when_a_record_arrives(place).await.context("waiting")?;
    new_partitions_start_at_the_earliest(place).await.context("new partitions")?;
    lag_monitors_see_what_was_committed(place).await.context("group offsets")?;
    a_topic_made_anew_is_data_loss(place).await.context("topic made anew")?;
    a_longer_topic_made_anew_is_noticed(place).await.context("longer topic made anew")?;
    positions_nobody_has_are_data_loss(place).await.context("positions out of range")?;
    large_records_pass(place).await.context("large records")?;
    what_cannot_be_reached_says_so(place).await.context("unreachable")?;
    aborted_records_are_no_records(place, python).await.context("aborted transactions")?;
    Ok(())
}

/// Each of `good` connects and reads; each of `bad` fails with `FB-2005`, and with nothing else.
pub async fn trust_suite(place: &Place, good: &[&[(&str, &str)]], bad: &[&[(&str, &str)]]) -> Result<()> {
    for options in good {
        client(&place.bootstrap, options).await.with_context(|| format!("{options:?}"))?;
    }
    for options in bad {
        let error = client(&place.bootstrap, options)
            .await
            .err()
            .with_context(|| format!("{options:?} was trusted"))?;
        let known = error.downcast_ref::<forebay_core::Error>().context("an error without code")?;
        ensure!(known.code().id == "FB-2005", "{options:?}: {known:?}");
    }
    ensure!(!good.is_empty() && !bad.is_empty(), "nothing was compared");
    Ok(())
}

async fn a_new_query_starts_where_it_is_told(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "start", 2).await?;
    let producer = topic.producer(&[]).await?;
    for number in 0..100 {
        let record = NewRecord::value(&topic.name, b"v", 1_000 + number);
        producer.send(NewRecord { partition: Some((number % 2) as i32), ..record }).await?;
    }
    producer.flush().await?;
    let name = &topic.name;
    let specific = format!("{{\"{name}\":{{\"0\":7,\"1\":-1}}}}");
    let by_time = format!("{{\"{name}\":{{\"0\":1050,\"1\":1000}}}}");
    let cases: [(&str, &str, [i64; 2]); 6] = [
        ("startingOffsets", "earliest", [0, 0]),
        ("startingOffsets", "latest", [50, 50]),
        ("startingOffsets", &specific, [7, 50]),
        ("startingTimestamp", "1010", [5, 5]),
        ("startingTimestamp", "1011", [6, 5]),
        ("startingOffsetsByTimestamp", &by_time, [25, 0]),
    ];
    for (option, value, expected) in cases {
        let start = topic.source(&[(option, value)])?.start(false).await?;
        ensure!(start == topic.positions(&expected), "{option}={value}: {start:?}");
    }
    let mut too_late = topic.source(&[("startingTimestamp", "9000000")])?;
    ensure!(
        too_late.start(false).await.is_err_and(|error| error.code().id == "FB-1005"),
        "a time nobody reached"
    );
    let lenient = [("startingTimestamp", "9000000"), ("startingOffsetsByTimestampStrategy", "latest")];
    ensure!(topic.source(&lenient)?.start(false).await? == topic.positions(&[50, 50]));
    let partial = format!("{{\"{name}\":{{\"0\":7}}}}");
    let refused = topic.source(&[("startingOffsets", &partial)])?.start(false).await;
    ensure!(refused.is_err_and(|error| error.code().id == "FB-1005"), "a partition is not named");
    let assign = format!("{{\"{name}\":[1]}}");
    let raw = topic.options(&[("startingOffsets", "earliest"), ("assign", &assign)], false);
    let mut assigned = KafkaSource::new(&parse(&raw)?, Wanted::default(), place.log.clone())?;
    ensure!(
        assigned.start(false).await? == BTreeMap::from([(Partition::new(name.as_str(), 1), Position(0))])
    );
    let pattern = format!("{}.*", &name[..name.len() - 2]);
    let raw = topic.options(&[("startingOffsets", "earliest"), ("subscribePattern", &pattern)], false);
    let mut matching = KafkaSource::new(&parse(&raw)?, Wanted::default(), place.log.clone())?;
    ensure!(matching.start(false).await? == topic.positions(&[0, 0]));
    Ok(())
}

async fn a_query_ends_where_it_is_told(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "end", 1).await?;
    topic.fill(&[], 100).await?;
    let ending = format!("{{\"{}\":{{\"0\":40}}}}", topic.name);
    let found = topic.read_all(&[("endingOffsets", &ending)], 1).await?;
    ensure!(found.len() == 40, "{} records", found.len());
    ensure!(topic.read_all(&[("endingOffsets", "latest")], 1).await?.len() == 100);
    Ok(())
}

async fn waiting_ends_when_a_record_arrives(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "wait", 2).await?;
    let mut source = topic.source(&[])?;
    let mut at = source.start(false).await?;
    let idle = tokio::time::timeout(Duration::from_millis(700), source.wait(&at)).await;
    ensure!(idle.is_err(), "there was nothing to wake up for");
    let producer = topic.producer(&[("linger.ms", "0")]).await?;
    let mut delays = Vec::new();
    for number in 0..20_u8 {
        let began = Instant::now();
        let value = [number];
        let record = NewRecord::value(&topic.name, &value, 1);
        let record = NewRecord { partition: Some(i32::from(number % 2)), ..record };
        producer.send(record).await?;
        tokio::time::timeout(Duration::from_secs(10), source.wait(&at)).await.context("nobody woke us")??;
        let ends = source.available(&at).await?.ends;
        let got = read(&mut source, &ranges(&at, &ends), 2).await?;
        ensure!(got.len() == 1 && got[0].value.as_deref() == Some(&[number]), "{got:?}");
        delays.push(began.elapsed());
        at = ends;
    }
    delays.sort();
    tracing::info!("write to read: median {:?}, longest {:?}", delays[10], delays[19]);
    ensure!(delays[10] < Duration::from_millis(250), "waking up takes {:?}", delays[10]);
    Ok(())
}

async fn what_cannot_be_reached_says_so(place: &Place) -> Result<()> {
    let client = client(&place.bootstrap, &[]).await?;
    let missing = Topic { client, place: place.clone(), name: "no-such-topic".into() };
    for ends in [false, true] {
        let error = missing.source(&[])?.start(ends).await.err().context("a topic that is not there")?;
        ensure!(error.code().id == "FB-2006" && error.is_retryable(), "{error:?}");
    }
    // A query that ends by itself and is to read all that matches has read it where nothing matches.
    let raw = missing.options(&[("subscribePattern", "no-such-.*")], false);
    let mut matching = KafkaSource::new(&parse(&raw)?, Wanted::default(), place.log.clone())?;
    ensure!(matching.start(false).await.is_err_and(|error| error.code().id == "FB-2006"));
    let nothing = matching.start(true).await?;
    ensure!(nothing.is_empty() && matching.available(&nothing).await? == Available::default());
    // One of two topics: who runs for ever begins with it, who ends would miss the other.
    let there = Topic::new(place, "there", 1).await?;
    let raw = missing.options(&[("subscribe", &format!("{},no-such-topic", there.name))], false);
    let mut both = KafkaSource::new(&parse(&raw)?, Wanted::default(), place.log.clone())?;
    ensure!(both.start(true).await.is_err_and(|error| error.message().contains("no-such-topic")));
    ensure!(both.start(false).await? == there.positions(&[0]));
    let nobody = Topic { place: Place::at("127.0.0.1:1"), ..missing };
    let error = nobody.source(&[])?.start(false).await.err().context("nobody listens there")?;
    ensure!(error.code().id == "FB-2001" && error.to_string().contains("127.0.0.1:1"), "{error:?}");
    Ok(())
}
