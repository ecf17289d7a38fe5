//! The Kafka source keeps its promises on whatever speaks Kafka's protocol: one suite, given an address.
//!
//! [`suite`] runs on Apache Kafka and on the embedded log alike; [`apache_suite`] adds what only Apache Kafka has
//! (transactions). Each function is one promise, makes topics of its own and fails when it compared nothing.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, AsArray};
use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, NewTopic, Producer, ProducerConfig};
use forebay_connectors::sources::kafka::{KafkaSource, SPEC};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::options::Options;
use forebay_core::source::{Available, Envelope, Source, Wanted};
use forebay_core::{Partition, Position, PositionRange, Positions, TopicIds};
use forebay_log::storage::Log;
use futures::StreamExt;
use futures::future::try_join_all;

use crate::support::run_script;

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

/// Every promise that holds on any broker.
pub async fn suite(place: &Place) -> Result<()> {
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
    Ok(())
}

/// What only Apache Kafka has. `python` is an interpreter with `confluent_kafka`.
pub async fn apache_suite(place: &Place, python: &str) -> Result<()> {
    aborted_records_are_no_records(place, python).await.context("aborted transactions")
}

/// Reads while the broker goes away and comes back; `restart` does that, and returns once it answers again.
pub async fn restart_suite(place: &Place, restart: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let topic = Topic::new(place, "restart", 2).await?;
    let records = 4_000_u64;
    let writing = async {
        let producer = topic.producer(&[("linger.ms", "1")]).await?;
        for number in 0..records {
            let text = number.to_string();
            // True times: a broker that restarts forgets producers whose last record is a day old.
            let record = NewRecord::value(&topic.name, text.as_bytes(), SystemClock.now_ms());
            producer.send(NewRecord { partition: Some((number % 2) as i32), ..record }).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        producer.flush().await?;
        Ok::<_, anyhow::Error>(())
    };
    let reading = async {
        let mut source = topic.source(&[("startingOffsets", "earliest")])?;
        let mut at = source.start(false).await?;
        let mut found = Vec::new();
        let mut failures = 0;
        let deadline = Instant::now() + Duration::from_secs(300);
        while found.len() < records as usize {
            ensure!(Instant::now() < deadline, "{} of {records} records in time", found.len());
            // As the engine does: what may be tried again is tried again, from the same positions.
            let epoch = async {
                tokio::time::timeout(Duration::from_secs(60), source.wait(&at))
                    .await
                    .context("no news for long")??;
                let ends = source.available(&at).await?.ends;
                let got = read(&mut source, &ranges(&at, &ends), 2).await?;
                Ok::<_, anyhow::Error>((ends, got))
            };
            match epoch.await {
                Ok((ends, got)) => {
                    found.extend(got);
                    at = ends;
                }
                Err(error) => {
                    let known = error.downcast_ref::<forebay_core::Error>();
                    ensure!(known.is_some_and(forebay_core::Error::is_retryable), "{error:?}");
                    failures += 1;
                }
            }
        }
        tracing::info!("{} records, {failures} epochs were tried again", found.len());
        Ok(found)
    };
    let restarting = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        restart().await
    };
    let ((), found, ()) = tokio::try_join!(writing, reading, restarting)?;
    let mut next = [0_u64, 1];
    for record in &found {
        let number: u64 = std::str::from_utf8(record.value.as_deref().unwrap_or_default())?.parse()?;
        let expected = &mut next[record.partition.index as usize];
        ensure!(number == *expected, "{} has {number} where {expected} follows", record.partition);
        *expected += 2;
    }
    ensure!(next == [records, records + 1], "it ended at {next:?}");
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

async fn every_record_comes_once_and_in_order(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "order", 4).await?;
    let producer = topic.producer(&[("linger.ms", "1"), ("batch.size", "2000")]).await?;
    let mut deliveries = Vec::new();
    for number in 0..20_000_u64 {
        let key = format!("device-{}", number % 37);
        let value = format!("{{\"device\":\"{key}\",\"number\":{number}}}");
        let record =
            NewRecord { key: Some(key.as_bytes()), ..NewRecord::value(&topic.name, value.as_bytes(), 1_000) };
        deliveries.push(producer.send(record).await?);
    }
    producer.flush().await?;
    let mut written = BTreeMap::new();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        let at = delivery.wait().await?;
        ensure!(written.insert((at.partition, at.offset), number).is_none(), "two records at one offset");
    }
    let found = topic.read_all(&[], 3).await?;
    ensure!(found.len() == 20_000, "{} records read", found.len());
    for record in &found {
        let number =
            written.get(&(record.partition.clone(), record.offset)).context("an offset nobody wrote")?;
        let text = std::str::from_utf8(record.value.as_deref().context("a value is missing")?)?;
        ensure!(text.ends_with(&format!("\"number\":{number}}}")), "{text} is not record {number}");
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for record in &found {
        let text = std::str::from_utf8(record.value.as_deref().unwrap_or_default())?;
        let (device, number) = text.split_once(",\"number\":").context("not our record")?;
        let number: u64 = number.trim_end_matches('}').parse()?;
        if let Some(before) = last.insert(device, number) {
            ensure!(before < number, "{device}: {number} came after {before}");
        }
    }
    ensure!(last.len() == 37, "{} devices", last.len());
    Ok(())
}

