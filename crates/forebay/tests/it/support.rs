//! What the tests share: the binary, its data folder, a log to write to, and the tables it leaves.

mod brokers;
mod http;
mod minio;
pub mod mqtt;
mod postgres;
mod postgres_proxy;
mod process;
mod proof;
mod s3_proxy;
mod serial;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use self::brokers::Broker;
pub use self::http::{get, get_with_host, post};
pub use self::minio::{BUCKET, Minio, S3_CANARY};
pub use self::postgres::{PASSWORD_VARIABLE, POSTGRES_PASSWORD, Postgres, SmallDisk, url, with_password};
pub use self::postgres_proxy::{Cut, Proxy};
pub use self::process::{Leashed, Process, armed, died_there, end_within, epoch_points, kill_points};
pub use self::proof::{PROOF_SCHEMA, Verdict, assert_exactly_once, compare, proof, proof_events};
pub use self::s3_proxy::{Answer, S3Proxy};
pub use self::serial::{forget_unread, serial_line};

/// The binary under test.
pub const FOREBAY: &str = env!("CARGO_BIN_EXE_forebay");

/// True for the long forms.
pub fn soak() -> bool {
    std::env::var_os("FOREBAY_SOAK").is_some()
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A loopback address that nobody uses at the moment, nor is likely to until it is.
pub fn free_address() -> SocketAddr {
    free_addresses(1)
}

/// The same, with the ports after it, `count` in all. No two calls give the same one, and none is of those that the system
/// gives to outgoing connections, or to whoever asks for any: a server that is stopped finds its port again.
pub fn free_addresses(count: u16) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 11_000;
    let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end: u16 = ports.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768);
    assert!(end > FIRST + 1_000, "the system gives out ports from {end} on: none are left for servers");
    let begin = (std::process::id() * 61 % u32::from(end - FIRST)) as u16;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..end - FIRST {
        let at = NEXT.fetch_add(count, Ordering::Relaxed) % (end - FIRST);
        let port = FIRST + (begin + at) % (end - FIRST - count);
        if (port..port + count).all(is_free) {
            return SocketAddr::from(([127, 0, 0, 1], port));
        }
    }
    panic!("no port from {FIRST} to {end} is free");
}

/// A command of the binary with its data under `data` and free ports.
pub fn forebay(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(FOREBAY);
    command.arg("--data").arg(data).args(["--http", "127.0.0.1:0"]).args(args).stdin(Stdio::null());
    // Tests run beside each other, and its usual address is one.
    command.env("FOREBAY_POSTGRES", "off");
    command
}

/// Runs a command to its end; panics with all it said if it fails.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command said on stderr.
pub fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

/// A `forebay log serve` of its own.
pub struct LogServer {
    pub address: SocketAddr,
    _process: Process,
    _data: tempfile::TempDir,
}

impl LogServer {
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process =
            Process::spawn(&mut forebay(data.path(), &["log", "serve", "--listen", "127.0.0.1:0"]));
        let address = process.address("kafka");
        Self { address, _process: process, _data: data }
    }

    /// Writes these lines as records.
    pub fn produce(&self, topic: &str, lines: &[String]) {
        produce(self.address, topic, lines);
    }
}

/// Writes lines as records, through the command line.
pub fn produce(address: SocketAddr, topic: &str, lines: &[String]) {
    produce_with(address, topic, lines, &[]);
}

