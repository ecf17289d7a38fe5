//! Which tables at rest a run needs.

use forebay_storage::Door;

use super::*;

/// A file with tables that are there (`here`, `too`), one that is not and whose columns are known (`away`), and one whose
/// columns are not (`alien`).
fn text() -> String {
    let csv =
        |name: &str| format!("  {name}: {{ format: csv, path: {name}.csv, schema: device_id STRING }}\n");
    let before = ["here", "too", "away"].map(csv).concat()
        + "  alien: { format: parquet, path: alien.parquet }\n\
           views:\n  middle: SELECT iot.* FROM iot JOIN AWAY USING (device_id)\n\
           \x20 outer: SELECT device_id, temperature FROM middle\nqueries:\n";
    let queries = "  a: { sql: SELECT device_id FROM iot JOIN `here` USING (device_id), format: console }\n\
                   \x20 b: { sql: SELECT * FROM `outer`, format: console }\n\
                   \x20 c: { sql: SELECT device_id FROM iot JOIN alien USING (device_id), format: console }\n\
                   \x20 d: { sql: SELECT device_id AS away FROM iot, format: console }\n\
                   alerts:\n  hot: { on: outer, key: device_id, when: temperature > 70 }\n\
                   \x20 cold: { on: iot, key: device_id, when: temperature < 0 }\n\
                   dashboard:\n  panels:\n\
                   \x20   - { chart: sql, sql: \"SELECT count(*) AS n FROM away JOIN too USING (device_id)\" }\n";
    file("", queries).replacen("queries:\n", &format!("tables:\n{before}"), 1)
}

#[test]
fn a_run_of_some_queries_opens_their_tables_alone() {
    let data = tempfile::tempdir().unwrap();
    for name in ["here", "too"] {
        Door::new().write_new(&data.path().join(format!("{name}.csv")), b"device_1\n").unwrap();
    }
    let text = text();
    let opened = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        let run = Run { data: data.path(), trigger: None, needs_tables: true, only: &only };
        match load(&text, "p.yaml", Some(run)) {
            Ok(loaded) => Ok(loaded.tables.iter().map(|table| table.name().to_owned()).collect::<Vec<_>>()),
            Err(problems) => Err(config::render(&problems, &text, "p.yaml", false)),
        }
    };
    assert_eq!(opened(&["a"]), Ok(vec!["here".to_owned()]));
    assert_eq!(opened(&["a", "d", "alerts/cold"]), Ok(vec!["here".to_owned()]), "`away` is a column there");
    for (only, missing) in [
        (&["b"][..], &["away"][..]),
        (&["a", "alerts/hot"], &["away"]),
        (&["c"], &["alien"]),
        (&["b", "c"], &["away", "alien"]),
        (&[], &["away", "alien"]),
    ] {
        let told = opened(only).unwrap_err();
        for table in ["here", "too", "away", "alien"] {
            let is_told = told.contains(&format!("the table `{table}`: there is no such file"));
            assert_eq!(is_told, missing.contains(&table), "{only:?}: {table}\n{told}");
        }
        let end = if missing.len() == 1 { "1 problem in p.yaml\n" } else { "2 problems in p.yaml\n" };
        assert!(told.ends_with(end), "{only:?}\n{told}");
    }
}

#[test]
fn a_table_of_a_catalog_is_written_and_read_by_its_name() {
    let data = tempfile::tempdir().unwrap();
    let run = Run { data: data.path(), trigger: None, needs_tables: true, only: &[] };
    let told = |queries: &str| {
        let text = file("", queries);
        load(&text, "p.yaml", Some(run)).map_err(|problems| config::render(&problems, &text, "p.yaml", false))
    };
    let loaded =
        told("  a: { sql: SELECT * FROM iot, format: delta, toTable: Plant.iot.Lake }\n").ok().unwrap();
    let query = &loaded.pipeline.queries[0];
    assert_eq!(query.options.text("path"), Some("warehouse/plant/iot.db/lake"));
    assert_eq!(query.to_table.as_ref().map(ToString::to_string).as_deref(), Some("plant.iot.lake"));
    for (query, words) in [
        (
            "sql: SELECT iot.device_id FROM iot JOIN plant.IOT.registry USING (device_id), format: console",
            "the table `plant.iot.registry`",
        ),
        (
            "sql: SELECT * FROM iot, format: delta, options: { path: ./warehouse/x }",
            "among the tables of catalogs",
        ),
        ("sql: SELECT * FROM iot, format: delta, options: { path: x }, toTable: y", "are both given"),
        ("sql: SELECT * FROM iot, format: delta, toTable: a/b", "cannot be a part"),
        ("sql: SELECT * FROM iot, format: console, toTable: a", "of `delta` alone"),
    ] {
        let told = told(&format!("  a: {{ {query} }}\n")).err().unwrap_or_default();
        assert!(told.contains(words), "{query}: {told}");
    }
}
