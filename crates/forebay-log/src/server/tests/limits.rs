//! What one client may do to the others: nothing. Hostile bytes, idle sockets, half requests, floods.

use super::*;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tracing::{Level, Metadata, span};

/// An answer that must come soon, or the test fails.
async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), answer).await.expect("shut out by others")
}

fn large(bytes: usize) -> Bytes {
    batch(&[&"x".repeat(bytes)])
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
async fn who_only_announces_much_holds_nothing() {
    let options = ServerOptions {
        max_request_memory: 4 << 20,
        max_request_bytes: 1 << 20,
        crowded_timeout: Duration::from_secs(60),
        ..Default::default()
    };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut announces = served.client().await;
        announces.stream.write_i32(1 << 20).await.unwrap();
        idle.push(announces);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = soon(client.ask(&produce("plant", -1, vec![(0, large(500_000))]))).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn half_sent_requests_keep_nobody_from_producing() {
    let options = ServerOptions {
        max_request_memory: 2 << 20,
        max_request_bytes: 1 << 20,
        crowded_timeout: Duration::from_millis(200),
        ..Default::default()
    };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut half = Vec::new();
    for _ in 0..6 {
        let mut stops = served.client().await;
        stops.stream.write_i32(1 << 20).await.unwrap();
        stops.stream.write_all(&vec![0; 600_000]).await.unwrap();
        half.push(stops);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..20 {
        soon(client.ask(&produce("plant", -1, vec![(0, large(50_000))]))).await;
    }
    soon(client.ask(&produce("plant", -1, vec![(0, large(900_000))]))).await;
}

#[tokio::test]
async fn who_announces_much_and_sends_it_slowly_does_not_stand_before_an_ordinary_request() {
    let options = ServerOptions {
        max_request_memory: 24 << 20,
        max_request_bytes: 16 << 20,
        crowded_timeout: Duration::from_millis(200),
        ..Default::default()
    };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let tricklers: Vec<_> = (0..25)
        .map(|_| {
            let addr = served.addr;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(addr).await.unwrap();
                stream.write_i32(16 << 20).await.unwrap();
                let mut sent = stream.write_all(&vec![0; 300_000]).await;
                // 100 KB/s: more than is asked of everybody.
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    sent = stream.write_all(&[0; 5_000]).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..3 {
        soon(client.ask(&produce("plant", -1, vec![(0, large(900_000))]))).await;
    }
    tricklers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_that_does_not_arrive_makes_room() {
    let options = ServerOptions {
        max_connections: 3,
        crowded_timeout: Duration::from_millis(200),
        ..Default::default()
    };
    let served = Served::start_with(options).await;
    let mut half = Vec::new();
    for _ in 0..3 {
        let mut stops = served.client().await;
        stops.stream.write_all(b"\0\0\0\x20\0").await.unwrap();
        half.push(stops);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(soon(served.client().await.ask(&ApiVersionsRequest::default())).await.error_code, 0);
}

#[tokio::test]
async fn a_member_that_waits_for_its_group_holds_no_request_memory() {
    let options = ServerOptions {
        max_request_memory: 128 << 10,
        max_request_bytes: 64 << 10,
        initial_rebalance_delay: Duration::from_secs(60),
        ..Default::default()
    };
    let served = Served::start_with(options).await;
    let (mut member, mut client) = (served.client().await, served.client().await);
    client.create("plant", 1).await;
    let id = member.ask(&join(&StrBytes::new(), b"")).await.member_id;
    member.send(5, &join(&id, &[0; 60_000])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    soon(client.ask(&produce("plant", -1, vec![(0, large(30_000))]))).await;
}

#[tokio::test]
async fn behind_an_answer_that_is_not_sent_nothing_is_begun() {
    let served = Served::start().await;
    let (mut reader, mut writer) = (served.client().await, served.client().await);
    writer.create("plant", 1).await;
    let parked = reader.send(11, &fetch("plant", 0, 60_000)).await;
    let appended = reader.send(7, &produce("plant", -1, vec![(0, batch(&["b"]))])).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(served.log.offsets("plant", 0).unwrap().latest, 0, "it was read behind the Fetch");
    soon(writer.ask(&produce("plant", -1, vec![(0, batch(&["a"]))]))).await;
    soon(reader.receive::<FetchRequest>(11, parked)).await;
    let answer = soon(reader.receive::<ProduceRequest>(7, appended)).await;
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 1);
}

#[tokio::test]
async fn appends_share_an_fsync_unless_their_answers_are_large() {
    let dir = tempfile::tempdir().unwrap();
    let flush_interval = Duration::from_millis(300);
    let log = LogOptions { flush_interval, ..LogOptions::new(dir.path()) };
    let served = Served::start_at(dir, log, ServerOptions::default()).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    for (partitions, requests, shared) in [(1, 10, true), (200, 2, false)] {
        let began = Instant::now();
        let batches: Vec<_> = (0..partitions).map(|index| (index, batch(&["a"]))).collect();
        let mut ids = Vec::new();
        for _ in 0..requests {
            ids.push(client.send(7, &produce("plant", -1, batches.clone())).await);
        }
        for id in ids {
            client.receive::<ProduceRequest>(7, id).await;
        }
        let one_by_one = flush_interval * requests;
        assert_eq!(began.elapsed() < one_by_one, shared, "{partitions} partitions");
    }
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_and_a_waiting_one_stays() {
    let options = ServerOptions { max_connections: 2, ..Default::default() };
    let served = Served::start_with(options).await;
    let (mut idle, mut parked) = (served.client().await, served.client().await);
    idle.create("plant", 1).await;
    let waiting = parked.send(11, &fetch("plant", 0, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let mut third = served.client().await;
    assert_eq!(soon(third.ask(&ApiVersionsRequest::default())).await.error_code, 0);
    assert!(soon(idle.receive_raw()).await.is_none());
    let also_waiting = third.send(11, &fetch("plant", 0, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(soon(served.client().await.receive_raw()).await.is_none(), "none is idle, so the newcomer goes");

    served.log.append("plant", 0, batch(&["a"]), crate::storage::Wait::Durable).await.unwrap();
    for (mut client, id) in [(parked, waiting), (third, also_waiting)] {
        let fetched = soon(client.receive::<FetchRequest>(11, id)).await;
        assert!(
            fetched.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty())
        );
    }
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let options = ServerOptions { idle_timeout: Duration::from_millis(300), ..Default::default() };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    client.ask(&ApiVersionsRequest::default()).await;
    assert!(client.receive_raw().await.is_none());
}

/// What was warned of, by the message and its `untold`.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<(String, u64)>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn event(&self, event: &tracing::Event<'_>) {
        let mut warning = Warning(String::new(), 0);
        event.record(&mut warning);
        self.0.lock().push((warning.0, warning.1));
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Warning(String, u64);

impl tracing::field::Visit for Warning {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        if field.name() == "untold" {
            self.1 = value;
        }
    }
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_bad_connections_is_one_warning_and_a_sum() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let time = Arc::new(AtomicI64::new(1_000_000));
    let read = time.clone();
    let clock = Clock::new(move || read.load(Ordering::SeqCst));
    let dir = tempfile::tempdir().unwrap();
    let log = LogOptions { clock, ..LogOptions::new(dir.path()) };
    let served = Served::start_at(dir, log, ServerOptions::default()).await;
    for minute in 0..2 {
        time.fetch_add(60_000 * minute, Ordering::SeqCst);
        for _ in 0..20 {
            let mut client = served.client().await;
            client.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            assert!(client.receive_raw().await.is_none());
        }
    }
    served.stop().await;
    let told = warnings.0.lock().clone();
    let more = "more of the same, not told one by one".to_owned();
    let first = ("closed a connection".to_owned(), 0);
    // The sum of the first minute comes when the next client connects, that of the second at the end.
    assert_eq!(told, [first.clone(), (more.clone(), 19), first, (more, 19)]);
}

#[tokio::test]
async fn an_answer_is_not_made_larger_by_repetition() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 50).await;
    let topic = MetadataRequestTopic::default().with_name(Some(name("plant").into()));
    let metadata = MetadataRequest::default().with_topics(Some(vec![topic; 1000]));
    assert_eq!(client.ask(&metadata).await.topics.len(), 1);
    let groups = DescribeGroupsRequest::default().with_groups(vec![name("readers").into(); 1000]);
    assert_eq!(client.ask(&groups).await.groups.len(), 1);
    let resource = describe_configs_request::DescribeConfigsResource::default();
    let resource = resource.with_resource_type(2).with_resource_name(name("plant"));
    let configs = DescribeConfigsRequest::default().with_resources(vec![resource; 1000]);
    assert_eq!(client.ask(&configs).await.results.len(), 1);

    let twice = ListOffsetsTopic::default().with_name(name("plant").into()).with_partitions(vec![
        ListOffsetsPartition::default().with_timestamp(0),
        ListOffsetsPartition::default().with_timestamp(0),
    ]);
    let answer = client.ask(&ListOffsetsRequest::default().with_topics(vec![twice])).await;
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(codes, [0, 42]);
}

#[tokio::test]
async fn a_fetch_names_each_partition_once_and_no_more_than_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let log = LogOptions { max_partitions: 5, ..LogOptions::new(dir.path()) };
    let served = Served::start_at(dir, log, ServerOptions::default()).await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut many = fetch("plant", 0, 0);
    many.topics[0].partitions = vec![FetchPartition::default(); 1000];
    let answer = client.ask(&many).await;
    assert_eq!((answer.responses.len(), answer.responses[0].partitions.len()), (1, 1));
    let partitions = (0..6).map(|index| FetchPartition::default().with_partition(index));
    many.topics[0].partitions = partitions.collect();
    client.send(11, &many).await;
    assert!(soon(client.receive_raw()).await.is_none());
}

#[tokio::test]
async fn members_cannot_fill_the_memory() {
    let options = ServerOptions { max_group_memory: 100_000, ..Default::default() };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    let mut many = join(&StrBytes::new(), b"");
    many.protocols = vec![many.protocols[0].clone(); 33];
    assert_eq!(client.ask(&many).await.error_code, 42, "too many protocols");
    assert_eq!(client.ask(&join(&StrBytes::new(), &[0; 200_000])).await.error_code, 81);
    let id = client.ask(&join(&StrBytes::new(), b"m")).await.member_id;
    assert_eq!(client.ask(&join(&id, &[0; 60_000])).await.error_code, 0);
    assert_eq!(client.ask(&join(&StrBytes::new(), &[0; 60_000])).await.error_code, 81);
    let joined = client.ask(&join(&id, &[0; 60_000])).await;
    assert_eq!(joined.error_code, 0, "who is in may come back");
    let given = SyncGroupRequestAssignment::default().with_member_id(id.clone());
    let sync = SyncGroupRequest::default().with_group_id(name("readers").into()).with_member_id(id.clone());
    let sync = sync.with_generation_id(joined.generation_id);
    let sync =
        |bytes| sync.clone().with_assignments(vec![given.clone().with_assignment(vec![0; bytes].into())]);
    assert_eq!(client.ask(&sync(60_000)).await.error_code, 81);
    let stranger = sync(60_000).with_member_id(name("nobody"));
    assert_eq!(client.ask(&stranger).await.error_code, 25, "to join again comes before to give up");
    assert_eq!(client.ask(&sync(100)).await.error_code, 0);
    assert_eq!(client.ask(&join(&id, &[0; 160_000])).await.error_code, 81);
}

#[tokio::test]
async fn only_a_request_with_records_may_be_large() {
    let served = Served::start().await;
    let mut client = served.client().await;
    let config = CreatableTopicConfig::default().with_name(name(&"x".repeat(30_000)));
    let topic = CreatableTopic::default().with_name(name("plant").into()).with_configs(vec![config; 150]);
    client.send(4, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
    assert!(soon(client.receive_raw()).await.is_none());
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
