//! A fleet that publishes over bad connections while Forebay is killed: what was acknowledged is in the table, as often as it was
//! acknowledged as new.
//!
//! 1,000 devices send ten messages a second each, nine of ten devices with QoS 1, the others with QoS 2. Connections break at random, between
//! packets and within one, and each device goes on with its session. In the middle Forebay is killed (SIGKILL) and started again. Who
//! sends a message again may have written it again, where `docs/mqtt.md` says so: with QoS 1 a repeat whose PUBACK may have left, with QoS 2
//! one whose first attempt met the kill. Everything else is there exactly once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::support::mqtt::{self, Outbox};
use crate::support::*;

const DEVICES: u64 = 1_000;

/// Between two messages of a device.
const EVERY: Duration = Duration::from_millis(100);

/// Messages of one device that may wait for an acknowledgement.
const WINDOW: usize = 32;

/// One message in so many is followed by the end of its connection.
const BREAKS: u64 = 150;

/// Stages of the run: before the kill, between kill and start, after the start.
const BEFORE: u64 = 0;
const DOWN: u64 = 1;
const AFTER: u64 = 2;

/// What all devices share.
struct Fleet {
    address: SocketAddr,
    each: u64,
    begin: Instant,
    stage: AtomicU64,
    acknowledged: AtomicU64,
    breaks: AtomicU64,
}

/// A message that was acknowledged.
struct Taken {
    seq: u64,
    /// How often it was sent again.
    repeats: u64,
    /// Whether it was sent first before the kill and acknowledged behind it.
    met_the_kill: bool,
}

/// A number that depends on device and sequence, so that a mixture of messages shows.
fn value(device: u64, seq: u64) -> u64 {
    (device * 1_000_003 + seq * 7_919) % 999_983
}

fn qos(device: u64) -> u8 {
    if device % 10 == 9 { 2 } else { 1 }
}

struct Device {
    number: u64,
    fleet: Arc<Fleet>,
    outbox: Outbox,
    next: u64,
    dice: fastrand::Rng,
    taken: Vec<Taken>,
}

impl Device {
    /// Sends all its messages, over as many connections as it takes.
    async fn run(mut self) -> Vec<Taken> {
        while self.next < self.fleet.each || self.outbox.len() > 0 {
            if self.connection().await.is_err() {
                sleep(Duration::from_millis(self.dice.u64(50..250))).await;
            }
        }
        self.taken
    }

