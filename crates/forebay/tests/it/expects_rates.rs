//! How fast values change: held against what each key said last, whatever dies when and however epochs are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::crash::run_until_killed;
use crate::quarantine::listed;
use crate::support::*;

const CARS: u32 = 30;
const EACH: u32 = 60;
const PARTITIONS: u32 = 3;
/// km/h in a second.
const MAX: f64 = 20.0;

/// A record and where it goes.
struct Sent {
    partition: u32,
    car: u32,
    second: u32,
    speed: f64,
}

/// Cars whose speed wanders, with jumps, now and then one that stays, and late records.
fn sent() -> Vec<Sent> {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let mut speeds = vec![50.0_f64; CARS as usize];
    let mut all = Vec::new();
    for step in 0..EACH {
        for car in 0..CARS {
            let speed = &mut speeds[car as usize];
            *speed = (*speed + f64::from(random.i32(-15..=15))).clamp(0.0, 200.0);
            let jump = if random.u32(0..12) == 0 { f64::from(random.i32(60..=150)) } else { 0.0 };
            let late = if random.u32(0..20) == 0 { random.u32(1..5) } else { 0 };
            let second = (10 + step).saturating_sub(late);
            all.push(Sent { partition: car % PARTITIONS, car, second, speed: *speed + jump });
            if random.u32(0..40) == 0 {
                *speed = (*speed + 90.0).min(200.0);
            }
        }
    }
    all
}

/// Partition and offset of each record, and whether it changes too fast: one record after the other, with a list of last values.
fn by_hand(sent: &[Sent]) -> BTreeMap<(u32, u64), bool> {
    let (mut offsets, mut last) = (BTreeMap::<u32, u64>::new(), BTreeMap::<u32, (f64, f64)>::new());
    let mut fates = BTreeMap::new();
    for Sent { partition, car, second, speed } in sent {
        let offset = offsets.entry(*partition).or_default();
        let at = f64::from(*second);
        let (before, from) = *last.entry(*car).or_insert((at, *speed));
        let is_fast = (speed - from).abs() > MAX * (at - before).abs();
        if !is_fast && at >= before {
            last.insert(*car, (at, *speed));
        }
        fates.insert((*partition, *offset), is_fast);
        *offset += 1;
    }
    fates
}

async fn produce_all(bootstrap: SocketAddr, sent: &[Sent]) {
    let raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_string())]);
    let client = Client::connect(ClientConfig::from_options(&raw).unwrap()).await.unwrap();
    let config = ProducerConfig::from_client(client.config()).unwrap();
    let producer = Producer::new(client, config);
    for Sent { partition, car, second, speed } in sent {
        let value = json!({ "car": format!("car-{car}"), "at": second, "speed": speed }).to_string();
        let record = NewRecord::value("cars", value.as_bytes(), SystemClock.now_ms());
        producer.send(NewRecord { partition: Some(*partition as i32), ..record }).await.unwrap();
    }
    producer.flush().await.unwrap();
}

