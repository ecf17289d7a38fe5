//! The command line as a person meets it, and the README's own commands.

use std::process::Command;
use std::time::Duration;

use crate::support::*;

#[test]
fn validate_tells_every_problem_with_its_place() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("bad.yaml");
    let text = "pipeline: bad\n\
                sources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t, startingOfsets: latest }\n\
                \x20   value: json\n    schema: device_id STRNG\n\
                queries:\n  hot:\n    sql: SELECT * FROM iot\n    format: consle\n";
    std::fs::write(&file, text).unwrap();
    let output = forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(1));
    for part in ["startingOffsets", "STRING", "console", "bad.yaml:5:", "bad.yaml:7:", "bad.yaml:11:", "^"] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
}

#[test]
fn an_aggregate_over_a_stream_is_refused_in_plain_words() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("agg.yaml");
    let text = "pipeline: agg\n\
                sources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n\
                \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
                queries:\n  average:\n    sql: SELECT device_id, avg(temperature) AS t FROM iot GROUP BY device_id\n    format: console\n";
    std::fs::write(&file, text).unwrap();
    let output = forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("FB-4003"), "{}", text_of(&output));
}

#[test]
fn wrong_use_ends_with_2_and_help_with_0() {
    assert_eq!(Command::new(FOREBAY).arg("rnu").output().unwrap().status.code(), Some(2));
    let help = succeed(Command::new(FOREBAY).arg("--help"));
    assert!(text(&help.stdout).contains("forebay demo"));
}

fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

/// Every command of the README that is marked to be run, in its order, in a folder with the examples.
#[test]
fn the_readmes_commands_do_what_they_say() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let marked = |mark: &str| -> Vec<String> {
        let blocks = readme
            .split(mark)
            .skip(1)
            .map(|rest| rest.split("```sh\n").nth(1).unwrap().split("```").next().unwrap());
        blocks.flat_map(str::lines).map(str::to_owned).collect()
    };
    let (background, foreground) = (marked("<!-- run: background -->"), marked("<!-- run -->"));
    assert!(!background.is_empty() && foreground.len() >= 5, "the README has its marked commands");
    let every_sh_line = readme.matches("```sh").count();
    assert_eq!(
        every_sh_line,
        readme.matches("<!-- run").count(),
        "a block of commands is not run by this test"
    );
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("examples"), dir.path().join("examples")).unwrap();
    let bin = std::path::Path::new(FOREBAY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The ports of the README may be taken while tests run side by side.
    let (kafka, http) = (free_address().to_string(), free_address().to_string());
    let example = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    std::fs::remove_file(dir.path().join("examples")).unwrap();
    std::fs::create_dir(dir.path().join("examples")).unwrap();
    std::fs::write(dir.path().join("examples/plant.yaml"), example.replace("localhost:9092", &kafka))
        .unwrap();
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        let line = line.replace("127.0.0.1:8080", &http);
        command.args(["-c", &format!("exec {line}")]).current_dir(dir.path());
        command.env("PATH", &path).env("FOREBAY_KAFKA", &kafka).env("FOREBAY_HTTP", &http);
        command.stdin(std::process::Stdio::null());
        command
    };
    let mut running: Vec<Process> = background.iter().map(|line| Process::spawn(&mut shell(line))).collect();
    running[0].wait_for("ready ", Duration::from_secs(30));
    for line in &foreground {
        if line.contains("query") {
            // The events of the line before need a moment to the table.
            std::thread::sleep(Duration::from_secs(3));
        }
        let output = succeed(&mut shell(line));
        println!("$ {line}\n{}{}", text(&output.stdout), text(&output.stderr));
        let printed = text(&output.stdout);
        match line.split_whitespace().nth(1) {
            Some("query") => assert_eq!(printed.matches("device_").count(), 3 + 1, "{printed}"),
            Some("quarantine") => assert!(printed.contains("json."), "{printed}"),
            Some("log") => assert!(printed.contains("iot_topic"), "{printed}"),
            _ => {}
        }
    }
    for process in running {
        assert!(process.stop().0);
    }
}
