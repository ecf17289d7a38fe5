//! `forebay test`: the tests of the examples, the commands of its page, and what it tells where something is wrong.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::*;

/// The pipeline of the examples with its tests replaced by these.
fn plant(dir: &Path, tests: &str) -> PathBuf {
    let text = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    let (head, _) = text.split_once("\ntests:\n").unwrap();
    let file = dir.join("plant.yaml");
    std::fs::write(&file, format!("{head}\n{tests}")).unwrap();
    file
}

/// A command in a folder, whose temporary files lie in `tmp` below it.
fn in_folder(dir: &Path, args: &[&str]) -> Output {
    let tmp = dir.join("tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let output = Command::new(FOREBAY).args(args).current_dir(dir).env("TMPDIR", &tmp).output().unwrap();
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0, "{args:?} leaves something behind");
    assert!(!dir.join("forebay-data").exists(), "{args:?} touches the data folder");
    output
}

fn all(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

const HOT: &str = "    given: { iot: [ { device_id: d1, temperature: 71.5, timestamp: 1 } ] }\n    expect: { queries: { hot: { rows: [ { device_id: d1, temperature: TEMPERATURE } ] } } }\n";

/// Two tests, of which the second holds if `is_right`.
fn two(is_right: bool) -> String {
    let second = HOT.replace("TEMPERATURE", if is_right { "71.5" } else { "72" });
    format!("tests:\n  - name: first\n{}  - name: second <one>\n{second}", HOT.replace("TEMPERATURE", "71.5"))
}

#[test]
fn every_example_does_what_its_tests_say() {
    let mut tried = 0;
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if !name.ends_with(".yaml") || name.ends_with(".test.yaml") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        // What an example reads lies in the folder of its name.
        let beside = name.trim_end_matches(".yaml");
        let more: &[&str] = if Path::new(beside).is_dir() { &["--data", beside] } else { &[] };
        let mut command = Command::new(FOREBAY);
        command.args([&["test", &name], more].concat()).current_dir(dir.path()).env("PGPASSWORD", "none");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", all(&output));
        assert!(text(&output.stdout).contains(" ok, 0 failed ("), "{}", all(&output));
        tried += 1;
    }
    assert!(tried > 0);
}

/// Every command of the page, in a folder with the examples; and its own tests, in the example's file.
#[test]
fn the_page_of_tests_says_what_is_so() {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("examples")).unwrap();
    std::fs::copy(root().join("examples/plant.yaml"), dir.path().join("examples/plant.yaml")).unwrap();
    let mut commands = 0;
    for block in page.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let args: Vec<&str> = line.strip_prefix("forebay ").unwrap().split_whitespace().collect();
            let output = in_folder(dir.path(), &args);
            assert!(output.status.success(), "{line}: {}", all(&output));
            commands += 1;
        }
    }
    let mut tests = 0;
    for block in page.split("```yaml\n").skip(1) {
        let file = plant(dir.path(), block.split("```").next().unwrap());
        let output = in_folder(dir.path(), &["test", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", all(&output));
        tests += 1;
    }
    assert!(commands >= 4 && tests >= 3, "{commands} {tests}");
}

#[test]
fn what_came_of_tests_is_told_to_people_and_to_programs() {
    let dir = tempfile::tempdir().unwrap();
    let file = plant(dir.path(), &two(false));
    let told = in_folder(dir.path(), &["test", "plant.yaml"]);
    let out = text(&told.stdout);
    assert_eq!(told.status.code(), Some(1), "{}", all(&told));
    for part in [
        "ok    first  (",
        "FAIL  second <one>  (",
        ": by 00:00:00 the rows of `hot`: 0 as expected, 1 not as expected\n",
        "  72.0\n",
        "  71.5\n",
        "  ^^^^\n",
        "2 tests: 1 ok, 1 failed (",
    ] {
        assert!(out.contains(part), "`{part}` is missing in\n{out}");
    }
    assert_eq!(text(&told.stderr), "", "nothing beside it");
    let line =
        std::fs::read_to_string(&file).unwrap().lines().position(|line| line.contains(": 72 }")).unwrap() + 1;
    assert!(
        out.contains(&format!("  plant.yaml:{line}:")) && out.contains(&format!("- line {line}  d1")),
        "{out}"
    );

    let json = in_folder(dir.path(), &["test", "plant.yaml", "--format", "json"]);
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &document["ok"], &document["failed"]), (Some(1), &1.into(), &1.into()));
    let failure = &document["tests"][1]["failures"][0];
    assert_eq!(
        (&failure["of"], &failure["what"], &failure["line"]),
        (&"hot".into(), &"rows".into(), &line.into())
    );
    assert!(failure["missing"][0]["found"].as_str().unwrap().contains("temperature: 71.5"), "{failure}");

    let junit = text(&in_folder(dir.path(), &["test", "plant.yaml", "--format", "junit"]).stdout);
    for part in [
        "<testsuite name=\"plant\" tests=\"2\" failures=\"1\"",
        "name=\"second &lt;one&gt;\"",
        "<failure message=",
    ] {
        assert!(junit.contains(part), "`{part}` is missing in\n{junit}");
    }

    let first = in_folder(dir.path(), &["test", "plant.yaml", "--filter", "FIRST"]);
    assert!(
        first.status.success() && text(&first.stdout).contains("1 test: 1 ok, 0 failed"),
        "{}",
        all(&first)
    );
    let none = in_folder(dir.path(), &["test", "plant.yaml", "--filter", "third"]);
    assert_eq!(none.status.code(), Some(2), "{}", all(&none));
    assert!(text(&none.stderr).contains("The tests are: first; second <one>."), "{}", all(&none));
}

