//! A notice as records of a topic: one for each transition, with the alert's key.
//!
//! By the project's own producer, which is idempotent: what it sends again by itself is written once. A notice is sent again only
//! where it is not known whether it was taken, as after a crash; its records then come twice, each under the `id` that it had.
//! What must stay true: the transitions of a key are in one partition, in their order; a record that the topic will never take (too
//! large, or without the key that a compacted topic wants) keeps no other from being written, and is told of.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_connectors::kafka::{
    Client, ClientConfig, Producer, ProducerConfig, RefusedRecord, legal_topic, partition_for_key,
};
use forebay_core::config::ChannelConfig;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_log::records::{BatchBuilder, Compression};
use forebay_rules::Notice;

use super::carrier::{Around, Sent};
use super::record;

const SERVERS: &str = "kafka.bootstrap.servers";

/// The header with a record's name.
const ID: &str = "forebay-id";

/// How long a record is tried before the courier hears of it, which tries again by itself: a person learns early of a log that is away.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic that hears of alerts.
pub struct Topic {
    producer: Producer,
    compression: Compression,
    batch_bytes: usize,
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
        let (compression, batch_bytes) = (producer.compression, producer.batch_bytes);
        let producer = Producer::new(Client::new(client)?, producer);
        Ok(Self { producer, compression, batch_bytes, topic, pipeline: around.pipeline.clone() })
    }

    /// Writes a record for each transition of a notice, and waits until all are written that the topic takes.
    pub async fn send(&self, notice: &Notice) -> Sent {
        match self.write(notice).await {
            Ok(refused) => outcome(notice, &refused),
            Err(error) => Sent::Later(error.to_string(), None),
        }
    }

    /// Gives the records that the topic will never take.
    async fn write(&self, notice: &Notice) -> Result<Vec<RefusedRecord>> {
        let count = self.producer.partitions(&self.topic).await?;
        let mut batches: BTreeMap<usize, Vec<BatchBuilder>> = BTreeMap::new();
        let mut add = |id: &str, key: Option<&[u8]>, body: &[u8], at: i64| {
            let of_partition = batches.entry(partition(key, count)).or_default();
            if of_partition.last().is_none_or(|batch| batch.size() >= self.batch_bytes) {
                of_partition.push(BatchBuilder::new(self.compression));
            }
            if let Some(batch) = of_partition.last_mut() {
                batch.append(at, key, Some(body), &[(ID, Some(id.as_bytes()))]);
            }
        };
        for line in &notice.lines {
            let (id, body) = (record::id(notice, line), record::of(&self.pipeline, notice, line));
            add(&id, line.key.as_deref().map(str::as_bytes), &body, line.at);
        }
        if let Some((id, body)) = record::of_unlisted(&self.pipeline, notice) {
            add(&id, None, &body, notice.lines.last().map_or(0, |line| line.at));
        }
        for (partition, batches) in batches {
            for batch in batches {
                self.producer.send_batch(&self.topic, partition, batch).await?;
            }
        }
        let written = self.producer.flush().await;
        // Also of an attempt that failed, which is made again as a whole.
        let refused = self.producer.take_refused();
        written.map(|()| refused)
    }
}

/// Where the records of a key go; those of NULL stay together, too.
fn partition(key: Option<&[u8]>, count: usize) -> usize {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    usize::try_from(partition_for_key(key.unwrap_or_default(), count)).unwrap_or_default()
}

/// What records that are refused for good mean for their notice: the others are written, and it is not sent again.
fn outcome(notice: &Notice, refused: &[RefusedRecord]) -> Sent {
    let Some(RefusedRecord { partition, code, why, headers, .. }) = refused.first() else {
        return Sent::Taken;
    };
    let id =
        headers.iter().find(|(name, _)| name == ID).and_then(|(_, id)| id.as_deref()).unwrap_or_default();
    let (count, id) = (refused.len(), String::from_utf8_lossy(id));
    let all = notice.lines.len() + usize::from(record::unlisted(notice) > 0);
    Sent::Refused(format!(
        "topic `{}` refuses {count} of {all} records for good, the first `{id}`: {why} ({code})",
        partition.topic
    ))
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

#[cfg(test)]
mod tests {
    use forebay_core::Partition;
    use forebay_rules::Event;

    use super::super::record::tests::{line, notice};
    use super::*;

    #[test]
    fn the_transitions_of_a_key_share_a_partition_and_those_of_null_do() {
        for count in [1, 3, 50] {
            for key in [None, Some(&b""[..]), Some(b"press-1")] {
                let first = partition(key, count);
                assert!(
                    first < count && (0..9).all(|_| partition(key, count) == first),
                    "{key:?} of {count}"
                );
            }
        }
    }

    #[test]
    fn what_is_refused_for_good_is_said_with_its_name_and_the_brokers_words() {
        let notice = notice(vec![line(None, Event::Opened), line(Some("a"), Event::Opened)], 5);
        assert_eq!(outcome(&notice, &[]), Sent::Taken);
        let refused = RefusedRecord {
            partition: Partition::new("told", 0),
            code: "INVALID_RECORD",
            why: "it has no key".into(),
            key: None,
            value: None,
            headers: vec![(ID.to_owned(), Some(b"bus/hot/5#1".to_vec()))],
        };
        let Sent::Refused(words) = outcome(&notice, &[refused.clone(), refused]) else {
            panic!("it is refused")
        };
        assert_eq!(
            words,
            "topic `told` refuses 2 of 3 records for good, the first `bus/hot/5#1`: it has no key (INVALID_RECORD)"
        );
    }
}
