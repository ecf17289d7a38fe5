//! What is told of the SQL in `dashboard:`.

use super::*;

/// A file with a good source `iot`, a view, queries with and without a table, and these SQL panels.
fn shown(panels: &[&str]) -> String {
    let queries = "  lake: { sql: \"SELECT device_id, temperature AS t FROM iot\", format: delta, options: { path: lake } }\n\
                   \x20 seen: { sql: SELECT * FROM iot, format: console }\n";
    let views = "views:\n  hot: SELECT device_id AS id FROM iot WHERE temperature > 70\n\
                 \x20 once: { sql: SELECT * FROM iot, deduplicate: { keys: [device_id] } }\nqueries:\n";
    let panels: String =
        panels.iter().map(|sql| format!("    - {{ chart: sql, sql: \"{sql}\" }}\n")).collect();
    file("", queries).replace("queries:\n", views) + "dashboard:\n  panels:\n" + &panels
}

#[test]
fn a_panel_reads_sources_views_and_the_tables_that_queries_write() {
    let text = shown(&[
        "SELECT device_id, avg(t) AS t FROM lake GROUP BY device_id ORDER BY t DESC LIMIT 5",
        "SELECT count(*), max(_kafka.offset) FROM iot",
        "SELECT h.id, l.t FROM HOT h JOIN Lake l ON l.device_id = h.id WHERE l.t > (SELECT avg(t) FROM lake)",
        "SELECT from_json('{}', 'a INT').a AS a",
    ]);
    assert_eq!(refused(&text), "0 problems in p.yaml\n");
}

#[test]
fn what_is_wrong_in_a_panels_sql_is_told_at_its_place() {
    let text = shown(&[
        "SELECT device_id, avg(temprature) FROM iot",
        "SELECT temperature FROM lake",
        "SELECT * FROM leak",
        "SELECT * FROM seen",
        "SELECT * FROM delta.`/etc`",
        "SELEC 1",
        "DROP TABLE lake",
        "SHOW TABLES",
        "SELECT device_id, max(t) FROM lake",
        "SELECT approx_percentile_cont(t, 0.5, 1e15) FROM lake",
        "SELECT uper(id) FROM hot",
        "SELECT * FROM once",
    ]);
    let told = refused(&text);
    for part in [
        "unknown column `temprature`",
        "Did you mean `temperature`?",
        "unknown column `temperature`",
        "Did you mean `lake`?",
        "the query `seen` writes to the console and has no table",
        "unknown table `delta./etc`",
        "FB-4001",
        "DROP is not possible here",
        "only a SELECT is possible here",
        "must stand in GROUP BY",
        "from 1 to 10000",
        "Did you mean `upper`?",
        "the view `once` lets the first row of a key pass",
        "p.yaml:16:49",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert!(told.ends_with("12 problems in p.yaml\n"), "{told}");
}

#[test]
fn a_panel_over_something_that_is_broken_adds_nothing_to_it() {
    let text = shown(&["SELECT nothing FROM lake", "SELECT nothing FROM hot", "SELECT wrong FROM iot"]);
    let text = text
        .replace("temperature AS t FROM iot", "tempature AS t FROM iot")
        .replace("temperature > 70", "temp > 70");
    let told = refused(&text);
    assert!(told.contains("tempature") && told.contains("`temp`") && told.contains("`wrong`"), "{told}");
    assert!(told.ends_with("3 problems in p.yaml\n"), "{told}");
}
