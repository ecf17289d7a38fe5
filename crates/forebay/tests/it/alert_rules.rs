//! Rules beyond a condition, through the program: levels, N of M, cool-down, silence, what mutes; what people do; who is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_storage::lines;
use serde_json::{Value, json};

use crate::support::*;

/// Long enough for a machine that does many things at once.
const SOON: Duration = Duration::from_secs(60);

const RULES: &str = "pipeline: rules
sources:
  iot:
    format: kafka
    options: { kafka.bootstrap.servers: \"nobody.invalid:1\", subscribe: iot }
    value: json
    schema: device STRING, t DOUBLE, rpm DOUBLE
queries:
  q: { sql: SELECT * FROM iot, format: console }
alerts:
  heat:
    on: iot
    key: device
    levels:
      warning: { when: t > 70, clear: t < 65 }
      critical: { when: t > 90, clear: t < 85 }
    cooldown: 1 minute
    inhibitedBy: stopped
  shaking: { on: iot, key: device, when: rpm > 100, matches: 3 of 5 }
  stopped: { on: iot, key: device, noData: { after: 5 minutes, keys: [d9] }, severity: info }
  blind: { on: iot, key: device, noData: { after: 1 minute, fields: [rpm] } }
silences:
  lunch: { rules: heat, keys: [\"d2*\"], from: \"12:00\", until: \"13:00\" }
tests:
  - name: one alert is raised, lowered and cleared, and rests
    at: 2026-01-05T10:00:00Z
    steps:
      - given: { iot: [ { device: d1, t: 80 } ] }
        expect: { alerts: { heat: [ { key: d1, state: open, severity: warning, worst: warning, muted: null } ] } }
      - at: 10:00:01
        given: { iot: [ { device: d1, t: 95 } ] }
        expect: { alerts: { heat: [ { severity: critical, worst: critical, openedAt: 10:00:00, value: { t: 80 } } ] } }
      - at: 10:00:02
        given: { iot: [ { device: d1, t: 80 } ] }
        expect: { alerts: { heat: [ { state: open, severity: warning, worst: critical } ] } }
      - at: 10:00:03
        given: { iot: [ { device: d1, t: 60 } ] }
        expect: { alerts: { heat: [ { state: cleared, clearedAt: 10:00:03, worst: critical } ] } }
      - at: 10:01:02
        given: { iot: [ { device: d1, t: 99 } ] }
        expect: { alerts: { heat: [ { state: cleared } ] } }
      - at: 10:01:03
        given: { iot: [ { device: d1, t: 99 } ] }
        expect: { alerts: { heat: [ { state: cleared }, { state: open, severity: critical, openedAt: 10:01:03 } ] } }
  - name: three of five
    at: 2026-01-05T10:00:00Z
    given: { iot: [ { device: d1, rpm: 101 }, { device: d1, rpm: 1 }, { device: d1, rpm: 102 }, { device: d1, rpm: 2 } ] }
    steps:
      - { at: 10:00:01, expect: { alerts: { shaking: [] } } }
      - at: 10:00:02
        given: { iot: [ { device: d1, rpm: 103 } ] }
        expect: { alerts: { shaking: [ { key: d1, state: open, value: { rpm: 103 } } ] } }
  - name: silence is told by time alone, of what never came too
    at: 2026-01-05T10:00:00Z
    given: { iot: [ { device: d1, rpm: 5 } ] }
    steps:
      - { at: 10:05:00, expect: { alerts: { stopped: [] } } }
      - at: 10:05:01
        expect: { alerts: { stopped: [ { key: d1, noData: true, field: null, openedAt: 10:05:00, severity: info }, { key: d9, openedAt: 10:05:00 } ] } }
      - at: 10:06:00
        given: { iot: [ { device: d1, rpm: 5 } ] }
        expect: { alerts: { stopped: [ { key: d1, state: cleared, clearedAt: 10:06:00 }, { key: d9, state: open } ] } }
  - name: a field without a value is a silence of its own
    at: 2026-01-05T10:00:00Z
    given: { iot: [ { device: d1, rpm: 5 } ] }
    steps:
      - at: 10:01:30
        given: { iot: [ { device: d1, t: 20 } ] }
        expect: { alerts: { blind: [ { key: d1, field: rpm, openedAt: 10:01:00, state: open } ], stopped: [] } }
      - at: 10:02:00
        given: { iot: [ { device: d1, rpm: 6 } ] }
        expect: { alerts: { blind: [ { state: cleared, clearedAt: 10:02:00 } ] } }
  - name: who is told of nothing is said with the alert
    at: 2026-01-05T12:30:00Z
    given: { iot: [ { device: d1, t: 80 }, { device: d2x, t: 80 } ] }
    expect: { alerts: { heat: [ { key: d1, muted: null }, { key: d2x, muted: \"silence lunch\" } ] } }
";

#[test]
fn rules_do_what_they_say_through_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, RULES).unwrap();
    let name = file.to_str().unwrap();
    let output = forebay(dir.path(), &["test", name]).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("5 "), "{said}");
    let said = text(&succeed(&mut forebay(dir.path(), &["validate", name])).stderr);
    assert!(said.contains("alerts/heat: iot -> warning or critical alert for each device"), "{said}");
    std::fs::write(&file, RULES.replace("3 of 5", "2 of 5")).unwrap();
    let output = forebay(dir.path(), &["test", name]).output().unwrap();
    assert!(!output.status.success(), "another rule is seen");
}

/// What a receiver was sent: headers in lower case, and the body.
pub(crate) type Post = (BTreeMap<String, String>, Value);

/// A receiver of webhooks, which answers with these states, and then with 204.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    pub(crate) fn start(answers: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, posts) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, mut answers) = (Arc::clone(&posts), answers.iter().copied());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = BufReader::new(stream);
                let mut lines = stream.by_ref().lines().map_while(Result::ok).skip(1);
                let headers: BTreeMap<String, String> = std::iter::from_fn(|| lines.next())
                    .take_while(|line| !line.is_empty())
                    .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned())))
                    .collect();
                let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                // Who is killed in the middle of a request has told nothing.
                if length == 0 || stream.read_exact(&mut body).is_err() {
                    continue;
                }
                kept.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
                let status = answers.next().unwrap_or(204);
                let answer =
                    format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { address, posts }
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// Event and key of each transition that was sent, with the idempotency key.
    fn told(&self) -> Vec<(String, String, String)> {
        let mut told = Vec::new();
        for (headers, body) in self.posts() {
            for line in body["transitions"].as_array().unwrap() {
                let word = |name: &str| line[name].as_str().unwrap_or("NULL").to_owned();
                told.push((word("event"), word("key"), headers["idempotency-key"].clone()));
            }
        }
        told
    }
}

