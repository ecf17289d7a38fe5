//! Whatever dies when, a query with state gives the rows of an undisturbed run: the crash table, for what is remembered.
//!
//! As in `crash.rs`, each kill point is hit with the page cache intact and with everything taken back that was not
//! fsynced. Epochs are planned by number of records, so an undisturbed run has the same epochs, the same late rows and
//! the same windows in each of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::*;

const EVENTS: u64 = 4_000;
const PER_EPOCH: u64 = 600;

/// Of the topic that is joined with them.
const CHECKS: u64 = 2_000;

/// Kill points of one epoch of a query with state, in their order.
const POINTS: &[&str] = &[
    "epoch.plan.before",
    "epoch.plan.after",
    "epoch.read.first_batch",
    "late.sync.before",
    "sink.delta.file.half",
    "epoch.read.after",
    "epoch.state.before",
    "state.changes.before",
    "state.changes.written",
    "state.changes.after",
    "epoch.state.after",
    "epoch.outcome.before",
    "epoch.outcome.after",
    "sink.delta.files.after",
    "sink.delta.commit.before",
    "sink.delta.commit.after",
    "epoch.write.after",
    "epoch.commit.before",
    "epoch.commit.after",
];

/// Kill points of reading the state back.
const RESTORE: &[&str] = &["state.restore.before", "state.restore.read", "state.restore.after"];

/// Readings of 20 devices, two a second; every 17th comes late by more than two epochs, which no window waits for.
fn events() -> Vec<String> {
    (0..EVENTS)
        .map(|seq| {
            let late = if seq % 17 == 3 && seq > 1_800 { 800_000 } else { 0 };
            let at = 1_700_000_000_000 + seq * 500 - late;
            format!(r#"{{"device": "d{}", "seq": {seq}, "at": {at}}}"#, seq * 7 % 20)
        })
        .collect()
}

/// Every other reading is checked, three seconds after it came. Some checks come late, as some readings do.
fn checks() -> Vec<String> {
    (0..CHECKS)
        .map(|number| {
            let seq = number * 2;
            let late = if number % 19 == 3 && number > 900 { 800_000 } else { 0 };
            let at = 1_700_000_003_000 + seq * 500 - late;
            format!(r#"{{"device": "d{}", "code": {number}, "at": {at}}}"#, seq * 7 % 20)
        })
        .collect()
}

/// One query for each kind of operator, and a join that follows the faster of its sources.
fn pipeline(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let file = dir.join("state.yaml");
    let text = format!(
        "pipeline: state
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {PER_EPOCH} }}
    value: json
    schema: device STRING, seq BIGINT, at BIGINT
    watermark: {{ column: timestamp_millis(at), delay: 20 seconds }}
  checks:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: checks, startingOffsets: earliest, maxOffsetsPerTrigger: 250 }}
    value: json
    schema: device STRING, code BIGINT, at BIGINT
    watermark: {{ column: timestamp_millis(at), delay: 20 seconds }}
views:
  readings: SELECT device, seq, timestamp_millis(at) AS ts FROM events
  checked: SELECT device AS unit, code, timestamp_millis(at) AS checked_at FROM checks
queries:
  sliding:
    sql: >
      SELECT window.start AS start, device, count(*) AS n, sum(seq) AS total, avg(seq) AS mean, collect_list(seq) AS all
      FROM events GROUP BY window(timestamp_millis(at), '30 seconds', '10 seconds'), device
    format: delta
    options: {{ path: sliding }}
    trigger: availableNow
  sessions:
    sql: >
      SELECT session_window.start AS start, session_window.end AS until, device, count(*) AS n, max(seq) AS newest
      FROM events GROUP BY session_window(timestamp_millis(at), '12 seconds'), device
    format: delta
    options: {{ path: sessions }}
    trigger: availableNow
  once:
    sql: SELECT device, seq % 100 AS part, timestamp_millis(at) AS at FROM events
    deduplicate: {{ keys: [device, part], within: 1 minute }}
    format: delta
    options: {{ path: once }}
    trigger: availableNow
  joined:
    sql: >
      SELECT device, seq, code FROM readings LEFT JOIN checked
      ON device = unit AND checked_at >= ts AND checked_at <= ts + INTERVAL 5 SECONDS
    format: delta
    options: {{ path: joined }}
    trigger: availableNow
  fastest:
    sql: >
      SELECT device, seq, code FROM readings JOIN checked
      ON device = unit AND checked_at >= ts AND checked_at <= ts + INTERVAL 5 SECONDS
    multipleWatermarkPolicy: max
    format: delta
    options: {{ path: fastest }}
    trigger: availableNow
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

