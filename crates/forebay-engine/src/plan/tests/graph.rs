//! Queries with state and the graphs that they become.

use forebay_core::output_mode::OutputMode::{Append, Complete, Update};

use super::drawing::{check, planned_as};
use super::*;
use crate::plan::graph::StepPlan;

#[test]
fn windows_become_specifications() {
    check(&[
        (
            "SELECT window, device_id, count(*), avg(temperature) FROM iot GROUP BY window(at, '10 seconds'), device_id",
            Append,
            "iot: (device_id, temperature, at) Observe(2) Filter(at@2 IS NOT NULL) | aggregate-0(device_id@0) window#0(at@2 10/10/0) [count(1), avg(temperature@1)] ends | (window, device_id, count(1), avg(temperature)) | window, device_id, count(1), avg(temperature)",
        ),
        (
            "SELECT window.start, window.end AS e, max(humidity) m FROM iot GROUP BY window(at, '1 minute', '30 seconds', '-5 seconds') HAVING m > 3",
            Append,
            "iot: (humidity, at) Observe(1) Filter(at@1 IS NOT NULL) | aggregate-0() window#0(at@1 60/30/-5) [max(humidity@0)] ends | Filter(max(iot.humidity)@1 > 3) (start=__field(window(iot.at,Int64(60000000),Int64(30000000),Int64(-5000000))@0, start), e=__field(window(iot.at,Int64(60000000),Int64(30000000),Int64(-5000000))@0, end), m) | start, e, m",
        ),
        (
            "SELECT window(at, INTERVAL 1 MINUTE) AS w, count(1) FROM iot GROUP BY w",
            Update,
            "iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | aggregate-0() window#0(at@0 60/60/0) [count(1)] ends | (w, count(1)) | w, count(1)",
        ),
        (
            "SELECT window(at, '60 second').start s, count(1) FROM iot GROUP BY window(at, '1 minute')",
            Update,
            "iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | aggregate-0() window#0(at@0 60/60/0) [count(1)] ends | (s=__field(window(iot.at,Int64(60000000),Int64(60000000),Int64(0))@0, start), count(1)) | s, count(1)",
        ),
        (
            "SELECT window(at, '1 minute') w, count(1) FROM iot GROUP BY ALL",
            Append,
            "iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | aggregate-0() window#0(at@0 60/60/0) [count(1)] ends | (w, count(1)) | w, count(1)",
        ),
        (
            "SELECT window(at, '60 second'), count(1) FROM iot GROUP BY 1",
            Complete,
            "iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | aggregate-0() window#0(at@0 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        (
            "SELECT session_window.start, device_id, sum(big) FROM iot GROUP BY device_id, session_window(at, '5 minutes')",
            Append,
            "iot: (device_id, at, big) Observe(1) Filter(at@1 IS NOT NULL) | session-0(device_id@0) session#1(at@1 300 s) [sum(big@2)] ends | (start=__field(session_window(iot.at,Int64(300000000))@1, start), device_id, sum(big)) | start, device_id, sum(big)",
        ),
        (
            "SELECT session_window, count(*) FROM iot GROUP BY session_window(at, CASE WHEN device_id = 'a' THEN '5 seconds' ELSE '20 seconds' END), device_id",
            Complete,
            "iot: (device_id, at) Observe(1) Filter(at@1 IS NOT NULL AND __gap(CASE WHEN device_id@0 = a THEN 5 seconds ELSE 20 seconds END) > 0 OR at@1 IS NULL AND NULL) | session-0(device_id@0) session#0(at@1 __gap(CASE WHEN device_id@0 = a THEN 5 seconds ELSE 20 seconds END)) [count(1)] ends | (session_window, count(1)) | session_window, count(1)",
        ),
    ]);
}