fn file(dir: &Path, bootstrap: SocketAddr, per_epoch: u32) -> PathBuf {
    let query = |name: &str, sql: &str| {
        format!(
            "  {name}:\n    sql: {sql}\n    format: delta\n    options: {{ path: {name} }}\n    trigger: availableNow\n"
        )
    };
    let text = format!(
        "pipeline: fleet\nsources:\n  cars:\n    format: kafka\n\
         \x20   options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: cars, startingOffsets: earliest, maxOffsetsPerTrigger: {per_epoch} }}\n\
         \x20   value: json\n    schema: car STRING, at BIGINT, speed DOUBLE\n    expect:\n\
         \x20     - {{ column: speed, key: car, time: at, maxRatePerSecond: {MAX} }}\n  jumps: {{ invalidOf: cars }}\nqueries:\n{}{}",
        query("lake", "SELECT car, speed, _kafka.partition AS part, _kafka.offset AS at FROM cars"),
        query("refused", "SELECT code, why, _kafka.partition AS part, _kafka.offset AS at FROM jumps"),
    );
    let file = dir.join("cars.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

type Places = BTreeSet<(u32, u64)>;

fn places(rows: &[Value]) -> Places {
    let place = |row: &Value| (row["part"].as_u64().unwrap() as u32, row["at"].as_u64().unwrap());
    let places: Places = rows.iter().map(place).collect();
    assert_eq!(places.len(), rows.len(), "a record is there twice");
    places
}

#[test]
fn whatever_dies_when_and_however_epochs_are_cut_the_same_values_change_too_fast() {
    let log = LogServer::start();
    make_topic(log.address, "cars", PARTITIONS as i32);
    let sent = sent();
    tokio::runtime::Runtime::new().unwrap().block_on(produce_all(log.address, &sent));
    let fates = by_hand(&sent);
    let of = |fast: bool| -> Places {
        fates.iter().filter(|(_, is_fast)| **is_fast == fast).map(|(place, _)| *place).collect()
    };
    let (fast, good) = (of(true), of(false));
    assert!(fast.len() > 100 && good.len() > 1_000, "{} and {}", fast.len(), good.len());
    for (point, mode, per_epoch) in [
        ("epoch.read.after", "lose", 333),
        ("epoch.outcome.before", "lose", 500),
        ("epoch.outcome.after", "lose", 250),
        ("sink.delta.commit.after", "kill", 700),
        ("epoch.commit.before", "lose", 400),
        ("epoch.commit.after", "lose", 77),
    ] {
        let data = tempfile::tempdir().unwrap();
        let file = file(data.path(), log.address, per_epoch);
        assert!(run_until_killed(data.path(), &file, point, 3, mode, &[]), "{point} was not reached");
        // And once more, where the next run has not come far.
        run_until_killed(data.path(), &file, "epoch.outcome.after", 2, "lose", &[]);
        succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        let rows = |table: &str| table_rows(data.path(), &data.path().join(table));
        assert!(places(&rows("lake")) == good, "{point}: other rows went on");
        let refused = rows("refused");
        assert!(places(&refused) == fast, "{point}: other rows are invalid");
        assert!(refused.iter().all(|row| row["code"] == "expect.rate"), "{point}");
        let aside: Places = listed(data.path())
            .iter()
            .map(|it| (it["partition"].as_u64().unwrap() as u32, it["offset"].as_u64().unwrap()))
            .collect();
        assert!(aside == fast, "{point}: others were set aside");
    }
}

#[test]
fn a_value_that_was_set_aside_can_be_replayed_and_leaves_no_trace() {
    let log = LogServer::start();
    make_topic(log.address, "cars", 1);
    let one = |second: u32, speed: f64| Sent { partition: 0, car: 1, second, speed };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(produce_all(log.address, &[one(10, 50.0), one(11, 200.0)]));
    let data = tempfile::tempdir().unwrap();
    let file = file(data.path(), log.address, 1_000);
    let run = ["run", file.to_str().unwrap(), "--query", "lake"];
    succeed(&mut forebay(data.path(), &run));
    let aside = listed(data.path());
    let why = aside[0]["why"].as_str().unwrap();
    assert!(why.contains("`speed` is 200.0") && why.contains("`speed` was 50.0 1 s before"), "{why}");
    assert_eq!(
        (aside.len(), &aside[0]["code"], &aside[0]["path"]),
        (1, &json!("expect.rate"), &json!("$.speed"))
    );
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
    // Had it become the last value, this would be too far from it.
    runtime.block_on(produce_all(log.address, &[one(12, 60.0)]));
    succeed(&mut forebay(data.path(), &run));
    let rows = table_rows(data.path(), &data.path().join("lake"));
    assert_eq!((places(&rows), listed(data.path()).len()), ([(0, 0), (0, 1), (0, 2)].into(), 0));
}

#[test]
fn why_row_tells_the_value_before_and_that_the_one_before_the_first_is_not_known() {
    let log = LogServer::start();
    make_topic(log.address, "cars", 2);
    let one = |partition: u32, second: u32, speed: f64| Sent { partition, car: 1, second, speed };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Each alone, so that none comes in one batch with the one before; the other partition has last values of its own.
    for sent in [one(0, 10, 50.0), one(1, 10, 400.0), one(0, 11, 200.0), one(1, 11, 401.0)] {
        runtime.block_on(produce_all(log.address, &[sent]));
    }
    let data = tempfile::tempdir().unwrap();
    let file = file(data.path(), log.address, 1_000);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let place = ["--pipeline", file.to_str().unwrap(), "--source", "cars", "--column", "car"];
    let args = ["why", "row", "--key", "car-1", "--at", &now, "--within", "1 hour"];
    let output = succeed(forebay(data.path(), &args).args(place));
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(told.matches("is not as expected: expect.rate").count(), 1, "{told}");
    assert!(told.contains("`speed` is 200.0") && told.contains("`speed` was 50.0 1 s before"), "{told}");
    let note = "`speed_rate` is told against the values that were read here, from ";
    assert!(said.contains(note) && said.contains("of a key is not known"), "{said}");
}
