//! Pipelines with tables at rest, also beside joins of streams: what comes out, and that the ledger knows each record once.
#![allow(clippy::disallowed_methods, reason = "tests make their files by hand, as editors do")]

use std::path::Path;

use super::super::check::check;
use super::super::report;
use super::super::run::run;
use crate::load::{self, Loaded};

/// A register in which d1 stands twice, and d9 not at all.
const SITES: &str = "id,site\nd1,hall\nd1,yard\nd2,roof\n";

/// A pipeline over the streams `l` and `r` and the table `sites`, with one query and its tests.
fn pipeline(sql: &str, tests: &str) -> String {
    let stream = |name: &str, value: &str| {
        format!(
            "  {name}:\n    format: kafka\n    options: {{ subscribe: {name}, kafka.bootstrap.servers: \"nobody.invalid:1\" }}\n    \
             value: json\n    schema: id STRING, {value} INT, ts BIGINT\n    \
             watermark: {{ column: timestamp_seconds(ts), delay: 10 seconds }}\n"
        )
    };
    let (left, right) = (stream("l", "v"), stream("r", "w"));
    format!(
        "pipeline: p\nsources:\n{left}{right}\
         tables:\n  sites: {{ format: csv, path: sites.csv, schema: \"id STRING, site STRING\", options: {{ header: true }} }}\n\
         queries:\n  q:\n    format: console\n    sql: {sql}\ntests:\n{tests}"
    )
}

