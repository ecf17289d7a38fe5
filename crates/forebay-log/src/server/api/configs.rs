//! DescribeConfigs, IncrementalAlterConfigs: the settings of topics, and a few of the server's to look at.

use super::topics::{Refusal, allowed, off_thread};
use super::{Context, text};
use crate::LogError;
use crate::server::access::Need;
use crate::server::{NODE_ID, TOPIC_ID};
use crate::storage::ConfigEntry;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    ApiKey, DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use std::collections::HashSet;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from, in the protocol's numbers.
const SET_FOR_TOPIC: i8 = 1;
const SET_AT_START: i8 = 4;
const DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// Answers one DescribeConfigs.
pub(super) fn describe(cx: &Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let mut seen = HashSet::new();
    let mut resources = request.resources;
    // Each once: an answer for every repetition could be a hundred times as large as the request.
    resources.retain(|resource| seen.insert((resource.resource_type, resource.resource_name.clone())));
    let results = resources.into_iter().map(|resource| {
        let answer = DescribeConfigsResult::default().with_resource_type(resource.resource_type);
        let answer = answer.with_resource_name(resource.resource_name.clone());
        match entries(cx, &resource) {
            Ok(entries) => {
                let is_wanted = |name: &str| match &resource.configuration_keys {
                    Some(keys) => keys.iter().any(|key| key.as_str() == name),
                    None => name != TOPIC_ID,
                };
                answer.with_configs(entries.into_iter().filter(|entry| is_wanted(&entry.name)).collect())
            }
            Err(refusal) => {
                answer.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.why)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn entries(
    cx: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            allowed(cx, ApiKey::DescribeConfigs, Need::Describe, name)?;
            let topic = cx.shared.log.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
            let mut entries = topic.config.entries(cx.shared.log.options());
            let id = topic.id.to_string();
            entries.push(ConfigEntry { name: TOPIC_ID, value: id, is_default: true, read_only: true });
            Ok(entries.into_iter().map(topic_entry).collect())
        }
        BROKER if !cx.may(ApiKey::DescribeConfigs, Need::Cluster, name) => Err(not_theirs()),
        BROKER if name.is_empty() || name == NODE_ID.to_string() => Ok(broker_entries(cx)),
        BROKER => Err(Refusal::new(ResponseError::InvalidRequest, format!("the one broker is {NODE_ID}"))),
        _ => Err(Refusal::new(ResponseError::InvalidRequest, "only topics and brokers have settings here")),
    }
}

fn not_theirs() -> Refusal {
    Refusal::new(ResponseError::ClusterAuthorizationFailed, "the server's settings are an admin's")
}

fn topic_entry(entry: ConfigEntry) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(Some(text(entry.value)))
        .with_read_only(entry.read_only)
        .with_config_source(if entry.is_default { DEFAULT } else { SET_FOR_TOPIC })
}

/// The server's settings under Kafka's names; they are set where Forebay is started.
fn broker_entries(cx: &Context) -> Vec<DescribeConfigsResourceResult> {
    let (server, log) = (&cx.shared.options, cx.shared.log.options());
    let settings = [
        ("auto.create.topics.enable", server.auto_create_topics.to_string()),
        ("group.max.session.timeout.ms", server.max_session_timeout.as_millis().to_string()),
        ("group.min.session.timeout.ms", server.min_session_timeout.as_millis().to_string()),
        ("max.connections", server.max_connections.to_string()),
        ("message.max.bytes", log.max_message_bytes.to_string()),
        ("num.partitions", log.default_partitions.to_string()),
        ("socket.request.max.bytes", server.max_request_bytes.to_string()),
    ];
    let entry = |(name, value): (&'static str, String)| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_read_only(true)
            .with_config_source(SET_AT_START)
    };
    settings.into_iter().map(entry).collect()
}

/// Answers one IncrementalAlterConfigs.
pub(super) async fn alter(
    cx: Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let validate_only = request.validate_only;
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let answer = AlterConfigsResourceResponse::default().with_resource_type(resource.resource_type);
        let answer = answer.with_resource_name(resource.resource_name.clone());
        let owned = cx.clone();
        responses.push(match off_thread(&cx, move || alter_one(&owned, &resource, validate_only)).await {
            Ok(()) => answer,
            Err(refusal) => {
                answer.with_error_code(refusal.error.code()).with_error_message(Some(text(refusal.why)))
            }
        });
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn alter_one(cx: &Context, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    if resource.resource_type == BROKER
        && !cx.may(ApiKey::IncrementalAlterConfigs, Need::Cluster, &resource.resource_name)
    {
        return Err(not_theirs());
    }
    if resource.resource_type != TOPIC {
        let why = "only topics can be altered; the server's own settings are given where Forebay is started";
        return Err(Refusal::new(ResponseError::InvalidRequest, why));
    }
    let name = resource.resource_name.as_str();
    allowed(cx, ApiKey::IncrementalAlterConfigs, Need::Alter, name)?;
    let topic = cx.shared.log.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
    let mut config = topic.config;
    for change in &resource.configs {
        match (change.config_operation, &change.value) {
            (SET, Some(value)) => config.set(&change.name, Some(value))?,
            (DELETE, _) => config.set(&change.name, None)?,
            (SET, None) => {
                let why = format!("setting `{}` has no value", change.name);
                return Err(Refusal::new(ResponseError::InvalidConfig, why));
            }
            (_, _) => {
                let why = format!("setting `{}` is no list: it can be set and deleted", change.name);
                return Err(Refusal::new(ResponseError::InvalidConfig, why));
            }
        }
    }
    if !validate_only {
        cx.shared.log.alter_topic_config(name, config)?;
        tracing::info!(topic = name, remote = %cx.peer.remote, "altered a topic's settings");
    }
    Ok(())
}