const QUERIES: [&str; 5] = ["sliding", "sessions", "once", "joined", "fastest"];

/// What a run came to: the rows of each table, sorted, and the ledger of each query.
fn outcome(data: &Path) -> BTreeMap<&'static str, (Vec<String>, Value)> {
    let of = |query: &'static str| {
        let rows = table_rows(data, &data.join(query));
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        (query, (rows, last_commit(data, "state", query)["ledger"].clone()))
    };
    QUERIES.into_iter().map(of).collect()
}

fn finish(data: &Path, file: &Path, query: Option<&str>) {
    let mut command = forebay(data, &["run", file.to_str().unwrap()]);
    command.args(query.iter().flat_map(|query| ["--query", query]));
    succeed(&mut command);
}

/// Runs one query with a kill point armed; true if it died there.
fn killed(data: &Path, file: &Path, query: &str, at: &str, mode: &str) -> bool {
    let mut command = forebay(data, &["run", file.to_str().unwrap(), "--query", query]);
    let output = armed(&mut command, at, mode).output().unwrap();
    let died = died_there(output.status);
    assert!(died || output.status.success(), "{at}: {}", text(&output.stderr));
    died
}

#[test]
fn every_kill_point_gives_the_rows_of_an_undisturbed_run() {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &events());
    make_topic(log.address, "checks", 2);
    log.produce("checks", &checks());
    let calm = tempfile::tempdir().unwrap();
    finish(calm.path(), &pipeline(calm.path(), log.address), None);
    let expected = outcome(calm.path());
    for query in QUERIES {
        let (rows, ledger) = &expected[query];
        assert!(rows.len() > 100, "{query} gave {} rows", rows.len());
        let read = if ["joined", "fastest"].contains(&query) { EVENTS + CHECKS } else { EVENTS };
        assert_eq!(ledger["read"], read, "{query}: {ledger}");
        assert!(ledger["late"].as_u64().unwrap() > 20, "{query} had no late rows: {ledger}");
    }
    let late = |query: &str| expected[query].1["late"].as_u64();
    assert!(late("fastest") > late("joined"), "the readings are ahead of the checks");
    let check = |data: &Path, query: &'static str, context: &str| {
        finish(data, &data.join("state.yaml"), Some(query));
        let rows = table_rows(data, &data.join(query));
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        assert_eq!(rows, expected[query].0, "{context}: rows");
        assert_eq!(last_commit(data, "state", query)["ledger"], expected[query].1, "{context}: ledger");
    };
    let hits: &[u32] = if soak() { &[1, 2, 3, 4] } else { &[2] };
    for (number, point) in POINTS.iter().enumerate() {
        for mode in ["kill", "lose"] {
            for hit in hits {
                for (index, query) in QUERIES.into_iter().enumerate() {
                    // The short form takes another query at each point.
                    if !soak() && index != number % QUERIES.len() {
                        continue;
                    }
                    let data = tempfile::tempdir().unwrap();
                    let file = pipeline(data.path(), log.address);
                    let context = format!("{query} {point}:{hit} {mode}");
                    let died = killed(data.path(), &file, query, &format!("{point}:{hit}"), mode);
                    assert!(died, "{context}: the point was not reached");
                    check(data.path(), query, &context);
                }
            }
        }
    }
    for query in QUERIES {
        let data = tempfile::tempdir().unwrap();
        let file = pipeline(data.path(), log.address);
        assert!(killed(data.path(), &file, query, "epoch.write.after:3", "lose"));
        for point in RESTORE {
            assert!(killed(data.path(), &file, query, &format!("{point}:1"), "lose"), "{query}: {point}");
        }
        check(data.path(), query, &format!("{query}, three deaths in reading its state"));
    }
}
