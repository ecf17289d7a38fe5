//! Who is let in, what is theirs, and that everybody else gets nothing.

use super::*;
use crate::server::ServerError;
use crate::server::access::{Guard, Login, Patterns, Rights, Session, Step, TopicRights, User, Users};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use std::sync::Arc;
use tokio::sync::watch;

/// Users whose name is all that they have to say, in two steps.
#[derive(Debug)]
struct ByName(Vec<Arc<User>>);

struct Saying(Vec<Arc<User>>, bool);

impl Users for ByName {
    fn mechanisms(&self, _: bool) -> Vec<&'static str> {
        vec!["NAME"]
    }

    fn login(&self, mechanism: &str, _: bool) -> Option<Box<dyn Login>> {
        (mechanism == "NAME").then(|| Box::new(Saying(self.0.clone(), false)) as Box<dyn Login>)
    }

    fn by_certificate(&self, certificate: &[u8]) -> Option<Arc<User>> {
        self.0.iter().find(|user| user.name.as_bytes() == certificate).cloned()
    }

    fn is_current(&self, user: &Arc<User>) -> bool {
        self.0.iter().any(|known| Arc::ptr_eq(known, user))
    }
}

impl Login for Saying {
    fn step(&mut self, said: &[u8]) -> Step {
        if !std::mem::replace(&mut self.1, true) {
            return Step::Continue(b"and?".to_vec());
        }
        match self.0.iter().find(|user| user.name.as_bytes() == said) {
            Some(user) => Step::Known(b"welcome".to_vec(), Arc::clone(user)),
            None => Step::Refused("nobody"),
        }
    }
}

fn user(name: &str, rights: Rights) -> Arc<User> {
    Arc::new(User { name: name.into(), rights })
}

fn names(of: &[&str]) -> Patterns {
    Patterns::new(of.iter().copied())
}

/// A server that lets in nobody but these, and what tells it of others.
async fn guarded(users: Vec<Arc<User>>) -> (Served, watch::Sender<Arc<dyn Users>>) {
    guarded_with(users, ServerOptions::default()).await
}

async fn guarded_with(
    users: Vec<Arc<User>>,
    options: ServerOptions,
) -> (Served, watch::Sender<Arc<dyn Users>>) {
    let (sender, users) = watch::channel(Arc::new(ByName(users)) as Arc<dyn Users>);
    let guard = Some(Guard { tls: None, users });
    (Served::start_with(ServerOptions { guard, ..options }).await, sender)
}

fn handshake(mechanism: &str) -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(name(mechanism))
}

fn says(what: &str) -> SaslAuthenticateRequest {
    SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(what.as_bytes()))
}

async fn log_in(served: &Served, who: &str) -> Client {
    let mut client = served.client().await;
    assert_eq!(client.ask(&ApiVersionsRequest::default()).await.error_code, 0);
    let chosen = client.ask(&handshake("NAME")).await;
    assert_eq!((chosen.error_code, chosen.mechanisms.len()), (0, 1));
    assert_eq!(client.ask(&says("hello")).await.auth_bytes, "and?");
    let known = client.ask(&says(who)).await;
    assert_eq!((known.error_code, known.session_lifetime_ms, &known.auth_bytes[..]), (0, 0, &b"welcome"[..]));
    client
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_without_users_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(LogOptions::new(dir.path()), Door::new()).unwrap();
    let (_sender, users) = watch::channel(Arc::new(ByName(Vec::new())) as Arc<dyn Users>);
    for guard in [None, Some(Guard { tls: None, users })] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let options = ServerOptions { guard: guard.clone(), ..ServerOptions::default() };
            let refused = Server::bind(address.parse().unwrap(), log.clone(), options).await;
            assert!(matches!(refused, Err(ServerError::Unguarded { .. })), "{address}");
        }
    }
}

