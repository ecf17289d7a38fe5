//! The Kafka sink on Apache Kafka: its contract, and the real binary that dies, stands still or loses its broker. What is
//! in the topic is what a reader of committed records sees, and each row is there once.

#[path = "../../../forebay-connectors/src/sinks/conformance.rs"]
pub mod conformance;
pub mod contract;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use self::contract::Place;
use crate::crash::run_until_killed;
use crate::kafka::ApacheKafka;
use crate::support::*;

const EVENTS: u64 = 3_000;

/// The broker looks often for transactions that took too long.
const WATCHFUL: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=300";

fn apache_kafka() -> (ApacheKafka, Place) {
    let kafka = ApacheKafka::start_with(|_| WATCHFUL.to_owned());
    let place = contract::place(&kafka.address.to_string(), &root());
    (kafka, place)
}

/// A pipeline that copies a topic of [`proof_events`] of `log` into the topic `out`; keyed by device.
fn copy_to_kafka(
    dir: &Path,
    log: &LogServer,
    place: &Place,
    out: &str,
    options: &str,
    per_epoch: u64,
) -> PathBuf {
    let file = dir.join("copy.yaml");
    let (from, to) = (log.address, &place.bootstrap);
    let text = format!(
        r#"pipeline: copy
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: "{from}", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {per_epoch} }}
    value: json
    schema: {PROOF_SCHEMA}
queries:
  out:
    sql: >-
      SELECT device AS key,
      concat('{{"device": "', device, '", "seq": ', CAST(seq AS STRING), ', "hash": "', hash, '"}}') AS value
      FROM events
    format: kafka
    options: {{ kafka.bootstrap.servers: "{to}", topic: {out}{options} }}
    trigger: availableNow
"#
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The rows that are to be seen in a topic, each with the key that belongs to it.
pub fn rows(place: &Place, topic: &str) -> Vec<Value> {
    let row = |record: Value| {
        let row: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        assert_eq!(row["device"], record["key"]);
        row
    };
    place.committed(topic).into_iter().map(row).collect()
}

