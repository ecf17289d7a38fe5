//! Events that are posted: what is written is told, nothing comes twice, and what is wrong is told with its line; and
//! devices that are played as files describe them.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use forebay_connectors::kafka::partition_for_key;
use serde_json::Value;

use crate::support::*;

/// The event of the seed, as a person writes it.
const EVENT: &str = r#"{
  "eventId": "e3cb26d3-41b2-49a2-84f3-0156ed8d7502",
  "eventOffset": 10001,
  "eventPublisher": "device",
  "customerId": "CI00103",
  "data": {
    "devices": [
      { "deviceId": "D001", "temperature": 15, "measure": "C", "status": "ERROR" },
      { "deviceId": "D002", "temperature": 16, "measure": "C", "status": "SUCCESS" }
    ]
  },
  "eventTime": "2023-01-05 11:13:53.643364"
}
"#;

/// `forebay produce` into a topic of the log at an address.
fn produce_command(address: SocketAddr, topic: &str, more: &[&str]) -> Command {
    let mut command = Command::new(FOREBAY);
    command.args(["produce", "--bootstrap", &address.to_string(), "--topic", topic]).args(more);
    command.stdin(Stdio::null());
    command
}

/// Runs a command with this input.
fn with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    written.unwrap_or_else(|error| panic!("{error}: {}", text_of(&output)));
    output
}

/// The records of a topic, as `log tail` prints them, once there are so many.
fn records(address: SocketAddr, topic: &str, count: usize) -> Vec<Value> {
    let (data, address) = (tempfile::tempdir().unwrap(), address.to_string());
    let topics = ["log", "topics", "--format", "json", "--bootstrap", &address];
    eventually("the records", Duration::from_secs(20), || {
        let listed = text(&succeed(&mut forebay(data.path(), &topics)).stdout);
        let partitions = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ends = partitions.filter(|it| it["topic"] == topic).map(|it| it["latest"].as_u64().unwrap());
        ends.sum::<u64>() >= count as u64
    });
    let count = count.to_string();
    let args =
        ["log", "tail", topic, "--from-beginning", "-n", &count, "--format", "json", "--bootstrap", &address];
    let printed = end_within(Duration::from_secs(30), &mut forebay(data.path(), &args));
    assert!(printed.status.success(), "{}", text_of(&printed));
    text(&printed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(dir: &Path, file: &str, text: &str) -> String {
    let path = dir.join(file);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_document_of_several_lines_is_one_event() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = write(dir.path(), "device_01.json", EVENT);
    let more = ["--file", &file, "--whole", "--key-field", "customerId", "-H", "origin=test", "-z", "zstd"];
    let said = text_of(&succeed(&mut produce_command(log.address, "device_stream", &more)));
    assert_eq!(said.trim(), "1 record(s) written to device_stream: 1 in partition 0 (offset 0)");
    let said = text_of(&with_input(&mut produce_command(log.address, "device_stream", &["--whole"]), EVENT));
    assert_eq!(said.trim(), "1 record(s) written to device_stream: 1 in partition 0 (offset 1)");
    let found = records(log.address, "device_stream", 2);
    for record in &found {
        assert_eq!(record["value"].as_str().unwrap(), EVENT.trim_end());
    }
    assert_eq!((found[0]["key"].as_str(), &found[1]["key"]), (Some("CI00103"), &Value::Null));
    // And through the engine, with what came beside it.
    let pipeline = format!(
        "pipeline: p\nsources:\n  s:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", \
         subscribe: device_stream, startingOffsets: earliest, includeHeaders: true }}\n\
         queries:\n  q:\n    sql: SELECT * FROM s\n    format: console\n",
        log.address
    );
    let pipeline = write(dir.path(), "p.yaml", &pipeline);
    let sql = "SELECT offset, CAST(headers[0].value AS STRING) AS origin FROM s ORDER BY offset";
    let args = ["query", "--format", "csv", "--pipeline", &pipeline, sql];
    let rows = text(&succeed(&mut forebay(dir.path(), &args)).stdout);
    assert_eq!(rows, "offset,origin\n0,test\n1,\n");
}

