//! What is told of a file: everything that is wrong, once, at its place.

use forebay_core::config::AlertConfig;
use forebay_core::trigger::Trigger;

use super::*;

mod alerts;
mod detectors;
mod panels;
mod tables;
mod watched;

fn run() -> Option<Run<'static>> {
    Some(Run { data: Path::new("forebay-data"), trigger: None, needs_tables: false, only: &[] })
}

fn refused(text: &str) -> String {
    let problems = load(text, "p.yaml", run()).err().unwrap_or_default();
    config::render(&problems, text, "p.yaml", false)
}

/// A file with a good source `iot`, whose options end with `more`, and these queries.
fn file(more: &str, queries: &str) -> String {
    format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"localhost:9092\", subscribe: t{more} }}\n\
         \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\nqueries:\n{queries}"
    )
}

/// What a file says, its places left out.
fn meaning(text: &str) -> Vec<String> {
    let Loaded { pipeline, alerts, .. } = load(text, "p.yaml", run()).ok().unwrap();
    let sources = pipeline.sources.iter().map(|it| {
        let watermark = it.watermark.as_ref().map(|it| (&it.column.text, it.delay, it.idle_timeout));
        format!("{} {:?} {:?} {watermark:?}", it.name, it.options, it.value)
    });
    let queries = pipeline.queries.iter();
    let queries =
        queries.map(|it| format!("{} {} {} {:?} {:?}", it.name, it.sql, it.format, it.options, it.trigger));
    let alerts = alerts.iter().map(|it| {
        let AlertConfig { name, on, when, clear, hold, severity, message, .. } = &it.config;
        let (clear, message) = (clear.as_ref().map(|it| &it.text), message.as_ref().map(|(_, it)| &it.text));
        format!("{name} {} {} {} {clear:?} {hold:?} {severity:?} {message:?}", on.text, it.key, when.text)
    });
    sources.chain(queries).chain(alerts).collect()
}

/// The pipeline files of `examples/` with what lies beside them in one folder, and a password where they name one.
pub(crate) fn examples() -> tempfile::TempDir {
    let (folder, door) = (tempfile::tempdir().unwrap(), forebay_storage::Door::new());
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")];
    while let Some(from) = folders.pop() {
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What is for other programs is not beside them.
                if !["grafana", "powerbi"].iter().any(|name| path.ends_with(name)) {
                    folders.push(path);
                }
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let text = text.replace("${PGPASSWORD}", "not-a-secret");
            door.write_new(&folder.path().join(path.file_name().unwrap()), text.as_bytes()).unwrap();
        }
    }
    folder
}

#[test]
fn every_example_is_valid() {
    let examples = examples();
    let mut loaded = 0;
    for entry in std::fs::read_dir(examples.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.display().to_string();
            if let Err(problems) = load(&text, &name, run()) {
                panic!("{}", config::render(&problems, &text, &name, false));
            }
            loaded += 1;
        }
    }
    assert!(loaded > 0, "there are examples");
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let block = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(refused(block), "0 problems in p.yaml\n", "the README's pipeline");
    let plant =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plant.yaml"));
    assert_eq!(meaning(block), meaning(&plant.unwrap()), "the README shows the plant without its remarks");
}

