//! What late rows tell on each way on which rows can be late, and what the clock alone brings about.

use super::super::check::check;
use super::super::report;
use super::super::run::run;
use crate::load;

/// Two streams, and a query for each kind of operator; `idle` stands in the watermark of both.
fn pipeline(idle: &str, tests: &str) -> String {
    let stream = |name: &str| {
        format!(
            "  {name}:\n    format: kafka\n    options: {{ subscribe: {name}_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }}\n    \
             value: json\n    schema: id STRING, v INT, ts BIGINT\n    \
             watermark: {{ column: timestamp_seconds(ts), delay: 10 seconds{idle} }}\n"
        )
    };
    let query = |name: &str, sql: &str| format!("  {name}:\n    format: console\n    sql: {sql}\n");
    let l_time = "timestamp_seconds(ts)";
    [
        "pipeline: p\nsources:\n".to_owned(),
        stream("l"),
        stream("r"),
        "queries:\n".to_owned(),
        query(
            "minutes",
            &format!("SELECT window.start AS minute, id, COUNT(*) AS n FROM l GROUP BY window({l_time}, '1 minute'), id"),
        ),
        query(
            "sliding",
            &format!("SELECT window.end AS until, COUNT(*) AS n FROM l GROUP BY window({l_time}, '1 minute', '20 seconds')"),
        ),
        query(
            "visits",
            &format!("SELECT session_window.end AS until, id, COUNT(*) AS n FROM l GROUP BY session_window({l_time}, '30 seconds'), id"),
        ),
        query("once", "SELECT id, v FROM l\n    deduplicate: { keys: [id], within: 1 minute }"),
        query(
            "met",
            "SELECT l.id, r.v FROM l JOIN r ON l.id = r.id AND r._event_time BETWEEN l._event_time AND l._event_time + INTERVAL 1 MINUTE",
        ),
        query(
            "first",
            "SELECT window.start AS minute, COUNT(*) AS n FROM (SELECT id, _event_time AS at FROM l LIMIT 3) GROUP BY window(at, '1 minute')",
        ),
        format!("tests:\n{tests}"),
    ]
    .concat()
}

/// Runs the tests of such a pipeline; all must hold.
async fn holds(idle: &str, tests: &str) {
    hold(&pipeline(idle, tests)).await;
}

/// Runs the tests of a file; all must hold.
async fn hold(file: &str) {
    let loaded = load::load(file, "p.yaml", None);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty() && !tests.is_empty(), "{problems:?}");
    for test in &tests {
        let outcome = run(test, &loaded).await.unwrap();
        assert!(outcome.failures.is_empty(), "{}", report::text(test, &outcome, false));
    }
}

/// By how much, when, what it missed, how far event time was, and where the record lies.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_tells_how_late_it_was_what_it_missed_and_where_it_lies() {
    let told = |query: &str, window: &str| {
        format!(
            "        {query}:\n          ledger: {{ late: 1 }}\n          late:\n            - id: tardy\n              \
             _late: {{ late_by_ms: 85000, event_time: 00:00:05, window: {window}, watermark: 00:01:30, topic: l_topic, partition: 2, offset: 1, epoch: 2 }}\n"
        )
    };
    let expected = [
        told("minutes", "{ start: 00:00:00, end: 00:01:00 }"),
        // Of those that it missed the last.
        told("sliding", "{ start: 00:00:00, end: 00:01:00 }")
            .replace("            - id: tardy\n              _late", "            - _late"),
        told("visits", "{ start: 00:00:05, end: 00:00:35 }"),
        told("once", "null"),
        told("met", "null"),
    ]
    .concat();
    holds(
        "",
        &format!(
            "  - name: late everywhere\n    at: 00:01:40\n    \
             given:\n      \
               l: [ {{ id: good, v: 1, ts: 100, _kafka: {{ partition: 2 }} }} ]\n      \
               r: [ {{ id: good, v: 1, ts: 100 }} ]\n    \
             steps:\n      - given: {{ l: [ {{ id: tardy, v: 2, ts: 5, _kafka: {{ partition: 2 }} }} ] }}\n    \
             expect:\n      queries:\n{expected}"
        ),
    )
    .await;
}

/// What comes out of an operator with state is no record any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_late_behind_another_operator_lies_nowhere() {
    holds(
        "",
        "  - name: behind LIMIT\n    at: 00:01:40\n    \
         given: { l: [ { id: good, v: 1, ts: 100 } ] }\n    \
         steps: [ { given: { l: [ { id: tardy, v: 2, ts: 5 } ] } } ]\n    \
         expect: { queries: { first: { late: [ { _late: { late_by_ms: 85000, topic: null, partition: null, offset: null } } ] } } }\n",
    )
    .await;
}

