//! Where a source goes on: new partitions, group offsets, topics that were made anew.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_connectors::kafka::NewRecord;
use forebay_core::source::{Available, Source};
use forebay_core::{Position, TopicIds};

use super::Place;
use super::topic::{Topic, ranges, read};
use crate::support::run_script;

pub(super) async fn new_partitions_start_at_the_earliest(place: &Place) -> Result<()> {
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

pub(super) async fn lag_monitors_see_what_was_committed(place: &Place) -> Result<()> {
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

pub(super) async fn a_topic_made_anew_is_data_loss(place: &Place) -> Result<()> {
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
pub(super) async fn a_longer_topic_made_anew_is_noticed(place: &Place) -> Result<()> {
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

pub(super) async fn positions_nobody_has_are_data_loss(place: &Place) -> Result<()> {
    let topic = Topic::new(place, "range", 1).await?;
    topic.fill(&[], 20).await?;
    let beyond = topic.positions(&[21]);
    let error = topic.source(&[])?.available(&beyond).await.err().context("offset 21 of 20")?;
    ensure!(error.code().id == "FB-2003" && !error.is_retryable(), "{error:?}");
    let error = read(&mut topic.source(&[])?, &ranges(&beyond, &topic.positions(&[30])), 1).await;
    ensure!(error.is_err_and(|error| format!("{error:#}").contains("FB-2003")));
    Ok(())
}
