//! The log's promises, each against real files.

mod append;
#[cfg(feature = "faults")]
mod durable;
#[cfg(feature = "faults")]
mod faults;
mod hostile;
mod restart;
mod retention;
mod timestamps;
mod topics;
mod transactions;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use forebay_storage::Door;

use super::*;
use crate::LogError;
use crate::records::{BatchBuilder, Batches, Compression, Scratch};

/// A log on a clock that stands where the test puts it.
struct Fixture {
    dir: tempfile::TempDir,
    clock: Arc<AtomicI64>,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicI64::new(1_000_000)) }
    }

    fn options(&self) -> LogOptions {
        let clock = Arc::clone(&self.clock);
        LogOptions {
            clock: Clock::new(move || clock.load(Ordering::SeqCst)),
            index_interval_bytes: 512,
            ..LogOptions::new(self.dir.path())
        }
    }

    fn open(&self) -> Log {
        Log::open(self.options(), Door::new()).unwrap()
    }

    /// With a topic `t` of one partition.
    fn with_topic(&self) -> Log {
        let log = self.open();
        log.create_topic("t", 1, TopicConfig::default()).unwrap();
        log
    }

    fn partition(&self) -> std::path::PathBuf {
        self.dir.path().join("topics/t/0")
    }
}

/// A batch whose values are the given texts; every record bears the same timestamp.
fn batch(timestamp: i64, values: &[&str]) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    for value in values {
        batch.append(timestamp, None, Some(value.as_bytes()), &[]);
    }
    batch.build().unwrap()
}

/// A batch of one idempotent producer, with one record per sequence number.
fn numbered(producer: i64, epoch: i16, first: i32, count: i32) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None).producer(producer, epoch, first);
    for i in first..first + count {
        batch.append(0, None, Some(i.to_string().as_bytes()), &[]);
    }
    batch.build().unwrap()
}

async fn append(log: &Log, batches: Bytes) -> Result<i64, LogError> {
    Ok(log.append("t", 0, batches, Wait::Durable).await?.base_offset)
}

/// Everything from an offset on, as (offset, value), read in steps of `max_bytes`.
fn read_from(log: &Log, mut offset: i64, max_bytes: usize) -> Vec<(i64, String)> {
    let scratch = Scratch::new();
    let mut found = Vec::new();
    loop {
        let fetched = log.read("t", 0, offset, max_bytes, true, Isolation::Uncommitted).unwrap();
        if fetched.batches.is_empty() {
            assert_eq!(offset, fetched.high_watermark);
            return found;
        }
        for batch in Batches::new(&fetched.batches) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let records = batch.records(1 << 26, &scratch).unwrap();
            for record in &records {
                let record = record.unwrap();
                let value = record.value.unwrap();
                let value = &records.data[value.start as usize..value.end as usize];
                if record.offset >= offset {
                    found.push((record.offset, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
            offset = batch.header.next_offset();
        }
    }
}

fn values(log: &Log) -> Vec<String> {
    read_from(log, 0, 1 << 20).into_iter().map(|(_, value)| value).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
