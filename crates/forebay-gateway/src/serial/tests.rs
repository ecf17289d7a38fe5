//! Played over a pair of pseudo-terminals: what is written into the one side is what an Arduino would write.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use forebay_core::Error;
use forebay_core::clock::SystemClock;
use forebay_core::config::{Payload, RouteConfig, Target};
use forebay_core::error::codes;
use forebay_core::route::Pattern;
use parking_lot::Mutex;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;
use crate::{Delivery, Place, Record, RouteTable, delivery};

#[derive(Default)]
struct Memory {
    records: Mutex<Vec<Record>>,
    is_away: AtomicBool,
}

#[async_trait]
impl Log for Memory {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        let away = self.is_away.load(Ordering::Relaxed);
        let each = records.into_iter().map(|record| {
            let (settle, waits) = delivery();
            let topic = Arc::clone(&record.topic);
            settle.settle(match away {
                true => Err(Refusal::Unknown(Error::new(&codes::SOURCE_UNAVAILABLE, "away"))),
                false => {
                    self.records.lock().push(record);
                    Ok(Place { topic, partition: 0, offset: 0 })
                }
            });
            waits
        });
        each.collect()
    }
}

/// The side of the device, and the name of the other.
fn device() -> (File, PathBuf) {
    let own: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&own).unwrap();
    unlockpt(&own).unwrap();
    let name = ptsname(&own, Vec::new()).unwrap().into_string().unwrap();
    (File::from(own), name.into())
}

struct Stand {
    serial: Arc<Serial>,
    log: Arc<Memory>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn stand(port: &Path, form: Form, buffer: usize) -> Stand {
    let target = |topic: &str| Target {
        topic: topic.into(),
        key: None,
        payload: Payload::Json,
        wrap: None,
        fields: Vec::new(),
        received_at: None,
        headers: Vec::new(),
        properties: false,
        rebirth: false,
    };
    let route = |pattern: &str, topic: &str| RouteConfig {
        pattern: Pattern::parse(pattern).unwrap(),
        target: Some(target(topic)),
    };
    let table = RouteTable::new(&[route("bench/dht11", "dht"), route("bench", "rest")]);
    let settings =
        Settings { name: "bench".into(), port: port.into(), baud: 115_200, form, max_line: 64, buffer };
    let (serial, log, stop) =
        (Arc::new(Serial::new(settings)), Arc::new(Memory::default()), CancellationToken::new());
    let own: Arc<dyn Log> = Arc::<Memory>::clone(&log);
    let running =
        tokio::spawn(Arc::clone(&serial).run(Arc::new(table), own, Arc::new(SystemClock), stop.clone()));
    Stand { serial, log, stop, running }
}

impl Stand {
    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if is(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what}: {:?} {:?}", self.serial.counts(), self.texts());
    }

    async fn end(&mut self) {
        (&mut self.running).await.unwrap();
    }

    fn count(&self, what: &str) -> u64 {
        self.serial.counts().into_iter().find(|(name, _)| *name == what).unwrap().1
    }

    fn texts(&self) -> Vec<String> {
        let text = |record: &Record| format!("{} {}", record.topic, String::from_utf8_lossy(&record.value));
        self.log.records.lock().iter().map(text).collect()
    }
}

#[tokio::test]
async fn lines_of_a_port_become_records_and_what_is_torn_does_not() {
    let (mut device, port) = device();
    let mut stand = stand(&port, Form::KeyValue, 1 << 20);
    stand.until("open", |stand| stand.count("opened") == 1).await;
    device.write_all(b"perature=1\ndht11 temperature=21.50,hum").unwrap();
    device.write_all(b"idity=40\r\n\xff\xfe\x00\n").unwrap();
    device.write_all(format!("x={}\n", "9".repeat(100)).as_bytes()).unwrap();
    // A reset in mid-line.
    device.write_all(b"dht11 temperature=2dht11 temperature=22\nother a=1\ndht11 temperature=23\n").unwrap();
    stand.until("all", |stand| stand.count("taken") == 4).await;
    assert_eq!(
        stand.texts(),
        [
            "dht {\"temperature\":21.50,\"humidity\":40}",
            "rest \u{fffd}\u{fffd}\0",
            "rest dht11 temperature=2dht11 temperature=22",
            "dht {\"temperature\":23}"
        ]
    );
    assert_eq!((stand.count("torn"), stand.count("too_long"), stand.count("refused")), (1, 1, 1));
    stand.stop.cancel();
    stand.end().await;
}

#[tokio::test]
async fn a_port_that_is_unplugged_is_opened_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("ttyACM0");
    let mut stand = stand(&link, Form::AsIs, 1 << 20);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for round in 1..=2u64 {
        let (mut device, port) = device();
        std::os::unix::fs::symlink(&port, &link).unwrap();
        stand.until("open", |stand| stand.count("opened") == round).await;
        device.write_all(format!("rn\n{{\"n\":{round}}}\n{{\"n\":").as_bytes()).unwrap();
        stand.until("taken", |stand| stand.count("taken") == round).await;
        #[allow(clippy::disallowed_methods, reason = "a plug is pulled")]
        std::fs::remove_file(&link).unwrap();
        drop(device);
    }
    assert_eq!(stand.texts(), ["rest {\"n\":1}", "rest {\"n\":2}"]);
    stand.stop.cancel();
    stand.end().await;
}

#[tokio::test]
async fn lines_wait_for_a_log_that_is_away_to_a_bound_and_keep_their_order() {
    let (mut device, port) = device();
    let mut stand = stand(&port, Form::AsIs, 10 * 140);
    stand.log.is_away.store(true, Ordering::Relaxed);
    stand.until("open", |stand| stand.count("opened") == 1).await;
    device.write_all(b"\n").unwrap();
    for line in 10..40 {
        device.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    stand.until("read", |stand| stand.count("lines") == 30).await;
    stand.log.is_away.store(false, Ordering::Relaxed);
    let kept = 30 - stand.count("no_room");
    assert!((5..30).contains(&kept), "{kept}");
    stand.stop.cancel();
    stand.until("taken", |stand| stand.count("taken") == kept).await;
    stand.end().await;
    let expected: Vec<String> = (10..10 + kept).map(|line| format!("rest {line}")).collect();
    assert_eq!(stand.texts(), expected);
}
