//! Which request needs which right: one table, for all that is served.
//!
//! A handler asks [`may`] with its own request; what the table does not list for that request is denied, whatever the user may do,
//! so a line that is forgotten shows at once. The tests hold the table to `protocol.rs`'s list of all requests.

use super::rights::Rights;
use kafka_protocol::messages::ApiKey;

/// A right that a request needs, on what it names. Apache Kafka's operations, a few of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Need {
    /// Kafka's READ on a topic.
    Read,
    /// WRITE on a topic.
    Write,
    /// CREATE on a topic.
    Create,
    /// DESCRIBE and DESCRIBE_CONFIGS on a topic.
    Describe,
    /// ALTER and ALTER_CONFIGS on a topic.
    Alter,
    /// DELETE on a topic.
    Delete,
    /// READ, DESCRIBE and DELETE on a group.
    Group,
    /// WRITE and DESCRIBE on a transactional id.
    TransactionalId,
    /// Number one's records without a transaction: IDEMPOTENT_WRITE on the cluster, which WRITE on any topic implies.
    IdempotentWrite,
    /// DESCRIBE_CONFIGS and ALTER_CONFIGS on the cluster: the server's own settings.
    Cluster,
}

/// All requests that are served, each with what it may need.
pub(super) const NEEDS: &[(ApiKey, &[Need])] = &[
    // Before anybody is known.
    (ApiKey::ApiVersions, &[]),
    (ApiKey::SaslHandshake, &[]),
    (ApiKey::SaslAuthenticate, &[]),
    // Topics that may not be described are not shown; one that is missing is made for who may.
    (ApiKey::Metadata, &[Need::Describe, Need::Create]),
    (ApiKey::Produce, &[Need::Write, Need::TransactionalId]),
    (ApiKey::Fetch, &[Need::Read]),
    (ApiKey::ListOffsets, &[Need::Describe]),
    (ApiKey::InitProducerId, &[Need::TransactionalId, Need::IdempotentWrite]),
    (ApiKey::AddPartitionsToTxn, &[Need::TransactionalId, Need::Write]),
    (ApiKey::AddOffsetsToTxn, &[Need::TransactionalId, Need::Group]),
    (ApiKey::TxnOffsetCommit, &[Need::TransactionalId, Need::Group, Need::Read]),
    (ApiKey::EndTxn, &[Need::TransactionalId]),
    (ApiKey::FindCoordinator, &[Need::Group, Need::TransactionalId]),
    (ApiKey::JoinGroup, &[Need::Group]),
    (ApiKey::SyncGroup, &[Need::Group]),
    (ApiKey::Heartbeat, &[Need::Group]),
    (ApiKey::LeaveGroup, &[Need::Group]),
    (ApiKey::OffsetCommit, &[Need::Group, Need::Read]),
    (ApiKey::OffsetFetch, &[Need::Group, Need::Describe]),
    (ApiKey::OffsetDelete, &[Need::Group, Need::Read]),
    // Groups of others are not listed.
    (ApiKey::ListGroups, &[Need::Group]),
    (ApiKey::DescribeGroups, &[Need::Group]),
    (ApiKey::DeleteGroups, &[Need::Group]),
    (ApiKey::CreateTopics, &[Need::Create]),
    (ApiKey::DeleteTopics, &[Need::Delete]),
    (ApiKey::CreatePartitions, &[Need::Alter]),
    (ApiKey::DescribeConfigs, &[Need::Describe, Need::Cluster]),
    (ApiKey::IncrementalAlterConfigs, &[Need::Alter, Need::Cluster]),
];

/// True for what is answered before anybody is known.
pub(super) fn is_for_strangers(api: ApiKey) -> bool {
    matches!(api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)
}

/// True if this request may do that to what is called so.
pub(super) fn may(rights: &Rights, api: ApiKey, need: Need, name: &str) -> bool {
    let is_listed = NEEDS.iter().any(|(known, needs)| *known == api && needs.contains(&need));
    debug_assert!(is_listed, "{api:?} is not said to need {need:?}");
    is_listed && (rights.admin || has(rights, need, name))
}

fn has(rights: &Rights, need: Need, name: &str) -> bool {
    let topics = &rights.topics;
    match need {
        Need::Read => topics.read.take(name),
        Need::Write => topics.write.take(name),
        Need::Create => topics.create.take(name),
        Need::Describe => {
            let implied = [&topics.describe, &topics.read, &topics.write, &topics.alter, &topics.delete];
            implied.iter().any(|patterns| patterns.take(name))
        }
        Need::Alter => topics.alter.take(name),
        Need::Delete => topics.delete.take(name),
        Need::Group => rights.groups.take(name),
        Need::TransactionalId => rights.transactional_ids.take(name),
        Need::IdempotentWrite => !topics.write.is_empty(),
        Need::Cluster => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Patterns, TopicRights};
    use super::*;
    use crate::server::protocol::APIS;
    use std::collections::BTreeSet;

    #[test]
    fn every_request_that_is_served_is_mapped_to_what_it_needs() {
        let served: BTreeSet<i16> = APIS.iter().map(|api| api.key as i16).collect();
        let mapped: BTreeSet<i16> = NEEDS.iter().map(|(key, _)| *key as i16).collect();
        assert_eq!(served, mapped, "a request is served and mapped, or neither");
        assert_eq!(NEEDS.len(), mapped.len(), "each once");
        for (key, needs) in NEEDS {
            assert_eq!(needs.is_empty(), is_for_strangers(*key), "{key:?} needs nothing");
        }
    }

    #[test]
    fn what_is_not_listed_is_denied_and_who_may_read_may_look() {
        let topics = TopicRights {
            read: Patterns::new(["plant.*"]),
            write: Patterns::new(["state"]),
            ..TopicRights::default()
        };
        let rights = Rights { topics, groups: Patterns::new(["board-*"]), ..Rights::default() };
        let may = |api, need, name: &str| may(&rights, api, need, name);
        assert!(may(ApiKey::Fetch, Need::Read, "plant.a") && may(ApiKey::Metadata, Need::Describe, "plant."));
        assert!(
            may(ApiKey::Produce, Need::Write, "state") && may(ApiKey::ListOffsets, Need::Describe, "state")
        );
        assert!(may(ApiKey::InitProducerId, Need::IdempotentWrite, ""));
        assert!(may(ApiKey::JoinGroup, Need::Group, "board-1"));
        for (api, need, name) in [
            (ApiKey::Fetch, Need::Read, "plant"),
            (ApiKey::Fetch, Need::Read, "xplant.a"),
            (ApiKey::Fetch, Need::Read, "state"),
            (ApiKey::Produce, Need::Write, "states"),
            (ApiKey::Produce, Need::Write, "plant.a"),
            (ApiKey::Metadata, Need::Create, "plant.a"),
            (ApiKey::DeleteTopics, Need::Delete, "plant.a"),
            (ApiKey::CreatePartitions, Need::Alter, "plant.a"),
            (ApiKey::JoinGroup, Need::Group, "board"),
            (ApiKey::EndTxn, Need::TransactionalId, ""),
            (ApiKey::DescribeConfigs, Need::Cluster, "1"),
        ] {
            assert!(!may(api, need, name), "{api:?} {need:?} {name}");
            let root = Rights { admin: true, ..Rights::default() };
            assert!(super::may(&root, api, need, name) && !super::may(&Rights::default(), api, need, name));
        }
    }
}
