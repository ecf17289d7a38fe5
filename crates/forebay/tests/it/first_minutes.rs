//! The first minutes: a file to start from, a schema for it, what a code means, what a start would do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

fn said(output: &Output) -> String {
    text(&output.stderr)
}

/// What a command without data and addresses prints.
fn printed(args: &[&str]) -> String {
    text(&succeed(Command::new(FOREBAY).args(args)).stdout)
}

#[test]
fn explain_prints_the_page_of_the_docs_and_guesses_what_was_meant() {
    let docs = std::fs::read_to_string(root().join("docs/error-codes.md")).unwrap();
    for code in ["fb-2003", "2003", "JSON.truncated"] {
        let page = printed(&["explain", code]);
        assert!(page.to_lowercase().contains(&code.to_lowercase()) && docs.contains(&page), "{page}");
    }
    let listed = printed(&["explain"]);
    for line in ["FB-1001", "FB-9001", "json.limit"] {
        assert!(listed.lines().any(|listed| listed.starts_with(line)), "{listed}");
    }
    let refused = Command::new(FOREBAY).args(["explain", "json.truncatd"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("Did you mean `json.truncated`?"), "{}", said(&refused));
}

/// Files and what an independent validator says of each: nothing, or where it is wrong.
fn validated(files: &[PathBuf]) -> Vec<(bool, String)> {
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
fn records() -> Vec<String> {
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

/// A command in a folder of its own, where it writes its files.
fn in_folder(dir: &Path, args: &[&str]) -> Command {
    let mut command = forebay(&dir.join("data"), args);
    command.current_dir(dir);
    command
}

#[test]
fn what_init_writes_runs_as_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = free_address().to_string();
    let wrote = succeed(&mut in_folder(dir.path(), &["--kafka", &kafka, "init"]));
    assert!(said(&wrote).contains("wrote pipeline.yaml") && said(&wrote).contains("forebay simulate"));
    let written = std::fs::read_to_string(dir.path().join("pipeline.yaml")).unwrap();
    let refused = in_folder(dir.path(), &["init"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("is there already"), "{}", said(&refused));
    assert_eq!(std::fs::read_to_string(dir.path().join("pipeline.yaml")).unwrap(), written);
    succeed(&mut in_folder(dir.path(), &["validate", "pipeline.yaml"]));
    let mut running = Process::spawn(&mut in_folder(dir.path(), &["run", "pipeline.yaml"]));
    running.address("kafka");
    let http = running.address("http");
    let schema: Value = serde_json::from_str(&get(http, "/api/v1/schema").1).unwrap();
    assert_eq!(schema["pipeline"], "pipeline", "named after its file");
    assert_eq!(
        (&schema["alerts"][0]["name"], schema["alerts"][0]["for"].as_u64()),
        (&"overheat".into(), Some(0))
    );
    assert_eq!(
        (&schema["panels"][0]["unit"], &schema["panels"][0]["critical"]),
        (&"°C".into(), &75.0.into())
    );
    let simulate = ["--kafka", &kafka, "simulate", "--count", "200", "--rate", "0", "--seed", "7"];
    succeed(&mut in_folder(dir.path(), &simulate));
    eventually("an alert", Duration::from_secs(20), || {
        get(http, "/api/v1/alerts").1.contains("\"rule\":\"overheat\"")
    });
    eventually("the rows", Duration::from_secs(20), || {
        table_rows(&dir.path().join("data"), &dir.path().join("data/data/pipeline")).len() == 200
    });
    let (ended, screen) = running.stop();
    assert!(ended && screen.contains("device_"), "{screen}");
    let (fits, lines) = validated(&[dir.path().join("pipeline.yaml")]).remove(0);
    assert!(fits, "{lines}");
}

#[test]
fn init_from_a_topic_decodes_every_record_that_a_schema_can_take() {
    let dir = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    make_topic(log.address, "mixed.records", 2);
    log.produce("mixed.records", &records());
    log.produce("odd", &["{\"a b\": 1, \"c\": \"#: x\"}".to_owned()]);
    let init = |file: &str, topic: &str| {
        let from = format!("kafka://{}/{topic}", log.address);
        succeed(&mut in_folder(dir.path(), &["init", file, "--from", &from]));
        succeed(&mut in_folder(dir.path(), &["validate", file]));
        std::fs::read_to_string(dir.path().join(file)).unwrap()
    };
    let written = init("mixed.yaml", "mixed.records");
    assert!(written.contains("# note: always NULL"), "{written}");
    for part in ["# alerts:\n#   high_v:\n", "#     key: id\n", "    - { field: events.v, chart: line }\n"] {
        assert!(written.contains(part), "`{part}` is missing in\n{written}");
    }
    let run = ["run", "mixed.yaml", "--trigger", "availableNow"];
    let ran = said(&succeed(&mut in_folder(dir.path(), &run)));
    assert!(ran.contains("301 read = 300 emitted + 1 quarantined (balances)"), "{ran}");
    // Columns that Delta cannot have: a file without the table, which says so.
    let odd = init("odd.yaml", "odd");
    assert!(
        odd.contains("column `a b` has a name that Delta does not allow") && !odd.contains("format: delta")
    );
    let run = ["run", "odd.yaml", "--trigger", "availableNow"];
    let ran = said(&succeed(&mut in_folder(dir.path(), &run)));
    assert!(ran.contains("1 read = 1 emitted (balances)"), "{ran}");
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let help = printed(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(commands.contains(&"run") && commands.contains(&"completions"), "{commands:?}");
    let page = printed(&["man"]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = printed(&["completions", shell]);
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
    }
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(page.contains(&format!("forebay\\-{command}(1)")), "{command}: {page}");
        let page = printed(&["man", command]);
        assert!(page.contains(".SH SYNOPSIS") && page.contains("\\-\\-data"), "{command}: {page}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), printed(&["completions", "bash"]).as_bytes())
        .unwrap();
    assert!(bash.wait().unwrap().success());
    assert!(printed(&["man", "quarantine", "ls"]).contains("TH forebay-quarantine-ls 1"));
    let refused = Command::new(FOREBAY).args(["man", "rnu"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("Did you mean `run`?"), "{}", said(&refused));
}

#[test]
fn the_list_of_demos_tells_which_run_and_what_the_others_need() {
    let listed = printed(&["demo", "--list"]);
    let names: Vec<&str> = listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["plant", "devices", "csv-cycle", "fleet", "arduino"]);
    for (name, line) in names.iter().zip(listed.lines()) {
        let data = tempfile::tempdir().unwrap();
        let (kafka, is_later) = (free_address().to_string(), line.contains("(not yet: "));
        let output =
            forebay(data.path(), &["--kafka", &kafka, "demo", name, "--for", "1 second"]).output().unwrap();
        assert_eq!(output.status.success(), !is_later, "{line}: {}", said(&output));
        if is_later {
            let why = line.split("needs ").nth(1).unwrap().trim_end_matches(')');
            assert!(said(&output).contains("FB-1008") && said(&output).contains(why), "{}", said(&output));
        }
    }
    let examples = std::fs::read_dir(root().join("examples")).unwrap();
    let examples =
        examples.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "yaml"));
    assert_eq!(examples.count(), listed.lines().filter(|line| !line.contains("(not yet: ")).count());
}

/// The verdict of `forebay plan` on each query, and whether it says that all is safe.
fn plan(data: &Path, file: &Path) -> (Value, bool) {
    let args = ["plan", file.to_str().unwrap(), "--format", "json"];
    let output = forebay(data, &args).output().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_plan_tells_what_run_would_do_before_it_is_done() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let original = std::fs::read_to_string(&file).unwrap();
    let path = file.to_str().unwrap();
    let verdict = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (plan, is_safe) = plan(data.path(), &file);
        assert_eq!(plan["safe"], is_safe, "{plan}");
        (plan["queries"][0]["verdict"].as_str().unwrap().to_owned(), plan)
    };
    let (new, document) = verdict(&original);
    assert_eq!((new.as_str(), &document["queries"][0]["epoch"]), ("new", &Value::Null));
    assert!(!data.path().join("checkpoints").exists(), "a plan makes nothing");
    succeed(&mut forebay(data.path(), &["run", path]));

    let (unchanged, document) = verdict(&original);
    assert_eq!(unchanged, "unchanged");
    let query = &document["queries"][0];
    assert_eq!((query["epoch"].as_u64(), query["positions"][0]["offset"].as_u64()), (Some(1), Some(100)));
    // How the file is laid out is no change.
    assert_eq!(verdict(&original.replace("hash STRING NOT NULL", "hash  string not null")).0, "unchanged");

    let other_sql = original.replace("sql: SELECT * FROM events", "sql: SELECT * FROM events WHERE seq > 5");
    let (changed, document) = verdict(&other_sql);
    let change = &document["queries"][0]["changes"][0];
    assert_eq!((changed.as_str(), change["what"].as_str()), ("changed", Some("sql")));
    assert_eq!(change["was"], "SELECT * FROM events");
    let (changed, document) = verdict(&original.replace("seq BIGINT NOT NULL", "seq BIGINT"));
    assert_eq!(
        (changed.as_str(), &document["queries"][0]["changes"][0]["what"]),
        ("changed", &"schema".into())
    );
    // What was told holds: the changed query goes on, and is then what the checkpoint knows.
    std::fs::write(&file, &other_sql).unwrap();
    succeed(&mut forebay(data.path(), &["run", path]));
    assert_eq!(verdict(&other_sql).0, "unchanged");

    let (refused, document) = verdict(&original.replace("path: table", "path: another"));
    assert_eq!((refused.as_str(), &document["queries"][0]["error"]["code"]), ("refused", &"FB-6002".into()));
    let run = forebay(data.path(), &["run", path]).output().unwrap();
    assert!(said(&run).contains("FB-6002"), "run says the same: {}", said(&run));

    let renamed = original.replace("  lake:", "  ocean:");
    let (new, document) = verdict(&renamed);
    assert_eq!((new.as_str(), &document["left"][0]["name"]), ("new", &"lake".into()));
    let shown = text(&succeed(&mut forebay(data.path(), &["plan", path])).stdout);
    for part in ["+ ocean: is new", "- lake: is not in the file", "`forebay run` refuses none of these"] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
    let moved = original.replace("pipeline: copy", "pipeline: other");
    assert_eq!(verdict(&moved).1["otherPipelines"][0], "copy");

    // A checkpoint of a version that kept no definition.
    std::fs::remove_file(data.path().join("checkpoints/copy/lake/definition")).unwrap();
    assert_eq!(verdict(&original).0, "unknown");
    std::fs::write(data.path().join("checkpoints/copy/lake/journal"), b"").unwrap();
    let (refused, document) = verdict(&original);
    assert_eq!((refused.as_str(), &document["queries"][0]["error"]["code"]), ("refused", &"FB-6003".into()));
}

#[test]
fn a_plan_tells_what_becomes_of_alerts_of_the_page_and_of_rows_that_a_table_does_not_take() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let with = "alerts:\n  high: { on: events, key: device, when: seq > 90, for: 10 seconds }\ndashboard: { title: One }\n";
    let original = std::fs::read_to_string(&file).unwrap() + with;
    std::fs::write(&file, &original).unwrap();
    assert_eq!(plan(data.path(), &file).0["alerts"][0]["verdict"], "new");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "availableNow"]));
    let (same, is_safe) = plan(data.path(), &file);
    assert!(is_safe && same["same"] == true && same["dashboard"] == serde_json::json!([]), "{same}");

    let changed = |from: &str, to: &str| {
        assert!(original.contains(from), "{from}");
        std::fs::write(&file, original.replace(from, to)).unwrap();
        let (plan, _) = plan(data.path(), &file);
        assert_eq!(plan["same"], false, "{to}");
        plan
    };
    for (from, to, what) in [
        ("seq > 90", "seq > 95", "when"),
        ("10 seconds", "20 seconds", "for"),
        ("10 seconds", "10 seconds, clear: seq < 5", "clear"),
        ("10 seconds", "10 seconds, severity: critical", "severity"),
        ("10 seconds", "10 seconds, message: \"{device}\"", "message"),
        ("hash STRING NOT NULL", "hash STRING", "schema"),
    ] {
        let plan = changed(from, to);
        let alert = &plan["alerts"][0];
        assert_eq!(
            (&alert["verdict"], &alert["changes"][0]["what"]),
            (&"changed".into(), &what.into()),
            "{plan}"
        );
        assert_eq!(alert["epoch"], 1, "its open alerts stay: {plan}");
    }
    let plan = changed("key: device", "key: hash");
    let alert = &plan["alerts"][0];
    assert_eq!(
        (&alert["verdict"], &alert["error"]["code"]),
        (&"refused".into(), &"FB-6002".into()),
        "{plan}"
    );
    let plan = changed("  high:", "  higher:");
    assert_eq!(
        (&plan["alerts"][0]["verdict"], &plan["left"][0]["name"]),
        (&"new".into(), &"alerts/high".into())
    );
    let plan = changed("title: One", "title: Two");
    assert_eq!((&plan["dashboard"][0]["what"], &plan["safe"]), (&"title".into(), &true.into()), "{plan}");
    let shown = text(&succeed(&mut forebay(data.path(), &["plan", file.to_str().unwrap()])).stdout);
    for part in [
        "= alerts/high: goes on with epoch 1",
        "its open alerts stay",
        "~ dashboard: is not what it was: title",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }

    let plan = changed("SELECT * FROM events", "SELECT device, CAST(seq AS STRING) AS seq FROM events");
    assert_eq!(plan["queries"][0]["error"]["code"], "FB-5002", "{plan}");
    assert!(plan["alerts"][0]["verdict"] == "unchanged" && plan["safe"] == false);
}

