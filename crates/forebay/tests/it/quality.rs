//! Quality over time: by the real binary, over kills and restarts, as it is told over REST and as metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use forebay_storage::QUALITY_KILL_POINTS;
use serde_json::{Value, json};

use crate::crash::run_until_killed;
use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);

const EVENTS: u64 = 3_000;

/// Good events, and between them some that fail one rule or two, and some that cannot be read.
fn events() -> Vec<String> {
    let mut events = Vec::new();
    for (at, event) in proof_events(EVENTS).into_iter().enumerate() {
        let of = |rest: &str| format!("{{\"device\": \"d{}\", \"seq\": 1, \"hash\": {rest}}}", at % 3);
        events.push(event);
        match at % 100 {
            20 => events.push(of("\"short\"")),
            50 => events.push(of("\"nought\", \"level\": -1")),
            80 => events.push("{".to_owned()),
            _ => {}
        }
    }
    events
}

fn pipeline(dir: &Path, log: &LogServer) -> std::path::PathBuf {
    // So many epochs that the counts are written while it runs.
    let file = copy_pipeline(dir, log.address, "events", 41);
    let text = std::fs::read_to_string(&file).unwrap();
    let schema = format!("schema: {PROOF_SCHEMA}");
    let expecting = format!(
        "{schema}, level INT\n    expect:\n      - {{ name: whole, condition: length(hash) = 16, onFail: drop }}\n      - {{ column: level, min: 0 }}"
    );
    let text = text.replace(&schema, &expecting).replace("SELECT * FROM", "SELECT device, seq, hash FROM");
    std::fs::write(&file, text).unwrap();
    file
}

fn quality(http: SocketAddr, asked: &str) -> Value {
    let (status, text) = get(http, &format!("/api/v1/quality?{asked}"));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What must be told, whatever has died.
fn assert_told(http: SocketAddr, point: &str) {
    let total = json!({ "rows": EVENTS + 60, "failed": 60, "unreadable": 30 });
    eventually("all records are judged", PATIENCE, || quality(http, "")["sources"][0]["total"] == total);
    let told = quality(http, "source=events&limit=5");
    let told = &told["sources"][0];
    assert_eq!(
        (&told["query"], &told["source"], &told["others"]),
        (&json!("lake"), &json!("events"), &json!(0))
    );
    for name in ["rows", "failed", "unreadable"] {
        assert_eq!(told[name], total[name], "{point}: {name} of the newest hours");
        let points = told["points"].as_array().unwrap().iter().map(|it| it[name].as_u64().unwrap());
        assert_eq!(points.sum::<u64>(), total[name], "{point}: {name} by minutes");
    }
    let rules: Vec<(&str, u64)> = told["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["name"].as_str().unwrap(), rule["failed"].as_u64().unwrap()))
        .collect();
    assert_eq!(rules, [("whole", 60), ("level_range", 30)], "{point}");
    let mut by_device = BTreeMap::new();
    for (at, failures) in (0..EVENTS).map(|at| {
        (
            at,
            match at % 100 {
                20 => 1,
                50 => 2,
                _ => 0,
            },
        )
    }) {
        *by_device.entry(format!("d{}", at % 3)).or_insert(0) += failures;
    }
    let devices = told["devices"].as_array().unwrap().iter();
    let devices: BTreeMap<String, u64> =
        devices.map(|it| (it["key"].as_str().unwrap().to_owned(), it["failed"].as_u64().unwrap())).collect();
    assert_eq!(devices, by_device, "{point}");
}

#[test]
fn whatever_dies_when_quality_counts_every_record_once_and_outlives_it() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    log.produce("events", &events());
    let own = QUALITY_KILL_POINTS.iter().map(|point| (*point, 1));
    let others = [("epoch.outcome.after", 5), ("sink.delta.commit.after", 30), ("epoch.commit.before", 66)];
    for (at, (point, hit)) in own.chain(others).enumerate() {
        let data = tempfile::tempdir().unwrap();
        let file = pipeline(data.path(), &log);
        let mode = if at % 2 == 0 { "lose" } else { "kill" };
        assert!(run_until_killed(data.path(), &file, point, hit, mode, &[]), "{point} was not reached");
        let path = file.to_str().unwrap();
        // To the end at once: a table that is served takes its time between two commits.
        succeed(&mut forebay(data.path(), &["run", path]));
        let serve = || {
            Process::spawn(&mut forebay(
                data.path(),
                &["run", path, "--trigger", "default", "--http", "127.0.0.1:0"],
            ))
        };
        let mut process = serve();
        assert_told(process.address("http"), point);
        if at > 0 {
            continue;
        }
        // It ends without a word, and comes back with all that it knew.
        drop(process);
        let mut process = serve();
        let http = process.address("http");
        assert_told(http, "a second start");
        let metrics = get(http, "/metrics").1;
        for (verdict, count) in [("valid", EVENTS), ("failed", 60), ("unreadable", 30)] {
            let line = format!(
                "forebay_judged_records_total{{pipeline=\"copy\",query=\"lake\",source=\"events\",verdict=\"{verdict}\"}} {count}"
            );
            assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
        }
        let device = quality(http, "device=d1&rule=level_range");
        assert_eq!(device["sources"][0]["devices"].as_array().unwrap().len(), 1);
        for (asked, told) in
            [("source=event", "did you mean"), ("rule=whol", "did you mean"), ("query=pond", "lake")]
        {
            let (status, text) = get(http, &format!("/api/v1/quality?{asked}"));
            assert!(status == 404 && text.to_lowercase().contains(told), "{asked}: {text}");
        }
        assert_eq!(get(http, "/api/v1/quality?from=5&to=5").0, 400);
        assert!(process.stop().0);
    }
}
