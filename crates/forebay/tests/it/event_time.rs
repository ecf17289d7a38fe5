//! What a run tells of time: a window that ends because its source is silent, rows too late, a clock too fast.

use std::time::{Duration, SystemTime};

use forebay_core::progress::iso_millis;
use serde_json::{Value, json};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;

fn pipeline(log: &LogServer) -> String {
    format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, at BIGINT\n\
         \x20   watermark: {{ column: timestamp_millis(at), delay: 5 seconds, idleTimeout: 1 second }}\n\
         queries:\n  seconds:\n    sql: SELECT window.start AS second, device_id, count(*) AS n FROM iot GROUP BY window(timestamp_millis(at), '1 second'), device_id\n\
         \x20   format: delta\n    options: {{ path: seconds }}\n",
        log.address
    )
}

#[test]
fn a_silent_source_ends_its_windows_and_late_rows_and_fast_clocks_are_told() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    make_topic(log.address, "iot", 1);
    let file = data.path().join("p.yaml");
    std::fs::write(&file, pipeline(&log)).unwrap();
    let path = file.to_str().unwrap();
    let mut run = Process::spawn(&mut forebay(data.path(), &["run", path]));
    let http = run.address("http");
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let event = |device: &str, at: i64| json!({ "device_id": device, "at": at }).to_string();
    let fast = now + 2 * HOUR_MS;
    log.produce("iot", &[event("good", now), event("fast", fast)]);

    // Nothing else comes: only the clock can end the second.
    let rows = || table_rows(data.path(), &data.path().join("seconds"));
    eventually("the second of the good clock", PATIENCE, || !rows().is_empty());
    let [only] = &rows()[..] else { panic!("{:?}", rows()) };
    assert_eq!((&only["device_id"], &only["n"]), (&"good".into(), &1.into()));

    log.produce("iot", &[event("tardy", now - 60_000)]);
    let asked = |path: &str| serde_json::from_str::<Value>(&get(http, path).1).unwrap_or_default();
    eventually("the late row is counted", PATIENCE, || {
        asked("/api/v1/queries/seconds")["remembers"]["late"] == 1
    });
    let query = asked("/api/v1/queries/seconds");
    let held = &query["remembers"];
    assert_eq!(
        (&held["ahead"], &held["keys"]),
        (&1.into(), &1.into()),
        "one row is too far ahead, and held: {query}"
    );
    let end = fast.div_euclid(1_000) * 1_000 + 1_000;
    assert_eq!((held["oldest"].as_i64(), held["newest"].as_i64()), (Some(end), Some(end)), "{query}");
    let watermark = query["watermark"].as_i64().unwrap();
    assert!((now..now + HOUR_MS).contains(&watermark), "the fast clock moved it: {query}");
    assert_eq!((&query["ledger"]["late"], &query["ledger"]["aggregated"]), (&1.into(), &2.into()), "{query}");
    let metrics = get(http, "/metrics").1;
    for name in ["records_late_total", "records_ahead_total", "state_keys"] {
        let line = format!("forebay_{name}{{pipeline=\"p\",query=\"seconds\"}} 1\n");
        assert!(metrics.contains(&line), "`{line}` is missing in\n{metrics}");
    }

    let sql =
        "SELECT device_id, _late.late_by_ms, _late.topic, _late.partition, _late.offset FROM late.seconds";
    let (status, answer) = post(http, "/api/v1/sql", &json!({ "sql": sql }).to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let [row] = &answer["rows"].as_array().unwrap()[..] else { panic!("{status} {answer}") };
    let by = row[1].as_i64().unwrap();
    assert!((59_000..HOUR_MS).contains(&by), "{row}");
    assert_eq!(row, &json!(["tardy", by, "iot", 0, 2]));

    eventually("all devices are seen", PATIENCE, || asked("/api/v1/devices?sort=-clock")["total"] == 3);
    let devices = asked("/api/v1/devices?sort=-clock");
    assert_eq!(
        (&devices["clocks"]["ahead"], &devices["clocks"]["behind"]),
        (&1.into(), &1.into()),
        "{devices}"
    );
    assert_eq!(devices["clocks"]["worst"][0]["key"], "fast");
    let clock = |at: usize| {
        let device = &devices["devices"][at];
        (device["key"].as_str().unwrap(), device["clock"]["state"].as_str().unwrap())
    };
    assert_eq!([clock(0), clock(1), clock(2)], [("fast", "ahead"), ("good", "right"), ("tardy", "behind")]);
    let offset = devices["devices"][0]["clock"]["offset"].as_i64().unwrap();
    assert!((offset - 2 * HOUR_MS).abs() < 60_000, "{devices}");

    assert!(run.stop().0);
    let shown = text(&succeed(&mut forebay(data.path(), &["checkpoint", "show", path, "seconds"])).stdout);
    for part in [
        "  state    aggregate-0.0: 1 key(s), ".to_owned(),
        format!(" bytes, the oldest done at {}\n", iso_millis(end)),
        "  watermark 20".to_owned(),
        "all epochs so far: 3 read = 0 emitted + 2 aggregated + 1 late; rows out 1\n".to_owned(),
    ] {
        assert!(shown.contains(&part), "`{part}` is missing in\n{shown}");
    }
}
