//! Which requests are served, in which version, and what they look like.
//!
//! One version per request, not flexible, but where a newer one says what the older cannot: the smallest set with which
//! kafka-python, librdkafka, the Java clients and tools, and Spark were seen to work. A client takes the highest version
//! that both sides know. A few ranges are advertised wider than what is implemented: librdkafka
//! infers a broker's features from the presence of old versions (without Produce 0 it does not compress, without
//! Fetch 4 it writes an old message format), but sends the highest. A request in such an old version is refused by
//! closing the connection, as Apache Kafka does.
//!
//! ApiVersions is special: clients begin with its newest version. The protocol's answer to a version that is not
//! known is error 35 in the layout of version 0, which lists what is; they then ask again.

use super::shape::Shape::{self, Array, Blob, CompactArray, CompactText, Fixed, Tags, Text};
use super::shape::{ShapeError, measure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;

/// One served request.
pub(super) struct Api {
    /// Which request.
    pub(super) key: ApiKey,
    /// The version that is implemented.
    pub(super) version: i16,
    /// The lowest version that is advertised.
    pub(super) advertised_from: i16,
    /// True where request and answer have compact lengths and tagged fields.
    pub(super) is_flexible: bool,
    /// The layout of the request's body.
    pub(super) shape: &'static [Shape],
}

const fn api(key: ApiKey, version: i16, advertised_from: i16, shape: &'static [Shape]) -> Api {
    Api { key, version, advertised_from, is_flexible: false, shape }
}

const fn flexible(key: ApiKey, version: i16, shape: &'static [Shape]) -> Api {
    Api { key, version, advertised_from: version, is_flexible: true, shape }
}

/// A topic and its partitions by number, as several requests write it.
const TOPIC_PARTITIONS: &[Shape] = &[Text, Array(&[Fixed(4)])];

/// The same in flexible versions.
const COMPACT_TOPIC_PARTITIONS: &[Shape] = &[CompactText, CompactArray(&[Fixed(4)]), Tags];

/// Everything that is served. A request may stand here in several versions, the oldest first.
pub(super) const APIS: &[Api] = &[
    // transactional id, acks + timeout, topics [name, partitions [index, records]]
    api(ApiKey::Produce, 7, 0, &[Text, Fixed(6), Array(&[Text, Array(&[Fixed(4), Blob])])]),
    // replica, wait, min, max, isolation, session id + epoch; topics [name, partitions [index, epoch, offset, log
    // start, max]]; forgotten; rack
    api(
        ApiKey::Fetch,
        11,
        4,
        &[Fixed(25), Array(&[Text, Array(&[Fixed(28)])]), Array(TOPIC_PARTITIONS), Text],
    ),
    // replica, isolation; topics [name, partitions [index, timestamp]]
    api(ApiKey::ListOffsets, 2, 2, &[Fixed(5), Array(&[Text, Array(&[Fixed(12)])])]),
    // topics, allow auto creation
    api(ApiKey::Metadata, 4, 4, &[Array(&[Text]), Fixed(1)]),
    // group, generation, member, instance; topics [name, partitions [index + offset + epoch, metadata]]
    api(ApiKey::OffsetCommit, 7, 7, &[Text, Fixed(4), Text, Text, Array(&[Text, Array(&[Fixed(16), Text])])]),
    api(ApiKey::OffsetFetch, 5, 5, &[Text, Array(TOPIC_PARTITIONS)]),
    flexible(ApiKey::OffsetFetch, 6, &[CompactText, CompactArray(COMPACT_TOPIC_PARTITIONS), Tags]),
    // and whether only offsets that no open transaction may change are wanted
    flexible(ApiKey::OffsetFetch, 7, &[CompactText, CompactArray(COMPACT_TOPIC_PARTITIONS), Fixed(1), Tags]),
    // key, key type
    api(ApiKey::FindCoordinator, 2, 0, &[Text, Fixed(1)]),
    // group, two timeouts, member, instance, protocol type, protocols [name, metadata]
    api(ApiKey::JoinGroup, 5, 5, &[Text, Fixed(8), Text, Text, Text, Array(&[Text, Blob])]),
    api(ApiKey::Heartbeat, 3, 3, &[Text, Fixed(4), Text, Text]),
    api(ApiKey::LeaveGroup, 1, 1, &[Text, Text]),
    // group, generation, member, instance, assignments [member, assignment]
    api(ApiKey::SyncGroup, 3, 3, &[Text, Fixed(4), Text, Text, Array(&[Text, Blob])]),
    // groups, include authorized operations
    api(ApiKey::DescribeGroups, 4, 4, &[Array(&[Text]), Fixed(1)]),
    api(ApiKey::ListGroups, 2, 2, &[]),
    api(ApiKey::ApiVersions, 0, 0, &[]),
    // mechanism; version 0 would have bare SASL behind it, and is there for librdkafka, which looks for it
    api(ApiKey::SaslHandshake, 1, 0, &[Text]),
    // what the mechanism says
    api(ApiKey::SaslAuthenticate, 0, 0, &[Blob]),
    api(ApiKey::SaslAuthenticate, 1, 1, &[Blob]),
    // topics [name, partitions + replicas, assignments [index, brokers], configs [name, value]], timeout + validate
    api(
        ApiKey::CreateTopics,
        4,
        4,
        &[Array(&[Text, Fixed(6), Array(&[Fixed(4), Array(&[Fixed(4)])]), Array(&[Text, Text])]), Fixed(5)],
    ),
    // names, timeout
    api(ApiKey::DeleteTopics, 3, 3, &[Array(&[Text]), Fixed(4)]),
    // transactional id, timeout
    api(ApiKey::InitProducerId, 1, 0, &[Text, Fixed(4)]),
    // transactional id, producer id + epoch, topics [name, partitions]
    api(ApiKey::AddPartitionsToTxn, 0, 0, &[Text, Fixed(10), Array(TOPIC_PARTITIONS)]),
    // transactional id, producer id + epoch, group
    api(ApiKey::AddOffsetsToTxn, 0, 0, &[Text, Fixed(10), Text]),
    // transactional id, producer id + epoch + whether to commit
    api(ApiKey::EndTxn, 1, 1, &[Text, Fixed(11)]),
    // transactional id, group, producer id + epoch, topics [name, partitions [index + offset + epoch, metadata]]
    api(ApiKey::TxnOffsetCommit, 2, 2, &[Text, Text, Fixed(10), Array(&[Text, Array(&[Fixed(16), Text])])]),
    // the same with generation, member and instance, who may be out of the group meanwhile
    flexible(
        ApiKey::TxnOffsetCommit,
        3,
        &[
            CompactText,
            CompactText,
            Fixed(14),
            CompactText,
            CompactText,
            CompactArray(&[CompactText, CompactArray(&[Fixed(16), CompactText, Tags]), Tags]),
            Tags,
        ],
    ),
    // resources [type, name, keys], include synonyms
    api(ApiKey::DescribeConfigs, 1, 1, &[Array(&[Fixed(1), Text, Array(&[Text])]), Fixed(1)]),
    // topics [name, count, assignments [brokers]], timeout + validate
    api(ApiKey::CreatePartitions, 1, 1, &[Array(&[Text, Fixed(4), Array(&[Array(&[Fixed(4)])])]), Fixed(5)]),
    api(ApiKey::DeleteGroups, 1, 1, &[Array(&[Text])]),
    // resources [type, name, configs [name, operation, value]], validate
    api(
        ApiKey::IncrementalAlterConfigs,
        0,
        0,
        &[Array(&[Fixed(1), Text, Array(&[Text, Fixed(1), Text])]), Fixed(1)],
    ),
    api(ApiKey::OffsetDelete, 0, 0, &[Text, Array(TOPIC_PARTITIONS)]),
];

/// The served requests with this number.
pub(super) fn served(key: i16) -> impl Iterator<Item = &'static Api> {
    APIS.iter().filter(move |api| api.key as i16 == key)
}

/// Takes the tagged fields off that stand between header and body of a flexible request. Nobody looks at them.
pub(super) fn skip_tags(request: &mut Bytes, max_items: usize) -> Result<(), ShapeError> {
    request.advance(measure(&[Tags], request, max_items)?);
    Ok(())
}

/// What every request begins with.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Number of the request kind.
    pub(super) key: i16,
    /// Version the body is written in.
    pub(super) version: i16,
    /// Comes back with the answer.
    pub(super) correlation_id: i32,
    /// What the client calls itself; not always there, never to be trusted.
    pub(super) client_id: Option<StrBytes>,
}

impl Header {
    /// Takes the header off a request. Flexible headers only differ behind the client id: see [`skip_tags`].
    pub(super) fn take(request: &mut Bytes) -> Option<Self> {
        let key = request.try_get_i16().ok()?;
        let version = request.try_get_i16().ok()?;
        let correlation_id = request.try_get_i32().ok()?;
        let client_id = match request.try_get_i16().ok()? {
            -1 => None,
            len => {
                let len = usize::try_from(len).ok().filter(|len| *len <= request.len())?;
                Some(StrBytes::from_utf8(request.split_to(len)).ok()?)
            }
        };
        Some(Self { key, version, correlation_id, client_id })
    }
}