#[test]
fn where_records_are_is_told_and_their_keys_and_partitions_are_as_asked_for() {
    let log = LogServer::start();
    make_topic(log.address, "t", 4);
    let lines = "a=1\nb=2\na=3\nno key\nc=NULL\n";
    let more = ["-K", "=", "--null-marker", "NULL"];
    let said = text_of(&with_input(&mut produce_command(log.address, "t", &more), lines));
    assert!(said.starts_with("5 record(s) written to t: "), "{said}");
    let found = records(log.address, "t", 5);
    let mut there: Vec<_> = found
        .iter()
        .map(|record| {
            (record["key"].as_str(), record["value"].as_str(), record["partition"].as_i64().unwrap())
        })
        .collect();
    there.sort_unstable_by_key(|(key, value, _)| (*key, *value));
    let of = |key: &str| i64::from(partition_for_key(key.as_bytes(), 4));
    let keyless = there[0].2;
    let expected = [
        (None, Some("no key"), keyless),
        (Some("a"), Some("1"), of("a")),
        (Some("a"), Some("3"), of("a")),
        (Some("b"), Some("2"), of("b")),
        (Some("c"), None, of("c")),
    ];
    assert_eq!(there, expected);
    // `2 in partition 0 (offsets 0 to 1), 3 in …`
    let counts = said.split(": ").nth(1).unwrap().split("), ").map(|part| part.split(' ').next().unwrap());
    let counts: u64 = counts.map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(counts, 5, "{said}");
    let said =
        text_of(&with_input(&mut produce_command(log.address, "t", &["-p", "3", "-k", "a"]), "x\ny\n"));
    assert!(said.contains(": 2 in partition 3 (offsets "), "{said}");
    let refused = with_input(&mut produce_command(log.address, "t", &["-p", "4"]), "x\n");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text_of(&refused).contains("no partition 4"), "{}", text_of(&refused));
}

#[test]
fn what_is_no_json_ends_it_and_is_told_with_file_and_line() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = write(dir.path(), "events.txt", "{\"n\": 1}\n\n{\"n\": 2}\n{\"n\": \n{\"n\": 4}\n");
    let refused = produce_command(log.address, "t", &["--json", "--file", &file]).output().unwrap();
    let said = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("2 record(s) written to t: 2 in partition 0 (offsets 0 to 1)"), "{said}");
    assert!(said.contains("FB-1005") && said.contains(&format!("{file}:4:")), "{said}");
    let refused =
        produce_command(log.address, "t", &["--key-field", "id", "--file", &file]).output().unwrap();
    let said = text_of(&refused);
    assert!(said.contains("no field `id`") && said.contains(&format!("{file}:1")), "{said}");
    assert!(said.contains("0 record(s) written to t"), "{said}");
    assert_eq!(records(log.address, "t", 2).len(), 2);
}

#[test]
fn a_file_that_is_not_there_is_wrong_use_and_needs_no_log() {
    for args in [&["--file", "/nothing/here"][..], &["-K", ""], &["-z", "lzz"], &["-k", "a", "-K", "b"]] {
        let refused = produce_command(free_address(), "t", args).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", text_of(&refused));
    }
    let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
    let file = write(dir.path(), "client.properties", "security.protocol=PLAINTEXT\nmax.poll.recrods=1\n");
    let refused = produce_command(address, "t", &["--client-properties", &file]).output().unwrap();
    let said = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("unknown Kafka client option"), "{said}");
}

