//! What is told of alerts, and what their queries read.

use super::*;

/// A file with a good source `iot`, views over it, and these alerts.
fn watched(alerts: &str) -> String {
    let queries = "  q: { sql: SELECT * FROM iot, format: console }\n";
    let views =
        "views:\n  hot: SELECT device_id AS id, temperature AS t FROM iot WHERE temperature > 70\nqueries:\n";
    file("", queries).replace("queries:\n", views) + "alerts:\n" + alerts
}

fn planned(alerts: &str) -> Vec<PlannedAlert> {
    let text = watched(alerts);
    match load(&text, "p.yaml", run()) {
        Ok(loaded) => loaded.alerts,
        Err(problems) => panic!("{}", config::render(&problems, &text, "p.yaml", false)),
    }
}

/// The columns of an alert's query.
fn columns(alert: &PlannedAlert) -> Vec<String> {
    alert.plan.output_schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn an_alert_becomes_a_query_with_the_columns_that_its_sink_reads() {
    let alerts = planned(
        "  a: { on: iot, key: DEVICE_ID, when: temperature > 70 }\n\
         \x20 b: { on: Hot, key: id, when: t > 75 OR t IS NULL, clear: t < 65, message: \"{ID}: {T}\" }\n",
    );
    let [a, b] = &alerts[..] else { panic!("two alerts") };
    assert_eq!(
        columns(a),
        ["key", "when", "timestamp", "topic", "partition", "offset", "value of temperature", "source"]
    );
    assert_eq!(
        columns(b),
        ["key", "when", "clear", "timestamp", "topic", "partition", "value of t", "value of id", "source"]
    );
    assert_eq!(
        (a.key.as_str(), a.query_name().as_str(), a.folder_name().as_str()),
        ("device_id", "alerts/a", "alerts.a")
    );
    assert_eq!((a.sources.clone(), b.sources.clone()), (vec!["iot".to_owned()], vec!["iot".to_owned()]));
    assert_eq!(
        b.values.iter().map(|it| (it.name.as_str(), it.shown)).collect::<Vec<_>>(),
        [("t", true), ("id", false)]
    );
    let (message, _) = b.config.message.as_ref().unwrap();
    assert_eq!(
        message.columns().map(|(name, _)| name).collect::<Vec<_>>(),
        ["id", "t"],
        "as the view spells them"
    );
}

#[test]
fn levels_are_pairs_of_conditions_and_fields_of_silence_are_values() {
    let levels = "levels: { critical: { when: temperature > 90, clear: temperature < 85 }, warning: { when: temperature > 70 } }";
    let alerts = planned(&format!(
        "  a: {{ on: iot, key: device_id, {levels}, noData: {{ after: 1 minute, fields: [DEVICE_ID] }} }}\n"
    ));
    let [a] = &alerts[..] else { panic!("one alert") };
    let expected =
        ["key", "when", "when of critical", "clear of critical", "timestamp", "topic", "partition", "offset"];
    assert_eq!(columns(a)[..8], expected);
    assert_eq!(columns(a)[8..], ["value of temperature", "value of device_id", "source"]);
    assert_eq!((a.fields.clone(), a.values.len()), (vec!["device_id".to_owned()], 2));
    let text = watched("  a: { on: iot, key: device_id, noData: { after: 1 minute, fields: [devce_id] } }\n");
    let problems = load(&text, "p.yaml", run()).err().unwrap();
    let told: Vec<_> = problems.iter().map(|it| it.error.message().to_owned()).collect();
    assert_eq!(told, ["unknown column `devce_id`"]);
}

#[test]
fn the_field_that_an_alerts_key_is_is_known_also_through_views() {
    let text = "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n\
                \x20   value: json\n    schema: \"Machine STRING, id BIGINT, site STRUCT<hall: STRING>, `a.b` STRING, t DOUBLE\"\n\
                views:\n  calm: SELECT machine AS m, upper(machine) AS u, site.hall AS h, site, t FROM iot WHERE t < 3\n\
                \x20 calmer: SELECT m AS n, site, t FROM calm\n\
                queries:\n  q: { sql: SELECT * FROM iot, format: console }\n\
                alerts:\n  a: { on: iot, key: machine, when: t > 1 }\n\
                \x20 b: { on: calmer, key: n, when: t > 1 }\n\
                \x20 c: { on: calm, key: u, when: t > 1 }\n\
                \x20 d: { on: calm, key: h, when: t > 1 }\n\
                \x20 e: { on: calmer, key: site.hall, when: t > 1 }\n\
                \x20 f: { on: iot, key: a.b, when: \"`a.b` > '1'\", message: \"{a.b} {site.hall}\" }\n";
    let loaded = match load(text, "p.yaml", run()) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", config::render(&problems, text, "p.yaml", false)),
    };
    let fields: Vec<_> =
        loaded.alerts.iter().map(|alert| alert.key_fields.get("iot").map(String::as_str)).collect();
    let (machine, hall) = (Some("Machine"), Some("site.hall"));
    assert_eq!(fields, [machine, machine, None, hall, hall, Some("a.b")]);
    let values: Vec<&str> = loaded.alerts[5].values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(values, ["a.b", "site.hall"]);
    let source = &loaded.pipeline.sources[0];
    assert_eq!(crate::follow::key_of(&loaded, source), None, "`Machine` says by itself that it is a device");
    let loaded = load(&text.replace("achine", "ump"), "p.yaml", run()).ok().unwrap();
    let key = crate::follow::key_of(&loaded, &loaded.pipeline.sources[0]);
    assert_eq!(key.as_deref(), Some("Mump"), "a bare `id` does not, so it is what the alerts go by");
}