async fn every_compression_is_read(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "codecs", 1).await?;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = topic.producer(&[("compression.type", codec)]).await?;
        for number in 0..500 {
            let value = format!("{codec} {number} {}", "x".repeat(number % 90));
            producer.send(NewRecord::value(&topic.name, value.as_bytes(), 5)).await?;
        }
        producer.flush().await?;
    }
    let found = topic.read_all(&[], 1).await?;
    ensure!(found.len() == 2_500, "{} records read", found.len());
    for (index, record) in found.iter().enumerate() {
        let codec = ["none", "gzip", "snappy", "lz4", "zstd"][index / 500];
        let number = index % 500;
        let expected = format!("{codec} {number} {}", "x".repeat(number % 90));
        ensure!(record.value.as_deref() == Some(expected.as_bytes()), "record {index} differs");
    }
    Ok(())
}

async fn ranges_are_exact_and_repeatable(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "ranges", 2).await?;
    topic.fill(&[("batch.size", "3000")], 5_000).await?;
    let all = topic.read_all(&[], 2).await?;
    ensure!(all.len() == 5_000);
    let mut source = topic.source(&[("startingOffsets", "earliest")])?;
    let start = source.start(false).await?;
    let ends = source.available(&start).await?.ends;
    let mut dice = fastrand::Rng::with_seed(7);
    let mut compared = 0;
    for round in 0..40 {
        let ranges: Vec<PositionRange> = ends
            .iter()
            .map(|(partition, end)| {
                let from = dice.i64(0..end.0);
                let to = dice.i64(from..=end.0);
                PositionRange { partition: partition.clone(), from: Position(from), to: Position(to) }
            })
            .collect();
        // Each range twice: a replay gives the same.
        for _ in 0..2 {
            let got = read(&mut source, &ranges, 1 + round % 3).await?;
            let expected: Vec<&Record> = all
                .iter()
                .filter(|record| {
                    ranges.iter().any(|range| {
                        range.partition == record.partition
                            && (range.from.0..range.to.0).contains(&record.offset)
                    })
                })
                .collect();
            ensure!(got.iter().eq(expected.iter().copied()), "round {round}: {ranges:?} differs");
            compared += got.len();
        }
    }
    ensure!(compared > 10_000, "only {compared} records were compared");
    Ok(())
}