#[test]
fn tests_may_stand_beside_the_pipeline_and_none_at_all_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), "");
    let none = in_folder(dir.path(), &["test", "plant.yaml"]);
    assert_eq!(none.status.code(), Some(1));
    for part in ["there are no tests", "tests:", "docs/testing.md"] {
        assert!(text(&none.stderr).contains(part), "`{part}` is missing in {}", all(&none));
    }
    std::fs::write(dir.path().join("more.yaml"), two(true)).unwrap();
    let named = in_folder(dir.path(), &["test", "plant.yaml", "--tests", "more.yaml"]);
    assert!(named.status.success() && text(&named.stdout).contains("2 tests: 2 ok"), "{}", all(&named));
    std::fs::write(dir.path().join("plant.test.yaml"), two(false)).unwrap();
    let beside = in_folder(dir.path(), &["test", "plant.yaml"]);
    assert_eq!(beside.status.code(), Some(1));
    assert!(text(&beside.stdout).contains("plant.test.yaml:7:"), "{}", all(&beside));
    let missing = in_folder(dir.path(), &["test", "plant.yaml", "--tests", "nowhere.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("FB-1001") && text(&missing.stderr).contains("nowhere.yaml"));
    std::fs::write(dir.path().join("plant.test.yaml"), "tests:\n  - nam: x\npipeline: y\n").unwrap();
    let wrong = in_folder(dir.path(), &["validate", "plant.yaml"]);
    assert_eq!(wrong.status.code(), Some(1));
    for part in ["unknown key `nam`", "unknown key `pipeline` in a file of tests", "plant.test.yaml:2:5"] {
        assert!(text(&wrong.stderr).contains(part), "`{part}` is missing in {}", all(&wrong));
    }
}

/// A test that names what is not there keeps nobody from running; `validate` and `test` tell it.
#[test]
fn no_run_looks_at_tests() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), "tests:\n  - name: a\n    at: noon\n    expect: { queries: { lke: { rows: [] } } }\n");
    // Its shape and what it means, at once.
    let both = text(&in_folder(dir.path(), &["test", "plant.yaml"]).stderr);
    assert!(both.contains("`at` is `noon`") && both.contains("unknown query `lke`"), "{both}");
    assert!(both.contains("2 problems in plant.yaml"), "{both}");
    plant(dir.path(), "tests:\n  - name: a\n    expect: { queries: { lke: { rows: [] } } }\n");
    for command in ["validate", "test"] {
        let told = in_folder(dir.path(), &[command, "plant.yaml"]);
        assert_eq!(told.status.code(), Some(1), "{command}");
        let said = text(&told.stderr);
        assert!(said.contains("unknown query `lke`") && said.contains("Did you mean `lake`?"), "{said}");
    }
    for command in ["plan", "spark"] {
        let output = in_folder(dir.path(), &[command, "plant.yaml"]);
        assert!(output.status.success(), "{command}: {}", all(&output));
    }
}

/// Milliseconds, on any disk: a disk that refuses every fsync of the test's folder is not asked for one.
#[test]
fn a_test_waits_for_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), &two(true));
    let mut command = Command::new(FOREBAY);
    command.args(["test", "plant.yaml"]).current_dir(dir.path()).env("FOREBAY_FAULT", "eio:forebay-test-:1");
    let output = succeed(&mut command);
    assert!(text(&output.stdout).contains("2 tests: 2 ok"), "{}", all(&output));
}