#[test]
fn an_alert_may_watch_records_that_nobody_decodes() {
    let text = "pipeline: p\nsources:\n  raw: { format: kafka, options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t } }\n\
                views:\n  texts: SELECT topic AS of, CAST(value AS STRING) AS v FROM raw\n\
                queries:\n  q: { sql: SELECT * FROM texts, format: console }\n\
                alerts:\n  a: { on: raw, key: topic, when: CAST(value AS STRING) LIKE '%hot%' }\n\
                \x20 b: { on: texts, key: of, when: v LIKE '%hot%' }\n";
    let alerts = load(text, "p.yaml", run()).ok().unwrap().alerts;
    assert_eq!(
        columns(&alerts[0])[2..],
        ["timestamp", "topic", "partition", "offset", "value of value", "source"]
    );
    assert_eq!(columns(&alerts[1])[2..], ["timestamp", "topic", "partition", "value of v", "source"]);
}

/// Two halls whose devices are in one view, one of them twice; and what is made of their devices.
const HALLS: &str = "pipeline: p\nsources:\n  hall_1:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: a }\n\
    \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
    \x20 hall_2:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: b }\n\
    \x20   value: json\n    schema: id STRING, celsius FLOAT\n\
    views:\n  plant: SELECT device_id, temperature FROM hall_1 UNION ALL SELECT id, celsius FROM hall_2\n\
    \x20 twice: SELECT device_id AS d, temperature AS t FROM plant UNION ALL SELECT upper(id), celsius FROM hall_2 WHERE celsius > 9\n\
    \x20 once: SELECT device_id FROM hall_1 UNION SELECT id FROM hall_2\n\
    queries:\n  q: { sql: SELECT * FROM plant, format: console }\nalerts:\n";

#[test]
fn an_alert_may_watch_several_sources_as_one() {
    let text = HALLS.to_owned()
        + "  a: { on: plant, key: device_id, when: temperature > 70 }\n\
           \x20 b: { on: twice, key: d, when: t > 70, clear: t < 60, message: \"{d}: {t}\" }\n";
    let alerts = match load(&text, "p.yaml", run()) {
        Ok(loaded) => loaded.alerts,
        Err(problems) => panic!("{}", config::render(&problems, &text, "p.yaml", false)),
    };
    let [a, b] = &alerts[..] else { panic!("two alerts") };
    let fields = |alert: &PlannedAlert| -> Vec<String> {
        alert.key_fields.iter().map(|(source, field)| format!("{source}.{field}")).collect()
    };
    assert_eq!(a.plan.inputs(), ["hall_1", "hall_2"]);
    assert_eq!(
        (a.sources.join(" "), fields(a).join(" ")),
        ("hall_1 hall_2".into(), "hall_1.device_id hall_2.id".into())
    );
    assert_eq!(b.plan.inputs(), ["hall_1", "hall_2", "hall_2"]);
    assert_eq!(
        (b.sources.join(" "), fields(b).join(" ")),
        ("hall_1 hall_2".into(), "hall_1.device_id".into())
    );
    assert_eq!(
        columns(a),
        ["key", "when", "timestamp", "topic", "partition", "value of temperature", "source"]
    );
}