async fn keys_headers_and_tombstones_survive(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "parts", 1).await?;
    let producer = topic.producer(&[]).await?;
    let headers: Vec<(String, Vec<u8>)> =
        (0..1_000).map(|n| (format!("h{n}"), vec![n as u8; n % 20])).collect();
    let borrowed: Vec<(&str, Option<&[u8]>)> =
        headers.iter().map(|(k, v)| (k.as_str(), Some(&v[..]))).collect();
    let plain = NewRecord::value(&topic.name, b"plain", 1_700_000_000_123);
    producer.send(plain).await?;
    producer.send(NewRecord { key: Some(b"key"), value: None, ..plain }).await?;
    producer.send(NewRecord { headers: &borrowed, ..plain }).await?;
    producer.send(NewRecord { headers: &[("a", None), ("a", Some(b""))], key: Some(b""), ..plain }).await?;
    producer.flush().await?;
    let envelopes =
        topic.envelopes(&[("includeHeaders", "true")], Wanted { keys: true, headers: true }).await?;
    let batches: Vec<_> = envelopes.iter().map(Envelope::to_batch).collect::<Result<_, _>>()?;
    let batch = arrow::compute::concat_batches(&forebay_core::source::envelope_schema(), &batches)?;
    ensure!(batch.num_rows() == 4, "{} rows", batch.num_rows());
    let (keys, values) = (batch.column(0).as_binary_view(), batch.column(1).as_binary_view());
    ensure!(
        keys.is_null(0)
            && keys.value(1) == b"key"
            && keys.is_null(2)
            && keys.value(3) == b""
            && !keys.is_null(3)
    );
    ensure!(values.value(0) == b"plain" && values.is_null(1));
    let times = batch.column(5).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    ensure!(times.value(0) == 1_700_000_000_123_000);
    let lists = batch.column(7).as_list::<i32>();
    ensure!(lists.is_null(0) && lists.value(2).len() == 1_000 && lists.value(3).len() == 2);
    let last = lists.value(3);
    let pairs = last.as_struct();
    ensure!(
        pairs.column(1).as_binary::<i32>().is_null(0) && pairs.column(1).as_binary::<i32>().value(1) == b""
    );
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

async fn new_partitions_start_at_the_earliest(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "grow", 1).await?;
    topic.fill(&[], 10).await?;
    let mut source =
        topic.source(&[("startingOffsets", "earliest"), ("kafka.metadata.max.age.ms", "200")])?;
    let start = source.start(false).await?;
    let mut at = source.available(&start).await?.ends;
    ensure!(at == topic.positions(&[10]));
    topic.client.create_partitions(&topic.name, 3).await?;
    let producer = topic.producer(&[]).await?;
    for number in 0..6_u8 {
        let value = [number];
        let record = NewRecord::value(&topic.name, &value, 1);
        let record = NewRecord { partition: Some(1 + i32::from(number % 2)), ..record };
        producer.send(record).await?;
    }
    producer.flush().await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while at != topic.positions(&[10, 3, 3]) {
        ensure!(Instant::now() < deadline, "the new partitions were not found: {at:?}");
        tokio::time::timeout(Duration::from_secs(10), source.wait(&at)).await.context("nobody woke us")??;
        let available = source.available(&at).await?;
        for (partition, first) in available.new {
            ensure!(first == Position(0), "{partition} starts at {first}");
            at.insert(partition, first);
        }
        let got = read(&mut source, &ranges(&at, &available.ends), 2).await?;
        ensure!(got.iter().all(|record| record.partition.index > 0), "an old record came again");
        at.extend(available.ends);
    }
    Ok(())
}

