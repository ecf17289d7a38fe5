//! The binary on a Kafka that speaks TLS: source and sink by each way to log in, and everybody who is not who the file
//! names is told so and gets nothing, least of all the password, and never in plain text.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::kafka::ApacheKafka;
use crate::kafka_sink::contract::{self, Place};
use crate::kafka_sink::rows;
use crate::secure::Certificates;
use crate::support::*;

const EVENTS: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands in the file for the password, and the variable's name.
const VARIABLE: &str = "PLANT_KAFKA_PASSWORD";
/// What is in each password, right or wrong.
const CANARY: &str = "c4n4ry9Zt";

/// A Kafka with a listener for passwords and one for certificates, beside the plain one.
struct Secure {
    kafka: ApacheKafka,
    place: Place,
}

fn properties(kafka: SocketAddr, store: &str, trusted: &str) -> String {
    let (port, controller) = (kafka.port(), kafka.port() + 1);
    let (words, mutual) = (port + 2, port + 3);
    let user = format!("user_alice=\"{CANARY} right\"");
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},WORDS://127.0.0.1:{words},MUTUAL://127.0.0.1:{mutual}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},WORDS://localhost:{words},MUTUAL://localhost:{mutual}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,WORDS:SASL_SSL,MUTUAL:SSL\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
         listener.name.words.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {user};\n\
         listener.name.words.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.words.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         ssl.keystore.type=PEM\nssl.keystore.location={store}\n\
         ssl.truststore.type=PEM\nssl.truststore.location={trusted}\nlistener.name.mutual.ssl.client.auth=required\n"
    )
}

impl Secure {
    /// One whose certificate is this server's.
    fn start(files: &Certificates<'_>, server: &str) -> Self {
        let (store, trusted) = (files.path(&format!("{server}.store")), files.path("good.pem"));
        let kafka = ApacheKafka::start_with(|kafka| properties(kafka, &store, &trusted));
        let bootstrap = kafka.address.to_string();
        let place = contract::place(&bootstrap, &root());
        Self { kafka, place }
    }

    /// Users for SCRAM, and events to read.
    fn fill(&self) {
        let bootstrap = self.kafka.address.to_string();
        let user = ["--entity-type", "users", "--entity-name", "alice"];
        // One at a time: the broker takes no two changes of a user at once.
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let scram = format!("{mechanism}=[password={CANARY} right]");
            let tool = ["ConfigCommand", "--bootstrap-server", &bootstrap, "--alter", "--add-config", &scram];
            run_script("scripts/services/kafka-tool.sh", &[&tool[..], &user].concat());
        }
        make_topic(self.kafka.address, "events", 2);
        produce(self.kafka.address, "events", &proof_events(EVENTS));
    }

    fn words(&self) -> String {
        format!("localhost:{}", self.kafka.address.port() + 2)
    }

    fn mutual(&self) -> String {
        format!("localhost:{}", self.kafka.address.port() + 3)
    }
}

