//! Bad records: set aside once, listed, shown, replayed with a mended schema, counted.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// A pipeline with two queries over the same source, as the plant has it.
fn pipeline(dir: &Path, log: &LogServer, schema: &str) -> std::path::PathBuf {
    let file = dir.join("two.yaml");
    let text = format!(
        "pipeline: two\n\
         sources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: {schema}\n\
         queries:\n\
         \x20 lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options: {{ path: table }}\n    trigger: {{ availableNow: true }}\n\
         \x20 hot:\n    sql: SELECT * FROM iot WHERE temperature > 70\n    format: console\n    trigger: {{ availableNow: true }}\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The records that `forebay quarantine ls` prints.
pub fn listed(data: &Path) -> Vec<Value> {
    let output = succeed(&mut forebay(data, &["quarantine", "ls", "--format", "json"]));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const GOOD: &str = r#"{"device_id": "device_1", "temperature": 71.5}"#;
const MENDABLE: &str = r#"{"device_id": "device_2", "temperature": "72.5"}"#;
const CUT: &str = r#"{"device_id": "device_3", "temper"#;

#[test]
fn a_bad_record_is_set_aside_once_and_its_neighbours_are_unharmed() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, CUT, GOOD, MENDABLE, GOOD].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let run = succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert_eq!(text(&run.stdout).matches("device_1").count(), 3, "{}", text(&run.stdout));
    assert_eq!(table_rows(data.path(), &data.path().join("table")).len(), 3);
    let records = listed(data.path());
    let found: Vec<(&str, i64)> = records
        .iter()
        .map(|record| (record["code"].as_str().unwrap(), record["offset"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        found,
        [("json.truncated", 1), ("json.type", 3)],
        "one entry each, though two queries read them"
    );
    assert_eq!(records[1]["path"], "$.temperature");
    assert_eq!(records[1]["queries"], serde_json::json!(["hot", "lake"]));
    let raw = succeed(&mut forebay(data.path(), &["quarantine", "show", "--raw", "iot/0/1"]));
    assert_eq!(text(&raw.stdout), CUT);
    for query in ["lake", "hot"] {
        let ledger = last_commit(data.path(), "two", query)["ledger"].clone();
        assert_eq!(
            (ledger["read"].as_u64(), ledger["quarantined"].as_u64()),
            (Some(5), Some(2)),
            "{query}: {ledger}"
        );
    }
}

#[test]
fn a_mended_schema_lets_a_record_be_replayed_exactly_once() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, MENDABLE, CUT].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--query", "lake"]));
    assert_eq!(listed(data.path()).len(), 2);
    // The table's column stays a DOUBLE; only what is read is mended.
    let mended =
        std::fs::read_to_string(&file).unwrap().replace("temperature DOUBLE", "temperature STRING").replace(
            "SELECT * FROM iot\n",
            "SELECT device_id, CAST(temperature AS DOUBLE) AS temperature FROM iot\n",
        );
    std::fs::write(&file, mended).unwrap();
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
    for _ in 0..2 {
        succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--query", "lake"]));
        let rows = table_rows(data.path(), &data.path().join("table"));
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(rows.iter().filter(|row| row["device_id"] == "device_2").count(), 1);
        let left = listed(data.path());
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0]["code"], "json.truncated");
    }
    let ledger = &last_commit(data.path(), "two", "lake")["ledger"];
    assert_eq!(ledger["replayed"], 2, "{ledger}");
    let folder = data.path().join("checkpoints/two/lake");
    let shown =
        text(&succeed(&mut forebay(data.path(), &["checkpoint", "show", folder.to_str().unwrap()])).stdout);
    assert!(shown.contains("this epoch: 2 read (2 of them replayed) = 1 emitted"), "{shown}");
    assert!(shown.contains("all epochs so far: 5 read (2 of them replayed) = 2 emitted"), "{shown}");
    succeed(&mut forebay(data.path(), &["quarantine", "drop", "iot/0/2"]));
    assert!(listed(data.path()).is_empty());
    let missing = forebay(data.path(), &["quarantine", "show", "iot/0/99"]).output().unwrap();
    assert!(text(&missing.stderr).contains("FB-3003"));
}

