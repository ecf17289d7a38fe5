//! Schemas: the JSON Schema of pipeline files against an independent validator, and what is inferred from records.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::first_minutes::{printed, said};
use crate::support::*;

/// Files and what an independent validator says of each: nothing, or where it is wrong.
pub fn validated(files: &[PathBuf]) -> Vec<(bool, String)> {
    let schema = root().join("docs/pipeline.schema.json");
    let paths = [&[schema], files].concat();
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let all = run_script(
        "scripts/services/python.sh",
        &[&["tests/clients/pipeline_schema.py"], &paths[..]].concat(),
    );
    files
        .iter()
        .map(|file| {
            let name = file.display().to_string();
            let lines: Vec<&str> = all.lines().filter(|line| line.contains(&name)).collect();
            assert!(!lines.is_empty(), "{name} was not looked at:\n{all}");
            (lines == [format!("OK {name}")], lines.join("\n"))
        })
        .collect()
}

#[test]
fn every_file_of_the_examples_and_the_readme_fits_the_json_schema() {
    assert_eq!(
        printed(&["schema", "json"]),
        std::fs::read_to_string(root().join("docs/pipeline.schema.json")).unwrap()
    );
    let examples = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        examples.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    assert!(!files.is_empty());
    files.push(root().join("README.md"));
    for (fits, lines) in validated(&files) {
        assert!(fits, "{lines}");
    }
}

/// A small file, and places where a word of it is replaced.
const SMALL: &str = "pipeline: small
sources:
  iot:
    format: kafka
    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t, maxOffsetsPerTrigger: 1000, failOnDataLoss: false }
    value: json
    schema: a INT
views:
  hot: SELECT * FROM iot
  warm: { sql: SELECT * FROM iot }
queries:
  lake:
    sql: SELECT * FROM hot
    format: delta
    options: { path: here, mergeSchema: true, delta.targetFileSize: 64MiB, minCommitInterval: 2 seconds }
    trigger: { processingTime: 1 second }
  screen:
    sql: SELECT * FROM warm
    format: console
    trigger: availableNow
quarantine: { maxBytes: 10 MB, whenFull: dropOldest, retention: forever }
";

#[test]
fn the_json_schema_and_validate_agree_on_good_and_wrong_files() {
    let dir = tempfile::tempdir().unwrap();
    let good = [
        ("as it stands", "", ""),
        ("another case", "subscribe:", "SUBSCRIBE:"),
        ("another case of a word", "format: delta", "format: Delta"),
        ("a required option in another case", "path: here", "Path: here"),
        ("a number as text", "maxOffsetsPerTrigger: 1000", "maxOffsetsPerTrigger: \"1_000\""),
        ("a boolean as text", "mergeSchema: true", "mergeSchema: \"TRUE\""),
        ("an option of the decoder", "subscribe: t", "subscribe: t, timestampFormat: yyyy"),
        ("a mode among the options", "subscribe: t", "subscribe: t, mode: permissive"),
        ("options handed on", "subscribe: t", "subscribe: t, kafka.client.id: 7"),
        ("a sum of durations", "processingTime: 1 second", "processingTime: 1 hour 30 minutes"),
        ("no trigger", "    trigger: availableNow\n", ""),
        ("a checkpoint among the options", "path: here", "path: here, checkpointLocation: there"),
        ("a secret", "minCommitInterval: 2 seconds", "minCommitInterval: \"${FOREBAY_TEST_INTERVAL}\""),
    ];
    let wrong = [
        ("an unknown key", "pipeline: small", "pipeline: small\nsource: x"),
        ("a missing key", "pipeline: small\n", ""),
        ("a bad name", "pipeline: small", "pipeline: 7 small"),
        ("no query", SMALL.split_at(SMALL.find("queries:").unwrap()).1, "queries: {}\n"),
        ("an unknown source", "format: kafka", "format: kafak"),
        ("an unknown sink", "format: console", "format: consle"),
        ("an unknown option", "maxOffsetsPerTrigger", "maxOffsetPerTrigger"),
        ("an option of another connector", "subscribe: t", "subscribe: t, path: x"),
        ("a decoder's option without it", "    value: json\n    schema: a INT\n", "    mode: FAILFAST\n"),
        ("a schema without decoder", "    value: json\n", ""),
        ("a decoder without schema", "    schema: a INT\n", ""),
        ("a needed option that is missing", "path: here, ", ""),
        ("a number that is none", "maxOffsetsPerTrigger: 1000", "maxOffsetsPerTrigger: many"),
        ("a number out of range", "maxOffsetsPerTrigger: 1000", "maxOffsetsPerTrigger: 0"),
        ("a boolean that is none", "mergeSchema: true", "mergeSchema: sure"),
        ("a size that is none", "maxBytes: 10 MB", "maxBytes: 10 parsecs"),
        ("a duration without unit", "processingTime: 1 second", "processingTime: 1"),
        ("two triggers", "processingTime: 1 second", "processingTime: 1 second, once: true"),
        ("an unknown trigger", "trigger: availableNow", "trigger: sometimes"),
        ("a word that is none", "whenFull: dropOldest", "whenFull: explode"),
        ("a list", "sql: SELECT * FROM hot", "sql: [SELECT]"),
    ];
    let file = |(what, from, to): &(&str, &str, &str)| {
        assert!(SMALL.contains(from), "{what}: `{from}`");
        let path = dir.path().join(format!("{}.yaml", what.replace(' ', "_")));
        std::fs::write(&path, SMALL.replacen(from, to, 1)).unwrap();
        path
    };
    let files: Vec<PathBuf> = good.iter().chain(&wrong).map(file).collect();
    let verdicts = validated(&files);
    for (index, (path, (fits, lines))) in files.iter().zip(&verdicts).enumerate() {
        let is_good = index < good.len();
        assert_eq!(*fits, is_good, "{}", if *fits { path.display().to_string() } else { lines.clone() });
        let mut validate = forebay(dir.path(), &["validate", path.to_str().unwrap()]);
        let output = validate.env("FOREBAY_TEST_INTERVAL", "3 seconds").output().unwrap();
        assert_eq!(output.status.success(), is_good, "{}: {}", path.display(), said(&output));
    }
}

