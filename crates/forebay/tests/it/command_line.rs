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

/// The plant with its log at another port, and nothing said on the command line.
#[test]
fn the_log_listens_where_the_file_says_and_a_second_pipeline_reads_from_it() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = free_address();
    let example = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    let file = data.path().join("plant.yaml");
    let named = format!("localhost:{}", address.port());
    std::fs::write(&file, example.replace("localhost:9092", &named)).unwrap();
    let file = file.to_str().unwrap();
    let mut first = Process::spawn(&mut forebay(data.path(), &["run", file]));
    assert_eq!(first.address("kafka"), address);
    let args = ["run", file, "--query", "lake", "--trigger", "availableNow"];
    let second = succeed(&mut forebay(other.path(), &args));
    let said = text_of(&second);
    assert!(said.contains(&format!("a Kafka listens at {address} already, reading from it")), "{said}");
    let refused = forebay(other.path(), &["run", file, "--embedded-log", "always"]).output().unwrap();
    let said = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("FB-7003") && said.contains("--kafka"), "{said}");
    let bootstrap = address.to_string();
    succeed(&mut forebay(
        data.path(),
        &["simulate", "--bootstrap", &bootstrap, "--count", "50", "--rate", "0", "--corrupt", "0.2"],
    ));
    eventually("the rows", Duration::from_secs(20), || {
        !table_rows(data.path(), &data.path().join("data/iot_data")).is_empty()
    });
    first.signal("TERM");
    let summary = first.wait_for("lake: ", Duration::from_secs(20));
    assert!(
        summary.contains("50 read = ") && summary.contains(" quarantined") && summary.contains("(balances)"),
        "{summary}"
    );
    assert!(first.child.wait().unwrap().success());
}

#[test]
fn an_empty_log_never_stands_in_for_a_kafka_that_is_down() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let said = text_of(&succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()])));
    assert!(said.contains("10 read = 10 emitted (balances), 10 rows out"), "{said}");
    drop(log);
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    process.wait_for("so it is waited for", Duration::from_secs(20));
    assert!(!data.path().join("log").exists());
}

#[test]
fn a_command_that_ends_says_what_to_do_now() {
    let data = tempfile::tempdir().unwrap();
    let address = free_address().to_string();
    let failed = |args: &[&str]| {
        let output = forebay(data.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text_of(&output));
        text_of(&output)
    };
    for args in [
        &["--kafka", &address, "simulate", "--count", "1"][..],
        &["--kafka", &address, "log", "topics"],
        &["--kafka", &address, "log", "tail", "t"],
        &["--kafka", &address, "query", "SELECT * FROM kafka.`t`"],
    ] {
        let said = failed(args);
        assert!(said.contains("FB-2001") && said.contains("forebay log serve"), "{args:?}: {said}");
        assert!(!said.contains("keeps trying"), "{args:?}: {said}");
    }
    let said = failed(&["simulate", "--count", "1", "--bootstrap", &address]);
    assert!(said.contains("`--bootstrap`"), "{said}");
    let said = failed(&["query", "SELECT * FROM delta.`nothing/here`"]);
    assert!(said.contains("no Delta table") && said.contains("--data"), "{said}");
}

#[test]
fn a_valid_file_shows_the_folders_that_its_paths_mean() {
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), "127.0.0.1:9".parse().unwrap(), "events", 700);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("path: table", "path: ../elsewhere/table")).unwrap();
    let said = text_of(&succeed(&mut forebay(data.path(), &["validate", file.to_str().unwrap()])));
    let folder = data.path().parent().unwrap().join("elsewhere/table");
    assert!(said.contains(&format!("lake: events -> delta {}", folder.display())), "{said}");
}

#[test]
fn a_topic_can_be_followed_as_csv() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let address = log.address.to_string();
    let input = data.path().join("lines");
    std::fs::write(&input, "k1=say \"hi\", twice\nonly a value\n").unwrap();
    let lines = ["produce", "--topic", "t", "--bootstrap", &address, "--key-separator", "=", "--file"];
    succeed(forebay(data.path(), &lines).arg(&input));
    let tail =
        ["log", "tail", "t", "--from-beginning", "-n", "2", "--format", "csv", "--bootstrap", &address];
    let printed = text(&succeed(&mut forebay(data.path(), &tail)).stdout);
    let rows: Vec<&str> = printed.lines().collect();
    assert_eq!(rows[0], "topic,partition,offset,timestamp,key,value");
    assert_eq!(rows.len(), 3, "{printed}");
    assert!(printed.contains(",\"k1\",\"say \"\"hi\"\", twice\"\n"), "{printed}");
    assert!(printed.contains(",,\"only a value\"\n"), "{printed}");
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