#[test]
fn a_removed_checkpoint_takes_nothing_out_of_the_quarantine() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, MENDABLE].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let run = ["run", file.to_str().unwrap(), "--query", "lake"];
    succeed(&mut forebay(data.path(), &run));
    std::fs::remove_dir_all(data.path().join("checkpoints/two/lake")).unwrap();
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    change("earliest", "latest");
    succeed(&mut forebay(data.path(), &run));
    log.produce("iot", &[CUT.to_owned()]);
    succeed(&mut forebay(data.path(), &run));
    let names = |records: &[Value]| records.iter().map(|it| it["record"].clone()).collect::<Vec<_>>();
    assert_eq!(last_commit(data.path(), "two", "lake")["epoch"], 0, "it began anew");
    assert_eq!(names(&listed(data.path())), ["iot/0/1", "iot/0/2"], "of both queries of the name");
    change("temperature DOUBLE", "temperature STRING");
    change("SELECT * FROM iot\n", "SELECT device_id, CAST(temperature AS DOUBLE) AS temperature FROM iot\n");
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
    let said = text(&succeed(&mut forebay(data.path(), &run)).stderr);
    assert!(said.contains("1 read (1 of them replayed) = 0 emitted + 1 quarantined (balances)"), "{said}");
    assert!(said.contains("not replayed: another query of this name") && said.contains("iot/0/1"), "{said}");
    assert_eq!(names(&listed(data.path())), ["iot/0/1", "iot/0/2"], "the earlier query's stays");
    assert_eq!(table_rows(data.path(), &data.path().join("table")).len(), 1);
}

#[test]
fn a_running_query_picks_a_replay_up_by_itself() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, CUT].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let mut process = Process::spawn(&mut forebay(
        data.path(),
        &["run", file.to_str().unwrap(), "--query", "lake", "--trigger", "default"],
    ));
    let http = process.address("http");
    eventually("the bad record", Duration::from_secs(20), || listed(data.path()).len() == 1);
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "iot/0/1"]));
    eventually("the replay", Duration::from_secs(20), || {
        get(http, "/api/v1/ledger").1.contains("\"replayed\":1")
    });
    assert_eq!(listed(data.path()).len(), 1, "it is still bad, and still there once");
    assert!(process.stop().0);
}

#[test]
fn a_full_quarantine_makes_the_query_wait_and_say_so() {
    let log = LogServer::start();
    log.produce("iot", &vec![CUT.to_owned(); 50]);
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let bounded =
        std::fs::read_to_string(&file).unwrap() + "quarantine: { maxBytes: 1KiB, whenFull: stop }\n";
    let bounded =
        bounded.replace("startingOffsets: earliest", "startingOffsets: earliest, maxOffsetsPerTrigger: 10");
    std::fs::write(&file, bounded).unwrap();
    let mut process =
        Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--query", "lake"]));
    let http = process.address("http");
    process.wait_for("FB-3002", Duration::from_secs(20));
    eventually("health says so", Duration::from_secs(5), || {
        let (status, body) = get(http, "/health");
        status == 503 && body.contains("FB-3002") && body.contains("\"since\":\"2")
    });
    let (_, query) = get(http, "/api/v1/queries/lake");
    let query: serde_json::Value = serde_json::from_str(&query).unwrap();
    let read = query["ledger"]["read"].as_u64().unwrap();
    assert_eq!(query["lag"], 50 - read, "what is not committed waits: {query}");
    log.produce("iot", &vec![CUT.to_owned(); 5]);
    eventually("what came meanwhile counts", Duration::from_secs(10), || {
        get(http, "/api/v1/queries/lake").1.contains(&format!("\"lag\":{}", 55 - read))
    });
    succeed(&mut forebay(data.path(), &["quarantine", "drop", "--all"]));
}