async fn lag_monitors_see_what_was_committed(place: &Place) -> Result<()> {
    // Only a broker has monitors: a log that is read in place, without its server, has none.
    let place = &Place::at(&place.bootstrap);
    let topic = Topic::new(place, "lag", 2).await?;
    topic.fill(&[], 10).await?;
    let group = format!("{}-group", topic.name);
    let mut source = topic.source(&[("kafka.group.id", &group)])?;
    // The last of several epochs that end at once counts, and is there when the query has ended.
    for offsets in [[1, 1], [2, 3], [3, 4]] {
        source.committed(&topic.positions(&offsets)).await?;
    }
    source.close().await;
    let args =
        ["ConsumerGroupCommand", "--bootstrap-server", &place.bootstrap, "--describe", "--group", &group];
    let described = tokio::task::block_in_place(|| run_script("scripts/services/kafka-tool.sh", &args));
    let mut seen = Vec::new();
    for line in described.lines().filter(|line| line.contains(&topic.name)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        seen.push((words[2].parse::<i32>()?, words[3].parse::<i64>()?));
    }
    seen.sort_unstable();
    ensure!(seen == [(0, 3), (1, 4)], "{described}");
    Ok(())
}

async fn a_topic_made_anew_is_data_loss(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "anew", 1).await?;
    topic.fill(&[], 50).await?;
    let strict = [("startingOffsets", "earliest")];
    let lenient = [("startingOffsets", "earliest"), ("failOnDataLoss", "false")];
    let mut source = topic.source(&strict)?;
    let start = source.start(false).await?;
    let at = source.available(&start).await?.ends;
    topic.client.delete_topics(&[&topic.name]).await?;
    topic.create(1).await?;
    topic.fill(&[], 5).await?;
    let error = source.available(&at).await.err().context("50 records are gone without a word")?;
    ensure!(error.code().id == "FB-2003", "{error:?}");
    let available = topic.source(&lenient)?.available(&at).await?;
    ensure!(
        available.moved == topic.positions(&[0]) && available.ends == topic.positions(&[5]),
        "{available:?}"
    );
    // A range that was planned before: its records are gone, and the lane says so too.
    let planned = ranges(&topic.positions(&[2]), &topic.positions(&[50]));
    let patience = [("kafka.default.api.timeout.ms", "1500")];
    let mut strict_reader = topic.source(&[&strict[..], &patience].concat())?;
    let error = read(&mut strict_reader, &planned, 1).await.err().context("a hole was skipped")?;
    ensure!(format!("{error:#}").contains("FB-2003"), "{error:#}");
    let got = read(&mut topic.source(&[&lenient[..], &patience].concat())?, &planned, 1).await?;
    ensure!(got.len() == 3, "{} of the 3 records that are there", got.len());
    Ok(())
}

/// By its offsets alone the new topic could be the old one, grown.
async fn a_longer_topic_made_anew_is_noticed(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "longer", 1).await?;
    topic.fill(&[], 5).await?;
    let strict = [("startingOffsets", "earliest")];
    let lenient = [("startingOffsets", "earliest"), ("failOnDataLoss", "false")];
    let mut running = topic.source(&lenient)?;
    let start = running.start(false).await?;
    let at = running.available(&start).await?.ends;
    ensure!(at == topic.positions(&[5]) && read(&mut running, &ranges(&start, &at), 1).await?.len() == 5);
    let ids = running.topics();
    ensure!(ids.contains_key(&topic.name), "the broker gave no id: {ids:?}");
    topic.client.delete_topics(&[&topic.name]).await?;
    topic.create(1).await?;
    topic.fill(&[], 50).await?;
    let anew = |available: &Available| {
        available.moved == topic.positions(&[0]) && available.ends == topic.positions(&[50])
    };

    // Whoever waits for more is told, long before the list of topics is old.
    tokio::time::timeout(Duration::from_secs(20), running.wait(&at)).await.context("nobody woke us")??;
    let available = running.available(&at).await?;
    ensure!(anew(&available), "while it ran: {available:?}");
    let got = read(&mut running, &ranges(&available.moved, &available.ends), 1).await?;
    ensure!(got.len() == 50, "{} of 50 records", got.len());

    let resumed = |options, ids| {
        let mut source = topic.source(options)?;
        source.resume(ids);
        Ok::<_, anyhow::Error>(source)
    };
    let is_loss = |error: &forebay_core::Error| {
        let says = error.to_string().contains("made anew") && error.hint().contains("failOnDataLoss");
        error.code().id == "FB-2003" && !error.is_retryable() && says
    };
    let mut source = resumed(&strict, &ids)?;
    for attempt in ["first", "second"] {
        let error = source.available(&at).await.err().with_context(|| format!("{attempt} attempt"))?;
        ensure!(is_loss(&error), "{attempt} attempt: {error:?}");
    }
    ensure!(source.topics() == ids, "the checkpoint must not forget what it read from");
    // An epoch that was planned before is not read from the new topic.
    let planned = ranges(&topic.positions(&[2]), &at);
    let error = resumed(&strict, &ids)?.read(&planned, 1).await.err().context("read as if nothing were")?;
    ensure!(is_loss(&error), "{error:?}");
    let mut source = resumed(&lenient, &ids)?;
    ensure!(read(&mut source, &planned, 1).await?.is_empty(), "records of another topic");
    let available = source.available(&at).await?;
    ensure!(anew(&available), "after a replay: {available:?}");
    let new_ids = source.topics();
    ensure!(new_ids.contains_key(&topic.name) && new_ids != ids, "{new_ids:?}");
    // The new topic's own positions are good, and so are those of a checkpoint that knows no ids.
    for known in [&new_ids, &TopicIds::new()] {
        let mut source = resumed(&strict, known)?;
        let available = source.available(&at).await?;
        ensure!(available.moved.is_empty() && available.ends == topic.positions(&[50]), "{available:?}");
        ensure!(source.topics() == new_ids, "the id is learned");
    }
    Ok(())
}

