//! The topic that a query names is there, and is still the one it was, or somebody is told: through the whole binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use forebay_connectors::kafka::{Client, ClientConfig};

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
