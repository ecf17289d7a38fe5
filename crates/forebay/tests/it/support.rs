//! What the tests share: the binary, its data folder, a log to write to, and the tables it leaves.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

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
    command
}

/// Runs a command to its end; panics with all it said if it fails.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

/// Runs a command that may fail, but must end in time.
pub fn end_within(patience: Duration, command: &mut Command) -> Output {
    let mut child = Leashed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    eventually("the command ends", patience, || child.0.try_wait().unwrap().is_some());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: child.0.wait().unwrap(), stdout, stderr }
}

/// Has a process of this command die (`kill`, or `lose` with all that is not fsynced) or stand still (`stop`) at a kill
/// point: `POINT`, or `POINT:HIT` for the time that it comes there.
pub fn armed<'c>(command: &'c mut Command, at: &str, mode: &str) -> &'c mut Command {
    command.env("FOREBAY_KILL_AT", at).env("FOREBAY_KILL_MODE", mode)
}

/// True if a process ended at the point that it was armed with.
pub fn died_there(status: ExitStatus) -> bool {
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command said on stderr.
pub fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

/// A child that does not outlive its test.
pub struct Leashed(pub Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that is killed when the test ends, with what it says on stderr.
pub struct Process {
    pub child: Child,
    lines: mpsc::Receiver<String>,
    pub said: Vec<String>,
}

impl Process {
    /// Starts it, its stdout thrown away.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line on stderr that holds `part`.
    pub fn wait_for(&mut self, part: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(line) = self.said.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("no line with `{part}`; it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// The address after `name=` in the line `ready …`.
    pub fn address(&mut self, name: &str) -> SocketAddr {
        let ready = self.wait_for("ready ", Duration::from_secs(30));
        let found = ready.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("no {name} in `{ready}`")).parse().unwrap()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Whether it stands still at a point that the test chose (`FOREBAY_KILL_MODE=stop`).
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }

    /// SIGTERM, then the end; what it printed and whether it ended well.
    pub fn stop(mut self) -> (bool, String) {
        self.signal("TERM");
        let mut printed = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        let _ = stdout.read_to_string(&mut printed);
        let ended = self.child.wait().unwrap();
        (ended.success(), printed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

/// Events that carry their own proof: device, sequence number and a hash of both.
pub fn proof_events(count: u64) -> Vec<String> {
    (0..count)
        .map(|seq| {
            let device = format!("d{}", seq % 7);
            format!("{{\"device\": \"{device}\", \"seq\": {seq}, \"hash\": \"{}\"}}", proof(&device, seq))
        })
        .collect()
}

/// The hash that an event of this device and number carries (FNV-1a).
pub fn proof(device: &str, seq: u64) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in device.bytes().chain(seq.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The schema of [`proof_events`].
pub const PROOF_SCHEMA: &str = "device STRING NOT NULL, seq BIGINT NOT NULL, hash STRING NOT NULL";

/// Rows compared with the events they must come from: what is lost, doubled or altered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lost: u64,
    pub doubled: u64,
    pub altered: u64,
    pub compared: u64,
}

/// Compares the rows of a table with the first `count` events.
pub fn compare(rows: &[Value], count: u64) -> Verdict {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut verdict = Verdict { compared: rows.len() as u64, ..Verdict::default() };
    for row in rows {
        let (device, seq) =
            (row["device"].as_str().unwrap_or_default(), row["seq"].as_u64().unwrap_or(u64::MAX));
        if row["hash"].as_str() != Some(&proof(device, seq)) || seq >= count {
            verdict.altered += 1;
        }
        *seen.entry(seq).or_default() += 1;
    }
    verdict.lost = (0..count).filter(|seq| !seen.contains_key(seq)).count() as u64;
    verdict.doubled = seen.values().map(|times| times - 1).sum();
    verdict
}

/// All of `count` events once, unaltered.
pub fn assert_exactly_once(rows: &[Value], count: u64, context: &str) {
    assert!(count > 0 && !rows.is_empty(), "{context}: nothing was compared");
    let expected = Verdict { compared: count, ..Verdict::default() };
    assert_eq!(compare(rows, count), expected, "{context}");
}

/// The rows of a SELECT, through `forebay query`.
pub fn query(data: &Path, sql: &str) -> Vec<Value> {
    let output = succeed(&mut forebay(data, &["query", "--format", "json", sql]));
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

/// A GET over plain HTTP: status and body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    get_with_host(address, path, "localhost")
}

/// A GET with a `Host` header of choice.
pub fn get_with_host(address: SocketAddr, path: &str, host: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// A POST of JSON as the page sends it: status and body.
pub fn post(address: SocketAddr, path: &str, json: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = json.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forebay: 1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
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
