//! The log, as gateways see it: the Kafka producer, idempotent, which tries again by itself until `delivery.timeout.ms`.
//!
//! Records of a call go to the producer in their order, so those of a partition keep it. Batches wait for nothing
//! (`linger.ms` 0): while one is away the next fills, so a quiet gateway is answered at once and a busy one writes large batches.
//!
//! What must stay true: a record is refused for good only where it is itself what the log does not take; whatever else goes wrong
//! leaves it open, so that the device sends again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig};
use forebay_core::config::Pipeline;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::{Delivery, Log, Place, Record, Refusal, Settle, delivery};
use forebay_storage::kill_point;

const SERVERS: &str = "kafka.bootstrap.servers";
const LINGER: &str = "kafka.linger.ms";

/// See the module.
pub struct KafkaLog {
    producer: Arc<Producer>,
}

/// How the gateways of a file reach the log: as they say, else as its sources do.
///
/// # Errors
/// `MISSING_KEY` where neither says it, `BAD_VALUE` where they name several logs.
pub fn client(pipeline: &Pipeline) -> Result<(ClientConfig, ProducerConfig)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let own = pipeline.gateways.iter().map(|gateway| gateway.options.passed_on());
    for (name, value) in own.flatten() {
        if all.insert(name.clone(), value.clone()).is_some_and(|before| before != *value) {
            return Err(Error::new(&codes::BAD_VALUE, format!("option `{name}` differs between gateways"))
                .with_hint("All gateways of a file write to one log: say it alike, or once."));
        }
    }
    if !all.contains_key(SERVERS) {
        let mut sources = pipeline.sources.iter().filter(|source| source.format == "kafka");
        let Some(first) = sources.next().map(|source| source.options.passed_on()) else {
            return Err(Error::new(
                &codes::MISSING_KEY,
                format!("the gateways have no `{SERVERS}`, and no source has"),
            )
            .with_hint("Add it to the `options` of a gateway: the log to which messages go."));
        };
        if sources.any(|source| source.options.passed_on().get(SERVERS) != first.get(SERVERS)) {
            return Err(Error::new(
                &codes::BAD_VALUE,
                "the sources read from several logs, and no gateway says which is its own",
            )
            .with_hint(format!("Add `{SERVERS}` to the `options` of a gateway.")));
        }
        for (name, value) in first {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let linger = all.get(LINGER).cloned();
    let config = ClientConfig::from_options(&all)?;
    let mut producer = ProducerConfig::from_client(&config)?;
    if linger.is_none() {
        producer.linger = Duration::ZERO;
    }
    Ok((config, producer))
}

impl KafkaLog {
    /// A log by these settings; asks nobody yet.
    pub fn new((client, producer): (ClientConfig, ProducerConfig)) -> Result<Self> {
        Ok(Self { producer: Arc::new(Producer::new(Client::new(client)?, producer)) })
    }

    /// Topics that will be written to, each with the gateway that does: looked for, and made where they are missing, beside everything else.
    pub fn expect(&self, topics: Vec<(String, Arc<str>)>) {
        let producer = Arc::clone(&self.producer);
        tokio::spawn(async move {
            for (gateway, topic) in topics {
                if let Err(error) = producer.partitions(&topic).await {
                    tracing::warn!(%gateway, %error, %topic, "a topic of a gateway is not there yet");
                }
            }
        });
    }

    /// Waits until all that was sent is written, or is known not to be.
    pub async fn flush(&self) {
        if let Err(error) = self.producer.flush().await {
            tracing::error!(%error, "what gateways took last was not written; it was not acknowledged");
        }
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        kill_point("gateway.append.before");
        let mut deliveries = Vec::with_capacity(records.len());
        let mut sent = Vec::with_capacity(records.len());
        for record in records {
            let (settle, waits) = delivery();
            deliveries.push(waits);
            let headers: Vec<(&str, Option<&[u8]>)> =
                record.headers.iter().map(|(name, value)| (&**name, Some(&value[..]))).collect();
            let new = NewRecord {
                topic: &record.topic,
                partition: None,
                key: record.key.as_deref(),
                value: Some(&record.value),
                timestamp: record.timestamp,
                headers: &headers,
            };
            match self.producer.send(new).await {
                Ok(delivery) => sent.push((settle, Arc::clone(&record.topic), delivery)),
                Err(error) => settle.settle(Err(refusal(error))),
            }
        }
        kill_point("gateway.append.after");
        tokio::spawn(settle(sent));
        deliveries
    }
}

/// Tells the outcome of each.
async fn settle(sent: Vec<(Settle, Arc<str>, forebay_connectors::kafka::Delivery)>) {
    for (settle, topic, delivery) in sent {
        let outcome = delivery.wait().await;
        kill_point("gateway.append.known");
        settle.settle(match outcome {
            Ok(written) => Ok(Place { topic, partition: written.partition.index, offset: written.offset }),
            Err(error) => Err(refusal(error)),
        });
    }
}

/// A record that went alone and is too large never will be taken. One that was refused with others may be innocent.
fn refusal(error: Error) -> Refusal {
    let is_too_large = error.code() == &codes::SOURCE_REFUSED && error.message().starts_with("a record of ");
    if is_too_large { Refusal::Never(error) } else { Refusal::Unknown(error) }
}
