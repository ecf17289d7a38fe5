//! Which version of each API we speak, and what is chosen with a broker.
//!
//! The lower bounds are what the embedded log serves (one plain version each), the upper ones the last whose fields
//! this client knows how to fill. Apache Kafka 4 serves all of them. Fetch stops at 12 and Produce at 9: from 13 on
//! topics are named by id alone, which the embedded log has no use for. The APIs of transactions stop where the client
//! would have to take part in what brokers decide among themselves (EndTxn 5 gives each transaction an epoch of its own).

use std::collections::HashMap;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

/// (key, lowest, highest)
const SPOKEN: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 7, 9),
    (ApiKey::Fetch, 11, 12),
    (ApiKey::ListOffsets, 2, 7),
    (ApiKey::Metadata, 4, 12),
    (ApiKey::OffsetCommit, 7, 8),
    (ApiKey::OffsetFetch, 5, 7),
    (ApiKey::FindCoordinator, 2, 3),
    (ApiKey::SaslHandshake, 1, 1),
    (ApiKey::CreateTopics, 4, 6),
    (ApiKey::DeleteTopics, 3, 5),
    (ApiKey::InitProducerId, 1, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 3),
    (ApiKey::EndTxn, 1, 3),
    (ApiKey::TxnOffsetCommit, 2, 3),
    (ApiKey::DescribeConfigs, 1, 1),
    (ApiKey::SaslAuthenticate, 0, 2),
    (ApiKey::CreatePartitions, 1, 3),
];

/// The versions to use on one connection, by API key.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions(HashMap<i16, i16>);

impl Versions {
    /// For each API the highest version that both sides know.
    pub(super) fn choose(answer: &ApiVersionsResponse) -> Self {
        let mut chosen = HashMap::new();
        for served in &answer.api_keys {
            let Some((_, lowest, highest)) = SPOKEN.iter().find(|(key, ..)| *key as i16 == served.api_key)
            else {
                continue;
            };
            let version = served.max_version.min(*highest);
            if version >= served.min_version.max(*lowest) {
                chosen.insert(served.api_key, version);
            }
        }
        Self(chosen)
    }

    /// The version for an API; `None` if there is none in common.
    pub(super) fn of(&self, key: i16) -> Option<i16> {
        self.0.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    fn serving(key: ApiKey, min: i16, max: i16) -> Option<i16> {
        let api = ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max);
        Versions::choose(&ApiVersionsResponse::default().with_api_keys(vec![api])).of(key as i16)
    }

    #[test]
    fn takes_the_highest_common_version() {
        assert_eq!(serving(ApiKey::Fetch, 4, 18), Some(12));
        assert_eq!(serving(ApiKey::Fetch, 4, 11), Some(11));
        assert_eq!(serving(ApiKey::Metadata, 4, 4), Some(4));
        assert_eq!(serving(ApiKey::Fetch, 13, 18), None);
        assert_eq!(serving(ApiKey::Fetch, 0, 10), None);
    }
}
