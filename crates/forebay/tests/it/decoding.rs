//! Every kind of bad input over Kafka: what each case of the table leaves in the table, the quarantine and the ledger.
//!
//! The cases and Spark's answers are those of `tests/data/json_cases.json`; the decoder's own suite compares every
//! value of every case. Here each schema of the table is a topic, and one run reads all of them in one mode.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::support::*;

/// Cases of one schema: the records of one topic.
struct Group {
    topic: String,
    schema: String,
    options: BTreeMap<String, String>,
    cases: Vec<Case>,
}

struct Case {
    id: String,
    /// `None` is a tombstone.
    payload: Option<Vec<u8>>,
    quarantine: Value,
    spark: Value,
}

impl Case {
    /// True if the case gives a row in this mode; `None` where the mode stops instead.
    fn gives_row(&self, mode: &str) -> Option<bool> {
        if mode == "quarantine" {
            return Some(self.quarantine["fate"] == "row");
        }
        // Spark's reader takes a top-level array for several rows; one record is one row here, so it is dropped.
        let payload = self.payload.as_deref().unwrap_or_default();
        if mode == "DROPMALFORMED" && payload.trim_ascii_start().first() == Some(&b'[') {
            return Some(false);
        }
        match self.spark[mode]["fate"].as_str()? {
            "row" | "null" => Some(true),
            "dropped" => Some(false),
            _ => None,
        }
    }
}

/// The table's cases by schema and options; without those that are made by a rule, which are mostly larger than a
/// message may be.
fn groups() -> Vec<Group> {
    let text = std::fs::read_to_string(root().join("crates/forebay/tests/data/json_cases.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut groups: Vec<Group> = Vec::new();
    for case in all.iter().filter(|case| case.get("payload_generator").is_none()) {
        let schema = case["schema"].as_str().unwrap();
        let pairs = case["options"].as_object().into_iter().flatten();
        let options: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let known = groups.iter().position(|group| group.schema == schema && group.options == options);
        let index = known.unwrap_or_else(|| {
            let topic = format!("cases-{}", groups.len());
            groups.push(Group { topic, schema: schema.to_owned(), options, cases: Vec::new() });
            groups.len() - 1
        });
        groups[index].cases.push(Case {
            id: case["id"].as_str().unwrap().to_owned(),
            payload: case["payload_base64"].as_str().map(|text| STANDARD.decode(text).unwrap()),
            quarantine: case["forebay"]["quarantine"].clone(),
            spark: case["spark"].clone(),
        });
    }
    groups
}

async fn produce_all(bootstrap: SocketAddr, groups: &[Group]) {
    let raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_string())]);
    let client = Client::connect(ClientConfig::from_options(&raw).unwrap()).await.unwrap();
    let config = ProducerConfig::from_client(client.config()).unwrap();
    let producer = Producer::new(client, config);
    for group in groups {
        for case in &group.cases {
            let record = NewRecord::value(&group.topic, b"", SystemClock.now_ms());
            let record = NewRecord { partition: Some(0), value: case.payload.as_deref(), ..record };
            producer.send(record).await.unwrap();
        }
    }
    producer.flush().await.unwrap();
}

/// Runs one query for each group in this mode; tables are `<data>/<mode>/<topic>`.
fn run(data: &Path, bootstrap: SocketAddr, groups: &[Group], mode: &str) -> Output {
    let (mut sources, mut queries) = (String::new(), String::new());
    for (number, group) in groups.iter().enumerate() {
        let topic = &group.topic;
        let corrupt = if mode == "PERMISSIVE" { ", _corrupt_record STRING" } else { "" };
        let options: String = group
            .options
            .iter()
            .map(|(name, value)| format!(", {name}: {}", Value::from(&**value)))
            .collect();
        writeln!(
            sources,
            "  s{number}:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: {topic}, \
             startingOffsets: earliest{options} }}\n    value: json\n    mode: {mode}\n    schema: {}",
            Value::from(format!("{}{corrupt}", group.schema)),
        )
        .unwrap();
        // A Delta table has no column with a blank in its name.
        let columns = if group.schema.contains("`my key`") { "`my key` AS my_key, s" } else { "*" };
        writeln!(
            queries,
            "  q{number}:\n    sql: SELECT _kafka.offset AS forebay_offset, {columns} FROM s{number}\n    format: delta\n    \
             options: {{ path: tables/{mode}/{topic} }}\n    trigger: availableNow",
        )
        .unwrap();
    }
    let file = data.join(format!("{mode}.yaml"));
    std::fs::write(&file, format!("pipeline: {mode}\nsources:\n{sources}queries:\n{queries}")).unwrap();
    forebay(data, &["run", file.to_str().unwrap()]).output().unwrap()
}

/// Rows by offset.
fn rows(data: &Path, mode: &str, topic: &str) -> BTreeMap<usize, Value> {
    let rows = table_rows(data, &data.join("tables").join(mode).join(topic));
    let count = rows.len();
    let by_offset: BTreeMap<usize, Value> =
        rows.into_iter().map(|row| (row["forebay_offset"].as_u64().unwrap() as usize, row)).collect();
    assert_eq!(by_offset.len(), count, "{mode} {topic}: an offset came twice");
    by_offset
}

