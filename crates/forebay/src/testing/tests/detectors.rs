//! Detectors in a pipeline: what reads them gets the rows that they watch, with what they say of each.

use super::*;

const PLANT: &str = "pipeline: p\n\
    sources:\n\
    \x20 iot:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: iot_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: \"device_id STRING, v DOUBLE, ts INT\"\n\
    \x20   watermark: { column: timestamp_seconds(ts), delay: 10 seconds }\n\
    views:\n\
    \x20 warm: SELECT device_id, v AS heat, timestamp_seconds(ts) AS at FROM iot WHERE v > 0\n\
    \x20 odd: SELECT device_id, heat, reason FROM strange WHERE is_anomaly\n\
    detectors:\n\
    \x20 plain: { on: iot, key: device_id, column: v, kind: z_score, settings: { warm_up: 4, threshold: 3 } }\n\
    \x20 strange: { on: warm, key: device_id, column: heat, unit: °C, time: at, kind: z_score, settings: { warm_up: 4, threshold: 3 } }\n\
    queries:\n\
    \x20 all: { sql: \"SELECT * FROM plain\", format: console }\n\
    \x20 told: { sql: SELECT * FROM odd, format: console }\n\
    \x20 counted:\n\
    \x20   sql: SELECT device_id, count(*) AS n, count_if(is_anomaly) AS odd FROM strange GROUP BY window(at, '1 minute'), device_id\n\
    \x20   format: console\n\
    alerts:\n\
    \x20 odd_heat: { on: plain, key: device_id, when: is_anomaly, clear: NOT is_anomaly, message: \"{reason}\" }\n";

/// As a test of the pipeline: rows of these values, a second each, in epochs of so many.
fn given(values: &[f64], epoch: usize, expect: &str) -> String {
    let row = |(second, value): (usize, &f64)| {
        format!("{{ device_id: d{}, v: {value}, ts: {second} }}", second % 2)
    };
    let rows: Vec<String> = values.iter().enumerate().map(row).collect();
    let steps: Vec<String> = rows
        .chunks(epoch)
        .enumerate()
        .map(|(step, rows)| {
            format!("        - {{ at: 00:{:02}:00, given: {{ iot: [ {} ] }} }}\n", step + 1, rows.join(", "))
        })
        .collect();
    format!(
        "  - name: a\n    steps:\n{}    expect: {expect}\n",
        steps.concat().replace("        - ", "      - ")
    )
}

/// The same detectors, called where they are needed.
const CALLED: &str = "pipeline: p\n\
    sources:\n\
    \x20 iot:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: iot_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: \"device_id STRING, v DOUBLE, ts INT\"\n\
    \x20   watermark: { column: timestamp_seconds(ts), delay: 10 seconds }\n\
    views:\n\
    \x20 strange: \"SELECT device_id, v AS heat, timestamp_seconds(ts) AS at, \
        z_score(v, 'warm_up=4, threshold=3') OVER (PARTITION BY device_id) AS z FROM iot WHERE v > 0\"\n\
    queries:\n\
    \x20 all: { sql: \"SELECT *, z_score(v) OVER () AS z FROM iot\", format: console }\n\
    \x20 told: { sql: \"SELECT device_id, heat, z.reason FROM strange WHERE z.is_anomaly\", format: console }\n\
    \x20 passed:\n\
    \x20   sql: \"SELECT device_id, v + 1 AS more FROM iot \
        QUALIFY (z_score(v + 1, 'warm_up=4, threshold=3') OVER (PARTITION BY upper(device_id))).score > 3\"\n\
    \x20   format: console\n\
    \x20 both:\n\
    \x20   sql: \"SELECT device_id, (z_score(v, 'warm_up=4, threshold=3') OVER (PARTITION BY device_id)).is_anomaly AS far, \
        (stuck(v, 'rows=2') OVER ()).is_anomaly AS still FROM iot WHERE v > 39 AND v < 41\"\n\
    \x20   format: console\n\
    \x20 counted:\n\
    \x20   sql: SELECT device_id, count(*) AS n, count_if(z.is_anomaly) AS odd FROM strange GROUP BY window(at, '1 minute'), device_id\n\
    \x20   format: console\n\
    alerts:\n\
    \x20 odd_heat:\n\
    \x20   on: iot\n\
    \x20   key: device_id\n\
    \x20   when: \"(z_score(v, 'warm_up=4, threshold=3') OVER (PARTITION BY device_id)).is_anomaly\"\n\
    \x20   clear: \"NOT (z_score(v, 'warm_up=4, threshold=3') OVER (PARTITION BY device_id)).is_anomaly\"\n";

async fn came_of(tests: &str) -> Vec<String> {
    came(PLANT, tests).await
}

