//! A pipeline file that is taken while the pipeline runs: what did not change runs on, nothing is lost and nothing
//! comes twice, and what is not safe changes nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_storage::lines;
use serde_json::Value;

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;

/// Events that come one after the other until they are told to end.
struct Load {
    sent: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (sent, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (sent, enough) = (Arc::clone(&sent), Arc::clone(&enough));
            move || {
                for events in proof_events(100_000).chunks(100) {
                    produce(address, "events", events);
                    sent.fetch_add(events.len() as u64, Ordering::SeqCst);
                    if enough.load(Ordering::SeqCst) {
                        return;
                    }
                }
            }
        });
        Self { sent, enough, thread }
    }

    /// How many there were in all.
    fn end(self) -> u64 {
        self.enough.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.sent.load(Ordering::SeqCst)
    }
}

/// What a test changes.
struct Line {
    dir: tempfile::TempDir,
    bootstrap: SocketAddr,
    per_epoch: u64,
}

impl Line {
    fn new(bootstrap: SocketAddr) -> Self {
        Self::with(bootstrap, 100)
    }

    fn with(bootstrap: SocketAddr, per_epoch: u64) -> Self {
        let line = Self { dir: tempfile::tempdir().unwrap(), bootstrap, per_epoch };
        line.write(&line.before());
        line
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("line.yaml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn write_with(&self, from: &str, to: &str) {
        let text = self.before();
        assert!(text.contains(from), "{from}");
        self.write(&text.replace(from, to));
    }

    fn before(&self) -> String {
        format!(
            "pipeline: line\n\
             sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {} }}\n\
             \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
             queries:\n\
             \x20 lake: {{ sql: SELECT * FROM events, format: delta, options: {{ path: lake }}, trigger: {{ processingTime: 50 milliseconds }} }}\n\
             \x20 slow: {{ sql: SELECT * FROM events, format: delta, options: {{ path: slow }}, trigger: {{ processingTime: 200 milliseconds }} }}\n\
             \x20 gone: {{ sql: SELECT * FROM events WHERE seq < 0, format: console }}\n\
             alerts:\n  high: {{ on: events, key: device, when: seq >= 0, clear: seq < 0 }}\n\
             dashboard:\n  panels: [ {{ field: events.seq, chart: line }} ]\n",
            self.bootstrap, self.per_epoch
        )
    }

    /// A query is new, one has another trigger, one is gone; an alert waits; a panel has a title.
    fn after(&self) -> String {
        let mut text = self.before();
        for (from, to) in [
            ("200 milliseconds", "100 milliseconds"),
            (
                "  gone: { sql: SELECT * FROM events WHERE seq < 0, format: console }\n",
                "  more: { sql: SELECT * FROM events, format: delta, options: { path: more }, trigger: { processingTime: 50 milliseconds } }\n",
            ),
            ("clear: seq < 0", "clear: seq < 0, for: 1 second"),
            ("chart: line", "chart: line, title: Numbers"),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        text
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = forebay(&self.data(), &["run", self.file().to_str().unwrap()]);
        command.args(more);
        command
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        table_rows(&self.data(), &self.data().join(table))
    }

    /// Which alerts opened, by id; panics if one did twice. None has cleared.
    fn opened(&self) -> BTreeMap<String, String> {
        let bytes = std::fs::read(self.data().join("checkpoints/line/alerts.high/alerts")).unwrap();
        let mut opened = BTreeMap::new();
        for line in lines::read("forebay-alerts", &bytes).unwrap().texts {
            let entry: Value = serde_json::from_str(line).unwrap();
            for alert in entry["epoch"]["transitions"].as_array().into_iter().flatten() {
                assert_eq!(alert["state"], "open", "{alert}");
                let (id, key) = (alert["id"].as_str().unwrap(), alert["key"].as_str().unwrap());
                assert_eq!(opened.insert(id.to_owned(), key.to_owned()), None, "{alert} opened twice");
            }
        }
        opened
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn reload(http: SocketAddr) -> (u16, Value) {
    let (status, body) = post(http, "/api/v1/reload", "");
    (status, json(&body))
}

/// A member of each query.
fn of_each(http: SocketAddr, member: &str) -> BTreeMap<String, Value> {
    let queries = json(&get(http, "/api/v1/queries").1);
    let queries = queries.as_array().unwrap().iter();
    queries.map(|query| (query["name"].as_str().unwrap().to_owned(), query[member].clone())).collect()
}

fn has_read(http: SocketAddr, query: &str, count: u64) -> bool {
    of_each(http, "ledger").get(query).is_some_and(|ledger| ledger["read"].as_u64() >= Some(count))
}

fn open_alerts(http: SocketAddr) -> Vec<Value> {
    json(&get(http, "/api/v1/alerts?state=open").1)["alerts"].as_array().unwrap().clone()
}

/// What became of each query, as `name fate changes`.
fn fates(done: &Value) -> Vec<String> {
    let fate = |query: &Value| {
        let changes = query["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap());
        let words = [query["name"].as_str().unwrap(), query["fate"].as_str().unwrap()].into_iter();
        words.chain(changes).collect::<Vec<_>>().join(" ")
    };
    done["queries"].as_array().unwrap().iter().map(fate).collect()
}

#[test]
fn under_load_what_changed_goes_on_by_the_new_file_and_the_rest_is_not_interrupted() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let line = Line::with(log.address, 1_000);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    let load = Load::start(log.address);
    eventually("a part of the events", PATIENCE, || {
        has_read(http, "lake", 500) && has_read(http, "slow", 500)
    });
    eventually("the devices", PATIENCE, || json(&get(http, "/api/v1/devices").1)["total"] == 7);
    eventually("the alerts", PATIENCE, || open_alerts(http).len() == 7);
    let open = open_alerts(http);
    let mut live = TcpStream::connect(http).unwrap();
    live.set_read_timeout(Some(PATIENCE)).unwrap();
    live.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !text(&seen).contains("event: tick") {
        let mut part = [0; 4096];
        let length = live.read(&mut part).unwrap();
        assert!(length > 0, "the stream shows the old file: {}", text(&seen));
        seen.extend_from_slice(&part[..length]);
    }
    let before = of_each(http, "runId");

    line.write(&line.after());
    let (status, done) = reload(http);
    assert_eq!(status, 200, "{done}");
    let expected =
        ["lake unchanged", "slow changed trigger", "more new", "alerts/high changed for", "gone removed"];
    assert_eq!(fates(&done), expected);
    assert!(
        done["dashboard"] == true
            && done["queries"].as_array().unwrap().iter().all(|it| it["error"].is_null())
    );
    // At once, and with all that was known.
    let schema = json(&get(http, "/api/v1/schema").1);
    assert_eq!(
        (&schema["panels"][0]["title"], &schema["alerts"][0]["for"]),
        (&"Numbers".into(), &1000.into())
    );
    let names: Vec<&str> =
        schema["queries"].as_array().unwrap().iter().map(|query| query["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lake", "slow", "more"]);
    assert_eq!(json(&get(http, "/api/v1/devices").1)["total"], 7, "the follower runs on");
    assert_eq!(open_alerts(http), open, "open alerts stay");
    let after = of_each(http, "runId");
    assert_eq!(after["lake"], before["lake"], "not interrupted");
    assert!(after["slow"] != before["slow"] && after["alerts/high"] != before["alerts/high"]);
    assert_eq!(get(http, "/api/v1/queries/gone").0, 404);
    // The stream that showed the old file ends.
    live.read_to_end(&mut seen).unwrap();

    let count = load.end();
    eventually("all events", PATIENCE, || {
        ["lake", "slow", "more", "alerts/high"].iter().all(|query| has_read(http, query, count))
    });
    process.wait_for("reloaded: slow changed (trigger), more new, alerts/high changed (for), gone removed, the page changed, 1 unchanged", PATIENCE);
    assert!(process.stop().0);
    for table in ["lake", "slow", "more"] {
        assert_exactly_once(&line.rows(table), count, table);
        assert_ledger(&last_commit(&line.data(), "line", table)["ledger"], count);
    }
    assert_eq!(line.opened().len(), 7);
}

#[test]
fn a_file_that_is_not_sound_or_not_safe_is_refused_whole_and_nothing_is_touched() {
    let log = LogServer::start();
    let events = proof_events(200);
    log.produce("events", &events[..100]);
    let line = Line::new(log.address);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    eventually("the first events", PATIENCE, || has_read(http, "lake", 100) && has_read(http, "slow", 100));
    let before = of_each(http, "runId");

    let (text, nobody) = (line.before(), free_address());
    let source = format!(
        "  others: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{nobody}\", subscribe: others }} }}\nqueries:\n  fresh: {{ sql: SELECT * FROM others, format: console }}\n"
    );
    let other_log = text.replace("queries:\n", &source);
    for (what, file, status, code, problems) in [
        (
            "a typing error",
            text.replace("  gone:", "  fresh: { sqll: x, format: console }\n  gone:"),
            400,
            "FB-1004",
            &["FB-1004", "FB-1003"][..],
        ),
        (
            "SQL over nothing",
            text.replace("FROM events WHERE", "FROM evens WHERE"),
            400,
            "FB-4002",
            &["FB-4002"],
        ),
        ("another table", text.replace("path: slow", "path: other"), 409, "FB-1011", &["FB-6002"]),
        (
            "columns that the table does not take",
            text.replacen("SELECT * FROM events,", "\"SELECT CAST(seq AS STRING) AS seq FROM events\",", 1),
            409,
            "FB-1011",
            &["FB-5002"],
        ),
        ("another key of an alert", text.replace("key: device", "key: hash"), 409, "FB-1011", &["FB-6002"]),
        ("another name", text.replace("pipeline: line", "pipeline: circle"), 409, "FB-1011", &["FB-1011"]),
        ("another log, which this process would serve", other_log, 409, "FB-1011", &["FB-1011"]),
        (
            "several at once",
            text.replace("path: slow", "path: other").replace("key: device", "key: hash"),
            409,
            "FB-1011",
            &["FB-6002", "FB-6002"],
        ),
    ] {
        assert_ne!(file, text, "{what}");
        line.write(&file);
        let (refused, problem) = reload(http);
        assert_eq!((refused, problem["code"].as_str()), (status, Some(code)), "{what}: {problem}");
        let told: Vec<&str> =
            problem["problems"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(told, problems, "{what}: {problem}");
    }
    std::fs::remove_file(line.file()).unwrap();
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["code"]), (400, &"FB-1001".into()), "{problem}");
    process.wait_for("Did you mean `sql`?", PATIENCE);
    process.wait_for("slow: the checkpoint belongs to another query", PATIENCE);

    assert_eq!(of_each(http, "runId"), before, "nothing was interrupted");
    assert_eq!(get(http, "/health").0, 200);
    log.produce("events", &events[100..]);
    eventually("the other events", PATIENCE, || has_read(http, "lake", 200) && has_read(http, "slow", 200));
    line.write(&text);
    let (status, done) = reload(http);
    assert_eq!(status, 200, "{done}");
    assert!(
        fates(&done).iter().all(|fate| fate.ends_with(" unchanged")) && done["dashboard"] == false,
        "{done}"
    );
    assert_eq!(of_each(http, "runId"), before);
    assert!(process.stop().0);
    for table in ["lake", "slow"] {
        assert_exactly_once(&line.rows(table), 200, table);
    }
    assert!(!line.data().join("checkpoints/line/fresh").exists());
}

#[test]
fn whatever_dies_in_the_middle_of_a_reload_the_next_start_is_exact() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let events = proof_events(600);
    log.produce("events", &events[..400]);
    for point in ["reload.before", "reload.between", "reload.after"] {
        for mode in ["kill", "lose"] {
            let context = format!("{point} {mode}");
            let line = Line::new(log.address);
            let mut command = line.command(&[]);
            command.env("FOREBAY_KILL_AT", format!("{point}:1")).env("FOREBAY_KILL_MODE", mode);
            let mut process = Process::spawn(&mut command);
            let http = process.address("http");
            eventually("a part of the events", PATIENCE, || {
                has_read(http, "lake", 200) && has_read(http, "alerts/high", 100)
            });
            line.write(&line.after());
            process.signal("HUP");
            eventually("its death", PATIENCE, || process.child.try_wait().unwrap().is_some());
            assert_eq!(process.child.wait().unwrap().signal(), Some(SIGABRT), "{context}");
            succeed(&mut line.command(&["--trigger", "availableNow"]));
            for table in ["lake", "slow", "more"] {
                assert_exactly_once(&line.rows(table), 400, &format!("{context}: {table}"));
                assert_ledger(&last_commit(&line.data(), "line", table)["ledger"], 400);
            }
            assert_eq!(line.opened().len(), 7, "{context}");
        }
    }
}

#[test]
fn a_change_of_the_file_is_taken_by_itself_and_a_run_keeps_what_it_was_told() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let line = Line::new(log.address);
    let told = ["--watch", "--query", "lake", "--query", "slow", "--trigger", "100 milliseconds"];
    let mut process = Process::spawn(&mut line.command(&told));
    let http = process.address("http");
    eventually("the events", PATIENCE, || has_read(http, "lake", 100) && has_read(http, "slow", 100));
    let before = of_each(http, "runId");
    // As an editor does it: another file that gets the name. Triggers are the run's own, others do not run.
    let new = line.dir.path().join("line.yaml.new");
    let text = line.after().replace(
        "SELECT * FROM events, format: delta, options: { path: slow }",
        "SELECT * FROM events WHERE seq >= 0, format: delta, options: { path: slow }",
    );
    std::fs::write(&new, &text).unwrap();
    std::fs::rename(&new, line.file()).unwrap();
    process.wait_for("reloaded: slow changed (sql), the page changed, 1 unchanged", PATIENCE);
    let after = of_each(http, "runId");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["lake", "slow"]);
    assert!(after["lake"] == before["lake"] && after["slow"] != before["slow"]);

