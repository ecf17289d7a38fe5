//! A topic of a test's own, and what is read of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use arrow::array::Array;
use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, NewTopic, Producer, ProducerConfig};
use forebay_connectors::sources::kafka::{KafkaSource, SPEC};
use forebay_core::options::Options;
use forebay_core::source::{Envelope, Source, Wanted};
use forebay_core::{Partition, Position, PositionRange, Positions};
use futures::StreamExt;
use futures::future::try_join_all;

use super::Place;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub partition: Partition,
    pub offset: i64,
    pub value: Option<Vec<u8>>,
}

/// A topic of a test's own.
pub(super) struct Topic {
    pub client: Client,
    pub place: Place,
    pub name: String,
}

impl Topic {
    pub async fn new(place: &Place, what: &str, partitions: i32) -> Result<Self> {
        let name = format!("source-{what}-{:08x}-t", fastrand::u32(..));
        let topic = Self { client: client(&place.bootstrap, &[]).await?, place: place.clone(), name };
        topic.create(partitions).await?;
        Ok(topic)
    }

    pub async fn create(&self, partitions: i32) -> Result<()> {
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

    pub async fn producer(&self, options: &[(&str, &str)]) -> Result<Producer> {
        let client = client(&self.place.bootstrap, options).await?;
        let config = ProducerConfig::from_client(client.config())?;
        Ok(Producer::new(client, config))
    }

    pub async fn fill(&self, options: &[(&str, &str)], records: u64) -> Result<()> {
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

    pub fn options(&self, more: &[(&str, &str)], subscribe: bool) -> BTreeMap<String, String> {
        let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), self.place.bootstrap.clone())]);
        if subscribe {
            raw.insert("subscribe".to_owned(), self.name.clone());
        }
        raw.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        raw
    }

    pub fn source(&self, options: &[(&str, &str)]) -> Result<KafkaSource> {
        Ok(KafkaSource::new(
            &parse(&self.options(options, true))?,
            Wanted::default(),
            self.place.log.clone(),
        )?)
    }

    pub fn positions(&self, offsets: &[i64]) -> Positions {
        let partition = |index| Partition::new(self.name.as_str(), index);
        (0..).zip(offsets).map(|(index, offset)| (partition(index), Position(*offset))).collect()
    }

    pub async fn read_all(&self, options: &[(&str, &str)], lanes: usize) -> Result<Vec<Record>> {
        let mut source = self.source(&[&[("startingOffsets", "earliest")], options].concat())?;
        let start = source.start(false).await?;
        let ends = source.available(&start).await?.ends;
        read(&mut source, &ranges(&start, &ends), lanes).await
    }

    pub async fn envelopes(&self, options: &[(&str, &str)], wanted: Wanted) -> Result<Vec<Envelope>> {
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

pub(super) async fn client(bootstrap: &str, options: &[(&str, &str)]) -> Result<Client> {
    let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_owned())]);
    raw.extend(options.iter().map(|(name, value)| (format!("kafka.{name}"), (*value).to_owned())));
    Ok(Client::connect(ClientConfig::from_options(&raw)?).await?)
}

pub(super) fn parse(raw: &BTreeMap<String, String>) -> Result<Options> {
    Options::parse(&SPEC, raw).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

pub(super) fn ranges(from: &Positions, to: &Positions) -> Vec<PositionRange> {
    let range = |(partition, to): (&Partition, &Position)| PositionRange {
        partition: partition.clone(),
        from: from.get(partition).copied().unwrap_or(Position(0)),
        to: *to,
    };
    to.iter().map(range).collect()
}

/// All records of these ranges, by partition and offset; checks what every envelope must be.
pub(super) async fn read(
    source: &mut KafkaSource,
    ranges: &[PositionRange],
    lanes: usize,
) -> Result<Vec<Record>> {
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