async fn positions_nobody_has_are_data_loss(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "range", 1).await?;
    topic.fill(&[], 20).await?;
    let beyond = topic.positions(&[21]);
    let error = topic.source(&[])?.available(&beyond).await.err().context("offset 21 of 20")?;
    ensure!(error.code().id == "FB-2003" && !error.is_retryable(), "{error:?}");
    let error = read(&mut topic.source(&[])?, &ranges(&beyond, &topic.positions(&[30])), 1).await;
    ensure!(error.is_err_and(|error| format!("{error:#}").contains("FB-2003")));
    Ok(())
}

async fn large_records_pass(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "large", 1).await?;
    let producer = topic.producer(&[("compression.type", "none")]).await?;
    let large = vec![b'x'; 900_000];
    for _ in 0..12 {
        producer.send(NewRecord::value(&topic.name, &large, 1)).await?;
        producer.send(NewRecord::value(&topic.name, b"small", 1)).await?;
    }
    producer.flush().await?;
    let small_fetches = [("kafka.max.partition.fetch.bytes", "100000"), ("kafka.fetch.max.bytes", "100000")];
    let found = topic.read_all(&small_fetches, 1).await?;
    ensure!(
        found.len() == 24 && found.iter().filter(|r| r.value.as_deref() == Some(&large[..])).count() == 12
    );
    let producer = topic.producer(&[("compression.type", "zstd")]).await?;
    producer.send(NewRecord::value(&topic.name, &vec![0; 3 << 20], 1)).await?;
    producer.flush().await?;
    let error = topic.read_all(&[("maxBatchBytes", "2MiB")], 1).await.err().context("a bomb went off")?;
    ensure!(format!("{error:#}").contains("FB-2004"), "{error:#}");
    ensure!(format!("{error:#}").contains("offset 24"), "{error:#}");
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

async fn aborted_records_are_no_records(place: &Place, python: &str) -> Result<()> {
    let topic = Topic::new(place, "txn", 1).await?;
    let script = r#"
import sys
from confluent_kafka import Producer
bootstrap, topic = sys.argv[1:]
def producer(name):
    p = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic + name, "linger.ms": 0})
    p.init_transactions()
    return p
a, b = producer("-a"), producer("-b")
def write(p, what, n):
    for i in range(n):
        p.produce(topic, value=f"{what}-{i}", partition=0)
    p.flush()
