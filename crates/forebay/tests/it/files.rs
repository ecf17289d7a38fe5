//! Folders of files with the whole program: each row once whatever step it dies at, cycles, and readers that know nothing
//! of Forebay.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use forebay_storage::{CYCLE_KILL_POINTS, FILES_KILL_POINTS};
use serde_json::{Value, json};

use crate::support::*;

const EVENTS: u64 = 2_000;

fn pipeline(dir: &Path, log: SocketAddr, trigger: &str, more: &str) -> PathBuf {
    let file = dir.join("files.yaml");
    let text = format!(
        "pipeline: files\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 700 }}\n\
         \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
         queries:\n  collect:\n    sql: SELECT * FROM events\n    format: csv\n    options: {{ path: output, header: true, minCommitInterval: 0 seconds }}\n\
         \x20   trigger: {trigger}\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The CSV files of a folder, which is there.
fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "csv")).collect()
}

/// The rows of the CSV files in a folder, each with one header.
fn rows(folder: &Path) -> Vec<Value> {
    let mut rows = Vec::new();
    for path in csv_files(folder) {
        let text = std::fs::read_to_string(path).unwrap();
        let body = text.strip_prefix("device,seq,hash\n").expect("a header");
        rows.extend(body.lines().map(|line| {
            let values: Vec<&str> = line.split(',').collect();
            json!({ "device": values[0], "seq": values[1].parse::<u64>().unwrap(), "hash": values[2] })
        }));
    }
    rows
}

fn log_with_events() -> LogServer {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &proof_events(EVENTS));
    log
}

#[test]
fn every_kill_point_of_a_file_sink_leaves_every_row_once() {
    let log = log_with_events();
    for point in FILES_KILL_POINTS {
        for mode in ["kill", "lose"] {
            let data = tempfile::tempdir().unwrap();
            let file = pipeline(data.path(), log.address, "{ availableNow: true }", "");
            let run = || forebay(data.path(), &["run", file.to_str().unwrap(), "--embedded-log", "never"]);
            let died = armed(&mut run(), &format!("{point}:2"), mode).output().unwrap();
            assert!(died_there(died.status), "{point} {mode}: {}", text(&died.stderr));
            succeed(&mut run());
            assert_exactly_once(&rows(&data.path().join("output")), EVENTS, &format!("{point} {mode}"));
        }
    }
}

#[test]
fn every_kill_point_of_a_cycle_leaves_every_row_in_one_archive() {
    let cycle =
        "    cycle: { every: 4 seconds, archive: \"backup/{name}_{yyyyMMdd_HHmmss}.csv\", repeat: 2 }\n";
    let events = proof_events(EVENTS);
    for point in CYCLE_KILL_POINTS {
        let log = LogServer::start();
        make_topic(log.address, "events", 3);
        let data = tempfile::tempdir().unwrap();
        let file = pipeline(data.path(), log.address, "{ processingTime: 100 milliseconds }", cycle);
        let run = || forebay(data.path(), &["run", file.to_str().unwrap(), "--embedded-log", "never"]);
        // Events come before it starts, while it collects and dies, while it is dead and while it recovers.
        let mut slices = events.chunks(200);
        let send = |slice: Option<&[String]>| log.produce("events", slice.expect("slices are left"));
        send(slices.next());
        let mut died =
            armed(&mut run(), point, "lose").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = loop {
            match died.try_wait().unwrap() {
                Some(status) => break status,
                None if slices.len() > 2 => send(slices.next()),
                None => {}
            }
            std::thread::sleep(std::time::Duration::from_millis(400));
        };
        assert!(died_there(status), "{point}");
        while slices.len() > 1 {
            send(slices.next());
        }
        let mut again = run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        send(slices.next());
        // It ends by itself after its second cycle.
        assert!(again.wait().unwrap().success(), "{point}");
        assert!(rows(&data.path().join("output")).is_empty(), "{point}: the files are gone");
        let backup = data.path().join("backup");
        assert_eq!(csv_files(&backup).len(), 2, "{point}: each cycle had rows");
        assert_exactly_once(&rows(&backup), EVENTS, point);
    }
}

#[test]
fn an_archive_is_listed_and_downloaded_as_it_lies_on_the_disk() {
    let log = log_with_events();
    let data = tempfile::tempdir().unwrap();
    let cycle = "    cycle: { every: 2 seconds, archive: \"backup/{name}_{yyyyMMdd_HHmmss}.csv\" }\n";
    let file = pipeline(data.path(), log.address, "{ processingTime: 100 milliseconds }", cycle);
    let mut run = Process::spawn(&mut forebay(
        data.path(),
        &["run", file.to_str().unwrap(), "--embedded-log", "never"],
    ));
    let http = run.address("http");
    let listed = || serde_json::from_str::<Value>(&get(http, "/api/v1/cycles").1).unwrap()[0].clone();
    eventually("all rows are archived", std::time::Duration::from_secs(60), || listed()["rows"] == EVENTS);
    let cycle = listed();
    assert_eq!((&cycle["query"], &cycle["every"]), (&json!("collect"), &json!(2_000)));
    for archive in cycle["archives"].as_array().unwrap() {
        let name = archive["name"].as_str().unwrap();
        let bytes = std::fs::read_to_string(data.path().join(name)).unwrap();
        assert_eq!(archive["bytes"], bytes.len());
        assert_eq!(archive["rows"], bytes.lines().count() - 1, "one header");
        for name in [name.replace('/', "%2F"), name.rsplit('/').next().unwrap().to_owned()] {
            assert_eq!(get(http, &format!("/api/v1/cycles/collect/archives/{name}")), (200, bytes.clone()));
        }
    }
    for name in ["files.yaml", "..%2Ffiles.yaml", "output", "backup%2F..%2Ffiles.yaml"] {
        assert_eq!(get(http, &format!("/api/v1/cycles/collect/archives/{name}")).0, 404, "{name}");
    }
    assert!(run.stop().0);
}

#[test]
fn spark_and_others_read_the_same_rows() {
    let log = log_with_events();
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), log.address, "{ availableNow: true }", "");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--embedded-log", "never"]));
    let output = data.path().join("output").display().to_string();
    let said = run_script(
        "scripts/services/spark-python.sh",
        &["tests/oracle/read_files.py", &output, PROOF_SCHEMA, &EVENTS.to_string()],
    );
    assert!(said.contains(&format!("OK {EVENTS} rows by Spark, csv")), "{said}");
}

#[test]
fn two_queries_with_one_folder_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let second =
        "  again:\n    sql: SELECT * FROM events\n    format: parquet\n    options: { path: ./output/ }\n";
    let file = pipeline(data.path(), "127.0.0.1:9".parse().unwrap(), "{ availableNow: true }", second);
    let refused = forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("is that of query `collect` already"),
        "{}",
        text(&refused.stderr)
    );
}
