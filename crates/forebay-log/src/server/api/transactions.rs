//! AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn: a transactional producer's requests, translated for the
//! coordinator.
//!
//! They are answered in versions that know no PRODUCER_FENCED: as Apache Kafka does in these, a producer that is not the
//! newest of its id is told INVALID_PRODUCER_EPOCH, which every client takes for the same.

use super::Context;
use super::errors::code;
use super::groups::identity;
use super::offsets::{checked, key};
use crate::records::Marker;
use crate::server::access::Need;
use crate::server::txn::Producer;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    ApiKey, EndTxnRequest, EndTxnResponse, TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use std::collections::{HashMap, HashSet};

/// Refuses who may not write with the transactional id.
fn transactional(cx: &Context, api: ApiKey, id: &str) -> Result<(), ResponseError> {
    let denied = ResponseError::TransactionalIdAuthorizationFailed;
    cx.may(api, Need::TransactionalId, id).then_some(()).ok_or(denied)
}

/// Answers one AddPartitionsToTxn: all partitions or none.
pub(super) async fn add_partitions(
    cx: Context,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let from =
        Producer { id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
    let topics = request.v3_and_below_topics;
    let (mut partitions, mut unknown, mut denied) = (Vec::new(), HashSet::new(), HashSet::new());
    for topic in &topics {
        if !cx.may(ApiKey::AddPartitionsToTxn, Need::Write, &topic.name) {
            denied.insert(topic.name.clone());
            continue;
        }
        let known = cx.shared.log.topic(&topic.name).map_or(0, |known| known.partitions);
        for index in &topic.partitions {
            match (0..known).contains(index) {
                true => partitions.push((topic.name.as_str().into(), *index)),
                false => drop(unknown.insert((topic.name.clone(), *index))),
            }
        }
    }
    let is_theirs = transactional(&cx, ApiKey::AddPartitionsToTxn, &request.v3_and_below_transactional_id);
    let added = if is_theirs.is_err() {
        is_theirs
    } else if unknown.is_empty() && denied.is_empty() {
        let id = request.v3_and_below_transactional_id.as_str();
        cx.shared.transactions.add_partitions(&cx.shared, id, from, partitions).await
    } else {
        Err(ResponseError::OperationNotAttempted)
    };
    let each = |topic: &TopicName, index: i32| match unknown.contains(&(topic.clone(), index)) {
        _ if is_theirs.is_err() => code(&is_theirs),
        _ if denied.contains(topic) => ResponseError::TopicAuthorizationFailed.code(),
        true => ResponseError::UnknownTopicOrPartition.code(),
        false => code(&added),
    };
    let results = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let answer = AddPartitionsToTxnPartitionResult::default().with_partition_index(*index);
            answer.with_partition_error_code(each(&topic.name, *index))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

/// Answers one AddOffsetsToTxn.
pub(super) async fn add_offsets(cx: Context, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let from = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let api = ApiKey::AddOffsetsToTxn;
    let is_theirs = transactional(&cx, api, &request.transactional_id);
    let added = if is_theirs.is_err() {
        is_theirs
    } else if request.group_id.is_empty() {
        Err(ResponseError::InvalidGroupId)
    } else if !cx.may(api, Need::Group, &request.group_id) {
        Err(ResponseError::GroupAuthorizationFailed)
    } else {
        let group = request.group_id.as_str().into();
        cx.shared.transactions.add_group(&cx.shared, &request.transactional_id, from, group).await
    };
    AddOffsetsToTxnResponse::default().with_error_code(code(&added))
}

/// Answers one TxnOffsetCommit: what may be kept is, and the rest is refused one by one.
pub(super) async fn commit_offsets(cx: Context, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let from = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let api = ApiKey::TxnOffsetCommit;
    let mut offsets = Vec::new();
    let mut refused: HashMap<(&TopicName, i32), ResponseError> = HashMap::new();
    for topic in &request.topics {
        let may = cx.may(api, Need::Read, &topic.name);
        let known_partitions = cx.shared.log.topic(&topic.name).map_or(0, |known| known.partitions);
        for it in &topic.partitions {
            let (index, at) = (it.partition_index, (it.committed_offset, it.committed_leader_epoch));
            let checked = match may {
                true => checked(&cx, known_partitions, index, at, it.committed_metadata.as_deref()),
                false => Err(ResponseError::TopicAuthorizationFailed),
            };
            match checked {
                Ok(committed) => offsets.push((key(&topic.name, index), committed)),
                Err(error) => drop(refused.insert((&topic.name, index), error)),
            }
        }
    }
    let is_theirs = transactional(&cx, api, &request.transactional_id);
    let kept = if is_theirs.is_err() {
        is_theirs
    } else if request.group_id.is_empty() {
        Err(ResponseError::InvalidGroupId)
    } else if !cx.may(api, Need::Group, &request.group_id) {
        Err(ResponseError::GroupAuthorizationFailed)
    } else {
        let instance = request.group_instance_id.as_ref();
        let member = identity(&request.member_id, instance, request.generation_id);
        let (id, group) = (&request.transactional_id, request.group_id.as_str().into());
        cx.shared.transactions.add_offsets(&cx.shared, id, from, (group, member), offsets).await
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|it| {
            let refused = refused.get(&(&topic.name, it.partition_index)).filter(|_| kept.is_ok());
            let answer = TxnOffsetCommitResponsePartition::default().with_partition_index(it.partition_index);
            answer.with_error_code(refused.map_or(code(&kept), ResponseError::code))
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// Answers one EndTxn.
pub(super) async fn end(cx: Context, request: EndTxnRequest) -> EndTxnResponse {
    let from = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let marker = if request.committed { Marker::Commit } else { Marker::Abort };
    let ended = match transactional(&cx, ApiKey::EndTxn, &request.transactional_id) {
        Ok(()) => cx.shared.transactions.end(&cx.shared, &request.transactional_id, from, marker).await,
        denied => denied,
    };
    EndTxnResponse::default().with_error_code(code(&ended))
}