for round in range(3):
    a.begin_transaction(); b.begin_transaction()
    write(a, f"void{round}", 30); write(b, f"kept{round}", 20); write(a, f"void{round}b", 5)
    a.abort_transaction(); b.commit_transaction()
    a.begin_transaction(); write(a, f"after{round}", 10); a.commit_transaction()
b.begin_transaction(); write(b, "open", 7)
plain = Producer({"bootstrap.servers": bootstrap}); write(plain, "behind", 4)
print("ready", flush=True); sys.stdin.readline()
b.commit_transaction()
"#;
    let mut child = Command::new(python)
        .args(["-c", script, &place.bootstrap, &topic.name])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot start python with confluent_kafka")?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("no stdout")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    ensure!(line.trim() == "ready", "the script failed");
    let text = |records: &[Record]| -> Vec<String> {
        records
            .iter()
            .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned())
            .collect()
    };
    let committed = text(&topic.read_all(&[], 1).await?);
    let kept: usize = 3 * (20 + 10);
    ensure!(committed.len() == kept, "{} records while a transaction is open", committed.len());
    ensure!(
        committed.iter().all(|value| value.starts_with("kept") || value.starts_with("after")),
        "{committed:?}"
    );
    let all = text(&topic.read_all(&[("kafka.isolation.level", "read_uncommitted")], 1).await?);
    ensure!(all.len() == kept + 3 * 35 + 7 + 4, "{} records uncommitted", all.len());
    child.stdin.take().map(|mut stdin| std::io::Write::write_all(&mut stdin, b"\n")).transpose()?;
    ensure!(child.wait()?.success(), "the script failed");
    let later = text(&topic.read_all(&[], 1).await?);
    ensure!(later.len() == kept + 7 + 4, "{} records once it is committed", later.len());
    // Ranges that cut through transactions give exactly their share.
    let mut source = topic.source(&[("startingOffsets", "earliest")])?;
    let start = source.start(false).await?;
    let end = source.available(&start).await?.ends;
    let mut pieces = Vec::new();
    let mut at = start;
    while at != end {
        let to: Positions =
            at.iter().map(|(p, from)| (p.clone(), Position((from.0 + 7).min(end[p].0)))).collect();
        pieces.extend(read(&mut source, &ranges(&at, &to), 1).await?);
        at = to;
    }
    ensure!(text(&pieces) == later, "reading in pieces gives other records");
    Ok(())
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    partition: Partition,
    offset: i64,
    value: Option<Vec<u8>>,
}

/// A topic of a test's own.
struct Topic {
    client: Client,
    place: Place,
    name: String,
}

impl Topic {
    async fn new(place: &Place, what: &str, partitions: i32) -> Result<Self> {
        let name = format!("source-{what}-{:08x}-t", fastrand::u32(..));
        let topic = Self { client: client(&place.bootstrap, &[]).await?, place: place.clone(), name };
        topic.create(partitions).await?;
        Ok(topic)
    }