/// A pipeline over a topic, with an alert and a channel.
fn pipeline(dir: &Path, log: &LogServer, receiver: SocketAddr, alert: &str) -> PathBuf {
    let file = dir.join("watch.yaml");
    let text = format!(
        "pipeline: watch\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device STRING, reading DOUBLE\n\
         queries:\n  screen:\n    sql: SELECT * FROM events WHERE device = 'nobody'\n    format: console\n    trigger: availableNow\n\
         alerts:\n  high: {{ on: events, key: device, {alert} }}\n\
         channels:\n  ops:\n    format: webhook\n    options: {{ url: \"http://{receiver}/hook\", secret: sesame, allowLocal: true }}\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn produce(log: &LogServer, readings: &[(&str, f64)]) {
    let line =
        |(device, reading): &(&str, f64)| format!("{{\"device\": \"{device}\", \"reading\": {reading}}}");
    log.produce("events", &readings.iter().map(line).collect::<Vec<_>>());
}

fn journal(data: &Path) -> PathBuf {
    data.join("checkpoints/watch/alerts.high/alerts")
}

#[test]
fn what_time_tells_people_answer_and_receivers_hear_of_each_once() {
    let (log, dir, receiver) = (LogServer::start(), tempfile::tempdir().unwrap(), Receiver::start(&[503]));
    make_topic(log.address, "events", 1);
    let alert = "when: reading > 70, clear: reading < 65, noData: { after: 4 seconds }, severity: critical";
    let file = pipeline(dir.path(), &log, receiver.address, alert);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(dir.path(), &args));
    let http = process.address("http");
    produce(&log, &[("a", 80.0)]);
    eventually("the first is repeated until it is taken", SOON, || receiver.posts().len() >= 2);
    // Nothing more comes: the silence is told by time alone.
    eventually("the silence", SOON, || receiver.told().len() >= 3);
    let open: Value = serde_json::from_str(&get(http, "/api/v1/alerts?state=open").1).unwrap();
    assert_eq!(open["open"], 2, "{open}");
    let hot = open["alerts"].as_array().unwrap().iter().find(|alert| alert.get("noData").is_none()).unwrap();
    let said = json!({ "id": hot["id"], "comment": "on my way" }).to_string();
    for _ in 0..2 {
        let (status, alert) = post(http, "/api/v1/alerts/acknowledge", &said);
        assert!(status == 200 && alert.contains("on my way"), "{status} {alert}");
    }
    assert_eq!(post(http, "/api/v1/alerts/comment", &said).0, 200);
    produce(&log, &[("a", 20.0)]);
    eventually("all told", SOON, || receiver.told().len() >= 6);
    assert!(process.stop().0);

    let told = receiver.told();
    let events: Vec<&str> = told.iter().map(|(event, ..)| event.as_str()).collect();
    assert_eq!(events[..6], ["opened", "opened", "opened", "acknowledged", "cleared", "cleared"], "{told:?}");
    assert_eq!(told[0].2, told[1].2, "the repeat has the same key");
    let mut keys: Vec<&String> = told[1..6].iter().map(|(.., key)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5, "and every other its own");
    let (headers, body) = &receiver.posts()[0];
    assert!(headers["x-forebay-signature"].starts_with("v1=") && headers["x-forebay-timestamp"].len() >= 10);
    assert_eq!(
        (&body["pipeline"], &body["channel"], &body["count"]),
        (&json!("watch"), &json!("ops"), &json!(1))
    );
    let text = std::fs::read_to_string(journal(dir.path())).unwrap();
    assert!(text.contains("\"delivered\"") && text.contains("on my way"), "{text}");
}

