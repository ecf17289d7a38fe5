//! OffsetCommit, OffsetFetch, OffsetDelete: how far a group has read.

use super::groups::identity;
use super::{Call, Context, Started, text};
use crate::LogError;
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::server::group::{Committed, Durable, OffsetKey};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use std::collections::{BTreeMap, HashSet};

/// Begins one OffsetCommit: allowed now, answered when durable.
pub(super) fn commit(cx: &Context, call: Call, request: OffsetCommitRequest) -> Result<Started, Ended> {
    if request.group_id.is_empty() {
        return call.now(&committed(&request, &|_, _| ResponseError::InvalidGroupId.code()));
    }
    if !cx.may(ApiKey::OffsetCommit, Need::Group, &request.group_id) {
        return call.now(&committed(&request, &|_, _| ResponseError::GroupAuthorizationFailed.code()));
    }
    let mut offsets = Vec::new();
    let mut refused: BTreeMap<(TopicName, i32), i16> = BTreeMap::new();
    for topic in &request.topics {
        let known_partitions = cx.shared.log.topic(&topic.name).map_or(0, |known| known.partitions);
        let may = cx.may(ApiKey::OffsetCommit, Need::Read, &topic.name);
        for partition in &topic.partitions {
            let checked = match may {
                true => to_committed(cx, known_partitions, partition),
                false => Err(ResponseError::TopicAuthorizationFailed),
            };
            match checked {
                Ok(committed) => offsets.push((key(&topic.name, partition.partition_index), committed)),
                Err(error) => {
                    refused.insert((topic.name.clone(), partition.partition_index), error.code());
                }
            }
        }
    }
    let generation = request.generation_id_or_member_epoch;
    let from = identity(&request.member_id, request.group_instance_id.as_ref(), generation);
    let durable = match cx.shared.coordinator.commit(&request.group_id, &from, offsets) {
        Ok(durable) => durable,
        Err(error) => return call.now(&committed(&request, &|_, _| error.code())),
    };
    call.later(async move {
        let written = outcome(durable).await;
        let code =
            |topic: &TopicName, index| refused.get(&(topic.clone(), index)).copied().unwrap_or(written);
        committed(&request, &code)
    })
}

fn to_committed(
    cx: &Context,
    known_partitions: i32,
    partition: &OffsetCommitRequestPartition,
) -> Result<Committed, ResponseError> {
    let OffsetCommitRequestPartition { partition_index, committed_offset, committed_leader_epoch, .. } =
        *partition;
    let note = partition.committed_metadata.as_deref();
    checked(cx, known_partitions, partition_index, (committed_offset, committed_leader_epoch), note)
}

