use std::path::Path;
use std::time::Duration;

use super::*;
use crate::history::Range;
use crate::testing::{Event, FakeSource, NOW, Text, Topic, event};
use crate::{HistoryAsk, Value};
use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use forebay_core::clock::ManualClock;

mod late;
mod view;

/// A topic, where what is known of it is kept, and the time.
struct Plant {
    dir: tempfile::TempDir,
    topic: Arc<Topic>,
    clock: Arc<ManualClock>,
}

impl Plant {
    /// Of so many partitions.
    fn new(partitions: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, topic: Topic::new(partitions), clock: ManualClock::at(NOW) }
    }

    fn follow(&self) -> Follow {
        Follow {
            pipeline: "p".to_owned(),
            name: "s".to_owned(),
            topic: "t".to_owned(),
            source: Box::new(FakeSource(Arc::clone(&self.topic))),
            format: Arc::new(Text::default()),
            key: None,
            named: Vec::new(),
            event_times: None,
            view: None,
            labels: Vec::new(),
            quiet_after: None,
            memory: 64 << 20,
            data_dir: self.dir.path().to_path_buf(),
            door: Door::new(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        }
    }

    /// A follower, and what it shows.
    fn start(&self) -> (Follower, Arc<SourceLive>) {
        let follower = self.follow().start();
        let live = follower.live();
        (follower, live)
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not in time: {what}");
}

async fn counted(live: &SourceLive, keys: &[&str]) -> u64 {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let ask = HistoryAsk { field: 1, range: Range::Hours24, keys, points: 2_000 };
    let history = live.history(ask).await.unwrap();
    history.series.iter().flat_map(|series| &series.count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_topic_holds_and_what_comes_is_shown() {
    let plant = Plant::new(3);
    for index in 0..100 {
        plant
            .topic
            .send(index % 3, &event(NOW - 60_000 + index as i64, &format!("d{}", index % 10), index as f64));
    }
    let (follower, live) = plant.start();
    eventually("100 records", || live.follower().read == 100).await;
    assert_eq!((live.counts().total, counted(&live, &[]).await), (10, 100));
    assert_eq!(counted(&live, &["d3", "nobody"]).await, 10);
    let mut changes = live.subscribe();
    changes.borrow_and_update();
    plant.topic.send(0, &event(NOW, "new", 7.5));
    tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
    assert_eq!(live.device("new", None).unwrap().values[1], Value::Number(7.5));
    eventually("no lag", || live.follower().lag == Some(0)).await;
    assert!(!live.follower().behind);
    follower.stop().await;
    assert_eq!(*plant.topic.commits.lock(), 0, "the group of the queries is never touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_are_compared_with_the_records_and_kept_over_a_restart() {
    let plant = Plant::new(1);
    // The number of an event is by how many seconds its device is ahead of NOW; one that says none has no time.
    let of = |rows: RecordBatch| {
        let ahead = rows.column(1).as_primitive::<Float64Type>();
        let us = |ahead: f64| NOW * 1_000 + (ahead * 1e6) as i64;
        Some(ahead.iter().map(|ahead| ahead.map(us)).collect::<TimestampMicrosecondArray>())
    };
    let bounds = ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 };
    let follow = || Follow { event_times: Some(EventTimes { of: Box::new(of), bounds }), ..plant.follow() };
    for (key, ahead) in [("good", 0.5), ("fast", 7_200.0), ("slow", -60.0)] {
        plant.topic.send(0, &event(NOW, key, ahead));
    }
    plant.topic.send(0, &Event { t: None, ..event(NOW, "mute", 0.0) });
    for _ in 0..2 {
        let follower = follow().start();
        let live = follower.live();
        eventually("all", || live.follower().read == 4).await;
        let offset = |key: &str| Some(live.device(key, None)?.clock?.offset);
        let offsets = ["good", "fast", "slow", "mute"].map(offset);
        assert_eq!(offsets, [Some(500), Some(7_200_000), Some(-60_000), None]);
        let clocks = live.clocks().unwrap();
        assert_eq!((clocks.ahead, clocks.behind, &*clocks.worst[0].key), (1, 1, "fast"));
        for (sort, keys) in
            [("clock", ["slow", "good", "fast", "mute"]), ("-clock", ["fast", "good", "slow", "mute"])]
        {
            let sort = crate::Sort::parse(sort, live.layout()).unwrap();
            let (_, slice) = live.view(crate::Ask { sort, limit: 10, ..crate::Ask::default() });
            assert_eq!(slice.devices.iter().map(|device| &*device.key).collect::<Vec<_>>(), keys);
        }
        follower.stop().await;
    }
    let (follower, live) = plant.start();
    eventually("all", || live.follower().read == 4).await;
    assert!(live.clocks().is_none(), "a source without event time has no clocks");
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_event_is_shown_within_milliseconds() {
    let plant = Plant::new(1);
    let (follower, live) = plant.start();
    eventually("its start", || live.follower().lag == Some(0)).await;
    let mut changes = live.subscribe();
    let mut took = Vec::new();
    for value in 0..30 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        changes.borrow_and_update();
        let began = Instant::now();
        plant.topic.send(0, &event(NOW, "a", f64::from(value)));
        tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    println!("from the record to the reader: median {:?}, most {:?}", took[15], took[29]);
    assert!(took[15] < Duration::from_millis(50), "{took:?}");
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_have_no_answer_are_refused_in_words() {
    let plant = Plant::new(1);
    let (follower, live) = plant.start();
    let ask = |field, keys| HistoryAsk { field, range: Range::Hours6, keys, points: 10 };
    let error = live.history(ask(0, Vec::new())).await.unwrap_err();
    assert!(error.message().contains("`device_id` has no history"), "{error}");
    assert!(live.history(ask(99, Vec::new())).await.is_err());
    assert!(live.history(ask(1, vec![String::new(); 51])).await.is_err());
    assert!(live.device("nobody", None).is_none());
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_where_the_last_one_ended() {
    let plant = Plant::new(2);
    for run in 1..=3u64 {
        for index in 0..50 {
            plant.topic.send(index % 2, &event(plant.clock.now_ms(), "a", 1.0));
        }
        let (follower, live) = plant.start();
        eventually("all", || live.follower().read == run * 50).await;
        assert_eq!(live.device("a", None).unwrap().count, run * 50);
        assert_eq!(counted(&live, &["a"]).await, run * 50);
        follower.stop().await;
        plant.clock.advance(20 * 60_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_is_repeated_from_its_last_snapshot() {
    let plant = Plant::new(1);
    let mut sent = 0;
    for round in 0..6 {
        let (follower, live) = plant.start();
        for _ in 0..2 {
            for _ in 0..30 {
                plant.topic.send(0, &event(plant.clock.now_ms(), "a", 1.0));
                sent += 1;
            }
            eventually("all", || live.follower().read == sent).await;
            // So that a snapshot is due.
            plant.clock.advance(11_000);
            eventually("a while", || true).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        if round % 2 == 0 {
            follower.task.abort();
            let _ = follower.task.await;
            // What was being published behind may still end: wait for it as the next process would not have to.
            tokio::time::sleep(Duration::from_millis(50)).await;
        } else {
            follower.stop().await;
        }
        plant.clock.advance(9 * 60_000);
    }
    let (follower, live) = plant.start();
    eventually("all", || live.follower().read == sent).await;
    assert_eq!((live.device("a", None).unwrap().count, counted(&live, &["a"]).await), (sent, sent));
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_cannot_be_used_costs_the_history_and_nothing_else() {
    for damage in ["flipped", "version", "cut", "empty", "frames"] {
        let plant = Plant::new(1);
        (0..40).for_each(|_| plant.topic.send(0, &event(NOW - 3_600_000, "a", 1.0)));
        let (follower, live) = plant.start();
        eventually("all", || live.follower().read == 40).await;
        plant.clock.advance(6_000);
        let files = plant.dir.path().join("live/p/s");
        eventually("frames", || std::fs::read_dir(&files).unwrap().count() >= 2).await;
        follower.stop().await;
        let snapshot = files.join("snapshot");
        let mut bytes = std::fs::read(&snapshot).unwrap();
        let middle = bytes.len() / 2;
        match damage {
            "flipped" => bytes[middle] ^= 1,
            "version" => bytes[13] = b'9',
            "cut" => bytes.truncate(middle),
            "empty" => bytes.clear(),
            _ => std::fs::remove_file(files.join("60s-00000000.frames")).unwrap(),
        }
        std::fs::write(&snapshot, &bytes).unwrap();
        let (follower, live) = plant.start();
        eventually("all again", || live.follower().read == 40).await;
        assert_eq!(counted(&live, &[]).await, 40, "{damage}");
        follower.stop().await;
        let aside = listed(&files.join("set-aside"));
        assert_eq!(aside.get(&files.join("set-aside/snapshot")), Some(&Some(bytes)), "{damage}: it is kept");
        assert!(
            aside.contains_key(&files.join("set-aside/10s-00000000.frames")),
            "{damage}: with its frames"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_cannot_be_read_just_now_is_left_as_it_is() {
    let plant = Plant::new(1);
    (0..40).for_each(|_| plant.topic.send(0, &event(NOW - 3_600_000, "a", 1.0)));
    let (follower, live) = plant.start();
    eventually("all", || live.follower().read == 40).await;
    plant.clock.advance(6_000);
    let folder = plant.dir.path().join("live/p/s");
    eventually("frames", || std::fs::read_dir(&folder).unwrap().count() >= 2).await;
    follower.stop().await;

    // A folder cannot be read as a file: neither missing nor damaged.
    let (snapshot, away) = (folder.join("snapshot"), plant.dir.path().join("away"));
    std::fs::rename(&snapshot, &away).unwrap();
    std::fs::create_dir(&snapshot).unwrap();
    let before = listed(&folder);
    let (follower, live) = plant.start();
    eventually("all in memory", || live.follower().read == 40).await;
    let (error, since) = live.follower().unsaved.unwrap();
    assert!(error.message().contains("in memory only") && since == plant.clock.now_ms(), "{error}");
    plant.topic.send(0, &event(plant.clock.now_ms(), "a", 1.0));
    eventually("what comes", || live.follower().read == 41).await;
    // Beyond what memory holds of seconds.
    plant.clock.advance(120_000);
    plant.topic.send(0, &event(NOW - 3_600_000, "a", 1.0));
    eventually("what comes then", || live.follower().read == 42).await;
    // One more: what was read before was looked after by then.
    plant.topic.send(0, &event(NOW - 3_600_000, "a", 1.0));
    eventually("the last", || live.follower().read == 43).await;
    assert_eq!(counted(&live, &["a"]).await, 43);
    follower.stop().await;
    assert_eq!(listed(&folder), before, "nothing was touched");

    std::fs::remove_dir(&snapshot).unwrap();
    std::fs::rename(&away, &snapshot).unwrap();
    let (follower, live) = plant.start();
    eventually("what it had and what came", || live.follower().read == 43).await;
    assert_eq!((live.device("a", None).unwrap().count, counted(&live, &["a"]).await), (43, 43));
    assert!(live.follower().unsaved.is_none());
    follower.stop().await;
}

/// The files of a folder with their bytes.
fn listed(folder: &Path) -> std::collections::BTreeMap<PathBuf, Option<Vec<u8>>> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).ok())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_cannot_be_saved_is_told_until_it_can() {
    let plant = Plant::new(1);
    plant.topic.send(0, &event(NOW, "a", 1.0));
    let (follower, live) = plant.start();
    eventually("the record", || live.follower().read == 1).await;
    let in_the_way = plant.dir.path().join("live/p/s/snapshot.staged");
    std::fs::create_dir(&in_the_way).unwrap();
    plant.clock.advance(11_000);
    eventually("that it is told", || live.follower().unsaved.is_some()).await;
    let (error, since) = live.follower().unsaved.unwrap();
    assert_eq!((error.code().id, since), ("FB-5005", NOW + 11_000), "{error}");
    std::fs::remove_dir(&in_the_way).unwrap();
    plant.clock.advance(11_000);
    eventually("a snapshot", || plant.dir.path().join("live/p/s/snapshot").exists()).await;
    plant.clock.advance(1_000);
    eventually("that all is well", || live.follower().unsaved.is_none()).await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_a_time_happened_when_it_was_read() {
    let plant = Plant::new(1);
    plant.topic.send(0, &event(-1, "none", 1.0));
    plant.topic.send(0, &event(0, "zero", 1.0));
    let (follower, live) = plant.start();
    eventually("the records", || live.follower().read == 2).await;
    for key in ["none", "zero"] {
        assert_eq!((live.device(key, None).unwrap().last_seen, counted(&live, &[key]).await), (NOW, 1));
    }
    assert_eq!(live.follower().too_old, 0);
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_key_begins_anew() {
    let plant = Plant::new(1);
    plant.topic.send(0, &event(NOW, "a", 1.0));
    for key in [None, Some("nothing of the kind".to_owned()), None] {
        let follower = Follow { key: key.clone(), ..plant.follow() }.start();
        let live = follower.live();
        eventually("the record", || live.follower().read == 1).await;
        assert_eq!(live.device("a", None).is_some(), key.is_none());
        assert_eq!(live.counts().total, 1);
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_do_not_decode_are_skipped_in_every_mode() {
    for fails_fast in [false, true] {
        let plant = Plant::new(1);
        for index in 0..20 {
            plant.topic.send(0, &event(NOW, "a", 1.0));
            if index % 5 == 0 {
                plant.topic.send_bytes(0, NOW, b"what is this");
            }
        }
        let format = Arc::new(Text { fails_fast });
        let follower = Follow { format, ..plant.follow() }.start();
        let live = follower.live();
        eventually("all", || live.follower().read == 24).await;
        assert_eq!((live.follower().skipped, live.device("a", None).unwrap().count), (4, 20));
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_told_and_tried_again() {
    let plant = Plant::new(1);
    *plant.topic.fails.lock() = true;
    let (follower, live) = plant.start();
    eventually("the error", || live.follower().error.is_some()).await;
    assert_eq!(live.follower().lag, None);
    plant.clock.advance(11_000);
    eventually("behind", || live.follower().behind).await;
    plant.topic.send(0, &event(NOW, "a", 1.0));
    *plant.topic.fails.lock() = false;
    eventually("the record", || live.follower().read == 1).await;
    eventually("all is well", || live.follower().error.is_none() && !live.follower().behind).await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_refuses_everything_costs_the_past_and_not_the_present() {
    let plant = Plant::new(1);
    std::fs::write(plant.dir.path().join("live"), "a file where a folder should be").unwrap();
    plant.topic.send(0, &event(NOW, "a", 1.0));
    let (follower, live) = plant.start();
    eventually("the record", || live.follower().read == 1).await;
    assert_eq!(live.device("a", None).unwrap().count, 1);
    assert!(live.follower().unsaved.is_some());
    plant.clock.advance(30_000);
    tokio::time::sleep(Duration::from_millis(50)).await;
    plant.topic.send(0, &event(NOW, "a", 1.0));
    eventually("the next", || live.follower().read == 2).await;
    follower.stop().await;
}
