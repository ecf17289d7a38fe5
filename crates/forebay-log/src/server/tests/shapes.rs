//! What is measured is what is decoded, for every request that is served; and no bytes make the decoder panic.

use super::super::shape::measure;
use super::*;
use proptest::prelude::*;

/// Decodes a body as the server would: only what was measured.
fn decode_measured(key: ApiKey, version: i16, mut body: Bytes) {
    macro_rules! decode {
        ($($key:ident => $request:ty),* $(,)?) => {
            match key {
                $(ApiKey::$key => drop(<$request>::decode(&mut body, version)),)*
                other => panic!("{other:?} is served and not tried"),
            }
        };
    }
    decode!(
        Produce => ProduceRequest, Fetch => FetchRequest, ListOffsets => ListOffsetsRequest,
        Metadata => MetadataRequest, OffsetCommit => OffsetCommitRequest, OffsetFetch => OffsetFetchRequest,
        FindCoordinator => FindCoordinatorRequest, JoinGroup => JoinGroupRequest, Heartbeat => HeartbeatRequest,
        LeaveGroup => LeaveGroupRequest, SyncGroup => SyncGroupRequest, DescribeGroups => DescribeGroupsRequest,
        ListGroups => ListGroupsRequest, ApiVersions => ApiVersionsRequest, CreateTopics => CreateTopicsRequest,
        DeleteTopics => DeleteTopicsRequest, InitProducerId => InitProducerIdRequest,
        DescribeConfigs => DescribeConfigsRequest, CreatePartitions => CreatePartitionsRequest,
        DeleteGroups => DeleteGroupsRequest, IncrementalAlterConfigs => IncrementalAlterConfigsRequest,
        OffsetDelete => OffsetDeleteRequest, AddPartitionsToTxn => AddPartitionsToTxnRequest,
        AddOffsetsToTxn => AddOffsetsToTxnRequest, EndTxn => EndTxnRequest,
        TxnOffsetCommit => TxnOffsetCommitRequest, SaslHandshake => SaslHandshakeRequest,
        SaslAuthenticate => SaslAuthenticateRequest,
    );
}

