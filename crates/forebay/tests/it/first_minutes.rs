//! The first minutes: a file to start from, what a code means, demos, completions and man pages.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::schemas::{records, validated};
use crate::support::*;

pub fn said(output: &Output) -> String {
    text(&output.stderr)
}

/// What a command without data and addresses prints.
pub fn printed(args: &[&str]) -> String {
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
fn every_demo_of_the_list_runs_and_every_example_is_one() {
    let listed = printed(&["demo", "--list"]);
    let names: Vec<&str> = listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["plant", "devices", "csv-cycle", "fleet", "arduino"]);
    for name in &names {
        let data = tempfile::tempdir().unwrap();
        let kafka = free_address().to_string();
        succeed(&mut forebay(data.path(), &["--kafka", &kafka, "demo", name, "--for", "1 second"]));
    }
    let examples = std::fs::read_dir(root().join("examples")).unwrap();
    let examples =
        examples.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "yaml"));
    assert_eq!(examples.count(), names.len());
}
