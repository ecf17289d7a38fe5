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
fn an_aggregate_that_never_ends_is_refused_in_plain_words() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("agg.yaml");
    let text = "pipeline: agg\n\
                sources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n\
                \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
                queries:\n  average:\n    sql: SELECT device_id, avg(temperature) AS t FROM iot GROUP BY device_id\n    format: console\n";
    std::fs::write(&file, text).unwrap();
    let output = forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "FB-4008",
        "output mode append is not possible for an aggregation without a watermark",
        "agg.yaml:10:",
    ] {
        assert!(text_of(&output).contains(part), "`{part}` is missing in {}", text_of(&output));
    }
}

#[test]
fn wrong_use_ends_with_2_and_help_with_0() {
    assert_eq!(Command::new(FOREBAY).arg("rnu").output().unwrap().status.code(), Some(2));
    let help = succeed(Command::new(FOREBAY).arg("--help"));
    assert!(text(&help.stdout).contains("forebay demo"));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), free_address(), "events", 700);
    for (args, part) in [
        (&["run", file.to_str().unwrap(), "--query", "lakee"][..], "Did you mean `lake`?"),
        (&["checkpoint", "show", file.to_str().unwrap(), "lakee"], "Did you mean `lake`?"),
        (&["demo", "plan"], "Did you mean `plant`?"),
        (&["quarantine", "drop"], "no record is named"),
        (&["quarantine", "show", "17"], "TOPIC/PARTITION/OFFSET"),
    ] {
        let refused = forebay(data.path(), args).output().unwrap();
        let said = text_of(&refused);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("error[FB-1009]") && said.contains(part), "{args:?}: {said}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_with_a_code() {
    let data = tempfile::tempdir().unwrap();
    for format in ["table", "csv", "json"] {
        let args = ["query", "--format", format, "SELECT date_add(DATE '2024-01-01', 2000000000) AS d"];
        let output = forebay(data.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text_of(&output).contains("error[FB-4004]"), "{}", text_of(&output));
        assert!(!text(&output.stdout).contains("ERROR"), "{}", text(&output.stdout));
    }
}