    async fn create(&self, partitions: i32) -> Result<()> {
        // A name that was just deleted may still be taken for a moment.
        for _ in 0..50 {
            let mut topic = NewTopic::new(&self.name, partitions);
            // Our timestamps are from 1970: retention would take them while we look.
            topic.configs.insert("retention.ms".to_owned(), "-1".to_owned());
            match self.client.create_topics(&[topic]).await {
                Ok(()) => return Ok(()),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        bail!("cannot create {}", self.name)
    }

    async fn producer(&self, options: &[(&str, &str)]) -> Result<Producer> {
        let client = client(&self.place.bootstrap, options).await?;
        let config = ProducerConfig::from_client(client.config())?;
        Ok(Producer::new(client, config))
    }

    async fn fill(&self, options: &[(&str, &str)], records: u64) -> Result<()> {
        let producer = self.producer(options).await?;
        for number in 0..records {
            let value = format!("record number {number}");
            producer
                .send(NewRecord {
                    key: Some(&number.to_be_bytes()),
                    ..NewRecord::value(&self.name, value.as_bytes(), 1)
                })
                .await?;
        }
        Ok(producer.flush().await?)
    }

    fn options(&self, more: &[(&str, &str)], subscribe: bool) -> BTreeMap<String, String> {
        let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), self.place.bootstrap.clone())]);
        if subscribe {
            raw.insert("subscribe".to_owned(), self.name.clone());
        }
        raw.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        raw
    }

    fn source(&self, options: &[(&str, &str)]) -> Result<KafkaSource> {
        Ok(KafkaSource::new(
            &parse(&self.options(options, true))?,
            Wanted::default(),
            self.place.log.clone(),
        )?)
    }

    fn positions(&self, offsets: &[i64]) -> Positions {
        let partition = |index| Partition::new(self.name.as_str(), index);
        (0..).zip(offsets).map(|(index, offset)| (partition(index), Position(*offset))).collect()
    }

    async fn read_all(&self, options: &[(&str, &str)], lanes: usize) -> Result<Vec<Record>> {
        let mut source = self.source(&[&[("startingOffsets", "earliest")], options].concat())?;
        let start = source.start(false).await?;
        let ends = source.available(&start).await?.ends;
        read(&mut source, &ranges(&start, &ends), lanes).await
    }

    async fn envelopes(&self, options: &[(&str, &str)], wanted: Wanted) -> Result<Vec<Envelope>> {
        let raw = self.options(&[&[("startingOffsets", "earliest")], options].concat(), true);
        let mut source = KafkaSource::new(&parse(&raw)?, wanted, self.place.log.clone())?;
        let start = source.start(false).await?;
        let ends = source.available(&start).await?.ends;
        let mut envelopes = Vec::new();
        for mut lane in source.read(&ranges(&start, &ends), 1).await? {
            while let Some(envelope) = lane.next().await {
                envelopes.push(envelope?);
            }
        }
        Ok(envelopes)
    }
}

async fn client(bootstrap: &str, options: &[(&str, &str)]) -> Result<Client> {
    let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_owned())]);
    raw.extend(options.iter().map(|(name, value)| (format!("kafka.{name}"), (*value).to_owned())));
    Ok(Client::connect(ClientConfig::from_options(&raw)?).await?)
}

fn parse(raw: &BTreeMap<String, String>) -> Result<Options> {
    Options::parse(&SPEC, raw).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn ranges(from: &Positions, to: &Positions) -> Vec<PositionRange> {
    let range = |(partition, to): (&Partition, &Position)| PositionRange {
        partition: partition.clone(),
        from: from.get(partition).copied().unwrap_or(Position(0)),
        to: *to,
    };
    to.iter().map(range).collect()
}

/// All records of these ranges, by partition and offset; checks what every envelope must be.
async fn read(source: &mut KafkaSource, ranges: &[PositionRange], lanes: usize) -> Result<Vec<Record>> {
    let lanes = source.read(ranges, lanes).await?.into_iter().map(|mut lane| async move {
        let mut records: Vec<Record> = Vec::new();
        let mut next: BTreeMap<Partition, i64> = BTreeMap::new();
        while let Some(envelope) = lane.next().await {
            let envelope = envelope?;
            let at = next.entry(envelope.partition.clone()).or_insert(-1);
            for (row, offset) in envelope.offsets.iter().enumerate() {
                ensure!(*offset >= *at, "{} went back from {at} to {offset}", envelope.partition);
                *at = offset + 1;
                let value = envelope.values.is_valid(row).then(|| envelope.values.value(row).to_vec());
                records.push(Record { partition: envelope.partition.clone(), offset: *offset, value });
            }
            ensure!(envelope.next.0 >= *at, "an envelope ends before its last record");
        }
        Ok(records)
    });
    let mut records: Vec<Record> = try_join_all(lanes).await?.into_iter().flatten().collect();
    records.sort_by(|a, b| (&a.partition, a.offset).cmp(&(&b.partition, b.offset)));
    Ok(records)
}