#[test]
fn the_dashboard_for_grafana_shows_every_metric_and_no_other() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let (status, metrics) = get(process.address("http"), "/metrics");
    assert_eq!(status, 200);
    // `# TYPE forebay_rows_out counter` has samples called `forebay_rows_out_total`.
    let served: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    assert!(served.contains("forebay_rows_out_total") && served.contains("forebay_up"), "{served:?}");
    let dashboard = std::fs::read_to_string(root().join("docs/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let words = target["expr"].as_str().unwrap().split(|c: char| !(c.is_alphanumeric() || c == '_'));
            shown.extend(words.filter(|word| word.starts_with("forebay_")).map(str::to_owned));
        }
    }
    assert_eq!(shown, served);
}

#[test]
fn why_row_tells_what_became_of_each_record_of_a_device() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let lines = [
        "{\"device_id\": \"press-1\", \"temperature\": 71.5}",
        "{\"device_id\": \"press-2\", \"temperature\": 99}",
        "{\"device_id\": \"press-1\", \"temperature\": 20}",
        "{\"device_id\": \"press-1\", \"temperature\": \"hot\"}",
    ]
    .map(str::to_owned);
    log.produce("iot", &lines);
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
         queries:\n  lake:\n    sql: SELECT * FROM iot\n    format: delta\n    options: {{ path: t }}\n    trigger: availableNow\n\
         \x20 hot:\n    sql: SELECT device_id, _kafka.offset FROM iot WHERE temperature > 70\n    format: delta\n    options: {{ path: h }}\n    trigger: availableNow\n\
         alerts:\n  overheat: {{ on: iot, key: device_id, when: temperature > 70, clear: temperature < 65 }}\n",
        log.address
    );
    std::fs::write(&file, &pipeline).unwrap();
    let path = file.to_str().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let args = ["why", "row", "--pipeline", path, "--key", "press-1", "--at", &now, "--within", "1 hour"];
    let why = || text(&succeed(&mut forebay(data.path(), &args)).stdout);
    assert!(why().contains("lake: it has not run yet; comes out as a row"), "{}", why());
    let condition =
        "alerts/overheat: it has not run yet; key `press-1`: `when` holds, `clear` does not hold\n";
    assert!(why().contains(condition), "{}", why());
    succeed(&mut forebay(data.path(), &["run", path, "--trigger", "availableNow"]));
    let told = why();
    let records: Vec<&str> = told.split("iot-0 offset ").skip(1).collect();
    assert_eq!(records.len(), 3, "{told}");
    for (record, parts) in records.iter().zip([
        [
            "0,",
            "lake: read by epoch 0 (committed); comes out as a row",
            "hot: read by epoch 0 (committed); comes out as a row",
            "alerts/overheat: read by epoch 0 (committed); key `press-1`: `when` holds, `clear` does not hold, opened overheat/press-1/",
        ],
        [
            "2,",
            "lake: read by epoch 0 (committed); comes out as a row",
            "filtered: `temperature > 70` does not hold",
            "key `press-1`: `when` does not hold, `clear` holds, cleared overheat/press-1/",
        ],
        [
            "3,",
            "does not decode: json.type at $.temperature",
            "in the quarantine: `forebay quarantine show iot/0/3`",
            "alerts/overheat: read by epoch 0 (committed); it has no row to look at",
        ],
    ]) {
        assert!(parts.iter().all(|part| record.contains(part)), "{parts:?}\n{record}");
    }
    log.produce("iot", &lines[..1]);
    assert!(why().contains("lake: not read yet; comes out as a row"), "{}", why());
    // The same from a file that names another place for the embedded log.
    let moved = data.path().join("moved.yaml");
    std::fs::write(&moved, pipeline.replace(&log.address.to_string(), "127.0.0.1:1")).unwrap();
    let kafka = log.address.to_string();
    let moved = ["why", "row", "--pipeline", moved.to_str().unwrap(), "--key", "press-1", "--at", &now];
    let moved = [&moved[..], &["--within", "1 hour", "--kafka", &kafka]].concat();
    let told = text(&succeed(&mut forebay(data.path(), &moved)).stdout);
    assert_eq!(told.matches("iot-0 offset ").count(), 4, "{told}");
    let none = ["why", "row", "--pipeline", path, "--key", "press-9", "--at", "2026-01-01 12:00"];
    let none = forebay(data.path(), &none).output().unwrap();
    assert_eq!(none.status.code(), Some(1));
    assert!(
        said(&none).contains("no record of `press-9` in source `iot` from 2026-01-01T11:59:30.000Z"),
        "{}",
        said(&none)
    );
}
