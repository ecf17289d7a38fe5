//! Silences that people make while a pipeline runs: whom nobody is told of, for how long, over restarts and deaths.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use forebay_storage::SILENCE_KILL_POINTS;
use serde_json::{Value, json};

use crate::alert_rules::Receiver;
use crate::support::*;

/// Long enough for a machine that does many things at once.
const SOON: Duration = Duration::from_secs(60);

/// Two alerts over a topic, and who is told of them.
fn pipeline(dir: &Path, log: &LogServer, receiver: SocketAddr) -> PathBuf {
    let file = dir.join("watch.yaml");
    let text = format!(
        "pipeline: watch\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device STRING, reading DOUBLE\n\
         queries:\n  screen:\n    sql: SELECT * FROM events WHERE device = 'nobody'\n    format: console\n\
         alerts:\n  high: {{ on: events, key: device, when: reading > 70, clear: reading < 65, severity: critical }}\n\
         \x20 low: {{ on: events, key: device, when: reading < 10 }}\n\
         channels:\n  ops:\n    format: webhook\n    options: {{ url: \"http://{receiver}/hook\", allowLocal: true }}\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn produce(log: &LogServer, device: &str, readings: &[u32]) {
    let line = |reading: &u32| format!("{{\"device\": \"{device}\", \"reading\": {reading}}}");
    log.produce("events", &readings.iter().map(line).collect::<Vec<_>>());
}

/// The answer to a request, or nothing from a process that dies over it.
fn ask(address: SocketAddr, verb: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let body = body.to_string();
    let request = format!(
        "{verb} /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forebay: 1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?))
}

fn make(address: SocketAddr, wish: &Value) -> Value {
    let (status, silence) = ask(address, "POST", "silences", wish).unwrap();
    assert_eq!(status, 200, "{silence}");
    silence
}

fn silences(address: SocketAddr) -> Vec<Value> {
    let (_, listed) = ask(address, "GET", "silences", &json!({})).unwrap();
    listed["silences"].as_array().unwrap().clone()
}

/// What muted the newest alert of this key, once it was opened; an empty text if nothing did.
fn muted_by(address: SocketAddr, key: &str) -> String {
    let mut found = Value::Null;
    eventually("the alert opens", SOON, || {
        let (_, listed) = ask(address, "GET", &format!("alerts?key={key}"), &json!({})).unwrap();
        found = listed["alerts"][0].clone();
        found.is_object()
    });
    found["muted"].as_str().unwrap_or_default().to_owned()
}

/// Event and key of each transition that was told.
fn told(receiver: &Receiver) -> Vec<String> {
    let posts = receiver.posts();
    let lines = posts.iter().flat_map(|(_, body)| body["transitions"].as_array().unwrap());
    lines
        .map(|line| format!("{} {}", line["event"].as_str().unwrap(), line["key"].as_str().unwrap()))
        .collect()
}

fn is_told(receiver: &Receiver, what: &str) {
    eventually(what, SOON, || told(receiver).iter().any(|it| it == what));
}

/// A notice of something else: what was decided before it and was to be told was told before it.
fn barrier(log: &LogServer, receiver: &Receiver, name: &str) {
    produce(log, name, &[90]);
    is_told(receiver, &format!("opened {name}"));
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

fn started(file: &Path) -> Process {
    Process::spawn(&mut forebay(file.parent().unwrap(), &["run", file.to_str().unwrap()]))
}

#[test]
fn nobody_is_told_of_what_is_silenced_until_that_ends_and_of_what_is_over_by_then_never() {
    let (log, dir, receiver) = (LogServer::start(), tempfile::tempdir().unwrap(), Receiver::start(&[]));
    make_topic(log.address, "events", 1);
    let file = pipeline(dir.path(), &log, receiver.address);
    let mut process = started(&file);
    let http = process.address("http");
    let wish = json!({ "rules": ["high"], "keys": ["press-*"], "severities": ["critical"], "for": "1 hour", "comment": "new rolls" });
    let silence = make(http, &wish);
    assert_eq!((&silence["id"], &silence["state"]), (&json!("1"), &json!("active")));
    assert_eq!(silence["made"]["comment"], "new rolls");
    // Of the silenced ones one is over before the silence is; of the others each differs in one thing.
    produce(&log, "press-1", &[80]);
    produce(&log, "press-2", &[80, 20]);
    produce(&log, "press-3", &[5]);
    barrier(&log, &receiver, "saw-1");
    is_told(&receiver, "opened press-3");
    assert_eq!(muted_by(http, "press-1"), "silence #1");
    assert_eq!(muted_by(http, "press-2"), "silence #1");
    assert_eq!(muted_by(http, "press-3"), "");
    let is_silent = |part: &str| told(&receiver).iter().all(|it| !it.ends_with(part));
    assert!(is_silent("press-1") && is_silent("press-2"), "{:?}", told(&receiver));

    // It holds in the next run too, and after a death without a word.
    assert!(process.stop().0);
    let mut process = started(&file);
    let http = process.address("http");
    assert_eq!(silences(http), std::slice::from_ref(&silence));
    produce(&log, "press-4", &[80]);
    barrier(&log, &receiver, "saw-2");
    assert_eq!(muted_by(http, "press-4"), "silence #1");
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let mut process = started(&file);
    let http = process.address("http");
    produce(&log, "press-5", &[80]);
    barrier(&log, &receiver, "saw-3");
    assert_eq!(muted_by(http, "press-5"), "silence #1");
    assert!(
        ["press-1", "press-2", "press-4", "press-5"].iter().all(|key| is_silent(key)),
        "{:?}",
        told(&receiver)
    );

    // Somebody ends it: who is still in alert is told of, once, and the rest never.
    let (status, ended) = ask(http, "DELETE", "silences/1", &json!({})).unwrap();
    assert_eq!((status, &ended["state"]), (200, &json!("expired")), "{ended}");
    ["opened press-1", "opened press-4", "opened press-5"].iter().for_each(|what| is_told(&receiver, what));

    // One that ends by itself. How soon a silence that was just made meets an alert is the machine's business.
    let brief = ["2 seconds", "15 seconds", "60 seconds"].into_iter().enumerate().find_map(|(at, length)| {
        let key = format!("drill-{at}");
        let made = make(http, &json!({ "key": key, "for": length }));
        produce(&log, &key, &[80]);
        (muted_by(http, &key) == format!("silence #{}", made["id"].as_str().unwrap())).then_some((key, made))
    });
    let (key, made) = brief.expect("an alert opens within a minute");
    is_told(&receiver, &format!("opened {key}"));
    assert!(now_ms() >= u128::from(made["until"].as_u64().unwrap()), "told before it ended");
    barrier(&log, &receiver, "saw-4");
    let mut all = told(&receiver);
    let count = all.len();
    all.sort();
    all.dedup();
    assert!(all.len() == count && is_silent("press-2"), "each once: {all:?}");
    assert!(process.stop().0);
}

#[test]
fn a_silence_whose_process_dies_is_there_whole_or_not_at_all() {
    let (log, receiver) = (LogServer::start(), Receiver::start(&[]));
    make_topic(log.address, "events", 1);
    let wish = json!({ "rules": ["high"], "key": "press-1", "for": "1 hour" });
    for (point, is_kept) in SILENCE_KILL_POINTS.iter().zip([false, true]) {
        let dir = tempfile::tempdir().unwrap();
        let file = pipeline(dir.path(), &log, receiver.address);
        let args = ["run", file.to_str().unwrap()];
        // The first is answered, the second is on its way.
        let mut dying = forebay(dir.path(), &args);
        let mut process = Process::spawn(armed(&mut dying, &format!("{point}:2"), "lose"));
        let http = process.address("http");
        let first = make(http, &wish);
        assert_eq!(ask(http, "POST", "silences", &json!({ "all": true, "for": "1 hour" })), None, "{point}");
        assert!(died_there(process.child.wait().unwrap()), "{point}");
        // The third is an end.
        let mut dying = forebay(dir.path(), &args);
        let mut process = Process::spawn(armed(&mut dying, &format!("{point}:1"), "lose"));
        let http = process.address("http");
        let there = silences(http);
        assert_eq!(there.len(), 1 + usize::from(is_kept), "{point}: {there:?}");
        assert!(there.contains(&first), "{point}: what was answered is there: {there:?}");
        assert!(
            there.iter().all(|it| it["state"] == "active" && it["made"]["by"] == "at the machine"),
            "{there:?}"
        );
        assert_eq!(ask(http, "DELETE", "silences/1", &json!({})), None, "{point}");
        assert!(died_there(process.child.wait().unwrap()), "{point}");
        let mut process = started(&file);
        let http = process.address("http");
        let first = silences(http).into_iter().find(|it| it["id"] == "1").unwrap();
        assert_eq!(
            (&first["state"] == "expired", first["ended"].is_object()),
            (is_kept, is_kept),
            "{point}: {first}"
        );
        // No number is given twice.
        assert_eq!(make(http, &wish)["id"], if is_kept { "3" } else { "2" });
        assert!(process.stop().0);
    }
}

#[test]
fn a_terminal_makes_silences_sees_whose_they_are_and_ends_them() {
    let (log, dir, receiver) = (LogServer::start(), tempfile::tempdir().unwrap(), Receiver::start(&[]));
    make_topic(log.address, "events", 1);
    let file = pipeline(dir.path(), &log, receiver.address);
    let mut process = started(&file);
    let http = process.address("http");
    let asked = |args: &[&str]| {
        let server = http.to_string();
        let args = [&["alerts", "silence"][..], args, &["--server", &server]].concat();
        let output = forebay(dir.path(), &args).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert!(asked(&["list"]).2.contains("no silence"));
    let made =
        asked(&["make", "--rule", "HIGH", "--key", "press-*", "--for", "2 hours", "--comment", "new rolls"]);
    assert_eq!((made.0, made.1.as_str()), (Some(0), "1\n"), "{}", made.2);
    assert!(made.2.contains("silence 1: high, press-*"), "{}", made.2);
    let later = ["make", "--all", "--from", "2999-01-01 00:00", "--until", "2999-01-01T08:00:00Z"];
    assert_eq!(asked(&later).1, "2\n");
    produce(&log, "press-1", &[80]);
    assert_eq!(muted_by(http, "press-1"), "silence #1");
    let listed = asked(&["list"]).1;
    for part in ["active", "high, press-*", "by at the machine: new rolls", "pending", "all alerts"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let (code, _, said) = asked(&["expire", "1", "2"]);
    assert!(code == Some(0) && said.contains("silence 1: ended by at the machine"), "{said}");
    is_told(&receiver, "opened press-1");
    assert!(asked(&["list", "--json"]).1.is_empty());
    let all = asked(&["list", "--all", "--json"]).1;
    let states = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["expired", "expired"]);
    for (args, code, words) in [
        (&["expire", "7"][..], 1, "no silence `7` is known"),
        (&["make", "--rule", "hihg", "--for", "1 hour"], 1, "There are: high, low."),
        (&["make", "--rule", "high", "--until", "2020-01-01T00:00:00Z"], 1, "ends before it begins"),
        (&["make", "--for", "1 hour"], 2, "--rule"),
        (&["make", "--all", "--key", "a", "--for", "1 hour"], 2, "--all"),
    ] {
        let (found, _, said) = asked(args);
        assert!(found == Some(code) && said.contains(words), "{args:?}: {found:?} {said}");
    }
    assert!(process.stop().0);
}
