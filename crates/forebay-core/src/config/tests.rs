//! Cases as data: `tests/data/config/NAME.yaml` beside what is printed for it, `NAME.txt`.
//!
//! Run with `FOREBAY_BLESS=1` to write the `.txt` files anew; then read what changed.

mod channels;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, codes};
use crate::options::{ConnectorKind, OptionKind, OptionSpec};

const fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, doc: "What it is for." }
}

const fn needed(name: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::String, default: None, required: true, doc }
}

const fn connector(name: &'static str, kind: ConnectorKind, options: &'static [OptionSpec]) -> ConnectorSpec {
    ConnectorSpec { name, kind, summary: "", delivery: "", options, prefixes: &[], example: "" }
}

static KAFKA: ConnectorSpec = ConnectorSpec {
    prefixes: &["kafka."],
    ..connector(
        "kafka",
        ConnectorKind::Source,
        &[
            option("subscribe", OptionKind::String, None),
            option("subscribePattern", OptionKind::String, None),
            option("startingOffsets", OptionKind::String, Some("latest")),
            option("failOnDataLoss", OptionKind::Bool, Some("true")),
            option("maxOffsetsPerTrigger", OptionKind::Integer(1, i64::MAX), None),
        ],
    )
};
static JSON: ConnectorSpec = connector(
    "json",
    ConnectorKind::Format,
    &[
        option("timestampFormat", OptionKind::String, None),
        option("maxRecordBytes", OptionKind::Size, Some("64MiB")),
        option("secretSeed", OptionKind::Integer(0, 9), None),
    ],
);
static DELTA: ConnectorSpec = connector(
    "delta",
    ConnectorKind::Sink,
    &[needed("path", "The table's folder."), option("mergeSchema", OptionKind::Bool, Some("false"))],
);
static CONSOLE: ConnectorSpec =
    connector("console", ConnectorKind::Sink, &[option("numRows", OptionKind::Integer(1, 1000), Some("20"))]);

static CSV: ConnectorSpec = connector(
    "csv",
    ConnectorKind::Table,
    &[
        option("path", OptionKind::String, None),
        option("header", OptionKind::Bool, Some("false")),
        option("sep", OptionKind::String, Some(",")),
    ],
);
static JSON_TABLE: ConnectorSpec =
    connector("json", ConnectorKind::Table, &[option("path", OptionKind::String, None)]);
static DELTA_TABLE: ConnectorSpec =
    connector("delta", ConnectorKind::Table, &[option("path", OptionKind::String, None)]);

static REGISTRY: Registry<'static> = Registry {
    sources: &[&KAFKA],
    sinks: &[&CONSOLE, &DELTA],
    formats: &[&JSON],
    tables: &[&CSV, &JSON_TABLE, &DELTA_TABLE],
    gateways: &[],
    channels: &[],
};

/// What the secret of the test environment is; it must never be printed.
const CANARY: &str = "canary-5e1f";

fn parse_as(text: &str, file: &str) -> Result<Pipeline, Vec<Problem>> {
    let env = |name: &str| match name {
        "KAFKA_PASSWORD" => Some(CANARY.to_owned()),
        "LAKE" => Some("lake".to_owned()),
        _ => None,
    };
    let file_content = |path: &str| match path {
        "/run/secrets/seed" => Ok(format!("{CANARY}\n")),
        _ => Err("No such file or directory (os error 2)".to_owned()),
    };
    parse(text, file, &REGISTRY, &Lookup { env: &env, file: &file_content })
}

fn parsed(text: &str) -> Pipeline {
    parse_as(text, "test.yaml")
        .unwrap_or_else(|problems| panic!("{}", render(&problems, text, "test.yaml", false)))
}