    // Only what it is told by name runs, so that name must stay.
    line.write(&text.replace("  slow:", "  fast:"));
    process.wait_for("unknown query `slow`", PATIENCE);
    assert_eq!(of_each(http, "runId"), after);
    assert!(process.stop().0);
}

#[test]
fn a_query_that_a_person_stopped_stays_so_and_two_reloads_come_one_after_the_other() {
    let log = LogServer::start();
    let events = proof_events(200);
    log.produce("events", &events[..100]);
    let line = Line::new(log.address);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    eventually("the events", PATIENCE, || has_read(http, "lake", 100) && has_read(http, "slow", 100));
    assert_eq!(post(http, "/api/v1/queries/slow/stop", "").0, 202);
    eventually("its end", PATIENCE, || of_each(http, "state")["slow"] == "stopped");
    line.write_with(
        "SELECT * FROM events, format: delta, options: { path: slow }",
        "SELECT * FROM events WHERE seq >= 0, format: delta, options: { path: slow }",
    );
    let two: Vec<_> = (0..2).map(|_| std::thread::spawn(move || reload(http))).collect();
    let mut both: Vec<String> = two
        .into_iter()
        .map(|one| {
            let (status, done) = one.join().unwrap();
            assert_eq!(status, 200, "{done}");
            fates(&done)[1].clone()
        })
        .collect();
    both.sort();
    assert_eq!(both, ["slow changed sql", "slow unchanged"]);
    assert_eq!(of_each(http, "state")["slow"], "stopped");
    assert_eq!(
        json(&get(http, "/api/v1/schema").1)["queries"][1]["sql"],
        "SELECT * FROM events WHERE seq >= 0"
    );
    log.produce("events", &events[100..]);
    eventually("the others", PATIENCE, || has_read(http, "lake", 200));
    assert!(!has_read(http, "slow", 200));
    assert_eq!(post(http, "/api/v1/queries/slow/start", "").0, 202);
    eventually("the rest", PATIENCE, || has_read(http, "slow", 200));

    // One that is taken out while it is stopped keeps nothing waiting.
    assert_eq!(post(http, "/api/v1/queries/gone/stop", "").0, 202);
    line.write(&line.after());
    assert_eq!(reload(http).0, 200);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("slow"), 200, "slow");
}