/// Records of all kinds, some of them not JSON.
pub fn records() -> Vec<String> {
    let mut records: Vec<String> = (0..300)
        .map(|i| {
            let extra = if i % 3 == 0 { ", \"tags\": [\"a\"], \"note\": null" } else { ", \"tags\": []" };
            format!(
                "{{\"id\": \"d{}\", \"v\": {}, \"n\": {i}, \"at\": \"2026-01-01T00:00:{:02}Z\", \"site\": {{\"hall\": {}, \"pos\": {{\"lat\": 48.5}}}}{extra}}}",
                i % 7,
                if i % 2 == 0 { "20".to_owned() } else { format!("20.{i}") },
                i % 60,
                i % 4
            )
        })
        .collect();
    records.push("{\"id\": \"d1\", \"v\": ".to_owned());
    records
}

const RECORDS_DDL: &str = "id STRING,\nv DOUBLE,\nn BIGINT,\nat TIMESTAMP,\n\
     site STRUCT<hall: BIGINT, pos: STRUCT<lat: DOUBLE>>,\ntags ARRAY<STRING>,\nnote STRING\n";

#[test]
fn a_schema_is_inferred_from_a_topic_a_file_and_stdin_alike() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    make_topic(log.address, "mixed", 3);
    log.produce("mixed", &records());
    let file = data.path().join("records.jsonl");
    std::fs::write(&file, records().join("\n")).unwrap();
    let bootstrap = log.address.to_string();
    let url = format!("kafka://{bootstrap}/mixed");
    let infer = |args: &[&str]| succeed(&mut forebay(data.path(), &[&["schema", "infer"], args].concat()));
    let by_file = infer(&["--file", file.to_str().unwrap()]);
    assert_eq!(text(&by_file.stdout), RECORDS_DDL);
    let remarks = said(&by_file);
    for part in [
        "-- inferred from 301 record(s)",
        "-- n: whole numbers 0 to 299: INT would do so far",
        "-- at: text that reads as TIMESTAMP",
        "-- note: always NULL",
        "-- 1 of these records would go to the quarantine: json.truncated at $",
    ] {
        assert!(remarks.contains(part), "`{part}` is missing in\n{remarks}");
    }
    let once = infer(&[&url]);
    let again = infer(&["mixed", "--bootstrap", &bootstrap]);
    assert_eq!(
        (&once.stdout, &once.stderr),
        (&again.stdout, &again.stderr),
        "the same topic, the same answer"
    );
    let names = |ddl: &[u8]| {
        text(ddl).lines().map(|line| line.trim_end_matches(',').to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&once.stdout), names(RECORDS_DDL.as_bytes()));
    let mut stdin = forebay(data.path(), &["schema", "infer", "--file", "-", "-n", "2"]);
    let stdin = succeed(stdin.stdin(std::fs::File::open(&file).unwrap()));
    assert!(said(&stdin).contains("inferred from 2 record(s)"), "{}", said(&stdin));
    let few = infer(&[&url, "-n", "9"]);
    assert!(said(&few).contains("inferred from 9 record(s)"), "{}", said(&few));
}

#[test]
fn where_nothing_can_be_inferred_it_is_said_why() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    make_topic(log.address, "empty", 1);
    let file = data.path().join("text");
    std::fs::write(&file, "no json\n").unwrap();
    for (args, status, part) in [
        (vec!["--file".to_owned(), file.display().to_string()], 1, "none of 1 record(s) is a JSON object"),
        (vec![format!("kafka://{}/none", log.address)], 1, "FB-2006"),
        (vec![format!("kafka://{}/empty", log.address)], 1, "has no record, and none came in 5 seconds"),
        (vec!["mqtt://x:1/t".to_owned()], 2, "kafka://HOST:PORT/TOPIC"),
    ] {
        let args: Vec<&str> =
            ["schema", "infer"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let output = end_within(Duration::from_secs(30), &mut forebay(data.path(), &args));
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(part) && output.stdout.is_empty(), "{args:?}: {}", said(&output));
    }
}
