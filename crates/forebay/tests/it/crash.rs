//! Whatever dies when, every row arrives once: the crash table as a test.
//!
//! Each kill point is hit in two ways: the process dies with the page cache intact, and it dies with everything that
//! was not fsynced taken back. After each death the query is started again and every row is compared.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::quarantine::listed;
use crate::support::*;

const EVENTS: u64 = 3_000;

/// Records between them that do not decode.
const BAD: u64 = EVENTS / 100;

const PER_EPOCH: u64 = 700;

/// Starts the pipeline with a kill point armed.
fn run_armed(data: &Path, file: &Path, point: &str, hit: u32, mode: &str, more: &[(&str, &str)]) -> Output {
    let mut command = forebay(data, &["run", file.to_str().unwrap()]);
    armed(&mut command, &format!("{point}:{hit}"), mode).envs(more.iter().copied()).output().unwrap()
}

/// The same; true if it died there.
pub fn run_until_killed(
    data: &Path,
    file: &Path,
    point: &str,
    hit: u32,
    mode: &str,
    more: &[(&str, &str)],
) -> bool {
    let output = run_armed(data, file, point, hit, mode, more);
    let died = died_there(output.status);
    assert!(died || output.status.success(), "{point}: {}", text(&output.stderr));
    died
}

/// [`EVENTS`] good records, and [`BAD`] ones between them.
fn events() -> Vec<String> {
    let mut events = Vec::new();
    for (index, event) in proof_events(EVENTS).into_iter().enumerate() {
        events.push(event);
        if index % 100 == 50 {
            events.push(format!("{{\"device\": \"d{index}\", \"se"));
        }
    }
    events
}

fn finish(data: &Path, file: &Path, context: &str) {
    succeed(&mut forebay(data, &["run", file.to_str().unwrap()]));
    let rows = table_rows(data, &data.join("table"));
    assert_exactly_once(&rows, EVENTS, context);
    assert_eq!(listed(data).len() as u64, BAD, "{context}: each bad record is in the quarantine once");
    assert_counts(data, context, [EVENTS + BAD, EVENTS, BAD, 0]);
    let bytes: usize = events().iter().map(String::len).sum();
    assert_eq!(last_commit(data, "copy", "lake")["ledger"]["bytesRead"], bytes, "{context}: bytes of values");
}

/// The ledger of the copy says so: read, emitted, quarantined, replayed. That it adds up the engine sees to.
pub fn assert_counts(data: &Path, context: &str, expected: [u64; 4]) {
    let ledger = &last_commit(data, "copy", "lake")["ledger"];
    let names = ["read", "emitted", "quarantined", "replayed"];
    assert_eq!(names.map(|name| ledger[name].as_u64().unwrap()), expected, "{context}: {ledger}");
    assert_eq!(ledger["rowsOut"], ledger["emitted"], "{context}: {ledger}");
}

#[test]
fn every_kill_point_leaves_every_row_once() {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &events());
    let hits: &[u32] = if soak() { &[1, 2, 3] } else { &[2] };
    let points = epoch_points(&["sink.delta.file", "sink.delta.commit."]);
    assert_eq!(points.len(), 14, "{points:?}");
    for point in points {
        for mode in ["kill", "lose"] {
            for hit in hits {
                let data = tempfile::tempdir().unwrap();
                let file = copy_pipeline(data.path(), log.address, "events", PER_EPOCH);
                let context = format!("{point}:{hit} {mode}");
                assert!(
                    run_until_killed(data.path(), &file, point, *hit, mode, &[]),
                    "{context}: the point was not reached"
                );
                finish(data.path(), &file, &context);
            }
        }
    }
}

#[test]
fn dying_again_and_again_during_recovery_leaves_every_row_once() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    log.produce("events", &events());
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", PER_EPOCH);
    let mut deaths = 0;
    for point in [
        "sink.delta.commit.after",
        "epoch.read.after",
        "sink.delta.commit.before",
        "epoch.commit.before",
        "epoch.commit.before",
    ] {
        deaths += u32::from(run_until_killed(data.path(), &file, point, 1, "lose", &[]));
    }
    assert_eq!(deaths, 5, "recovery itself must die each time");
    finish(data.path(), &file, "after five deaths");
}

/// What is found after a death and a restart.
#[derive(Debug)]
struct Found {
    /// What the restart said, if it was refused or fails again and again.
    refused: Option<String>,
    /// The table compared with the events; `None` if it cannot be read.
    table: Option<Verdict>,
    /// Records in the quarantine.
    quarantined: u64,
}