#[test]
fn what_a_changed_query_fails_with_is_its_status() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let line = Line::new(log.address);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    eventually("the events", PATIENCE, || has_read(http, "lake", 100));
    // Somebody else holds the checkpoint of a query that is new: then nothing is touched.
    let holder = line.data().join("checkpoints/line/more");
    std::fs::create_dir_all(&holder).unwrap();
    let lock = std::fs::File::create(holder.join("LOCK")).unwrap();
    lock.lock().unwrap();
    let before = of_each(http, "runId");
    line.write(&line.after());
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["code"]), (409, &"FB-6001".into()), "{problem}");
    assert_eq!(of_each(http, "runId"), before);
    drop(lock);
    // A row that no cast takes ends the query that has begun with it.
    line.write(&line.before().replace(
        "SELECT * FROM events WHERE seq < 0",
        "SELECT CAST(hash AS INT) AS n FROM events WHERE seq >= 0",
    ));
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[2].as_str()), (200, "gone changed sql"), "{done}");
    log.produce("events", &proof_events(1));
    eventually("its failure", PATIENCE, || of_each(http, "state")["gone"] == "failed");
    // Mended in the file, it goes on.
    line.write(&line.before());
    let (_, done) = reload(http);
    assert_eq!(fates(&done)[2], "gone changed sql");
    eventually("its next run", PATIENCE, || has_read(http, "gone", 101));
    assert!(process.stop().0);
}

