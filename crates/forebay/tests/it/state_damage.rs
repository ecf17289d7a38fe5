//! Snapshots of a query's state: whoever dies while one is written, and whatever becomes of it afterwards, the rows are those
//! of an undisturbed run; and where nothing sound is left, that is said.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::*;

/// Each window's changes are more than a snapshot waits for.
const KEYS: u64 = 9_000;
const WINDOWS: u64 = 3;
const PERIOD_MS: u64 = 900_000;

/// Kill points of a snapshot, in their order.
const POINTS: [&str; 5] = [
    "state.snapshot.before",
    "state.snapshot.half",
    "state.snapshot.staged",
    "state.snapshot.after",
    "state.snapshot.tidied",
];

/// Each key once in each window; a key is a thousand letters long.
fn events() -> Vec<String> {
    let step = PERIOD_MS / KEYS;
    let key = |number: u64| format!("k{number}-{}", proof("key", number).repeat(60));
    (0..KEYS * WINDOWS)
        .map(|seq| {
            let at = 1_700_100_000_000 + seq * step;
            format!(r#"{{"key": "{}", "seq": {seq}, "at": {at}}}"#, key(seq * 7_919 % KEYS))
        })
        .collect()
}

fn pipeline(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let file = dir.join("long.yaml");
    let text = format!(
        "pipeline: long
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: long, startingOffsets: earliest, maxOffsetsPerTrigger: 1500 }}
    value: json
    schema: key STRING, seq BIGINT, at BIGINT
    watermark: {{ column: timestamp_millis(at), delay: 10 seconds }}
queries:
  each:
    sql: SELECT window.start AS start, substring(key, 1, 8) AS name, count(*) AS n, sum(seq) AS total FROM events GROUP BY window(timestamp_millis(at), '900 seconds'), key
    format: delta
    options: {{ path: each }}
    trigger: availableNow
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn run(data: &Path, log: &LogServer) -> Command {
    let file = pipeline(data, log.address);
    forebay(data, &["run", file.to_str().unwrap(), "--no-live"])
}

/// The rows, sorted, and the ledger.
fn outcome(data: &Path) -> (Vec<String>, Value) {
    let mut rows: Vec<String> = table_rows(data, &data.join("each")).iter().map(Value::to_string).collect();
    rows.sort();
    (rows, last_commit(data, "long", "each")["ledger"].clone())
}

/// The files of the state whose names begin so, the oldest first.
fn files(data: &Path, kind: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(data.join("checkpoints/long/each/state")).unwrap();
    let mut files: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(kind));
    files.sort();
    files
}

/// Turns a bit in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

/// What `checkpoint show` says of a file with another query beside, whose checkpoint is as sound as the first one's was.
fn showing(data: &Path, status: i32, told: &[&str]) {
    let file = pipeline(data, "127.0.0.1:9".parse().unwrap());
    let second = std::fs::read_to_string(&file).unwrap();
    let query = second.split_once("queries:\n").unwrap().1.replace("each", "other");
    std::fs::write(&file, second + &query).unwrap();
    let checkpoints = data.join("checkpoints/long");
    let other = checkpoints.join("other");
    succeed(Command::new("cp").arg("-r").arg(checkpoints.join("each")).arg(&other));
    std::fs::remove_dir_all(other.join("state")).unwrap();
    let output = forebay(data, &["checkpoint", "show", file.to_str().unwrap()]).output().unwrap();
    std::fs::remove_dir_all(other).unwrap();
    let said = all(&output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for part in
        told.iter().chain(&["  damaged  ", "query    each of pipeline long", "  watermark ", "  commit "])
    {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    assert_eq!(said.matches("\ncheckpoint ").count() + 1, 2, "the other query is shown too\n{said}");
}

fn all(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn death_in_a_snapshot_and_damage_to_it_change_no_row() {
    let log = LogServer::start();
    make_topic(log.address, "long", 1);
    log.produce("long", &events());
    let calm = tempfile::tempdir().unwrap();
    succeed(&mut run(calm.path(), &log));
    let expected = outcome(calm.path());
    assert_eq!(expected.0.len() as u64, KEYS * (WINDOWS - 1), "the last window stays open");
    assert_eq!(files(calm.path(), "snapshot-").len(), 2, "the newest and the one before it");

    let modes: &[&str] = if soak() { &["kill", "lose"] } else { &["lose"] };
    for point in POINTS {
        for mode in modes {
            let data = tempfile::tempdir().unwrap();
            let died = armed(&mut run(data.path(), &log), point, mode).output().unwrap();
            assert!(died_there(died.status), "{point} {mode}: {}", all(&died));
            succeed(&mut run(data.path(), &log));
            assert!(outcome(data.path()) == expected, "{point} {mode}");
        }
    }

    // What the run left, twice more: with its newest snapshot damaged, and with nothing left that is sound.
    let copy = || {
        let data = tempfile::tempdir().unwrap();
        let from = format!("{}/.", calm.path().display());
        succeed(Command::new("cp").args(["-r", &from]).arg(data.path()));
        data
    };
    let (hurt, lost) = (copy(), copy());
    damage(files(hurt.path(), "snapshot-").last().unwrap());
    for kind in ["snapshot-", "changes-"] {
        files(lost.path(), kind).iter().for_each(|path| damage(path));
    }
    showing(
        hurt.path(),
        0,
        &["snapshot-", "fails its checksum", "the next start passes it over and takes snapshot-"],
    );
    showing(lost.path(), 1, &["snapshot-", "fails its checksum", "the next start is refused (FB-6007)"]);
    // A record behind the last window's end.
    let end = 1_700_100_000_000 + PERIOD_MS * (WINDOWS + 1);
    log.produce("long", &[format!(r#"{{"key": "end", "seq": 0, "at": {end}}}"#)]);
    succeed(&mut run(calm.path(), &log));
    let expected = outcome(calm.path());
    assert_eq!(expected.0.len() as u64, KEYS * WINDOWS);
    let restored = succeed(&mut run(hurt.path(), &log));
    assert!(all(&restored).contains("is damaged; trying what came before it"), "{}", all(&restored));
    assert!(outcome(hurt.path()) == expected, "from the snapshot before the damaged one");

    let kept = || table_rows(lost.path(), &lost.path().join("each")).len() as u64;
    let refused = run(lost.path(), &log).output().unwrap();
    let said = all(&refused);
    assert!(!refused.status.success(), "{said}");
    for part in
        ["FB-6007", "the query's state cannot be read", "checkpoints/long/each/state/", "checkpointLocation"]
    {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    assert_eq!(kept(), KEYS * (WINDOWS - 1), "and nothing was written");
}
