//! What a cluster says about itself: brokers, topics, and who leads which partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_core::Partition;
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use regex::Regex;
use uuid::Uuid;

/// Which topics are asked for.
#[derive(Clone, Debug)]
pub enum Topics {
    /// Every one.
    All,
    /// These.
    Named(Vec<String>),
    /// Those whose whole name matches.
    Pattern(Regex),
}

impl Topics {
    /// True if a topic of this name is meant. Internal topics only match when named.
    pub fn includes(&self, name: &str, internal: bool) -> bool {
        match self {
            Self::All => !internal,
            Self::Named(names) => names.iter().any(|wanted| wanted == name),
            Self::Pattern(pattern) => {
                !internal && pattern.find(name).is_some_and(|found| found.len() == name.len())
            }
        }
    }

    pub(super) fn request(&self, create: bool) -> MetadataRequest {
        let topic = |name: &String| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let topics = match self {
            Self::All | Self::Pattern(_) => None,
            Self::Named(names) => Some(names.iter().map(topic).collect()),
        };
        MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(create)
    }
}

/// Kafka's rule for names of topics: no broker can have another.
pub fn legal_topic(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    plain && !matches!(name, "" | "." | "..") && name.len() <= 249
}

/// A topic's name as the wire types hold it.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// An answer about a cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterMetadata {
    /// What the cluster calls itself.
    pub cluster: Option<String>,
    /// `host:port` of each broker, by its id.
    pub brokers: BTreeMap<i32, String>,
    /// The broker that changes topics, if there is one at the moment.
    pub controller: Option<i32>,
    /// The topics asked for, by name; those with an error, too.
    pub topics: BTreeMap<Arc<str>, TopicMetadata>,
}

/// One topic.
#[derive(Clone, Debug, Default)]
pub struct TopicMetadata {
    /// Differs between two topics that bore the same name one after the other; `None` from old brokers.
    pub id: Option<Uuid>,
    /// True for topics of Kafka's own.
    pub internal: bool,
    /// Why nothing is known about it.
    pub error: Option<ResponseError>,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The broker that leads it, if there is one at the moment.
    pub leader: Option<i32>,
    /// Number of that leadership; -1 where unknown.
    pub leader_epoch: i32,
}

impl ClusterMetadata {
    pub(super) fn from_answer(answer: MetadataResponse) -> Self {
        let brokers = answer
            .brokers
            .iter()
            .map(|b| (b.node_id.0, format!("{}:{}", bracketed(&b.host), b.port)))
            .collect();
        let controller = Some(answer.controller_id.0).filter(|id| *id >= 0);
        let cluster = answer.cluster_id.map(|id| id.to_string());
        let topics = answer.topics.into_iter().filter_map(|topic| {
            let name: Arc<str> = topic.name.as_ref()?.0.as_str().into();
            let partitions = topic.partitions.iter().map(|p| {
                let leader = Some(p.leader_id.0).filter(|id| *id >= 0);
                (p.partition_index, PartitionMetadata { leader, leader_epoch: p.leader_epoch })
            });
            let metadata = TopicMetadata {
                id: Some(topic.topic_id).filter(|id| !id.is_nil()),
                internal: topic.is_internal,
                error: topic.error_code.err(),
                partitions: partitions.collect(),
            };
            Some((name, metadata))
        });
        Self { cluster, brokers, controller, topics: topics.collect() }
    }

    /// Takes over what a newer answer says about the topics it names.
    pub(super) fn learn(&mut self, newer: &Self) {
        self.brokers.clone_from(&newer.brokers);
        self.controller = newer.controller;
        for (name, topic) in &newer.topics {
            self.topics.insert(Arc::clone(name), topic.clone());
        }
    }

    /// The broker that leads a partition.
    pub fn leader(&self, partition: &Partition) -> Option<i32> {
        self.topics.get(&partition.topic)?.partitions.get(&partition.index)?.leader
    }

    /// All partitions of all topics without error, in order.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + '_ {
        self.topics.iter().flat_map(|(name, topic)| {
            topic.partitions.keys().map(|index| Partition::new(Arc::clone(name), *index))
        })
    }
}

/// An IPv6 address needs brackets before its port.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_and_no_internal_topic() {
        let pattern = Topics::Pattern(Regex::new("plant.*|iot").unwrap());
        assert!(pattern.includes("plant_1", false) && pattern.includes("iot", false));
        assert!(!pattern.includes("my_plant", false) && !pattern.includes("plant_x", true));
        assert!(Topics::Named(vec!["__x".into()]).includes("__x", true));
    }
}
