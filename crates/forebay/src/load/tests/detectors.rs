//! What is told of detectors, at its place.

use forebay_engine::adhoc::{Known, check};

use super::*;
use crate::load::detectors::Called;

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
        ("SELECT z_score(temperature, 'threshold=3, threshold=4') OVER () AS z FROM iot", "set twice"),
        ("SELECT z_score(temperature, 'days=3') OVER () AS z FROM iot", "has no setting `days`"),
        ("SELECT seasonal(temperature, 'days=3') OVER () AS z FROM iot", "Write 1 or 7"),
        ("SELECT z_score(temperature) IGNORE NULLS OVER () AS z FROM iot", "takes no IGNORE NULLS"),
        ("SELECT z_score(temperature, now()) OVER () AS z FROM iot", "does not judge by a clock"),
        (
            "SELECT z_score(temperature) OVER (PARTITION BY hour(current_timestamp())) AS z FROM iot",
            "a clock",
        ),
        ("SELECT count(*) AS n FROM iot GROUP BY (z_score(temperature) OVER ()).is_anomaly", "not in WHERE"),
        (
            "SELECT z_score(temperature) OVER (PARTITION BY temperature) AS z FROM iot",
            "takes texts and whole numbers, not DOUBLE",
        ),
        ("SELECT z_score(temperature) OVER (ORDER BY device_id) AS z FROM iot", "not possible over a stream"),
        ("SELECT z_score(temperature) OVER (ROWS 3 PRECEDING) AS z FROM iot", "PARTITION BY alone"),
        ("SELECT device_id FROM iot WHERE (z_score(temperature) OVER ()).is_anomaly", "not in WHERE"),
        ("SELECT max((z_score(temperature) OVER ()).score) AS m FROM iot", "not in WHERE, ON, an aggregate"),
        (
            "SELECT z_score((ewma(temperature) OVER ()).score) OVER () AS z FROM iot",
            "not in WHERE, ON, an aggregate or another detector",
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

#[test]
fn over_tables_a_call_is_refused_in_the_words_of_a_stream() {
    let columns = "device STRING, heat DOUBLE, at TIMESTAMP";
    let known = Known {
        tables: vec![("iot".to_owned(), forebay_core::ddl::parse(columns).unwrap())],
        detectors: Some(Arc::new(Called { models: None })),
        ..Known::default()
    };
    let called = "z_score(heat, 'threshold=3') OVER (PARTITION BY device ORDER BY at)";
    for (sql, part) in [
        ("SELECT device FROM iot WHERE (CALLED).is_anomaly", "not in WHERE"),
        ("SELECT max((CALLED).score) AS m FROM iot", "an aggregate"),
        ("SELECT device FROM iot GROUP BY device HAVING max((CALLED).score) > 3", "an aggregate"),
        ("SELECT (CALLED).is_anomaly AS odd, count(*) AS n FROM iot GROUP BY 1", "an aggregate"),
        ("SELECT device FROM iot WHERE heat > (SELECT max((CALLED).score) FROM iot)", "an aggregate"),
        ("SELECT z_score((CALLED).score) OVER (ORDER BY at) AS z FROM iot", "another detector"),
        ("SELECT a.device FROM iot a JOIN iot b ON (z_score(a.heat) OVER (ORDER BY a.at)).is_anomaly", "ON"),
        ("SELECT z_score(heat, now()) OVER (ORDER BY at) AS z FROM iot", "does not judge by a clock"),
        ("SELECT z_score(heat) IGNORE NULLS OVER (ORDER BY at) AS z FROM iot", "takes no IGNORE NULLS"),
        ("SELECT z_score(heat, 'threshold=3, threshold=4') OVER (ORDER BY at) AS z FROM iot", "set twice"),
        ("SELECT z_score(heat) OVER () AS z FROM iot", "a table has no order"),
    ] {
        let sql = sql.replace("CALLED", called);
        let error = check(&known, None, &sql).unwrap_err().error;
        let told = format!("{error} {}", error.hint());
        assert!(
            told.contains(part) && !told.contains("__") && !told.contains("window function"),
            "{sql}: {told}"
        );
    }
    for sql in [
        "SELECT device, (CALLED).score + 1 AS more, upper((CALLED).reason) AS why FROM iot ORDER BY (CALLED).score",
        "SELECT device FROM iot QUALIFY (CALLED).is_anomaly",
        "SELECT max(z.score) AS m FROM (SELECT CALLED AS z FROM iot) WHERE z.is_anomaly",
    ] {
        check(&known, None, &sql.replace("CALLED", called)).unwrap();
    }
}
