//! Streams and tables at rest, with the whole program: a register that changes while it runs, one that breaks, one of Delta
//! that another process writes to, or under an epoch that is repeated.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A pipeline that joins the topic `events` with this table into the Delta table `out`.
fn joining(dir: &Path, log: SocketAddr, table: &str, trigger: &str) -> String {
    let file = dir.join("join.yaml");
    let text = format!(
        "pipeline: join\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: events, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: id STRING, n BIGINT\n\
         tables:\n  devices: {table}\n\
         views:\n  placed: SELECT e.id, n, site FROM events e JOIN devices d ON e.id = d.id\n\
         alerts:\n  high: {{ on: placed, key: id, when: n > 4 AND site = 'four' }}\n\
         queries:\n  out:\n    sql: SELECT e.id, n, site FROM events e LEFT JOIN devices d ON e.id = d.id\n\
         \x20   format: delta\n    options: {{ path: out }}\n    trigger: {trigger}\n\
         \x20 twice:\n    sql: SELECT e.id, count(*) AS c FROM events e JOIN devices d ON e.id = d.id GROUP BY e.id\n\
         \x20   format: console\n    outputMode: complete\n    trigger: {trigger}\n\
         \x20 once:\n    sql: SELECT e.id, site FROM events e JOIN devices d ON e.id = d.id\n\
         \x20   format: console\n    deduplicate: {{ keys: [id, site] }}\n    trigger: {trigger}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn run(data: &Path, file: &str) -> Command {
    forebay(data, &["run", file, "--embedded-log", "never", "--no-live"])
}

fn event(id: &str, n: u64) -> String {
    format!("{{\"id\": \"{id}\", \"n\": {n}}}")
}

/// The rows `n site` of the table, in the order of n.
fn sites(data: &Path) -> Vec<String> {
    let mut rows: Vec<(u64, String)> = table_rows(data, &data.join("out"))
        .iter()
        .map(|row| (row["n"].as_u64().unwrap(), row["site"].as_str().unwrap_or("-").to_owned()))
        .collect();
    rows.sort();
    rows.into_iter().map(|(n, site)| format!("{n} {site}")).collect()
}

fn table_of(http: SocketAddr, query: &str) -> Value {
    let (_, body) = get(http, &format!("/api/v1/queries/{query}"));
    let query: Value = serde_json::from_str(&body).unwrap();
    query["tables"][0].clone()
}

/// Puts a file into its place as a whole.
fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

fn commit_balances(data: &Path, query: &str) {
    let ledger = last_commit(data, "join", query)["ledger"].clone();
    let number = |name: &str| ledger[name].as_u64().unwrap();
    let fates = ["emitted", "aggregated", "unmatched", "filtered", "quarantined", "late", "deduplicated"];
    assert_eq!(number("read"), fates.iter().map(|fate| number(fate)).sum::<u64>(), "{ledger}");
}

#[test]
fn a_register_changes_breaks_and_is_mended_while_it_is_joined() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let register = data.join("devices.csv");
    let file = joining(
        folder.path(),
        log.address,
        "{ format: csv, path: devices.csv, schema: \"id STRING, site STRING\", options: { header: true } }",
        "{ processingTime: 10 milliseconds }",
    );
    let missing = run(&data, &file).output().unwrap();
    assert!(!missing.status.success());
    let said = text(&missing.stderr);
    for part in [
        "FB-2007",
        "join.yaml:9:3",
        "the table `devices`: there is no such file",
        "Put the file into its place",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    let validated = succeed(&mut forebay(&data, &["validate", &file]));
    let said = text(&validated.stderr);
    for part in ["warning[FB-2007]", "1 warning in", "is valid", "`forebay run` refuses it until"] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    let planned = forebay(&data, &["plan", &file]).output().unwrap();
    let said = text(&planned.stdout);
    assert_eq!(planned.status.code(), Some(1), "{said}");
    assert!(said.contains("`forebay run` would refuse the file: a table is not there"), "{said}");

    put(&register, "id,site\na,one\n");
    let mut process = Process::spawn(&mut run(&data, &file));
    let http = process.address("http");
    log.produce("events", &[event("a", 0), event("b", 1)]);
    eventually("the first rows", PATIENCE, || sites(&data) == ["0 one", "1 -"]);
    let first = table_of(http, "out");
    assert_eq!(
        (&first["name"], &first["rows"], &first["error"]),
        (&"devices".into(), &1.into(), &Value::Null)
    );

    put(&register, "id,site\na,two\nb,two\na,again\n");
    eventually("the new register", PATIENCE, || table_of(http, "out")["version"] != first["version"]);
    log.produce("events", &[event("a", 2), event("b", 3)]);
    eventually("rows of the new register", PATIENCE, || {
        sites(&data) == ["0 one", "1 -", "2 again", "2 two", "3 two"]
    });
    let second = table_of(http, "out");
    let (_, progress) = get(http, "/api/v1/queries/out/progress");
    let progress: Value = serde_json::from_str(&progress).unwrap();
    let last = progress.as_array().unwrap().last().unwrap();
    assert_eq!(last["forebay"]["tables"]["devices"], second["version"], "{last}");

    put(&register, "id,site\n\"a,three");
    eventually("the broken register is told", PATIENCE, || {
        table_of(http, "out")["error"]["code"] == "FB-2007"
    });
    let (status, health) = get(http, "/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["status"]), (200, &"ok".into()), "what runs is well: {health}");
    let told = &health["brokenTables"][0];
    assert_eq!((&told["name"], &told["version"]), (&"devices".into(), &second["version"]), "{health}");
    assert!(told["error"]["place"].as_str().unwrap().ends_with("devices.csv:2"), "its line: {told}");
    let (since, metrics) = (&told["since"], get(http, "/metrics").1);
    assert!(since.is_string() && metrics.contains("query=\"out\",table=\"devices\"} "), "{told}\n{metrics}");
    log.produce("events", &[event("b", 4)]);
    eventually("the last good register holds", PATIENCE, || sites(&data).last().unwrap() == "4 two");

    put(&register, "id,site\nb,four\n");
    eventually("the mended register", PATIENCE, || {
        let now = table_of(http, "out");
        now["error"].is_null() && now["version"] != second["version"]
    });
    log.produce("events", &[event("b", 5), event("a", 6)]);
    eventually("rows of the mended register", PATIENCE, || {
        sites(&data).ends_with(&["5 four".into(), "6 -".into()])
    });
    eventually("the other queries are as far", PATIENCE, || {
        ["twice", "once"].iter().all(|name| {
            let (_, body) = get(http, &format!("/api/v1/queries/{name}"));
            let query: Value = serde_json::from_str(&body).unwrap();
            query["ledger"]["read"] == 7
        })
    });
    eventually("the alert on a view over both is open", PATIENCE, || {
        let (_, alerts) = get(http, "/api/v1/alerts");
        alerts.contains("\"high\"") && alerts.contains("\"b\"")
    });
    assert!(process.stop().0);
    commit_balances(&data, "out");
    commit_balances(&data, "twice");
    commit_balances(&data, "once");
    let asked = succeed(&mut forebay(
        &data,
        &["query", "--pipeline", &file, "--format", "json", "SELECT site FROM devices"],
    ));
    assert_eq!(text(&asked.stdout).trim(), "{\"site\":\"four\"}");
}

/// Appends these to the Delta table `devices`, by a pipeline of its own.
fn register(data: &Path, folder: &Path, log: SocketAddr, devices: &[(&str, &str)]) {
    let file: PathBuf = folder.join("register.yaml");
    let text = format!(
        "pipeline: register\n\
         sources:\n  devices:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: devices, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: id STRING, site STRING\n\
         queries:\n  devices:\n    sql: SELECT * FROM devices\n    format: delta\n    options: {{ path: devices }}\n    trigger: availableNow\n"
    );
    std::fs::write(&file, text).unwrap();
    let lines: Vec<String> =
        devices.iter().map(|(id, site)| format!("{{\"id\": \"{id}\", \"site\": \"{site}\"}}")).collect();
    produce(log, "devices", &lines);
    succeed(&mut run(data, &file.display().to_string()));
}

#[test]
fn a_delta_register_grows_by_another_process_while_it_is_joined() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    make_topic(log.address, "devices", 1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let table = "{ format: delta, path: devices }";
    let file = joining(folder.path(), log.address, table, "{ processingTime: 10 milliseconds }");
    register(&data, folder.path(), log.address, &[("a", "one")]);
    let mut process = Process::spawn(&mut run(&data, &file));
    let http = process.address("http");
    log.produce("events", &[event("a", 0), event("b", 1)]);
    eventually("the first rows", PATIENCE, || sites(&data) == ["0 one", "1 -"]);
    let first = table_of(http, "out");
    assert_eq!((&first["rows"], &first["error"]), (&1.into(), &Value::Null), "{first}");

    register(&data, folder.path(), log.address, &[("b", "two"), ("a", "again")]);
    eventually("the new version", PATIENCE, || table_of(http, "out")["version"] != first["version"]);
    let second = table_of(http, "out");
    assert_eq!((&second["rows"], &second["error"]), (&3.into(), &Value::Null), "{second}");
    log.produce("events", &[event("a", 2), event("b", 3)]);
    eventually("rows of the new version", PATIENCE, || {
        sites(&data) == ["0 one", "1 -", "2 again", "2 one", "3 two"]
    });
    let (_, progress) = get(http, "/api/v1/queries/out/progress");
    let progress: Value = serde_json::from_str(&progress).unwrap();
    let last = progress.as_array().unwrap().last().unwrap();
    assert_eq!(last["forebay"]["tables"]["devices"], second["version"], "{last}");
    assert!(process.stop().0);
    commit_balances(&data, "out");
}

#[test]
fn an_epoch_that_is_repeated_is_joined_with_the_version_of_its_plan() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    make_topic(log.address, "devices", 1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = joining(folder.path(), log.address, "{ format: delta, path: devices }", "availableNow");
    register(&data, folder.path(), log.address, &[("a", "one")]);
    log.produce("events", &[event("a", 0), event("b", 1)]);
    let only = ["run", &file, "--embedded-log", "never", "--no-live", "--query", "out"];
    let died = armed(&mut forebay(&data, &only), "epoch.read.after", "kill").output().unwrap();
    assert!(died_there(died.status), "{}", text(&died.stderr));
    register(&data, folder.path(), log.address, &[("b", "two")]);
    succeed(&mut forebay(&data, &only));
    assert_eq!(sites(&data), ["0 one", "1 -"], "the register had no b when the epoch was planned");
    log.produce("events", &[event("b", 2)]);
    succeed(&mut forebay(&data, &only));
    assert_eq!(sites(&data), ["0 one", "1 -", "2 two"]);
    commit_balances(&data, "out");
    let why = succeed(&mut forebay(
        &data,
        &[
            "why",
            "row",
            "--key",
            "b",
            "--pipeline",
            &file,
            "--at",
            "2020-01-01T00:00:00Z",
            "--within",
            "20000 days",
        ],
    ));
    let shown = text(&succeed(&mut forebay(&data, &["checkpoint", "show", &file, "out"])).stdout);
    assert!(shown.contains("[0, 2), joined with `devices` version 1"), "{shown}");
    let why = text(&why.stdout);
    assert!(
        why.contains("joined with `devices` version 1") && why.contains("joined with `devices` version 2"),
        "{why}"
    );
}
