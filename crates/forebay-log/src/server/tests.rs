//! The server as a client sees it: real sockets, the wire types' client side, and hostile bytes.

use super::protocol::APIS;
use super::shape::measure;
use super::{Server, ServerOptions};
use crate::records::{BatchBuilder, Compression};
use crate::storage::{Log, LogOptions};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use forebay_storage::Door;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A served log in a temporary folder.
struct Served {
    addr: SocketAddr,
    log: Log,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ServerOptions::default()).await
    }

    async fn start_with(options: ServerOptions) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options).await
    }

    async fn start_in(dir: tempfile::TempDir, options: ServerOptions) -> Self {
        let log = Log::open(LogOptions::new(dir.path()), Door::new()).unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), log.clone(), options).await.unwrap();
        let (addr, shutdown) = (server.local_addr(), CancellationToken::new());
        let running = tokio::spawn(server.run(shutdown.clone()));
        Self { addr, log, shutdown, running, dir }
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.log.close().await.unwrap();
        self.dir
    }

    async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.addr).await.unwrap(), last_id: 0 }
    }
}

/// A connection that speaks the protocol.
struct Client {
    stream: TcpStream,
    last_id: i32,
}

impl Client {
    async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.last_id += 1;
        let mut body = BytesMut::new();
        body.put_i16(R::KEY);
        body.put_i16(version);
        body.put_i32(self.last_id);
        body.put_i16(4);
        body.put_slice(b"test");
        request.encode(&mut body, version).unwrap();
        self.stream.write_i32(i32::try_from(body.len()).unwrap()).await.unwrap();
        self.stream.write_all(&body).await.unwrap();
        self.last_id
    }

    async fn receive<R: Request>(&mut self, version: i16, id: i32) -> R::Response {
        let mut body = self.receive_raw().await.expect("the connection was closed");
        assert_eq!(body.get_i32(), id);
        let response = R::Response::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "bytes behind the answer");
        response
    }

    /// `None` when the server closed the connection.
    async fn receive_raw(&mut self) -> Option<Bytes> {
        let reading = async {
            let len = self.stream.read_i32().await.ok()?;
            let mut body = vec![0; usize::try_from(len).unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Bytes::from(body))
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("no answer")
    }

    async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        let version = APIS.iter().find(|api| api.key as i16 == R::KEY).unwrap().version;
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    async fn create(&mut self, topic: &str, partitions: i32) {
        let topic = CreatableTopic::default().with_name(name(topic).into()).with_num_partitions(partitions);
        let request = CreateTopicsRequest::default().with_topics(vec![topic.with_replication_factor(-1)]);
        assert_eq!(self.ask(&request).await.topics[0].error_code, 0);
    }
}

fn name(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

fn produce(topic: &str, acks: i16, batches: Vec<(i32, Bytes)>) -> ProduceRequest {
    let partition =
        |(index, records)| PartitionProduceData::default().with_index(index).with_records(Some(records));
    let partitions = batches.into_iter().map(partition).collect();
    let topic = TopicProduceData::default().with_name(name(topic).into()).with_partition_data(partitions);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic])
}

fn fetch(topic: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic).into()).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_replica_id((-1).into()).with_max_wait_ms(max_wait_ms);
    request.with_min_bytes(1).with_max_bytes(1 << 20).with_topics(vec![topic])
}

fn latest(topic: &str) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(name(topic).into()).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

#[tokio::test]
async fn any_version_of_api_versions_is_answered() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let known = client.ask(&ApiVersionsRequest::default()).await;
    assert_eq!((known.error_code, known.api_keys.len()), (0, APIS.len()));
    for version in [1, 3, 4, 99] {
        let mut frame = BytesMut::new();
        frame.put_i16(18);
        frame.put_i16(version);
        frame.put_i32(5);
        frame.put_slice(b"\0\x04test\0\x05name\x04v\0");
        client.stream.write_i32(i32::try_from(frame.len()).unwrap()).await.unwrap();
        client.stream.write_all(&frame).await.unwrap();
        let answer = client.receive::<ApiVersionsRequest>(0, 5).await;
        assert_eq!((answer.error_code, answer.api_keys.len()), (35, APIS.len()));
    }
}

#[tokio::test]
async fn what_was_produced_is_fetched() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 2).await;
    let answer = client
        .ask(&produce("plant", -1, vec![(0, batch(&["a", "b"])), (1, batch(&["c"])), (7, batch(&["d"]))]))
        .await;
    let codes: Vec<i16> = answer.responses[0].partition_responses.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [0, 0, 3]);
    let fetched = client.ask(&fetch("plant", 0, 0)).await;
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark, partition.last_stable_offset), (0, 2, 2));
    assert!(partition.records.as_ref().unwrap().windows(1).any(|byte| byte == b"b"));
    let ends = client.ask(&latest("plant")).await;
    assert_eq!(ends.topics[0].partitions[0].offset, 2);
    let out = client.ask(&fetch("plant", 3, 5_000)).await;
    assert_eq!(out.responses[0].partitions[0].error_code, 1);
    served.stop().await;
}

