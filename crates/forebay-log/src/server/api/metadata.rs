//! Metadata: which topics there are, and whom to ask about them (us).

use super::errors::response_error;
use super::{Context, text};
use crate::LogError;
use crate::quiet::About;
use crate::server::access::Need;
use crate::server::{CLUSTER_ID, NODE_ID};
use crate::storage::{TopicConfig, TopicInfo};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;

const API: ApiKey = ApiKey::Metadata;

impl Context {
    /// Host and port that clients shall dial: as set, else those that this client dialled, by the name that it has for us if TLS
    /// told it: an address would not fit the certificate.
    pub(super) fn advertised(&self) -> (StrBytes, i32) {
        let options = &self.shared.options;
        let local = self.peer.local;
        let dialled = || local.ip().to_canonical().to_string();
        let host =
            options.advertised_host.clone().or_else(|| self.peer.called.clone()).unwrap_or_else(dialled);
        (text(host), i32::from(options.advertised_port.unwrap_or(local.port())))
    }
}

/// Answers one Metadata. No list of topics asks for all of them, an empty list for none.
pub(super) async fn handle(cx: Context, request: MetadataRequest) -> MetadataResponse {
    let mut topics = Vec::new();
    match request.topics {
        None => {
            let known = cx.shared.log.topics();
            topics
                .extend(known.iter().filter(|topic| cx.may(API, Need::Describe, &topic.name)).map(describe));
        }
        Some(wanted) => {
            let may_create = request.allow_auto_topic_creation && cx.shared.options.auto_create_topics;
            let mut seen = HashSet::new();
            // Each topic once: an answer for every repetition could be a thousand times as large as the request.
            let names = wanted.into_iter().filter_map(|topic| topic.name);
            for name in names.filter(|name| seen.insert(name.clone())) {
                topics.push(match find(&cx, &name, may_create).await {
                    Ok(topic) => describe(&topic),
                    Err(error) => {
                        MetadataResponseTopic::default().with_name(Some(name)).with_error_code(error.code())
                    }
                });
            }
        }
    }
    let (host, port) = cx.advertised();
    let broker =
        MetadataResponseBroker::default().with_node_id(NODE_ID.into()).with_host(host).with_port(port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER_ID)))
        .with_controller_id(NODE_ID.into())
        .with_topics(topics)
}

async fn find(cx: &Context, name: &TopicName, may_create: bool) -> Result<TopicInfo, ResponseError> {
    let log = &cx.shared.log;
    if !cx.may(API, Need::Describe, name) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    if let Some(topic) = log.topic(name) {
        return Ok(topic);
    }
    let partitions = log.options().default_partitions;
    if may_create && !cx.may(API, Need::Create, name) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    if !may_create {
        return match log.check_topic(name, partitions) {
            Err(error @ LogError::InvalidTopicName { .. }) => Err(response_error(&error)),
            _ => Err(ResponseError::UnknownTopicOrPartition),
        };
    }
    let (owned, topic) = (log.clone(), name.to_string());
    let created = cx.off_thread(move || owned.create_topic(&topic, partitions, TopicConfig::default())).await;
    match created {
        Ok(Ok(topic)) => {
            tracing::info!(topic = %topic.name, partitions, remote = %cx.peer.remote, "created a topic that a client asked for");
            Ok(topic)
        }
        // Another client was quicker.
        Ok(Err(LogError::TopicExists(_))) => log.topic(name).ok_or(ResponseError::UnknownTopicOrPartition),
        Ok(Err(error)) => {
            if let Some(untold) = cx.shared.quiet.may_tell(About::Failures) {
                tracing::warn!(topic = %name.0, %error, untold, "could not create a topic that a client asked for");
            }
            Err(response_error(&error))
        }
        Err(_) => Err(ResponseError::UnknownServerError),
    }
}

fn describe(topic: &TopicInfo) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID.into())
            .with_replica_nodes(vec![NODE_ID.into()])
            .with_isr_nodes(vec![NODE_ID.into()])
    };
    MetadataResponseTopic::default()
        .with_name(Some(text(topic.name.as_str()).into()))
        .with_partitions((0..topic.partitions).map(partition).collect())
}