/// The same with more arguments.
pub fn produce_with(address: SocketAddr, topic: &str, lines: &[String], more: &[&str]) {
    let mut command = Command::new(FOREBAY);
    command.args(["produce", "--topic", topic, "--bootstrap", &address.to_string()]).args(more);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Makes a topic with some partitions.
pub fn make_topic(address: SocketAddr, topic: &str, partitions: i32) {
    let mut command = Command::new(FOREBAY);
    let partitions = partitions.to_string();
    let bootstrap = address.to_string();
    command.args([
        "simulate",
        "--topic",
        topic,
        "--partitions",
        &partitions,
        "--count",
        "0",
        "--bootstrap",
        &bootstrap,
    ]);
    succeed(&mut command);
}

/// The rows of a SELECT, through `forebay query`.
pub fn query(data: &Path, sql: &str) -> Vec<Value> {
    let output = succeed(&mut forebay(data, &["query", "--format", "json", sql]));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same, by the names of a pipeline file.
pub fn query_of(data: &Path, pipeline: &Path, sql: &str) -> Vec<Value> {
    let args = ["query", "--pipeline", pipeline.to_str().unwrap(), "--format", "json", sql];
    let output = succeed(&mut forebay(data, &args));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a Delta table; none if there is no table yet.
pub fn table_rows(data: &Path, table: &Path) -> Vec<Value> {
    if !table.join("_delta_log").exists() {
        return Vec::new();
    }
    query(data, &format!("SELECT * FROM delta.`{}`", table.display()))
}

/// The plant of the examples, reading from `log`; the path of its file.
pub fn plant(dir: &Path, log: SocketAddr, from: &str) -> String {
    let text = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    let text = text.replace("localhost:9092", &log.to_string());
    let text = text.replace("startingOffsets: latest", &format!("startingOffsets: {from}"));
    let file = dir.join("plant.yaml");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A pipeline file that copies a topic of [`proof_events`] into a Delta table `<data>/table`.
pub fn copy_pipeline(dir: &Path, bootstrap: SocketAddr, topic: &str, per_epoch: u64) -> PathBuf {
    let file = dir.join("copy.yaml");
    let text = format!(
        "pipeline: copy\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: {topic}, startingOffsets: earliest, maxOffsetsPerTrigger: {per_epoch} }}\n\
         \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
         queries:\n  lake:\n    sql: SELECT * FROM events\n    format: delta\n    options: {{ path: table }}\n    trigger: {{ availableNow: true }}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The last commit in a query's checkpoint: its epoch and ledger.
pub fn last_commit(data: &Path, pipeline: &str, query: &str) -> Value {
    let dir = data.join("checkpoints").join(pipeline).join(query);
    let output =
        succeed(&mut forebay(data, &["checkpoint", "show", "--json", "-n", "2", dir.to_str().unwrap()]));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = shown["entries"].as_array().unwrap();
    let commit = entries.iter().rev().find_map(|entry| entry.get("commit")).cloned();
    commit.unwrap_or_else(|| panic!("no commit in {shown}"))
}

/// The ledger adds up and says that `count` records were read and emitted.
pub fn assert_ledger(ledger: &Value, count: u64) {
    let number = |name: &str| ledger[name].as_u64().unwrap();
    let fates = [
        "emitted",
        "aggregated",
        "unmatched",
        "filtered",
        "deduplicated",
        "dropped",
        "quarantined",
        "late",
        "inFlight",
    ];
    assert_eq!(number("read"), fates.iter().map(|fate| number(fate)).sum::<u64>(), "{ledger}");
    assert_eq!((number("read"), number("emitted"), number("rowsOut")), (count, count, count), "{ledger}");
}

/// A text's hash, by the system's own program, so that nothing of ours computes what it is held against.
pub fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Waits until a condition holds.
pub fn eventually(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a program of the project (a script, a Python file through its runner) and returns what it printed; panics
/// with all it said if it fails. The components must be installed: a missing one is a failure.
pub fn run_script(script: &str, args: &[&str]) -> String {
    run_script_with(script, args, &[])
}

/// The same with more environment variables.
pub fn run_script_with(script: &str, args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(root().join(script));
    command.current_dir(root()).args(args).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|e| panic!("{script} cannot be run: {e}"));
    assert!(
        output.status.success(),
        "{script} {args:?} failed (are the components installed? scripts/services/install.sh all)\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
