//! Death at every kill point of the sink, with everything lost that was not fsynced, and a disk that refuses.
//!
//! Only in builds with storage faults (feature `faults` of `forebay-storage`); elsewhere these tests have nothing to
//! do. Each runs this very test binary again as a child, which plays an engine on a folder until it dies.

use std::process::{Command, ExitStatus};

use forebay_storage::{FAULTS_BUILT_IN, KILL_POINTS};

use super::*;

const EPOCHS: u64 = 40;

/// Small enough that the journal is rewritten several times.
const BOUNDS: Bounds = Bounds { active: 100, cleared: 1_000, tracks: 1_000, held: 50, journal: 500 };

/// Not a test by itself: writes the epochs that are missing, as an engine would after a restart.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os("FOREBAY_TEST_ALERTS").map(std::path::PathBuf::from) else { return };
    let (mut sink, _) = opened(&dir, 0, BOUNDS).await;
    for epoch in 0..EPOCHS {
        let at = i64::try_from(epoch + 1).unwrap() * 10;
        let rows = [("a", at, Some(75.0)), ("a", at + 1, Some(20.0)), ("b", at + 2, Some(75.0))];
        let cold = [("b", at + 3, Some(20.0))];
        if let Err(error) = write(&mut sink, epoch, vec![vec![batch(0, &rows)], vec![batch(1, &cold)]]).await
        {
            let kind = if error.is_retryable() { "retry" } else { "fatal" };
            std::fs::write(dir.join("error"), format!("{kind} {}", error.code().id)).unwrap();
            return;
        }
    }
}

fn run_child(dir: &Path, environment: &[(&str, &str)]) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::deaths::child", "--nocapture"]).env("FOREBAY_TEST_ALERTS", dir);
    command.envs(environment.iter().copied()).output().unwrap().status
}

async fn every_alert_is_there_once(dir: &Path, context: &str) {
    let (_, book) = opened(dir, 0, BOUNDS).await;
    let mut expected = Vec::new();
    for (key, offset) in [("a", 0), ("b", 2)] {
        let at = |epoch: u64| i64::try_from(epoch + 1).unwrap() * 10 + offset;
        expected.extend((0..EPOCHS).map(|epoch| (key.to_owned(), at(epoch), Some(at(epoch) + 1))));
    }
    assert_eq!(alerts(&book), expected, "{context}");
}

#[tokio::test]
async fn death_at_any_point_loses_no_transition_and_repeats_none() {
    if !FAULTS_BUILT_IN {
        return;
    }
    let points: Vec<_> = KILL_POINTS.iter().filter(|point| point.starts_with("sink.alert.")).collect();
    assert_eq!(points.len(), 4);
    for point in points {
        for mode in ["kill", "lose"] {
            for hit in [1, 3] {
                let dir = tempfile::tempdir().unwrap();
                let at = format!("{point}:{hit}");
                let died = !run_child(dir.path(), &[("FOREBAY_KILL_AT", &at), ("FOREBAY_KILL_MODE", mode)])
                    .success();
                assert!(died, "{at} was never reached");
                assert!(run_child(dir.path(), &[]).success(), "no recovery after {at} {mode}");
                every_alert_is_there_once(dir.path(), &format!("{at} {mode}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_missing_fsync_is_noticed() {
    if !FAULTS_BUILT_IN {
        return;
    }
    // The child writes on where its journal ends; in earnest the engine's checkpoint knows which epochs must be there.
    for (skipped, point, kept) in [
        ("nothing of this name", "sink.alert.commit.after:5", Some(Epoch(4))),
        ("nothing of this name", "sink.alert.compact.after:1", Some(Epoch(0))),
        ("alerts$", "sink.alert.commit.after:1", None),
        ("alerts.staged", "sink.alert.compact.after:1", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let environment =
            [("FOREBAY_KILL_AT", point), ("FOREBAY_KILL_MODE", "lose"), ("FOREBAY_SKIP_SYNC", skipped)];
        assert!(!run_child(dir.path(), &environment).success());
        let (mut sink, _) = super::sink(dir.path(), 0, BOUNDS);
        let last = match sink.open(schema()).await {
            Ok(()) => sink.last_epoch("q-1").await.unwrap(),
            Err(_) => None,
        };
        assert_eq!(last, kept, "{point} without the fsyncs of {skipped}");
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_a_broken_one_is_not() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for (fault, expected) in [("enospc:alerts:7", "retry FB-5005"), ("eio:alerts:7", "fatal FB-5005")] {
        let dir = tempfile::tempdir().unwrap();
        assert!(run_child(dir.path(), &[("FOREBAY_FAULT", fault)]).success());
        let told = std::fs::read_to_string(dir.path().join("error")).unwrap_or_default();
        assert_eq!(told, expected, "{fault}");
        assert!(run_child(dir.path(), &[]).success(), "no recovery after {fault}");
        every_alert_is_there_once(dir.path(), fault).await;
    }
}
