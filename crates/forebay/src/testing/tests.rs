//! What a test gives, what comes of it, and what is told when it is not as expected.

use std::path::Path;

use super::check::{What, check};
use super::run::{Why, run};
use super::*;
use crate::load;

mod at_rest;
mod detectors;
mod exploded;
mod keys;
mod pushed;
mod time;
mod united;

/// A pipeline in whose place of `TESTS` the tests are put.
const FILE: &str = "pipeline: p\n\
    sources:\n\
    \x20 iot:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: iot_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: \"device_id STRING, v DOUBLE, ts INT, tags ARRAY<STRING>, place STRUCT<hall: INT>\"\n\
    \x20   watermark: { column: timestamp_seconds(ts), delay: 10 seconds, idleTimeout: 30 seconds }\n\
    \x20 raw: { format: kafka, options: { subscribe: \"a, b\", kafka.bootstrap.servers: \"nobody.invalid:1\" } }\n\
    queries:\n\
    \x20 all: { sql: SELECT * FROM iot, format: console }\n\
    \x20 minutes:\n\
    \x20   sql: SELECT window.start AS minute, device_id, COUNT(*) AS n, CAST(SUM(v) AS DECIMAL(10, 2)) AS total FROM iot GROUP BY window(timestamp_seconds(ts), '1 minute'), device_id\n\
    \x20   format: console\n\
    \x20 now:\n\
    \x20   sql: SELECT device_id, COUNT(*) AS n FROM iot GROUP BY device_id\n\
    \x20   format: console\n\
    \x20   outputMode: update\n\
    \x20 texts: { sql: \"SELECT CAST(key AS STRING) AS k, CAST(value AS STRING) AS v, topic, partition, timestamp FROM raw\", format: console }\n\
    alerts:\n\
    \x20 hot: { on: iot, key: device_id, when: v > 75, clear: v < 65, for: 10 seconds }\n";

/// What is wrong with tests, a line each.
fn wrong(tests: &str) -> Vec<String> {
    let text = format!("{FILE}tests:\n{tests}");
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    let lines_before = FILE.lines().count() + 1;
    let told = problems.iter().map(|problem| {
        let (line, error) = (problem.line - lines_before - 1, &problem.error);
        format!("{line}:{} {} {} {}", problem.column, error.code().id, error.message(), error.hint())
    });
    told.collect()
}

/// What came of tests: the text that is shown of each.
async fn came(tests: &str) -> Vec<String> {
    let text = format!("{FILE}tests:\n{tests}");
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let mut all = Vec::new();
    for test in &tests {
        let outcome = run(test, &loaded).await.unwrap();
        let shown = report::text(test, &outcome, false);
        all.push(
            shown
                .split_once('(')
                .map(|(head, rest)| {
                    let (_, rest) = rest.split_once(" ms)").unwrap();
                    format!("{head}{rest}")
                })
                .unwrap(),
        );
    }
    all
}

