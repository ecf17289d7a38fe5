//! Nested events as rows: what comes out, and that the ledger knows each event once, whatever it holds.

use std::path::Path;

use super::super::check::check;
use super::super::report;
use super::super::run::run;
use crate::load;

/// Events with several devices, with one, without any and without the array.
const PLANT: &str = "pipeline: p
sources:
  events:
    format: kafka
    options: { subscribe: events, kafka.bootstrap.servers: \"nobody.invalid:1\" }
    value: json
    schema: \"id STRING, ts INT, devices ARRAY<STRUCT<id: STRING, temperature: DOUBLE>>\"
    watermark: { column: timestamp_seconds(ts), delay: 10 seconds }
views:
  devices: >-
    SELECT e.id AS event, ts, d.id AS device, d.temperature FROM events e LATERAL VIEW explode(devices) t AS d
queries:
  warm: { sql: \"SELECT event AS e, device AS d FROM devices WHERE temperature > 0\", format: console }
  every: { sql: \"SELECT id, device FROM events LATERAL VIEW OUTER inline(devices) t AS device, t\", format: console }
  placed: { sql: \"SELECT posexplode(devices) AS (place, d), id FROM events WHERE id <> 'e1'\", format: console }
  minutes:
    sql: SELECT device, count(*) AS n FROM devices GROUP BY window(timestamp_seconds(ts), '1 minute'), device
    format: console
  first: { sql: \"SELECT event, device FROM devices\", deduplicate: { keys: [device] }, format: console }
alerts:
  hot: { on: devices, key: device, when: temperature > 70, clear: temperature < 0 }
tests:
  - name: devices
    steps:
      - given:
          events:
            - { id: e1, ts: 1, devices: [ { id: a, temperature: 80 }, { id: b, temperature: 90 } ] }
            - { id: e2, ts: 2, devices: [] }
            - { id: e3, ts: 3 }
            - { id: e4, ts: 4, devices: [ { id: a, temperature: -5 } ] }
        expect:
          queries:
            warm:
              rows: [ { e: e1, d: a }, { e: e1, d: b } ]
              ledger: { read: 4, emitted: 1, filtered: 1, unmatched: 2, rowsOut: 2 }
            every:
              rows: [ { id: e1, device: a }, { id: e1, device: b }, { id: e2, device: null }, { id: e3, device: null }, { id: e4, device: a } ]
              ledger: { read: 4, emitted: 4, unmatched: 0, rowsOut: 5 }
            placed:
              rows: [ { place: 0, d: { id: a }, id: e4 } ]
              ledger: { read: 4, emitted: 1, filtered: 1, unmatched: 2, rowsOut: 1 }
            minutes:
              ledger: { read: 4, aggregated: 2, unmatched: 2, rowsOut: 0 }
            first:
              rows: [ { event: e1, device: a }, { event: e1, device: b } ]
              ledger: { read: 4, unmatched: 2, rowsOut: 2 }
          alerts:
            hot: [ { key: a, state: cleared }, { key: b, state: open } ]
      - given: { events: [ { id: e5, ts: 100, devices: [ { id: a, temperature: 1 } ] } ] }
        expect:
          queries:
            minutes:
              rows: [ { device: a, n: 2 }, { device: b, n: 1 } ]
              ledger: { read: 5, aggregated: 3, unmatched: 2, rowsOut: 2 }
      - given: { events: [ { id: e6, ts: 5, devices: [ { id: a, temperature: 1 }, { id: b, temperature: 2 } ] } ] }
        expect:
          queries:
            minutes:
              late: [ { device: a }, { device: b } ]
              ledger: { read: 6, aggregated: 3, unmatched: 2, late: 1 }
";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_counted_once_however_many_devices_it_has() {
    let (loaded, of_tests) = load::load_apart(PLANT, "p.yaml", None, Some(Path::new(".")));
    assert!(of_tests.is_empty(), "{of_tests:?}");
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty() && tests.len() == 1, "{problems:?}");
    for test in &tests {
        let outcome = run(test, &loaded).await.unwrap();
        assert!(outcome.failures.is_empty(), "{}", report::text(test, &outcome, false));
    }
}
