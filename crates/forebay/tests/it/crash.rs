//! Whatever dies when, every row arrives once: the crash table as a test.
//!
//! Each kill point is hit in two ways: the process dies with the page cache intact, and it dies with everything that
//! was not fsynced taken back. After each death the query is started again and every row is compared.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::support::*;

const EVENTS: u64 = 3_000;
const PER_EPOCH: u64 = 700;
const SIGABRT: i32 = 6;

/// Kill points of one epoch of a query that writes Delta, in their order.
const EPOCH_POINTS: &[&str] = &[
    "epoch.plan.before",
    "epoch.plan.after",
    "sink.delta.file.half",
    "epoch.read.first_batch",
    "quarantine.write.after",
    "epoch.read.after",
    "sink.delta.files.after",
    "sink.delta.commit.before",
    "sink.delta.commit.after",
    "epoch.write.after",
    "epoch.commit.before",
    "epoch.commit.after",
];

/// Starts the copy with a kill point armed; true if it died there.
fn run_until_killed(
    data: &Path,
    file: &Path,
    point: &str,
    hit: u32,
    mode: &str,
    more: &[(&str, &str)],
) -> bool {
    let mut command = forebay(data, &["run", file.to_str().unwrap()]);
    command.env("FOREBAY_KILL_AT", format!("{point}:{hit}")).env("FOREBAY_KILL_MODE", mode);
    command.envs(more.iter().copied());
    let output = command.output().unwrap();
    let died = output.status.signal() == Some(SIGABRT);
    assert!(died || output.status.success(), "{point}: {}", text(&output.stderr));
    died
}

fn finish(data: &Path, file: &Path, context: &str) {
    succeed(&mut forebay(data, &["run", file.to_str().unwrap()]));
    let rows = table_rows(data, &data.join("table"));
    assert_exactly_once(&rows, EVENTS, context);
    assert_ledger(&last_commit(data, "copy", "lake")["ledger"], EVENTS);
}

#[test]
fn every_kill_point_leaves_every_row_once() {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    log.produce("events", &proof_events(EVENTS));
    let hits: &[u32] = if soak() { &[1, 2, 3] } else { &[2] };
    for point in EPOCH_POINTS {
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
    log.produce("events", &proof_events(EVENTS));
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

/// Taking out an fsync must be noticed. Here it is taken out on purpose, and the comparison must find the damage:
/// the proof that the tests above could fail.
#[test]
fn a_missing_fsync_would_be_noticed() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    log.produce("events", &proof_events(EVENTS));
    for (skipped, point, hit) in [
        // Without the journal's fsync, a plan is forgotten whose epoch is in the table.
        ("journal", "sink.delta.commit.after", 2),
        // Without the fsync of the data files, a committed epoch has lost its rows.
        (".parquet", "epoch.commit.after", 2),
        // Without the fsync of the table's log, a commit is forgotten that the checkpoint counts.
        ("_delta_log", "epoch.commit.after", 2),
    ] {
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", PER_EPOCH);
        let died =
            run_until_killed(data.path(), &file, point, hit, "lose", &[("FOREBAY_SKIP_SYNC", skipped)]);
        assert!(died, "{skipped}: the point was not reached");
        let output = forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap();
        let noticed = !output.status.success() || {
            let sql = format!("SELECT * FROM delta.`{}`", data.path().join("table").display());
            let read = forebay(data.path(), &["query", "--format", "json", &sql]).output().unwrap();
            let rows: Vec<_> =
                text(&read.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            !read.status.success()
                || compare(&rows, EVENTS) != Verdict { compared: EVENTS, ..Verdict::default() }
        };
        assert!(noticed, "without the fsync of `{skipped}` nothing was lost: the crash tests prove nothing");
    }
}

#[test]
fn the_journal_is_rewritten_without_losing_its_place() {
    let log = LogServer::start();
    log.produce("events", &proof_events(1_300));
    for (point, mode) in [("checkpoint.compact.before", "lose"), ("checkpoint.compact.after", "lose")] {
        let data = tempfile::tempdir().unwrap();
        // One record an epoch into the table would take long; the console takes 2 records each, and rows are counted.
        let file = copy_pipeline(data.path(), log.address, "events", 2);
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text
            .replace("format: delta", "format: console")
            .replace("options: { path: table }", "options: { numRows: 1 }");
        std::fs::write(&file, text).unwrap();
        assert!(run_until_killed(data.path(), &file, point, 1, mode, &[]), "{point}: not reached");
        succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        assert_ledger(&last_commit(data.path(), "copy", "lake")["ledger"], 1_300);
    }
}

#[test]
fn an_older_copy_of_the_checkpoint_is_refused() {
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
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
    log.produce("events", &proof_events(EVENTS));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 60);
    let rounds = if soak() { 60 } else { 12 };
    for _ in 0..rounds {
        let process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        std::thread::sleep(std::time::Duration::from_millis(random.u64(20..400)));
        process.signal("KILL");
    }
    finish(data.path(), &file, &format!("seed {seed}"));
}
