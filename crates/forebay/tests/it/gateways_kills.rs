//! Forebay dies between any two steps of a message through a gateway: what was acknowledged is in the table, and what a device sends
//! again is there again only as the docs say.
//!
//! All rounds share one data folder, so each starts on what the one before left behind, and the table is looked at once at the end. Of two
//! rounds that follow each other one also takes away what was not fsynced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_storage::GATEWAY_KILL_POINTS;
use serde_json::Value;

use crate::support::mqtt::{self, Outbox};
use crate::support::*;

/// Messages of a round, and how many are sent before the answer to the first is read.
const ROUND: u64 = 20;
const BURST: usize = 5;

fn pipeline(data: &Path) -> PathBuf {
    let file = data.join("kills.yaml");
    let (log, line) = (free_address(), data.join("ttyACM0").display().to_string());
    let text = format!(
        "pipeline: kills
gateways:
  plant:
    format: mqtt
    options: {{ listen: \"127.0.0.1:0\" }}
    routes:
      \"kills/{{device}}\": {{ topic: taken, key: \"{{device}}\" }}
  web:
    format: http
    routes:
      kills: {{ topic: taken }}
  bench:
    format: serial
    options: {{ port: {line}, lines: json }}
    routes:
      bench: {{ topic: taken }}
sources:
  taken:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: taken, startingOffsets: earliest, includeHeaders: true }}
    value: json
    schema: device STRING, n BIGINT
queries:
  lake:
    sql: \"SELECT device, n, CAST(_kafka.headers[0].value AS STRING) AS post FROM taken\"
    format: delta
    options: {{ path: taken }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The points that a message of a protocol passes, each with the hit at which some messages of the round are through and some are not.
fn points(protocol: &str, skip: &[&str]) -> Vec<String> {
    let own = format!("gateway.{protocol}.");
    let mine = |point: &&&str| point.starts_with(&own) || point.starts_with("gateway.append.");
    let gateway = GATEWAY_KILL_POINTS.iter().filter(mine).copied();
    let all = gateway.chain(kill_points(&["log.append."])).filter(|point| !skip.contains(point));
    all.map(|point| {
        // Of each message, or of what comes together.
        let is_of_each = ["received", "known", "answered", "released", "read"];
        let is_of_each = protocol != "http" && is_of_each.iter().any(|end| point.ends_with(end));
        format!("{point}:{}", if is_of_each { 7 } else { 2 })
    })
    .collect()
}

/// What a device knows: how often each message may be there.
type Most = BTreeMap<(String, u64), u64>;

/// Starts a run that is to die at a point.
fn doomed(data: &Path, file: &Path, round: usize, point: &str) -> Process {
    let mode = if round.is_multiple_of(2) { "lose" } else { "kill" };
    Process::spawn(armed(&mut forebay(data, &["run", file.to_str().unwrap()]), point, mode))
}

fn died(mut process: Process, point: &str) {
    eventually(&format!("it dies at {point}"), Duration::from_secs(60), || {
        process.child.try_wait().unwrap().is_some()
    });
    assert!(died_there(process.child.wait().unwrap()), "{point}");
}

/// A device with a session, over all rounds.
struct Device {
    name: String,
    outbox: Outbox,
    next: u64,
}

impl Device {
    fn new(qos: u8) -> Self {
        let name = format!("qos{qos}");
        Self { outbox: Outbox::new(format!("kills/{name}"), qos), next: 0, name }
    }

    /// Sends again what is not acknowledged and then `count` messages, unless the connection ends before.
    fn round(&mut self, address: SocketAddr, count: u64, most: &mut Most) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(&mqtt::connect(&self.name))?;
        let mut packet = [0; 4];
        stream.read_exact(&mut packet)?;
        assert!(mqtt::is_welcome(packet), "{packet:?}");
        let end = self.next + count;
        stream.write_all(&self.outbox.again())?;
        loop {
            let mut bytes = Vec::new();
            while self.outbox.len() == 0 || !bytes.is_empty() {
                if self.next == end || self.outbox.len() == BURST {
                    break;
                }
                let payload = format!("{{\"device\":\"{}\",\"n\":{}}}", self.name, self.next);
                bytes.extend(self.outbox.send(self.next, 0, payload));
                self.next += 1;
            }
            stream.write_all(&bytes)?;
            if self.outbox.len() == 0 {
                return Ok(());
            }
            stream.read_exact(&mut packet)?;
            let mut answer = Vec::new();
            if let Some((n, repeats, _)) = self.outbox.hear(packet, &mut answer) {
                most.insert((self.name.clone(), n), 1 + repeats);
            }
            stream.write_all(&answer)?;
        }
    }
}

/// A sender of posts with keys.
#[derive(Default)]
struct Sender {
    next: u64,
    /// How often the next post was sent.
    tries: u64,
}

impl Sender {
    /// Posts until the server does not answer, or `count` messages are taken.
    fn round(&mut self, address: SocketAddr, count: u64, most: &mut Most) {
        let end = self.next + count;
        while self.next < end {
            let numbers = self.next..self.next + BURST as u64;
            let lines: Vec<String> =
                numbers.clone().map(|n| format!("{{\"device\":\"http\",\"n\":{n}}}")).collect();
            self.tries += 1;
            let Some(answer) = post_with_key(address, self.next, &lines.join("\n")) else { return };
            assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
            most.extend(numbers.map(|n| (("http".to_owned(), n), self.tries)));
            (self.next, self.tries) = (self.next + BURST as u64, 0);
        }
    }
}

/// The answer; none if the server died before it.
fn post_with_key(address: SocketAddr, key: u64, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /api/v1/ingest/web/kills HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nIdempotency-Key: post-{key}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

fn rows(data: &Path) -> Vec<(String, u64, Option<String>)> {
    let row = |row: Value| {
        let post = row["post"].as_str().map(str::to_owned);
        (row["device"].as_str().unwrap().to_owned(), row["n"].as_u64().unwrap(), post)
    };
    table_rows(data, &data.join("taken")).into_iter().map(row).collect()
}

#[test]
fn wherever_forebay_dies_every_acknowledged_message_is_there_and_a_repeat_is_known_by_its_key() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path());
    let mut most = Most::new();
    let (mut once, mut exactly, mut sender) = (Device::new(1), Device::new(2), Sender::default());
    // The long form dies in both ways at each.
    let turns = if soak() { 2 } else { 1 };
    for turn in 0..turns {
        for (round, point) in points("mqtt", &["gateway.mqtt.released"]).iter().enumerate() {
            let mut process = doomed(data.path(), &file, round + turn, point);
            let address = process.address("mqtt");
            // It may also have been told everything before.
            let _ = once.round(address, ROUND, &mut most);
            died(process, point);
        }
        for (round, point) in points("mqtt", &[]).iter().enumerate() {
            let mut process = doomed(data.path(), &file, round + turn + 1, point);
            let address = process.address("mqtt");
            let _ = exactly.round(address, ROUND, &mut most);
            died(process, point);
        }
        for (round, point) in points("http", &[]).iter().enumerate() {
            let mut process = doomed(data.path(), &file, round + turn, point);
            sender.round(process.address("http"), ROUND, &mut most);
            died(process, point);
        }
    }
    // Nothing is in the way any more.
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let (mqtt, http) = (process.address("mqtt"), process.address("http"));
    once.round(mqtt, ROUND, &mut most).unwrap();
    exactly.round(mqtt, ROUND, &mut most).unwrap();
    sender.round(http, ROUND, &mut most);
    let counted = || {
        let mut counted = Most::new();
        for (device, n, _) in rows(data.path()) {
            *counted.entry((device, n)).or_default() += 1;
        }
        counted
    };
    eventually("all are in the table", Duration::from_secs(60), || counted().len() >= most.len());
    let counted = counted();
    assert!(counted.keys().eq(most.keys()), "what is there is what was sent");
    let (mut again, mut twice) = (0, 0);
    for (message, most) in &most {
        let times = counted[message];
        assert!((1..=*most).contains(&times), "{message:?} is there {times} times, {most} at most");
        again += most - 1;
        twice += u64::from(times > 1);
    }
    println!("{} messages, {again} sent again, {twice} there again", most.len());
    assert!(again > 0 && twice > 0, "nothing was sent again, so nothing was tried");
    // A post that came again wrote the same keys again: whoever reads the log tells repeats apart.
    let posts: BTreeSet<(u64, String)> = rows(data.path())
        .into_iter()
        .filter(|(device, ..)| device == "http")
        .map(|(_, n, post)| (n, post.expect("each record of a post has its key")))
        .collect();
    let of_one = |n: &u64| format!("post-{}/{}", n - n % BURST as u64, n % BURST as u64);
    assert!(posts.iter().all(|(n, post)| *post == of_one(n)), "{posts:?}");
    assert!(process.stop().0);
}

#[test]
fn a_kill_between_port_and_log_loses_lines_of_that_moment_and_doubles_none() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path());
    let mut line = serial_line(&data.path().join("ttyACM0"));
    let mut next = 0..;
    let mut say = |count: usize| {
        // Nobody may have seen the beginning of a first line.
        line.write_all(b"\n").unwrap();
        for n in next.by_ref().take(count) {
            line.write_all(format!("{{\"device\":\"bench\",\"n\":{n}}}\n").as_bytes()).unwrap();
        }
    };
    let is_open = |process: &mut Process| {
        let http = process.address("http");
        eventually("the port is open", Duration::from_secs(30), || {
            let gateways: Value = serde_json::from_str(&get(http, "/api/v1/gateways").1).unwrap();
            gateways.as_array().unwrap().iter().any(|one| one["counts"]["opened"] == 1)
        });
    };
    let points = points("serial", &[]);
    for (round, point) in points.iter().enumerate() {
        // What comes together is not for us to say: the first time, then.
        let point = point.replace(":2", ":1");
        let mut process = doomed(data.path(), &file, round, &point);
        is_open(&mut process);
        say(50);
        died(process, &point);
        // The next one would read it, and die of it, before its port is known to be open.
        forget_unread(&data.path().join("ttyACM0"));
    }
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    is_open(&mut process);
    say(50);
    let last = (points.len() as u64 + 1) * 50 - 1;
    eventually("the last line is there", Duration::from_secs(60), || {
        rows(data.path()).iter().any(|(_, n, _)| *n == last)
    });
    let all = rows(data.path());
    let numbers: BTreeSet<u64> = all.iter().map(|(_, n, _)| *n).collect();
    assert_eq!(numbers.len(), all.len(), "no line is there twice");
    assert!(numbers.last() == Some(&last) && (last - 49..=last).all(|n| numbers.contains(&n)), "{numbers:?}");
    assert!(process.stop().0);
}
