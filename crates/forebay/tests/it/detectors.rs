//! Detectors in a run: whatever dies when, the rows that they have judged are those of an undisturbed run; and what the command line
//! says of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::*;

const EVENTS: u64 = 3_000;
const PER_EPOCH: u64 = 450;

/// The hit that takes an epoch in the middle, which has state before it and behind it.
const HIT: u32 = 4;

/// Readings of 7 devices; now and then one is far off, and now and then a device says nothing of its heat.
fn events() -> Vec<String> {
    (0..EVENTS)
        .map(|seq| {
            let at = 1_700_000_000_000 + seq * 500;
            let usual = 20 + (seq * 2_654_435_761 % 97) / 20;
            let heat = match seq % 211 {
                150 => "500".to_owned(),
                33 => "null".to_owned(),
                _ => usual.to_string(),
            };
            format!(r#"{{"device": "d{}", "seq": {seq}, "heat": {heat}, "at": {at}}}"#, seq % 7)
        })
        .collect()
}

const DETECTORS: [&str; 3] = ["auto", "z_score", "gap"];

/// The query that calls a detector, of the same settings as that of the section.
const CALLED: &str = "SELECT device, seq, heat, at, z.* FROM (SELECT *, z_score(heat) OVER (PARTITION BY device) AS z FROM events)";

/// A query for each detector, one of windows over one of them, and an alert.
fn pipeline(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let file = dir.join("detectors.yaml");
    let each = |make: &dyn Fn(&str) -> String| DETECTORS.map(make).concat();
    let text = format!(
        "pipeline: odd
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {PER_EPOCH} }}
    value: json
    schema: device STRING, seq BIGINT, heat DOUBLE, at BIGINT
    watermark: {{ column: timestamp_millis(at), delay: 20 seconds }}
detectors:
{}queries:
{}  called: {{ sql: \"{CALLED}\", format: delta, options: {{ path: called }}, trigger: availableNow }}
  windows:
    sql: SELECT window.start AS start, count(*) AS n, count_if(is_anomaly) AS odd FROM of_z_score GROUP BY window(timestamp_millis(at), '1 minute')
    format: delta
    options: {{ path: windows }}
    trigger: availableNow
alerts:
  far_off: {{ on: of_z_score, key: device, when: is_anomaly, clear: NOT is_anomaly }}
",
        each(&|kind| format!("  of_{kind}: {{ on: events, key: device, column: heat, kind: {kind} }}\n")),
        each(&|kind| {
            format!("  {kind}: {{ sql: SELECT * FROM of_{kind}, format: delta, options: {{ path: {kind} }}, trigger: availableNow }}\n")
        }),
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The rows of a query's table, sorted, and its ledger.
fn outcome(data: &Path, query: &str) -> (Vec<String>, Value) {
    let mut rows: Vec<String> = table_rows(data, &data.join(query)).iter().map(Value::to_string).collect();
    rows.sort();
    (rows, last_commit(data, "odd", query)["ledger"].clone())
}

#[test]
fn whatever_dies_when_rows_are_judged_as_in_an_undisturbed_run() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    log.produce("events", &events());
    let run = |data: &Path, query: &str| {
        let file = pipeline(data, log.address);
        forebay(
            data,
            &["run", file.to_str().unwrap(), "--no-live", "--query", query, "--trigger", "availableNow"],
        )
    };
    let calm = tempfile::tempdir().unwrap();
    let mut queries = DETECTORS.to_vec();
    queries.extend(["called", "windows"]);
    for query in &queries {
        succeed(&mut run(calm.path(), query));
    }
    let odd = |rows: &[String]| rows.iter().filter(|row| row.contains("\"is_anomaly\":true")).count();
    let (rows, ledger) = outcome(calm.path(), "z_score");
    assert_eq!((rows.len() as u64, ledger["emitted"].as_u64()), (EVENTS, Some(EVENTS)), "{ledger}");
    assert!((5..40).contains(&odd(&rows)), "{} of them are odd", odd(&rows));
    assert!(rows.iter().any(|row| row.contains("heat 500, usually")), "the reason is told in words");
    assert_eq!(outcome(calm.path(), "called").0, rows, "called or in the section");
    for query in &queries {
        let expected = outcome(calm.path(), query);
        for (point, mode) in [
            ("epoch.plan.after", "keep"),
            ("state.changes.before", "lose"),
            ("state.changes.written", "lose"),
            ("state.changes.after", "keep"),
            ("sink.delta.commit.before", "lose"),
            ("sink.delta.commit.after", "lose"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut dying = run(dir.path(), query);
            dying.env("FOREBAY_KILL_AT", format!("{point}:{HIT}")).env("FOREBAY_KILL_MODE", mode);
            let output = dying.output().unwrap();
            assert!(!output.status.success(), "{query} did not die at {point}");
            succeed(&mut run(dir.path(), query));
            assert_eq!(outcome(dir.path(), query), expected, "{query} {point} {mode}");
        }
    }
}

#[test]
fn an_alert_on_a_detector_opens_where_it_says_so() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    log.produce("events", &events());
    let dir = tempfile::tempdir().unwrap();
    let file = pipeline(dir.path(), log.address);
    let args = [
        "run",
        file.to_str().unwrap(),
        "--no-live",
        "--query",
        "alerts/far_off",
        "--trigger",
        "availableNow",
    ];
    let output = succeed(&mut forebay(dir.path(), &args));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("far_off"), "{said}");
}

#[test]
fn no_spark_job_is_made_of_a_pipeline_with_detectors() {
    let dir = tempfile::tempdir().unwrap();
    let file = pipeline(dir.path(), SocketAddr::from(([127, 0, 0, 1], 1)));
    let output = forebay(dir.path(), &["spark", file.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(said.contains("FB-1012") && said.contains("`of_auto`"), "{said}");
    let output = succeed(&mut forebay(dir.path(), &["validate", file.to_str().unwrap()]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("detector of_gap: gap of heat on events by device"), "{said}");
}

#[test]
fn a_trial_counts_what_a_detector_finds_in_a_folder_of_series() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("series/pumps");
    std::fs::create_dir_all(&folder).unwrap();
    let series = |odd: Option<u64>| {
        let rows = (0..400u64).map(|row| {
            let value = if Some(row) == odd { 90 } else { 20 + row * 2_654_435_761 % 7 };
            format!("2024-02-01 {:02}:{:02}:00,{value}\n", row / 60, row % 60)
        });
        format!("timestamp,value\n{}", rows.collect::<String>())
    };
    std::fs::write(folder.join("odd.csv"), series(Some(300))).unwrap();
    std::fs::write(folder.join("usual.csv"), series(None)).unwrap();
    let labels = r#"{ "pumps/odd.csv": [ ["2024-02-01 05:00:00", "2024-02-01 05:10:00"] ] }"#;
    std::fs::write(dir.path().join("series/labels.json"), labels).unwrap();
    let folder = dir.path().join("series");
    let trial = |more: &[&str]| {
        let args = [&["trial", folder.to_str().unwrap()], more].concat();
        forebay(dir.path(), &args).output().unwrap()
    };
    let output = trial(&["--detector", "z_score", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["total"]["found"], &report["total"]["false"], &report["total"]["f1"]),
        (&1.into(), &0.into(), &1.0.into())
    );
    assert_eq!(report["series"][0]["name"], "pumps/odd.csv");
    let said = String::from_utf8_lossy(&trial(&["--detector", "z_score", "--why"]).stdout).into_owned();
    assert!(
        said.contains("+ row 300: value 90, usually 23")
            && said.contains("z_score, 2 series: precision 1.000"),
        "{said}"
    );
    for (wrong, status, part) in [
        (&["--detector", "zscore"][..], 1, "there is no detector `zscore`"),
        (&["--detector", "z_score,threshold"], 2, "is not a detector with settings"),
    ] {
        let output = trial(wrong);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(status) && said.contains(part), "{said}");
    }
    let empty = dir.path().join("none");
    std::fs::create_dir(&empty).unwrap();
    let output = forebay(dir.path(), &["trial", empty.to_str().unwrap()]).output().unwrap();
    assert!(!output.status.success(), "a trial that judged nothing fails");
}

#[test]
fn a_model_is_trained_from_a_table_and_judges_what_comes() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    log.produce("events", &events());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trained.yaml");
    let text = format!(
        "pipeline: trained
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}
    value: json
    schema: device STRING, seq BIGINT, heat DOUBLE, at BIGINT
detectors:
  far: {{ on: events, key: device, columns: [heat, seq], kind: k_means, model: models/far.json, settings: {{ k: 2, rank: 0.999 }} }}
queries:
  far_off: {{ sql: SELECT seq FROM far WHERE is_anomaly, format: delta, options: {{ path: far }}, trigger: availableNow }}
",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    let command = |args: &[&str]| forebay(dir.path(), args).output().unwrap();
    let path = file.to_str().unwrap();
    let said = String::from_utf8_lossy(&command(&["validate", path]).stderr).into_owned();
    assert!(
        said.contains("FB-1001") && said.contains("`forebay train far -f FILE --on TABLE` makes it"),
        "{said}"
    );
    let usual = (0..EVENTS).map(|seq| {
        let heat = 20 + (seq * 2_654_435_761 % 97) / 20;
        format!("d{},{heat},{seq},2024-02-01T00:{:02}:00Z\n", seq % 7, seq % 60)
    });
    std::fs::write(
        dir.path().join("usual.csv"),
        format!("device,heat,seq,timestamp\n{}", usual.collect::<String>()),
    )
    .unwrap();
    let output = succeed(&mut forebay(dir.path(), &["train", "far", "-f", path, "--on", "usual.csv"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected =
        "k_means of heat, seq, trained with 3000 rows from 2024-02-01 00:00:00 to 2024-02-01 00:59:00";
    assert!(said.contains(expected), "{said}");
    succeed(&mut forebay(dir.path(), &["run", path, "--no-live"]));
    let rows = table_rows(dir.path(), &dir.path().join("far"));
    let far: Vec<u64> = (0..EVENTS).filter(|seq| seq % 211 == 150).collect();
    let found: Vec<u64> = rows.iter().filter_map(|row| row["seq"].as_u64()).collect();
    assert!(far.iter().all(|seq| found.contains(seq)), "{found:?}");
    assert!(found.len() < far.len() + 20, "{found:?}");
    for (wrong, part) in [("farr", "Did you mean `far`?"), ("far", "no table that can be trained with")] {
        let output = command(&["train", wrong, "-f", path, "--on", "nothing"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(part), "{said}");
    }
    let plan = command(&["plan", path]);
    assert!(String::from_utf8_lossy(&plan.stdout).contains("= far_off"), "nothing changed");
    std::fs::write(dir.path().join("usual.csv"), "heat,seq\n1,2\n3,4\n5,6\n").unwrap();
    succeed(&mut forebay(dir.path(), &["train", "far", "-f", path, "--on", "usual.csv"]));
    let said = String::from_utf8_lossy(&command(&["plan", path]).stdout).into_owned();
    assert!(said.contains("~ far_off") && said.contains("trained with 3 rows"), "{said}");
}
