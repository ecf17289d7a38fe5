//! What goes by size and age, and what stays true meanwhile and after a restart.

use super::*;

fn small(fixture: &Fixture) -> LogOptions {
    LogOptions { segment_bytes: 4096, ..fixture.options() }
}

async fn fill(log: &Log, count: i32, timestamp: i64) {
    for i in 0..count {
        append(log, batch(timestamp, &[&format!("{i:-<500}")])).await.unwrap();
    }
}

fn log_bytes(fixture: &Fixture) -> u64 {
    let files = std::fs::read_dir(fixture.partition()).unwrap().map(|entry| entry.unwrap());
    let logs = files.filter(|file| file.file_name().to_str().unwrap().ends_with(".log"));
    logs.map(|file| file.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn size_takes_the_oldest_and_the_start_survives() {
    let fixture = Fixture::new();
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    let config = TopicConfig::from_entries([("retention.bytes", "10000")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    fill(&log, 100, 1_000_000).await;
    log.retain();
    let Offsets { earliest, latest, .. } = log.offsets("t", 0).unwrap();
    assert!(earliest > 50 && latest == 100, "{earliest}");
    assert!((10_000..15_000).contains(&log_bytes(&fixture)));
    assert!(matches!(
        log.read("t", 0, earliest - 1, 1000, true, Isolation::Uncommitted),
        Err(LogError::OffsetOutOfRange { log_start_offset, .. }) if log_start_offset == earliest
    ));
    assert_eq!(read_from(&log, earliest, 1000).len() as i64, 100 - earliest);
    let appended = log.append("t", 0, batch(1, &["x"]), Wait::Durable).await.unwrap();
    assert_eq!((appended.base_offset, appended.log_start_offset), (100, earliest));
    drop(log);
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    assert_eq!(log.offsets("t", 0).unwrap(), Offsets { earliest, latest: 101, stable: 101 });
}

#[tokio::test]
async fn segments_that_come_back_after_a_crash_stay_gone() {
    let fixture = Fixture::new();
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    let config = TopicConfig::from_entries([("retention.bytes", "10000")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    fill(&log, 50, 1_000_000).await;
    let first = fixture.partition().join("00000000000000000000.log");
    let bytes = std::fs::read(&first).unwrap();
    log.retain();
    let offsets = log.offsets("t", 0).unwrap();
    drop(log);
    std::fs::write(&first, bytes).unwrap();
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    assert_eq!(log.offsets("t", 0).unwrap(), offsets);
    assert!(!first.exists());
}

#[tokio::test]
async fn age_takes_even_the_active_segment_and_offsets_go_on() {
    let fixture = Fixture::new();
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    let config = TopicConfig::from_entries([("retention.ms", "1000")]).unwrap();
    log.create_topic("t", 1, config).unwrap();
    append(&log, numbered(3, 0, 0, 4)).await.unwrap();
    fill(&log, 20, 1_000_000).await;
    fixture.clock.store(1_001_000, Ordering::SeqCst);
    log.retain();
    assert_eq!(log.offsets("t", 0).unwrap(), Offsets { earliest: 0, latest: 24, stable: 24 });
    fixture.clock.store(1_001_001, Ordering::SeqCst);
    log.retain();
    log.retain();
    assert_eq!(log.offsets("t", 0).unwrap(), Offsets { earliest: 24, latest: 24, stable: 24 });
    assert_eq!(log_bytes(&fixture), 0);
    drop(log);
    let log = Log::open(small(&fixture), Door::new()).unwrap();
    assert_eq!(log.offsets("t", 0).unwrap(), Offsets { earliest: 24, latest: 24, stable: 24 });
    assert!(log.read("t", 0, 24, 1000, true, Isolation::Uncommitted).unwrap().batches.is_empty());
    assert_eq!(append(&log, numbered(3, 0, 0, 4)).await.unwrap(), 0, "still known as a repeat");
    assert_eq!(append(&log, numbered(3, 0, 4, 1)).await.unwrap(), 24);
}

#[tokio::test]
async fn idle_producers_are_forgotten() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, numbered(3, 0, 0, 4)).await.unwrap();
    assert!(append(&log, numbered(3, 0, 9, 1)).await.is_err());
    fixture.clock.fetch_add(86_400_001, Ordering::SeqCst);
    log.retain();
    append(&log, numbered(3, 0, 9, 1)).await.unwrap();
}

#[tokio::test]
async fn too_many_producers_push_out_the_longest_idle() {
    let fixture = Fixture::new();
    let log = Log::open(LogOptions { max_producers: 3, ..fixture.options() }, Door::new()).unwrap();
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for id in 0..7 {
        append(&log, numbered(id, 0, 0, 1)).await.unwrap();
    }
    assert!(append(&log, numbered(6, 0, 9, 1)).await.is_err());
    append(&log, numbered(0, 0, 9, 1)).await.unwrap();
}
