//! The topic that a query names is there, and is still the one it was, or somebody is told: through the whole binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use forebay_connectors::kafka::{Client, ClientConfig, NewTopic};
use forebay_connectors::sources;
use forebay_core::options::Options;
use forebay_core::source::{Source, Wanted};
use forebay_core::{Position, Positions, TopicIds};
use forebay_log::server::{Server, ServerOptions};
use forebay_log::storage::{Log, LogOptions};
use forebay_storage::Door;
use tokio_util::sync::CancellationToken;

use crate::kafka::ApacheKafka;
use crate::support::*;

fn delete_topic(address: SocketAddr, topic: &str) {
    let raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), address.to_string())]);
    let deleting = async {
        let client = Client::connect(ClientConfig::from_options(&raw).unwrap()).await.unwrap();
        client.delete_topics(&[topic]).await.unwrap();
        // The name is free once the broker says that it knows no such topic.
        let named = forebay_connectors::kafka::Topics::Named(vec![topic.to_owned()]);
        while client.metadata(&named).await.unwrap().topics.values().any(|topic| topic.error.is_none()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::runtime::Runtime::new().unwrap().block_on(deleting);
}

/// Ten records are read; then the topic is made anew with thirty. `at` serves it while something is written to it.
fn a_topic_made_anew_is_told(data: &Path, address: SocketAddr, at: impl Fn(&dyn Fn())) {
    at(&|| {
        make_topic(address, "events", 1);
        produce(address, "events", &proof_events(10));
    });
    let file = copy_pipeline(data, address, "events", 700);
    let run = || forebay(data, &["run", file.to_str().unwrap()]).output().unwrap();
    let first = run();
    assert!(first.status.success(), "{}", text(&first.stderr));
    at(&|| {
        delete_topic(address, "events");
        make_topic(address, "events", 1);
        produce(address, "events", &proof_events(30));
    });
    for attempt in ["first", "second"] {
        let refused = run();
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{attempt}: {said}");
        for part in
            ["FB-2003", "topic `events` was deleted and made anew", "events-0 at offset 10", "failOnDataLoss"]
        {
            assert!(said.contains(part), "{attempt}: `{part}` is missing in\n{said}");
        }
    }
    let strict = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, strict.replace("subscribe:", "failOnDataLoss: false, subscribe:")).unwrap();
    let lenient = run();
    let said = text(&lenient.stderr);
    assert!(lenient.status.success() && said.contains("WARN") && said.contains("made anew"), "{said}");
    assert!(said.contains("30 read = 30 emitted (balances)"), "the new topic from its beginning: {said}");
    assert_eq!(table_rows(data, &data.join("table")).len(), 40);
    std::fs::write(&file, strict).unwrap();
    let after = run();
    assert!(after.status.success(), "the new topic is known now: {}", text(&after.stderr));
}

#[test]
fn a_topic_made_anew_on_apache_kafka_is_told() {
    let (data, kafka) = (tempfile::tempdir().unwrap(), ApacheKafka::start());
    a_topic_made_anew_is_told(data.path(), kafka.address, |write| write());
}

#[test]
fn a_topic_made_anew_on_a_log_elsewhere_is_told() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    a_topic_made_anew_is_told(data.path(), log.address, |write| write());
}

#[test]
fn a_topic_made_anew_in_the_log_of_the_same_process_is_told() {
    let data = tempfile::tempdir().unwrap();
    let address = free_address();
    let listen = address.to_string();
    // Between the runs somebody else serves the same folder.
    a_topic_made_anew_is_told(data.path(), address, |write| {
        let mut serving = Process::spawn(&mut forebay(data.path(), &["log", "serve", "--listen", &listen]));
        serving.address("kafka");
        write();
        assert!(serving.stop().0);
    });
}