#[tokio::test]
async fn acks_zero_has_no_answer_and_an_error_closes() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    client.send(7, &produce("plant", 0, vec![(0, batch(&["a"]))])).await;
    let mut end = 0;
    for _ in 0..100 {
        end = client.ask(&latest("plant")).await.topics[0].partitions[0].offset;
        if end == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(end, 1);
    client.send(7, &produce("nowhere", 0, vec![(0, batch(&["a"]))])).await;
    assert!(client.receive_raw().await.is_none());
}

#[tokio::test]
async fn a_fetch_waits_for_data_and_answers_keep_their_order() {
    let served = Served::start().await;
    let (mut reader, mut writer) = (served.client().await, served.client().await);
    writer.create("plant", 1).await;
    let began = Instant::now();
    let parked = reader.send(11, &fetch("plant", 0, 10_000)).await;
    let behind = reader.send(2, &latest("plant")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    writer.ask(&produce("plant", 1, vec![(0, batch(&["a"]))])).await;
    let fetched = reader.receive::<FetchRequest>(11, parked).await;
    assert!(fetched.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()));
    reader.receive::<ListOffsetsRequest>(2, behind).await;
    assert!(began.elapsed() < Duration::from_secs(5));

    let began = Instant::now();
    let empty = reader.ask(&fetch("plant", 1, 300)).await;
    assert!(empty.responses[0].partitions[0].records.as_ref().is_none_or(Bytes::is_empty));
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn pipelined_appends_keep_their_order() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(client.send(7, &produce("plant", -1, vec![(0, batch(&[&number.to_string()]))])).await);
    }
    for (number, id) in ids.into_iter().enumerate() {
        let answer = client.receive::<ProduceRequest>(7, id).await;
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, i64::try_from(number).unwrap());
    }
}

#[tokio::test]
async fn metadata_creates_only_what_is_allowed() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let ask = |topics: Option<Vec<&str>>, create| {
        let topic = |text| MetadataRequestTopic::default().with_name(Some(name(text).into()));
        let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
        MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(create)
    };
    let answer = client.ask(&ask(Some(vec!["no", "../evil"]), false)).await;
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [3, 17]);
    let answer = client.ask(&ask(Some(vec!["yes", "a/b"]), true)).await;
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!((codes, answer.topics[0].partitions.len()), (vec![0, 17], 1));
    assert_eq!((answer.brokers[0].port, answer.controller_id.0), (i32::from(served.addr.port()), 1));
    assert!(client.ask(&ask(Some(vec![]), true)).await.topics.is_empty());
    assert_eq!(client.ask(&ask(None, true)).await.topics.len(), 1);
}

#[tokio::test]
async fn committed_offsets_survive_a_restart() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let join = |member: &StrBytes| {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(name("range"))
            .with_metadata(Bytes::from_static(b"m"));
        let request =
            JoinGroupRequest::default().with_group_id(name("readers").into()).with_member_id(member.clone());
        let request = request.with_session_timeout_ms(10_000).with_rebalance_timeout_ms(10_000);
        request.with_protocol_type(name("consumer")).with_protocols(vec![protocol])
    };
    let refused = client.ask(&join(&StrBytes::new())).await;
    assert_eq!(refused.error_code, 79);
    let joined = client.ask(&join(&refused.member_id)).await;
    assert_eq!((joined.error_code, joined.members.len()), (0, 1));
    let given = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let sync = SyncGroupRequest::default()
        .with_group_id(name("readers").into())
        .with_generation_id(joined.generation_id);
    let sync = sync.with_member_id(joined.member_id.clone());
    let synced =
        client.ask(&sync.with_assignments(vec![given.with_assignment(Bytes::from_static(b"p0"))])).await;
    assert_eq!(synced.assignment, "p0");

    let commit = |generation, topic: &str| {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(42);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name(topic).into())
            .with_partitions(vec![partition]);
        let request =
            OffsetCommitRequest::default().with_group_id(name("readers").into()).with_topics(vec![topic]);
        request.with_generation_id_or_member_epoch(generation).with_member_id(joined.member_id.clone())
    };
    let code = |answer: OffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    assert_eq!(code(client.ask(&commit(joined.generation_id, "plant")).await), 0);
    assert_eq!(code(client.ask(&commit(joined.generation_id + 1, "plant")).await), 22);
    assert_eq!(code(client.ask(&commit(joined.generation_id, "nowhere")).await), 3);

    let dir = served.stop().await;
    let served = Served::start_in(dir, ServerOptions::default()).await;
    let mut client = served.client().await;
    let offsets = OffsetFetchRequest::default().with_group_id(name("readers").into()).with_topics(None);
    let answer = client.ask(&offsets).await;
    assert_eq!(answer.topics[0].partitions[0].committed_offset, 42);
    assert_eq!(client.ask(&ListGroupsRequest::default()).await.groups.len(), 1);

    let gone = DeleteTopicsRequest::default().with_topic_names(vec![name("plant").into()]);
    assert_eq!(client.ask(&gone).await.responses[0].error_code, 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(client.ask(&offsets).await.topics.is_empty());
}