#[test]
fn what_a_rule_has_open_ends_when_it_is_taken_out() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let line = Line::new(log.address);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    eventually("the alerts", PATIENCE, || open_alerts(http).len() == 7);
    let before = line.before();
    let (start, rest) = before.split_once("alerts:\n").unwrap();
    let (_, page) = rest.split_once("dashboard:\n").unwrap();
    line.write(&format!("{start}dashboard:\n{page}"));
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[3].as_str()), (200, "alerts/high removed"), "{done}");
    process.wait_for("alert `high` is not in the file any more: 7 open ended", PATIENCE);
    assert_eq!(open_alerts(http), Vec::<Value>::new());
    assert!(process.stop().0);
}

#[test]
fn a_new_source_of_the_embedded_log_is_there_at_once_and_the_log_stays_where_it_is() {
    let line = Line::new(free_address());
    let mut process = Process::spawn(&mut line.command(&[]));
    let (http, kafka) = (process.address("http"), process.address("kafka"));
    let source = format!(
        "  others: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{kafka}\", subscribe: others, startingOffsets: earliest }}, value: json, schema: \"{PROOF_SCHEMA}\" }}\nqueries:\n  fresh: {{ sql: SELECT * FROM others, format: delta, options: {{ path: fresh }} }}\n"
    );
    let with_source = line.before().replace("queries:\n", &source);
    line.write(&with_source);
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[0].as_str()), (200, "fresh new"), "{done}");
    let topics = succeed(forebay(&line.data(), &["log", "topics"]).args(["--bootstrap", &kafka.to_string()]));
    assert!(text(&topics.stdout).contains("others"), "it was made: {}", text(&topics.stdout));
    produce(kafka, "others", &proof_events(50));
    eventually("its events", PATIENCE, || has_read(http, "fresh", 50));
    eventually("its devices", PATIENCE, || json(&get(http, "/api/v1/devices?source=others").1)["total"] == 7);

    let moved = free_address().to_string();
    line.write(&with_source.replace(&kafka.to_string(), &moved));
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["problems"][0]["code"]), (409, &"FB-1011".into()), "{problem}");
    assert!(problem["problems"][0]["message"].as_str().unwrap().contains(&moved), "{problem}");
    line.write(&line.before());
    assert_eq!(fates(&reload(http).1).last().unwrap(), "fresh removed");
    assert_eq!(get(http, "/api/v1/devices?source=others").0, 404);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("fresh"), 50, "fresh");
}

