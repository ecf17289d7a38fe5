//! Promises of a lane, on batches made by hand.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use forebay_core::{Position, Positions};
use forebay_log::records::{BatchBuilder, Compression, HEADER_BYTES};
use futures::TryStreamExt;
use uuid::Uuid;

use super::*;
use crate::kafka::Topics;
use crate::sources::kafka::inbox::{Bounds, Fetched};
use crate::sources::kafka::remote::chunk_of;
use crate::sources::kafka::transactions::Aborted;
use crate::sources::kafka::transport::FoundTopic;

/// A log of which nothing is left before offset 30.
#[derive(Debug)]
struct Expired;

#[async_trait]
impl Transport for Expired {
    async fn topics(&self, _: &Topics) -> Result<BTreeMap<Arc<str>, FoundTopic>> {
        Ok(BTreeMap::new())
    }
    async fn hear(&self, _: &Topics) -> Result<()> {
        Ok(())
    }
    fn id_of(&self, _: &str) -> Option<Uuid> {
        None
    }
    async fn offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Option<i64>>> {
        Ok(places.keys().map(|partition| (partition.clone(), Some(30))).collect())
    }
    fn start(&self) {}
    async fn show(&self, _: &str, _: &Positions) -> Result<()> {
        Ok(())
    }
}

fn partition() -> Partition {
    Partition::new("t", 0)
}

/// A batch of `count` records whose first has this offset. The offset is not covered by the checksum.
fn batch(base: i64, count: i64, compression: Compression) -> BytesMut {
    let mut batch = BatchBuilder::new(compression);
    for n in 0..count {
        batch.append(1000 + n, None, Some(format!("value of the record at {}", base + n).as_bytes()), &[]);
    }
    let mut bytes = BytesMut::from(&batch.build().unwrap()[..]);
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes
}

fn reading(fail_on_data_loss: bool, check_crcs: bool) -> Reading {
    let inbox = Arc::new(Inbox::new(Bounds { slot: 1 << 20, total: 1 << 20 }));
    inbox.follow(&[(partition(), Position(0))].into());
    inbox.lead(&[(partition(), Some(1))], None);
    Reading {
        transport: Arc::new(Expired),
        inbox,
        scratch: Scratch::new(),
        wanted: Wanted::default(),
        max_batch_bytes: 100_000,
        check_crcs,
        fail_on_data_loss,
        patience: Duration::from_millis(50),
    }
}

fn bring(inbox: &Inbox, bytes: impl Into<Bytes>) {
    let (questions, _) = inbox.to_fetch(1);
    let question = &questions[0];
    let chunk = chunk_of(&question.partition, question.from, bytes.into(), Aborted::default());
    inbox.deliver(question, chunk.map(|chunk| Fetched { chunk, end: 1000 }).map_err(Failure::Fatal));
}

async fn read(reading: &Reading, from: i64, to: i64) -> Result<Vec<i64>> {
    let range = PositionRange { partition: partition(), from: Position(from), to: Position(to) };
    let envelopes: Vec<Envelope> = lane(reading.clone(), vec![range]).try_collect().await?;
    for envelope in &envelopes {
        for (row, offset) in envelope.offsets.iter().enumerate() {
            assert_eq!(envelope.values.value(row), format!("value of the record at {offset}").as_bytes());
        }
    }
    Ok(envelopes.iter().flat_map(|envelope| envelope.offsets.iter().copied()).collect())
}

#[tokio::test]
async fn ranges_end_inside_batches_and_in_gaps() {
    let reading = reading(true, true);
    let mut bytes = batch(0, 10, Compression::Lz4);
    bytes.extend_from_slice(&batch(20, 10, Compression::None));
    bytes.extend_from_slice(&batch(40, 10, Compression::Zstd));
    bring(&reading.inbox, bytes);
    assert_eq!(read(&reading, 5, 8).await.unwrap(), [5, 6, 7]);
    assert_eq!(read(&reading, 8, 15).await.unwrap(), [8, 9]);
    assert!(read(&reading, 15, 18).await.unwrap().is_empty());
    let rest: Vec<i64> = (20..30).chain(40..45).collect();
    assert_eq!(read(&reading, 18, 45).await.unwrap(), rest);
    assert_eq!(read(&reading, 45, 50).await.unwrap(), [45, 46, 47, 48, 49]);
}

#[tokio::test]
async fn an_empty_batch_is_passed() {
    let reading = reading(true, false);
    let mut empty = batch(0, 1, Compression::None);
    empty.truncate(HEADER_BYTES);
    let length = (HEADER_BYTES as i32 - 12).to_be_bytes();
    empty[8..12].copy_from_slice(&length);
    empty[23..27].copy_from_slice(&4_i32.to_be_bytes());
    empty[57..61].copy_from_slice(&0_i32.to_be_bytes());
    empty.extend_from_slice(&batch(5, 2, Compression::None));
    bring(&reading.inbox, empty);
    assert_eq!(read(&reading, 0, 7).await.unwrap(), [5, 6]);
}

#[tokio::test]
async fn damage_is_an_error_with_its_place_and_its_neighbours_come_before_it() {
    let reading = reading(true, true);
    let mut damaged = batch(10, 10, Compression::None);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut bytes = batch(0, 10, Compression::None);
    bytes.extend_from_slice(&damaged);
    bring(&reading.inbox, bytes);
    assert_eq!(read(&reading, 0, 10).await.unwrap().len(), 10);
    let error = read(&reading, 10, 20).await.unwrap_err();
    assert_eq!(error.code(), &codes::BAD_BATCH);
    assert_eq!(error.place(), Some("t-0 at offset 10"));
}

#[tokio::test]
async fn a_bomb_is_refused() {
    let reading = reading(true, true);
    bring(&reading.inbox, batch(0, 50_000, Compression::Zstd));
    let error = read(&reading, 0, 50_000).await.unwrap_err();
    assert_eq!(error.code(), &codes::BAD_BATCH);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn what_is_gone_is_said_or_stepped_over() {
    for (strict, expected) in [(true, None), (false, Some(vec![30, 31]))] {
        let reading = reading(strict, true);
        let (questions, _) = reading.inbox.to_fetch(1);
        reading.inbox.deliver(&questions[0], Err(Failure::OutOfRange));
        let reader = reading.clone();
        let task = tokio::spawn(async move { read(&reader, 0, 32).await });
        if strict {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.code(), &codes::DATA_LOSS);
            continue;
        }
        // The lane asks for what is there.
        tokio::time::sleep(Duration::from_millis(5)).await;
        bring(&reading.inbox, batch(30, 5, Compression::Lz4));
        reading.inbox.announce();
        assert_eq!(task.await.unwrap().ok(), expected);
    }
}