fn loaded(text: &str, data: &Path) -> Loaded {
    let (loaded, of_tests) = load::load_apart(text, "p.yaml", None, Some(data));
    assert!(of_tests.is_empty(), "{of_tests:?}");
    loaded.unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Runs the tests of such a pipeline; all must hold.
async fn holds(sql: &str, tests: &str) {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("sites.csv"), SITES).unwrap();
    let loaded = loaded(&pipeline(sql, tests), data.path());
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty() && !tests.is_empty(), "{problems:?}");
    for test in &tests {
        let outcome = run(test, &loaded).await.unwrap();
        assert!(outcome.failures.is_empty(), "{}", report::text(test, &outcome, false));
    }
    let left: Vec<_> = std::fs::read_dir(data.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["sites.csv"], "a test only reads where the table lies");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_of_a_join_of_streams_is_enriched_by_a_table() {
    holds(
        "SELECT a.id, site, v, w FROM (SELECT l.id, v, _event_time AS at, site FROM l JOIN sites s ON l.id = s.id) a \
         JOIN r ON a.id = r.id AND r._event_time BETWEEN at AND at + INTERVAL 10 SECONDS",
        "  - name: rows of the table are joined, and what has none moves the watermark\n    steps:\n      \
           - given:\n          \
               l: [ { id: d1, v: 1, ts: 100 }, { id: d2, v: 2, ts: 100 }, { id: d9, v: 9, ts: 101 } ]\n          \
               r: [ { id: d1, w: 5, ts: 105 }, { id: d2, w: 6, ts: 111 }, { id: d9, w: 7, ts: 106 } ]\n        \
             expect:\n          queries:\n            q:\n              \
               rows: [ { id: d1, site: hall, v: 1, w: 5 }, { id: d1, site: yard, v: 1, w: 5 } ]\n              \
               ledger: { read: 6, aggregated: 5, unmatched: 1, late: 0, rowsOut: 2 }\n      \
           - given: { l: [ { id: d9, v: 0, ts: 300 } ], r: [ { id: d8, w: 0, ts: 300 } ] }\n      \
           - given: { l: [ { id: d1, v: 3, ts: 110 }, { id: d9, v: 3, ts: 110 } ] }\n        \
             expect:\n          queries:\n            q:\n              \
               late: [ { id: d1, site: hall, v: 3 }, { id: d1, site: yard, v: 3 } ]\n              \
               ledger: { read: 10, aggregated: 6, unmatched: 3, late: 1, rowsOut: 2 }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_counts_the_rows_that_a_table_makes_and_the_ledger_the_records() {
    holds(
        "SELECT window.start AS start, site, count(*) AS n, sum(v) AS total FROM l JOIN sites s ON l.id = s.id \
         GROUP BY window(timestamp_seconds(ts), '10 seconds'), site",
        "  - name: a record with two partners is counted in both sites\n    steps:\n      \
           - given: { l: [ { id: d1, v: 1, ts: 1 }, { id: d1, v: 2, ts: 2 }, { id: d2, v: 3, ts: 3 }, { id: d9, v: 4, ts: 4 } ] }\n      \
           - given: { l: [ { id: d2, v: 5, ts: 100 } ] }\n        \
             expect:\n          queries:\n            q:\n              rows:\n                \
               - { site: hall, n: 2, total: 3 }\n                \
               - { site: yard, n: 2, total: 3 }\n                \
               - { site: roof, n: 1, total: 3 }\n              \
               ledger: { read: 5, aggregated: 4, unmatched: 1, emitted: 0, rowsOut: 3 }\n      \
           - given: { l: [ { id: d1, v: 7, ts: 5 } ] }\n        \
             expect:\n          queries:\n            q:\n              \
               ledger: { read: 6, aggregated: 4, unmatched: 1, late: 1, rowsOut: 3 }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_left_join_with_a_table_goes_on_into_one_of_streams() {
    holds(
        "SELECT l.id, site, v, w FROM l LEFT JOIN sites s ON l.id = s.id LEFT JOIN r ON l.id = r.id \
         AND r._event_time BETWEEN l._event_time AND l._event_time + INTERVAL 10 SECONDS",
        "  - name: what neither has is NULL once nothing can come\n    steps:\n      \
           - given:\n          \
               l: [ { id: d1, v: 1, ts: 100 }, { id: d9, v: 9, ts: 101 } ]\n          \
               r: [ { id: d1, w: 5, ts: 105 } ]\n        \
             expect:\n          queries:\n            q:\n              \
               rows: [ { id: d1, site: hall, v: 1, w: 5 }, { id: d1, site: yard, v: 1, w: 5 } ]\n      \
           - given: { l: [ { id: d2, v: 2, ts: 300 } ], r: [ { id: d8, w: 0, ts: 300 } ] }\n        \
             expect:\n          queries:\n            q:\n              rows:\n                \
               - { id: d1, site: hall, v: 1, w: 5 }\n                \
               - { id: d1, site: yard, v: 1, w: 5 }\n                \
               - { id: d9, site: ~, v: 9, w: ~ }\n              \
               ledger: { read: 5, aggregated: 5, unmatched: 0, emitted: 0, rowsOut: 3 }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_join_of_streams_gives_is_joined_with_a_table() {
    holds(
        "SELECT l.id, site, v, w FROM l JOIN r ON l.id = r.id AND r._event_time BETWEEN l._event_time AND \
         l._event_time + INTERVAL 10 SECONDS JOIN sites s ON r.id = s.id WHERE v > 1 AND site <> 'yard'",
        "  - name: a condition on one stream holds its rows back before both joins\n    \
           given:\n      \
             l: [ { id: d1, v: 1, ts: 100 }, { id: d1, v: 2, ts: 100 }, { id: d9, v: 9, ts: 100 } ]\n      \
             r: [ { id: d1, w: 5, ts: 105 }, { id: d9, w: 7, ts: 106 } ]\n    \
           expect:\n      queries:\n        q:\n          \
             rows: [ { id: d1, site: hall, v: 2, w: 5 } ]\n          \
             ledger: { read: 5, filtered: 1, aggregated: 4, unmatched: 0, emitted: 0, rowsOut: 1 }\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_told_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    let test = "  - { name: it, expect: { queries: { q: { rows: [] } } } }\n";
    std::fs::write(&file, pipeline("SELECT l.id, site FROM l JOIN sites s ON l.id = s.id", test)).unwrap();
    let open = || super::super::load_or_explain(&file, None, (None, folder.path())).unwrap().is_some();
    assert!(!open());
    std::fs::write(folder.path().join("sites.csv"), SITES).unwrap();
    assert!(open());
}