#[test]
fn what_no_alert_can_watch_is_refused_where_it_is_named() {
    let text = HALLS.to_owned()
        + "  a: { on: once, key: device_id, when: device_id > 'x', clear: device_id < }\n\
           \x20 b: { on: plant, key: device_id, when: temperature > 70 }\n";
    let told = refused(&text);
    let at = told.find("[FB-4003]: UNION without ALL over a stream").unwrap_or_else(|| panic!("{told}"));
    assert!(told[at..].lines().nth(1).unwrap().ends_with("p.yaml:20:12"), "{told}");
    assert!(told.contains("Write UNION ALL"), "{told}");
    assert!(told.contains("FB-4001"), "what is wrong in a condition is told all the same: {told}");
    assert!(told.ends_with("2 problems in p.yaml\n"), "{told}");
}

#[test]
fn what_is_wrong_in_a_condition_stands_under_its_words() {
    let told = refused(&watched(
        "  a:\n    on: iot\n    key: device\n    when: |\n      temperature > 70\n        AND tempature < 3\n    clear: temperature <\n\
         \x20   message: hot, {humidity}\n\
         \x20 b: { on: hot, key: t, when: t, clear: \"t > 1) AS x, (t < 3\" }\n\
         \x20 c: { on: iot, key: device_id, when: avg(temperature) > 3 }\n",
    ));
    for (words, place) in [
        ("unknown column `device`", "p.yaml:15:10"),
        ("unknown column `tempature`", "p.yaml:18:13"),
        ("FB-4001", "p.yaml:19:25"),
        ("unknown column `humidity`", "p.yaml:20:20"),
        ("`t` cannot be a key: its type is DOUBLE", "p.yaml:21:22"),
        ("`when` is not a condition: its type is DOUBLE", "p.yaml:21:31"),
        ("`clear` is not one condition", "p.yaml:21:42"),
        ("an aggregate function over a stream", "p.yaml:22:39"),
    ] {
        let at = told.find(words).unwrap_or_else(|| panic!("`{words}` is missing in\n{told}"));
        assert!(told[at..].lines().nth(1).unwrap().ends_with(place), "{words}: {place}\n{told}");
    }
    assert!(told.ends_with("8 problems in p.yaml\n"), "{told}");
}

#[test]
fn an_alert_over_something_that_is_broken_adds_nothing_to_it() {
    let text = watched("  a: { on: iot, key: device_id, when: temperature > 70, clear: temperature << }\n");
    let told = refused(&text.replace("temperature DOUBLE", "temperature DUBLE"));
    assert!(told.contains("DUBLE") && told.contains("FB-4001"), "{told}");
    assert!(told.ends_with("2 problems in p.yaml\n"), "{told}");
}

#[test]
fn a_source_that_should_end_is_told_of_an_alert_that_does_not() {
    let text = watched("  a: { on: iot, key: device_id, when: temperature > 70 }\n")
        .replace("subscribe: t", "subscribe: t, endingOffsets: latest")
        .replace("format: console }", "format: console, trigger: availableNow }");
    let told = refused(&text);
    assert!(told.contains("`endingOffsets` needs a query that ends"), "{told}");
    assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
}

#[test]
fn a_schema_that_hides_the_envelope_is_refused_in_plain_words() {
    let text = watched("  a: { on: iot, key: device_id, when: temperature > 70 }\n")
        .replace("temperature DOUBLE", "temperature DOUBLE, _kafka INT");
    let told = refused(&text);
    assert!(
        told.contains("`iot` does not say when its records were") && told.contains("p.yaml:13:12"),
        "{told}"
    );
}

#[test]
fn all_that_is_wrong_in_a_message_is_told() {
    let message = "{humidity} {temp {device_id} }} } {presure}";
    let told = refused(&watched(&format!(
        "  a: {{ on: iot, key: device_id, when: temperature > 70, message: \"{message}\" }}\n"
    )));
    for part in ["unknown column `humidity`", "a `{` in the message", "a `}` in the message", "`presure`"] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert!(told.ends_with("4 problems in p.yaml\n"), "{told}");
}