async fn all_ok(tests: &str) {
    for shown in came(tests).await {
        assert!(shown.starts_with("ok  "), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_its_tests_say() {
    let examples = crate::load::tests::examples();
    for entry in std::fs::read_dir(examples.path()).unwrap() {
        let path = entry.unwrap().path();
        let is_pipeline = path.extension().is_some_and(|it| it == "yaml")
            && !path.to_string_lossy().ends_with(".test.yaml");
        if !is_pipeline {
            continue;
        }
        let (loaded, tests) = load_or_explain(&path, None, (None, examples.path())).unwrap().unwrap();
        assert!(!tests.is_empty(), "{} carries tests", path.display());
        for test in &tests {
            let outcome = run(test, &loaded).await.unwrap();
            let shown = report::text(test, &outcome, false);
            assert!(outcome.failures.is_empty(), "{}: {shown}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_comes_as_it_is_written() {
    all_ok(
        "  - name: decoded\n    \
             given:\n      iot:\n        \
               - { device_id: d1, v: 1.5, ts: 5, tags: [a, b], place: { hall: 3 } }\n        \
               - '{\"device_id\": \"d2\"}'\n        \
               - { _kafka: { value: '{\"device_id\": \"d3\"}', partition: 2 } }\n    \
             expect:\n      queries:\n        all:\n          \
               rows:\n            \
                 - { device_id: d3, v: null }\n            \
                 - { device_id: d1, v: 1.5, ts: 5, tags: [a, b], place: { hall: 3 } }\n            \
                 - { device_id: d2, ts: ~ }\n          \
               ledger: { read: 3, emitted: 3, rowsOut: 3 }\n  \
         - name: raw\n    at: 2026-11-21 10:00\n    \
             given:\n      raw:\n        \
               - plain\n        \
               - { value: { a: 1.10 }, key: 5, partition: 1, timestamp: +5s }\n        \
               - { value: null, topic: b, timestamp: 1000 }\n      b: [ other ]\n    \
             expect:\n      queries:\n        texts:\n          rows:\n            \
               - { k: null, v: plain, topic: a, partition: 0, timestamp: 10:00:00 }\n            \
               - { k: \"5\", v: '{\"a\": 1.10}', topic: a, partition: 1, timestamp: 2026-11-21T11:00:05+01:00 }\n            \
               - { v: ~, topic: b, timestamp: 1970-01-01 00:00:01 }\n            \
               - { v: other, topic: b }\n",
    )
    .await;
}

/// An hour of events takes no hour, and time alone does what it does in a run.
#[tokio::test(flavor = "multi_thread")]
async fn time_passes_on_the_clock_of_the_test() {
    all_ok(
        "  - name: an hour\n    \
             steps:\n      \
               - given: { iot: [ { device_id: d, v: 1.25, ts: 5 } ] }\n        \
                 expect: { queries: { minutes: { rows: [] } } }\n      \
               - at: +1 hour\n        \
                 given: { iot: [ { device_id: d, v: 9, ts: 30 }, { device_id: d, v: 2, ts: 3600 } ] }\n        \
                 expect:\n          queries:\n            minutes:\n              \
                   rows: [ { minute: 00:00:00, n: 1, total: 1.25 } ]\n              \
                   late: [ { v: 9, _late: { late_by_ms: 30000, window: { end: 00:01:00 } } } ]\n              \
                   ledger: { late: 1 }\n  \
         - name: a clock that runs ahead makes nobody late\n    \
             given: { iot: [ { device_id: fast, v: 1, ts: 400 } ] }\n    \
             steps: [ { at: +1 second, given: { iot: [ { device_id: d, v: 1, ts: 5 } ] } } ]\n    \
             expect: { queries: { minutes: { rows: [], late: [], ledger: { aggregated: 2 } } } }\n  \
         - name: an alert opens when its condition has held for ten seconds\n    \
             given: { iot: [ { device_id: d, v: 80 } ] }\n    \
             steps:\n      \
               - { at: 00:00:09, given: { iot: [ { device_id: d, v: 81 } ] }, expect: { alerts: { hot: [] } } }\n      \
               - at: 00:00:10\n        given: { iot: [ { device_id: d, v: 82 } ] }\n        \
                 expect: { alerts: { hot: [ { key: d, state: open, severity: warning, openedAt: 00:00:10, clearedAt: null, value: { v: 82 } } ] } }\n      \
               - { at: 00:00:20, given: { iot: [ { device_id: d, v: 60 } ] }, expect: { alerts: { hot: [ { state: cleared, clearedAt: 00:00:20 } ] } } }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_update_mode_the_newest_row_of_each_key_is_there() {
    all_ok(
        "  - name: counts\n    \
             steps:\n      \
               - given: { iot: [ { device_id: a }, { device_id: b } ] }\n        \
                 expect: { queries: { now: { rows: [ { device_id: a, n: 1 }, { device_id: b, n: 1 } ] } } }\n      \
               - given: { iot: [ { device_id: a } ] }\n        \
                 expect: { queries: { now: { rows: [ { device_id: b, n: 1 }, { device_id: a, n: 2 } ], contains: [ { n: 2 } ] } } }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_expected_is_shown_beside_what_was_found() {
    let shown = came(
        "  - name: wrong\n    given:\n      iot: [ { device_id: d1, v: 20.5 }, { device_id: d2, v: 3 }, { device_id: \"7\", v: 4 } ]\n    \
             expect:\n      queries:\n        all:\n          rows:\n            \
               - { device_id: d2, v: 3 }\n            \
               - { device_id: d1, v: 20.6 }\n          quarantined: [ json.truncated ]\n          ledger: { filtered: 1 }\n    \
             steps: [ { expect: { queries: { all: { contains: [ { device_id: d9 } ] } }, alerts: { hot: [ { key: d1 } ] } } } ]\n",
    )
    .await
    .concat();
    for part in [
        "FAIL  wrong  \n\n  p.yaml:",
        ": by 00:00:00 some of the rows of `all`: 0 as expected, 1 missing\n\n               device_id\n    - line ",
        ": by 00:00:00 the alerts of `hot`: 0 as expected, 1 missing\n",
        ": by 00:00:00 the rows of `all`: 1 as expected, 1 not as expected, 1 too much\n",
        "device_id  v     ts    tags  place\n",
        "  d1         20.6\n",
        "    + found    d1         20.5\n                          ^^^^\n",
        "    + found    \"7\"        4.0   null  null  null\n",
        ": by 00:00:00 the quarantine of `all`: 0 as expected, 1 missing\n",
        ": by 00:00:00 the ledger of `all`: 0 as expected, 1 not as expected\n",
        "filtered\n",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
}

/// Nothing hangs: an error that a run would try again ends the test, and one that ends a query is told with its code.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_is_a_failure_of_the_test() {
    let text = format!(
        "{}quarantine: {{ maxBytes: 1 }}\ntests:\n  - name: full\n    steps:\n      - given: {{ iot: [ x ] }}\n      - given: {{ iot: [ y ] }}\n    expect: {{ queries: {{ all: {{ rows: [] }} }} }}\n",
        FILE
    );
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    let outcome = run(&tests[0], &loaded).await.unwrap();
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    let Why::Failed(error) = &failure.why else { panic!("{failure:?}") };
    assert_eq!(error.code(), &codes::QUARANTINE_FULL);
}

#[test]
fn everything_that_is_wrong_with_a_test_is_told_at_once() {
    let told = wrong(
        "  - name: a\n    given:\n      iott: [ x ]\n      iot:\n        \
             - { v: 1, _kafka: { value: x } }\n        \
             - { _kafka: { part: 1, partition: -1, timestamp: soon } }\n      \
             raw: [ { vlue: 1 } ]\n    \
           expect:\n      queries:\n        alll: { rows: [] }\n        hot: { rows: [] }\n        minutes:\n          \
             rows:\n            \
               - { minte: 00:00:00, n: many }\n            \
               - { minute: noon, total: 1e3, device_id: [ d ] }\n            \
               - d1\n          \
             quarantined: [ { cod: x } ]\n          late: [ x ]\n        \
           all: { contains: [ { place: { hal: 1 }, tags: a } ] }\n      \
           alerts:\n        hott: []\n        hot: [ { stat: open, openedAt: soon }, { state: opn } ]\n",
    );
    for (place, part) in [
        ("2:7", "FB-1003 unknown source, topic or gateway `iott` Did you mean `iot`?"),
        ("4:11", "FB-1005 the record has fields and a value of its own"),
        ("5:23", "FB-1003 unknown column `part` of a record"),
        ("5:", "`partition` is -1"),
        ("5:", "`timestamp` is \"soon\""),
        ("6:16", "unknown column `vlue` of a record Did you mean `value`?"),
        ("9:9", "FB-1003 unknown query `alll` Did you mean `all`?"),
        ("10:9", "unknown query `hot` It is an alert"),
        ("13:17", "unknown column `minte` of query `minutes` Did you mean `minute`?"),
        ("13:", "`n` is BIGINT, and `\"many\"` can never be one"),
        ("14:", "`minute` is TIMESTAMP, and `\"noon\"` can never be one"),
        ("14:", "`total` is DECIMAL(10,2), and `1e3` can never be one"),
        ("14:", "`device_id` is STRING, and `[\"d\"]` can never be one"),
        ("15:15", "a row is a mapping"),
        ("16:28", "unknown column `cod` of a quarantined record Did you mean `code`?"),
        ("17:19", "a row is a mapping"),
        ("18:", "unknown field `hal` of `place` Did you mean `hall`?"),
        ("18:", "`tags` is ARRAY<STRING>, and `\"a\"` can never be one"),
        ("20:9", "unknown alert `hott` Did you mean `hot`?"),
        ("21:", "unknown column `stat` of an alert Did you mean `state`?"),
        ("21:", "`openedAt` is TIMESTAMP"),
        ("21:", "the state of an alert is `open` or `cleared`"),
    ] {
        let is_there = |told: &String| told.starts_with(place) && told.contains(part);
        assert!(told.iter().any(is_there), "`{place} {part}` is missing in {told:#?}");
    }
    assert_eq!(told.len(), 22, "{told:#?}");
}

#[test]
fn that_no_row_is_late_cannot_be_expected_where_none_can_be() {
    let told = wrong(
        "  - name: never late\n    expect:\n      queries:\n        \
           all: { rows: [], late: [], ledger: { read: 0, late: 0 } }\n        \
           now: { late: [] }\n        \
           minutes: { late: [], ledger: { late: 0 } }\n",
    );
    for (place, query) in [("3:", "all"), ("4:", "now")] {
        let message = format!("FB-1005 no row can be late for `{query}`, so that none is can never fail");
        let is_there = |told: &String| told.starts_with(place) && told.contains(&message);
        assert!(told.iter().any(is_there), "`{place} {message}` is missing in {told:#?}");
    }
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn a_test_is_found_by_a_part_of_its_name() {
    let text = format!(
        "{FILE}tests:\n  - {{ name: A late row, expect: {{ queries: {{ all: {{ rows: [] }} }} }} }}\n  - {{ name: other, expect: {{ queries: {{ all: {{ rows: [] }} }} }} }}\n"
    );
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut Vec::new());
    let found = |filter| chosen(&tests, Path::new("p.yaml"), filter).map(|found| found.len());
    assert_eq!((found(None).ok(), found(Some("LATE")).ok()), (Some(2), Some(1)));
    assert_eq!(found(Some("nothing")).unwrap_err().code(), &codes::WRONG_USE);
    assert!(chosen(&[], Path::new("p.yaml"), None).unwrap_err().hint().contains("tests:"));
    assert_eq!(tests[0].steps.last().unwrap().claims[0].what, What::Rows);
}
