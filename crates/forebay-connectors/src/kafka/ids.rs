//! Topic ids of an embedded log: the Metadata it serves is of a version without them, so it is asked for them as for
//! settings. Other brokers that give no ids are left alone: they would only say that there is no such setting.

use std::sync::Arc;

use forebay_core::Result;
use forebay_log::server::{CLUSTER_ID, TOPIC_ID};
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use super::metadata::ClusterMetadata;

/// Kafka's number for settings of a topic.
const TOPIC: i8 = 2;

impl Client {
    /// Fills in the ids of topics that were found, if an embedded log answered.
    pub(super) async fn add_topic_ids(&self, metadata: &mut ClusterMetadata) -> Result<()> {
        let resource = |name: &Arc<str>| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(StrBytes::from_string(name.to_string()))
                .with_configuration_keys(Some(vec![StrBytes::from_static_str(TOPIC_ID)]))
        };
        let unknown = metadata.topics.iter().filter(|(_, topic)| topic.error.is_none() && topic.id.is_none());
        let resources: Vec<_> = unknown.map(|(name, _)| resource(name)).collect();
        if metadata.cluster.as_deref() != Some(CLUSTER_ID) || resources.is_empty() {
            return Ok(());
        }
        let request = DescribeConfigsRequest::default().with_resources(resources);
        for answer in self.any().await?.call(&request).await?.results {
            let id = answer.configs.iter().find(|setting| setting.name.as_str() == TOPIC_ID);
            let id = id.and_then(|setting| setting.value.as_deref()?.parse().ok());
            if let Some(topic) = metadata.topics.get_mut(answer.resource_name.as_str()) {
                topic.id = id;
            }
        }
        Ok(())
    }
}
