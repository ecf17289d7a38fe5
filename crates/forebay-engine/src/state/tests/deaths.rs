//! Death at every kill point, with everything lost that was not fsynced, and a disk that refuses.
//!
//! Only in builds with storage faults; elsewhere these tests have nothing to do. Each runs this very test binary again
//! as a child, which plays the epoch loop on a folder until it dies: write, outcome, commit. Its journal is a file that
//! survives everything.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use forebay_storage::{FAULTS_BUILT_IN, STATE_KILL_POINTS, kill_point};

use super::super::folder::list;
use super::files::{assert_both, both, number, open};
use super::*;

const EPOCHS: u64 = 30;

/// Epochs whose outcome is durable.
fn journal(dir: &Path) -> u64 {
    fs::read(dir.join("journal")).map_or(0, |bytes| bytes.len() as u64)
}

/// Not a test by itself: runs the epochs that are missing.
#[test]
fn child() {
    let Some(dir) = std::env::var_os("FOREBAY_TEST_STATE").map(std::path::PathBuf::from) else { return };
    if let Err(error) = run_epochs(&dir) {
        let kind = if error.is_retryable() { "retry" } else { "fatal" };
        fs::write(dir.join("error"), format!("{kind} {}", error.code().id)).unwrap();
    }
}

fn run_epochs(dir: &Path) -> forebay_core::Result<()> {
    let (mut files, mut tables) = open(&dir.join("state"), journal(dir))?;
    assert_both(&tables, &busy_model(journal(dir)), "after a restart");
    for at in journal(dir)..EPOCHS {
        // An attempt that comes to nothing.
        files.write(number(at), &both(&busy(at + 500)))?;
        let changes = both(&busy(at));
        files.write(number(at), &changes)?;
        let mut file = fs::File::options().create(true).append(true).open(dir.join("journal")).unwrap();
        file.write_all(b".").unwrap();
        file.sync_all().unwrap();
        kill_point("state.test.outcome");
        for (table, changes) in tables.iter_mut().zip(&changes) {
            table.apply(changes)?;
        }
        files.committed(number(at), &tables)?;
        // So that a point of the snapshot's thread is always reached at the same epoch.
        files.settle();
    }
    Ok(())
}

fn run_child(dir: &Path, environment: &[(&str, &str)]) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "state::tests::deaths::child", "--nocapture"]).env("FOREBAY_TEST_STATE", dir);
    command.envs(environment.iter().copied()).output().unwrap().status
}

/// Runs a child that dies at `point`, and not otherwise.
fn dies(dir: &Path, point: &str, mode: &str) {
    let status = run_child(dir, &[("FOREBAY_KILL_AT", point), ("FOREBAY_KILL_MODE", mode)]);
    assert!(!status.success() && status.code().is_none(), "{point} {mode}: {status}");
}

fn ends_well(dir: &Path, context: &str) {
    assert!(run_child(dir, &[]).success(), "no recovery after {context}");
    assert_eq!(journal(dir), EPOCHS, "{context}");
    assert_both(&open(&dir.join("state"), EPOCHS).unwrap().1, &busy_model(EPOCHS), context);
}

#[test]
fn death_at_any_point_of_an_epoch_or_a_snapshot_changes_nothing() {
    if !FAULTS_BUILT_IN {
        return;
    }
    let points: Vec<_> = STATE_KILL_POINTS.iter().filter(|point| !point.contains("restore")).collect();
    assert_eq!(points.len(), 9);
    for point in points {
        for mode in ["kill", "lose"] {
            for hit in [1, 2, 5] {
                let dir = tempfile::tempdir().unwrap();
                let at = format!("{point}:{hit}");
                dies(dir.path(), &at, mode);
                ends_well(dir.path(), &format!("{at} {mode}"));
            }
        }
    }
}

#[test]
fn a_restore_that_dies_three_times_running_restores_the_same() {
    if !FAULTS_BUILT_IN {
        return;
    }
    let points: Vec<_> = STATE_KILL_POINTS.iter().filter(|point| point.contains("restore")).collect();
    assert_eq!(points.len(), 4);
    for first in ["state.snapshot.half:5", "state.snapshot.staged:2", "state.changes.written:20"] {
        for point in &points {
            if point.ends_with("removed") && first.starts_with("state.changes") {
                continue;
            }
            for mode in ["kill", "lose"] {
                let dir = tempfile::tempdir().unwrap();
                dies(dir.path(), first, "kill");
                for _ in 0..3 {
                    // What was removed before the death is gone the second time, unless a power cut brought it back.
                    let removed = point.ends_with("removed") && mode == "kill";
                    if !removed || list(&dir.path().join("state")).unwrap().staged.len() == 1 {
                        dies(dir.path(), point, mode);
                    }
                }
                ends_well(dir.path(), &format!("{first}, {point} {mode}"));
            }
        }
    }
}

#[test]
fn a_missing_fsync_is_noticed() {
    if !FAULTS_BUILT_IN {
        return;
    }
    // The third kind of file has another before it that is whole; whether the newest is read is asked of it alone.
    for (skipped, point, is_noticed) in [
        ("nothing of this name", "state.test.outcome:1", false),
        ("nothing of this name", "state.test.outcome:4", false),
        ("changes-", "state.test.outcome:4", true),
        ("state$", "state.test.outcome:1", true),
        ("nothing of this name", "state.snapshot.tidied:2", false),
        (".staged", "state.snapshot.tidied:2", true),
        ("state$", "state.snapshot.tidied:2", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let environment =
            [("FOREBAY_KILL_AT", point), ("FOREBAY_KILL_MODE", "lose"), ("FOREBAY_SKIP_SYNC", skipped)];
        assert!(run_child(dir.path(), &environment).code().is_none(), "{point}");
        let state = dir.path().join("state");
        if point.starts_with("state.snapshot") {
            // Its own files alone: nothing to fall back to.
            let listing = list(&state).unwrap_or_default();
            let newest = journal(dir.path());
            for (base, path) in listing.changes.iter().chain(&listing.snapshots) {
                if *base < newest {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        let opened = open(&state, journal(dir.path()));
        assert_eq!(opened.is_err(), is_noticed, "{point} without the fsyncs of {skipped}");
    }
}

#[test]
fn a_full_disk_is_waited_for_and_a_broken_one_is_not() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for (fault, told) in [
        ("enospc:changes-:1", "retry FB-5005"),
        ("enospc:changes-:7", "retry FB-5005"),
        ("eio:changes-:7", "fatal FB-5005"),
        // A snapshot that cannot be written ends nothing.
        ("enospc:snapshot-:1", ""),
        ("enospc:snapshot-:3", ""),
        ("eio:snapshot-:1", ""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert!(run_child(dir.path(), &[("FOREBAY_FAULT", fault)]).success(), "{fault}");
        assert_eq!(fs::read_to_string(dir.path().join("error")).unwrap_or_default(), told, "{fault}");
        if told.is_empty() {
            assert_eq!(journal(dir.path()), EPOCHS, "{fault}");
        }
        ends_well(dir.path(), fault);
    }
}