/// A pipeline as the cases print it: what was meant, in lines.
fn describe(pipeline: &Pipeline) -> String {
    let mut out = format!("pipeline {}\n", pipeline.name);
    if !pipeline.time_zone.is_utc() {
        let _ = writeln!(out, "in {}", pipeline.time_zone);
    }
    for source in &pipeline.sources {
        let _ = writeln!(out, "source {} {} {:?}", source.name, source.format, source.options);
        if let Some(value) = &source.value {
            let schema = crate::ddl::to_ddl(&value.schema).unwrap();
            let _ = writeln!(out, "  {} {:?} {:?} ({schema})", value.format, value.mode, value.options);
            if let Some(said) = value.expect.said() {
                let places: Vec<_> = value.expect.all.iter().map(|it| it.place).collect();
                let _ = writeln!(out, "  expects {said} at {places:?}");
            }
        }
        if let Some(invalid) = &source.invalid {
            let _ = writeln!(out, "  invalid records of {:?} {}", invalid.of, invalid.value.is_some());
        }
        if let Some(watermark) = &source.watermark {
            let _ = writeln!(out, "  {watermark:?}");
        }
    }
    for table in &pipeline.tables {
        let (format, options, decoder) = (&table.format, &table.options, &table.decoder_options);
        let _ = writeln!(out, "table {} {format} {options:?} {decoder:?} at {:?}", table.name, table.place);
        let schema = table.schema.as_ref().map(|(schema, _)| crate::ddl::to_ddl(schema).unwrap());
        let _ = writeln!(out, "  {} in {} bytes", schema.unwrap_or_default(), table.max_memory);
    }
    for view in &pipeline.views {
        let _ = writeln!(out, "view {} {:?} at {:?}", view.name, view.sql, view.place);
        if let Some(deduplicate) = &view.deduplicate {
            let _ = writeln!(out, "  {deduplicate:?}");
        }
        if let Some(detector) = &view.detector {
            let _ = writeln!(out, "  {detector:?}");
        }
    }
    for query in &pipeline.queries {
        let _ = writeln!(out, "query {} {:?} at {:?}", query.name, query.sql, query.place);
        let _ = writeln!(
            out,
            "  {} {:?} {:?} {:?}",
            query.format, query.options, query.trigger, query.checkpoint
        );
        let _ = writeln!(
            out,
            "  {} at {:?}, {:?} of watermarks, {} bytes",
            query.output_mode, query.output_mode_place, query.watermark_policy, query.state_limit
        );
        if let Some(deduplicate) = &query.deduplicate {
            let _ = writeln!(out, "  {deduplicate:?}");
        }
    }
    for alert in &pipeline.alerts {
        let place = |placed: &Placed| format!("{:?} at {:?}", placed.text, placed.place);
        let _ = writeln!(out, "alert {} on {} by {}", alert.name, place(&alert.on), place(&alert.key));
        let clear = alert.clear.as_ref().map(place);
        let _ = writeln!(
            out,
            "  when {} clear {clear:?} for {:?} {:?}",
            place(&alert.when),
            alert.hold,
            alert.severity
        );
        for level in &alert.levels {
            let (when, clear) = (place(&level.when), level.clear.as_ref().map(place));
            let _ = writeln!(out, "  {:?} when {when} clear {clear:?} for {:?}", level.severity, level.hold);
        }
        if let Some(matches) = alert.matches {
            let _ = writeln!(out, "  {matches:?}");
        }
        if !alert.cooldown.is_zero() {
            let _ = writeln!(out, "  rests for {:?}", alert.cooldown);
        }
        if let Some(no_data) = &alert.no_data {
            let _ = writeln!(out, "  {no_data:?}");
        }
        if !alert.inhibited_by.is_empty() {
            let by: Vec<_> = alert.inhibited_by.iter().map(place).collect();
            let _ = writeln!(out, "  inhibited by {by:?}");
        }
        if let Some((message, text)) = &alert.message {
            let columns: Vec<_> = message.columns().collect();
            let _ = writeln!(out, "  message {} {columns:?}", place(text));
        }
    }
    for silence in &pipeline.silences {
        let _ = writeln!(out, "{silence:?}");
    }
    let _ = writeln!(out, "{:?}", pipeline.quarantine);
    if pipeline.dashboard != DashboardConfig::default() {
        let _ = writeln!(out, "{:#?}", pipeline.dashboard);
    }
    out
}

fn case_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test's own expectations need no storage door")]
fn each_file_is_understood_or_refused_as_its_case_says() {
    let bless = std::env::var_os("FOREBAY_BLESS").is_some();
    let files = case_files();
    assert!(files.len() >= 20, "only {} cases were found", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let printed = match parse_as(&text, name) {
            Ok(pipeline) => describe(&pipeline),
            Err(problems) => render(&problems, &text, name, false),
        };
        for secret in [CANARY, "hunter2"] {
            assert!(!printed.contains(secret), "{name} shows a secret:\n{printed}");
        }
        let expected_path = path.with_extension("txt");
        if bless {
            std::fs::write(&expected_path, &printed).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        assert_eq!(printed, expected, "{name}: printed:\n{printed}");
    }
}

#[test]
fn the_example_of_the_plant_parses() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plant.yaml");
    let pipeline = parsed(&std::fs::read_to_string(path).unwrap());
    assert_eq!(pipeline.sources[0].options.text("startingOffsets"), Some("latest"));
    assert_eq!(pipeline.sources[0].value.as_ref().unwrap().schema.fields().len(), 4);
    assert_eq!(pipeline.queries[0].options.text("path"), Some("data/iot_data"));
    assert_eq!(pipeline.queries[0].trigger, Trigger::ProcessingTime(Duration::from_secs(1)));
    assert_eq!(pipeline.queries[1].trigger, Trigger::Default);
    let watermark = pipeline.sources[0].watermark.as_ref().unwrap();
    assert_eq!(watermark.delay, Duration::from_secs(10));
    assert_eq!(pipeline.queries[2].options.text("path"), Some("data/iot_minutes"));
}