/// What retention removed is lost to a query that was there to read it, not to one that only looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_topic_shows_what_retention_left() {
    let data = tempfile::tempdir().unwrap();
    let log = Log::open(LogOptions::new(data.path()), Door::new()).unwrap();
    let server =
        Server::bind("127.0.0.1:0".parse().unwrap(), log.clone(), ServerOptions::default()).await.unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let serving = tokio::spawn(server.run(stop.clone()));
    let raw = BTreeMap::from([
        ("kafka.bootstrap.servers".to_owned(), address.to_string()),
        ("subscribePattern".to_owned(), "event.".to_owned()),
    ]);
    let source = || -> Box<dyn Source> {
        let options = Options::parse(sources::spec("kafka").unwrap(), &raw).unwrap();
        sources::build("kafka", &options, Wanted::default(), None).unwrap()
    };
    let (mut query, nothing) = (source(), Positions::new());
    assert_eq!(query.start(true).await.unwrap(), nothing, "no topic yet");
    let mut topic = NewTopic::new("events", 1);
    topic.configs.insert("retention.ms".to_owned(), "1000".to_owned());
    let options = raw.iter().filter(|(name, _)| name.starts_with("kafka."));
    let options = options.map(|(name, value)| (name.clone(), value.clone())).collect();
    let client = Client::connect(ClientConfig::from_options(&options).unwrap()).await.unwrap();
    client.create_topics(&[topic]).await.unwrap();
    produce(address, "events", &proof_events(5));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    log.retain();
    produce(address, "events", &proof_events(1));

    let mut restarted = source();
    restarted.resume(&TopicIds::new());
    for query in [&mut query, &mut restarted] {
        let lost = query.available(&nothing).await.unwrap_err();
        assert_eq!(lost.code().id, "FB-2003", "{lost}");
    }
    let there = source().available(&nothing).await.unwrap();
    assert_eq!(there.new.values().collect::<Vec<_>>(), [&Position(5)]);
    let kafka = address.to_string();
    let rows = |more: &[&str], table: &str| {
        let sql = format!("SELECT * FROM {table}");
        let args = [&["--kafka", &kafka, "query", "--format", "json"], more, &[&sql]].concat();
        let output = succeed(&mut forebay(data.path(), &args));
        (text(&output.stdout).lines().count(), text(&output.stderr))
    };
    let (count, said) = rows(&[], "kafka.`events`");
    assert!(count == 1 && !said.contains("events"), "{count} {said}");
    // Of several topics those that are there are shown, and the others named.
    let file = copy_pipeline(data.path(), address, "\"events, evnts\"", 700);
    let (count, said) = rows(&["--pipeline", file.to_str().unwrap()], "events");
    assert!(count == 1 && said.contains("warning") && said.contains("`evnts`"), "{count} {said}");
    stop.cancel();
    serving.await.unwrap();
    log.close().await.unwrap();
}

/// Once is enough to be told to go on, also where the new topic has nothing to read yet.
#[test]
fn a_topic_made_anew_and_still_empty_is_accepted_once() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let run = || succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    run();
    delete_topic(log.address, "events");
    make_topic(log.address, "events", 1);
    let strict = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, strict.replace("subscribe:", "failOnDataLoss: false, subscribe:")).unwrap();
    run();
    std::fs::write(&file, strict).unwrap();
    run();
    log.produce("events", &proof_events(5));
    run();
    assert_eq!(table_rows(data.path(), &data.path().join("table")).len(), 15);
}

/// Records of an epoch's old topic and of its new one must not become rows of one epoch.
#[test]
fn a_topic_made_anew_in_the_middle_of_an_epoch_mixes_nothing() {
    const RECORDS: u64 = 30_000;
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let padding = format!(", \"padding\": \"{}\"}}", "x".repeat(500));
    let events: Vec<String> =
        proof_events(RECORDS).iter().map(|event| event.trim_end_matches('}').to_owned() + &padding).collect();
    log.produce("events", &events);
    let file = copy_pipeline(data.path(), log.address, "events", 1_000_000);
    let strict = std::fs::read_to_string(&file).unwrap();
    let strict = strict.replace("subscribe:", "kafka.max.partition.fetch.bytes: 65536, subscribe:");
    std::fs::write(&file, &strict).unwrap();
    let mut command = forebay(data.path(), &["run", file.to_str().unwrap()]);
    let mut process = Process::spawn(armed(&mut command, "epoch.read.first_batch", "stop"));
    let journal = data.path().join("checkpoints/copy/lake/journal");
    eventually("the first batch", Duration::from_secs(20), || process.is_stopped());
    assert_eq!((entries(&journal, "plan"), entries(&journal, "commit")), (1, 0));
    delete_topic(log.address, "events");
    make_topic(log.address, "events", 1);
    log.produce("events", &events);
    process.signal("CONT");
    process.wait_for("FB-2003", Duration::from_secs(40));
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
    assert_eq!(entries(&journal, "commit"), 0);
    std::fs::write(&file, strict.replace("subscribe:", "failOnDataLoss: false, subscribe:")).unwrap();
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let rows = table_rows(data.path(), &data.path().join("table"));
    assert_exactly_once(&rows, RECORDS, "the new topic from its beginning");
}

