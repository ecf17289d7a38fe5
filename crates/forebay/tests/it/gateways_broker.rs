//! A gateway that is the client of a broker: every message that the broker has acknowledged to its publisher is in the table.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// A pipeline whose gateway `hall` fills the table `<data>/dht` from a broker.
fn pipeline(data: &Path, broker: SocketAddr, options: &str) -> PathBuf {
    let file = data.join("hall.yaml");
    let log = free_address();
    let text = format!(
        "pipeline: hall
gateways:
  hall:
    format: mqttClient
    options: {{ server: \"mqtt://{broker}\", clientId: forebay-hall, {options} }}
    routes:
      \"plant/{{station}}/dht11\": {{ topic: dht, key: \"{{station}}\", fields: {{ station: \"{{1}}\" }} }}
sources:
  dht:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: dht, startingOffsets: earliest }}
    value: json
    schema: station STRING, n BIGINT
queries:
  lake: {{ sql: \"SELECT station, n FROM dht\", format: delta, options: {{ path: dht }} }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// How often each number is in the table.
fn counted(data: &Path) -> BTreeMap<i64, u64> {
    let mut counted = BTreeMap::new();
    for row in table_rows(data, &data.join("dht")) {
        assert_eq!(row["station"], "s1");
        *counted.entry(row["n"].as_i64().unwrap()).or_default() += 1;
    }
    counted
}

fn lines(from: i64, to: i64) -> Vec<String> {
    (from..=to).map(|n| format!("{{\"n\": {n}}}")).collect()
}

fn gateway(http: SocketAddr) -> Value {
    let all: Value = serde_json::from_str(&get(http, "/api/v1/gateways").1).unwrap();
    all[0].clone()
}

fn is_up(http: SocketAddr) -> bool {
    gateway(http)["state"]["up"] == true
}

/// One life of a gateway with its broker: it is killed at `point`, the broker is restarted, and nothing is lost.
fn nothing_is_lost(broker: &Broker, version: &str, point: &str, mode: &str) {
    let case = format!("{version} {point} {mode}");
    let data = tempfile::tempdir().unwrap();
    let options = format!("subscribe: \"plant/#\", version: \"{version}\"");
    let file = pipeline(data.path(), broker.address, &options);
    let run = ["run", file.to_str().unwrap()];
    // Dies between the message and its acknowledgement.
    let mut first = Process::spawn(armed(&mut forebay(data.path(), &run), point, mode));
    let http = first.address("http");
    eventually("the broker is there", Duration::from_secs(20), || is_up(http));
    let publisher = broker.publish("plant/s1/dht11", 1, &lines(1, 600));
    assert!(died_there(first.child.wait().unwrap()), "{case}: the point was not reached");
    publisher.done();
    // What comes while nobody is there, the broker keeps; also over its own restart.
    broker.publish("plant/s1/dht11", 1, &lines(601, 700)).done();
    broker.stop();
    broker.again();
    let mut second = Process::spawn(&mut forebay(data.path(), &run));
    let http = second.address("http");
    eventually("all are there", Duration::from_secs(60), || counted(data.path()).len() == 700);
    // The broker goes and comes back under a run.
    broker.stop();
    eventually("it is told", Duration::from_secs(20), || {
        gateway(http)["state"]["problem"]["code"] == "FB-2012"
    });
    broker.again();
    eventually("the broker is back", Duration::from_secs(60), || is_up(http));
    broker.publish("plant/s1/dht11", 2, &lines(701, 800)).done();
    eventually("the last are there", Duration::from_secs(60), || counted(data.path()).len() == 800);
    let counted = counted(data.path());
    assert!(counted.keys().copied().eq(1..=800), "{case}");
    assert!(counted.range(601..).all(|(_, count)| *count == 1), "{case}: undisturbed, each is there once");
    assert_eq!(gateway(http)["counts"]["refused"], 0, "{case}");
    assert!(second.stop().0, "{case}");
}

#[test]
fn whatever_dies_no_message_of_a_mosquitto_is_lost() {
    for (version, point, mode) in [
        ("5.0", "log.append.written:6", "lose"),
        ("5.0", "log.append.synced:6", "kill"),
        ("3.1.1", "gateway.append.before:6", "kill"),
        ("3.1.1", "gateway.append.known:300", "lose"),
    ] {
        nothing_is_lost(&Broker::mosquitto(), version, point, mode);
    }
}

#[test]
fn whatever_dies_no_message_of_a_hivemq_is_lost() {
    nothing_is_lost(&Broker::hivemq(), "5.0", "log.append.synced:6", "lose");
    if soak() {
        nothing_is_lost(&Broker::hivemq(), "3.1.1", "log.append.written:6", "kill");
    }
}

/// The client by itself, on a file in place of the log: killed at random, sharing a subscription, and with every kind of wrong certificate.
#[test]
fn the_client_alone_loses_nothing_shares_its_work_and_trusts_nobody_else() {
    let stand = Path::new(FOREBAY).with_file_name("examples").join("mqtt_client_stand");
    assert!(
        stand.exists(),
        "{} is missing: build the examples too (cargo test --workspace does)",
        stand.display()
    );
    let port = free_address().port().to_string();
    let said = run_script("tests/clients/mqtt/broker.sh", &[stand.to_str().unwrap(), &port]);
    assert_eq!(said.lines().filter(|line| line.starts_with("OK ")).count(), 3, "{said}");
}

#[test]
fn a_file_whose_broker_cannot_be_meant_is_refused_by_validate() {
    let data = tempfile::tempdir().unwrap();
    let nobody = free_address();
    for (options, part) in [
        ("subscribe: \"plant/#/x\"", "`plant/#/x`"),
        ("subscribe: \"t\", tlsCa: ca.pem", "`server` is without TLS"),
        ("subscribe: \"t\", password: x", "without `user`"),
        ("subscribe: \"t\", keepAlive: 1 second", "`keepAlive`"),
        ("qos: 1", "`subscribe` is missing"),
        ("subscribe: \"t\", version: \"4\"", "`version`"),
    ] {
        let file = pipeline(data.path(), nobody, options);
        let output = forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{options}: {said}");
    }
    // A broker that is away keeps nothing from starting.
    let file = pipeline(data.path(), nobody, "subscribe: \"plant/#\"");
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    eventually("it is told", Duration::from_secs(20), || {
        gateway(http)["state"]["problem"]["code"] == "FB-2012"
    });
    let up = get(http, "/metrics").1;
    assert!(up.lines().any(|line| line.starts_with("forebay_gateway_up{") && line.ends_with(" 0")), "{up}");
    let (status, health) = get(http, "/health");
    assert!(status == 503 && health.contains("the gateway has no connection"), "{health}");
    assert!(process.stop().0);
}