#[test]
fn a_secret_is_in_the_options_and_in_no_print() {
    let text = "pipeline: p\nsources:\n  s:\n    format: kafka\n    options:\n      subscribe: ${KAFKA_PASSWORD}\n      \
                kafka.sasl.jaas.config: x password=\"${KAFKA_PASSWORD}\";\n      kafka.ssl.truststore: ${file:/run/secrets/seed}\n\
                queries:\n  q: { sql: SELECT 1, format: console }\n";
    let options = parsed(text).sources.remove(0).options;
    assert_eq!(options.text("subscribe"), Some(CANARY));
    assert_eq!(options.passed_on()["kafka.sasl.jaas.config"], format!("x password=\"{CANARY}\";"));
    assert_eq!(options.passed_on()["kafka.ssl.truststore"], CANARY);
    let printed = format!("{options:?}");
    assert!(!printed.contains(CANARY) && printed.contains("***"), "{printed}");
}

#[test]
fn a_problem_inside_the_sql_points_into_the_file() {
    let text = "pipeline: p\nsources: {s: {format: kafka}}\nqueries:\n  q:\n    format: console\n    sql: |\n      \
                SELECT a,\n        tempature\n      FROM s\n";
    let query = parsed(text).queries.remove(0);
    let offset = query.sql.find("tempature").unwrap();
    let error =
        Error::new(&codes::SQL_PLAN, "no column `tempature`").with_hint("Did you mean `temperature`?");
    let problem = Problem::within(error, text, "p.yaml", query.place, &query.sql, offset, "tempature".len());
    let expected = "error[FB-4002]: no column `tempature`\n  --> p.yaml:8:9\n   |\n 8 |         tempature\n   |         \
                    ^^^^^^^^^\n   = help: Did you mean `temperature`?\n\n1 problem in p.yaml\n";
    assert_eq!(render(&[problem], text, "p.yaml", false), expected);
}

