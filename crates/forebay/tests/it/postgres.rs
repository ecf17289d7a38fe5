//! The PostgreSQL sink on a real PostgreSQL, whatever happens to either of them.
//!
//! Most trials copy a topic of [`proof_events`] into a table, harm the one or the other, and then ask PostgreSQL for all
//! rows: none lost, none twice, none altered. A trial that compared nothing fails.

mod faults;
mod kills;
mod locks;
mod names;
mod outages;
mod refused;
mod secrets;
mod tables;
mod tls;
mod types;
mod upsert;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::quarantine::listed;
use crate::support::*;

const EVENTS: u64 = 3_000;

const PER_EPOCH: u64 = 700;

/// How long a trial waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log with events and a PostgreSQL, for one trial or several on tables of their own.
struct Trial {
    log: LogServer,
    server: Postgres,
}

impl Trial {
    /// With [`EVENTS`] in one partition.
    fn new() -> Self {
        Self::on(Postgres::start())
    }

    fn on(server: Postgres) -> Self {
        let trial = Self { log: LogServer::start(), server };
        trial.log.produce("events", &proof_events(EVENTS));
        trial
    }

    /// A query that copies the events into `public.TABLE`, with more options, each a line of its own.
    fn copy(&self, table: &str, options: &[&str]) -> Query {
        self.copy_by(self.server.address, table, options)
    }

    /// The same by another address of the server.
    fn copy_by(&self, server: SocketAddr, table: &str, options: &[&str]) -> Query {
        let dbtable = format!("dbtable: public.{table}");
        let options = [&[&*dbtable], options].concat();
        let text = query_text(self.log.address, PROOF_SCHEMA, "SELECT * FROM events", &url(server), &options);
        Query::new(&text)
    }

    /// All events once, and the last epoch's row says what the checkpoint says.
    fn assert_copied(&self, query: &Query, table: &str, context: &str) {
        assert_exactly_once(&self.server.proof_rows(&format!("public.{table}")), EVENTS, context);
        let commit = query.last_commit();
        assert_ledger(&commit["ledger"], EVENTS);
        let sql = format!("SELECT max(epoch) FROM forebay_epochs WHERE query_id = '{}'", query.id());
        assert_eq!(self.server.one(&sql), commit["epoch"].to_string(), "{context}: the epoch's row");
    }
}

/// The text of a pipeline `copy` with one query `lake`, which ends once it has read what is there.
fn query_text(log: SocketAddr, schema: &str, sql: &str, url: &str, options: &[&str]) -> String {
    let options: String = options.iter().map(|option| format!("      {option}\n")).collect();
    format!(
        "pipeline: copy\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {PER_EPOCH} }}\n\
         \x20   value: json\n    schema: \"{schema}\"\n\
         queries:\n  lake:\n    sql: \"{sql}\"\n    format: postgres\n    options:\n      url: \"{url}\"\n      user: forebay\n      password: ${{{PASSWORD_VARIABLE}}}\n{options}\
         \x20   trigger: {{ availableNow: true }}\n"
    )
}

/// A pipeline file with its data.
struct Query {
    data: tempfile::TempDir,
    file: PathBuf,
}

impl Query {
    fn new(text: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("copy.yaml");
        std::fs::write(&file, text).unwrap();
        Self { data, file }
    }

    fn data(&self) -> &Path {
        self.data.path()
    }

    /// Another text in the place of a part of the file.
    fn change(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.file).unwrap();
        assert!(text.contains(from), "`{from}` is not in {text}");
        std::fs::write(&self.file, text.replace(from, to)).unwrap();
    }

    /// `forebay run` with more arguments.
    fn command(&self, more: &[&str]) -> Command {
        with_password(forebay(self.data(), &[&["run", self.file.to_str().unwrap()], more].concat()))
    }

    /// Runs to the end of what is there.
    fn run(&self) {
        let output = end_within(2 * PATIENCE, &mut self.command(&[]));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Must be refused; what it said.
    fn refused(&self) -> String {
        let output = end_within(PATIENCE, &mut self.command(&[]));
        assert!(!output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    }

    /// Runs on and on, with an address to ask it at.
    fn running(&self) -> Running {
        let mut process = Process::spawn(&mut self.command(&["--trigger", "default"]));
        let http = process.address("http");
        Running { process, http }
    }

    /// Runs until it stands still at a kill point, for the second time that it comes there.
    fn stopped_at(&self, point: &str) -> Process {
        let mut command = self.command(&[]);
        let process = Process::spawn(armed(&mut command, &format!("{point}:2"), "stop"));
        eventually(&format!("it stands still at {point}"), PATIENCE, || process.is_stopped());
        process
    }

    fn last_commit(&self) -> Value {
        last_commit(self.data(), "copy", "lake")
    }

    /// The query's id, as its checkpoint has it.
    fn id(&self) -> String {
        let path = self.data().join("checkpoints/copy/lake/metadata");
        let metadata = std::fs::read_to_string(&path).unwrap();
        let id = metadata.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        id.unwrap_or_else(|| panic!("no id in {metadata}")).to_owned()
    }

    /// What is in the quarantine, each as one line of JSON.
    fn quarantined(&self) -> Vec<String> {
        listed(self.data()).iter().map(Value::to_string).collect()
    }
}

/// A process that runs on.
struct Running {
    process: Process,
    http: SocketAddr,
}

impl Running {
    /// Waits until its health says that it tries again, and why: in these words.
    fn waits_for(&self, words: &str) {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            let (status, body) = get(self.http, "/health");
            if status == 503 && body.contains(words) && body.contains("trying again") {
                return;
            }
            last = body;
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("health does not speak of `{words}`: {last}");
    }

    /// Waits until all is well again.
    fn is_well(&self) {
        eventually("health", PATIENCE, || get(self.http, "/health").0 == 200);
    }
}

/// A process that is sent on and must come to a good end.
fn goes_on(mut process: Process, context: &str) {
    process.signal("CONT");
    eventually(context, PATIENCE, || process.child.try_wait().unwrap().is_some());
    let ended = process.child.wait().unwrap();
    assert!(ended.success(), "{context}: {ended}; it said:\n{}", process.all_said());
}
