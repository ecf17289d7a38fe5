//! What rows are expected to be: by the real binary, from the topic to tables, quarantine, ledger and metrics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::{assert_counts, run_until_killed};
use crate::quarantine::listed;
use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Cars, held to these expectations: one table with all rows, one with those that are as expected, one with the others.
fn cars(dir: &Path, log: &LogServer, expectations: &str, trigger: &str) -> PathBuf {
    let file = dir.join("cars.yaml");
    let query = |name: &str, sql: &str| {
        format!(
            "  {name}:\n    sql: {sql}\n    format: delta\n    options: {{ path: {name}, mergeSchema: true }}\n    trigger: {trigger}\n"
        )
    };
    let text = format!(
        "pipeline: fleet\nsources:\n  cars:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: cars, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: vin STRING, speed DOUBLE, lat DOUBLE, lon DOUBLE, fuel DOUBLE\n    expect:\n{expectations}queries:\n{}{}",
        log.address,
        query("valid", "SELECT vin, speed FROM cars WHERE size(_failed_expectations) = 0"),
        query(
            "invalid",
            "SELECT vin, speed, array_join(_failed_expectations, ',') AS failed FROM cars WHERE size(_failed_expectations) > 0"
        ),
    );
    std::fs::write(&file, text).unwrap();
    file
}

const ALL: &str = "      - { column: speed, min: 0, max: 300, onFail: flag }\n\
                   \x20     - { name: on_earth, lat: lat, lon: lon, onFail: flag }\n\
                   \x20     - { column: vin, required: true }\n\
                   \x20     - { column: vin, pattern: '^car-[0-9]+$', onFail: drop }\n\
                   \x20     - { name: fuel_when_moving, condition: fuel > 0 OR speed = 0 }\n";

fn records() -> Vec<String> {
    [
        r#"{"vin": "car-1", "speed": 50, "lat": 52, "lon": 13, "fuel": 9}"#,
        r#"{"vin": "car-2", "speed": 900, "lat": 52, "lon": 13, "fuel": 9}"#,
        r#"{"vin": "car-3", "speed": 901, "lat": 152, "lon": 13, "fuel": 9}"#,
        r#"{"speed": 902, "fuel": 9}"#,
        r#"{"vin": "truck", "speed": 10, "fuel": 9}"#,
        r#"{"vin": "car-4", "speed": 10, "fuel": 0}"#,
        r#"{"vin": "car-5", "speed": "fast"}"#,
        r#"{"vin": "car-6"}"#,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn column(rows: &[Value], name: &str) -> Vec<String> {
    let mut values: Vec<String> =
        rows.iter().map(|row| row[name].as_str().unwrap_or("-").to_owned()).collect();
    values.sort();
    values
}

#[test]
fn every_row_has_the_fate_that_its_source_says_and_the_ledger_balances() {
    let log = LogServer::start();
    log.produce("cars", &records());
    let data = tempfile::tempdir().unwrap();
    let file = cars(data.path(), &log, ALL, "availableNow");
    let path = file.to_str().unwrap();
    let run = succeed(&mut forebay(data.path(), &["run", path]));
    let rows = |table: &str| table_rows(data.path(), &data.path().join(table));
    assert_eq!(column(&rows("valid"), "vin"), ["car-1", "car-6"], "NULL is as expected");
    let invalid = rows("invalid");
    assert_eq!(column(&invalid, "vin"), ["car-2", "car-3"]);
    assert_eq!(column(&invalid, "failed"), ["speed_range", "speed_range,on_earth"]);
    // Which rule, which value, and the bytes as they came.
    let aside = listed(data.path());
    let told: Vec<_> =
        aside.iter().map(|it| (it["offset"].as_i64().unwrap(), it["code"].as_str().unwrap())).collect();
    assert_eq!(told, [(3, "expect.required"), (5, "expect.condition"), (6, "json.type")]);
    assert_eq!(aside[0]["path"], "$.vin");
    let why = aside[1]["why"].as_str().unwrap();
    assert!(why.contains("expectation `fuel_when_moving` failed: `fuel` is 0.0, `speed` is 10.0"), "{why}");
    let raw = succeed(&mut forebay(data.path(), &["quarantine", "show", "--raw", "cars/0/5"]));
    assert_eq!(text(&raw.stdout), records()[5]);
    for (query, emitted, filtered) in [("valid", 2, 2), ("invalid", 2, 2)] {
        let ledger = last_commit(data.path(), "fleet", query)["ledger"].clone();
        let counts = ["read", "emitted", "filtered", "dropped", "quarantined"]
            .map(|name| ledger[name].as_u64().unwrap());
        assert_eq!(counts, [8, emitted, filtered, 1, 3], "{query}: {ledger}");
    }
    assert!(text(&run.stderr).contains("(balances)"), "{}", text(&run.stderr));
    // Whoever reads the source sees the same rows.
    let sql = "SELECT vin, size(_failed_expectations) AS failed FROM cars ORDER BY vin";
    let asked = succeed(&mut forebay(data.path(), &["query", sql, "--pipeline", path, "--format", "json"]));
    let asked: Vec<Value> =
        text(&asked.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [("car-1", 0), ("car-2", 1), ("car-3", 2), ("car-6", 0)];
    assert_eq!(asked, expected.map(|(vin, failed)| json!({ "vin": vin, "failed": failed })));
    // What became of two of them.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let why = |key: &str| {
        let args = ["why", "row", "--pipeline", path, "--key", key, "--at", &now, "--within", "1 hour"];
        text(&succeed(&mut forebay(data.path(), &args)).stdout)
    };
    let told = why("car-4");
    assert!(
        told.contains("is not as expected: expect.condition") && told.contains("in the quarantine"),
        "{told}"
    );
    let told = why("truck");
    assert!(told.contains("expect.pattern") && told.contains("dropped: it fails an expectation"), "{told}");
}

#[test]
fn what_is_mended_or_no_longer_expected_is_replayed_once() {
    let log = LogServer::start();
    log.produce("cars", &records());
    let data = tempfile::tempdir().unwrap();
    let file = cars(data.path(), &log, ALL, "availableNow");
    let run = ["run", file.to_str().unwrap(), "--query", "valid"];
    succeed(&mut forebay(data.path(), &run));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("fuel > 0 OR", "fuel >= 0 OR")).unwrap();
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
    for _ in 0..2 {
        succeed(&mut forebay(data.path(), &run));
        let rows = table_rows(data.path(), &data.path().join("valid"));
        assert_eq!(column(&rows, "vin"), ["car-1", "car-4", "car-6"]);
        assert_eq!(listed(data.path()).len(), 2);
    }
}

