//! Alerts over several sources as one: whose record opens and clears them, and that each record is known once for each part.

use std::path::Path;

use super::super::check::check;
use super::super::report;
use super::super::run::run;
use crate::load;

/// Two halls as one plant, in which the second is read twice; and one alert over it.
const PLANT: &str = "pipeline: p
sources:
  hall_1:
    format: kafka
    options: { subscribe: hall_1, kafka.bootstrap.servers: \"nobody.invalid:1\" }
    value: json
    schema: device_id STRING, temperature DOUBLE
  hall_2:
    format: kafka
    options: { subscribe: hall_2, kafka.bootstrap.servers: \"nobody.invalid:1\" }
    value: json
    schema: id STRING, celsius INT
views:
  plant: >-
    SELECT device_id, temperature FROM hall_1 WHERE temperature IS NOT NULL
    UNION ALL SELECT id, celsius FROM hall_2 UNION ALL SELECT concat(id, '/twin'), celsius FROM hall_2 WHERE celsius > 90
queries:
  q: { sql: SELECT * FROM plant, format: console }
alerts:
  hot: { on: plant, key: device_id, when: temperature > 70, clear: temperature < 60, message: \"{device_id} {temperature}\" }
tests:
  - name: halls
    steps:
      - given:
          hall_1: [ { device_id: a, temperature: 71.5 }, { device_id: b, temperature: 20 }, { device_id: c } ]
          hall_2: [ { id: b, celsius: 80 }, { id: d, celsius: 95 } ]
        expect:
          alerts:
            hot:
              - { key: a, source: hall_1, state: open, message: a 71.5, value: { temperature: 71.5 } }
              - { key: b, source: hall_2, state: open, message: b 80.0 }
              - { key: d, source: hall_2, state: open }
              - { key: d/twin, source: hall_2, state: open, message: d/twin 95.0 }
      - at: 00:00:10
        given: { hall_1: [ { device_id: b, temperature: 10 } ], hall_2: [ { id: a, celsius: 65 }, { id: d, celsius: 1 } ] }
        expect:
          alerts:
            hot:
              - { key: a, state: open }
              - { key: b, source: hall_2, state: cleared, clearedAt: 00:00:10, clearedValue: { temperature: 10.0 } }
              - { key: d, state: cleared }
              - { key: d/twin, state: open }
";

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_watches_several_sources_as_one() {
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
