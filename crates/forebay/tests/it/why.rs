//! `forebay why`: what became of a record.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::first_minutes::said;
use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Each of these stands in what was told.
fn tells(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
}

#[test]
fn why_row_tells_what_became_of_each_record_of_a_device() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let lines = [
        "{\"device_id\": \"press-1\", \"temperature\": 71.5}",
        "{\"device_id\": \"press-2\", \"temperature\": 99}",
        "{\"device_id\": \"press-1\", \"temperature\": 20}",
        "{\"device_id\": \"press-1\", \"temperature\": \"hot\"}",
    ]
    .map(str::to_owned);
    log.produce("iot", &lines);
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
         queries:\n  lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options: {{ path: t }}\n    trigger: availableNow\n\
         \x20 hot:\n    sql: SELECT device_id, _kafka.offset FROM iot WHERE temperature > 70\n    format: delta\n    options: {{ path: h }}\n    trigger: availableNow\n\
         alerts:\n  overheat: {{ on: iot, key: device_id, when: temperature > 70, clear: temperature < 65 }}\n",
        log.address
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let args = ["why", "row", "--pipeline", path, "--key", "press-1", "--at", &now, "--within", "1 hour"];
    let why = || text(&succeed(&mut forebay(data.path(), &args)).stdout);
    assert!(why().contains("lake: it has not run yet; comes out as a row"), "{}", why());
    let condition =
        "alerts/overheat: it has not run yet; key `press-1`: `when` holds, `clear` does not hold\n";
    assert!(why().contains(condition), "{}", why());
    succeed(&mut forebay(data.path(), &["run", path, "--trigger", "availableNow"]));
    let told = why();
    let records: Vec<&str> = told.split("iot-0 offset ").skip(1).collect();
    assert_eq!(records.len(), 3, "{told}");
    for (record, parts) in records.iter().zip([
        [
            "0,",
            "lake: read by epoch 0 (committed); comes out as a row",
            "hot: read by epoch 0 (committed); comes out as a row",
            "alerts/overheat: read by epoch 0 (committed); key `press-1`: `when` holds, `clear` does not hold, opened overheat/press-1/",
        ],
        [
            "2,",
            "lake: read by epoch 0 (committed); comes out as a row",
            "filtered: `temperature > 70` does not hold",
            "key `press-1`: `when` does not hold, `clear` holds, cleared overheat/press-1/",
        ],
        [
            "3,",
            "does not decode: json.type at $.temperature",
            "in the quarantine: `forebay quarantine show iot/0/3`",
            "alerts/overheat: read by epoch 0 (committed); it has no row to look at",
        ],
    ]) {
        assert!(parts.iter().all(|part| record.contains(part)), "{parts:?}\n{record}");
    }
    log.produce("iot", &lines[..1]);
    assert!(why().contains("lake: not read yet; comes out as a row"), "{}", why());
    // The same from a file that names another place for the embedded log.
    let moved = data.path().join("moved.yaml");
    std::fs::write(&moved, pipeline.replace(&log.address.to_string(), "127.0.0.1:1")).unwrap();
    let kafka = log.address.to_string();
    let moved = ["why", "row", "--pipeline", moved.to_str().unwrap(), "--key", "press-1", "--at", &now];
    let moved = [&moved[..], &["--within", "1 hour", "--kafka", &kafka]].concat();
    let told = text(&succeed(&mut forebay(data.path(), &moved)).stdout);
    assert_eq!(told.matches("iot-0 offset ").count(), 4, "{told}");
    let none = ["why", "row", "--pipeline", path, "--key", "press-9", "--at", "2026-01-01 12:00"];
    let none = forebay(data.path(), &none).output().unwrap();
    assert_eq!(none.status.code(), Some(1));
    assert!(
        said(&none).contains("no record of `press-9` in source `iot` from 2026-01-01T11:59:30.000Z"),
        "{}",
        said(&none)
    );
}