/// How a client comes to a listener, in the words of Kafka's own options.
#[derive(Clone)]
struct Way {
    bootstrap: String,
    options: Vec<(&'static str, String)>,
}

impl Way {
    fn new(bootstrap: &str, options: &[(&'static str, &str)]) -> Self {
        let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { bootstrap: bootstrap.to_owned(), options }
    }

    /// The same with other values for some options; an empty one leaves it out.
    fn but(&self, changed: &[(&'static str, &str)]) -> Self {
        let mut way = self.clone();
        way.options.retain(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let changed = changed.iter().filter(|(_, value)| !value.is_empty());
        way.options.extend(changed.map(|(name, value)| (*name, (*value).to_owned())));
        way
    }

    fn at(&self, bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), ..self.clone() }
    }

    fn lines(&self) -> String {
        let line = |(name, value): &(&str, String)| format!("      kafka.{name}: '{value}'\n");
        let options: String = self.options.iter().map(line).collect();
        format!("      kafka.bootstrap.servers: '{}'\n{options}", self.bootstrap)
    }
}

/// A pipeline that copies the topic `events` into the topic `out`, each by its own way.
fn copy(dir: &Path, from: &Way, to: &Way, out: &str) -> PathBuf {
    let file = dir.join("copy.yaml");
    let (from, to) = (from.lines(), to.lines());
    let text = format!(
        r#"pipeline: copy
sources:
  events:
    format: kafka
    options:
{from}      subscribe: events
      startingOffsets: earliest
    value: json
    schema: {PROOF_SCHEMA}
queries:
  out:
    sql: >-
      SELECT device AS key,
      concat('{{"device": "', device, '", "seq": ', CAST(seq AS STRING), ', "hash": "', hash, '"}}') AS value
      FROM events
    format: kafka
    options:
{to}      topic: {out}
    trigger: availableNow
"#
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn run(data: &Path, file: &Path, password: &str) -> Command {
    let mut command = forebay(data, &["run", file.to_str().unwrap(), "--log-level", "trace"]);
    command.env(VARIABLE, format!("{CANARY} {password}"));
    command
}

/// The options of a password, by this mechanism.
fn by_password(bootstrap: &str, ca: &str, mechanism: &str) -> Way {
    let reference = format!("${{{VARIABLE}}}");
    let tls =
        [("security.protocol", "SASL_SSL"), ("ssl.truststore.type", "PEM"), ("ssl.truststore.location", ca)];
    let who =
        [("sasl.mechanism", mechanism), ("sasl.username", "alice"), ("sasl.password", reference.as_str())];
    Way::new(bootstrap, &[&tls[..], &who].concat())
}

/// The same as Java's clients are told.
fn by_jaas(bootstrap: &str, ca: &str) -> Way {
    let jaas = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"${{{VARIABLE}}}\";"
    );
    let way = by_password(bootstrap, ca, "PLAIN");
    way.but(&[("sasl.username", ""), ("sasl.password", ""), ("sasl.jaas.config", &jaas)])
}

/// The options of a certificate, its chain and its key in two files.
fn by_certificate(bootstrap: &str, files: &Certificates<'_>, name: &str) -> Way {
    let (ca, chain, key) =
        (files.path("good.pem"), files.path(&format!("{name}.pem")), files.path(&format!("{name}.key")));
    Way::new(
        bootstrap,
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.location", &ca),
            ("ssl.certificate.location", &chain),
            ("ssl.key.location", &key),
        ],
    )
}

fn certificates(dir: &Path) -> Certificates<'_> {
    let files = Certificates(dir);
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    files.client("plant", "good", "plant");
    files.client("stranger", "other", "plant");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    // As a keystore of Java's clients: both in one file.
    std::fs::write(dir.join("plant.store"), read("plant.key") + &read("plant.pem")).unwrap();
    files
}

/// No file below a folder holds a password, but what the test wrote itself.
fn assert_no_file_tells(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_file_tells(&path);
        } else {
            assert!(
                !text(&std::fs::read(&path).unwrap()).contains(CANARY),
                "{} has a password",
                path.display()
            );
        }
    }
}

#[test]
fn source_and_sink_come_to_a_kafka_by_every_way_to_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificates(dir.path());
    let secure = Secure::start(&files, "server");
    secure.fill();
    let (words, mutual, ca) = (secure.words(), secure.mutual(), files.path("good.pem"));
    let store = files.path("plant.store");
    let in_one_file = [
        ("ssl.certificate.location", ""),
        ("ssl.key.location", ""),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", store.as_str()),
    ];
    let ways = [
        ("plain", by_password(&words, &ca, "PLAIN")),
        ("jaas", by_jaas(&words, &ca)),
        ("scram-256", by_password(&words, &ca, "SCRAM-SHA-256")),
        ("scram-512", by_password(&words, &ca, "SCRAM-SHA-512")),
        ("certificate", by_certificate(&mutual, &files, "plant")),
        ("store", by_certificate(&mutual, &files, "plant").but(&in_one_file)),
    ];
    for (name, way) in &ways {
        let data = tempfile::tempdir().unwrap();
        let out = format!("out-{name}");
        make_topic(secure.kafka.address, &out, 2);
        let file = copy(data.path(), way, way, &out);
        let output = succeed(&mut run(data.path(), &file, "right"));
        assert_exactly_once(&rows(&secure.place, &out), EVENTS, name);
        assert_ledger(&last_commit(data.path(), "copy", "out")["ledger"], EVENTS);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(" DEBUG ") && !said.contains(CANARY), "{name}: {said}");
        assert_no_file_tells(data.path());
    }
}

/// Who is refused, by what he was told, and whether the password was right.
type Refused<'a> = (&'a str, Way, &'a [&'a str], &'a str);