/// An offset (with its leader epoch) as it is kept, if it may be.
pub(super) fn checked(
    cx: &Context,
    known_partitions: i32,
    partition: i32,
    (offset, leader_epoch): (i64, i32),
    note: Option<&str>,
) -> Result<Committed, ResponseError> {
    if !(0..known_partitions).contains(&partition) {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    if note.is_some_and(|note| note.len() > cx.shared.options.max_offset_metadata_bytes) {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    Ok(Committed {
        offset,
        leader_epoch,
        metadata: note.map(str::to_owned),
        committed_at: cx.shared.log.options().clock.now(),
    })
}

fn committed(request: &OffsetCommitRequest, code: &dyn Fn(&TopicName, i32) -> i16) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let answer = OffsetCommitResponsePartition::default().with_partition_index(index);
            answer.with_error_code(code(&topic.name, index))
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// 0 once the write is durable. A failure is worded so that consumers commit again, but for what would fail again.
pub(super) async fn outcome(durable: Durable) -> i16 {
    match durable.await.unwrap_or(Err(LogError::Closed)) {
        Ok(()) => 0,
        Err(LogError::BatchTooLarge { .. }) => ResponseError::InvalidCommitOffsetSize.code(),
        Err(LogError::LimitReached { .. }) => ResponseError::PolicyViolation.code(),
        Err(_) => ResponseError::CoordinatorNotAvailable.code(),
    }
}

/// Answers one OffsetFetch. A partition without a committed offset has -1, and is no error; one that an open transaction
/// may change is, if only stable ones are wanted.
pub(super) fn fetch(cx: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if !cx.may(ApiKey::OffsetFetch, Need::Group, &request.group_id) {
        let denied = ResponseError::GroupAuthorizationFailed.code();
        return OffsetFetchResponse::default().with_error_code(denied);
    }
    let may = |topic: &str| cx.may(ApiKey::OffsetFetch, Need::Describe, topic);
    // First what may change: an offset that is committed in between is in the second and no longer in the first.
    let pending = match request.require_stable {
        true => cx.shared.transactions.pending(&request.group_id),
        false => HashSet::new(),
    };
    let mut known = cx.shared.coordinator.committed(&request.group_id);
    let found = |key: &OffsetKey, committed| match pending.contains(key) {
        true => found(key.partition, None).with_error_code(ResponseError::UnstableOffsetCommit.code()),
        false => found(key.partition, committed),
    };
    let mut topics: Vec<OffsetFetchResponseTopic> = Vec::new();
    let Some(wanted) = request.topics else {
        for (key, committed) in known.into_iter().filter(|(key, _)| may(&key.topic)) {
            let answer = found(&key, Some(committed));
            match topics.last_mut().filter(|topic| topic.name.as_str() == key.topic.as_ref()) {
                Some(topic) => topic.partitions.push(answer),
                None => {
                    let topic = OffsetFetchResponseTopic::default().with_name(text(&*key.topic).into());
                    topics.push(topic.with_partitions(vec![answer]));
                }
            }
        }
        return OffsetFetchResponse::default().with_topics(topics);
    };
    for topic in wanted {
        let is_theirs = may(&topic.name);
        let denied = ResponseError::TopicAuthorizationFailed.code();
        let partitions =
            topic.partition_indexes.iter().map(|index| key(&topic.name, *index)).map(|key| match is_theirs {
                true => found(&key, known.remove(&key)),
                false => self::found(key.partition, None).with_error_code(denied),
            });
        let partitions = partitions.collect();
        topics.push(OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    OffsetFetchResponse::default().with_topics(topics)
}

fn found(partition: i32, committed: Option<Committed>) -> OffsetFetchResponsePartition {
    let answer = OffsetFetchResponsePartition::default().with_partition_index(partition);
    match committed {
        Some(committed) => answer
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata.unwrap_or_default()))),
        None => {
            answer.with_committed_offset(-1).with_committed_leader_epoch(-1).with_metadata(Some(text("")))
        }
    }
}

/// Begins one OffsetDelete. Topics that a member reads keep their offsets.
pub(super) fn delete(cx: &Context, call: Call, request: OffsetDeleteRequest) -> Result<Started, Ended> {
    if !cx.may(ApiKey::OffsetDelete, Need::Group, &request.group_id) {
        let denied = ResponseError::GroupAuthorizationFailed.code();
        return call.now(&OffsetDeleteResponse::default().with_error_code(denied));
    }
    let may = |topic: &TopicName| cx.may(ApiKey::OffsetDelete, Need::Read, topic);
    let denied: HashSet<TopicName> =
        request.topics.iter().map(|topic| &topic.name).filter(|name| !may(name)).cloned().collect();
    let theirs = request.topics.iter().filter(|topic| !denied.contains(&topic.name));
    let keys = theirs.flat_map(|topic| {
        topic.partitions.iter().map(|partition| key(&topic.name, partition.partition_index))
    });
    match cx.shared.coordinator.delete_offsets(&request.group_id, keys.collect()) {
        Err(error) => call.now(&OffsetDeleteResponse::default().with_error_code(error.code())),
        Ok((durable, kept)) => call.later(async move {
            let kept: HashSet<OffsetKey> = kept.into_iter().collect();
            let written = outcome(durable).await;
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let is_kept = kept.contains(&key(&topic.name, partition.partition_index));
                    let code = match is_kept {
                        _ if denied.contains(&topic.name) => ResponseError::TopicAuthorizationFailed.code(),
                        true => ResponseError::GroupSubscribedToTopic.code(),
                        false => written,
                    };
                    let answer = OffsetDeleteResponsePartition::default().with_error_code(code);
                    answer.with_partition_index(partition.partition_index)
                });
                OffsetDeleteResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions.collect())
            });
            OffsetDeleteResponse::default().with_topics(topics.collect())
        }),
    }
}

pub(super) fn key(topic: &TopicName, partition: i32) -> OffsetKey {
    OffsetKey { topic: topic.as_str().into(), partition }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn consumers_do_not_repeat_what_fails_for_ever() {
        let too_large = LogError::BatchTooLarge { size: 2, limit: 1 };
        let full = LogError::LimitReached { what: "bytes", limit: 1, option: "max_group_bytes" };
        for (result, code) in
            [(Ok(()), 0), (Err(too_large), 28), (Err(full), 44), (Err(LogError::Closed), 15)]
        {
            let (done, durable) = tokio::sync::oneshot::channel();
            done.send(result).unwrap();
            assert_eq!(outcome(durable).await, code);
        }
    }
}