#[test]
fn why_window_tells_what_is_held_and_what_must_come() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, timestamp INT\n\
         \x20   watermark: {{ column: timestamp_seconds(timestamp), delay: 10 seconds, idleTimeout: 1 hour }}\n\
         queries:\n  minutes:\n    sql: SELECT window.start AS minute, device_id, count(*) AS n FROM iot GROUP BY window(timestamp_seconds(timestamp), '1 minute'), device_id\n\
         \x20   format: delta\n    options: {{ path: m }}\n    trigger: availableNow\n\
         \x20 all: {{ sql: SELECT * FROM iot, format: console, trigger: availableNow }}\n\
         \x20 behind:\n    sql: SELECT window.start AS minute, count(*) AS n FROM iot GROUP BY window(timestamp_seconds(timestamp), '1 minute')\n\
         \x20   format: console\n    trigger: once\n",
        log.address
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    // 2026-09-21T14:14:00Z, the start of a minute.
    const START: i64 = 1_790_000_040;
    let run = |events: &[(&str, i64)]| {
        let line = |(device, at): &(&str, i64)| {
            format!("{{\"device_id\": \"{device}\", \"timestamp\": {}}}", START + at)
        };
        log.produce("iot", &events.iter().map(line).collect::<Vec<_>>());
        succeed(&mut forebay(data.path(), &["run", path, "--query", "minutes"]));
    };
    let why = |more: &[&str]| {
        let args = [&["why", "window", path, "minutes"], more].concat();
        text(&succeed(&mut forebay(data.path(), &args)).stdout)
    };
    let at = |seconds: i64| (START + seconds).to_string();
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let before = now();
    run(&[("a", 5), ("b", 20), ("a", 65)]);
    let came = before..=now();
    let open = why(&[&at(30)]);
    tells(
        &open,
        &[
            "query `minutes`, mode append: ",
            "watermark  2026-09-21T14:14:55.000Z (after epoch ",
            "iot: its latest event time is 2026-09-21T14:15:05.000Z, less the delay of 10 seconds",
            "window 2026-09-21T14:14:00.000Z to 2026-09-21T14:15:00.000Z\n  open: 2 key(s) held for it: a; b\n",
            "the watermark is 5 seconds before its end",
            "`iot` must show an event time of 2026-09-21T14:15:10.000Z or later, 5 seconds later than it has",
        ],
    );
    let (_, ends) = open.split_once("if nothing more comes, it ends at ").unwrap();
    let (ends, _) = ends.split_once(" (`idleTimeout`)\n").unwrap();
    let ends = chrono::DateTime::parse_from_rfc3339(ends).unwrap().timestamp_millis();
    assert!(came.contains(&(ends - 3_600_000)), "an hour after the records came, {came:?}:\n{open}");
    tells(
        &why(&[]),
        &["14:15:00.000Z\n  open: 2 key(s)", "14:16:00.000Z\n  open: 1 key(s) held for it: a\n"],
    );
    tells(&why(&["-n", "1"]), &["14:15:00.000Z\n  open: 2 key(s)", "\n… and 1 more; `-n` tells of more\n"]);
    tells(&why(&[&at(90), "--key", "b"]), &["open: nothing is held for it"]);
    let once = || {
        succeed(&mut forebay(data.path(), &["run", path, "--query", "behind"]));
        text(&succeed(&mut forebay(data.path(), &["why", "window", path, "behind"])).stdout)
    };
    tells(&once(), &["watermark  none yet (after epoch 0)", "  there is no watermark yet\n"]);
    run(&[("a", 75)]);
    tells(
        &once(),
        &[
            "the next epoch moves the watermark on, to 2026-09-21T14:15:05.000Z\n",
            "  the watermark is 5 seconds before its end; what its sources have shown is beyond it, so the next epoch ends it\n",
        ],
    );
    run(&[("a", 31)]);
    let over = why(&[&at(30)]);
    tells(
        &over,
        &["  over: epoch ", "ended it\n", "1 row(s) came too late for it: SELECT * FROM late.minutes"],
    );
    assert_eq!(why(&[]).matches("open: ").count(), 1, "{}", why(&[]));
    for (query, told) in [("all", "remembers nothing"), ("minute", "Did you mean `minutes`?")] {
        let refused = forebay(data.path(), &["why", "window", path, query]).output().unwrap();
        assert!(!refused.status.success() && said(&refused).contains(told), "{}", said(&refused));
    }
}

#[test]
fn why_row_tells_late_rows_and_rows_that_came_before() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, timestamp INT\n\
         \x20   watermark: {{ column: timestamp_seconds(timestamp), delay: 10 seconds, idleTimeout: 1 hour }}\n\
         queries:\n  minutes:\n    sql: SELECT window.start AS minute, device_id, count(*) AS n FROM iot GROUP BY window(timestamp_seconds(timestamp), '1 minute'), device_id\n\
         \x20   format: delta\n    options: {{ path: m }}\n    trigger: availableNow\n\
         \x20 once:\n    sql: SELECT device_id, timestamp FROM iot\n    deduplicate: {{ keys: [device_id, timestamp] }}\n\
         \x20   format: delta\n    options: {{ path: o }}\n    trigger: availableNow\n",
        log.address
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    // 2020-09-13T12:26:00Z, the start of a minute.
    let line = |at: &i64| format!("{{\"device_id\": \"a\", \"timestamp\": {}}}", 1_599_999_960 + at);
    let send = |events: &[i64]| log.produce("iot", &events.iter().map(line).collect::<Vec<_>>());
    // The watermark is 10 seconds behind 75.
    for events in [&[5, 65][..], &[75], &[31, 5]] {
        send(events);
        succeed(&mut forebay(data.path(), &["run", path]));
    }
    send(&[65]);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let args = ["why", "row", "--pipeline", path, "--key", "a", "--at", &now, "--within", "1 hour"];
    let told = format!("\n{}", text(&succeed(&mut forebay(data.path(), &args)).stdout));
    let records: Vec<&str> = told.split("\niot-0 offset ").skip(1).collect();
    assert_eq!(records.len(), 6, "{told}");
    let first =
        "passes the filters; goes on unless its key was there already (`deduplicate` keeps the first)";
    let counts = "minutes: read by epoch 0 (committed); passes the filters; counts in its group\n";
    for (record, parts) in records.iter().zip([
        ["0,", counts, first],
        ["1,", counts, first],
        ["2,", "(committed); passes the filters; counts in its group\n", first],
        [
            "3,",
            "minutes: read by epoch 4 (committed); late by 34 seconds in epoch 4: it is in late.minutes\n",
            "once: read by epoch 4 (committed); late by 34 seconds in epoch 4: it is in late.once",
        ],
        ["4,", "late by 1 minute in epoch 4: it is in late.minutes\n", "late by 1 minute in epoch 4: it is in late.once"],
        [
            "5,",
            "minutes: not read yet; passes the filters; counts in its group, unless it comes too late\n",
            "once: not read yet; passes the filters; `deduplicate` drops it: iot-0 offset 1 has the same key, unless it comes too late",
        ],
    ]) {
        tells(record, &parts);
    }
    assert_eq!(told.matches(": it is in late.").count(), 4, "{told}");
}