#[test]
fn wrong_sql_on_the_command_line_is_marked_at_its_words() {
    let data = tempfile::tempdir().unwrap();
    let output = forebay(data.path(), &["query", "SELECT 1,\n  uper('x')"]).output().unwrap();
    let said = text_of(&output);
    let expected = "error[FB-4002]: unknown function `uper`\n  --> SQL:2:3\n   |\n 2 |   uper('x')\n   |   ^^^^\n   = help: Did you mean `upper`?";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_demo_whose_port_is_taken_says_only_that() {
    let (data, taken) = (tempfile::tempdir().unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = taken.local_addr().unwrap().to_string();
    let output = forebay(data.path(), &["--kafka", &address, "demo", "--for", "1 second"]).output().unwrap();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let (hooks, said) = said.split_once('\n').unwrap();
    assert!(hooks.starts_with("warning: this build carries test hooks"), "not only `run` says so: {hooks}");
    assert!(said.starts_with("error[FB-7003]") && !said.contains("serving"), "{said}");
}

#[test]
fn devices_wait_for_a_log_that_is_down_and_say_what_they_sent() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let address = log.address.to_string();
    let mut devices = Process::spawn(&mut forebay(data.path(), &["simulate", "--bootstrap", &address]));
    devices.wait_for("simulating", Duration::from_secs(10));
    eventually("the topic", Duration::from_secs(10), || {
        let listed = succeed(&mut forebay(data.path(), &["log", "topics", "--bootstrap", &address]));
        text(&listed.stdout).contains("iot_topic")
    });
    drop(log);
    devices.wait_for(&format!("waiting for {address}"), Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(3));
    devices.signal("TERM");
    devices.wait_for("message(s) sent, the newest of them not written", Duration::from_secs(20));
    let told = devices.said.iter().filter(|line| line.contains("waiting for")).count();
    assert!(told <= 2, "{:?}", devices.said);
    assert_eq!(devices.child.wait().unwrap().code(), Some(1));
}

#[test]
fn devices_that_are_stopped_say_what_they_wrote() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let args = ["simulate", "--bootstrap", &log.address.to_string()];
    for signal in ["TERM", "INT"] {
        let mut devices = Process::spawn(&mut forebay(data.path(), &args));
        devices.wait_for("simulating", Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(500));
        devices.signal(signal);
        devices.wait_for("message(s) written", Duration::from_secs(10));
        assert!(devices.child.wait().unwrap().success());
    }
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
    assert!(said.contains(&format!("somebody listens at {address} already, reading from there")), "{said}");
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
fn an_embedded_log_that_no_source_reads_is_refused_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (named, other) = (free_address(), free_address());
    let file = copy_pipeline(data.path(), named, "events", 700);
    let named_by_name = format!("localhost:{}", named.port());
    let run = |kafka: &str| {
        let mut command = forebay(data.path(), &["--kafka", kafka, "run", file.to_str().unwrap()]);
        end_within(Duration::from_secs(30), &mut command)
    };
    let refused = run(&other.to_string());
    let said = text_of(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for part in ["FB-1009".to_owned(), format!("no source reads from {other}"), named.to_string()] {
        assert!(said.contains(&part), "`{part}` is missing in\n{said}");
    }
    assert!(!data.path().join("log").exists());
    let served = run(&named_by_name);
    assert!(
        text_of(&served).contains(&format!("serving the embedded log at {named}")),
        "{}",
        text_of(&served)
    );
    assert!(served.status.success());
    // Where the file's Kafka is there, the option does no harm.
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let elsewhere = tempfile::tempdir().unwrap();
    let file = copy_pipeline(elsewhere.path(), log.address, "events", 700);
    let args = ["--kafka", &other.to_string(), "run", file.to_str().unwrap()];
    let said = text_of(&succeed(&mut forebay(elsewhere.path(), &args)));
    assert!(said.contains(&format!("nothing is served at {other}")) && said.contains("10 read"), "{said}");
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

#[test]
fn a_pipelines_names_in_sql_are_those_of_its_streams() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    let lines = ["{\"n\": 1}", "{\"n\": \"x\"}", "no json", "{\"n\": 4}"].map(str::to_owned);
    log.produce("t", &lines);
    let file = data.path().join("p.yaml");
    let pipeline = format!(
        "pipeline: p\n\
         sources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: t }}\n\
         \x20   value: json\n    schema: n INT\n\
         views:\n  big: SELECT n, _kafka.offset FROM iot WHERE n > 1\n\
         queries:\n  hot:\n    sql: SELECT * FROM iot\n    format: console\n",
        log.address
    );
    std::fs::write(&file, pipeline).unwrap();
    let ask = |sql: &str| {
        let args = ["query", "--format", "csv", "--pipeline", file.to_str().unwrap(), sql];
        forebay(data.path(), &args).output().unwrap()
    };
    for (sql, expected) in [
        ("SELECT count(*) AS c FROM iot", "c\n2\n"),
        ("SELECT * FROM iot ORDER BY n", "n\n1\n4\n"),
        ("SELECT n, _kafka.offset, _kafka.topic FROM iot ORDER BY n", "n,offset,topic\n1,0,t\n4,3,t\n"),
        ("SELECT * FROM big", "n,offset\n4,3\n"),
    ] {
        let output = ask(sql);
        assert_eq!(text(&output.stdout), expected, "{sql}: {}", text_of(&output));
        let said = text_of(&output);
        assert!(said.contains("note: 2 records did not decode and are left out"), "{sql}: {said}");
    }
    let said = text_of(&ask("SELECT count(*) FROM hot"));
    assert!(said.contains("the query `hot` writes to the console and has no table"), "{said}");
    assert!(said.contains("FROM (SELECT * FROM iot)") && said.contains("SQL:1:22"), "{said}");
}

fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

/// A block of commands of the README, and what it says that they print.
struct Block {
    is_background: bool,
    commands: Vec<String>,
    prints: Option<String>,
}

/// The blocks of the README; a block of commands that is not marked to be run fails.
fn blocks(readme: &str) -> Vec<Block> {
    let parts: Vec<&str> = readme.split("```sh\n").collect();
    let mut blocks = Vec::new();
    for (before, block) in parts.iter().zip(&parts[1..]) {
        let mark = before.trim_end().rsplit('\n').next().unwrap();
        assert!(mark.starts_with("<!-- run"), "a block of commands is not run by this test: {block}");
        let (commands, rest) = block.split_once("```").unwrap();
        let prints = rest.trim_start().strip_prefix("<!-- prints -->\n```text\n");
        blocks.push(Block {
            is_background: mark.contains("background"),
            commands: commands.lines().map(str::to_owned).collect(),
            prints: prints.map(|rest| rest.split("```").next().unwrap().to_owned()),
        });
    }
    blocks
}

/// Text without what differs from run to run: numbers are all one, spans of time too, blanks and rules have no length.
fn shape(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let (mut shape, mut last) = (String::new(), ' ');
        for c in word.chars() {
            let c = if c.is_ascii_digit() { '0' } else { c };
            let is_same = c == last && matches!(c, '0' | '-' | '─' | '━');
            let is_inside = last == '0' && matches!(c, '.' | ',');
            if !is_same && !is_inside {
                shape.push(c);
                last = c;
            }
        }
        let is_unit = matches!(shape.as_str(), "ms" | "s" | "min" | "ms," | "s,");
        let is_span = is_unit && words.last().is_some_and(|word: &String| word.ends_with('0'));
        words.push(if is_span { "span".to_owned() } else { shape });
    }
    words.join(" ")
}

