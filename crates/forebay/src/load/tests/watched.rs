//! What is told of the views that the page follows.

use super::*;

/// A file with a good source `iot`, views, and this section `dashboard`.
fn shown(dashboard: &str) -> String {
    let views = "views:\n  hot: SELECT device_id AS id, temperature, timestamp_seconds(1) AS at FROM iot WHERE temperature > 70\n\
                 \x20 once: { sql: SELECT * FROM iot, deduplicate: { keys: [device_id] } }\n\
                 \x20 twice: SELECT * FROM iot UNION ALL SELECT * FROM iot\n\
                 \x20 counted: SELECT device_id, count(*) AS n FROM iot GROUP BY device_id\nqueries:\n";
    file("", "  seen: { sql: SELECT * FROM iot, format: console }\n").replace("queries:\n", views)
        + "dashboard:\n"
        + dashboard
}

#[test]
fn a_view_of_one_source_is_followed_with_its_names_as_it_spells_them() {
    let text = shown(
        "  views: { HOT: { key: ID, time: AT, labels: Id } }\n  panels:\n    - { field: hot.TEMPERATURE, chart: line }\n",
    );
    let loaded =
        load(&text, "p.yaml", run()).map_err(|problems| config::render(&problems, &text, "p.yaml", false));
    let watched = loaded.unwrap().watched;
    let [hot] = watched.as_slice() else { panic!("{watched:?}") };
    let columns: Vec<&str> = hot.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((columns, hot.source.as_str()), (vec!["id", "temperature", "at"], "iot"));
    let config = &hot.config;
    let names = (
        config.key.text.as_str(),
        config.time.as_ref().unwrap().text.as_str(),
        config.labels[0].text.as_str(),
    );
    assert_eq!((config.name.as_str(), names), ("hot", ("id", "at", "id")));
    assert_eq!(hot.made_of.len(), 1, "views below it do not matter");
}

#[test]
fn what_cannot_be_followed_says_why() {
    let text = shown(
        "  views:\n    once: { key: device_id }\n    twice: { key: device_id }\n    counted: { key: device_id }\n",
    );
    let told = refused(&text);
    for part in [
        "the page cannot follow the view `once`",
        "the view `twice`",
        "the view `counted`",
        "remember nothing",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
}

#[test]
fn what_the_file_says_of_a_views_columns_is_told_at_its_place() {
    let text = shown(
        "  views: { hot: { key: temperature, time: temperature, labels: [idd, at, temperature] } }\n  panels:\n\
         \x20   - { field: hot.temprature, chart: line }\n    - { field: hot.id, chart: gauge }\n    - { field: hot.id, chart: bar }\n",
    );
    let told = refused(&text);
    for part in [
        "`temperature` cannot name a device",
        "`temperature` is no TIMESTAMP",
        "unknown column `idd` of view `hot`",
        "Did you mean `id`?",
        "`at` cannot be a label",
        "`temperature` cannot be a label",
        "unknown column `temprature` of view `hot`",
        "`id` holds no numbers",
        "7 problems in p.yaml",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
}
