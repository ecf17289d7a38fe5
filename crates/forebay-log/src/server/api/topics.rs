//! CreateTopics, DeleteTopics, CreatePartitions.

use super::errors::response_error;
use super::{Context, text};
use crate::LogError;
use crate::server::NODE_ID;
use crate::server::access::Need;
use crate::storage::TopicConfig;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    ApiKey, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};

/// An error with words for the person who reads it.
pub(super) struct Refusal {
    pub(super) error: ResponseError,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(error: ResponseError, why: impl Into<String>) -> Self {
        Self { error, why: why.into() }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self { error: response_error(&error), why: error.to_string() }
    }
}

/// Refuses who may not do that to the topic.
pub(super) fn allowed(cx: &Context, api: ApiKey, need: Need, topic: &str) -> Result<(), Refusal> {
    let denied =
        || Refusal::new(ResponseError::TopicAuthorizationFailed, "this user may not do that to this topic");
    cx.may(api, need, topic).then_some(()).ok_or_else(denied)
}

/// Runs a change of the log's topics where it may block.
pub(super) async fn off_thread<T: Send + 'static>(
    cx: &Context,
    change: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let changed = cx.off_thread(change).await;
    changed.unwrap_or_else(|error| Err(Refusal::new(ResponseError::UnknownServerError, error.to_string())))
}

/// Answers one CreateTopics.
pub(super) async fn create(cx: Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let validate_only = request.validate_only;
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = topic.name.clone();
        let owned = cx.clone();
        let created = off_thread(&cx, move || create_one(&owned, &topic, validate_only)).await;
        let answer = CreatableTopicResult::default().with_name(name);
        results.push(match created {
            Ok(()) => answer,
            Err(refusal) => {
                answer.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.why)))
            }
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn create_one(cx: &Context, topic: &CreatableTopic, validate_only: bool) -> Result<(), Refusal> {
    allowed(cx, ApiKey::CreateTopics, Need::Create, &topic.name)?;
    let log = &cx.shared.log;
    let partitions = match (topic.assignments.is_empty(), topic.num_partitions) {
        (true, -1) => log.options().default_partitions,
        (true, partitions) => partitions,
        (false, -1) => assigned_partitions(topic)?,
        (false, _) => {
            let why = "both a number of partitions and an assignment are given";
            return Err(Refusal::new(ResponseError::InvalidRequest, why));
        }
    };
    if !matches!(topic.replication_factor, -1 | 1) {
        let why = format!("replication factor {}: this log has one node", topic.replication_factor);
        return Err(Refusal::new(ResponseError::InvalidReplicationFactor, why));
    }
    let mut config = TopicConfig::default();
    for setting in &topic.configs {
        config.set(&setting.name, setting.value.as_deref())?;
    }
    if validate_only {
        return Ok(log.check_topic(&topic.name, partitions)?);
    }
    log.create_topic(&topic.name, partitions, config)?;
    tracing::info!(topic = %topic.name.0, partitions, remote = %cx.peer.remote, "created a topic");
    Ok(())
}

/// With one node there is one sound assignment: partitions 0 to n, each to us.
fn assigned_partitions(topic: &CreatableTopic) -> Result<i32, Refusal> {
    let mut partitions: Vec<i32> = topic.assignments.iter().map(|given| given.partition_index).collect();
    partitions.sort_unstable();
    let is_gapless = partitions.iter().zip(0..).all(|(partition, index)| *partition == index);
    let is_ours = topic.assignments.iter().all(|given| given.broker_ids.iter().map(|id| id.0).eq([NODE_ID]));
    match i32::try_from(partitions.len()) {
        Ok(count) if is_gapless && is_ours => Ok(count),
        _ => {
            let why = format!("partitions are numbered from 0 and each has the one replica {NODE_ID}");
            Err(Refusal::new(ResponseError::InvalidReplicaAssignment, why))
        }
    }
}

/// Answers one DeleteTopics. What groups committed for a topic goes with it.
pub(super) async fn delete(cx: Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut results = Vec::with_capacity(request.topic_names.len());
    for name in request.topic_names {
        let (log, topic) = (cx.shared.log.clone(), name.to_string());
        let deleted = match allowed(&cx, ApiKey::DeleteTopics, Need::Delete, &name) {
            Ok(()) => off_thread(&cx, move || Ok(log.delete_topic(&topic)?)).await,
            denied => denied,
        };
        let answer = DeletableTopicResult::default().with_name(Some(name.clone()));
        results.push(match deleted {
            Ok(()) => {
                cx.shared.transactions.forget_topic(&cx.shared, &name).await;
                cx.shared.coordinator.forget_topic(&name);
                tracing::info!(topic = %name.0, remote = %cx.peer.remote, "deleted a topic");
                answer
            }
            Err(refusal) => answer.with_error_code(refusal.error.code()),
        });
    }
    DeleteTopicsResponse::default().with_responses(results)
}

/// Answers one CreatePartitions.
pub(super) async fn create_partitions(
    cx: Context,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let validate_only = request.validate_only;
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let name = topic.name.clone();
        let owned = cx.clone();
        let extended = off_thread(&cx, move || extend_one(&owned, &topic, validate_only)).await;
        let answer = CreatePartitionsTopicResult::default().with_name(name);
        results.push(match extended {
            Ok(()) => answer,
            Err(refusal) => {
                answer.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.why)))
            }
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

fn extend_one(cx: &Context, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    allowed(cx, ApiKey::CreatePartitions, Need::Alter, &topic.name)?;
    let log = &cx.shared.log;
    let known = log.topic(&topic.name).ok_or_else(|| LogError::UnknownTopic(topic.name.to_string()))?;
    if topic.count <= known.partitions {
        let why = format!("the topic has {} partitions, {} are not more", known.partitions, topic.count);
        return Err(Refusal::new(ResponseError::InvalidPartitions, why));
    }
    let is_ours = |given: &[kafka_protocol::messages::BrokerId]| given.iter().map(|id| id.0).eq([NODE_ID]);
    if topic.assignments.iter().flatten().any(|given| !is_ours(&given.broker_ids)) {
        let why = format!("each partition has the one replica {NODE_ID}");
        return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, why));
    }
    if !validate_only {
        log.create_partitions(&topic.name, topic.count)?;
        tracing::info!(topic = %topic.name.0, partitions = topic.count, remote = %cx.peer.remote, "added partitions");
    }
    Ok(())
}