#[test]
fn complete_rows_are_put_in_order() {
    let plan = planned_as(
        "SELECT device_id, count(*) AS n FROM iot GROUP BY device_id ORDER BY n DESC, device_id LIMIT 2",
        Complete,
    )
    .unwrap();
    let sorts: Vec<_> = plan
        .graph()
        .steps
        .iter()
        .filter_map(|step| match &step.plan {
            StepPlan::Sort(sort) => Some(sort),
            _ => None,
        })
        .collect();
    let rows = |ids: Vec<Option<&str>>, counts: Vec<i64>| {
        let ids =
            arrow::compute::cast(&arrow::array::StringArray::from(ids), sorts[0].rows.field(0).data_type())
                .unwrap();
        let counts = Arc::new(arrow::array::Int64Array::from(counts)) as ArrayRef;
        RecordBatch::try_new(sorts[0].rows.clone(), vec![ids, counts]).unwrap()
    };
    let mut batch = sorts[0]
        .run(&[rows(vec![Some("b"), None], vec![2, 2]), rows(vec![Some("a"), Some("c")], vec![1, 9])])
        .unwrap();
    assert_eq!(csv(&batch), "device_id,n\nc,9\n,2\nb,2\na,1");
    batch = sorts[1].run(&[batch]).unwrap();
    assert_eq!(csv(&batch), "device_id,n\nc,9\n,2");
}

#[test]
fn operators_are_chained() {
    check(&[
        (
            "SELECT window, max(hottest) FROM minutes GROUP BY window(window, '1 hour')",
            Append,
            "iot: (device_id, temperature, at) Observe(2) Filter(at@2 IS NOT NULL) | aggregate-0(device_id@0) window#0(at@2 60/60/0) [max(temperature@1)] ends | (window, hottest) (window, hottest, __event_time=window_time(window@0)) | aggregate-1() window#0(__event_time@2 3600/3600/0) [max(hottest@1)] ends | (window, max(hottest)) | window, max(hottest)",
        ),
        (
            "SELECT window, max(hottest) FROM minutes GROUP BY window(window_time(window), '1 hour')",
            Append,
            "iot: (device_id, temperature, at) Observe(2) Filter(at@2 IS NOT NULL) | aggregate-0(device_id@0) window#0(at@2 60/60/0) [max(temperature@1)] ends | (window, hottest) (window, hottest, __event_time=window_time(window@0)) | aggregate-1() window#0(__event_time@2 3600/3600/0) [max(hottest@1)] ends | (window, max(hottest)) | window, max(hottest)",
        ),
        (
            "SELECT window, sum(hottest) FROM minutes GROUP BY window",
            Append,
            "iot: (device_id, temperature, at) Observe(2) Filter(at@2 IS NOT NULL) | aggregate-0(device_id@0) window#0(at@2 60/60/0) [max(temperature@1)] ends | (window, hottest) | aggregate-1(window@0) time#0 [sum(hottest@1)] ends | (window, sum(hottest)) | window, sum(hottest)",
        ),
        (
            "SELECT window.end, sum(hottest) FROM minutes WHERE hottest > 3 GROUP BY window.end",
            Append,
            "iot: (device_id, temperature, at) Observe(2) Filter(at@2 IS NOT NULL) | aggregate-0(device_id@0) window#0(at@2 60/60/0) [max(temperature@1)] ends | (window, hottest) Filter(hottest@1 > 3) | aggregate-1(__field(window@0, end)) time#0 [sum(hottest@1)] ends | (end, sum(hottest)) | end, sum(hottest)",
        ),
        (
            "SELECT window, count(*) FROM first_only GROUP BY window(at, '1 minute')",
            Append,
            "iot: (device_id, temperature, humidity, timestamp, deviceName, place, tags, props, price, at, big) Observe(9) | deduplicate-0(device_id, at) time at | (at) Filter(at@0 IS NOT NULL) | aggregate-1() window#0(at@0 60/60/0) [count(1)] ends | (window, count(1)) | window, count(1)",
        ),
        (
            "SELECT * FROM first_secs WHERE temperature > 3",
            Update,
            "secs: (device_id, temperature, timestamp) (device_id, temperature, _event_time=timestamp_seconds(CAST(timestamp@2 AS Int64))) Observe(2) | deduplicate-0(device_id) time _event_time within 5 | (device_id, temperature) Filter(temperature@1 > 3) | device_id, temperature",
        ),
    ]);
}