#[tokio::test]
async fn a_stranger_gets_versions_and_sasl_and_nothing_else() {
    let (served, _users) = guarded(vec![user("ana", Rights { admin: true, ..Rights::default() })]).await;
    let mut served_keys: Vec<_> = APIS.iter().map(|api| (api.key, api.version, api.is_flexible)).collect();
    served_keys.dedup_by_key(|(key, ..)| *key as i16);
    for (key, version, is_flexible) in served_keys {
        if matches!(key, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate) {
            continue;
        }
        let mut client = served.client().await;
        let mut body = BytesMut::new();
        body.put_i16(key as i16);
        body.put_i16(version);
        body.put_i32(1);
        body.put_i16(-1);
        // Whatever is asked for, in so many zeros.
        body.put_slice(&vec![0; if is_flexible { 40 } else { 200 }]);
        client.stream.write_i32(body.len() as i32).await.unwrap();
        client.stream.write_all(&body).await.unwrap();
        assert!(client.receive_raw().await.is_none(), "{key:?} was answered");
    }
    let mut client = served.client().await;
    client.ask(&handshake("NAME")).await;
    let id = client.send(4, &MetadataRequest::default().with_topics(None)).await;
    assert!(client.receive_raw().await.is_none(), "half a login is none, request {id}");
}

#[test]
fn a_certificate_is_a_user_from_the_first_request_on_as_long_as_the_user_is_there() {
    let ana = user("ana", Rights::default());
    let (sender, users) = watch::channel(Arc::new(ByName(vec![ana])) as Arc<dyn Users>);
    let session = |certificate| Session::new(Some(Guard { tls: None, users: users.clone() }), certificate);
    for stranger in [session(None), session(Some(&b"bob"[..]))] {
        assert!(!stranger.is_known() && !stranger.admits(ApiKey::Produce));
        assert!(stranger.admits(ApiKey::ApiVersions) && stranger.admits(ApiKey::SaslHandshake));
    }
    let (known, late) = (session(Some(&b"ana"[..])), session(Some(&b"ana"[..])));
    assert!(known.is_known(), "its first request may be as large as any");
    assert!(known.admits(ApiKey::ApiVersions) && known.admits(ApiKey::Produce));
    sender.send(Arc::new(ByName(Vec::new()))).unwrap();
    assert!(!late.admits(ApiKey::Produce), "it is no more");
}

#[tokio::test]
async fn a_login_that_fails_is_answered_alike_and_closed() {
    let (served, _users) = guarded(vec![user("ana", Rights::default())]).await;
    let mut client = served.client().await;
    let refused = client.ask(&handshake("PLAIN")).await;
    assert_eq!((refused.error_code, refused.mechanisms[0].as_str()), (33, "NAME"));
    assert!(client.receive_raw().await.is_none());
    let mut words = Vec::new();
    for wrong in ["bob", ""] {
        let mut client = served.client().await;
        client.ask(&handshake("NAME")).await;
        client.ask(&says("hello")).await;
        let refused = client.ask(&says(wrong)).await;
        assert_eq!((refused.error_code, refused.auth_bytes.len()), (58, 0));
        words.push(refused.error_message);
        assert!(client.receive_raw().await.is_none());
    }
    assert!(words[0].is_some() && words[0] == words[1]);
    let mut client = served.client().await;
    assert_eq!(client.ask(&says("hello")).await.error_code, 34, "before any handshake");
    assert!(client.receive_raw().await.is_none());
    let mut client = log_in(&served, "ana").await;
    assert_eq!(client.ask(&handshake("NAME")).await.error_code, 34, "who is in is in");
    let open = Served::start().await;
    let mut client = open.client().await;
    assert_eq!(client.ask(&handshake("NAME")).await.error_code, 34, "nobody asks");
}

#[tokio::test]
async fn strangers_are_held_to_little_and_to_a_short_time() {
    let options = ServerOptions { login_timeout: Duration::from_millis(300), ..ServerOptions::default() };
    let (served, _users) =
        guarded_with(vec![user("ana", Rights { admin: true, ..Rights::default() })], options).await;
    let mut client = served.client().await;
    client.stream.write_i32(20_000).await.unwrap();
    assert!(client.receive_raw().await.is_none(), "so much is not read");
    let began = Instant::now();
    let mut client = served.client().await;
    client.ask(&handshake("NAME")).await;
    assert!(client.receive_raw().await.is_none(), "who does not go on is cut");
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut client = log_in(&served, "ana").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.create("plant", 1).await;
    let answer = client.ask(&produce("plant", -1, vec![(0, batch(&[&"x".repeat(100_000)]))])).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "who is in may send more, and wait");
}

