//! Models that are trained before: made of any table, judged by in SQL, taken anew by a reload; and as good as those of others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: u64 = 1_200;

/// Readings that lie around 20 and 50, the same number of each.
fn usual(seq: u64) -> f64 {
    let noise = (seq * 2_654_435_761 % 97) as f64 / 97.0;
    if seq.is_multiple_of(2) { 20.0 + noise } else { 50.0 + noise }
}

fn event(seq: u64, heat: f64) -> String {
    format!(r#"{{"seq": {seq}, "heat": {heat}}}"#)
}

/// A pipeline with a detector by a model, and a query that calls the same one.
fn pipeline(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let file = dir.join("models.yaml");
    let text = format!(
        "pipeline: models
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: events, startingOffsets: earliest }}
    value: json
    schema: seq BIGINT, heat DOUBLE
detectors:
  far: {{ on: events, column: heat, kind: k_means, model: models/far.json }}
queries:
  rows: {{ sql: SELECT * FROM events, format: delta, options: {{ path: rows }} }}
  far_off: {{ sql: \"SELECT seq, score, is_anomaly FROM far\", format: delta, options: {{ path: far }} }}
  called:
    sql: SELECT seq, k.score, k.is_anomaly FROM (SELECT seq, k_means('models/far.json', heat) AS k FROM events)
    format: delta
    options: {{ path: called }}
alerts:
  odd: {{ on: events, key: seq, when: \"k_means('models/far.json', heat).is_anomaly\", clear: \"false\" }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn model(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("models/far.json")).unwrap()).unwrap()
}

/// What a table says of one row.
fn said(dir: &Path, table: &str, seq: u64) -> Option<bool> {
    let path = dir.join(table);
    if !path.join("_delta_log").is_dir() {
        return None;
    }
    let rows = table_rows(dir, &path);
    rows.iter().find(|row| row["seq"] == seq).and_then(|row| row["is_anomaly"].as_bool())
}

#[test]
fn a_model_is_trained_from_csv_parquet_and_delta_and_a_new_one_is_taken_without_a_restart() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (pipeline(dir.path(), log.address), dir.path());
    let path = file.to_str().unwrap();
    let train = |on: &str| {
        let output = succeed(&mut forebay(data, &["train", "far", "-f", path, "--on", on]));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let lines: Vec<String> = (0..ROWS).map(|seq| format!("{seq},{}\n", usual(seq))).collect();
    std::fs::write(data.join("usual.csv"), format!("seq,heat\n{}", lines.concat())).unwrap();
    assert!(train("usual.csv").contains("trained with 1200 rows"));
    let of_csv = model(data);

    log.produce("events", &(0..ROWS).map(|seq| event(seq, usual(seq))).collect::<Vec<_>>());
    let mut process = Process::spawn(&mut forebay(data, &["run", path]));
    let is_judged =
        |seq: u64, is_odd: bool| ["far", "called"].iter().all(|table| said(data, table, seq) == Some(is_odd));
    eventually("the usual rows", PATIENCE, || is_judged(ROWS - 1, false));
    log.produce("events", &[event(5_000, 200.5), event(5_001, 20.5)]);
    eventually("what is far off", PATIENCE, || is_judged(5_000, true) && is_judged(5_001, false));

    // The table that the run writes is Delta; one of its files alone is Parquet.
    assert!(train("rows").contains("trained with 1202 rows"));
    let parquet = std::fs::read_dir(data.join("rows")).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "parquet" && std::fs::metadata(&path).ok()?.len() > 5_000).then_some(path)
    });
    let parquet = parquet.expect("a file of the first rows").display().to_string();
    assert!(train(&parquet).contains("trained with 1200 rows"));
    assert_eq!(model(data), of_csv, "the same rows are the same model");

    // Trained anew, with the heat of today; a reload takes it.
    let lines: Vec<String> = (0..ROWS).map(|seq| format!("{seq},{}\n", usual(seq) + 180.0)).collect();
    std::fs::write(data.join("usual.csv"), format!("seq,heat\n{}", lines.concat())).unwrap();
    train("usual.csv");
    process.signal("HUP");
    process.wait_for("reloaded", PATIENCE);
    log.produce("events", &[event(6_000, 200.5), event(6_001, 20.5)]);
    eventually("the new model", PATIENCE, || is_judged(6_000, false) && is_judged(6_001, true));
    assert!(process.stop().0);
    let rows = table_rows(data, &data.join("called"));
    assert_eq!(rows.len() as u64, ROWS + 4, "nothing is lost, nothing comes twice");
}

#[test]
fn trained_models_are_as_good_as_those_of_scikit_learn_and_spark_ml() {
    let script = "tests/oracle/trained_detectors.py";
    let said = run_script("scripts/services/learning-python.sh", &[script, FOREBAY]);
    let good = said.lines().filter(|line| line.starts_with("OK ")).count();
    assert_eq!(good, 10, "{said}");
}