fn run(data: &Path, file: &Path) -> Command {
    forebay(data, &["run", file.to_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_its_contract_on_apache_kafka() {
    let (_kafka, place) = apache_kafka();
    contract::suite(&place).await;
    contract::refused::rows_without_the_key_of_a_compacted_topic_leave_their_neighbours(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_its_contract_on_the_embedded_log() {
    let log = LogServer::start();
    contract::suite(&contract::place(&log.address.to_string(), &root())).await;
}

#[test]
fn every_kill_point_of_an_epoch_and_of_its_transaction_leaves_every_row_once() {
    let (kafka, place) = apache_kafka();
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &proof_events(EVENTS));
    let points = epoch_points(&["sink.kafka."]);
    assert_eq!(points.iter().filter(|point| point.starts_with("sink.kafka.")).count(), 7, "{points:?}");
    for (number, point) in points.into_iter().enumerate() {
        let modes: &[&str] = if soak() { &["kill", "lose"] } else { &["lose"] };
        for mode in modes {
            let (data, out) = (tempfile::tempdir().unwrap(), format!("out-{number}-{mode}"));
            make_topic(kafka.address, &out, 3);
            let file = copy_to_kafka(data.path(), &log, &place, &out, "", 700);
            let context = format!("{point} {mode}");
            // A process becomes the writer once.
            let hit = if point.ends_with("fence.after") || point.ends_with("claim.after") { 1 } else { 2 };
            let died = run_until_killed(data.path(), &file, point, hit, mode, &[]);
            assert!(died || point.starts_with("quarantine."), "{context}: the point was not reached");
            succeed(&mut run(data.path(), &file));
            assert_exactly_once(&rows(&place, &out), EVENTS, &context);
            assert_ledger(&last_commit(data.path(), "copy", "out")["ledger"], EVENTS);
        }
    }
}

#[test]
fn dying_again_and_again_while_it_becomes_the_writer_leaves_every_row_once() {
    let (_kafka, place) = apache_kafka();
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
    let data = tempfile::tempdir().unwrap();
    let file = copy_to_kafka(data.path(), &log, &place, "out", "", 700);
    for point in [
        "sink.kafka.commit.after",
        "sink.kafka.fence.after",
        "sink.kafka.claim.after",
        "sink.kafka.epoch.after",
        "sink.kafka.fence.after",
    ] {
        assert!(run_until_killed(data.path(), &file, point, 1, "lose", &[]), "{point}");
    }
    succeed(&mut run(data.path(), &file));
    assert_exactly_once(&rows(&place, "out"), EVENTS, "after five deaths");
}

#[test]
fn kill_minus_nine_at_random_leaves_every_row_once() {
    let (kafka, place) = apache_kafka();
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    log.produce("events", &proof_events(20_000));
    let seed: u64 = std::env::var("FOREBAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: FOREBAY_SEED={seed} kills at the same moments");
    let mut random = fastrand::Rng::with_seed(seed);
    make_topic(kafka.address, "out", 3);
    let data = tempfile::tempdir().unwrap();
    let file = copy_to_kafka(data.path(), &log, &place, "out", "", 100);
    let mut deaths = 0;
    for round in 0..if soak() { 200 } else { 20 } {
        let mut process = Process::spawn(&mut run(data.path(), &file));
        std::thread::sleep(Duration::from_millis(random.u64(50..600 + round * 20)));
        if process.child.try_wait().unwrap().is_some() {
            break;
        }
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        deaths += 1;
    }
    assert!(deaths > 3, "seed {seed}: only {deaths} runs were killed");
    succeed(&mut run(data.path(), &file));
    assert_exactly_once(&rows(&place, "out"), 20_000, &format!("seed {seed}, {deaths} deaths"));
}

#[test]
fn a_process_that_wakes_after_another_took_its_place_is_fenced() {
    let (_kafka, place) = apache_kafka();
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
    for point in [
        "sink.kafka.batch.after:2",
        "sink.kafka.rows.after:2",
        "sink.kafka.epoch.after:2",
        "epoch.commit.after:2",
    ] {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = format!("out-{}", point.replace([':', '.'], "-"));
        let file = copy_to_kafka(first.path(), &log, &place, &out, "", 700);
        let mut zombie = Process::spawn(armed(&mut run(first.path(), &file), point, "stop"));
        eventually("it stands still", Duration::from_secs(30), || zombie.is_stopped());
        // The other one has a copy of the checkpoint, as on another machine.
        let copied =
            Command::new("cp").arg("-a").arg(first.path().join(".")).arg(second.path()).status().unwrap();
        assert!(copied.success());
        succeed(&mut run(second.path(), &file));
        zombie.signal("CONT");
        let said = zombie.wait_for("FB-5010", Duration::from_secs(60));
        assert!(said.contains("another process writes as"), "{point}: {said}");
        assert!(!zombie.child.wait().unwrap().success(), "{point}");
        assert_exactly_once(&rows(&place, &out), EVENTS, point);
        assert_ledger(&last_commit(second.path(), "copy", "out")["ledger"], EVENTS);
    }
}

#[test]
fn a_process_that_stood_still_for_longer_than_its_transaction_writes_the_epoch_again() {
    let (_kafka, place) = apache_kafka();
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
    for (number, point) in ["sink.kafka.batch.after:2", "sink.kafka.rows.after:2", "sink.kafka.epoch.after:2"]
        .into_iter()
        .enumerate()
    {
        let (data, out) = (tempfile::tempdir().unwrap(), format!("out-{number}"));
        let options = ", kafka.transaction.timeout.ms: 2000";
        let file = copy_to_kafka(data.path(), &log, &place, &out, options, 700);
        let mut process = Process::spawn(armed(&mut run(data.path(), &file), point, "stop"));
        eventually("it stands still", Duration::from_secs(30), || process.is_stopped());
        // The broker looks three times a second for transactions that are open too long, where the machine lets it.
        std::thread::sleep(Duration::from_secs(10));
        process.signal("CONT");
        process.wait_for("FB-5009", Duration::from_secs(60));
        assert!(process.child.wait().unwrap().success(), "{point}: {}", process.said.join("\n"));
        assert_exactly_once(&rows(&place, &out), EVENTS, point);
        assert_ledger(&last_commit(data.path(), "copy", "out")["ledger"], EVENTS);
    }
}

#[test]
fn a_broker_that_dies_or_stands_still_costs_no_row() {
    let (kafka, place) = apache_kafka();
    let log = LogServer::start();
    let events = proof_events(20_000);
    log.produce("events", &events);
    make_topic(kafka.address, "out", 3);
    let data = tempfile::tempdir().unwrap();
    // A broker that stands still is away for longer than a request waits, and than a transaction may be open.
    let options = ", kafka.request.timeout.ms: 2000, kafka.default.api.timeout.ms: 5000, kafka.delivery.timeout.ms: 5000, kafka.transaction.timeout.ms: 3000";
    let file = copy_to_kafka(data.path(), &log, &place, "out", options, 10);
    let mut process = Process::spawn(&mut run(data.path(), &file));
    let http = process.address("http");
    // By the ledger: a reader of the topic would follow it to the end.
    let written = || {
        let ledger: Value = serde_json::from_str(&get(http, "/api/v1/ledger").1).unwrap();
        ledger.pointer("/queries/out/rowsOut").and_then(Value::as_u64).unwrap_or(0)
    };
    let more = |than: u64| {
        eventually("more rows", Duration::from_secs(60), || written() > than);
        written()
    };
    let before = more(0);
    kafka.signal("STOP");
    process.wait_for("trying again", Duration::from_secs(150));
    std::thread::sleep(Duration::from_secs(6));
    kafka.signal("CONT");
    let before = more(before);
    kafka.restart();
    more(before);
    assert!(process.child.wait().unwrap().success(), "{}", process.said.join("\n"));
    assert_exactly_once(&rows(&place, "out"), 20_000, "a broker that stood still, and died");
    assert_ledger(&last_commit(data.path(), "copy", "out")["ledger"], 20_000);
}

#[test]
fn a_topic_that_nobody_creates_is_waited_for() {
    let kafka = ApacheKafka::start_with(|_| "auto.create.topics.enable=false".to_owned());
    let place = contract::place(&kafka.address.to_string(), &root());
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let data = tempfile::tempdir().unwrap();
    let options = ", kafka.default.api.timeout.ms: 1000";
    let file = copy_to_kafka(data.path(), &log, &place, "out", options, 700);
    let mut process = Process::spawn(&mut run(data.path(), &file));
    let said = process.wait_for("trying again", Duration::from_secs(60));
    assert!(said.contains("FB-5001") && said.contains("topic `out`") && said.contains("create it"), "{said}");
    make_topic(kafka.address, "out", 1);
    assert!(process.child.wait().unwrap().success(), "{}", process.said.join("\n"));
    assert_exactly_once(&rows(&place, "out"), 100, "a topic that came late");
}

#[test]
fn a_query_whose_columns_are_no_record_is_refused_before_it_runs() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let place = contract::place("localhost:1", &root());
    let file = copy_to_kafka(data.path(), &log, &place, "out", "", 700);
    let good = std::fs::read_to_string(&file).unwrap();
    let validate = || forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
    assert!(validate().status.success(), "{}", text_of(&validate()));
    for (from, to, words) in [
        ("device AS key", "device AS kye", "column `kye` is no part of a Kafka record"),
        ("device AS key", "seq AS key", "column `key` is Int64"),
        ("') AS value", "') AS key2", "no part of a Kafka record"),
        (", topic: out", "", "option `topic` is missing"),
        (", topic: out", ", topic: a b", "no name of a topic"),
        (", topic: out", ", topic: out, kafka.group.id: g", "not for a sink"),
        (", topic: out", ", topic: out, kafka.transactional.id: t", "transactionalIdPrefix"),
        (", topic: out", ", topic: out, kafka.acks: 1", "kafka.acks"),
    ] {
        std::fs::write(&file, good.replace(from, to)).unwrap();
        let refused = validate();
        let said = text_of(&refused) + &text(&refused.stdout);
        assert!(!refused.status.success() && said.contains(words), "{to}: {said}");
    }
}

/// The same rows by Spark's own sink: keys, partitions, values, tombstones and headers.
#[test]
fn records_are_those_of_sparks_sink() {
    let (kafka, place) = apache_kafka();
    let bootstrap = kafka.address.to_string();
    for topic in ["in", "forebay", "spark"] {
        make_topic(kafka.address, topic, 3);
    }
    let lines: Vec<String> = (0..200)
        .map(|n| if n % 9 == 0 { format!("\t{n}") } else { format!("k{}\tv{n} é", n % 17) })
        .collect();
    produce_with(kafka.address, "in", &lines, &["--key-separator", "\t", "--header", "unit=C"]);
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("copy.yaml");
    let sql = "SELECT CASE WHEN CAST(key AS STRING) <> '' THEN CAST(key AS STRING) END AS key, \
               CASE WHEN `offset` % 5 > 0 THEN concat(CAST(value AS STRING), '!') END AS value, \
               CASE WHEN CAST(key AS STRING) <> '' THEN NULL ELSE CAST(`offset` % 3 AS INT) END AS `partition`, headers FROM events";
    let pipeline = format!(
        "pipeline: copy\nsources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: in, startingOffsets: earliest, includeHeaders: true }}\n\
         queries:\n  out:\n    sql: \"{sql}\"\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", topic: forebay }}\n    trigger: availableNow\n"
    );
    std::fs::write(&file, pipeline).unwrap();
    succeed(&mut run(data.path(), &file));
    run_script(
        "scripts/services/spark-python.sh",
        &[
            "tests/oracle/kafka_sink.py",
            "--bootstrap",
            &bootstrap,
            "--from",
            "in",
            "--to",
            "spark",
            "--sql",
            sql,
        ],
    );
    let seen = |topic: &str| {
        let mut records: Vec<String> = place
            .committed(topic)
            .iter()
            .map(|record| {
                format!("{} {} {} {}", record["partition"], record["key"], record["value"], record["headers"])
            })
            .collect();
        records.sort();
        records
    };
    let spark = seen("spark");
    assert_eq!(spark.len(), 200);
    assert_eq!(seen("forebay"), spark);
}