/// As source and as sink: it is told with these words, nothing is written, and no password comes to light.
fn assert_refused(secure: &Secure, good: &Way, cases: &[Refused<'_>]) {
    assert!(!cases.is_empty());
    make_topic(secure.kafka.address, "refused", 1);
    for (name, way, words, password) in cases {
        for is_source in [true, false] {
            let data = tempfile::tempdir().unwrap();
            // The other end is fine; its password is, too, where both have one.
            let plain = Way::new(&secure.kafka.address.to_string(), &[]);
            let other = if *password == "right" { good } else { &plain };
            let (from, to) = if is_source { (way, other) } else { (other, way) };
            let file = copy(data.path(), from, to, "refused");
            let mut process = Process::spawn(&mut run(data.path(), &file, password));
            let context = format!("{name} as {}", if is_source { "source" } else { "sink" });
            let code = if is_source { "FB-2005" } else { "FB-5001" };
            process.wait_for(code, PATIENCE);
            // The message may go on in the lines after it.
            std::thread::sleep(Duration::from_millis(300));
            process.signal("KILL");
            let _ = process.child.wait();
            while process.try_line() {}
            let said = process.said.join("\n");
            let told: String = process.said.iter().filter(|line| line.contains(code)).cloned().collect();
            assert!(words.iter().any(|word| told.contains(word)), "{context}: none of {words:?} in {told}");
            assert!(!said.contains(CANARY), "{context}: the password comes to light");
            assert_no_file_tells(data.path());
        }
    }
    assert_eq!(secure.place.committed("refused").len(), 0, "somebody came through");
}

#[test]
fn whoever_is_not_who_the_file_names_is_refused_and_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificates(dir.path());
    files.server("expired", "good", "-days -1");
    // It vouches for itself.
    files.authority("itself");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    std::fs::write(dir.path().join("itself.store"), read("itself.key") + &read("itself.pem")).unwrap();
    let (ca, other) = (files.path("good.pem"), files.path("other.pem"));

    let secure = Secure::start(&files, "server");
    secure.fill();
    let (words, mutual) = (secure.words(), secure.mutual());
    let by_address = words.replace("localhost", "127.0.0.1");
    let good = by_password(&words, &ca, "SCRAM-SHA-512");
    let mine = by_certificate(&mutual, &files, "plant");
    let (credentials, unknown) = (&["redentials", "nvalid username or password"][..], &["UnknownIssuer"][..]);
    let not_mine: &[&str] = &["ertificate", "andshake", "closed the connection"];
    assert_refused(
        &secure,
        &good,
        &[
            ("a wrong password by PLAIN", by_jaas(&words, &ca), credentials, "guess"),
            ("a wrong password by SCRAM", good.clone(), credentials, "guess"),
            ("an unknown user", good.but(&[("sasl.username", "mallory")]), credentials, "right"),
            ("another authority", good.but(&[("ssl.truststore.location", &other)]), unknown, "right"),
            ("the system's authorities", good.but(&[("ssl.truststore.location", "")]), unknown, "right"),
            ("another name", good.at(&by_address), &["not valid for name"], "right"),
            (
                "no certificate",
                mine.but(&[("ssl.certificate.location", ""), ("ssl.key.location", "")]),
                not_mine,
                "right",
            ),
            ("a stranger's certificate", by_certificate(&mutual, &files, "stranger"), not_mine, "right"),
        ],
    );
    drop(secure);

    for (server, why) in [
        ("expired", &["xpired"][..]),
        ("itself", &["UnknownIssuer", "not valid for name", "CaUsedAsEndEntity"]),
    ] {
        let secure = Secure::start(&files, server);
        make_topic(secure.kafka.address, "events", 1);
        let good = Way::new(&secure.kafka.address.to_string(), &[]);
        assert_refused(&secure, &good, &[(server, by_password(&secure.words(), &ca, "PLAIN"), why, "right")]);
    }
}

/// Everything that clients send to a listener that answers as this one is told.
fn recorder(answer: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                let (mut all, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    if all.is_empty() {
                        let _ = stream.write_all(answer);
                    }
                    all.extend_from_slice(&piece[..read]);
                }
                shared.lock().unwrap().push(all);
            });
        }
    });
    (address, heard)
}

#[test]
fn a_listener_without_tls_hears_a_greeting_and_never_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificates(dir.path());
    // Answers as a plain Kafka that serves all versions, as one that closes, and in words of its own.
    let versions = b"\0\0\0\x16\0\0\0\0\0\0\0\0\0\x02\0\x11\0\0\0\x01\0\x24\0\0\0\x02";
    for answer in [&versions[..], b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let (address, heard) = recorder(answer);
        let ca = files.path("good.pem");
        for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
            let data = tempfile::tempdir().unwrap();
            let way = by_password(&format!("localhost:{}", address.port()), &ca, mechanism);
            let file = copy(data.path(), &way, &way, "out");
            let mut process = Process::spawn(&mut run(data.path(), &file, "right"));
            let told = process.wait_for("FB-", PATIENCE);
            assert!(["FB-2005", "FB-2001", "FB-5001"].iter().any(|code| told.contains(code)), "{told}");
        }
        eventually("what was said is written down", PATIENCE, || heard.lock().unwrap().len() >= 2);
        for said in heard.lock().unwrap().iter().filter(|said| !said.is_empty()) {
            // A TLS record that holds a handshake message: ClientHello.
            assert_eq!((said[0], said[1]), (0x16, 0x03), "it begins in plain text");
            assert!(!text(said).contains(CANARY) && !text(said).contains("alice"));
        }
    }
}