async fn came(pipeline: &str, tests: &str) -> Vec<String> {
    let text = format!("{pipeline}tests:\n{tests}");
    let loaded = load::load(&text, "p.yaml", None)
        .unwrap_or_else(|problems| panic!("{}", forebay_core::config::render(&problems, &text, "p", false)));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let mut all = Vec::new();
    for test in &tests {
        all.push(report::text(test, &run(test, &loaded).await.unwrap(), false));
    }
    all
}

/// Both devices are usual for a while; then the first is not.
const VALUES: [f64; 16] =
    [10.0, 50.0, 11.0, 51.0, 10.0, 50.0, 11.0, 51.0, 10.0, 50.0, 11.0, 51.0, 40.0, 50.0, 10.0, 51.0];

/// Of each record two rows, one low and one high: either alone is usual only beside the other.
const EXPLODED: &str = "pipeline: p\n\
    sources:\n\
    \x20 iot:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: iot_topic, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: \"device_id STRING, v DOUBLE, ts INT\"\n\
    queries:\n\
    \x20 told:\n\
    \x20   sql: \"SELECT e, z.is_anomaly AS odd FROM (SELECT e, z_score(e, 'warm_up=4, threshold=3') OVER () AS z \
        FROM (SELECT explode(array(v, v + 60)) AS e FROM iot)) t WHERE z.is_anomaly\"\n\
    \x20   format: console\n";

#[tokio::test]
async fn rows_of_one_record_are_judged_in_their_order_however_records_come() {
    let mut values = [10.0, 12.0, 11.0, 13.0, 10.0, 12.0, 11.0, 13.0, 10.0, 12.0, 11.0, 13.0].to_vec();
    values.push(400.0);
    let expect = "{ queries: { told: { rows: [ { e: 400 }, { e: 460 } ] } } }";
    for epoch in [1, 2, 5, 13] {
        for shown in came(EXPLODED, &given(&values, epoch, expect)).await {
            assert!(shown.starts_with("ok  "), "{epoch}: {shown}");
        }
    }
}

#[tokio::test]
async fn what_reads_a_detector_gets_the_same_however_records_come() {
    let expect = "{ queries: { told: { rows: [ { device_id: d0, heat: 40 } ] } }, \
                  alerts: { odd_heat: [ { key: d0, state: cleared } ] } }";
    for epoch in [1, 2, 3, 5, 16] {
        for shown in came_of(&given(&VALUES, epoch, expect)).await {
            assert!(shown.starts_with("ok  "), "{epoch}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_window_over_a_detector_closes_by_its_watermark() {
    let mut values = VALUES.to_vec();
    values.extend(std::iter::repeat_n(10.0, 64));
    let expect =
        "{ queries: { counted: { rows: [ { device_id: d0, odd: 1, n: 30 }, { device_id: d1, n: 30 } ] } } }";
    for shown in came_of(&given(&values, 50, expect)).await {
        assert!(shown.starts_with("ok  "), "{shown}");
    }
}

#[tokio::test]
async fn all_columns_come_through_and_four_more() {
    let expect = "{ queries: { all: { rows: [ { device_id: d0, v: 1, ts: 0, score: ~, likelihood: ~, is_anomaly: ~, reason: ~ } ] } } }";
    for shown in came_of(&given(&[1.0], 1, expect)).await {
        assert!(shown.starts_with("ok  "), "{shown}");
    }
}

#[tokio::test]
async fn a_detector_that_is_called_judges_as_one_of_the_section() {
    let expect = "{ queries: { told: { rows: [ { device_id: d0, heat: 40, reason: \"v 40, usually 10.5 ± 0.548\" } ] }, \
                  passed: { rows: [ { device_id: d0, more: 41 } ] }, \
                  both: { rows: [ { device_id: d0, far: ~, still: ~ } ] } }, \
                  alerts: { odd_heat: [ { key: d0, state: cleared } ] } }";
    for epoch in [1, 2, 3, 5, 16] {
        for shown in came(CALLED, &given(&VALUES, epoch, expect)).await {
            assert!(shown.starts_with("ok  "), "{epoch}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_window_over_a_detector_that_is_called_closes_by_its_watermark() {
    let mut values = VALUES.to_vec();
    values.extend(std::iter::repeat_n(10.0, 64));
    let expect =
        "{ queries: { counted: { rows: [ { device_id: d0, odd: 1, n: 30 }, { device_id: d1, n: 30 } ] } } }";
    for shown in came(CALLED, &given(&values, 50, expect)).await {
        assert!(shown.starts_with("ok  "), "{shown}");
    }
}

#[tokio::test]
async fn the_verdict_of_a_call_is_one_column() {
    let expect = "{ queries: { all: { rows: [ { device_id: d0, v: 1, ts: 0, z: { score: ~, likelihood: ~, is_anomaly: ~, reason: ~ } } ] } } }";
    for shown in came(CALLED, &given(&[1.0], 1, expect)).await {
        assert!(shown.starts_with("ok  "), "{shown}");
    }
}
