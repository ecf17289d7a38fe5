//! `forebay backtest` beside real runs: what it says of a table is what the stream did with the same records.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use forebay_storage::lines;
use serde_json::Value;

use crate::support::*;

const RULES: [&str; 4] = ["heat", "shaking", "long", "yard"];

/// A plant whose records go to a table with their times, and rules of every kind over them.
fn pipeline(log: &LogServer, limit: u32) -> String {
    format!(
        "pipeline: tried
sources:
  iot:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest, maxOffsetsPerTrigger: 700 }}
    value: json
    schema: \"device STRING, t DOUBLE, rpm INT, place STRUCT<lon: DOUBLE, lat: DOUBLE>\"
views:
  moving: SELECT device, rpm, place.lon AS lon, place.lat AS lat FROM iot WHERE rpm IS NOT NULL
queries:
  lake: {{ sql: \"SELECT *, _kafka.timestamp AS recorded FROM iot\", format: delta, options: {{ path: lake }} }}
alerts:
  heat:
    on: iot
    key: device
    levels:
      warning: {{ when: t > 75, clear: t < 65, for: 2 seconds }}
      critical: {{ when: t > 90, clear: t < 85 }}
    cooldown: 20 seconds
    message: \"{{device}} has {{t}}\"
  shaking: {{ on: moving, key: device, when: rpm > {limit}, matches: 3 of 5 }}
  long: {{ on: iot, key: device, when: rpm > 2500, matches: 7 within 30 seconds, clear: rpm < 500 }}
  yard: {{ on: moving, key: device, when: \"NOT st_within(lon, lat, 'POLYGON((13 52, 13.5 52, 13.5 52.5, 13 52.5, 13 52))')\" }}
",
        log.address
    )
}

/// Readings of twelve devices over ten minutes, as lines of time, key and record; each device has times of its own.
fn records(start: i64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut state = 7_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    for second in 0..600 {
        for device in 0..12 {
            if chance() < 0.3 {
                continue;
            }
            let at = start + second * 1_000 + device * 70 + (chance() * 60.0) as i64;
            let heat = 70.0 + 25.0 * (f64::from(second as i32) / 37.0 + device as f64).sin() + 6.0 * chance();
            let rpm = (chance() * 3_000.0) as i64;
            let lon = 13.2 + 0.4 * (f64::from(second as i32) / 90.0 + device as f64).sin();
            let rpm = if chance() < 0.05 { "null".to_owned() } else { rpm.to_string() };
            lines.push(format!(
                "{at} d{device} {{\"device\":\"d{device}\",\"t\":{heat:.2},\"rpm\":{rpm},\"place\":{{\"lon\":{lon:.5},\"lat\":52.25}}}}"
            ));
        }
    }
    lines
}

fn send(log: &LogServer, lines: &[String]) {
    let mut command = Command::new(root().join("scripts/services/python.sh"));
    command.args(["tests/clients/timed_records.py", &log.address.to_string(), "iot"]).current_dir(root());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// An alert: its name, when it opened and cleared, the worst that it was, its message, its transitions.
type Told = (String, i64, Option<i64>, String, String, u64);

/// What a run's journal says of each alert of a rule.
fn journal(data: &Path, rule: &str) -> Vec<Told> {
    let bytes = std::fs::read(data.join(format!("checkpoints/tried/alerts.{rule}/alerts"))).unwrap();
    let (journal, _) = lines::read_up_to("forebay-alerts", 2, &bytes).unwrap();
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for line in journal.texts {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry.get("snapshot").is_none(), "this test needs every entry");
        for alert in entry["epoch"]["transitions"].as_array().into_iter().flatten() {
            last.insert(alert["id"].as_str().unwrap().to_owned(), alert.clone());
        }
    }
    let word = |alert: &Value, name: &str| alert[name].as_str().unwrap().to_owned();
    let told = |(id, alert): (String, Value)| {
        let (opened, cleared) = (alert["openedAt"].as_i64().unwrap(), alert["clearedAt"].as_i64());
        (id, opened, cleared, word(&alert, "worst"), word(&alert, "message"), alert["step"].as_u64().unwrap())
    };
    last.into_iter().map(told).collect()
}

/// What a backtest says of each alert of a rule.
fn told(report: &Value, rule: &str, side: &str) -> Vec<Told> {
    let rules = report["rules"].as_array().unwrap();
    let of = &rules.iter().find(|it| it["rule"] == rule).unwrap()[side];
    let word = |alert: &Value, name: &str| alert[name].as_str().unwrap().to_owned();
    let alert = |alert: &Value| {
        let (opened, cleared) = (alert["openedAt"].as_i64().unwrap(), alert["clearedAt"].as_i64());
        let transitions = alert["transitions"].as_u64().unwrap();
        (word(alert, "id"), opened, cleared, word(alert, "worst"), word(alert, "message"), transitions)
    };
    let mut told: Vec<Told> = of["alerts"].as_array().unwrap().iter().map(alert).collect();
    told.sort();
    told
}

#[test]
fn a_backtest_makes_the_transitions_that_the_stream_made_of_the_same_records() {
    let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
    make_topic(log.address, "iot", 2);
    let (file, changed) = (dir.path().join("tried.yaml"), dir.path().join("changed.yaml"));
    std::fs::write(&file, pipeline(&log, 2_600)).unwrap();
    std::fs::write(&changed, pipeline(&log, 2_900)).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let start = now / 1_000 * 1_000 - 3_600_000;
    let lines = records(start);
    // In several runs of several epochs each.
    for part in lines.chunks(lines.len() / 3 + 1) {
        send(&log, part);
        succeed(&mut forebay(dir.path(), &["run", file.to_str().unwrap(), "--trigger", "availableNow"]));
    }
    let backtest = |of: &Path, more: &[&str]| {
        let mut command = forebay(dir.path(), &["backtest", of.to_str().unwrap(), "--on", "delta.`lake`"]);
        text(&succeed(command.args(["--time", "recorded"]).args(more)).stdout)
    };
    let report: Value = serde_json::from_str(&backtest(&file, &["--json"])).unwrap();
    assert_eq!(report["rows"], lines.len());
    for rule in RULES {
        let (streamed, tried) = (journal(dir.path(), rule), told(&report, rule, "new"));
        assert!(streamed.len() >= 3, "{rule} did too little to be compared: {streamed:?}");
        assert_eq!(streamed, tried, "{rule}");
    }
    // With less memory than the rows take the order comes from files, and the same comes out.
    let small = backtest(&file, &["--json", "--memory", "256KiB"]);
    let small: Value = serde_json::from_str(&small).unwrap();
    for rule in RULES {
        assert_eq!(told(&small, rule, "new"), told(&report, rule, "new"), "{rule}");
    }

    // What the table has is no whole number, and none is made of it.
    let whole = dir.path().join("whole.yaml");
    std::fs::write(&whole, pipeline(&log, 2_600).replace("t DOUBLE", "t INT")).unwrap();
    let mut command = forebay(dir.path(), &["backtest", whole.to_str().unwrap(), "--on", "delta.`lake`"]);
    let refused = command.args(["--time", "recorded", "--rule", "heat"]).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("`t` of the table is DOUBLE"), "{said}");
    assert!(said.contains("is no whole number"), "{said}");

    // Changed rules beside the present ones: one differs, and it is told where.
    let picture = dir.path().join("change.svg");
    let against = ["--json", "--against", file.to_str().unwrap(), "--picture", picture.to_str().unwrap()];
    let report: Value = serde_json::from_str(&backtest(&changed, &against)).unwrap();
    for rule in report["rules"].as_array().unwrap() {
        let difference = &rule["difference"];
        let alike = difference["onlyNew"] == 0 && difference["onlyPresent"] == 0;
        assert_eq!(alike, rule["rule"] != "shaking", "{rule}");
    }
    assert_eq!(told(&report, "shaking", "present"), journal(dir.path(), "shaking"));
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(RULES.iter().all(|rule| picture.contains(&format!(">{rule}</text>"))), "{picture}");
    let people = backtest(&changed, &["--against", file.to_str().unwrap(), "--rule", "heat"]);
    assert!(
        people.contains("only present") && people.contains("heat") && !people.contains("yard"),
        "{people}"
    );
}

#[test]
fn a_backtest_reads_files_of_other_makers_and_refuses_what_it_cannot_try() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    let text_of = |alerts: &str| {
        format!(
            "pipeline: p
sources:
  iot:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"nobody.invalid:1\", subscribe: iot }}
    value: json
    schema: device STRING, t DOUBLE, ts INT
    watermark: {{ column: timestamp_seconds(ts), delay: 10 seconds }}
detectors:
  odd: {{ on: iot, key: device, column: t, kind: z_score }}
queries:
  q: {{ sql: SELECT * FROM iot, format: console }}
alerts:
{alerts}"
        )
    };
    let hot = "  hot: { on: iot, key: device, when: t > 70 }\n";
    std::fs::write(&file, text_of(hot)).unwrap();
    // Not in the order of time, and a row without one.
    let csv = "Device,t,ts,more\nd1,80,100,x\nd1,20,160,y\nd2,90,130,\nd1,75,40,z\nd9,99,,z\nd1,60,45,z\n";
    std::fs::write(dir.path().join("old.csv"), csv).unwrap();
    let name = file.to_str().unwrap();
    let run = |args: &[&str]| {
        let mut command = forebay(dir.path(), &["backtest", name]);
        let output = command.args(args).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, json, said) = run(&["--on", "csv.`old.csv`", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let report: Value = serde_json::from_str(&json).unwrap();
    let ids: Vec<String> = told(&report, "hot", "new").into_iter().map(|it| it.0).collect();
    assert_eq!(ids, ["hot/d1/100000", "hot/d1/40000", "hot/d2/130000"]);
    assert_eq!((&report["rows"], &report["rowsWithoutTime"]), (&5.into(), &1.into()));
    let (code, people, _) = run(&["--on", "csv.`old.csv`", "--from", "50", "--to", "131"]);
    assert!(code == Some(0) && people.contains("2 rows from 1970-01-01T00:00:50Z"), "{people}");

    let refused = |args: &[&str], parts: &[&str]| {
        let (code, _, said) = run(args);
        assert!(code != Some(0) && parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
    };
    refused(&["--on", "csv.`old.csv`", "--from", "5000"], &["no row in this time"]);
    refused(&["--on", "csv.`old.csv`", "--time", "device"], &["the event time is STRING", "--time"]);
    refused(&["--on", "csv.`gone.csv`"], &["gone.csv"]);
    refused(&["--on", "delta.`gone`"], &["gone"]);
    refused(&["--on", "parquet.`gone`"], &["no Parquet file"]);
    refused(&["--on", "csv.`old.csv`", "--rule", "hat"], &["hat", "hot"]);
    refused(&["--on", "csv.`old.csv`", "--from", "9", "--to", "9"], &["--to is not after"]);
    std::fs::write(dir.path().join("bare.csv"), "device,ts\nd1,100\n").unwrap();
    refused(&["--on", "csv.`bare.csv`"], &["reads `t`", "`device`, `ts`"]);
    let judged = format!("{hot}  strange: {{ on: odd, key: device, when: is_anomaly }}\n");
    std::fs::write(&file, text_of(&judged)).unwrap();
    refused(&["--on", "csv.`old.csv`"], &["`strange` watches `odd`", "remembers", "--rule"]);
    assert_eq!(run(&["--on", "csv.`old.csv`", "--rule", "hot"]).0, Some(0));
}
