//! When a pipeline serves a log itself, and when it must not.

use std::time::Duration;

use crate::support::*;

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
