//! Followers: a run keeps what a person sees of its sources, and what it knows survives every end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use forebay_connectors::{formats, sources};
use forebay_core::clock::SystemClock;
use forebay_core::config::ValueConfig;
use forebay_core::ddl;
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;
use forebay_core::source::Wanted;
use forebay_live::{Follow, HistoryAsk, Range};
use forebay_storage::Door;
use serde_json::Value;

use crate::support::*;

/// Follows the topic of a [`copy_pipeline`] in this process, from what a run has left, until it has read `count` records;
/// each must be there once.
fn assert_history(data: &Path, address: SocketAddr, count: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let follower = follow(data, address).start();
        let live = follower.live();
        for _ in 0..3_000 {
            if live.follower().read >= count && live.follower().lag == Some(0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let status = live.follower();
        assert_eq!((status.read, status.skipped, status.too_old), (count, 0, 0), "{status:?}");
        assert_eq!(live.counts().total, 7);
        let counted: u64 = (0..7).map(|device| live.device(&format!("d{device}"), None).unwrap().count).sum();
        assert_eq!(counted, count);
        let field = live.layout().field("seq").unwrap();
        let ask = HistoryAsk { field, range: Range::Hours24, keys: Vec::new(), points: 10 };
        let series = live.history(ask).await.unwrap().series.remove(0);
        assert_eq!(series.count.iter().sum::<u64>(), count);
        let most = series.max.iter().flatten().copied().fold(f64::MIN, f64::max);
        assert_eq!(most, (count - 1) as f64);
        follower.stop().await;
    });
}

fn follow(data: &Path, address: SocketAddr) -> Follow {
    let options = BTreeMap::from([
        ("subscribe".to_owned(), "events".to_owned()),
        ("startingOffsets".to_owned(), "earliest".to_owned()),
        ("kafka.bootstrap.servers".to_owned(), address.to_string()),
    ]);
    let options = Options::parse(sources::spec("kafka").unwrap(), &options).unwrap();
    let value = ValueConfig {
        format: "json".to_owned(),
        options: Options::parse(formats::SPECS[0], &BTreeMap::new()).unwrap(),
        schema: ddl::parse(PROOF_SCHEMA).unwrap(),
        ddl: PROOF_SCHEMA.to_owned(),
        mode: BadRecordMode::Quarantine,
        expect: Default::default(),
    };
    Follow {
        pipeline: "copy".to_owned(),
        name: "events".to_owned(),
        topic: "events".to_owned(),
        source: sources::build("kafka", &options, Wanted::default(), None).unwrap(),
        format: formats::build(&value).unwrap(),
        key: None,
        named: Vec::new(),
        event_times: None,
        view: None,
        labels: Vec::new(),
        quiet_after: None,
        memory: 64 << 20,
        data_dir: data.to_path_buf(),
        door: Door::new(),
        clock: Arc::new(SystemClock),
    }
}

fn run(data: &Path, log: &LogServer) -> Process {
    let file = copy_pipeline(data, log.address, "events", 700);
    Process::spawn(&mut forebay(data, &["run", file.to_str().unwrap(), "--trigger", "default"]))
}

fn has_read(http: SocketAddr, count: u64) -> bool {
    get(http, "/api/v1/ledger").1.contains(&format!("\"read\":{count}"))
}

#[test]
fn what_a_run_followed_is_there_in_the_next() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    for count in [300, 500] {
        let events = proof_events(count);
        log.produce("events", if count == 300 { &events } else { &events[300..] });
        let mut process = run(data.path(), &log);
        let http = process.address("http");
        eventually("the records", Duration::from_secs(20), || has_read(http, count));
        assert!(process.stop().0);
        assert!(data.path().join("live/copy/events/snapshot").exists(), "a clean end leaves a snapshot");
    }
    assert_history(data.path(), log.address, 500);
}

#[test]
fn a_power_cut_takes_nothing_from_a_snapshot_that_has_its_name() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let events = proof_events(500);
    log.produce("events", &events[..300]);
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let mut command = forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "default"]);
    // The first epoch takes what is there; the second one dies, and with it goes whatever was not fsynced.
    let mut process = Process::spawn(armed(&mut command, "epoch.commit.after:2", "lose"));
    process.address("http");
    let snapshot = data.path().join("live/copy/events/snapshot");
    eventually("a snapshot", Duration::from_secs(40), || snapshot.exists());
    std::thread::sleep(Duration::from_millis(500));
    let before = std::fs::read(&snapshot).unwrap();
    log.produce("events", &events[300..]);
    eventually("the end", Duration::from_secs(20), || process.child.try_wait().unwrap().is_some());
    assert_eq!(std::fs::read(&snapshot).unwrap(), before, "it was durable");
    assert_history(data.path(), log.address, 500);
}

#[test]
fn a_run_that_may_open_few_files_works() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    log.produce("events", &proof_events(300));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let plain = forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "default"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args());
    let mut process = Process::spawn(&mut command);
    let http = process.address("http");
    eventually("the records", Duration::from_secs(20), || has_read(http, 300));
    assert_eq!(get(http, "/health").0, 200);
    assert!(process.stop().0);
    assert_history(data.path(), log.address, 300);
}

#[test]
fn a_history_that_is_not_saved_is_told_by_health_and_metrics() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    log.produce("events", &proof_events(10));
    // A folder in its place can be neither read nor replaced.
    let snapshot = data.path().join("live/copy/events/snapshot");
    std::fs::create_dir_all(&snapshot).unwrap();
    let mut process = run(data.path(), &log);
    let http = process.address("http");
    eventually("that it is told", Duration::from_secs(30), || get(http, "/health").0 == 503);
    let health: Value = serde_json::from_str(&get(http, "/health").1).unwrap();
    let problem = &health["problems"][0];
    assert_eq!((&problem["source"], &problem["query"]), (&"events".into(), &Value::Null), "{health}");
    assert!(problem["code"] == "FB-5005" && problem["hint"].as_str().unwrap().contains("start again"));
    let metrics = get(http, "/metrics").1;
    let labels = "{pipeline=\"copy\",source=\"events\"}";
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name}{labels} ")));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    };
    assert!(value("forebay_history_unsaved_seconds") > 0.0);
    eventually("the records", Duration::from_secs(20), || {
        let metrics = get(http, "/metrics").1;
        metrics.contains(&format!("forebay_follower_lag_records{labels} 0"))
    });
    assert!(process.stop().0 && snapshot.is_dir(), "it is left as it is");
}

#[test]
fn a_run_that_ends_by_itself_follows_nothing() {
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert!(!data.path().join("live").exists());
}