/// The shapes are right if what they cover of a real request is all of it.
#[test]
fn shapes_cover_real_requests_exactly() {
    fn covers<R: Request>(request: &R) {
        for api in APIS.iter().filter(|api| api.key as i16 == R::KEY) {
            let mut body = BytesMut::new();
            request.encode(&mut body, api.version).unwrap();
            assert_eq!(measure(api.shape, &body, 1000), Ok(body.len()), "{:?} {}", api.key, api.version);
            decode_measured(api.key, api.version, body.freeze());
        }
    }
    use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopicConfig};
    covers(&produce("a", 1, vec![(0, batch(&["x"])), (1, Bytes::new())]));
    covers(&fetch("a", 3, 10));
    covers(&latest("a"));
    covers(&MetadataRequest::default().with_topics(None));
    let commit = OffsetCommitRequestPartition::default().with_committed_metadata(Some(name("note")));
    let commit =
        OffsetCommitRequestTopic::default().with_name(name("t").into()).with_partitions(vec![commit]);
    covers(&OffsetCommitRequest::default().with_group_id(name("g").into()).with_topics(vec![commit]));
    let offsets = offset_fetch_request::OffsetFetchRequestTopic::default().with_partition_indexes(vec![1, 2]);
    covers(&OffsetFetchRequest::default().with_topics(Some(vec![offsets])));
    let added = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_partitions(vec![3, 4]);
    covers(&AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![added]));
    covers(&AddOffsetsToTxnRequest::default().with_group_id(name("g").into()));
    covers(&EndTxnRequest::default().with_transactional_id(name("t").into()));
    let offset = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
    let offset = offset.with_committed_metadata(Some(name("note")));
    let offsets =
        txn_offset_commit_request::TxnOffsetCommitRequestTopic::default().with_name(name("t").into());
    let offsets = offsets.with_partitions(vec![offset]);
    covers(&TxnOffsetCommitRequest::default().with_topics(vec![offsets]));
    covers(&FindCoordinatorRequest::default().with_key(name("g")));
    let protocol =
        JoinGroupRequestProtocol::default().with_name(name("range")).with_metadata(Bytes::from_static(b"m"));
    covers(&JoinGroupRequest::default().with_protocols(vec![protocol]));
    covers(&HeartbeatRequest::default().with_group_instance_id(Some(name("i"))));
    covers(&LeaveGroupRequest::default().with_member_id(name("m")));
    let given = SyncGroupRequestAssignment::default().with_assignment(Bytes::from_static(b"p"));
    covers(&SyncGroupRequest::default().with_assignments(vec![given]));
    covers(&DescribeGroupsRequest::default().with_groups(vec![name("g").into()]));
    covers(&ListGroupsRequest::default());
    covers(&ApiVersionsRequest::default());
    covers(&SaslHandshakeRequest::default().with_mechanism(name("PLAIN")));
    covers(&SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"said")));
    let topic = CreatableTopic::default()
        .with_assignments(vec![CreatableReplicaAssignment::default().with_broker_ids(vec![1.into()])])
        .with_configs(vec![CreatableTopicConfig::default().with_value(None)]);
    covers(&CreateTopicsRequest::default().with_topics(vec![topic]));
    covers(&DeleteTopicsRequest::default().with_topic_names(vec![name("t").into()]));
    covers(&InitProducerIdRequest::default().with_transactional_id(None));
    let resource = describe_configs_request::DescribeConfigsResource::default();
    covers(
        &DescribeConfigsRequest::default()
            .with_resources(vec![resource.with_configuration_keys(Some(vec![name("k")]))]),
    );
    let more =
        create_partitions_request::CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]);
    let more = create_partitions_request::CreatePartitionsTopic::default().with_assignments(Some(vec![more]));
    covers(&CreatePartitionsRequest::default().with_topics(vec![more]));
    covers(&DeleteGroupsRequest::default().with_groups_names(vec![name("g").into()]));
    let change = incremental_alter_configs_request::AlterableConfig::default().with_value(Some(name("v")));
    let change =
        incremental_alter_configs_request::AlterConfigsResource::default().with_configs(vec![change]);
    covers(&IncrementalAlterConfigsRequest::default().with_resources(vec![change]));
    let gone = offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(1);
    let gone = offset_delete_request::OffsetDeleteRequestTopic::default().with_partitions(vec![gone]);
    covers(&OffsetDeleteRequest::default().with_topics(vec![gone]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Bytes that passed the measure never panic the decoder, nor make it reserve more than the item limit allows.
    #[test]
    fn random_bodies_never_panic(at in 0..APIS.len(), body in proptest::collection::vec(any_byte(), 0..200)) {
        let api = &APIS[at];
        if measure(api.shape, &body, 1000).is_ok() {
            decode_measured(api.key, api.version, body.into());
        }
    }

    /// A real request with a byte changed, or its end cut off.
    #[test]
    fn damaged_requests_never_panic(cut in 0usize..120, at in 0usize..120, byte in any::<u8>()) {
        for (key, version, request) in damaged() {
            let mut body = request.clone();
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            body.truncate(body.len().saturating_sub(cut));
            let api = APIS.iter().find(|api| api.key == key).unwrap();
            if measure(api.shape, &body, 1000).is_ok() {
                decode_measured(key, version, body.freeze());
            }
        }
    }
}

/// Small numbers and -1 are what lengths are made of.
fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0u8), 3 => 0u8..4, 1 => Just(0xff), 1 => any::<u8>()]
}

fn damaged() -> Vec<(ApiKey, i16, BytesMut)> {
    let encode = |key, version, write: &dyn Fn(&mut BytesMut)| {
        let mut body = BytesMut::new();
        write(&mut body);
        (key, version, body)
    };
    vec![
        encode(ApiKey::Produce, 7, &|out| produce("a", 1, vec![(0, batch(&["x"]))]).encode(out, 7).unwrap()),
        encode(ApiKey::Fetch, 11, &|out| fetch("a", 3, 10).encode(out, 11).unwrap()),
        encode(ApiKey::ListOffsets, 2, &|out| latest("a").encode(out, 2).unwrap()),
    ]
}
