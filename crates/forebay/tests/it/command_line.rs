//! The command line as a person meets it.

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
fn a_valid_file_shows_the_tables_that_a_query_joins() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("devices.csv"), "device_id,hall\nd1,north\n").unwrap();
    let file = data.path().join("joined.yaml");
    let text = "pipeline: joined\n\
                sources:\n  readings:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n\
                \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\n\
                tables:\n  devices: { format: csv, path: devices.csv, schema: \"device_id STRING, hall STRING\", options: { header: true } }\n\
                views:\n  placed: SELECT r.device_id, d.hall FROM readings r LEFT JOIN devices d ON r.device_id = d.device_id\n\
                queries:\n  hot:\n    sql: SELECT * FROM placed\n    format: console\n";
    std::fs::write(&file, text).unwrap();
    let said = text_of(&succeed(&mut forebay(data.path(), &["validate", file.to_str().unwrap()])));
    assert!(said.contains("  hot: readings, devices -> console"), "{said}");
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
        assert!(
            said.contains("note: 2 records did not decode, or are not as expected, and are left out"),
            "{sql}: {said}"
        );
    }
    let said = text_of(&ask("SELECT count(*) FROM hot"));
    assert!(said.contains("the query `hot` writes to the console and has no table"), "{said}");
    assert!(said.contains("FROM (SELECT * FROM iot)") && said.contains("SQL:1:22"), "{said}");
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
    eventually("the rows", Duration::from_secs(60), || {
        table_rows(data.path(), &data.path().join("table")).len() == 10
    });
}