/// Types whose values `forebay query` writes as the case file does.
const COMPARABLE: [&str; 7] = ["STRING", "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "DOUBLE"];

/// How many values of the row were compared.
fn compare_values(group: &Group, case: &Case, row: &Value) -> usize {
    let expected = case.quarantine["row"].as_object().unwrap();
    let comparable = |name: &&String| {
        let types = COMPARABLE.iter();
        group.schema.split(", ").any(|field| types.clone().any(|ty| field == format!("{name} {ty}")))
    };
    let names: Vec<&String> = expected.keys().filter(comparable).collect();
    for name in &names {
        let (expected, found) = (&expected[*name], &row[*name]);
        let equal = match (expected.as_f64(), found.as_f64()) {
            (Some(expected), Some(found)) => expected.to_bits().abs_diff(found.to_bits()) <= 1,
            _ => expected == found,
        };
        assert!(equal || expected.get("$string").is_some(), "{}: {name}: {expected}, found {found}", case.id);
    }
    names.len()
}

#[test]
fn every_case_meets_its_fate_over_kafka_in_every_mode() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let groups = groups();
    tokio::runtime::Runtime::new().unwrap().block_on(produce_all(log.address, &groups));
    let (mut compared, mut values) = (0, 0);
    for mode in ["quarantine", "PERMISSIVE", "DROPMALFORMED"] {
        let output = run(data, log.address, &groups, mode);
        assert!(output.status.success(), "{mode}: {}", text(&output.stderr));
        for (number, group) in groups.iter().enumerate() {
            let found = rows(data, mode, &group.topic);
            for (offset, case) in group.cases.iter().enumerate() {
                let expected =
                    case.gives_row(mode).unwrap_or_else(|| panic!("{}: no answer in {mode}", case.id));
                assert_eq!(found.contains_key(&offset), expected, "{} in {mode}", case.id);
                compared += 1;
                if let Some(row) = found.get(&offset).filter(|_| mode == "quarantine") {
                    values += compare_values(group, case, row);
                }
            }
            let ledger = last_commit(data, mode, &format!("q{number}"))["ledger"].clone();
            let (all, emitted) = (group.cases.len() as u64, found.len() as u64);
            let rest = if mode == "quarantine" { "quarantined" } else { "dropped" };
            let counts = ["read", "emitted", rest].map(|fate| ledger[fate].as_u64().unwrap());
            assert_eq!(counts, [all, emitted, all - emitted], "{mode} {}: {ledger}", group.schema);
        }
    }
    compared += quarantined_are_kept(data, &groups);
    assert!(compared > 1_700 && values > 240, "compared only {compared} fates, {values} values");
}

/// Every case that is refused is in the quarantine with its bytes, code and path, and no other.
fn quarantined_are_kept(data: &Path, groups: &[Group]) -> usize {
    let listed = crate::quarantine::listed(data);
    let mut entries: BTreeMap<(String, usize), &Value> = BTreeMap::new();
    for entry in &listed {
        let offset = entry["offset"].as_u64().unwrap() as usize;
        let before = entries.insert((entry["topic"].as_str().unwrap().to_owned(), offset), entry);
        assert!(before.is_none(), "twice: {entry}");
    }
    let mut expected = BTreeSet::new();
    for group in groups {
        for (offset, case) in group.cases.iter().enumerate() {
            if case.gives_row("quarantine") == Some(true) {
                continue;
            }
            let place = (group.topic.clone(), offset);
            let entry = entries.get(&place).unwrap_or_else(|| panic!("{} is not there", case.id));
            assert_eq!(entry["code"], case.quarantine["code"], "{}", case.id);
            if let Some(path) = case.quarantine.get("path") {
                assert_eq!(entry["path"], *path, "{}", case.id);
            }
            let raw = entry["raw"].as_str().map(|raw| STANDARD.decode(raw).unwrap());
            assert_eq!(raw, case.payload, "{}", case.id);
            expected.insert(place);
        }
    }
    assert_eq!(entries.len(), expected.len());
    expected.len()
}

#[test]
fn failfast_stops_where_spark_stops_and_writes_nothing_of_the_epoch() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let groups = groups();
    tokio::runtime::Runtime::new().unwrap().block_on(produce_all(log.address, &groups));
    let output = run(data, log.address, &groups, "FAILFAST");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("FB-3001"), "{said}");
    let (mut stopped, mut passed) = (0, 0);
    for group in &groups {
        let found = rows(data, "FAILFAST", &group.topic).len();
        if group.cases.iter().all(|case| case.gives_row("FAILFAST") == Some(true)) {
            assert_eq!(found, group.cases.len(), "{}", group.schema);
            passed += 1;
        } else {
            assert_eq!(found, 0, "{}: an epoch that failed left rows", group.schema);
            let topic = format!("{}-", group.topic);
            let is_named = said.lines().any(|line| line.contains(&topic) && line.contains(", offset "));
            assert!(is_named, "no record of {} is named:\n{said}", group.topic);
            stopped += 1;
        }
    }
    assert!(stopped > 20 && passed > 5, "{stopped} stopped, {passed} passed");
}
