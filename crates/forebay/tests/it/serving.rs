//! REST, metrics and health.

use std::time::Duration;

use serde_json::Value;

use crate::support::*;

#[test]
fn rest_and_metrics_tell_the_truth_about_a_query() {
    let log = LogServer::start();
    log.produce("events", &proof_events(500));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let mut process =
        Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "default"]));
    let http = process.address("http");
    eventually("500 records", Duration::from_secs(20), || {
        get(http, "/api/v1/ledger").1.contains("\"read\":500")
    });
    let (status, body) = get(http, "/api/v1/queries/lake");
    let query: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(query["ledger"]["balances"], true);
    assert_eq!(query["error"], Value::Null);
    let progress: Value = serde_json::from_str(&get(http, "/api/v1/queries/lake/progress").1).unwrap();
    let read: u64 =
        progress.as_array().unwrap().iter().map(|report| report["numInputRows"].as_u64().unwrap()).sum();
    assert_eq!(read, 500);
    let last = progress.as_array().unwrap().last().unwrap();
    for field in [
        "id",
        "runId",
        "name",
        "timestamp",
        "batchId",
        "durationMs",
        "sources",
        "sink",
        "processedRowsPerSecond",
    ] {
        assert!(last.get(field).is_some(), "Spark's field {field} is missing in {last}");
    }
    let (status, metrics) = get(http, "/metrics");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("forebay_records_read_total{pipeline=\"copy\",query=\"lake\"} 500"),
        "{metrics}"
    );
    assert!(metrics.contains("# TYPE forebay_records_in_flight gauge"), "{metrics}");
    assert!(metrics.contains("forebay_records_in_flight{pipeline=\"copy\",query=\"lake\"} 0"), "{metrics}");
    assert_eq!(get(http, "/health").0, 200);
    let (_, root) = get(http, "/api/v1");
    let root: Value = serde_json::from_str(&root).unwrap();
    let listed: Vec<&String> = root["endPoints"].as_object().unwrap().keys().collect();
    assert!(listed.len() >= 7, "{listed:?}");
    // What needs a parameter, changes something or never ends has tests of its own.
    let is_plain = |path: &&&String| {
        let others = [
            "/assets/{name}",
            "/api/v1/cycles/{query}/archives/{name}",
            "/api/v1/device",
            "/api/v1/device/history",
            "/api/v1/live",
        ];
        !path.contains('?') && path.starts_with('/') && !others.contains(&path.as_str())
    };
    for path in listed.iter().filter(is_plain) {
        let path = path.replace("pipelines/{name}", "pipelines/copy");
        let (status, body) = get(http, &path.replace("{name}", "lake"));
        assert_eq!(status, 200, "{path} is listed and answers");
        assert!(body.ends_with('\n'), "{path}: the next prompt begins a line of its own");
    }
    assert_eq!(get(http, "/api/v1/queries/nobody").0, 404);
    let (status, body) = get(http, "/nothing");
    assert!(status == 404 && body.ends_with('\n'), "{status} {body}");
    assert_eq!(
        get_with_host(http, "/api/v1/ledger", "evil.example").0,
        403,
        "a page elsewhere cannot read it"
    );
    assert!(process.stop().0);
}

#[test]
fn health_says_that_a_source_is_down_and_recovers() {
    let address = free_address();
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), address, "events", 700);
    let started = std::time::Instant::now();
    let args = ["run", file.to_str().unwrap(), "--trigger", "default", "--embedded-log", "never"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    eventually("health says so", Duration::from_secs(40), || {
        let (status, body) = get(http, "/health");
        status == 503 && body.contains("FB-2001")
    });
    let (_, query) = get(http, "/api/v1/queries/lake");
    assert!(query.contains("\"lag\":null"), "how much waits is not known: {query}");
    assert!(!get(http, "/metrics").1.contains("forebay_lag_records{"));
    let log_data = tempfile::tempdir().unwrap();
    let mut log =
        Process::spawn(&mut forebay(log_data.path(), &["log", "serve", "--listen", &address.to_string()]));
    log.address("kafka");
    produce(address, "events", &proof_events(20));
    eventually("the rows", Duration::from_secs(60), || {
        table_rows(data.path(), &data.path().join("table")).len() == 20
    });
    eventually("health", Duration::from_secs(10), || get(http, "/health").0 == 200);
    process.wait_for("works again", Duration::from_secs(10));
    let told = process.said.iter().filter(|line| line.contains("trying again")).count();
    let most = 2 + started.elapsed().as_secs() as usize / 10;
    assert!((1..=most).contains(&told), "{told} times: {:#?}", process.said);
    assert!(process.stop().0);
}

#[test]
fn what_arrives_while_a_query_pauses_is_its_lag() {
    let log = LogServer::start();
    log.produce("events", &proof_events(20));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "1 hour"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    let lag = |records: u64| get(http, "/api/v1/queries/lake").1.contains(&format!("\"lag\":{records},"));
    eventually("the first epoch", Duration::from_secs(20), || {
        get(http, "/api/v1/ledger").1.contains("\"read\":20") && lag(0)
    });
    log.produce("events", &proof_events(5));
    eventually("what waits", Duration::from_secs(10), || lag(5));
    assert!(get(http, "/metrics").1.contains("forebay_lag_records{pipeline=\"copy\",query=\"lake\"} 5"));
    assert!(process.stop().0);
}

#[test]
fn a_query_that_is_stopped_over_http_goes_on_where_it_was() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    let reads = |count: u64| get(http, "/api/v1/ledger").1.contains(&format!("\"read\":{count}"));
    let is = |state: &str| get(http, "/api/v1/queries/lake").1.contains(&format!("\"state\":\"{state}\""));
    eventually("100 records", Duration::from_secs(20), || reads(100));
    assert_eq!(post(http, "/api/v1/queries/lake/start", "").0, 409, "it runs");
    assert_eq!(post(http, "/api/v1/queries/lake/stop", "").0, 202);
    eventually("it has stopped", Duration::from_secs(10), || is("stopped"));
    assert_eq!(post(http, "/api/v1/queries/lake/stop", "").0, 409, "it has ended");
    log.produce("events", &proof_events(20));
    assert_eq!(post(http, "/api/v1/queries/lake/start", "").0, 202);
    eventually("the rest", Duration::from_secs(20), || reads(120));
    let (status, rows) = post(http, "/api/v1/sql", "{\"sql\": \"SELECT count(*) AS n FROM lake\"}");
    assert!(status == 200 && rows.contains("\"rows\":[[120]]"), "{status} {rows}");
    let (status, refused) = post(http, "/api/v1/sql", "{\"sql\": \"SELECT * FROM delta.`/etc`\"}");
    assert!(status == 400 && refused.contains("FB-4002"), "{status} {refused}");
    process.signal("TERM");
    let ended = process.wait_for("rows out", Duration::from_secs(20));
    assert!(ended.contains("120 read = 120 emitted (balances), 120 rows out"), "of both starts: {ended}");
    assert!(process.stop().0);
}
