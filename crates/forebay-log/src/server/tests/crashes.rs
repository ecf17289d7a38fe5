//! Transactions whose log dies at every step, by kill and by power cut: each is there as a whole or not at all, what was
//! answered stands, and nothing stays open for ever.

use super::transactions::{Producer, committed, group_offset};
use super::*;
use forebay_storage::TRANSACTION_KILL_POINTS;
use std::path::Path;
use std::process::{Command, Output};

const DIR: &str = "FOREBAY_TEST_DIR";
const FIRST: &str = "FOREBAY_TEST_FIRST";

async fn serve(dir: &Path) -> Served {
    Served::start_at(tempfile::tempdir().unwrap(), LogOptions::new(dir), ServerOptions::default()).await
}

fn commits(number: u32) -> bool {
    number % 3 != 2
}

/// Each transaction writes its number to both partitions and moves the group behind it; every third is aborted.
#[tokio::test]
#[ignore = "a child's part"]
async fn child_writes_transactions_until_it_dies() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let served = serve(Path::new(&dir)).await;
    if served.log.topic("plant").is_none() {
        served.log.create_topic("plant", 2, crate::storage::TopicConfig::default()).unwrap();
    }
    let mut producer = Producer::start(&served, "a").await;
    for number in first..first + 30 {
        let value = number.to_string();
        assert_eq!(producer.add("plant", &[0, 1]).await, [0, 0]);
        assert_eq!(producer.write("plant", 0, &[&value]).await, 0);
        assert_eq!(producer.write("plant", 1, &[&value]).await, 0);
        assert_eq!(producer.add_group("g").await, 0);
        assert_eq!(producer.commit_offset("g", i64::from(number) + 1).await, 0);
        assert_eq!(producer.end(commits(number)).await, 0);
        println!("ack {number}");
    }
}

fn child(dir: &Path, first: u32, faults: &[(&str, &str)]) -> (Output, Vec<u32>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "server::tests::crashes::child_writes_transactions_until_it_dies";
    command.args(["--exact", name, "--nocapture", "--ignored"]);
    command.env(DIR, dir).env(FIRST, first.to_string()).envs(faults.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let acked = text.lines().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).collect();
    (output, acked)
}

/// What the next start shows: (partition 0, partition 1, the group's offset), and that nothing stays open.
async fn found(dir: &Path) -> (Vec<u32>, Vec<u32>, i64) {
    let served = serve(dir).await;
    let mut client = served.client().await;
    if served.log.topic("plant").is_none() {
        return (Vec::new(), Vec::new(), -1);
    }
    let numbers = |values: Vec<String>| values.iter().map(|value| value.parse().unwrap()).collect();
    let left = numbers(committed(&mut client, "plant", 0).await);
    let right = numbers(committed(&mut client, "plant", 1).await);
    let (offset, _) = group_offset(&mut client, "g", false).await;
    let _aborts_what_is_open = Producer::start(&served, "a").await;
    for partition in [0, 1] {
        let ends = served.log.offsets("plant", partition).unwrap();
        assert_eq!(ends.stable, ends.latest, "something stays open");
    }
    assert_eq!(left, numbers(committed(&mut client, "plant", 0).await), "an abort changes nothing");
    assert_eq!(group_offset(&mut client, "g", true).await, (offset, 0));
    served.stop().await;
    (left, right, offset)
}

#[tokio::test]
async fn a_transaction_is_whole_or_not_at_all_wherever_the_log_dies() {
    for point in TRANSACTION_KILL_POINTS.iter().chain(&["log.append.written", "log.append.synced"]) {
        for mode in ["keep", "lose"] {
            let dir = tempfile::tempdir().unwrap();
            let (mut expected, mut next): (Vec<u32>, u32) = (Vec::new(), 0);
            for hit in [3, 1, 17] {
                let at = format!("{point}:{hit}");
                let faults = [("FOREBAY_KILL_AT", at.as_str()), ("FOREBAY_KILL_MODE", mode)];
                let (output, acked) = child(dir.path(), next, &faults);
                assert!(!output.status.success(), "it was to die at {at}");
                let place = format!("{at} {mode}");
                expected.extend(acked.iter().filter(|number| commits(**number)));
                let in_doubt = acked.last().map_or(next, |last| last + 1);
                let (left, right, offset) = found(dir.path()).await;
                assert_eq!(left, right, "{place}");
                if left.len() > expected.len() && commits(in_doubt) {
                    expected.push(in_doubt);
                }
                assert_eq!(left, expected, "{place}");
                assert_eq!(offset, left.last().map_or(-1, |last| i64::from(*last) + 1), "{place}");
                next = in_doubt + 1;
            }
            assert!(!expected.is_empty(), "{point} {mode}: nothing was compared");
        }
    }
}

#[tokio::test]
async fn a_missing_fsync_of_the_decision_is_noticed_by_the_test_above() {
    let dir = tempfile::tempdir().unwrap();
    let faults = [
        ("FOREBAY_KILL_AT", "log.txn.marked:5"),
        ("FOREBAY_KILL_MODE", "lose"),
        ("FOREBAY_SKIP_SYNC", "groups$"),
    ];
    let (_, acked) = child(dir.path(), 0, &faults);
    assert_eq!(acked, [0, 1, 2, 3]);
    let (_, _, offset) = found(dir.path()).await;
    assert_eq!(offset, -1, "the group's offset is gone");
}
