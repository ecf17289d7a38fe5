//! Alerts whose process is killed at random: each transition is in the journal once, and who is told hears of each under one key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alert_rules::Receiver;
use crate::alerts::{expected, found};
use crate::support::*;

const EVENTS: u64 = 3_000;

/// Of the condition: so long that all that is to be told of a round may wait in the journal at a time.
const PERIOD: u64 = 600;

/// A pipeline in a folder: alerts of all devices, and who is told of them. Epochs are small, so that a kill meets one.
fn pipeline(dir: &Path, log: &LogServer, receiver: &Receiver) -> PathBuf {
    let file = dir.join("watch.yaml");
    let text = format!(
        "pipeline: watch\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 60 }}\n\
         \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
         queries:\n  screen:\n    sql: SELECT * FROM events WHERE device = 'nobody'\n    format: console\n    trigger: availableNow\n\
         alerts:\n  high: {{ on: events, key: device, when: seq % {PERIOD} >= {} }}\n\
         channels:\n  ops:\n    format: webhook\n    options: {{ url: \"http://{}/hook\", allowLocal: true }}\n",
        log.address,
        PERIOD / 2,
        receiver.address,
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// What was told: of each transition the keys under which it came, with its event.
fn told(receiver: &Receiver) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut told: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for (headers, body) in receiver.posts() {
        for line in body["transitions"].as_array().into_iter().flatten() {
            let word = |name: &str| line[name].as_str().map(str::to_owned).unwrap();
            let of = told.entry(word("transition")).or_insert_with(|| (word("event"), BTreeSet::new()));
            assert_eq!(of.0, word("event"), "one transition, two events: {line}");
            of.1.insert(headers["idempotency-key"].clone());
        }
    }
    told
}

/// How long the alert's journal is: it grows with each epoch that is committed.
fn written(data: &Path) -> u64 {
    std::fs::metadata(data.join("checkpoints/watch/alerts.high/alerts")).map_or(0, |file| file.len())
}

/// As many rounds as it takes, each from nothing to the end of the topic: 0 transitions missing, 0 double.
#[test]
fn kill_minus_nine_at_random_moments_leaves_each_transition_once() {
    let seed: u64 = std::env::var("FOREBAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let wanted = if soak() { 1_000 } else { 10 };
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    let events: Vec<String> =
        proof_events(EVENTS).iter().enumerate().map(|(seq, event)| format!("d{}|{event}", seq % 7)).collect();
    produce_with(log.address, "events", &events, &["--key-separator", "|"]);
    let expected = expected(EVENTS, PERIOD);
    let cleared = expected.iter().filter(|(.., cleared)| cleared.is_some()).count();
    assert!((30..100).contains(&(expected.len() + cleared)), "{}", expected.len());

    let (mut kills, mut in_the_middle) = (0, 0);
    while kills < wanted {
        let (data, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(&[]));
        let file = pipeline(data.path(), &log, &receiver);
        let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow", "--query", "alerts/high"];
        let before_round = kills;
        loop {
            assert!(kills < before_round + 100, "seed {seed}: a hundred runs, and none came to its end");
            let before = written(data.path());
            let mut process = Process::spawn(&mut forebay(data.path(), &args));
            let moment = Duration::from_millis(random.u64(50..700));
            let deadline = std::time::Instant::now() + moment;
            while std::time::Instant::now() < deadline && process.child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if let Some(status) = process.child.try_wait().unwrap() {
                assert!(status.success(), "seed {seed}: {status}: {}", process.all_said());
                break;
            }
            process.child.kill().unwrap();
            process.child.wait().unwrap();
            kills += 1;
            in_the_middle += usize::from(written(data.path()) > before);
        }
        let context = format!("seed {seed}, after {kills} kills");
        assert_eq!(found(data.path(), &context), expected, "{context}");
        assert_ledger(&last_commit(data.path(), "watch", "alerts.high")["ledger"], EVENTS);
        let told = told(&receiver);
        let opened = told.values().filter(|(event, _)| event == "opened").count();
        assert_eq!((opened, told.len() - opened), (expected.len(), cleared), "{context}: what was told");
        let twice: Vec<_> = told.iter().filter(|(_, (_, keys))| keys.len() > 1).collect();
        assert!(twice.is_empty(), "{context}: told under two keys: {twice:?}");
    }
    assert!(
        in_the_middle * 4 > kills,
        "seed {seed}: only {in_the_middle} of {kills} kills met epochs on their way"
    );
}