#[test]
fn an_expectation_that_fails_stops_the_query_at_its_record_and_writes_nothing_of_the_epoch() {
    let log = LogServer::start();
    log.produce("cars", &records()[..1]);
    let data = tempfile::tempdir().unwrap();
    let strict = ALL.replace("max: 300, onFail: flag", "max: 300, onFail: fail");
    let file = cars(data.path(), &log, &strict, "availableNow");
    let run = ["run", file.to_str().unwrap(), "--query", "valid"];
    succeed(&mut forebay(data.path(), &run));
    log.produce("cars", &[records()[0].clone(), records()[1].clone()]);
    for _ in 0..2 {
        let output = forebay(data.path(), &run).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for told in ["FB-3004", "speed_range", "`speed` is 900.0", "from 0 to 300", "offset 2"] {
            assert!(said.contains(told), "{told}: {said}");
        }
        assert_eq!(table_rows(data.path(), &data.path().join("valid")).len(), 1);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("onFail: fail", "onFail: quarantine")).unwrap();
    succeed(&mut forebay(data.path(), &run));
    assert_eq!(table_rows(data.path(), &data.path().join("valid")).len(), 2);
    assert_eq!(listed(data.path())[0]["code"], "expect.range");
}

const EVENTS: u64 = 3_000;

