//! A line of queries that is changed while it runs, and what a test asks of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_storage::lines;
use serde_json::Value;

use crate::support::*;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Events that come one after the other until they are told to end.
pub struct Load {
    sent: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    pub fn start(address: SocketAddr) -> Self {
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
    pub fn end(self) -> u64 {
        self.enough.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.sent.load(Ordering::SeqCst)
    }
}

/// What a test changes.
pub struct Line {
    pub dir: tempfile::TempDir,
    bootstrap: SocketAddr,
    per_epoch: u64,
}

impl Line {
    pub fn new(bootstrap: SocketAddr) -> Self {
        Self::with(bootstrap, 100)
    }

    pub fn with(bootstrap: SocketAddr, per_epoch: u64) -> Self {
        let line = Self { dir: tempfile::tempdir().unwrap(), bootstrap, per_epoch };
        line.write(&line.before());
        line
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("line.yaml")
    }

    pub fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    pub fn write_with(&self, from: &str, to: &str) {
        let text = self.before();
        assert!(text.contains(from), "{from}");
        self.write(&text.replace(from, to));
    }

    pub fn before(&self) -> String {
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
    pub fn after(&self) -> String {
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

    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = forebay(&self.data(), &["run", self.file().to_str().unwrap()]);
        command.args(more);
        command
    }

    pub fn rows(&self, table: &str) -> Vec<Value> {
        table_rows(&self.data(), &self.data().join(table))
    }

    /// Which alerts opened, by id; panics if one did twice. None has cleared.
    pub fn opened(&self) -> BTreeMap<String, String> {
        let bytes = std::fs::read(self.data().join("checkpoints/line/alerts.high/alerts")).unwrap();
        let mut opened = BTreeMap::new();
        for line in lines::read_up_to("forebay-alerts", 2, &bytes).unwrap().0.texts {
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

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

pub fn reload(http: SocketAddr) -> (u16, Value) {
    let (status, body) = post(http, "/api/v1/reload", "");
    (status, json(&body))
}

/// A member of each query.
pub fn of_each(http: SocketAddr, member: &str) -> BTreeMap<String, Value> {
    let queries = json(&get(http, "/api/v1/queries").1);
    let queries = queries.as_array().unwrap().iter();
    queries.map(|query| (query["name"].as_str().unwrap().to_owned(), query[member].clone())).collect()
}

pub fn has_read(http: SocketAddr, query: &str, count: u64) -> bool {
    of_each(http, "ledger").get(query).is_some_and(|ledger| ledger["read"].as_u64() >= Some(count))
}

pub fn open_alerts(http: SocketAddr) -> Vec<Value> {
    json(&get(http, "/api/v1/alerts?state=open").1)["alerts"].as_array().unwrap().clone()
}

/// What became of each query, as `name fate changes`.
pub fn fates(done: &Value) -> Vec<String> {
    let fate = |query: &Value| {
        let changes = query["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap());
        let words = [query["name"].as_str().unwrap(), query["fate"].as_str().unwrap()].into_iter();
        words.chain(changes).collect::<Vec<_>>().join(" ")
    };
    done["queries"].as_array().unwrap().iter().map(fate).collect()
}

/// A line that runs, and its log.
pub struct Running {
    pub log: LogServer,
    pub line: Line,
    pub process: Process,
    pub http: SocketAddr,
}

impl Running {
    /// So many events are there, and the line has read them.
    pub fn with(events: &[String], args: &[&str]) -> Self {
        let log = LogServer::start();
        log.produce("events", events);
        let line = Line::new(log.address);
        let mut process = Process::spawn(&mut line.command(args));
        let http = process.address("http");
        let count = events.len() as u64;
        eventually("the events", PATIENCE, || has_read(http, "lake", count) && has_read(http, "slow", count));
        Self { log, line, process, http }
    }
}
