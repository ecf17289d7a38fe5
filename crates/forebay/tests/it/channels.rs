//! Channels beyond webhooks, each against what it is made for: Alertmanager, a broker of Kafka and of MQTT, a server of mail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use forebay_connectors::kafka::{Client, ClientConfig, NewTopic};
use serde_json::{Value, json};

use crate::kafka::ApacheKafka;
use crate::kafka_sink::contract;
use crate::secure::Certificates;
use crate::support::*;

/// Long enough for a machine that does many things at once.
const SOON: Duration = Duration::from_secs(60);

/// A pipeline over a topic, with an alert of two levels and these channels.
fn pipeline(dir: &Path, log: &LogServer, channels: &str) -> PathBuf {
    let file = dir.join("watch.yaml");
    let text = format!(
        "pipeline: watch\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: device STRING, reading DOUBLE\n\
         queries:\n  screen:\n    sql: SELECT * FROM events WHERE device = 'nobody'\n    format: console\n    trigger: availableNow\n\
         alerts:\n  high:\n    on: events\n    key: device\n    levels:\n      warning: {{ when: reading > 70, clear: reading < 65 }}\n\
         \x20     critical: {{ when: reading > 90, clear: reading < 85 }}\n\
         channels:\n{channels}",
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

fn started(dir: &Path, file: &Path) -> Process {
    Process::spawn(&mut forebay(dir, &["run", file.to_str().unwrap(), "--trigger", "default"]))
}

fn channel(http: SocketAddr) -> Value {
    let all: Value = serde_json::from_str(&get(http, "/api/v1/channels").1).unwrap();
    all[0].clone()
}

#[test]
fn alerts_are_listed_acknowledged_and_commented_from_a_terminal() {
    let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
    make_topic(log.address, "events", 1);
    let nobody = "  bus: { format: kafka, options: { topic: told } }\n";
    let file = pipeline(dir.path(), &log, nobody);
    produce(&log, &[("a", 80.0), ("b", 95.0), ("c", 80.0), ("c", 20.0)]);
    let mut process = started(dir.path(), &file);
    let http = process.address("http").to_string();
    let asked = |args: &[&str]| {
        let args = [&["alerts"][..], args, &["--server", &http]].concat();
        forebay(dir.path(), &args).output().unwrap()
    };
    let keys = |args: &[&str]| -> Vec<String> {
        let output = asked(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        let key =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
        let mut keys: Vec<String> = lines.lines().map(key).collect();
        keys.sort();
        keys
    };
    eventually("all are there", SOON, || keys(&["--state", "all"]) == ["a", "b", "c"]);
    assert_eq!((keys(&[]), keys(&["--state", "cleared"])), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(keys(&["--severity", "critical"]), ["b"]);
    assert_eq!(keys(&["--key", "a", "--rule", "high", "--since", "1 day"]), ["a"]);
    let listed: Value = serde_json::from_slice(&asked(&["--key", "a", "--json"]).stdout).unwrap();
    let id = listed["id"].as_str().unwrap();
    for (args, said) in [
        (vec!["ack", id, "--comment", "on my way"], "acknowledged by"),
        (vec!["comment", id, "it is the valve"], "the comment is kept"),
    ] {
        let output = asked(&args);
        let told = text(&output.stderr);
        assert!(output.status.success() && told.contains(said), "{args:?}: {told}");
    }
    assert_eq!(
        (keys(&["--state", "acknowledged"]), keys(&["--state", "unacknowledged"])),
        (vec!["a".into()], vec!["b".into()])
    );
    let table = text(&asked(&[]).stdout);
    assert!(table.contains("acknowledged by") && table.contains(&format!("id {id}")), "{table}");
    let refused = asked(&["ack", "high/nobody/1"]);
    let told = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && told.contains("no alert `high/nobody/1` is open"), "{told}");
    assert_eq!(asked(&["--state", "sad"]).status.code(), Some(2));
    assert!(process.stop().0);
}

/// An Alertmanager of a test's own.
struct Alertmanager {
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Alertmanager {
    const SCRIPT: &str = "scripts/services/alertmanager.sh";

    fn new() -> Self {
        Self { address: free_address(), dir: tempfile::tempdir().unwrap() }
    }

    fn start(&self) {
        let folder = self.dir.path().join("server").display().to_string();
        run_script(Self::SCRIPT, &["start", "--port", &self.address.port().to_string(), "--dir", &folder]);
    }

    /// Its end, after which it knows nothing of what it was told.
    fn forget_all(&self) {
        run_script(Self::SCRIPT, &["stop", "--kill", "--port", &self.address.port().to_string()]);
        std::fs::remove_dir_all(self.dir.path().join("server")).unwrap();
    }

    /// Key and severity of each alert that it takes for firing.
    fn firing(&self) -> Vec<(String, String)> {
        let (status, text) = get(self.address, "/api/v2/alerts?active=true");
        assert_eq!(status, 200, "{text}");
        let all: Value = serde_json::from_str(&text).unwrap();
        let mut firing = Vec::new();
        for alert in all.as_array().unwrap() {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                (label("alertname"), label("pipeline")),
                ("high".to_owned(), "watch".to_owned()),
                "{alert}"
            );
            assert!(alert["annotations"]["summary"].as_str().unwrap().contains("high"), "{alert}");
            assert!(alert["startsAt"].as_str().unwrap() < alert["endsAt"].as_str().unwrap(), "{alert}");
            firing.push((label("device"), label("severity")));
        }
        firing.sort();
        firing
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let mut stop = Command::new(root().join(Self::SCRIPT));
        let _ =
            stop.args(["stop", "--port", &self.address.port().to_string()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn an_alertmanager_knows_what_is_open_also_after_it_was_away_and_forgot_all() {
    let (log, dir, manager) = (LogServer::start(), tempfile::tempdir().unwrap(), Alertmanager::new());
    make_topic(log.address, "events", 1);
    let options = format!("{{ url: \"http://{}\", allowLocal: true, resend: 1 second }}", manager.address);
    let channels = format!("  duty: {{ format: alertmanager, options: {options} }}\n");
    let file = pipeline(dir.path(), &log, &channels);
    produce(&log, &[("a", 80.0), ("b", 80.0)]);
    let mut process = started(dir.path(), &file);
    let http = process.address("http");
    // Nobody is there yet: it is said, and nothing else suffers.
    eventually("it is seen that nobody is there", SOON, || channel(http)["up"] == json!(false));
    let health: Value = serde_json::from_str(&get(http, "/health").1).unwrap();
    assert_eq!((&health["status"], &health["failingChannels"][0]["name"]), (&json!("ok"), &json!("duty")));
    manager.start();
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, severity)| ((*key).to_owned(), (*severity).to_owned())).collect()
    };
    let knows = |what: &str, pairs: &[(&str, &str)]| {
        let expected = of(pairs);
        eventually(what, SOON, || manager.firing() == expected);
    };
    knows("both are open", &[("a", "warning"), ("b", "warning")]);
    eventually("it works", SOON, || channel(http)["up"] == json!(true));
    produce(&log, &[("a", 95.0), ("b", 20.0)]);
    knows("one is worse, the other has cleared", &[("a", "critical")]);
    manager.forget_all();
    manager.start();
    knows("it is told again", &[("a", "critical")]);
    produce(&log, &[("a", 20.0)]);
    knows("nothing is open", &[]);
    assert!(process.stop().0);
}

/// The records of a topic, which has so many.
fn records(log: &LogServer, topic: &str, count: usize) -> Vec<Value> {
    let (address, count) = (log.address.to_string(), count.to_string());
    let more = ["--from-beginning", "-n", &count, "--format", "json", "--bootstrap", &address];
    let args = [&["log", "tail", topic][..], &more[..]].concat();
    let output = end_within(SOON, &mut forebay(tempfile::tempdir().unwrap().path(), &args));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_topic_of_kafka_and_one_of_mqtt_have_a_record_for_each_transition() {
    let (log, dir, broker) = (LogServer::start(), tempfile::tempdir().unwrap(), Broker::mosquitto());
    make_topic(log.address, "events", 1);
    make_topic(log.address, "told", 1);
    let mqtt = format!(
        "{{ server: \"mqtt://{}\", topic: \"plant/{{rule}}/{{key}}/{{event}}\", retain: true }}",
        broker.address
    );
    let channels = format!(
        "  bus: {{ format: kafka, options: {{ topic: told }} }}\n  hall: {{ format: mqtt, options: {mqtt} }}\n"
    );
    let file = pipeline(dir.path(), &log, &channels);
    let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    produce(&log, &[("a/b", 80.0), ("a/b", 95.0)]);
    // Written, and not yet known to be: the next run writes it again, under the same name.
    let mut dies = forebay(dir.path(), &args);
    let status = armed(&mut dies, "notice.sent.after:1", "lose").output().unwrap().status;
    assert!(died_there(status));
    produce(&log, &[("a/b", 20.0)]);
    succeed(&mut forebay(dir.path(), &args));
    succeed(&mut forebay(dir.path(), &args));

    let port = broker.address.port().to_string();
    let sub = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "plant/#", "-C", "3", "-W", "30", "-v"];
    let told = text(&succeed(Command::new("mosquitto_sub").args(sub)).stdout);
    let mut events = Vec::new();
    for line in told.lines() {
        let (topic, body) = line.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["key"], &body["channel"]), (&json!("a/b"), &json!("hall")), "{line}");
        assert_eq!(topic, format!("plant/high/a_b/{}", body["event"].as_str().unwrap()));
        events.push(body["event"].as_str().unwrap().to_owned());
    }
    events.sort();
    assert_eq!(events, ["cleared", "opened", "raised"]);

    // Three transitions; what was on its way when the process died may be there twice.
    let count = topic_end(&log, "told");
    assert!((3..=4).contains(&count), "{count}");
    let mut seen: Vec<(String, String)> = Vec::new();
    for record in records(&log, "told", count) {
        assert_eq!(record["key"], "a/b", "{record}");
        let body: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        let of = |name: &str| body[name].as_str().unwrap().to_owned();
        assert_eq!((of("pipeline"), of("rule")), ("watch".to_owned(), "high".to_owned()));
        if !seen.contains(&(of("id"), of("event"))) {
            seen.push((of("id"), of("event")));
        }
    }
    let events: Vec<&str> = seen.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(events, ["opened", "raised", "cleared"], "in their order, each under one name");
}

#[test]
fn wherever_a_process_dies_as_a_notice_was_taken_each_transition_is_told_under_one_name() {
    let log = LogServer::start();
    make_topic(log.address, "events", 1);
    produce(&log, &[("a", 80.0), ("b", 95.0), ("a", 20.0)]);
    for (hit, mode) in [(1, "lose"), (2, "kill"), (3, "lose")] {
        let (dir, topic) = (tempfile::tempdir().unwrap(), format!("told{hit}"));
        make_topic(log.address, &topic, 1);
        let file = pipeline(
            dir.path(),
            &log,
            &format!("  bus: {{ format: kafka, options: {{ topic: {topic} }} }}\n"),
        );
        let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
        let mut dies = forebay(dir.path(), &args);
        let status = armed(&mut dies, &format!("notice.sent.after:{hit}"), mode).output().unwrap().status;
        assert!(died_there(status), "{hit} {mode}");
        (0..2).for_each(|_| drop(succeed(&mut forebay(dir.path(), &args))));
        let count = topic_end(&log, &topic);
        assert!((3..=4).contains(&count), "{hit} {mode}: one at most is told again: {count}");
        let mut told: Vec<(String, String, String)> = Vec::new();
        for record in records(&log, &topic, count) {
            let body: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
            let of = |name: &str| body[name].as_str().unwrap().to_owned();
            let one = (of("key"), of("event"), of("id"));
            if !told.contains(&one) {
                told.push(one);
            }
        }
        let of = |key: &str| -> Vec<&str> {
            told.iter().filter(|(of, ..)| of == key).map(|(_, event, _)| event.as_str()).collect()
        };
        assert_eq!((of("a"), of("b")), (vec!["opened", "cleared"], vec!["opened"]), "{hit} {mode}: {told:?}");
    }
}

#[test]
fn a_password_that_others_could_read_is_warned_of_and_never_shown() {
    let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
    for (server, is_open) in [
        ("mqtt://broker.example:1883", true),
        ("mqtts://broker.example:8883", false),
        ("mqtt://127.0.0.1:1883", false),
    ] {
        let options = format!("{{ server: \"{server}\", user: forebay, password: sesame }}");
        let file = pipeline(dir.path(), &log, &format!("  hall: {{ format: mqtt, options: {options} }}\n"));
        let output = succeed(&mut forebay(dir.path(), &["validate", file.to_str().unwrap()]));
        let said = text(&output.stderr) + &text(&output.stdout);
        let warned =
            said.contains("warning: channel `hall`: the password goes to `broker.example` without TLS");
        assert_eq!(warned, is_open, "{said}");
        assert!(!said.contains("sesame"), "{said}");
    }
}

/// Kafka takes no record without a key into a topic that it compacts.
#[test]
fn a_transition_that_a_topic_never_takes_is_told_of_once_and_keeps_no_other_waiting() {
    let kafka = ApacheKafka::start_with(|_| String::new());
    let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
    make_topic(log.address, "events", 1);
    let told = NewTopic {
        configs: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
        ..NewTopic::new("told", 1)
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = ClientConfig::plain(&kafka.address.to_string()).unwrap();
        Client::connect(config).await.unwrap().create_topics(&[told]).await.unwrap();
    });
    let options = format!("{{ topic: told, kafka.bootstrap.servers: \"{}\" }}", kafka.address);
    // All that is due at once is one notice.
    let file =
        pipeline(dir.path(), &log, &format!("  bus: {{ format: kafka, options: {options}, most: 1 }}\n"));
    let rows =
        [r#"{"device": "a", "reading": 80}"#, r#"{"reading": 80}"#, r#"{"device": "b", "reading": 80}"#];
    log.produce("events", &rows.map(str::to_owned));
    let mut process = started(dir.path(), &file);
    let http = process.address("http");
    eventually("the refusal is told", SOON, || channel(http)["refused"] == 1);
    let why = channel(http)["newestRefusal"]["why"].as_str().unwrap().to_owned();
    for part in ["`told` refuses 1 of 3 records for good", "INVALID_RECORD", "bus/high/"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    produce(&log, &[("c", 80.0)]);
    eventually("the next one is taken", SOON, || channel(http)["taken"] == 1);
    let standing = channel(http);
    assert_eq!(
        (&standing["up"], &standing["due"], &standing["refused"]),
        (&json!(true), &json!(0), &json!(1))
    );
    assert!(process.stop().0);
    let place = contract::place(&kafka.address.to_string(), &root());
    let keys: Vec<Value> = place.committed("told").into_iter().map(|record| record["key"].clone()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
}

/// How many records a topic of one partition has.
fn topic_end(log: &LogServer, topic: &str) -> usize {
    let address = log.address.to_string();
    let args = ["log", "topics", "--format", "json", "--bootstrap", &address];
    let listed = text(&succeed(&mut forebay(tempfile::tempdir().unwrap().path(), &args)).stdout);
    let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_topic = lines.into_iter().find(|line| line["topic"] == topic);
    let end = of_topic.as_ref().and_then(|line| line["latest"].as_u64());
    usize::try_from(end.unwrap_or_else(|| panic!("{listed}"))).unwrap()
}

/// A server that takes mail, of a test's own.
struct Mail {
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Mail {
    const SCRIPT: &str = "scripts/services/smtp.sh";

    /// One that wants STARTTLS and a login.
    fn start(password: &str) -> Self {
        let mail = Self { address: free_address(), dir: tempfile::tempdir().unwrap() };
        let certificates = Certificates(mail.dir.path());
        certificates.authority("authority");
        certificates.server("mail", "authority", "-days 2");
        let (folder, port) = (mail.path("server"), mail.address.port().to_string());
        let (certificate, key) = (mail.path("mail.pem"), mail.path("mail.key"));
        let tls = ["--tls", certificate.as_str(), &key, "--user", "forebay", password];
        run_script(Self::SCRIPT, &[&["start", "--port", &port, "--dir", &folder][..], &tls].concat());
        mail
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// What it took and refused.
    fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("server/mail.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The mails that an address got.
    fn of(&self, address: &str) -> Vec<Value> {
        self.all().into_iter().filter(|line| line["to"] == json!([address])).collect()
    }

    fn refusals(&self, address: &str) -> usize {
        self.all().iter().filter(|line| line["refused"] == json!(address)).count()
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let mut stop = Command::new(root().join(Self::SCRIPT));
        let _ =
            stop.args(["stop", "--port", &self.address.port().to_string()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn mail_comes_once_to_each_who_can_have_it_and_is_tried_again_or_given_up_as_the_server_says() {
    let (log, dir, mail) = (LogServer::start(), tempfile::tempdir().unwrap(), Mail::start("sesame"));
    make_topic(log.address, "events", 1);
    let (ana, busy, nobody) = ("ana@plant.example", "later-2@plant.example", "never@plant.example");
    let channels = |password: &str| {
        format!(
            "  office:\n    format: email\n    options: {{ server: \"localhost:{}\", tlsCa: \"{}\", user: forebay, password: {password}, \
             from: Forebay <forebay@plant.example>, to: \"{ana}, {busy}, {nobody}\" }}\n",
            mail.address.port(),
            mail.path("authority.pem"),
        )
    };
    let file = pipeline(dir.path(), &log, &channels("wrong"));
    produce(&log, &[("a", 80.0)]);
    // A wrong password is no reason to give a notice up.
    let mut process = started(dir.path(), &file);
    let http = process.address("http");
    eventually("the wrong password is seen", SOON, || {
        channel(http)["why"].as_str().is_some_and(|why| why.contains("535"))
    });
    assert!(mail.all().is_empty() && channel(http)["refused"] == json!(0), "{:?}", mail.all());
    assert!(process.stop().0);

    pipeline(dir.path(), &log, &channels("sesame"));
    let mut process = started(dir.path(), &file);
    let http = process.address("http");
    eventually("those who can have it have it", SOON, || mail.of(ana).len() == 1 && mail.of(busy).len() == 1);
    eventually("what was refused is told", SOON, || channel(http)["refused"] == json!(1));
    let told = channel(http);
    assert!(told["newestRefusal"]["why"].as_str().unwrap().contains("never@plant.example"), "{told}");
    assert_eq!((&told["up"], mail.refusals(busy), mail.refusals(nobody)), (&json!(true), 2, 1), "{told}");
    produce(&log, &[("a", 20.0)]);
    eventually("the next comes too", SOON, || mail.of(ana).len() == 2 && mail.of(busy).len() == 2);
    assert!(process.stop().0);

    let [opened, cleared] = &mail.of(ana)[..] else { panic!("{:?}", mail.all()) };
    assert!(opened["subject"].as_str().unwrap().starts_with("[watch] warning opened: high: a"), "{opened}");
    assert!(cleared["subject"].as_str().unwrap().contains("cleared"), "{cleared}");
    assert_eq!((&opened["encrypted"], &opened["login"]), (&json!(true), &json!("forebay")));
    assert_eq!(opened["id"], mail.of(busy)[0]["id"], "who has it twice sees that it is the same");
    assert_eq!(opened["references"], cleared["references"], "what is told of an alert stands together");
    assert_ne!(opened["id"], cleared["id"]);
}