#[test]
fn a_pipe_in_the_place_of_the_file_is_refused_and_the_run_goes_on_and_ends() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let line = Line::new(log.address);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    eventually("the events", PATIENCE, || has_read(http, "lake", 100));
    // Who reads a pipe waits until somebody writes into it.
    std::fs::remove_file(line.file()).unwrap();
    assert!(Command::new("mkfifo").arg(line.file()).status().unwrap().success());
    process.signal("HUP");
    process.wait_for("it is not a regular file", PATIENCE);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("lake"), 100, "lake");
}

#[test]
fn a_terminal_that_is_closed_ends_the_run_after_its_epoch() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    for to_file in [false, true] {
        let line = Line::new(log.address);
        let (http, said) = (free_address(), line.dir.path().join("said"));
        let redirected = if to_file { format!("2>{}", said.display()) } else { String::new() };
        let run = format!(
            "exec {FOREBAY} --data {} --http {http} run {} {redirected}",
            line.data().display(),
            line.file().display()
        );
        // `script` gives it a terminal, which is gone when `script` is.
        let mut command = Command::new("script");
        command.args(["-qc", &run, "/dev/null"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut terminal = Leashed(command.spawn().unwrap());
        let listens = || TcpStream::connect(http).is_ok();
        eventually("it serves", PATIENCE, || listens() && has_read(http, "lake", 100));
        let snapshot = line.data().join("live/line/events/snapshot");
        assert!(!snapshot.exists());
        terminal.0.kill().unwrap();
        terminal.0.wait().unwrap();
        eventually("its end", PATIENCE, || !listens());
        eventually("what only a clean end leaves", PATIENCE, || snapshot.exists());
        if to_file {
            let said = std::fs::read_to_string(&said).unwrap();
            assert!(said.contains("stopping: each query ends") && !said.contains("SIGHUP"), "{said}");
        }
    }
}
