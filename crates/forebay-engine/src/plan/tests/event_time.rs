//! Which columns are the event time, where it is looked at, and how a query says it itself.

use forebay_core::output_mode::OutputMode::{Append, Update};

use super::drawing::{check, planned_as, streams};
use super::*;

#[test]
fn event_time_is_found_through_views_subqueries_and_expressions() {
    check(&[
        (
            "SELECT window, count(*) FROM secs GROUP BY window(timestamp_seconds(timestamp), '1 minute')",
            Append,
            "secs: (timestamp) (timestamp, _event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) Observe(1) Filter(_event_time@1 IS NOT NULL) | aggregate-0() window#0(_event_time@1 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        (
            "SELECT window, count(*) FROM secs GROUP BY window(_event_time, '1 minute')",
            Append,
            "secs: (timestamp) (_event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) Observe(0) Filter(_event_time@0 IS NOT NULL) | aggregate-0() window#0(_event_time@0 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        (
            "SELECT window, count(*) FROM seconds GROUP BY window(timestamp_seconds(s), '1 minute')",
            Append,
            "secs: (timestamp) (timestamp, _event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) (s, _event_time) Observe(1) Filter(_event_time@1 IS NOT NULL) | aggregate-0() window#0(_event_time@1 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        (
            "SELECT window, d, avg(t) FROM warm WHERE t < 90 AND ts > '2020-01-01' GROUP BY window(ts, '1 minute'), d",
            Append,
            "iot: (device_id, temperature, at) Filter(temperature@1 > 20) (d, ts, t) Filter(t@2 < 90) Observe(1) Filter(ts@1 > 1577836800000000 AND ts@1 IS NOT NULL) | aggregate-0(d@0) window#0(ts@1 60/60/0) [avg(t@2)] ends | (window, d, avg(t)) | window, d, avg(t)",
        ),
        (
            "SELECT at, count(*) FROM iot GROUP BY at",
            Append,
            "iot: (at) Observe(0) | aggregate-0(at@0) time#0 [count(1)] ends | (at, count(1)) | at, count(1)",
        ),
        (
            "SELECT DISTINCT device_id, at FROM iot WHERE temperature > 1",
            Append,
            "iot: (device_id, temperature, at) Filter(temperature@1 > 1) (device_id, at) Observe(1) | aggregate-0(device_id@0, at@1) time#1 [] ends | device_id, at",
        ),
        (
            "SELECT window, count(*) FROM raw WHERE partition = 1 GROUP BY window(timestamp, '1 minute')",
            Append,
            "raw: (partition, timestamp) Filter(partition@0 = 1) (timestamp) Observe(0) | aggregate-0() window#0(timestamp@0 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        // Not the event time: another column, a cast, a time moved.
        ("SELECT window, count(*) FROM plain GROUP BY window(at, '1 minute')", Append, "FB-"),
        (
            "SELECT window, count(*) FROM iot GROUP BY window(at + INTERVAL 1 SECOND, '1 minute')",
            Append,
            "FB-",
        ),
        ("SELECT window, count(*) FROM secs GROUP BY window(at, '1 minute')", Append, "FB-"),
    ]);
}

#[test]
fn a_query_says_its_watermark_itself() {
    let clause = "WATERMARK at DELAY OF INTERVAL 2 MINUTES";
    let delay = |sql: &str| {
        let plan = planned_as(sql, Append).unwrap();
        plan.graph().inputs[0].event_time.map(|time| time.delay_ms)
    };
    for from in [
        format!("plain {clause}"),
        format!("iot {clause}"),
        format!("(SELECT p.at FROM plain {clause} AS p WHERE p.at > '2020-01-01')"),
        format!("plain {clause} p"),
        "plain WATERMARK timestamp_seconds(timestamp) DELAY OF INTERVAL '120' SECONDS".to_owned(),
    ] {
        let time = if from.contains("_seconds") { "_event_time" } else { "at" };
        let sql = format!("SELECT window, count(*) FROM {from} GROUP BY window({time}, '1 minute')");
        assert_eq!(delay(&sql), Some(120_000), "{sql}");
    }
    assert_eq!(delay("SELECT window, count(*) FROM iot GROUP BY window(at, '1 minute')"), Some(10_000));
    check(&[
        (
            "SELECT WATERMARK, delay FROM (SELECT big AS watermark, big delay FROM plain)",
            Append,
            "plain: (big) (watermark, delay) (WATERMARK, delay) | WATERMARK, delay",
        ),
        (
            "SELECT count(*) FROM warm WATERMARK ts DELAY OF INTERVAL 1 SECOND",
            Update,
            "FB-1008 WATERMARK is possible behind the name of a source only | SQL line 1, column 22",
        ),
        (
            "SELECT count(*) FROM plain WATERMARK big DELAY OF INTERVAL 1 SECOND",
            Update,
            "FB-4002 the event time `big` is of type BIGINT",
        ),
        ("SELECT count(*) FROM plain WATERMARK at DELAY OF INTERVAL 1 MONTH", Update, "FB-4002"),
        (
            "SELECT count(*) FROM plain WATERMARK at DELAY OF INTERVAL '-1' SECOND",
            Update,
            "FB-4002 the delay of a watermark is below zero",
        ),
        (
            "SELECT count(*) FROM plain WATERMARK at, big DELAY OF INTERVAL 1 SECOND",
            Update,
            "FB-4001 WATERMARK needs one time and one delay",
        ),
    ]);
    let error =
        plan(&streams(), "SELECT * FROM plain WATERMARK at DELAY OF INTERVAL 1 SECOND", None).unwrap_err();
    assert!(error.to_string().contains("WATERMARK is possible in a query over a stream"), "{error}");
}

#[test]
fn event_times_are_seen_where_they_pass() {
    let survey = |sql: &str, believed: i64| {
        let plan = planned_as(sql, Append).unwrap();
        let mut executor = plan.executor(0).believing(believed);
        let mut fates = Fates::default();
        let rows = executor.process(input(&plan), &mut fates).unwrap();
        let survey = executor.survey();
        (survey.max_us, survey.ahead, rows.num_rows(), fates.filtered)
    };
    let group = |condition: &str| {
        format!("SELECT window, count(*) FROM iot WHERE {condition} GROUP BY window(at, '1 minute')")
    };
    let (late, early) = (1_709_216_409_120_000, -1_000);
    assert_eq!(survey(&group("true"), i64::MAX), (Some(late), 0, 2, 1), "NULL has no window");
    assert_eq!(
        survey(&group("device_id = 'b'"), i64::MAX),
        (Some(early), 0, 1, 2),
        "refused before it is looked at"
    );
    assert_eq!(
        survey(&group("at < '2000-01-01'"), i64::MAX),
        (Some(late), 0, 1, 2),
        "refused after it was looked at"
    );
    assert_eq!(survey(&group("true"), 0), (Some(early), 1, 2, 1), "too far ahead");
}
