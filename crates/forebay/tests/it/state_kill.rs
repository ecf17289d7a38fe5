//! kill -9 at random moments while the state holds 100,000 keys: the rows and the ledger are those of an undisturbed run.
//!
//! The moments are chosen by the clock and not by kill points, so they fall where nobody thought of: in the middle of a
//! changelog's write, of a snapshot in the background, of a state that is being read back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::*;

const KEYS: u64 = 100_000;
/// Each key once in each of so many windows; the last stays open.
const WINDOWS: u64 = 3;
/// A window is as long as it takes to send each key once.
const PERIOD_MS: u64 = 1_000_000;

/// Neighbours are no neighbours by name, and a window's keys come evenly over its time.
fn events() -> Vec<String> {
    let step = PERIOD_MS / KEYS;
    (0..KEYS * WINDOWS)
        .map(|seq| {
            let at = 1_700_000_000_000 + seq * step;
            format!(r#"{{"key": "k{}", "seq": {seq}, "at": {at}}}"#, seq * 7_919 % KEYS)
        })
        .collect()
}

fn pipeline(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let file = dir.join("keys.yaml");
    let text = format!(
        "pipeline: keys
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: keys, startingOffsets: earliest, maxOffsetsPerTrigger: 12000 }}
    value: json
    schema: key STRING, seq BIGINT, at BIGINT
    watermark: {{ column: timestamp_millis(at), delay: 10 seconds }}
queries:
  each:
    sql: SELECT window.start AS start, key, count(*) AS n, sum(seq) AS total FROM events GROUP BY window(timestamp_millis(at), '1000 seconds'), key
    format: delta
    options: {{ path: each }}
    trigger: availableNow
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The rows, sorted, and the ledger.
fn outcome(data: &Path) -> (Vec<String>, Value) {
    let mut rows: Vec<String> = table_rows(data, &data.join("each")).iter().map(Value::to_string).collect();
    rows.sort();
    (rows, last_commit(data, "keys", "each")["ledger"].clone())
}

#[test]
fn kill_minus_nine_with_a_hundred_thousand_keys_leaves_the_rows_of_an_undisturbed_run() {
    let log = LogServer::start();
    make_topic(log.address, "keys", 1);
    log.produce("keys", &events());
    let run = |data: &Path| {
        let file = pipeline(data, log.address);
        forebay(data, &["run", file.to_str().unwrap(), "--no-live"])
    };
    let calm = tempfile::tempdir().unwrap();
    let began = Instant::now();
    succeed(&mut run(calm.path()));
    let whole_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    let (expected, ledger) = outcome(calm.path());
    // The last window stays open.
    assert_eq!(expected.len() as u64, KEYS * (WINDOWS - 1));
    assert_eq!(ledger["read"], KEYS * WINDOWS, "{ledger}");

    let seed = std::env::var("FOREBAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}: FOREBAY_SEED={seed} kills at the same moments");
    let mut random = fastrand::Rng::with_seed(seed);
    let rounds = if soak() { 20 } else { 1 };
    for round in 0..rounds {
        let data = tempfile::tempdir().unwrap();
        let mut deaths = 0;
        // A run that is always killed while it reads its state would never end: each may live a little longer. The first four
        // together do not live as long as the undisturbed run.
        for patience_ms in (0..if soak() { 40 } else { 12 }).map(|n| 30 + whole_ms / 24 * (4 + n)) {
            let mut child = Process::spawn(&mut run(data.path()));
            std::thread::sleep(Duration::from_millis(random.u64(20..patience_ms)));
            if child.child.try_wait().unwrap().is_some() {
                break;
            }
            child.child.kill().unwrap();
            child.child.wait().unwrap();
            deaths += 1;
        }
        assert!(deaths > 3, "seed {seed}: only {deaths} runs were killed");
        succeed(&mut run(data.path()));
        let (rows, found) = outcome(data.path());
        assert_eq!(found, ledger, "seed {seed}, round {round}");
        assert!(
            rows == expected,
            "seed {seed}, round {round}: {} rows, not those {}",
            rows.len(),
            expected.len()
        );
    }
}