#[test]
fn aggregates_are_sparks() {
    check(&[
        (
            "SELECT device_id, count_if(temperature > 70) FILTER (WHERE humidity > 1), first(big, true), max_by(big, at) FROM iot GROUP BY device_id",
            Update,
            "iot: (device_id, temperature, humidity, at, big) Observe(3) | aggregate-0(device_id@0) [count(CASE WHEN temperature@1 > 70 THEN 1 END), first_value(big@4), max_by(big@4, at@3)] if humidity@2 > 1 | (device_id, count_if((temperature > 70)) FILTER (WHERE (humidity > 1)), first(big), max_by(big, at)) | device_id, count_if((temperature > 70)) FILTER (WHERE (humidity > 1)), first(big), max_by(big, at)",
        ),
        (
            "SELECT variance(big), std(temperature), approx_count_distinct(temperature), percentile_approx(big, 0.5), every(big > 1), any(big > 1), mean(big) FROM iot",
            Complete,
            "iot: (temperature, big) | aggregate-0() [var(CAST(big@1 AS Float64)), stddev(temperature@0), approx_distinct(__countable(temperature@0)), percentile_approx(big@1, 0.5), bool_and(big@1 > 1), bool_or(big@1 > 1), avg(CAST(big@1 AS Float64))] | (variance(big), std(temperature), approx_count_distinct(temperature)=CAST(approx_distinct(__countable(iot.temperature))@2 AS Int64), percentile_approx(big, 0.5, 10000), every((big > 1)), any((big > 1)), mean(big)) | variance(big), std(temperature), approx_count_distinct(temperature), percentile_approx(big, 0.5, 10000), every((big > 1)), any((big > 1)), mean(big)",
        ),
        (
            "SELECT collect_list(big), collect_set(device_id), sum(price), avg(price), last_value(big), bool_or(big > 3) FROM iot",
            Complete,
            "iot: (device_id, price, big) | aggregate-0() [collect_list(big@2), collect_set(device_id@0), sum(price@1), avg(price@1), last_value(big@2), bool_or(big@2 > 3)] | (collect_list(big), collect_set(device_id), sum(price), avg(price), last_value(big), bool_or((big > 3))) | collect_list(big), collect_set(device_id), sum(price), avg(price), last_value(big), bool_or((big > 3))",
        ),
        (
            "SELECT device_id, sum(if(at > now(), 1, 0)) n FROM iot GROUP BY device_id",
            Update,
            "iot: (device_id, at) (device_id, __computed_0=CASE WHEN at@1 > current_timestamp() THEN 1 ELSE 0 END) | aggregate-0(device_id@0) [sum(__computed_0@1)] | (device_id, n) | device_id, n",
        ),
    ]);
}

#[test]
fn complete_mode_has_all_rows_at_hand() {
    check(&[
        (
            "SELECT device_id, count(*) AS n FROM iot GROUP BY device_id ORDER BY n DESC, device_id LIMIT 3",
            Complete,
            "iot: (device_id) | aggregate-0(device_id@0) [count(1)] | (device_id, n) | Sort(n@1 DESC NULLS LAST, device_id@0 ASC) None | Sort() Some(3) | device_id, n",
        ),
        (
            "SELECT window, count(*) AS n FROM iot GROUP BY window(at, '1 minute') ORDER BY window",
            Complete,
            "iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | aggregate-0() window#0(at@0 60/60/0) [count(1)] ends | (window, n) | Sort(window@0 ASC) None | window, n",
        ),
        ("SELECT count(*) FROM iot", Complete, "iot: () | aggregate-0() [count(1)] | (count(1)) | count(1)"),
    ]);
}