#[test]
fn whatever_dies_when_every_row_has_its_fate_once() {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    let mut events = Vec::new();
    for event in proof_events(EVENTS) {
        let other = |name: &str| event.replacen('{', &format!("{{\"kind\": \"{name}\", "), 1);
        let at = events.len();
        events.push(event.clone());
        if at % 100 == 50 {
            events.extend([other("aside"), other("dropped")]);
        }
    }
    let more = events.len() as u64 - EVENTS;
    log.produce("events", &events);
    for (point, mode) in [
        ("epoch.read.after", "lose"),
        ("quarantine.write.after", "lose"),
        ("sink.delta.commit.before", "kill"),
        ("sink.delta.commit.after", "lose"),
        ("epoch.commit.before", "kill"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", 700);
        let text = std::fs::read_to_string(&file).unwrap();
        let schema = format!("schema: {PROOF_SCHEMA}");
        assert!(text.contains(&schema) && text.contains("SELECT * FROM"), "{text}");
        let expected = format!(
            "{schema}, kind STRING\n    expect:\n      - {{ name: dropped, condition: kind <> 'dropped', onFail: drop }}\n      - {{ name: aside, condition: kind <> 'aside' }}"
        );
        let text = text.replace(&schema, &expected).replace("SELECT * FROM", "SELECT device, seq, hash FROM");
        std::fs::write(&file, text).unwrap();
        assert!(run_until_killed(data.path(), &file, point, 2, mode, &[]), "{point} was not reached");
        succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        assert_exactly_once(&table_rows(data.path(), &data.path().join("table")), EVENTS, point);
        assert_counts(data.path(), point, [EVENTS + more, EVENTS, more / 2, 0]);
        assert_eq!(last_commit(data.path(), "copy", "lake")["ledger"]["dropped"], more / 2, "{point}");
        assert_eq!(listed(data.path()).len() as u64, more / 2, "{point}: each is set aside once");
    }
}

#[test]
fn metrics_and_rest_count_by_rule_and_a_reload_holds_the_next_epoch_to_the_new_ones() {
    let log = LogServer::start();
    make_topic(log.address, "cars", 1);
    let data = tempfile::tempdir().unwrap();
    let file = cars(data.path(), &log, ALL, "default");
    let mut process =
        Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--http", "127.0.0.1:0"]));
    let http = process.address("http");
    log.produce("cars", &records());
    let of = |query: &str| -> Value {
        serde_json::from_str(&get(http, &format!("/api/v1/queries/{query}")).1).unwrap_or_default()
    };
    let failed = |query: &str| -> Vec<(String, u64)> {
        let told = of(query)["expectations"].as_array().cloned().unwrap_or_default();
        told.iter()
            .map(|it| (it["name"].as_str().unwrap().to_owned(), it["failedRows"].as_u64().unwrap()))
            .collect()
    };
    let expected = [
        ("speed_range", 3),
        ("on_earth", 1),
        ("vin_required", 1),
        ("vin_pattern", 1),
        ("fuel_when_moving", 1),
    ];
    let expected = expected.map(|(name, rows)| (name.to_owned(), rows));
    eventually("the counts", PATIENCE, || failed("valid") == expected && failed("invalid") == expected);
    let metrics = get(http, "/metrics").1;
    for (rule, action, rows) in
        [("speed_range", "flag", 3), ("vin_pattern", "drop", 1), ("vin_required", "quarantine", 1)]
    {
        let line = format!(
            "forebay_expectation_failed_rows_total{{pipeline=\"fleet\",query=\"valid\",source=\"cars\",rule=\"{rule}\",action=\"{action}\"}} {rows}"
        );
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("max: 300", "max: 1000")).unwrap();
    let (status, done) = post(http, "/api/v1/reload", "");
    assert_eq!(status, 200, "{done}");
    assert!(done.contains("\"expect\""), "{done}");
    log.produce("cars", &records()[1..2]);
    eventually("the row that is as expected now", PATIENCE, || of("valid")["ledger"]["emitted"] == 3);
    assert_eq!(failed("valid")[0], ("speed_range".to_owned(), 3), "what failed before the reload has failed");
    assert!(process.stop().0);
    assert_eq!(
        column(&table_rows(data.path(), &data.path().join("valid")), "vin"),
        ["car-1", "car-2", "car-6"]
    );
}

#[test]
fn a_test_of_a_pipeline_sees_what_its_expectations_do() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let file = cars(data.path(), &log, ALL, "availableNow");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(
        "tests:\n  - name: cars\n    given:\n      cars:\n        - { vin: car-1, speed: 50 }\n        - { vin: car-2, speed: 900 }\n\
         \x20       - { vin: truck, speed: 1 }\n        - { speed: 1 }\n\
         \x20   expect:\n      queries:\n        valid: { rows: [ { vin: car-1 } ], quarantined: [ expect.required ], ledger: { dropped: 1 } }\n\
         \x20       invalid: { rows: [ { vin: car-2, failed: speed_range } ] }\n",
    );
    std::fs::write(&file, text).unwrap();
    succeed(&mut forebay(data.path(), &["test", file.to_str().unwrap()]));
}