#[test]
fn a_log_that_comes_later_is_waited_for_and_one_that_does_not_is_given_up() {
    let (data, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut command = produce_command(address, "t", &[]);
    let mut waiting = Process::spawn(command.stdin(Stdio::piped()));
    waiting.child.stdin.take().unwrap().write_all(b"a\nb\n").unwrap();
    let told = waiting.wait_for("is tried again for at most 120s", Duration::from_secs(10));
    assert!(told.contains(&address.to_string()) && told.contains("FB-2001"), "{told}");
    let serve = ["log", "serve", "--listen", &address.to_string()].map(str::to_owned);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let mut log = Process::spawn(&mut forebay(data.path(), &serve));
    log.address("kafka");
    waiting.wait_for("2 record(s) written to t: 2 in partition 0 (offsets 0 to 1)", Duration::from_secs(20));
    assert!(waiting.child.wait().unwrap().success());

    let mut hopeless = produce_command(free_address(), "t", &["--timeout", "2 seconds"]);
    let given_up = end_within(Duration::from_secs(15), &mut hopeless);
    let said = text_of(&given_up);
    assert_eq!(given_up.status.code(), Some(1), "{said}");
    assert!(said.contains("error[FB-2001]") && said.contains("`--bootstrap`"), "{said}");
}

#[test]
fn a_log_that_goes_away_for_good_is_given_up_and_it_is_told_which_lines_are_not_known() {
    let log = LogServer::start();
    let mut command = produce_command(log.address, "t", &["--timeout", "4 seconds"]);
    let mut producing = Process::spawn(command.stdin(Stdio::piped()));
    let mut stdin = producing.child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    assert_eq!(records(log.address, "t", 1).len(), 1);
    drop(log);
    stdin.write_all(b"b\nc\n").unwrap();
    // The input stays open: it is the failure that ends it.
    producing.wait_for("waiting for", Duration::from_secs(10));
    producing.wait_for("1 record(s) written to t: 1 in partition 0 (offset 0)", Duration::from_secs(30));
    producing
        .wait_for("2 record(s) not known to be written: line(s) 2 to 3 of stdin", Duration::from_secs(5));
    producing.wait_for("nothing was sent after line 3 of stdin", Duration::from_secs(5));
    producing.wait_for("error[FB-2001]", Duration::from_secs(5));
    assert_eq!(producing.child.wait().unwrap().code(), Some(1));
}

#[test]
fn ctrl_c_says_what_was_written() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let mut command = produce_command(log.address, "typed", &[]);
    let mut producing = Process::spawn(command.stdin(Stdio::piped()));
    let mut stdin = producing.child.stdin.take().unwrap();
    stdin.write_all(b"a\nb\nnot yet a li").unwrap();
    assert_eq!(records(log.address, "typed", 2).len(), 2);
    producing.signal("INT");
    producing
        .wait_for("2 record(s) written to typed: 2 in partition 0 (offsets 0 to 1)", Duration::from_secs(10));
    producing.wait_for("nothing was sent after line 2 of stdin", Duration::from_secs(5));
    assert_eq!(producing.child.wait().unwrap().code(), Some(0), "a person who types ends so");

    // A file that has more than was read is not done.
    let pipe = dir.path().join("events");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = produce_command(log.address, "file", &["--file", pipe.to_str().unwrap()]);
    let mut producing = Process::spawn(&mut command);
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(b"a\n").unwrap();
    assert_eq!(records(log.address, "file", 1).len(), 1);
    producing.signal("TERM");
    producing.wait_for("1 record(s) written to file", Duration::from_secs(10));
    producing.wait_for("nothing was sent after line 1 of", Duration::from_secs(5));
    assert_eq!(producing.child.wait().unwrap().code(), Some(1));

    let mut waiting = Process::spawn(&mut produce_command(free_address(), "t", &[]));
    waiting.wait_for("is tried again", Duration::from_secs(10));
    waiting.signal("INT");
    waiting.wait_for("stopped while waiting for the log: 0 record(s) written to t", Duration::from_secs(10));
    assert_eq!(waiting.child.wait().unwrap().code(), Some(1));
}

/// A folder as the seed's: devices, samples and late samples.
fn devices(dir: &Path) {
    write(dir, "device_01.json", EVENT);
    let alone = "{ \"deviceId\": \"D009\", \"customerId\": \"CI00104\", \"temperature\": [0, 30], \"status\": [\"SUCCESS\", null] }";
    write(dir, "device_02.json", alone);
    let line = |number: u32, time: &str| {
        let devices =
            if number.is_multiple_of(2) { "" } else { "{\"deviceId\": \"D001\", \"temperature\": 5}" };
        format!(
            "{{\"eventId\": \"id-{number}\", \"eventOffset\": {}, \"eventPublisher\": \"device\", \"customerId\": \"CI00119\", \"data\": {{\"devices\": [{devices}]}}, \"eventTime\": \"2023-01-05 {time}.643364\"}}\n",
            10_000 + number
        )
    };
    let samples: String = (0..50).map(|number| line(number, &format!("11:13:{number:02}"))).collect();
    write(dir, "device_data_samples.txt", &samples);
    write(dir, "late_data_samples.txt", &(line(50, "10:00:00") + &line(51, "10:00:01")));
}

fn simulate(dir: &Path, address: SocketAddr, topic: &str, more: &[&str]) -> Output {
    let mut command = Command::new(FOREBAY);
    command.args(["simulate", "--bootstrap", &address.to_string(), "--topic", topic, "--rate", "0"]);
    command.args(more).current_dir(dir).output().unwrap()
}