/// Runs the pipeline to its end; what it said if it did not end well or only tried again.
fn refused(data: &Path, file: &Path) -> Option<String> {
    let said = data.join("said");
    let mut command = forebay(data, &["run", file.to_str().unwrap()]);
    let stderr = std::fs::File::create(&said).unwrap();
    let mut process = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(&said).unwrap();
        match process.try_wait().unwrap() {
            Some(ended) => return (!ended.success()).then_some(text),
            None if text.contains("trying again") || Instant::now() > deadline => {
                process.kill().unwrap();
                process.wait().unwrap();
                return Some(text);
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn found_after_restart(data: &Path, file: &Path) -> Found {
    let refused = refused(data, file);
    let sql = format!("SELECT * FROM delta.`{}`", data.join("table").display());
    let read = forebay(data, &["query", "--format", "json", &sql]).output().unwrap();
    let rows: Vec<_> =
        text(&read.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Found {
        refused,
        table: read.status.success().then(|| compare(&rows, EVENTS)),
        quarantined: listed(data).len() as u64,
    }
}

/// Taking out an fsync must be noticed. Here it is taken out on purpose, and the comparison must find the very damage
/// that this fsync prevents: the proof that the tests above could fail.
#[test]
fn a_missing_fsync_would_be_noticed() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    log.produce("events", &events());
    type Noticed = fn(&Found) -> bool;
    let cases: [(&str, &str, Noticed); 6] = [
        // Nothing is left out: nothing is noticed.
        ("nothing of this name", "epoch.commit.after", |found| {
            let whole = Verdict { compared: EVENTS, ..Verdict::default() };
            found.refused.is_none() && found.table == Some(whole) && found.quarantined == BAD
        }),
        // Without the journal's fsync, a plan is forgotten whose epoch is in the table.
        ("journal$", "sink.delta.commit.after", |found| {
            found.refused.as_ref().is_some_and(|said| {
                said.contains("FB-6003") && said.contains("but the checkpoint knows nothing")
            })
        }),
        // Without the fsync of the data files, a committed epoch has lost its rows: they are named and empty.
        (".parquet", "epoch.commit.after", |found| found.table.is_none()),
        // Without the fsync of the table's log, commits are forgotten that the checkpoint counts.
        ("_delta_log$", "epoch.commit.after", |found| {
            found.refused.as_ref().is_some_and(|said| said.contains("FB-6006"))
                && found.table.as_ref().is_some_and(|table| table.lost > 0 && table.doubled == 0)
        }),
        // Without the fsync of what is in such a commit, its name is there and it is empty.
        ("_commit_", "epoch.commit.after", |found| {
            found.refused.as_ref().is_some_and(|said| said.contains("FB-500")) && found.table.is_none()
        }),
        // Without the quarantine's fsync, records are counted as set aside that are nowhere.
        (".jsonl$", "epoch.commit.after", |found| {
            let whole = Verdict { compared: EVENTS, ..Verdict::default() };
            found.refused.is_none() && found.table == Some(whole) && found.quarantined < BAD
        }),
    ];
    for (skipped, point, noticed) in cases {
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", PER_EPOCH);
        let died = run_until_killed(data.path(), &file, point, 2, "lose", &[("FOREBAY_SKIP_SYNC", skipped)]);
        assert!(died, "{skipped}: the point was not reached");
        let found = found_after_restart(data.path(), &file);
        assert!(noticed(&found), "without the fsync of `{skipped}`: {found:?}");
    }
}

/// The rows of the tables that the console sink printed.
fn printed_rows(printed: &str) -> Vec<serde_json::Value> {
    let cells = printed.lines().filter_map(|line| {
        let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?, cells.next()?.parse::<u64>().ok()?, cells.next()?))
    });
    cells
        .map(|(device, seq, hash)| serde_json::json!({ "device": device, "seq": seq, "hash": hash }))
        .collect()
}

#[test]
fn the_journal_is_rewritten_without_losing_its_place() {
    const RECORDS: u64 = 1_300;
    let log = LogServer::start();
    log.produce("events", &proof_events(RECORDS));
    for point in ["checkpoint.compact.before", "checkpoint.compact.after"] {
        let data = tempfile::tempdir().unwrap();
        // Two records an epoch into a table would take long. The console prints them, and the commit before the
        // rewriting is durable, so that even there each comes once.
        let file = copy_pipeline(data.path(), log.address, "events", 2);
        let pipeline = std::fs::read_to_string(&file).unwrap();
        let pipeline = pipeline
            .replace("format: delta", "format: console")
            .replace("options: { path: table }", "options: { numRows: 10, truncate: false }");
        std::fs::write(&file, pipeline).unwrap();
        let killed = run_armed(data.path(), &file, point, 1, "lose", &[]);
        assert!(died_there(killed.status), "{point}: not reached");
        let rest = succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        let printed = text(&killed.stdout) + &text(&rest.stdout);
        assert_exactly_once(&printed_rows(&printed), RECORDS, point);
        assert_ledger(&last_commit(data.path(), "copy", "lake")["ledger"], RECORDS);
    }
}

#[test]
fn an_older_copy_of_the_checkpoint_is_refused() {
    let log = LogServer::start();
    log.produce("events", &events());
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", PER_EPOCH);
    assert!(run_until_killed(data.path(), &file, "epoch.commit.after", 2, "kill", &[]));
    let checkpoint = data.path().join("checkpoints/copy/lake");
    let older = std::fs::read(checkpoint.join("journal")).unwrap();
    finish(data.path(), &file, "the newer run");
    std::fs::write(checkpoint.join("journal"), older).unwrap();
    let output = forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("FB-6003"), "{}", text(&output.stderr));
    let rows = table_rows(data.path(), &data.path().join("table"));
    assert_exactly_once(&rows, EVENTS, "after the refusal");
}

#[test]
fn kill_minus_nine_at_random_moments_leaves_every_row_once() {
    let seed = std::env::var("FOREBAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &events());
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 60);
    let rounds = if soak() { 60 } else { 12 };
    for _ in 0..rounds {
        let process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        process.signal("KILL");
    }
    finish(data.path(), &file, &format!("seed {seed}"));
}