/// What is printed has these parts in this order; `…` stands for whatever is between them.
fn assert_prints(printed: &str, expected: &str) {
    let (printed, mut at) = (shape(printed), 0);
    for part in expected.split('…').map(shape).filter(|part| !part.is_empty()) {
        let found = printed[at..].find(&part);
        at += found.unwrap_or_else(|| panic!("not in this order: `{part}`\nin: {}", &printed[at..]))
            + part.len();
    }
}

/// Every command of the README, in its order, in a folder with the examples; it prints what the README says.
#[test]
fn the_readmes_commands_do_what_they_say() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 5 && blocks.iter().filter(|block| block.prints.is_some()).count() >= 5);
    let dir = tempfile::tempdir().unwrap();
    let bin = std::path::Path::new(FOREBAY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The ports of the README may be taken while tests run side by side.
    let (kafka, http) = (free_address().to_string(), free_address().to_string());
    let example = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
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
    let mut running = Vec::new();
    for block in &blocks {
        let mut printed = String::new();
        for line in &block.commands {
            if block.is_background {
                let mut process = Process::spawn(&mut shell(line));
                process.wait_for("ready ", Duration::from_secs(30));
                running.push(process);
                continue;
            }
            if line.contains("query") {
                // The events of the line before need a moment to the table.
                std::thread::sleep(Duration::from_secs(3));
            }
            let output = succeed(&mut shell(line));
            let said = text_of(&output);
            let said = said.lines().filter(|line| !line.starts_with("warning: this build"));
            printed.extend(said.map(|line| format!("{line}\n")));
            printed.push_str(&(text(&output.stdout) + "\n"));
        }
        println!("$ {}\n{printed}", block.commands.join("\n$ "));
        if let Some(expected) = &block.prints {
            assert_prints(&printed, expected);
        }
    }
    for process in running {
        assert!(process.stop().0);
    }
}

#[test]
fn a_reader_that_has_gone_away_ends_every_command_that_prints_quietly() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &[&proof_events(10)[..], &["no json".to_owned()]].concat());
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let file = file.to_str().unwrap();
    succeed(&mut forebay(data.path(), &["run", file]));
    let kafka = log.address.to_string();
    for args in [
        &["man"][..],
        &["man", "quarantine", "ls"],
        &["completions", "bash"],
        &["explain"],
        &["explain", "2003"],
        &["schema", "json"],
        &["schema", "infer", "events", "--bootstrap", &kafka],
        &["demo", "--list"],
        &["plan", file],
        &["query", "SELECT 1"],
        &["query", "--format", "csv", "SELECT repeat('x', 60000) AS n"],
        &["query", "--format", "json", "SELECT repeat('x', 60000) AS n"],
        &["query", "SELECT repeat('x', 60000) AS n"],
        &["log", "topics", "--bootstrap", &kafka],
        &["log", "topics", "--bootstrap", &kafka, "--format", "csv"],
        &["log", "tail", "events", "--from-beginning", "--bootstrap", &kafka],
        &["checkpoint", "show", file, "lake"],
        &["quarantine", "ls"],
        &["quarantine", "ls", "--format", "csv"],
        &["quarantine", "show", "events/0/10"],
        &["quarantine", "show", "events/0/10", "--raw"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = forebay(data.path(), args);
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        let told = text_of(&output);
        let told: Vec<&str> = told
            .lines()
            .filter(|line| !line.starts_with("warning: this build") && !line.starts_with("-- "))
            .collect();
        assert!(output.status.success() && told.is_empty(), "{args:?}: {:?} {told:?}", output.status);
    }
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let args = ["--log-level", "debug", "run", file.to_str().unwrap(), "--trigger", "default"];
    let child =
        forebay(data.path(), &args).stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    let _run = Leashed(child);
    eventually("the rows", Duration::from_secs(20), || {
        table_rows(data.path(), &data.path().join("table")).len() == 10
    });
}

#[test]
fn a_run_that_is_refused_makes_no_topic() {
    let data = tempfile::tempdir().unwrap();
    let address = free_address();
    let run = |topic: &str| {
        let file = copy_pipeline(data.path(), address, topic, 700);
        forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap()
    };
    assert!(run("events").status.success());
    let refused = run("others");
    let said = text_of(&refused);
    assert!(!refused.status.success() && said.contains("FB-6002"), "{said}");
    let mut topics = Vec::new();
    let mut folders = vec![data.path().join("log")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            topics.push(path.display().to_string());
            folders.extend(path.is_dir().then_some(path));
        }
    }
    let has = |name: &str| topics.iter().any(|path| path.contains(name));
    assert!(has("events") && !has("others"), "{topics:?}");
}

#[test]
fn where_several_servers_are_named_it_is_said_that_no_log_is_served() {
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), free_address(), "events", 700);
    let text = std::fs::read_to_string(&file).unwrap();
    let one = text.split('"').nth(1).unwrap();
    std::fs::write(&file, text.replace(one, &format!("{one},{}", free_address()))).unwrap();
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    process.wait_for("log: source `events` names several servers", Duration::from_secs(20));
    process.stop();
}
