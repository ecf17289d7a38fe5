//! Everything but the appends that the log promises to have on disk: topics, offsets of groups, ids of producers, and
//! what a start finds and shows. Each in a process that a power cut or a failing fsync ends.

use super::faults::{DIR, acknowledged, child, child_log, open};
use super::*;

const POWER_CUT: &[(&str, &str)] =
    &[("FOREBAY_KILL_AT", "log.append.written"), ("FOREBAY_KILL_MODE", "lose")];

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn pair(key: &str, value: Vec<u8>) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value))
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_changes_things_and_dies() {
    let Some((_, log)) = child_log() else { return };
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    log.create_topic("gone", 1, TopicConfig::default()).unwrap();
    let groups = log.group_store();
    for i in 0..20 {
        groups.put_batch(&[pair("large", vec![i; 100_000])]).unwrap();
    }
    groups.put_batch(&[pair("last", b"1".to_vec())]).unwrap();
    log.create_partitions("t", 2).unwrap();
    let config = TopicConfig::from_entries([("max.message.bytes", "5000")]).unwrap();
    log.alter_topic_config("t", config).unwrap();
    log.delete_topic("gone").unwrap();
    println!("ack {}", log.new_producer_id().unwrap().0);
    let _dies = log.append("t", 1, batch(1, &["a"]), Wait::Durable).await;
}

#[test]
fn a_power_cut_takes_back_no_change_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let output = child("durable::child_changes_things_and_dies", dir.path(), POWER_CUT);
    assert!(!output.status.success(), "it was to die");
    let promised: i64 = acknowledged(&output)[0].parse().unwrap();
    let log = open(dir.path());
    let topics = log.topics();
    assert_eq!(topics.len(), 1, "{topics:?}");
    assert_eq!((topics[0].partitions, topics[0].config.max_message_bytes), (2, Some(5000)));
    let groups = log.group_store().load_all();
    assert_eq!(groups, [(b"large".to_vec(), vec![19; 100_000]), (b"last".to_vec(), b"1".to_vec())]);
    assert!(log.new_producer_id().unwrap().0 > promised);
}

#[test]
#[ignore = "a child's part"]
fn child_opens() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    match Log::open(LogOptions::new(dir), Door::new()) {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
}

/// What another process wrote and did not sync may be seen by readers of this one, so it is synced before.
#[tokio::test]
async fn what_a_start_finds_it_syncs_before_it_shows_it() {
    for fault in ["eio:0000.log:1", "eio:topics/t/0:2", "eio:groups:1"] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        log.create_topic("t", 1, TopicConfig::default()).unwrap();
        append(&log, batch(1, &["a"])).await.unwrap();
        log.group_store().put_batch(&[pair("a", b"1".to_vec())]).unwrap();
        drop(log);
        let sound = child("durable::child_opens", dir.path(), &[]);
        assert!(said(&sound).contains("opened"), "{}", said(&sound));
        let output = child("durable::child_opens", dir.path(), &[("FOREBAY_FAULT", fault)]);
        assert!(said(&output).contains("refused"), "{fault}: {}", said(&output));
    }
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_cannot_sync_a_deletion() {
    let Some((dir, log)) = child_log() else { return };
    log.create_topic("gone", 1, TopicConfig::default()).unwrap();
    assert!(matches!(log.delete_topic("gone"), Err(LogError::Failed(_))));
    std::fs::write(dir.join("mended"), b"").unwrap();
    let refused = log.append("gone", 0, batch(1, &["a"]), Wait::Durable).await;
    assert!(matches!(refused, Err(LogError::Failed(_))), "{refused:?}");
    println!("done");
}

/// The next start may find the topic or not: a record that was acknowledged meanwhile could be gone.
#[test]
fn a_topic_that_is_half_deleted_takes_no_records() {
    let dir = tempfile::tempdir().unwrap();
    let mended = dir.path().join("mended");
    // Three fsyncs create the topic: of its folder, of its metadata, and of its folder again.
    let faults = [("FOREBAY_FAULT", "eio:topics/gone:4"), ("FOREBAY_FAULT_UNTIL", mended.to_str().unwrap())];
    let output = child("durable::child_cannot_sync_a_deletion", dir.path(), &faults);
    assert!(said(&output).contains("done"), "{}", said(&output));
}

#[test]
#[ignore = "a child's part"]
fn child_cannot_compact() {
    let Some((_, log)) = child_log() else { return };
    let groups = log.group_store();
    let puts = (0..40).map(|i| groups.put_batch(&[pair("k", vec![i; 100_000])]));
    let failed = puts.filter_map(Result::err).next();
    assert!(matches!(failed, Some(LogError::Failed(_))), "{failed:?}");
    println!("done");
}

/// It is not known which file has the name then, and what is appended to the other one would be lost.
#[test]
fn a_compaction_that_may_be_half_done_ends_the_commits() {
    let dir = tempfile::tempdir().unwrap();
    // The first is the file's own creation.
    let output =
        child("durable::child_cannot_compact", dir.path(), &[("FOREBAY_FAULT", "eio:groups.staged:2")]);
    assert!(said(&output).contains("done"), "{}", said(&output));
}

#[tokio::test]
#[ignore = "a child's part"]
async fn child_retains_after_a_full_disk() {
    let Some((dir, log)) = child_log() else { return };
    let config = TopicConfig::from_entries([("retention.bytes", "5000"), ("retention.ms", "-1")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    append(&log, numbered(3, 0, 0, 4)).await.unwrap();
    for _ in 0..40 {
        append(&log, batch(1, &[&"x".repeat(500)])).await.unwrap();
    }
    std::fs::write(dir.join("room"), b"").unwrap();
    log.retain();
    assert!(log.offsets("t", 0).unwrap().earliest > 4);
    println!("done");
}

/// The list of producers was not written with the segments that went; it is before they go.
#[tokio::test]
async fn retention_forgets_no_producer() {
    let dir = tempfile::tempdir().unwrap();
    let room = dir.path().join("room");
    let faults = [("FOREBAY_FAULT", "enospc:producers"), ("FOREBAY_FAULT_UNTIL", room.to_str().unwrap())];
    let output = child("durable::child_retains_after_a_full_disk", dir.path(), &faults);
    assert!(said(&output).contains("done"), "{}", said(&output));
    let log = open(dir.path());
    assert_eq!(append(&log, numbered(3, 0, 0, 4)).await.unwrap(), 0, "still known as a repeat");
}