#[test]
fn hostile_files_are_refused_quickly_and_in_few_words() {
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"
        .to_owned();
    let many_keys = (0..20_000).map(|index| format!("k{index}: 1\n")).collect::<String>();
    let deep_blocks = (0..500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    let cases = [
        (laughs, "anchors and aliases"),
        ("[".repeat(100_000), "recursion limit exceeded"),
        (format!("a: {}", "[".repeat(100)), "nest deeper"),
        (deep_blocks, "nest deeper"),
        ("{a: ".repeat(100_000), "recursion limit exceeded"),
        ("{a: ".repeat(100), "nest deeper"),
        (
            format!("{{ {} }}", (0..10_000).map(|i| format!("password{i}: x, ")).collect::<String>()),
            "unknown key",
        ),
        (format!("{{ {} }}", "a: x, ".repeat(20_000)), "stands twice"),
        (
            format!("sources: {{ {} }}", (0..5_000).map(|i| format!("s{i}: {{}}, ")).collect::<String>()),
            "more problems",
        ),
        ("x".repeat((1 << 20) + 1), "bytes, more than"),
        (format!("{}: 1\n", "k".repeat(1_000)), "unknown key"),
        (many_keys, "more problems are not shown"),
        ("pipeline: a\0\nqueries: b".to_owned(), "control character U+0000"),
        ("pipeline: a\u{1b}[31m".to_owned(), "control character U+001B"),
        ("alerts: {a: {on: x, message: '{'}}\n".to_owned(), "has no `}`"),
        (String::new(), "the file is empty"),
        ("# only a remark\n".to_owned(), "the file is empty"),
    ];
    for (text, expected) in cases {
        let started = std::time::Instant::now();
        let problems = parse_as(&text, "hostile.yaml").err().unwrap();
        let printed = render(&problems, &text, "hostile.yaml", false);
        assert!(printed.contains(expected), "{expected}: {printed}");
        assert!(printed.len() < 200_000 && !printed.contains('\u{1b}'), "{expected}");
        assert!(started.elapsed() < Duration::from_secs(60), "{expected}: {:?}", started.elapsed());
    }
}

#[test]
fn a_source_and_a_decoder_share_no_option_name() {
    assert!(REGISTRY.conflicts().is_empty());
    let twice = Registry { formats: &[&JSON, &KAFKA], ..REGISTRY };
    assert_eq!(twice.conflicts()[0], "kafka/kafka: subscribe");
}

#[test]
fn lines_of_a_hint_stay_lines() {
    let error = Error::new(&codes::MISSING_KEY, "there are none")
        .with_hint("Add to the file:\n  tests:\n    - name: x");
    let printed = explain(&error, false);
    let expected = "  = help: Add to the file:\n      tests:\n        - name: x\n";
    assert!(printed.ends_with(expected), "{printed}");
}

#[test]
fn colours_surround_words_and_change_none() {
    let text = "pipelin: x\n";
    let problems = parse_as(text, "c.yaml").err().unwrap();
    let colored = render(&problems, text, "c.yaml", true);
    assert!(colored.contains("\u{1b}[1;31merror[FB-1003]\u{1b}[0m"));
    let mut bare = colored;
    while let Some(start) = bare.find('\u{1b}') {
        let end = start + bare[start..].find('m').unwrap() + 1;
        bare.replace_range(start..end, "");
    }
    assert_eq!(bare, render(&problems, text, "c.yaml", false));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![
        any::<String>(),
        "(pipeline|sources|queries|views|q|format|options|sql|schema|trigger|value|mode|password)?(: |:\n|\n| |  |'|\"|\\||>|\\{|\\}|\\[|\\]|,|-|#|&a|\\*a|!x|\\$\\{|é|\t|\r\n|\\\\){0,3}",
        "((pipeline|sources|queries|s|format|options|sql|schema|value|secret): ?(kafka|json|a INT|\\{|\\}|'|\"|\\||\\$\\{A\\}|é)?\n {0,6}){0,12}",
    ]) {
        if let Err(problems) = parse_as(&text, "any.yaml") {
            prop_assert!(!problems.is_empty());
            let printed = render(&problems, &text, "any.yaml", false);
            prop_assert!(!printed.is_empty());
        }
    }

    #[test]
    fn every_place_in_a_text_is_in_the_file(sql in "[a-zé '\"\\\\\n]{1,40}", offset in 0usize..60, quote in 0..3) {
        let text = match quote {
            0 => format!("sql: '{}'", sql.replace('\'', "''")),
            1 => format!("sql: \"{}\"", sql.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => format!("sql: |\n  {}", sql.replace('\n', "\n  ")),
        };
        let (line, column) = sql_place(&text, (1, 6), &sql, offset);
        prop_assert!(line >= 1 && column >= 1 && line <= text.lines().count() + 1);
    }
}

#[test]
fn a_cycle_is_read_whole_or_refused_with_its_place() {
    let file = |cycle: &str| {
        format!(
            "pipeline: p\nsources: {{s: {{format: kafka, options: {{subscribe: t, kafka.bootstrap.servers: \"a:1\"}}}}}}\n\
             queries:\n  q:\n    sql: SELECT 1\n    format: console\n    cycle: {cycle}\n"
        )
    };
    let said = |cycle: &str| {
        let draft = draft(
            &file(cycle),
            "p.yaml",
            &REGISTRY,
            &Lookup { env: &|_| None, file: &|_| Err(String::new()) },
        );
        (draft.pipeline.unwrap().queries[0].cycle.clone(), draft.problems)
    };
    let (cycle, problems) = said(
        "{every: 2 minutes, archive: \"b/{name}_{yyyyMMdd_HHmmss}.csv\", repeat: 3, zone: Europe/Berlin}",
    );
    assert!(problems.is_empty(), "{problems:?}");
    let cycle = cycle.unwrap().cycle;
    assert_eq!((cycle.every.as_secs(), cycle.repeat, cycle.header, cycle.clean), (120, Some(3), true, true));
    for wrong in [
        "{archive: \"{yyyyMMdd_HHmmss}\"}",
        "{every: 2, archive: \"{yyyyMMdd_HHmmss}\"}",
        "{every: 1 hour}",
        "{every: 1 hour, archive: x.csv}",
        "{every: 1 hour, archive: \"{yyyyMMdd_HHmmss}\", repeat: 0}",
        "{every: 1 hour, archive: \"{yyyyMMdd_HHmmss}\", merge: two files}",
        "{every: 1 hour, archive: \"{yyyyMMdd_HHmmss}\", celan: true}",
        "{every: 1 hour, archive: \"{yyyyMMdd_HHmmss}\", zone: Mars}",
    ] {
        let (_, problems) = said(wrong);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
        assert_eq!(problems[0].line, 7, "{wrong}");
    }
}
