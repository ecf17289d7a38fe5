//! Where partitions begin and end, and where a time lies in them; and a group's offsets, for lag monitors.

use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Positions, Result};
use futures::future::try_join_all;
use kafka_protocol::error::ParseResponseErrorCode;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{BrokerId, GroupId, ListOffsetsRequest, OffsetCommitRequest};
use kafka_protocol::protocol::StrBytes;

use super::client::{Client, Coordinator};
use super::error::{check, is_stale_leader, refused, unavailable};
use super::metadata::{Topics, topic_name};

/// What is looked for in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The first offset that is still there.
    Earliest,
    /// The offset after the last record that may be read: under `read_committed` the last stable offset.
    Latest,
    /// The first record whose timestamp is at least this, milliseconds since 1970.
    Timestamp(i64),
}

/// What was found in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset; `None` if no record is as late as the timestamp.
    pub offset: Option<i64>,
}

impl At {
    fn on_the_wire(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::Timestamp(ms) => ms.max(0),
        }
    }
}

impl Client {
    /// Looks up one offset in each of these partitions, asking each leader once. Tried again while leaders change.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` if some leader cannot be reached in time; `SOURCE_REFUSED` for a topic that is not there.
    pub async fn list_offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Found>> {
        let places = &places;
        self.retrying(move || self.list_offsets_once(places)).await
    }

    async fn list_offsets_once(
        &self,
        places: &BTreeMap<Partition, At>,
    ) -> Result<BTreeMap<Partition, Found>> {
        let mut by_leader: BTreeMap<i32, Vec<(&Partition, At)>> = BTreeMap::new();
        if places.keys().any(|partition| self.leader(partition).is_none()) {
            self.learn_leaders(places.keys()).await?;
        }
        for (partition, at) in places {
            let leader = self.leader(partition).ok_or_else(|| no_leader(partition))?;
            by_leader.entry(leader).or_default().push((partition, *at));
        }
        let asked = by_leader.iter().map(|(leader, places)| self.ask_leader(*leader, places));
        match try_join_all(asked).await {
            Ok(found) => Ok(found.into_iter().flatten().collect()),
            Err(error) => {
                // Whatever failed, the leaders may have changed: the next attempt shall know.
                if error.is_retryable() {
                    self.learn_leaders(places.keys()).await?;
                }
                Err(error)
            }
        }
    }

    async fn ask_leader(&self, leader: i32, places: &[(&Partition, At)]) -> Result<Vec<(Partition, Found)>> {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for (partition, at) in places {
            let wanted = ListOffsetsPartition::default()
                .with_partition_index(partition.index)
                .with_current_leader_epoch(-1)
                .with_timestamp(at.on_the_wire());
            match topics.last_mut().filter(|topic| topic.name.0.as_str() == &*partition.topic) {
                Some(topic) => topic.partitions.push(wanted),
                None => topics.push(
                    ListOffsetsTopic::default()
                        .with_name(topic_name(&partition.topic))
                        .with_partitions(vec![wanted]),
                ),
            }
        }
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(self.config().isolation.id())
            .with_topics(topics);
        let answer = self.broker(leader).await?.call(&request).await?;
        let mut found = Vec::with_capacity(places.len());
        for topic in &answer.topics {
            for answered in &topic.partitions {
                let partition = Partition::new(topic.name.0.as_str(), answered.partition_index);
                if let Some(error) = answered.error_code.err() {
                    let refusal = refused(error, &format_args!("the offsets of {partition}"));
                    return Err(refusal.with_retry(error.is_retriable() || is_stale_leader(error)));
                }
                let offset = Some(answered.offset).filter(|offset| *offset >= 0);
                found.push((partition, Found { offset }));
            }
        }
        if found.len() == places.len() {
            Ok(found)
        } else {
            Err(unavailable("the leader", "it answered for other partitions than it was asked for"))
        }
    }

    /// Asks who leads these partitions now.
    pub(crate) async fn learn_leaders(&self, partitions: impl Iterator<Item = &Partition>) -> Result<()> {
        let mut names: Vec<String> = partitions.map(|partition| partition.topic.to_string()).collect();
        names.dedup();
        self.metadata(&Topics::Named(names)).await.map(drop)
    }

    /// Writes positions as a group's offsets without being its member: for lag monitors only.
    /// Tried again while the coordinator is not there: the first group of a cluster waits for its offsets topic.
    pub async fn commit_group_offsets(&self, group: &str, positions: &Positions) -> Result<()> {
        self.retrying(move || self.commit_group_offsets_once(group, positions)).await
    }

    async fn commit_group_offsets_once(&self, group: &str, positions: &Positions) -> Result<()> {
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, position) in positions {
            let offset = OffsetCommitRequestPartition::default()
                .with_partition_index(partition.index)
                .with_committed_offset(position.0)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::new()));
            match topics.last_mut().filter(|topic| topic.name.0.as_str() == &*partition.topic) {
                Some(topic) => topic.partitions.push(offset),
                None => topics.push(
                    OffsetCommitRequestTopic::default()
                        .with_name(topic_name(&partition.topic))
                        .with_partitions(vec![offset]),
                ),
            }
        }
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics);
        let answer = self.coordinator(Coordinator::Group, group).await?.call(&request).await?;
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
        for code in codes {
            check(code, &format_args!("the offsets of group `{group}`"))?;
        }
        Ok(())
    }
}

fn no_leader(partition: &Partition) -> Error {
    Error::new(&codes::SOURCE_UNAVAILABLE, format!("partition {partition} has no leader at the moment"))
}
