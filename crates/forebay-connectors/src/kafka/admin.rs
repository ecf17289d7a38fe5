//! Making and removing topics.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::{Partition, Result};
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use super::error::{is_stale_leader, refused, unavailable};
use super::metadata::{Topics, topic_name};

/// Time that a cluster gets to spread the news about a topic.
const PATIENCE: Duration = Duration::from_secs(20);

/// A topic to be made.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 leaves it to the cluster.
    pub partitions: i32,
    /// How many copies of each; -1 leaves it to the cluster.
    pub replication: i16,
    /// Its settings, as Kafka names them.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with this many partitions, all else left to the cluster.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication: -1, configs: BTreeMap::new() }
    }
}

impl Client {
    /// Makes topics, and returns once they can be used. Some may be made when another is refused.
    ///
    /// # Errors
    /// `SOURCE_REFUSED` with the broker's words, for example for a name that is taken.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<()> {
        let text = |text: &String| StrBytes::from_string(text.clone());
        let wanted = topics.iter().map(|topic| {
            let configs = topic.configs.iter().map(|(name, value)| {
                CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
            });
            CreatableTopic::default()
                .with_name(topic_name(&topic.name))
                .with_num_partitions(topic.partitions)
                .with_replication_factor(topic.replication)
                .with_configs(configs.collect())
        });
        let request = CreateTopicsRequest::default()
            .with_topics(wanted.collect())
            .with_timeout_ms(PATIENCE.as_millis() as i32);
        let answer = self.controller().await?.call(&request).await?;
        for topic in &answer.topics {
            outcome(topic.error_code, topic.error_message.as_ref(), "to create topic", &topic.name.0)?;
        }
        for topic in topics {
            self.until_usable(&topic.name, usize::try_from(topic.partitions).unwrap_or(1)).await?;
        }
        Ok(())
    }

    /// Removes topics and all their records.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<()> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(names.iter().map(|name| topic_name(name)).collect())
            .with_timeout_ms(PATIENCE.as_millis() as i32);
        let answer = self.controller().await?.call(&request).await?;
        for topic in &answer.responses {
            let name = topic.name.as_ref().map(|name| name.0.clone()).unwrap_or_default();
            outcome(topic.error_code, topic.error_message.as_ref(), "to delete topic", &name)?;
        }
        Ok(())
    }

    /// Raises a topic's number of partitions to `total`, and returns once they can be used.
    pub async fn create_partitions(&self, name: &str, total: i32) -> Result<()> {
        let topic = CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(total);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic.with_assignments(None)])
            .with_timeout_ms(PATIENCE.as_millis() as i32);
        let answer = self.controller().await?.call(&request).await?;
        for result in &answer.results {
            outcome(
                result.error_code,
                result.error_message.as_ref(),
                "to add partitions to",
                &result.name.0,
            )?;
        }
        self.until_usable(name, usize::try_from(total).unwrap_or(1)).await
    }
}

impl Client {
    /// The partitions of a topic, all of which can be written to; one that is missing is created where the cluster allows it.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` while it is not there or has no leader, `SOURCE_REFUSED` if it can never be had.
    pub async fn usable_or_created(&self, name: &str) -> Result<Vec<Partition>> {
        let wanted = &Topics::Named(vec![name.to_owned()]);
        self.retrying(move || self.look_or_create(name, wanted)).await
    }

    async fn look_or_create(&self, name: &str, wanted: &Topics) -> Result<Vec<Partition>> {
        let metadata = self.metadata_or_create(wanted).await?;
        let topic =
            metadata.topics.get(name).ok_or_else(|| unavailable("the cluster", "no word about the topic"))?;
        if let Some(error) = topic.error {
            let refusal = refused(error, &format_args!("topic `{name}`"));
            if error == ResponseError::UnknownTopicOrPartition {
                // One that is being created is unknown for a moment.
                return Err(refusal.with_retry(true).with_hint(format!(
                    "The topic `{name}` is not there, and the cluster does not create it by itself: create it with Kafka's own tools."
                )));
            }
            return Err(refusal.with_retry(is_stale_leader(error) || error.is_retriable()));
        }
        if topic.partitions.is_empty()
            || topic.partitions.values().any(|partition| partition.leader.is_none())
        {
            return Err(unavailable("the cluster", format!("topic `{name}` has no leader yet")));
        }
        Ok(metadata.partitions().collect())
    }

    /// A cluster answers before all its brokers have heard the news: waits until each partition has a leader.
    async fn until_usable(&self, name: &str, partitions: usize) -> Result<()> {
        let wanted = &Topics::Named(vec![name.to_owned()]);
        let look = move || async move {
            let known = self.metadata(wanted).await?;
            let led = known.topics.get(name).map_or(0, |topic| {
                topic.partitions.values().filter(|partition| partition.leader.is_some()).count()
            });
            if led >= partitions.max(1) {
                return Ok(());
            }
            Err(unavailable(
                "the cluster",
                format!("{led} of {partitions} partitions of topic `{name}` can be used"),
            ))
        };
        self.retrying(look).await
    }
}

fn outcome(code: i16, words: Option<&StrBytes>, what: &str, name: &StrBytes) -> Result<()> {
    let Some(error) = code.err() else { return Ok(()) };
    let refusal = refused(error, &format_args!("{what} `{name}`"));
    Err(match words {
        Some(words) => refusal.with_detail(words),
        None => refusal,
    })
}
