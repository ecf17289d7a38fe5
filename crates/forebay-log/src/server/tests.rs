//! The server as a client sees it: real sockets, the wire types' client side, and hostile bytes.

mod access;
#[cfg(feature = "faults")]
mod crashes;
mod groups;
mod limits;
mod shapes;
mod transactions;

use super::protocol::APIS;
use super::{Server, ServerOptions};
use crate::records::{BatchBuilder, Compression};
use crate::storage::{Clock, Log, LogOptions};
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
        let log = LogOptions::new(dir.path());
        Self::start_at(dir, log, options).await
    }

    async fn start_at(dir: tempfile::TempDir, log: LogOptions, options: ServerOptions) -> Self {
        let log = Log::open(log, Door::new()).unwrap();
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

    /// In the newest version that is served, where it is flexible.
    async fn ask_newest<R: Request>(&mut self, request: &R) -> R::Response {
        let api = APIS.iter().rfind(|api| api.key as i16 == R::KEY).unwrap();
        assert!(api.is_flexible);
        self.last_id += 1;
        let mut body = BytesMut::new();
        body.put_i16(R::KEY);
        body.put_i16(api.version);
        body.put_i32(self.last_id);
        body.put_slice(b"\0\x04test\x01\x05\x02xy");
        request.encode(&mut body, api.version).unwrap();
        self.stream.write_i32(i32::try_from(body.len()).unwrap()).await.unwrap();
        self.stream.write_all(&body).await.unwrap();
        let mut body = self.receive_raw().await.expect("the connection was closed");
        assert_eq!((body.get_i32(), body.get_u8()), (self.last_id, 0));
        let response = R::Response::decode(&mut body, api.version).unwrap();
        assert!(body.is_empty(), "bytes behind the answer");
        response
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

fn join(member: &StrBytes, metadata: &[u8]) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(name("range"));
    let protocol = protocol.with_metadata(Bytes::copy_from_slice(metadata));
    let request =
        JoinGroupRequest::default().with_group_id(name("readers").into()).with_member_id(member.clone());
    let request = request.with_session_timeout_ms(10_000).with_rebalance_timeout_ms(10_000);
    request.with_protocol_type(name("consumer")).with_protocols(vec![protocol])
}

#[tokio::test]
async fn any_version_of_api_versions_is_answered() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let known = client.ask(&ApiVersionsRequest::default()).await;
    let served_keys: std::collections::BTreeSet<i16> = APIS.iter().map(|api| api.key as i16).collect();
    assert_eq!((known.error_code, known.api_keys.len()), (0, served_keys.len()));
    let range = known.api_keys.iter().find(|range| range.api_key == 9).unwrap();
    assert_eq!((range.min_version, range.max_version), (5, 7));
    for version in [1, 3, 4, 99] {
        let mut frame = BytesMut::new();
        frame.put_i16(18);
        frame.put_i16(version);
        frame.put_i32(5);
        frame.put_slice(b"\0\x04test\0\x05name\x04v\0");
        client.stream.write_i32(i32::try_from(frame.len()).unwrap()).await.unwrap();
        client.stream.write_all(&frame).await.unwrap();
        let answer = client.receive::<ApiVersionsRequest>(0, 5).await;
        assert_eq!((answer.error_code, answer.api_keys.len()), (35, served_keys.len()));
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
async fn one_partition_fills_no_answer_unless_it_is_waited_for() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    for _ in 0..3 {
        client.ask(&produce("plant", -1, vec![(0, batch(&[&"x".repeat(700_000)]))])).await;
    }
    let mut greedy = fetch("plant", 0, 5_000).with_max_bytes(50 << 20);
    greedy.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    for (min_bytes, batches) in [(1, 1), (2_000_000, 2)] {
        greedy.min_bytes = min_bytes;
        let fetched = client.ask(&greedy).await;
        let records = fetched.responses[0].partitions[0].records.as_ref().unwrap();
        assert_eq!(records.len() / 700_000, batches, "{min_bytes}: {}", records.len());
    }
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
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for() {
    let served = Served::start().await;
    let (mut reader, mut writer) = (served.client().await, served.client().await);
    writer.create("plant", 1).await;
    let value = "x".repeat(5_000);
    for offset in 0..10 {
        if offset == 3 {
            reader.send(11, &fetch("plant", 3, 20_000).with_min_bytes(20_000)).await;
        }
        writer.ask(&produce("plant", -1, vec![(0, batch(&[&value]))])).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let fetched = reader.receive::<FetchRequest>(11, 1).await;
    let records = fetched.responses[0].partitions[0].records.as_ref().unwrap();
    assert!((20_000..26_000).contains(&records.len()), "{}", records.len());
    let began = tokio::time::Instant::now();
    let small = fetch("plant", 9, 200).with_min_bytes(20_000);
    let fetched = reader.ask(&small).await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(fetched.responses[0].partitions[0].records.as_ref().is_some_and(|records| records.len() > 5_000));
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