#[test]
fn what_was_dropped_after_it_was_requested_is_not_replayed() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, MENDABLE].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let run = ["run", file.to_str().unwrap(), "--query", "lake"];
    succeed(&mut forebay(data.path(), &run));
    let said = text(&succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"])).stderr);
    assert!(said.contains("asked to replay 1 record(s)") && said.contains("`replayed`"), "{said}");
    succeed(&mut forebay(data.path(), &["quarantine", "drop", "--all"]));
    succeed(&mut forebay(data.path(), &run));
    let ledger = &last_commit(data.path(), "two", "lake")["ledger"];
    assert_eq!(ledger["replayed"], 0, "{ledger}");
    let said = text(&succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"])).stderr);
    assert!(said.contains("no record matches, nothing is changed; the quarantine holds: nothing"), "{said}");
}

#[test]
fn a_replayed_record_keeps_its_key_even_if_no_query_read_it_before() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let lines = data.path().join("lines");
    std::fs::write(&lines, format!("one={GOOD}\ntwo={MENDABLE}\n")).unwrap();
    let bootstrap = log.address.to_string();
    succeed(&mut forebay(
        data.path(),
        &[
            "produce",
            "--topic",
            "iot",
            "--bootstrap",
            &bootstrap,
            "--key-separator",
            "=",
            "--file",
            lines.to_str().unwrap(),
        ],
    ));
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    let read_by = |schema: &str, select: &str| {
        let file = pipeline(data.path(), &log, schema);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("SELECT * FROM iot\n", &format!("{select} FROM iot\n"))).unwrap();
    };
    let run = ["run", file.to_str().unwrap(), "--query", "lake"];
    read_by(
        "device_id STRING, temperature DOUBLE",
        "SELECT device_id, temperature, CAST(NULL AS STRING) AS key",
    );
    succeed(&mut forebay(data.path(), &run));
    read_by(
        "device_id STRING, temperature STRING",
        "SELECT device_id, CAST(temperature AS DOUBLE) AS temperature, CAST(_kafka.key AS STRING) AS key",
    );
    succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
    succeed(&mut forebay(data.path(), &run));
    let rows = table_rows(data.path(), &data.path().join("table"));
    let mended = rows.iter().find(|row| row["device_id"] == "device_2").unwrap();
    assert_eq!((&mended["key"], &mended["temperature"]), (&"two".into(), &72.5.into()), "{rows:?}");
}

#[test]
fn a_filter_that_matches_nothing_is_told_from_an_empty_quarantine() {
    let log = LogServer::start();
    log.produce("iot", &[GOOD, CUT].map(str::to_owned));
    let data = tempfile::tempdir().unwrap();
    let said = |args: &[&str]| text(&succeed(&mut forebay(data.path(), args)).stderr);
    assert!(said(&["quarantine", "ls"]).contains("the quarantine is empty"));
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    for filter in [&["--code", "json.type"][..], &["--query", "other"], &["iot/0/7"]] {
        let said = said(&[&["quarantine", "ls"], filter].concat());
        assert!(said.contains("nothing matches; the quarantine holds 1 record(s)"), "{filter:?}: {said}");
        assert!(said.contains("pipelines two; queries hot, lake; codes json."), "{filter:?}: {said}");
    }
    let by_file = ["quarantine", "ls", "--pipeline", file.to_str().unwrap()];
    assert!(
        said(&by_file).contains("1 record(s); `forebay quarantine show"),
        "a pipeline's file is its name"
    );
}

#[test]
fn a_checkpoint_that_is_not_there_is_said_to_be_that() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("iot", &[GOOD.to_owned()]);
    let file = pipeline(data.path(), &log, "device_id STRING, temperature DOUBLE");
    for path in [data.path().join("nowhere"), data.path().to_owned(), file.clone()] {
        let output = forebay(data.path(), &["checkpoint", "show", path.to_str().unwrap()]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("FB-6005") && said.contains("--data"), "{said}");
    }
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--query", "lake"]));
    let output = succeed(&mut forebay(data.path(), &["checkpoint", "show", file.to_str().unwrap()]));
    assert!(text(&output.stdout).contains("lake of pipeline two"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("FB-6005"), "the query that has not run: {}", text(&output.stderr));
}