/// Each query has what came of epoch 0, and of the watermark that this moved, epoch 1. Silence ends a window with epoch 2, and
/// then there is none until something ends again, or comes.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_source_is_silent_an_epoch_runs_only_where_something_ends() {
    holds(
        ", idleTimeout: 30 seconds",
        "  - name: a fast clock holds a window open for minutes\n    at: 00:01:40\n    \
         given: { l: [ { id: good, v: 1, ts: 100 }, { id: fast, v: 1, ts: 1000 } ] }\n    \
         steps:\n      \
           - { at: 00:02:20, expect: { queries: { minutes: { rows: [ { minute: 00:01:00, id: good, n: 1 } ], ledger: { aggregated: 2 } } } } }\n      \
           - { at: 00:02:21, expect: { queries: { minutes: { late: [] } } } }\n      \
           - { at: 00:03:00, expect: { queries: { minutes: { late: [] } } } }\n      \
           - { at: 00:04:00, expect: { queries: { minutes: { late: [] } } } }\n      \
           - at: 00:05:00\n        \
             given: { l: [ { id: tardy, v: 1, ts: 5 } ] }\n        \
             expect: { queries: { minutes: { late: [ { id: tardy, _late: { epoch: 3 } } ] } } }\n  \
         - name: sliding windows end one by one\n    at: 00:01:40\n    \
         given: { l: [ { id: good, v: 1, ts: 101 } ] }\n    \
         steps:\n      \
           - { at: 00:02:09, expect: { queries: { sliding: { rows: [] } } } }\n      \
           - { at: 00:02:11, expect: { queries: { sliding: { rows: [ { until: 00:02:00, n: 1 } ] } } } }\n      \
           - { at: 00:02:29, expect: { queries: { sliding: { rows: [ { until: 00:02:00 } ] } } } }\n      \
           - { at: 00:02:30, expect: { queries: { sliding: { rows: [ { until: 00:02:00 }, { until: 00:02:20 } ] } } } }\n      \
           - { at: 00:02:40, expect: { queries: { sliding: { rows: [ { until: 00:02:00 }, { until: 00:02:20 } ] } } } }\n      \
           - at: 00:02:50\n        \
             expect: { queries: { sliding: { rows: [ { until: 00:02:00 }, { until: 00:02:20 }, { until: 00:02:40 } ] } } }\n",
    )
    .await;
}

/// A key that may be forgotten gives no row, so nobody waits for the time when it is.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_end_while_a_source_is_silent_make_no_row_late() {
    holds(
        ", idleTimeout: 30 seconds",
        "  - name: a row of half a minute ago comes after a pause\n    at: 00:01:40\n    \
         given: { l: [ { id: first, v: 1, ts: 101 } ] }\n    \
         steps:\n      \
           - { at: 00:02:52, expect: { queries: { minutes: { rows: [ { minute: 00:01:00, id: first, n: 1 } ] } } } }\n      \
           - { at: 00:03:00, given: { l: [ { id: held_up, v: 2, ts: 150 }, { id: first, v: 3, ts: 151 } ] } }\n    \
         expect:\n      queries:\n        \
           once: { rows: [ { id: first, v: 1 }, { id: held_up, v: 2 } ], late: [], ledger: { read: 3, deduplicated: 1 } }\n        \
           minutes: { late: [] }\n",
    )
    .await;
}

/// The query of `docs/event-time.md`: its mark is on the row that is too far ahead for the watermark, and on no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_marks_the_rows_that_are_too_far_ahead() {
    let docs = include_str!("../../../../../docs/event-time.md");
    let marking = docs.lines().find(|line| line.contains(" AS is_ahead FROM iot")).unwrap().trim();
    let test = |name: &str, timestamp: i64, is_ahead: bool, told: &str| {
        format!(
            "  - name: {name}\n    at: 00:01:40\n    \
             given: {{ iot: [ {{ device_id: good, timestamp: 5 }}, {{ device_id: fast, timestamp: {timestamp} }} ] }}\n    \
             expect:\n      queries:\n        \
               marked: {{ rows: [ {{ device_id: good, is_ahead: false }}, {{ device_id: fast, is_ahead: {is_ahead} }} ] }}\n        \
               minutes: {{ rows: [{told}], ledger: {{ aggregated: 2 }} }}\n"
        )
    };
    let file = [
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    \
         options: { subscribe: iot_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n    \
         value: json\n    schema: device_id STRING, timestamp INT\n    \
         watermark: { column: timestamp_seconds(timestamp), delay: 10 seconds }\nqueries:\n  \
         minutes:\n    format: console\n    \
         sql: SELECT window.start AS minute, COUNT(*) AS n FROM iot GROUP BY window(timestamp_seconds(timestamp), '1 minute')\n  \
         marked:\n    format: console\n    "
            .to_owned(),
        format!("{marking}\ntests:\n"),
        // The clock shows 100 s, the limit is 300 s later: the watermark is 390 s, and the first minute is over.
        test("at the limit", 400, false, " { minute: 00:00:00, n: 1 } "),
        test("a second beyond", 401, true, ""),
    ];
    hold(&file.concat()).await;
}