#[tokio::test]
async fn who_is_no_more_is_cut_off_at_once_and_gets_no_last_records() {
    let (ana, bob) =
        (user("ana", Rights { admin: true, ..Rights::default() }), user("bob", Rights::default()));
    let (served, users) = guarded(vec![Arc::clone(&ana), Arc::clone(&bob)]).await;
    let mut ana_reads = log_in(&served, "ana").await;
    ana_reads.create("plant", 1).await;
    let mut bob_stays = log_in(&served, "bob").await;
    let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name("plant").into()).with_partitions(vec![partition]);
    let wait = FetchRequest::default().with_max_wait_ms(30_000).with_min_bytes(1).with_max_bytes(1 << 20);
    ana_reads.send(11, &wait.with_topics(vec![topic])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    users.send(Arc::new(ByName(vec![user("ana", Rights::default()), bob]))).unwrap();
    assert!(ana_reads.receive_raw().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(bob_stays.ask(&ListGroupsRequest::default()).await.groups.is_empty(), "nothing of bob's changed");
    log_in(&served, "ana").await;
}

#[tokio::test]
async fn a_user_sees_and_writes_what_is_listed_and_is_refused_as_kafka_refuses() {
    let topics =
        TopicRights { write: names(&["plant.*"]), create: names(&["plant.*"]), ..TopicRights::default() };
    let writer = Rights { topics, transactional_ids: names(&["t-*"]), ..Rights::default() };
    let topics = TopicRights { read: names(&["plant.a"]), ..TopicRights::default() };
    let reader = Rights { topics, groups: names(&["board"]), ..Rights::default() };
    let root = Rights { admin: true, ..Rights::default() };
    let (served, _users) = guarded(vec![user("root", root), user("w", writer), user("r", reader)]).await;
    let mut root = log_in(&served, "root").await;
    root.create("secret", 1).await;
    let (mut writer, mut reader) = (log_in(&served, "w").await, log_in(&served, "r").await);
    writer.create("plant.a", 1).await;

    let all = MetadataRequest::default().with_topics(None);
    let shown = |answer: MetadataResponse| -> Vec<String> {
        answer.topics.iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect()
    };
    assert_eq!(shown(root.ask(&all).await).len(), 2);
    assert_eq!(shown(writer.ask(&all).await), ["plant.a"]);
    assert_eq!(shown(reader.ask(&all).await), ["plant.a"]);
    let asked = |topic: &str| {
        let topic = MetadataRequestTopic::default().with_name(Some(name(topic).into()));
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true)
    };
    let code = |answer: MetadataResponse| (answer.topics[0].error_code, answer.topics[0].partitions.len());
    assert_eq!(code(reader.ask(&asked("secret")).await), (29, 0));
    assert_eq!(code(reader.ask(&asked("nothing")).await), (29, 0), "as one that is there");
    assert_eq!(code(writer.ask(&asked("plant.b")).await).0, 0, "made");

    let written = |answer: ProduceResponse| answer.responses[0].partition_responses[0].error_code;
    assert_eq!(written(writer.ask(&produce("plant.a", -1, vec![(0, batch(&["1"]))])).await), 0);
    assert_eq!(written(writer.ask(&produce("secret", -1, vec![(0, batch(&["1"]))])).await), 29);
    assert_eq!(written(reader.ask(&produce("plant.a", -1, vec![(0, batch(&["1"]))])).await), 29);
    let id = produce("plant.a", -1, vec![(0, batch(&["1"]))]).with_transactional_id(Some(name("x").into()));
    assert_eq!(written(writer.ask(&id).await), 53);
    let mut denied = log_in(&served, "r").await;
    denied.send(7, &produce("plant.a", 0, vec![(0, batch(&["1"]))])).await;
    assert!(denied.receive_raw().await.is_none(), "with acks=0 there is no other way to say no");

    let fetch = |topics: &[&str]| {
        let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
        let topic = |topic: &&str| {
            let topic = FetchTopic::default().with_topic(name(topic).into());
            topic.with_partitions(vec![partition.clone()])
        };
        let request = FetchRequest::default().with_max_wait_ms(0).with_max_bytes(1 << 20);
        request.with_topics(topics.iter().map(topic).collect())
    };
    let read = reader.ask(&fetch(&["plant.a", "secret", "nothing"])).await;
    let codes: Vec<i16> = read.responses.iter().map(|topic| topic.partitions[0].error_code).collect();
    assert_eq!(codes, [0, 29, 29]);
    assert!(!read.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    assert_eq!(writer.ask(&fetch(&["plant.a"])).await.responses[0].partitions[0].error_code, 29);
    let ends = |topic: &str| {
        let partition = ListOffsetsPartition::default().with_timestamp(-1);
        let topic =
            ListOffsetsTopic::default().with_name(name(topic).into()).with_partitions(vec![partition]);
        ListOffsetsRequest::default().with_topics(vec![topic])
    };
    assert_eq!(reader.ask(&ends("secret")).await.topics[0].partitions[0].error_code, 29);
    assert_eq!(writer.ask(&ends("plant.a")).await.topics[0].partitions[0].offset, 1, "who writes may look");
}

#[tokio::test]
async fn groups_transactions_and_settings_are_refused_as_kafka_refuses() {
    let topics = TopicRights { describe: names(&["*"]), ..TopicRights::default() };
    let nobody = Rights { topics, ..Rights::default() };
    let grouped = Rights { groups: names(&["g"]), transactional_ids: names(&["t"]), ..nobody.clone() };
    let root = Rights { admin: true, ..Rights::default() };
    let (served, _users) = guarded(vec![user("root", root), user("n", nobody), user("g", grouped)]).await;
    let mut root = log_in(&served, "root").await;
    root.create("plant", 1).await;
    let (mut n, mut g) = (log_in(&served, "n").await, log_in(&served, "g").await);

    let find = |key: &str, kind| FindCoordinatorRequest::default().with_key(name(key)).with_key_type(kind);
    assert_eq!(n.ask(&find("g", 0)).await.error_code, 30);
    assert_eq!(n.ask(&find("t", 1)).await.error_code, 53);
    assert_eq!((g.ask(&find("g", 0)).await.error_code, g.ask(&find("t", 1)).await.error_code), (0, 0));
    let group = || name("g").into();
    let join = JoinGroupRequest::default().with_group_id(group()).with_session_timeout_ms(10_000);
    assert_eq!(n.ask(&join).await.error_code, 30);
    assert_eq!(n.ask(&SyncGroupRequest::default().with_group_id(group())).await.error_code, 30);
    assert_eq!(n.ask(&HeartbeatRequest::default().with_group_id(group())).await.error_code, 30);
    assert_eq!(n.ask(&LeaveGroupRequest::default().with_group_id(group())).await.error_code, 30);
    assert_eq!(n.ask(&OffsetFetchRequest::default().with_group_id(group())).await.error_code, 30);
    assert_eq!(n.ask(&OffsetDeleteRequest::default().with_group_id(group())).await.error_code, 30);
    let described = DescribeGroupsRequest::default().with_groups(vec![group()]);
    assert_eq!(n.ask(&described).await.groups[0].error_code, 30);
    let deleted = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    assert_eq!(n.ask(&deleted).await.results[0].error_code, 30);
    let commit = || {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(0);
        let topic = OffsetCommitRequestTopic::default().with_name(name("plant").into());
        OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic.with_partitions(vec![partition])])
    };
    let committed = |answer: OffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    assert_eq!(committed(n.ask(&commit()).await), 30);
    assert_eq!(committed(g.ask(&commit()).await), 29, "to commit for a topic is to read it");
    assert_eq!(committed(root.ask(&commit()).await), 0);
    assert!(n.ask(&ListGroupsRequest::default()).await.groups.is_empty(), "groups of others are not listed");
    assert_eq!(g.ask(&ListGroupsRequest::default()).await.groups.len(), 1);
    let wanted =
        OffsetFetchRequestTopic::default().with_name(name("plant").into()).with_partition_indexes(vec![0]);
    let fetch = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![wanted]));
    assert_eq!(g.ask(&fetch).await.topics[0].partitions[0].committed_offset, 0, "it may look at the topic");
    let gone = OffsetDeleteRequestTopic::default().with_name(name("plant").into());
    let gone = gone.with_partitions(vec![Default::default()]);
    let delete = OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![gone]);
    assert_eq!(g.ask(&delete).await.topics[0].partitions[0].error_code, 29);

    let number = InitProducerIdRequest::default().with_transactional_id(None);
    assert_eq!(n.ask(&number).await.error_code, 31, "it may write nowhere");
    let init = InitProducerIdRequest::default().with_transaction_timeout_ms(10_000);
    let init = init.with_transactional_id(Some(name("t").into()));
    assert_eq!(n.ask(&init).await.error_code, 53);
    let producer = g.ask(&init).await;
    assert_eq!(producer.error_code, 0);
    let add = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(name("t").into())
        .with_v3_and_below_producer_id(producer.producer_id)
        .with_v3_and_below_producer_epoch(producer.producer_epoch)
        .with_v3_and_below_topics(vec![
            AddPartitionsToTxnTopic::default().with_name(name("plant").into()).with_partitions(vec![0]),
        ]);
    let added = |answer: AddPartitionsToTxnResponse| {
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    };
    assert_eq!((added(n.ask(&add).await), added(g.ask(&add).await)), (53, 29));
    let offsets = |group: &str| {
        let request = AddOffsetsToTxnRequest::default().with_transactional_id(name("t").into());
        request
            .with_producer_id(producer.producer_id)
            .with_producer_epoch(producer.producer_epoch)
            .with_group_id(name(group).into())
    };
    assert_eq!(n.ask(&offsets("g")).await.error_code, 53);
    assert_eq!(g.ask(&offsets("other")).await.error_code, 30);
    assert_eq!(g.ask(&offsets("g")).await.error_code, 0);
    let kept = |group: &str| {
        let partition = TxnOffsetCommitRequestPartition::default();
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name("plant").into());
        TxnOffsetCommitRequest::default()
            .with_transactional_id(name("t").into())
            .with_group_id(name(group).into())
            .with_producer_id(producer.producer_id)
            .with_producer_epoch(producer.producer_epoch)
            .with_topics(vec![topic.with_partitions(vec![partition])])
    };
    let code = |answer: TxnOffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    assert_eq!(code(n.ask(&kept("g")).await), 53);
    assert_eq!((code(g.ask(&kept("other")).await), code(g.ask(&kept("g")).await)), (30, 29));
    let end = EndTxnRequest::default().with_transactional_id(name("t").into());
    assert_eq!(n.ask(&end).await.error_code, 53);

    let make = CreatableTopic::default().with_name(name("new").into()).with_num_partitions(1);
    let make = CreateTopicsRequest::default().with_topics(vec![make.with_replication_factor(-1)]);
    assert_eq!(n.ask(&make).await.topics[0].error_code, 29);
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name("plant").into()]);
    assert_eq!(n.ask(&delete).await.responses[0].error_code, 29);
    let more = CreatePartitionsTopic::default().with_name(name("plant").into()).with_count(2);
    let more = CreatePartitionsRequest::default().with_topics(vec![more]);
    assert_eq!(n.ask(&more).await.results[0].error_code, 29);
    let settings = |kind, of: &str| {
        let resource = DescribeConfigsResource::default().with_resource_type(kind);
        DescribeConfigsRequest::default().with_resources(vec![resource.with_resource_name(name(of))])
    };
    assert_eq!(n.ask(&settings(2, "plant")).await.results[0].error_code, 0);
    assert_eq!(n.ask(&settings(4, "1")).await.results[0].error_code, 31);
    assert_eq!(root.ask(&settings(4, "1")).await.results[0].error_code, 0);
    let alter = |kind, of: &str| {
        let resource = AlterConfigsResource::default().with_resource_type(kind);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource.with_resource_name(name(of))])
    };
    assert_eq!(n.ask(&alter(2, "plant")).await.responses[0].error_code, 29);
    assert_eq!(n.ask(&alter(4, "1")).await.responses[0].error_code, 31);
    assert_eq!(root.ask(&alter(2, "plant")).await.responses[0].error_code, 0);
}