#[tokio::test]
async fn transactions_are_refused_in_plain_words() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let answer = client.ask(&FindCoordinatorRequest::default().with_key(name("t")).with_key_type(1)).await;
    assert_eq!(answer.error_code, 53);
    assert!(answer.error_message.unwrap().contains("transactional.id"));
    let init = InitProducerIdRequest::default().with_transactional_id(Some(name("t").into()));
    assert_eq!(client.ask(&init).await.error_code, 53);
    let plain = client.ask(&InitProducerIdRequest::default().with_transactional_id(None)).await;
    assert_eq!((plain.error_code, plain.producer_epoch), (0, 0));
}

#[tokio::test]
async fn garbage_closes_the_connection_and_nothing_else() {
    let options = ServerOptions { max_request_items: 10, ..ServerOptions::default() };
    let served = Served::start_with(options).await;
    let hostile: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x01\0",
        // unknown request, unserved version, client id that overruns, not UTF-8
        b"\0\0\0\x0a\x03\xe7\0\0\0\0\0\x01\xff\xff",
        b"\0\0\0\x0a\0\0\0\x03\0\0\0\x01\xff\xff",
        b"\0\0\0\x0a\0\x03\0\x04\0\0\0\x01\x7f\xff",
        b"\0\0\0\x0b\0\x03\0\x04\0\0\0\x01\0\x01\xff",
        // Metadata with two thousand million topics, and with eleven where ten are allowed
        b"\0\0\0\x0f\0\x03\0\x04\0\0\0\x01\xff\xff\x7f\xff\xff\xff\0",
        b"\0\0\0\x25\0\x03\0\x04\0\0\0\x01\xff\xff\0\0\0\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for bytes in hostile {
        let mut client = served.client().await;
        client.stream.write_all(bytes).await.unwrap();
        assert!(client.receive_raw().await.is_none(), "{bytes:?} was answered");
    }
    assert_eq!(served.client().await.ask(&ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test]
async fn connections_and_idleness_have_limits() {
    let options = ServerOptions {
        max_connections: 2,
        idle_timeout: Duration::from_millis(300),
        ..ServerOptions::default()
    };
    let served = Served::start_with(options).await;
    let (mut first, mut second) = (served.client().await, served.client().await);
    first.ask(&ApiVersionsRequest::default()).await;
    second.ask(&ApiVersionsRequest::default()).await;
    assert!(served.client().await.receive_raw().await.is_none());
    // Both are closed for being idle, and there is room again.
    assert!(first.receive_raw().await.is_none());
    assert!(second.receive_raw().await.is_none());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(served.client().await.ask(&ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test]
async fn shutdown_ends_waiting_requests() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let parked = client.send(11, &fetch("plant", 0, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    served.stop().await;
    client.receive::<FetchRequest>(11, parked).await;
    assert!(client.receive_raw().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(4));
}

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
        OffsetDelete => OffsetDeleteRequest,
    );
}

/// The shapes are right if what they cover of a real request is all of it.
#[test]
fn shapes_cover_real_requests_exactly() {
    fn covers<R: Request>(request: &R) {
        let api = APIS.iter().find(|api| api.key as i16 == R::KEY).unwrap();
        let mut body = BytesMut::new();
        request.encode(&mut body, api.version).unwrap();
        assert_eq!(measure(api.shape, &body, 1000), Ok(body.len()), "{:?}", api.key);
        decode_measured(api.key, api.version, body.freeze());
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

/// Frames of random bytes over a real connection: the server answers or closes, and lives.
#[tokio::test]
async fn random_frames_leave_the_server_alive() {
    let served = Served::start().await;
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..300 {
        let mut client = served.client().await;
        let api = &APIS[random.usize(..APIS.len())];
        let mut frame = BytesMut::new();
        frame.put_i16(api.key as i16);
        frame.put_i16(if random.u8(0..8) == 0 { random.i16(..) } else { api.version });
        frame.put_i32(random.i32(..));
        frame.put_i16(-1);
        for _ in 0..random.usize(0..80) {
            frame.put_u8(if random.bool() { 0 } else { random.u8(0..5) });
        }
        let len = i32::try_from(frame.len()).unwrap();
        let claimed = if random.u8(0..4) == 0 { len + random.i32(0..100) } else { len };
        client.stream.write_i32(claimed).await.unwrap();
        let _ = client.stream.write_all(&frame).await;
        let _ = client.stream.shutdown().await;
    }
    assert_eq!(served.client().await.ask(&ApiVersionsRequest::default()).await.error_code, 0, "seed {seed}");
    served.stop().await;
}
