//! Whatever dies when, a query with state gives the rows of an undisturbed run: the crash table, for what is remembered.
//!
//! As in `crash.rs`, each kill point is hit with the page cache intact and with everything taken back that was not
//! fsynced. Epochs are planned by number of records, so an undisturbed run has the same epochs, the same late rows and
//! the same windows in each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::*;

const EVENTS: u64 = 4_000;
const PER_EPOCH: u64 = 600;

/// Of the topic that is joined with them.
const CHECKS: u64 = 2_000;

/// The hit that takes an epoch with late rows of its own, which is the fourth: only there is it seen whether they are durable
/// in time.
const HIT: u32 = 4;

/// Kill points of one epoch of a query with state that writes Delta; those of its changes come last.
fn points() -> Vec<&'static str> {
    let points = kill_points(&[
        "epoch.",
        "quarantine.write.",
        "late.",
        "sink.delta.file",
        "sink.delta.commit.",
        "state.changes.before",
        "state.changes.written",
        "state.changes.after",
    ]);
    assert_eq!(points.len(), 20, "{points:?}");
    points
}

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

/// What a run of one query came to.
struct Outcome {
    /// The rows of its table, sorted.
    rows: Vec<String>,
    /// Those of `late.QUERY`, sorted, each with what is told of it.
    late: Vec<String>,
    /// The epochs that these are of.
    late_epochs: BTreeSet<u64>,
    ledger: Value,
}

fn outcome(data: &Path, query: &str) -> Outcome {
    let sorted = |rows: &[Value]| {
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    let late = query_of(data, &data.join("state.yaml"), &format!("SELECT * FROM late.{query}"));
    Outcome {
        rows: sorted(&table_rows(data, &data.join(query))),
        late_epochs: late.iter().map(|row| row["_late"]["epoch"].as_u64().unwrap()).collect(),
        late: sorted(&late),
        ledger: last_commit(data, "state", query)["ledger"].clone(),
    }
}

/// The same for each query of a pipeline that nothing disturbs.
fn undisturbed(log: &LogServer) -> BTreeMap<&'static str, Outcome> {
    let calm = tempfile::tempdir().unwrap();
    finish(calm.path(), &pipeline(calm.path(), log.address), None);
    QUERIES.into_iter().map(|query| (query, outcome(calm.path(), query))).collect()
}

/// A log with the topics.
fn filled() -> LogServer {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &events());
    make_topic(log.address, "checks", 2);
    log.produce("checks", &checks());
    log
}

fn finish(data: &Path, file: &Path, query: Option<&str>) {
    let mut command = forebay(data, &["run", file.to_str().unwrap()]);
    command.args(query.iter().flat_map(|query| ["--query", query]));
    succeed(&mut command);
}

/// Runs one query with a kill point armed; true if it died there.
fn killed(data: &Path, file: &Path, query: &str, at: &str, mode: &str, more: &[(&str, &str)]) -> bool {
    let mut command = forebay(data, &["run", file.to_str().unwrap(), "--query", query]);
    let output = armed(&mut command, at, mode).envs(more.iter().copied()).output().unwrap();
    let died = died_there(output.status);
    assert!(died || output.status.success(), "{at}: {}", text(&output.stderr));
    died
}

#[test]
fn every_kill_point_gives_the_rows_of_an_undisturbed_run() {
    let log = filled();
    let expected = undisturbed(&log);
    for query in QUERIES {
        let Outcome { rows, late, late_epochs, ledger } = &expected[query];
        assert!(rows.len() > 100, "{query} gave {} rows", rows.len());
        let read = if ["joined", "fastest"].contains(&query) { EVENTS + CHECKS } else { EVENTS };
        assert_eq!(ledger["read"], read, "{query}: {ledger}");
        assert!(late.len() > 20, "{query} had no late rows: {ledger}");
        assert_eq!(ledger["late"], late.len(), "{query}: what was counted is in the table");
        assert!(late_epochs.contains(&u64::from(HIT - 1)), "{query}: late rows in {late_epochs:?} alone");
    }
    let late = |query: &str| expected[query].late.len();
    assert!(late("fastest") > late("joined"), "the readings are ahead of the checks");
    let check = |data: &Path, query: &'static str, context: &str| {
        finish(data, &data.join("state.yaml"), Some(query));
        let Outcome { rows, late, ledger, .. } = outcome(data, query);
        assert_eq!(rows, expected[query].rows, "{context}: rows");
        assert_eq!(late, expected[query].late, "{context}: late rows");
        assert_eq!(ledger, expected[query].ledger, "{context}: ledger");
    };
    let hits: &[u32] = if soak() { &[1, 2, 3, HIT] } else { &[HIT] };
    for (number, point) in points().into_iter().enumerate() {
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
                    let died = killed(data.path(), &file, query, &format!("{point}:{hit}"), mode, &[]);
                    assert!(died, "{context}: the point was not reached");
                    check(data.path(), query, &context);
                }
            }
        }
    }
    for query in QUERIES {
        let data = tempfile::tempdir().unwrap();
        let file = pipeline(data.path(), log.address);
        assert!(killed(data.path(), &file, query, &format!("epoch.write.after:{HIT}"), "lose", &[]));
        for point in RESTORE {
            assert!(
                killed(data.path(), &file, query, &format!("{point}:1"), "lose", &[]),
                "{query}: {point}"
            );
        }
        check(data.path(), query, &format!("{query}, three deaths in reading its state"));
    }
}

/// The proof that the test above could fail: without one of the two fsyncs of the late rows, those of the epochs that are
/// committed are gone, and nothing else is.
#[test]
fn a_missing_fsync_of_late_rows_would_be_noticed() {
    let log = filled();
    let expected = undisturbed(&log);
    let expected = &expected["sliding"];
    for (skipped, is_noticed) in
        [("nothing of this name", false), (".arrow$", true), ("late/state/sliding$", true)]
    {
        let data = tempfile::tempdir().unwrap();
        let file = pipeline(data.path(), log.address);
        let environment = [("FOREBAY_SKIP_SYNC", skipped)];
        let at = format!("epoch.commit.after:{HIT}");
        assert!(killed(data.path(), &file, "sliding", &at, "lose", &environment), "{skipped}: not reached");
        finish(data.path(), &file, Some("sliding"));
        let found = outcome(data.path(), "sliding");
        assert_eq!((&found.rows, &found.ledger), (&expected.rows, &expected.ledger), "{skipped}");
        let lost: Vec<u64> = expected.late_epochs.difference(&found.late_epochs).copied().collect();
        let noticed = if is_noticed { vec![u64::from(HIT - 1)] } else { Vec::new() };
        assert_eq!(lost, noticed, "without the fsync of `{skipped}`");
        assert_eq!(found.late == expected.late, !is_noticed, "without the fsync of `{skipped}`");
    }
}