    /// One connection, until it is broken by somebody or all is said.
    async fn connection(&mut self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.fleet.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&mqtt::connect(&format!("device-{}", self.number))).await?;
        let mut welcome = [0; 4];
        timeout(Duration::from_secs(60), stream.read_exact(&mut welcome)).await??;
        if !mqtt::is_welcome(welcome) {
            // Its last connection is not settled yet: later, it says.
            assert_eq!(welcome, [0x20, 2, 0, 3]);
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        stream.write_all(&self.outbox.again()).await?;
        let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
        while self.next < self.fleet.each || self.outbox.len() > 0 {
            let may_send = self.next < self.fleet.each && self.outbox.len() < WINDOW;
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let count = read?;
                    if count == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    heard.extend_from_slice(&buffer[..count]);
                    let answers = self.hear(&mut heard);
                    stream.write_all(&answers).await?;
                }
                () = sleep_until(self.due()), if may_send => {
                    let bytes = self.say();
                    if self.dice.u64(0..BREAKS) > 0 {
                        stream.write_all(&bytes).await?;
                        continue;
                    }
                    // Ends within the packet or behind it, without a word.
                    let end = self.dice.usize(0..=bytes.len());
                    self.fleet.breaks.fetch_add(1, Ordering::Relaxed);
                    return stream.write_all(&bytes[..end]).await;
                }
            }
        }
        stream.write_all(&mqtt::DISCONNECT).await
    }

    /// When the next message is due; not all devices send at once.
    fn due(&self) -> Instant {
        let offset = EVERY * u32::try_from(self.number).unwrap() / u32::try_from(DEVICES).unwrap();
        self.fleet.begin + offset + EVERY * u32::try_from(self.next).unwrap()
    }

    fn say(&mut self) -> Vec<u8> {
        let (device, seq) = (self.number, self.next);
        self.next += 1;
        let payload = format!("{{\"device\":{device},\"seq\":{seq},\"v\":{}}}", value(device, seq));
        self.outbox.send(seq, self.fleet.stage.load(Ordering::SeqCst), payload)
    }

    fn hear(&mut self, heard: &mut Vec<u8>) -> Vec<u8> {
        let mut answers = Vec::new();
        let (packets, rest) = heard.as_chunks::<4>();
        for packet in packets {
            if let Some((seq, repeats, sent_in)) = self.outbox.hear(*packet, &mut answers) {
                let met_the_kill = sent_in < AFTER && self.fleet.stage.load(Ordering::SeqCst) > BEFORE;
                self.taken.push(Taken { seq, repeats, met_the_kill });
                self.fleet.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
        *heard = rest.to_vec();
        answers
    }
}

fn pipeline(data: &Path, mqtt: SocketAddr) -> PathBuf {
    let file = data.join("fleet.yaml");
    let log = free_address();
    let text = format!(
        "pipeline: fleet
gateways:
  plant:
    format: mqtt
    options: {{ listen: \"{mqtt}\" }}
    routes:
      \"load/{{device}}\": {{ topic: load, key: \"{{device}}\" }}
sources:
  load:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: load, startingOffsets: earliest }}
    value: json
    schema: device BIGINT, seq BIGINT, v BIGINT
queries:
  lake: {{ sql: \"SELECT device, seq, v, _kafka.offset AS place FROM load\", format: delta, options: {{ path: load }} }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The device, its sequence number, how often it is there, the least and greatest value, and the place of the first in the log.
type Row = (u64, u64, u64, u64, u64, u64);

fn rows(data: &Path) -> Vec<Row> {
    let table = data.join("load");
    let number = |row: &serde_json::Value, name: &str| row[name].as_u64().unwrap();
    let names = ["device", "seq", "times", "low", "high", "place"];
    // In parts, because a statement may hold so much memory and no more.
    let parts = (0..DEVICES).step_by(100).flat_map(|first| {
        let sql = format!(
            "SELECT device, seq, count(*) AS times, min(v) AS low, max(v) AS high, min(place) AS place FROM delta.`{}` \
             WHERE device BETWEEN {first} AND {first} + 99 GROUP BY device, seq",
            table.display()
        );
        query(data, &sql)
    });
    parts.map(|row| names.map(|name| number(&row, name)).into()).collect()
}

fn distinct(data: &Path) -> u64 {
    let table = data.join("load");
    if !table.join("_delta_log").exists() {
        return 0;
    }
    let sql = format!(
        "SELECT count(*) AS n FROM (SELECT DISTINCT device, seq FROM delta.`{}`) AS t",
        table.display()
    );
    query(data, &sql)[0]["n"].as_u64().unwrap()
}

/// 1,000 connections need as many open files, here and there.
fn allow_open_files() {
    let own = std::process::id().to_string();
    let most = succeed(Command::new("sh").args(["-c", "ulimit -Hn"]));
    let most = text(&most.stdout).trim().parse().unwrap_or(u64::MAX).min(4_096);
    assert!(most > 2 * DEVICES, "this system lets a process have {most} open files: `ulimit -Hn`");
    succeed(Command::new("prlimit").args(["--pid", &own, &format!("--nofile={most}:")]));
}

#[test]
fn a_fleet_on_bad_connections_and_a_kill_lose_and_double_nothing_that_was_acknowledged_as_new() {
    let each = if soak() { 1_200 } else { 100 };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    allow_open_files();
    let data = tempfile::tempdir().unwrap();
    let address = free_address();
    let file = pipeline(data.path(), address);
    let run = ["run", file.to_str().unwrap()];
    let mut first = Process::spawn(&mut forebay(data.path(), &run));
    first.address("mqtt");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fleet = Arc::new(Fleet {
        address,
        each,
        begin: Instant::now(),
        stage: AtomicU64::new(BEFORE),
        acknowledged: AtomicU64::new(0),
        breaks: AtomicU64::new(0),
    });
    let devices: Vec<_> = (0..DEVICES)
        .map(|number| {
            let device = Device {
                number,
                fleet: Arc::clone(&fleet),
                outbox: Outbox::new(format!("load/{number}"), qos(number)),
                next: 0,
                dice: fastrand::Rng::with_seed(seed ^ number),
                taken: Vec::new(),
            };
            runtime.spawn(device.run())
        })
        .collect();
    let acknowledged = || fleet.acknowledged.load(Ordering::Relaxed);
    let patience = Duration::from_secs(if soak() { 1_200 } else { 300 });
    eventually("half of it is acknowledged", patience, || acknowledged() >= DEVICES * each / 2);
    fleet.stage.store(DOWN, Ordering::SeqCst);
    drop(first);
    let mut second = Process::spawn(&mut forebay(data.path(), &run));
    second.address("mqtt");
    fleet.stage.store(AFTER, Ordering::SeqCst);
    let taken: Vec<Vec<Taken>> = runtime.block_on(async {
        let mut taken = Vec::new();
        for device in devices {
            let all = timeout(patience, device).await.expect("a device has said everything in time");
            taken.push(all.expect("no device saw what it should not see"));
        }
        taken
    });
    let all = DEVICES * each;
    assert_eq!(acknowledged(), all, "each message was acknowledged once");
    eventually("all are in the table", patience, || {
        std::thread::sleep(Duration::from_millis(500));
        distinct(data.path()) >= all
    });
    check(&taken, &rows(data.path()), fleet.breaks.load(Ordering::Relaxed));
    assert!(second.stop().0);
}

fn check(taken: &[Vec<Taken>], rows: &[Row], breaks: u64) {
    let (mut again, mut twice, mut met) = (0, 0, 0);
    let by_place: HashMap<(u64, u64), &Row> = rows.iter().map(|row| ((row.0, row.1), row)).collect();
    assert_eq!(by_place.len(), rows.len());
    for (device, taken) in (0..).zip(taken) {
        let mut before = None;
        for message in taken {
            let case = format!(
                "device {device} message {}, sent again {} times, met the kill: {}",
                message.seq, message.repeats, message.met_the_kill
            );
            let Some((_, seq, times, low, high, place)) = by_place.get(&(device, message.seq)) else {
                panic!("acknowledged and not there: {case}");
            };
            let may_repeat = qos(device) == 1 || message.met_the_kill;
            let most = 1 + if may_repeat { message.repeats } else { 0 };
            assert!((1..=most).contains(times), "{times} times there, {most} at most: {case}");
            assert_eq!((*low, *high), (value(device, *seq), value(device, *seq)), "altered: {case}");
            assert!(before < Some(*place), "in the log in another order: {case}");
            before = Some(*place);
            again += message.repeats;
            twice += u64::from(*times > 1);
            met += u64::from(message.met_the_kill);
        }
    }
    let sent: usize = taken.iter().map(Vec::len).sum();
    assert_eq!(rows.len(), sent, "nothing is there that nobody sent");
    println!(
        "{sent} messages, {breaks} broken connections, {again} sent again, {met} over the kill, {twice} there again"
    );
    assert!(breaks > DEVICES / 4 && again > 0 && met > 0, "nothing was tried");
}
