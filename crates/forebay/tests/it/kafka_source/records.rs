//! What a source gives: every record, in order, as it was written.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use arrow::array::{Array, AsArray};
use forebay_connectors::kafka::NewRecord;
use forebay_core::source::{Envelope, Source, Wanted};
use forebay_core::{Position, PositionRange};

use super::Place;
use super::topic::{Record, Topic, read};

pub(super) async fn every_record_comes_once_and_in_order(place: &Place) -> Result<()> {
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

pub(super) async fn every_compression_is_read(place: &Place) -> Result<()> {
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

pub(super) async fn ranges_are_exact_and_repeatable(place: &Place) -> Result<()> {
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

pub(super) async fn keys_headers_and_tombstones_survive(place: &Place) -> Result<()> {
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

pub(super) async fn large_records_pass(place: &Place) -> Result<()> {
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
