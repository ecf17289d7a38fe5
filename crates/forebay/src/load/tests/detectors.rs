//! What is told of detectors, at its place.

use super::*;

/// A file with a good source `iot`, a view over it, these detectors and this query of them.
fn watched(detectors: &str, sql: &str) -> String {
    let queries = format!("  q: {{ sql: \"{sql}\", format: console }}\n");
    let more = format!(
        "views:\n  hot: SELECT device_id AS id, temperature AS score FROM iot\ndetectors:\n{detectors}queries:\n"
    );
    file("", &queries).replace("queries:\n", &more)
}

#[test]
fn a_detector_adds_four_columns_to_what_it_watches() {
    let text = watched("  odd: { on: iot, key: device_id, column: temperature }\n", "SELECT * FROM odd");
    let loaded = load(&text, "p.yaml", run())
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems, &text, "p", false)));
    let schema = loaded.plans[0].as_ref().unwrap().output_schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["device_id", "temperature", "score", "likelihood", "is_anomaly", "reason"]);
    assert!(loaded.plans[0].as_ref().unwrap().remembers());
}

#[test]
fn what_is_wrong_with_a_detector_is_told_where_it_stands() {
    for (detector, at, part) in [
        ("on: iot, column: temperature, kind: zscore", "zscore", "Did you mean `z_score`?"),
        ("on: iot, column: tempature", "tempature", "Did you mean `temperature`?"),
        ("on: iot, key: device, column: temperature", "device,", "`key`: unknown column `device`"),
        ("on: iot, column: device_id", "device_id", "is of type STRING, not a number"),
        ("on: iot, column: humidity, time: temperature", "temperature", "not a TIMESTAMP"),
        (
            "on: iot, column: temperature, kind: ewma, settings: { lambda: 2 }",
            "lambda",
            "from 0.000001 to 0.5",
        ),
        ("on: iot, column: temperature, kind: ewma, settings: { alpha: 2 }", "alpha", "Its settings are"),
        ("on: iot, columns: [temperature, device_id], kind: ewma", "device_id", "judges one column"),
        ("on: hot, column: score", "hot", "has a column `score` already"),
        ("on: iot, column: temperature, kind: k_means", "k_means", "there is no `model`"),
        ("on: iot, column: temperature, kind: k_means, model: none.json", "none.json", "FB-1001"),
        ("on: iot, column: temperature, kind: ewma, model: none.json", "none.json", "learns as it goes"),
    ] {
        let detector = detector.replace("humidity", "temperature  ");
        let text = watched(&format!("  odd: {{ {detector} }}\n"), "SELECT * FROM odd");
        let (line, column) = (1..)
            .zip(text.lines())
            .find_map(|(line, text)| Some((line, text.rfind(at).filter(|_| text.starts_with("  odd:"))?)))
            .unwrap();
        let told = refused(&text);
        assert!(told.contains(&format!("p.yaml:{line}:{}", column + 1)) && told.contains(part), "{told}");
        assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
    }
}

#[test]
fn a_query_over_a_table_cannot_read_a_detector_and_neither_can_the_page() {
    let text = watched("  odd: { on: iot, column: temperature }\n", "SELECT * FROM odd");
    let panel =
        format!("{text}dashboard: {{ panels: [ {{ chart: sql, title: a, sql: SELECT * FROM odd }} ] }}\n");
    let told = refused(&panel);
    assert!(told.contains("`odd` is a detector"), "{told}");
}

#[test]
fn what_is_wrong_with_a_call_of_a_detector_is_told() {
    for (sql, part) in [
        ("SELECT z_score(temperature) AS z FROM iot", "needs OVER"),
        ("SELECT z_score() OVER () AS z FROM iot", "needs a number"),
        ("SELECT z_score(device_id) OVER () AS z FROM iot", "judges numbers, not STRING"),
        ("SELECT z_score(temperature, temperature) OVER () AS z FROM iot", "judges one number"),
        ("SELECT z_score(temperature, 'treshold=3') OVER () AS z FROM iot", "threshold"),
        ("SELECT z_score(temperature, 'threshold=high') OVER () AS z FROM iot", "no setting with a number"),
        ("SELECT z_score(temperature, 'threshold') OVER () AS z FROM iot", "is no setting"),
        (
            "SELECT z_score(temperature) OVER (PARTITION BY temperature) AS z FROM iot",
            "takes texts and whole numbers, not DOUBLE",
        ),
        ("SELECT z_score(temperature) OVER (ORDER BY device_id) AS z FROM iot", "not possible over a stream"),
        ("SELECT z_score(temperature) OVER (ROWS 3 PRECEDING) AS z FROM iot", "PARTITION BY alone"),
        ("SELECT device_id FROM iot WHERE (z_score(temperature) OVER ()).is_anomaly", "not in WHERE"),
        (
            "SELECT max((z_score(temperature) OVER ()).score) AS m FROM iot",
            "cannot contain window function calls",
        ),
        (
            "SELECT z_score((ewma(temperature) OVER ()).score) OVER () AS z FROM iot",
            "window function calls cannot be nested",
        ),
        ("SELECT sum(temperature) OVER () AS z FROM iot", "a window function (OVER)"),
        ("SELECT k_means(temperature) AS z FROM iot", "needs the path of a model"),
        ("SELECT k_means('none.json', temperature) AS z FROM iot", "FB-1001"),
        ("SELECT k_means('none.json', temperature) OVER () AS z FROM iot", "has no OVER"),
    ] {
        let told = refused(&watched("  odd: { on: iot, column: temperature }\n", sql));
        assert!(told.contains(part), "{sql}: {told}");
        assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
    }
}