/// A run that ends where the topic ended at its start must end in a shorter one, too.
#[test]
fn a_bounded_run_over_a_topic_made_anew_with_less_reads_that_once() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    log.produce("events", &proof_events(40_000));
    let file = copy_pipeline(data.path(), log.address, "events", 200);
    let strict = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, strict.replace("subscribe:", "failOnDataLoss: false, subscribe:")).unwrap();
    let mut command = forebay(data.path(), &["run", file.to_str().unwrap()]);
    let mut process = Process::spawn(armed(&mut command, "epoch.commit.after:2", "stop"));
    eventually("two epochs", Duration::from_secs(20), || process.is_stopped());
    delete_topic(log.address, "events");
    make_topic(log.address, "events", 1);
    let new = |seq| format!("{{\"device\": \"new\", \"seq\": {seq}, \"hash\": \"\"}}");
    log.produce("events", &(0..150).map(new).collect::<Vec<_>>());
    process.signal("CONT");
    eventually("the end", Duration::from_secs(60), || process.child.try_wait().unwrap().is_some());
    let rows = table_rows(data.path(), &data.path().join("table"));
    let seqs = rows.iter().filter(|row| row["device"] == "new").map(|row| row["seq"].as_u64().unwrap());
    let mut seqs: Vec<u64> = seqs.collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (0..150).collect::<Vec<_>>());
    assert!(rows.len() < 40_150, "the old topic was read to its end");
}

/// How many entries of a kind a journal has.
fn entries(journal: &Path, kind: &str) -> usize {
    std::fs::read_to_string(journal).unwrap_or_default().matches(&format!("\"{kind}\"")).count()
}

#[test]
fn a_log_that_came_late_is_given_time_to_have_its_topic() {
    let (data, log_data, address) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), free_address());
    let file = copy_pipeline(data.path(), address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--embedded-log", "never"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    process.wait_for("FB-2001", Duration::from_secs(20));
    // More failures than looks that a missing topic is worth.
    std::thread::sleep(Duration::from_secs(7));
    let serve = ["log", "serve", "--listen", &address.to_string()];
    let mut log = Process::spawn(&mut forebay(log_data.path(), &serve));
    log.address("kafka");
    process.wait_for("FB-2006", Duration::from_secs(20));
    // It must not see a topic that is there and has no records yet: those that are there then are all that it reads.
    process.signal("STOP");
    produce(address, "events", &proof_events(10));
    process.signal("CONT");
    assert!(process.child.wait().unwrap().success());
    assert_eq!(table_rows(data.path(), &data.path().join("table")).len(), 10);
}

#[test]
fn a_run_that_ends_does_not_wait_for_ever_for_a_topic() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "evnts", 700);
    for trigger in ["availableNow", "once"] {
        let began = Instant::now();
        let args = ["run", file.to_str().unwrap(), "--trigger", trigger];
        let output = end_within(Duration::from_secs(30), &mut forebay(data.path(), &args));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in ["FB-2006", "`evnts`", "Did you mean `events`?", "forebay log topics"] {
            assert!(said.contains(part), "`{part}` is missing in\n{said}");
        }
        let took = began.elapsed();
        assert!(took > Duration::from_secs(5), "a topic that was just made may need a moment: {took:?}");
    }
    // That nothing matches a pattern is no mistake.
    let named = std::fs::read_to_string(&file).unwrap();
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("pattern.yaml");
    std::fs::write(&file, named.replace("subscribe: evnts", "subscribePattern: evn.*")).unwrap();
    let said = text(&succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()])).stderr);
    assert!(said.contains("0 read = 0 emitted"), "{said}");
}

#[test]
fn a_run_that_does_not_end_waits_for_a_topic_in_the_open_and_misses_nothing_of_it() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = copy_pipeline(data.path(), log.address, "later", 700);
    let named = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, named.replace("earliest", "latest")).unwrap();
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    let told = process.wait_for("FB-2006", Duration::from_secs(20));
    assert!(told.contains("WARN") && told.contains("`later`"), "{told}");
    eventually("the health says so", Duration::from_secs(10), || get(http, "/health").1.contains("FB-2006"));
    log.produce("later", &proof_events(10));
    eventually("its first records", Duration::from_secs(60), || {
        table_rows(data.path(), &data.path().join("table")).len() == 10
    });
    process.wait_for("works again", Duration::from_secs(5));
    let told = process.said.iter().filter(|line| line.contains("FB-2006")).count();
    assert!(told <= 4, "told {told} times");
    assert!(process.stop().0);
}
