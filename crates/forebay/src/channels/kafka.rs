//! A notice as records of a topic: one for each transition, with the alert's key.
//!
//! By the project's own producer, which is idempotent: what it sends again by itself is written once. A notice is sent again only
//! where it is not known whether it was taken, as after a crash; its records then come twice, each under the `id` that it had.
//! What must stay true: the transitions of a key are in one partition, in their order.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig, legal_topic};
use forebay_core::config::ChannelConfig;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_rules::Notice;

use super::carrier::{Around, Sent};
use super::record;

const SERVERS: &str = "kafka.bootstrap.servers";

/// How long a record is tried before the courier hears of it, which tries again by itself: a person learns early of a log that is away.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic that hears of alerts.
pub struct Topic {
    producer: Producer,
    topic: String,
    pipeline: String,
}

/// What the file says of such a channel; `servers` are those of the sources, where it names none itself.
///
/// # Errors
/// `BAD_VALUE`, `MISSING_KEY`.
pub fn settings(options: &Options, servers: &BTreeMap<String, String>) -> Result<(ClientConfig, String)> {
    let topic = options.text("topic").unwrap_or_default().trim();
    if !legal_topic(topic) {
        return Err(Error::new(
            &codes::BAD_VALUE,
            format!("option `topic`: `{topic}` is no name of a topic"),
        )
        .with_hint("A topic's name has letters, digits, `.`, `_` and `-`, and at most 249 of them."));
    }
    let own = options.passed_on();
    let all = if own.contains_key(SERVERS) {
        own.clone()
    } else {
        servers.clone().into_iter().chain(own.clone()).collect()
    };
    if !all.contains_key(SERVERS) {
        return Err(Error::new(
            &codes::MISSING_KEY,
            format!("the channel has no `{SERVERS}`, and the sources do not agree on one"),
        )
        .with_hint("Add it to the `options` of the channel: the log to which alerts go."));
    }
    Ok((ClientConfig::from_options(&all)?, topic.to_owned()))
}

impl Topic {
    /// The carrier of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        let (client, topic) = settings(&config.options, &around.log)?;
        let mut producer = ProducerConfig::from_client(&client)?;
        if !config.options.passed_on().contains_key("kafka.delivery.timeout.ms") {
            producer.delivery_timeout = DELIVERY_TIMEOUT;
        }
        // Notices are few, and somebody waits for them.
        producer.linger = Duration::ZERO;
        let producer = Producer::new(Client::new(client)?, producer);
        Ok(Self { producer, topic, pipeline: around.pipeline.clone() })
    }

    /// Writes a record for each transition of a notice, and waits until all are written.
    pub async fn send(&self, notice: &Notice) -> Sent {
        let mut written = Vec::with_capacity(notice.lines.len());
        for line in &notice.lines {
            let (id, body) = (record::id(notice, line), record::of(&self.pipeline, notice, line));
            let key = line.key.as_deref().map(str::as_bytes);
            match self.write(&id, key, &body, line.at).await {
                Ok(delivery) => written.push(delivery),
                Err(error) => return outcome(&error),
            }
        }
        if let Some((id, body)) = record::of_unlisted(&self.pipeline, notice) {
            let at = notice.lines.last().map_or(0, |line| line.at);
            match self.write(&id, None, &body, at).await {
                Ok(delivery) => written.push(delivery),
                Err(error) => return outcome(&error),
            }
        }
        let mut sent = Sent::Taken;
        for delivery in written {
            if let Err(error) = delivery.wait().await {
                // One that may be taken later brings all of them again.
                sent = match (sent, outcome(&error)) {
                    (later @ Sent::Later(..), _) => later,
                    (_, other) => other,
                };
            }
        }
        sent
    }

    async fn write(
        &self,
        id: &str,
        key: Option<&[u8]>,
        body: &[u8],
        at: i64,
    ) -> Result<forebay_connectors::kafka::Delivery> {
        let headers = [("forebay-id", Some(id.as_bytes()))];
        let record = NewRecord {
            topic: &self.topic,
            partition: None,
            key,
            value: Some(body),
            timestamp: at,
            headers: &headers,
        };
        self.producer.send(record).await
    }
}

/// What an error of the producer means: a record that is too large alone is never taken.
fn outcome(error: &Error) -> Sent {
    let is_too_large = error.code() == &codes::SOURCE_REFUSED && error.message().starts_with("a record of ");
    if is_too_large { Sent::Refused(error.to_string()) } else { Sent::Later(error.to_string(), None) }
}

/// How the sources reach their log, if all of them read from one: a channel without servers of its own writes there.
pub fn of_sources(sources: &[forebay_core::config::SourceConfig]) -> BTreeMap<String, String> {
    let mut kafka = sources.iter().filter(|source| source.format == "kafka");
    let Some(first) = kafka.next().map(|source| source.options.passed_on()) else { return BTreeMap::new() };
    if kafka.any(|source| source.options.passed_on().get(SERVERS) != first.get(SERVERS)) {
        return BTreeMap::new();
    }
    first.clone()
}
