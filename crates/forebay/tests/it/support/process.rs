//! Processes that end with their test, whatever becomes of it, and those that die where a test says.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forebay_storage::{KILL_POINTS, STATE_KILL_POINTS};

use super::eventually;

/// Runs a command that may fail, but must end in time.
pub fn end_within(patience: Duration, command: &mut Command) -> Output {
    let mut child = Leashed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    // Read while it runs: a pipe that is full would keep it from ending.
    let (stdout, stderr) =
        (read_all(child.0.stdout.take().unwrap()), read_all(child.0.stderr.take().unwrap()));
    eventually("the command ends", patience, || child.0.try_wait().unwrap().is_some());
    Output { status: child.0.wait().unwrap(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Has a process of this command die (`kill`, or `lose` with all that is not fsynced) or stand still (`stop`) at a kill
/// point: `POINT`, or `POINT:HIT` for the time that it comes there.
pub fn armed<'c>(command: &'c mut Command, at: &str, mode: &str) -> &'c mut Command {
    command.env("FOREBAY_KILL_AT", at).env("FOREBAY_KILL_MODE", mode)
}

/// The kill points whose names begin in one of these ways, in the order of their lists: a point that is new is walked too.
pub fn kill_points(beginnings: &[&str]) -> Vec<&'static str> {
    let all = KILL_POINTS.iter().chain(STATE_KILL_POINTS).copied();
    all.filter(|point| beginnings.iter().any(|beginning| point.starts_with(beginning))).collect()
}

/// Those of one epoch of a query without state, with those of its sink.
pub fn epoch_points(of_sink: &[&str]) -> Vec<&'static str> {
    let mut points = kill_points(&[&["epoch.", "quarantine.write."], of_sink].concat());
    points.retain(|point| !point.starts_with("epoch.state."));
    points
}

/// True if a process ended at the point that it was armed with.
pub fn died_there(status: ExitStatus) -> bool {
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
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
        self.wait_until(part, |line| line.contains(part), patience)
    }

    fn wait_until(&mut self, part: &str, is_it: impl Fn(&str) -> bool, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(line) = self.said.iter().find(|line| is_it(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("no line with `{part}`; it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Takes a line that has come already; false if there is none.
    pub fn try_line(&mut self) -> bool {
        self.lines.recv_timeout(Duration::from_millis(100)).map(|line| self.said.push(line)).is_ok()
    }

    /// All that a process said that has ended.
    pub fn all_said(&mut self) -> String {
        self.said.extend(self.lines.iter());
        self.said.join("\n")
    }

    /// The address after `name=` in the line `ready …`.
    pub fn address(&mut self, name: &str) -> SocketAddr {
        // Not `already exists` of a warning before it.
        let ready = self.wait_until("ready ", |line| line.starts_with("ready "), Duration::from_secs(30));
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