#[test]
fn a_notice_that_was_sent_as_the_process_died_comes_again_under_its_key() {
    let (log, dir, receiver) = (LogServer::start(), tempfile::tempdir().unwrap(), Receiver::start(&[]));
    make_topic(log.address, "events", 1);
    let file = pipeline(dir.path(), &log, receiver.address, "when: reading > 70");
    produce(&log, &[("a", 80.0)]);
    let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    let mut dies = forebay(dir.path(), &args);
    let status = armed(&mut dies, "notice.sent.after:1", "lose").output().unwrap().status;
    assert!(died_there(status));
    succeed(&mut forebay(dir.path(), &args));
    succeed(&mut forebay(dir.path(), &args));
    let told = receiver.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_receiver_inside_is_refused_unless_the_file_allows_it() {
    let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
    let file = pipeline(dir.path(), &log, "127.0.0.1:9".parse().unwrap(), "when: reading > 70");
    let text_of = std::fs::read_to_string(&file).unwrap();
    let refused = text_of.replace("http://", "https://").replace(", allowLocal: true", "");
    std::fs::write(&file, refused).unwrap();
    let output = forebay(dir.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("leads to this machine or its network") && said.contains("allowLocal"), "{said}");
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_checkpoint_whose_journal_is_of_version_1_goes_on() {
    let (log, dir, receiver) = (LogServer::start(), tempfile::tempdir().unwrap(), Receiver::start(&[]));
    make_topic(log.address, "events", 1);
    let file = pipeline(dir.path(), &log, receiver.address, "when: reading > 70, clear: reading < 65");
    let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    produce(&log, &[("a", 80.0), ("b", 20.0)]);
    succeed(&mut forebay(dir.path(), &args));
    // The same as the version before would have written it.
    let bytes = std::fs::read(journal(dir.path())).unwrap();
    let (found, version) = lines::read_up_to("forebay-alerts", 2, &bytes).unwrap();
    assert_eq!(version, 2);
    let mut old = lines::header("forebay-alerts").into_bytes();
    for text in found.texts {
        let mut entry: Value = serde_json::from_str(text).unwrap();
        let Some(epoch) = entry.get_mut("epoch").and_then(Value::as_object_mut) else { continue };
        for new in ["updates", "watches", "notices", "waiting"] {
            epoch.remove(new);
        }
        for alert in epoch["transitions"].as_array_mut().into_iter().flatten() {
            let alert = alert.as_object_mut().unwrap();
            ["step", "event", "worst", "rows"].iter().for_each(|new| drop(alert.remove(*new)));
        }
        lines::push_line(&mut old, &entry.to_string());
    }
    std::fs::write(journal(dir.path()), old).unwrap();
    produce(&log, &[("a", 20.0), ("b", 90.0)]);
    let said = text(&succeed(&mut forebay(dir.path(), &args)).stderr);
    assert!(said.contains("open alerts: 1 (high: b, reading 90.0)"), "{said}");
    let bytes = std::fs::read(journal(dir.path())).unwrap();
    let (found, version) = lines::read_up_to("forebay-alerts", 2, &bytes).unwrap();
    assert!(version == 2 && found.texts[0].contains("\"snapshot\""), "it was rewritten as a whole");
    // One of a version that is not known yet is refused in words that help.
    let newer = [b"forebay-alerts v3\n", &bytes[bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1..]]
        .concat();
    std::fs::write(journal(dir.path()), newer).unwrap();
    let output = forebay(dir.path(), &args).output().unwrap();
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("forebay-alerts v3") && said.contains("help"),
        "{said}"
    );
}