#[test]
fn wrong_options_hide_no_wrong_sql_and_no_other_wrong_options() {
    let queries = "  a:\n    sql: SELECT tempature FROM iot\n    format: console\n    options: { numRow: 3 }\n\
                   \x20 b:\n    sql: SELECT * FROM iott\n    format: consle\n\
                   \x20 c:\n    sql: SELEC 1\n    format: delta\n    options: { path: \"s3://x\" }\n";
    let told = refused(&file("/../x, startingOfsets: latest", queries));
    for part in [
        "startingOffsets",
        "no name of a topic",
        "tempature",
        "numRows",
        "iott",
        "console",
        "FB-4001",
        "s3://x",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert!(told.ends_with("8 problems in p.yaml\n"), "{told}");
}

#[test]
fn a_word_is_as_long_as_its_letters() {
    let sql = "SELECT größe, n";
    assert_eq!((word_at(sql, 7), word_at(sql, sql.len()), word_at(sql, 6)), ("größe", "", ""));
}

#[test]
fn what_follows_from_a_problem_is_not_told_again() {
    let source = "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n    value: json\n    schema: device_id STRNG\n";
    let rest = "views:\n  hot: SELECT * FROM iot WHERE temperature > 70\nqueries:\n  a: { sql: SELECT device_id FROM hot, format: console }\n\
                \x20 b: { sql: SELECT device_id FROM iot, format: console }\n";
    let told = refused(&format!("{source}{rest}"));
    assert!(told.ends_with("1 problem in p.yaml\n") && told.contains("STRNG"), "{told}");
}

#[test]
fn what_a_connector_refuses_stands_under_its_option() {
    let queries = "queries:\n  a:\n    sql: SELECT * FROM iot\n    format: console\n";
    for (options, place) in [
        ("      subscribe: t\n      kafka.bootstrap.servers: nohost\n", "7:32"),
        (
            "      kafka.bootstrap.servers: localhost:9092\n      subscribe: t\n      startingOffsets: sometime\n",
            "8:24",
        ),
        (
            "      kafka.bootstrap.servers: localhost:9092\n      subscribe: t\n      kafka.bootstrp.servers: x\n",
            "8:7",
        ),
        ("      kafka.bootstrap.servers: localhost:9092\n", "5:5"),
    ] {
        let source = format!("pipeline: p\nsources:\n  iot:\n    format: kafka\n    options:\n{options}");
        let told = refused(&format!("{source}{queries}"));
        assert!(told.contains(&format!("--> p.yaml:{place}\n")), "{place}: {told}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_one_problem() {
    let queries = "  a: { sql: SELECT * FROM iot, format: console }\n";
    let text = file("", queries).replace("subscribe: t", "subscribe: \"${FOREBAY_TEST_NOT_SET}\"");
    let told = refused(&text);
    assert!(told.contains("FB-1010") && told.ends_with("1 problem in p.yaml\n"), "{told}");
}

#[test]
fn what_a_connector_refuses_of_the_environment_is_not_shown() {
    let secret = std::env::var("PATH").unwrap();
    let queries = "  a: { sql: SELECT * FROM iot, format: console }\n";
    let told = refused(&file(", kafka.security.protocol: \"${PATH}\"", queries));
    assert!(told.contains("`kafka.security.protocol` is refused") && !told.contains(&secret), "{told}");
}

#[test]
fn what_is_wrong_in_a_view_stands_under_its_words() {
    let queries = "  a: { sql: SELECT * FROM hot, format: console }\n";
    let views = "views:\n  hot: |\n    SELECT device_id,\n      tempature FROM iot\nqueries:\n";
    let told = refused(&file("", queries).replace("queries:\n", views));
    assert!(told.contains("--> p.yaml:11:7\n") && told.contains(" ^^^^^^^^^\n"), "{told}");
    assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
}

#[test]
fn a_key_of_deduplicate_that_is_no_column_is_marked_itself() {
    let queries = "  a: { sql: SELECT * FROM iot, format: console, deduplicate: { keys: [device_id, temprature], within: 1 minute } }\n";
    let timed = "DOUBLE, at TIMESTAMP\n    watermark: { column: at, delay: 1 minute }\nqueries:\n";
    let told = refused(&file("", queries).replace("DOUBLE\nqueries:\n", timed));
    assert!(told.contains("unknown column `temprature`"), "{told}");
    assert!(told.contains("Did you mean `temperature`?"), "{told}");
    assert!(told.contains("--> p.yaml:10:82\n") && told.contains(" ^^^^^^^^^^\n"), "{told}");
}

#[test]
fn a_table_without_keys_refuses_updates_and_names_no_folder_that_is_not_its_own() {
    let queries = "  a: { sql: \"SELECT count(*) AS n FROM iot GROUP BY device_id\", format: delta, outputMode: update, options: { path: t } }\n";
    let told = refused(&file("", queries));
    for part in [
        "FB-4007",
        "a Delta table cannot take rows in output mode update: they have no keys",
        "help: A row takes the place of the one with the same values of GROUP BY, so put each column of GROUP BY into the SELECT as it is; ",
        "Or use `outputMode: complete`, which writes the whole result, or `append`, which writes what is final.",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert!(!told.contains("DeltaSink"), "{told}");
}

#[test]
fn a_sink_is_asked_about_its_columns_before_anything_runs() {
    let queries = "  a: { sql: SELECT * FROM iot, format: delta, options: { path: t, partitionBy: device_ids } }\n\
                   \x20 b: { sql: SELECT device_id FROM iot, format: delta, options: { path: t, partitionBy: device_id } }\n\
                   \x20 c: { sql: \"SELECT array(temperature) AS ts, device_id FROM iot\", format: delta, options: { path: t, partitionBy: ts } }\n\
                   \x20 d: { sql: \"SELECT device_id AS `a b` FROM iot\", format: delta, options: { path: t } }\n\
                   \x20 e: { sql: SELECT * FROM iot, format: delta, options: { path: t, partitionBy: Device_ID } }\n";
    let told = refused(&file("", queries));
    for part in
        ["Did you mean `device_id`?", "every column", "type is array<double>", "a name that Delta does not"]
    {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    assert!(told.contains("p.yaml:9:80") && told.contains("p.yaml:12:13"), "option and SELECT\n{told}");
    assert!(told.ends_with("4 problems in p.yaml\n"), "{told}");
}

#[test]
fn a_table_that_is_not_there_is_told_at_its_name_with_what_makes_it() {
    let queries = "  a: { sql: SELECT device_id FROM iot JOIN reg USING (device_id), format: console }\n\
                   \x20 w: { sql: SELECT * FROM iot, format: delta, options: { path: reg/now } }\n";
    let with = |table: &str| {
        refused(
            &file("", queries).replace("queries:\n", &format!("tables:\n  reg: {{ {table} }}\nqueries:\n")),
        )
    };
    for (table, parts) in [
        (
            "format: delta, path: reg/now",
            ["no Delta table", "The query `w` of this file makes it", "nothing that reads it can be checked"],
        ),
        (
            "format: delta, path: other",
            ["no Delta table", "write the table before", "nothing that reads it can be checked"],
        ),
        (
            "format: parquet, path: reg/now",
            ["no such file", "Put the file into its place", "nothing that reads it can be checked"],
        ),
    ] {
        let told = with(table);
        assert!(told.contains("FB-2007") && told.contains("p.yaml:9:3"), "{told}");
        assert!(parts.iter().all(|part| told.contains(part)), "{parts:?}\n{told}");
        assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
    }
    let told = with("format: csv, path: reg.csv, schema: device_id STRING");
    assert_eq!(told, "0 problems in p.yaml\n", "its columns are known without it");
}

#[test]
fn an_illegal_topic_name_is_refused_before_anything_runs() {
    let queries = "  a: { sql: SELECT * FROM iot, format: console }\n";
    let told = refused(&file("/../x", queries));
    assert!(told.contains("t/../x") && told.contains("FB-1005"), "{told}");
    assert_eq!(load(&file("", queries), "p.yaml", run()).map(|loaded| loaded.plans.len()).ok(), Some(1));
}

#[test]
fn what_run_would_refuse_is_refused_with_all_the_rest() {
    let queries = "  a: { sql: SELECT * FROM iot, format: console, checkpointLocation: checkpoints/p/b }\n\
                   \x20 b: { sql: SELECT * FROM iot, format: console, options: { truncate: maybe } }\n\
                   \x20 c: { sql: SELECT * FROM iot, format: delta, options: { path: t, checkpointLocation: own } }\n\
                   \x20 d: { sql: SELECT * FROM iot, format: delta, options: { path: log/t, checkpointLocation: ./x/../own } }\n\
                   \x20 e: { sql: SELECT * FROM iot, format: delta, options: { path: . } }\n\
                   \x20 f: { sql: SELECT * FROM iot, format: delta, options: { path: ../forebay-data/quarantine } }\n";
    let more = ", endingOffsets: latest, startingOffsets: '{\"u\":{\"0\":5}}'";
    let told = refused(&file(more, queries));
    for (part, places) in [
        ("`endingOffsets` needs a query that ends", &["5:"][..]),
        ("`startingOffsets`: it names u-0", &["5:"]),
        ("that of query `b` already", &["9:"]),
        ("that of query `c` already", &["12:"]),
        ("`truncate` is `maybe`", &["10:"]),
        ("in the way of Forebay's own folder", &["12:", "13:", "14:"]),
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
        assert!(places.iter().all(|place| told.contains(&format!("p.yaml:{place}"))), "{part}\n{told}");
    }
    assert!(told.ends_with("8 problems in p.yaml\n"), "{told}");
    let trigger = Some(Trigger::AvailableNow);
    let ends = file(", endingOffsets: latest", "  a: { sql: SELECT * FROM iot, format: console }\n");
    let run = Run { trigger, ..run().unwrap() };
    assert!(load(&ends, "p.yaml", Some(run)).is_ok(), "`--trigger` makes it end");
}

#[test]
fn an_archive_that_gets_in_the_way_is_refused() {
    let query = |name: &str, path: &str, archive: &str| {
        format!(
            "  {name}:\n    sql: SELECT * FROM iot\n    format: csv\n    options: {{ path: {path} }}\n    cycle: {{ every: 1 minute, archive: \"{archive}\" }}\n"
        )
    };
    let time = "{yyyyMMdd_HHmmss}.csv";
    let told = |queries: &[String]| refused(&file("", &queries.concat()));
    for (archive, why) in [
        (format!("b/x_{time}"), "has the name of those of query `a`"),
        (format!("./c/../b/x_{time}"), "has the name of those of query `a`"),
        (format!("o2/part-{time}"), "is in the folder to which query `b` writes"),
        (format!("o2/_forebay/staged/x_{time}"), "is in the folder to which query `b` writes"),
        (format!("o1/x_{time}"), "is in the folder to which query `a` writes"),
        (format!("checkpoints/x_{time}"), "is in Forebay's own folder"),
        (format!("warehouse/x_{time}"), "is in Forebay's own folder"),
        (format!("b/{}_{time}", "x".repeat(230)), "has a name of 250 bytes"),
    ] {
        let told = told(&[query("a", "o1", &format!("b/x_{time}")), query("b", "o2", &archive)]);
        assert!(told.contains(why) && told.ends_with("1 problem in p.yaml\n"), "{archive}: {told}");
    }
    let fine =
        [query("a", "o1", &format!("b/{{name}}_{time}")), query("b", "o2", &format!("b/{{name}}_{time}"))];
    assert!(load(&file("", &fine.concat()), "p.yaml", run()).is_ok());
}

#[test]
fn an_option_of_kafkas_client_without_its_prefix_is_recognised() {
    let queries = "  a: { sql: SELECT * FROM iot, format: console }\n";
    for typed in ["bootstrap.servers", "kafka.bootstrap.server"] {
        let told = refused(&file("", queries).replace("kafka.bootstrap.servers", typed));
        assert!(told.contains("Did you mean `kafka.bootstrap.servers`?"), "{told}");
        assert!(told.ends_with("1 problem in p.yaml\n"), "{told}");
    }
}

#[test]
fn a_zone_is_a_region_or_an_offset() {
    let with = |zone: &str| {
        file("", "  q:\n    sql: SELECT * FROM iot\n    format: console\n").replacen(
            "pipeline: p\n",
            &format!("pipeline: p\ntimeZone: \"{zone}\"\n"),
            1,
        )
    };
    for zone in ["utc", "europe/berlin", "+02:00", "America/New_York"] {
        assert_eq!(refused(&with(zone)), "0 problems in p.yaml\n", "{zone}");
    }
    for zone in ["+02:00:30", "+19:00", "Mars/Olympus"] {
        assert!(refused(&with(zone)).contains("expected a time zone"), "{zone}");
    }
    let told = refused(&with("Europe/Berlim"));
    assert!(told.contains("p.yaml:2:11") && told.contains("Did you mean `Europe/Berlin`?"), "{told}");
}

/// `docs/event-time.md`: its first file is whole, every further one is so too or has other queries in place of its own.
#[test]
fn the_files_and_commands_of_the_page_on_event_time_are_right() {
    use clap::Parser;
    let page = include_str!("../../../../docs/event-time.md");
    let of = |kind: &str| -> Vec<String> {
        let fence = format!("```{kind}\n");
        let blocks = page.split(&fence).skip(1);
        blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
    };
    let metrics: Vec<&str> = page.split('`').filter(|word| word.starts_with("forebay_")).collect();
    assert!(metrics.len() >= 6, "{metrics:?}");
    let dashboard = include_str!("../../../../docs/grafana.json");
    assert!(metrics.iter().all(|metric| dashboard.contains(metric)), "{metrics:?}");
    let files = of("yaml");
    let (sources, _) = files[0].split_once("queries:\n").unwrap();
    assert!(files.len() >= 4, "{files:?}");
    for block in &files {
        let text = if block.starts_with("pipeline:") { block.clone() } else { format!("{sources}{block}") };
        assert_eq!(refused(&text), "0 problems in p.yaml\n", "{text}");
    }
    let commands: Vec<String> =
        of("sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for line in commands {
        // Quoted parts stand at every second place.
        let parts = line.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        });
        crate::cli::Cli::try_parse_from(parts).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

#[test]
fn delta_replaces_the_rows_of_grouping_sets_where_they_say_of_which_set_they_are() {
    let told = |select: &str| {
        refused(&file(
            "",
            &format!(
                "  a:\n    sql: SELECT {select} FROM iot GROUP BY ROLLUP(device_id)\n    format: delta\n    \
                 outputMode: update\n    options: {{ path: lake }}\n"
            ),
        ))
    };
    assert_eq!(told("device_id, grouping(device_id) AS g, count(*) AS n"), "0 problems in p.yaml\n");
    assert_eq!(told("device_id, grouping_id() AS g, count(*) AS n"), "0 problems in p.yaml\n");
    let without = told("device_id, count(*) AS n");
    assert!(without.contains("FB-4007") && without.contains("also `grouping_id()`"), "{without}");
}
