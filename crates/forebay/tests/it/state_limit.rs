//! A query that would remember more than it may: it ends, says what to do, and goes on once that is done.

use crate::support::*;

const DEVICES: u64 = 6_000;

fn pipeline(bootstrap: &str, limit: &str) -> String {
    format!(
        "pipeline: limited
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 1000 }}
    value: json
    schema: device STRING
queries:
  counted:
    sql: SELECT device, count(*) AS n FROM events GROUP BY device
    outputMode: update
    stateLimit: {limit}
    format: delta
    options: {{ path: counted }}
    trigger: availableNow
"
    )
}

#[test]
fn a_query_at_its_limit_says_what_helps_and_goes_on_with_a_larger_one() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    // Each device twice.
    let line = |seq: u64| serde_json::json!({"device": format!("d{}", seq % DEVICES)}).to_string();
    log.produce("events", &(0..2 * DEVICES).map(line).collect::<Vec<_>>());
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("limited.yaml");
    let run = |limit: &str| {
        std::fs::write(&file, pipeline(&log.address.to_string(), limit)).unwrap();
        forebay(data.path(), &["run", file.to_str().unwrap()])
    };
    let rows = || query(data.path(), "SELECT count(*) AS devices, sum(n) AS n FROM delta.`counted`");
    let mut before = Vec::new();
    for attempt in 0..2 {
        let ended = end_within(std::time::Duration::from_secs(60), &mut run("128KiB"));
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        for part in ["FB-4006", "its limit is 131072", "Raise `queries.NAME.stateLimit`"] {
            assert!(said.contains(part), "`{part}` is missing in {said}");
        }
        let kept = rows();
        assert!((1..DEVICES).contains(&kept[0]["devices"].as_u64().unwrap()), "{kept:?}");
        assert!(attempt == 0 || kept == before, "a second attempt gives the sink nothing: {kept:?}");
        before = kept;
    }
    succeed(&mut run("64MiB"));
    assert_eq!(rows(), [serde_json::json!({"devices": DEVICES, "n": 2 * DEVICES})]);
    let ledger = &last_commit(data.path(), "limited", "counted")["ledger"];
    assert_eq!(
        (&ledger["read"], &ledger["aggregated"]),
        (&(2 * DEVICES).into(), &(2 * DEVICES).into()),
        "{ledger}"
    );
}