#[test]
fn samples_are_played_as_they_stand_and_the_late_ones_after_them() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    devices(dir.path());
    let more = ["--samples", "device_data_samples.txt", "--late-samples", "late_data_samples.txt"];
    let played = simulate(dir.path(), log.address, "device_stream", &more);
    let said = text_of(&played);
    assert!(played.status.success(), "{said}");
    assert!(said.contains("playing 50 sample(s) and 2 late one(s) into topic device_stream"), "{said}");
    assert!(said.contains("52 message(s) written") && said.contains(", 2 late"), "{said}");
    let files = ["device_data_samples.txt", "late_data_samples.txt"];
    let lines = files.map(|file| std::fs::read_to_string(dir.path().join(file)).unwrap()).concat();
    let found = records(log.address, "device_stream", 52);
    let values: Vec<&str> = found.iter().map(|record| record["value"].as_str().unwrap()).collect();
    assert_eq!(values, lines.lines().collect::<Vec<_>>());
    assert!(found.iter().all(|record| record["key"] == "CI00119"), "its customer is its key");

    let counted =
        simulate(dir.path(), log.address, "few", &[&more[..2], &["--count", "3", "--shift"]].concat());
    assert!(text_of(&counted).contains("3 message(s) written"), "{}", text_of(&counted));
    let found = records(log.address, "few", 3);
    let seconds = |record: &Value| {
        let event: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        let time = event["eventTime"].as_str().unwrap().to_owned();
        assert!(time.as_str() > "2026" && time.len() == 26, "{time}");
        time
    };
    let times: Vec<String> = found.iter().map(seconds).collect();
    assert!(times.is_sorted() && times[0] != times[2], "{times:?}");
}

#[test]
fn devices_are_played_as_files_describe_them() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    devices(dir.path());
    let more =
        ["--device-files", ".", "--count", "300", "--seed", "7", "--late-samples", "late_data_samples.txt"];
    let played = simulate(dir.path(), log.address, "device_stream", &more);
    let said = text_of(&played);
    assert!(said.contains("simulating 3 device(s) of 2 file(s) with 2 late one(s)"), "{said}");
    assert!(said.contains("300 message(s) written") && said.contains(", 2 late"), "{said}");
    let mut ids = std::collections::BTreeSet::new();
    for record in records(log.address, "device_stream", 300) {
        let event: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        assert_eq!(record["key"], event["customerId"]);
        ids.insert(event["eventId"].as_str().unwrap().to_owned());
        for device in event["data"]["devices"].as_array().unwrap() {
            let (customer, id) =
                (event["customerId"].as_str().unwrap(), device["deviceId"].as_str().unwrap());
            assert!(
                ["CI00103 D001", "CI00103 D002", "CI00104 D009", "CI00119 D001"]
                    .contains(&&*format!("{customer} {id}"))
            );
        }
    }
    assert_eq!(ids.len(), 300, "every event is another one");
}

#[test]
fn what_is_wrong_in_files_of_devices_is_told_before_anything_is_sent() {
    let (dir, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    devices(dir.path());
    let refused = |more: &[&str], place: &str, what: &str| {
        let refused = simulate(dir.path(), log.address, "none", more);
        let said = text_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(place) && said.contains(what), "`{place}`, `{what}`: {said}");
    };
    let mut samples = std::fs::read_to_string(dir.path().join("device_data_samples.txt")).unwrap();
    samples.push_str("{\"eventId\": \"x\", \"eventTime\": \"yesterday\"}\n");
    write(dir.path(), "bad.txt", &samples);
    refused(&["--samples", "bad.txt"], "bad.txt:51", "eventTime `yesterday` is not a time");
    refused(&["--late-samples", "bad.txt", "--shape", "devices"], "bad.txt:51", "is not a time");
    write(dir.path(), "device_03.json", "{\n  \"deviceId\": \"D003\",\n  \"temperature\": \"warm\"\n}\n");
    refused(&["--device-files", "."], "device_03.json:3:", "`temperature` is a number to be near");
    refused(&["--samples", "none.txt"], "none.txt", "FB-1001");
    let data = tempfile::tempdir().unwrap();
    let args = ["log", "topics", "--bootstrap", &log.address.to_string()];
    let listed = text(&succeed(&mut forebay(data.path(), &args)).stdout);
    assert!(!listed.contains("none"), "{listed}");
    let wrong = simulate(dir.path(), log.address, "none", &["--shape", "plant", "--samples", "bad.txt"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text_of(&wrong));
}