#[test]
fn why_window_tells_of_a_join_which_side_each_row_is_on_and_how_many_are_not_told() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let file = data.path().join("p.yaml");
    let source = |name: &str| {
        format!(
            "  {name}:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: {name}_topic, startingOffsets: earliest }}\n\
             \x20   value: json\n    schema: id STRING, at TIMESTAMP\n    watermark: {{ column: at, delay: 0 seconds }}\n",
            log.address
        )
    };
    let pipeline = format!(
        "pipeline: p\nsources:\n{}{}queries:\n  met:\n\
         \x20   sql: SELECT l.id, r.at FROM l JOIN r ON l.id = r.id AND r.at BETWEEN l.at AND l.at + INTERVAL 1 HOUR\n\
         \x20   format: console\n    trigger: availableNow\n",
        source("l"),
        source("r"),
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    let line =
        |(id, minute): &(&str, i64)| json!({ "id": id, "at": format!("2020-09-13T12:{minute:02}:00Z") });
    let lines = |rows: &[(&str, i64)]| rows.iter().map(|row| line(row).to_string()).collect::<Vec<_>>();
    log.produce("l_topic", &lines(&[("a", 0), ("b", 1), ("c", 2), ("d", 3)]));
    log.produce("r_topic", &lines(&[("x", 10), ("y", 11), ("z", 12)]));
    succeed(&mut forebay(data.path(), &["run", path]));
    let why = |more: &[&str]| {
        let args = [&["why", "window", path, "met"], more].concat();
        text(&succeed(&mut forebay(data.path(), &args)).stdout)
    };
    let (told, all) = (why(&[]), why(&["-n", "7"]));
    tells(
        &told,
        &[
            "query `met`, mode append: rows that meet come out at once; ",
            "right side (`r`): row that may yet meet another, from 2020-09-13T12:10:00.000Z to ",
            "left side (`l`): row that may yet meet another, from 2020-09-13T12:00:00.000Z to 2020-09-13T13:00:00.",
            "\n… and 2 more; `-n` tells of more\n",
        ],
    );
    assert!(!told.contains("a window comes out"), "{told}");
    let sides =
        |told: &str| ["left side (`l`): ", "right side (`r`): "].map(|side| told.matches(side).count());
    assert_eq!((sides(&told), sides(&all)), ([2, 3], [4, 3]), "{told}\n{all}");
    assert!(!all.contains("more; `-n`"), "{all}");
}

#[test]
fn why_window_tells_that_the_clock_moved_the_watermark_while_its_source_was_idle() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, at BIGINT\n\
         \x20   watermark: {{ column: timestamp_millis(at), delay: 5 seconds, idleTimeout: 1 second }}\n\
         queries:\n  seconds:\n    sql: SELECT window.start AS second, count(*) AS n FROM iot GROUP BY window(timestamp_millis(at), '1 second')\n\
         \x20   format: delta\n    options: {{ path: s }}\n",
        log.address
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let event = |device: &str, at: i64| json!({ "device_id": device, "at": at }).to_string();
    // The second of the one is ended by the clock; that of the other stays open.
    log.produce("iot", &[event("good", now), event("fast", now + 2 * 3_600_000)]);
    let _run = Process::spawn(&mut forebay(data.path(), &["run", path]));
    let why = || text(&forebay(data.path(), &["why", "window", path, "seconds"]).output().unwrap().stdout);
    eventually("the clock moved the watermark", PATIENCE, || why().contains("the clock moved it on"));
    let told = why();
    tells(
        &told,
        &[
            "less the delay of 5 seconds: ",
            "      idle since ",
            ": no event time came for 1 second (`idleTimeout`)\n",
            "    the watermark is ahead of that: the clock moved it on while every source was idle, and it never falls\n",
        ],
    );
    let far = ["1 hour 59 minutes ", "2 hours "].map(|far| format!("  the watermark is {far}"));
    assert!(far.iter().any(|far| told.contains(far)), "{told}");
}
