//! Power cuts, full disks and failing fsyncs: each in a process of its own, which a test build can harm.
//!
//! A test runs its own binary again with a fault in the environment and the name of the child's part; the child
//! prints what was acknowledged to it, and the parent compares that with what the folder holds afterwards.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::*;

pub(super) const DIR: &str = "FOREBAY_TEST_DIR";

/// Runs a child's part in a process that meets the given faults.
pub(super) fn child(name: &str, dir: &Path, faults: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("storage::tests::{name}"), "--nocapture", "--ignored"]);
    command.env(DIR, dir).envs(faults.iter().copied());
    command.output().unwrap()
}

/// The values that the child saw acknowledged.
pub(super) fn acknowledged(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix("ack ")).map(str::to_owned).collect()
}

pub(super) fn child_log() -> Option<(PathBuf, Log)> {
    let dir = PathBuf::from(std::env::var_os(DIR)?);
    let log = Log::open(LogOptions { segment_bytes: 4096, ..LogOptions::new(&dir) }, Door::new()).unwrap();
    Some((dir, log))
}

pub(super) fn open(dir: &Path) -> Log {
    Log::open(LogOptions { segment_bytes: 4096, ..LogOptions::new(dir) }, Door::new()).unwrap()
}

async fn append_one(log: &Log, i: i32) -> Result<i64, LogError> {
    let appended = append(log, numbered(5, 0, i, 1)).await?;
    println!("ack {i}");
    Ok(appended)
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_appends_until_it_dies() {
    let Some((_, log)) = child_log() else { return };
    if log.topic("t").is_none() {
        log.create_topic("t", 1, TopicConfig::default()).unwrap();
    }
    let next = i32::try_from(log.offsets("t", 0).unwrap().latest).unwrap();
    for i in next..next + 200 {
        append_one(&log, i).await.unwrap();
    }
}

#[test]
fn a_power_cut_around_an_append_loses_nothing_acknowledged() {
    for point in ["log.append.written", "log.append.synced"] {
        for mode in ["keep", "lose"] {
            let dir = tempfile::tempdir().unwrap();
            let mut promised = Vec::new();
            for hit in [1, 2, 40, 3] {
                let at = format!("{point}:{hit}");
                let faults = [("FOREBAY_KILL_AT", at.as_str()), ("FOREBAY_KILL_MODE", mode)];
                let output = child("faults::child_appends_until_it_dies", dir.path(), &faults);
                assert!(!output.status.success(), "it was to die at {at}");
                promised.extend(acknowledged(&output));
                let log = open(dir.path());
                let found = values(&log);
                assert!(found.starts_with(&promised), "{at} {mode}: {promised:?} {found:?}");
                assert!(found.len() <= promised.len() + 1, "{at} {mode}");
                let sequential: Vec<_> = (0..found.len()).map(|i| i.to_string()).collect();
                assert_eq!(found, sequential, "{at} {mode}");
                if (point, mode) == ("log.append.written", "lose") {
                    assert_eq!(found, promised, "what was not synced is gone");
                }
                promised = found;
            }
            assert!(promised.len() > 40);
        }
    }
}

#[test]
fn a_missing_fsync_is_noticed_by_the_test_above() {
    let dir = tempfile::tempdir().unwrap();
    let faults = [
        ("FOREBAY_KILL_AT", "log.append.synced:40"),
        ("FOREBAY_KILL_MODE", "lose"),
        ("FOREBAY_SKIP_SYNC", ".log"),
    ];
    let output = child("faults::child_appends_until_it_dies", dir.path(), &faults);
    let promised = acknowledged(&output);
    assert_eq!(promised.len(), 39);
    assert!(values(&open(dir.path())).len() < promised.len());
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_meets_a_full_disk() {
    let Some((dir, log)) = child_log() else { return };
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for i in 0..3 {
        append_one(&log, i).await.unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(append_one(&log, 3).await, Err(LogError::OutOfSpace(_))));
    }
    assert_eq!(log.offsets("t", 0).unwrap().latest, 3);
    assert_eq!(values(&log), ["0", "1", "2"], "readers are served");
    std::fs::write(dir.join("room"), b"").unwrap();
    for i in 3..6 {
        append_one(&log, i).await.unwrap();
    }
    println!("done");
}

#[test]
fn a_full_disk_refuses_and_works_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let room = dir.path().join("room");
    // The segment's creation is the first write, then each append.
    let faults = [("FOREBAY_FAULT", "enospc:.log:5"), ("FOREBAY_FAULT_UNTIL", room.to_str().unwrap())];
    let output = child("faults::child_meets_a_full_disk", dir.path(), &faults);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("done"));
    assert_eq!(values(&open(dir.path())), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_meets_a_failing_fsync() {
    let Some((dir, log)) = child_log() else { return };
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for i in 0..3 {
        append_one(&log, i).await.unwrap();
    }
    assert!(matches!(append_one(&log, 3).await, Err(LogError::Failed(_))));
    std::fs::write(dir.join("mended"), b"").unwrap();
    let refused = append_one(&log, 3).await.unwrap_err();
    assert!(refused.to_string().contains("could not sync"), "{refused}");
    assert!(matches!(log.create_topic("u", 1, TopicConfig::default()), Err(LogError::Failed(_))));
    assert_eq!(values(&log), ["0", "1", "2"], "what was not synced is not shown");
    log.close().await.unwrap();
    println!("done");
}

#[test]
fn a_failed_fsync_is_final_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mended = dir.path().join("mended");
    let faults = [("FOREBAY_FAULT", "eio:.log:4"), ("FOREBAY_FAULT_UNTIL", mended.to_str().unwrap())];
    let output = child("faults::child_meets_a_failing_fsync", dir.path(), &faults);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("done"));
    let log = open(dir.path());
    assert!(values(&log).starts_with(&["0".to_owned(), "1".to_owned(), "2".to_owned()]));
}
