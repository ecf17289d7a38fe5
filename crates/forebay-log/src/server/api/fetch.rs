//! Fetch: whole record batches, at once where there are any, else as soon as there are.
//!
//! Offsets are compared first, without touching a file: an idle consumer costs a few comparisons per poll. Where
//! there is something, one blocking task reads all partitions in the order asked, until the answer is full; the
//! first batch is sent even if it alone exceeds every limit, so that no reader is ever stuck. What was read counts
//! against the server's response memory until it is sent.
//!
//! There are no fetch sessions (every answer says session 0) and no transactions, so the last stable offset is the
//! high watermark.

use super::errors::response_error;
use super::{Call, Context, Outcome};
use crate::LogError;
use crate::quiet::{About, Quiet};
use crate::server::frame::Frame;
use crate::storage::{Fetched, Log};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What to read, in the order asked.
type Plan = Arc<FetchRequest>;
/// What was found, in the order of the plan.
type Found = Vec<Vec<Result<Fetched, ResponseError>>>;

/// Serves one Fetch, when all earlier answers of its connection are out.
pub(super) async fn serve(cx: Context, call: Call, request: FetchRequest) -> io::Result<Outcome> {
    if request.session_id != 0 && request.session_epoch > 0 {
        // A session that we never gave out: the client goes on without.
        let pieces = encode(&request, &Found::new(), ResponseError::FetchSessionIdNotFound.code())?;
        return Frame::from_pieces(call.correlation_id, pieces).map(Outcome::Answer);
    }
    let options = &cx.shared.options;
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(options.max_fetch_wait);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(options.max_fetch_bytes);
    let plan = Plan::new(request);

    loop {
        let mut found = peek(&cx.shared.log, &plan);
        let mut memory = None;
        let is_last = Instant::now() >= deadline || cx.peer.closing.is_cancelled();
        if has_data(&plan, &found) {
            memory = cx.shared.response_memory.take(max_bytes).await;
            let (shared, wanted) = (cx.shared.clone(), plan.clone());
            let reading = move || read(&shared.log, &wanted, max_bytes, &shared.quiet);
            found = tokio::task::spawn_blocking(reading).await?;
        }
        let bytes: usize = found.iter().flatten().flatten().map(|fetched| fetched.batches.len()).sum();
        let has_error = found.iter().flatten().any(Result::is_err);
        if bytes >= min_bytes || has_error || is_last {
            if let Some(memory) = &mut memory {
                drop(memory.split(memory.num_permits().saturating_sub(bytes)));
            }
            let pieces = encode(&plan, &found, 0)?;
            return Ok(Outcome::Answer(Frame::from_pieces(call.correlation_id, pieces)?.holding(memory)));
        }
        drop(memory);
        wait_for_more(&cx, &plan, &found, deadline).await;
    }
}

/// The ends of each partition, without reading.
fn peek(log: &Log, plan: &FetchRequest) -> Found {
    let partitions = |topic: &kafka_protocol::messages::fetch_request::FetchTopic| {
        let ends = topic.partitions.iter().map(|partition| {
            let ends =
                log.offsets(&topic.topic, partition.partition).map_err(|error| response_error(&error))?;
            if !(ends.earliest..=ends.latest).contains(&partition.fetch_offset) {
                return Err(ResponseError::OffsetOutOfRange);
            }
            let (log_start_offset, high_watermark) = (ends.earliest, ends.latest);
            Ok(Fetched { batches: Bytes::new(), high_watermark, log_start_offset })
        });
        ends.collect()
    };
    plan.topics.iter().map(partitions).collect()
}

fn has_data(plan: &FetchRequest, peeked: &Found) -> bool {
    let wanted = plan.topics.iter().flat_map(|topic| &topic.partitions);
    let is_behind =
        |(wanted, ends): (&kafka_protocol::messages::fetch_request::FetchPartition, &Result<Fetched, _>)| {
            ends.as_ref().is_ok_and(|ends| ends.high_watermark > wanted.fetch_offset)
        };
    wanted.zip(peeked.iter().flatten()).any(is_behind)
}

/// Reads until the answer is full. Blocks.
fn read(log: &Log, plan: &FetchRequest, max_bytes: usize, quiet: &Quiet) -> Found {
    let mut room = max_bytes;
    let mut is_first = true;
    let mut found = Found::with_capacity(plan.topics.len());
    for topic in &plan.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let limit = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(room);
            let fetched = log.read(&topic.topic, wanted.partition, wanted.fetch_offset, limit, is_first);
            if let Ok(fetched) = &fetched {
                room = room.saturating_sub(fetched.batches.len());
                is_first &= fetched.batches.is_empty();
            }
            partitions.push(fetched.map_err(|error| refused(quiet, &topic.topic, wanted.partition, &error)));
        }
        found.push(partitions);
    }
    found
}

fn refused(quiet: &Quiet, topic: &str, partition: i32, error: &LogError) -> ResponseError {
    let response = response_error(error);
    if response != ResponseError::KafkaStorageError {
        tracing::debug!(topic, partition, %error, "read refused");
    } else if let Some(untold) = quiet.may_tell(About::Failures) {
        tracing::error!(topic, partition, %error, untold, "read failed");
    }
    response
}

async fn wait_for_more(cx: &Context, plan: &FetchRequest, found: &Found, deadline: Instant) {
    let wanted =
        plan.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| (&*topic.topic, p.partition)));
    let ends = found.iter().flatten().map(|fetched| fetched.as_ref().map_or(i64::MAX, |f| f.high_watermark));
    let places: Vec<(&str, i32, i64)> =
        wanted.zip(ends).map(|((topic, partition), end)| (topic.as_str(), partition, end)).collect();
    let left = deadline.saturating_duration_since(Instant::now());
    tokio::select! {
        () = cx.peer.closing.cancelled() => {}
        _ = cx.shared.log.wait_for_any(&places, left) => {}
    }
}

/// Version 11 of the answer, by hand: the batches stay the pieces that the log gave, uncopied.
fn encode(plan: &FetchRequest, found: &Found, error: i16) -> io::Result<Vec<Bytes>> {
    let mut pieces = Vec::new();
    let mut head = BytesMut::with_capacity(256);
    head.put_i32(0); // throttle time
    head.put_i16(error);
    head.put_i32(0); // session
    head.put_i32(length(found.len())?);
    for (topic, partitions) in plan.topics.iter().zip(found) {
        head.put_i16(i16::try_from(topic.topic.len()).map_err(io::Error::other)?);
        head.put_slice(topic.topic.as_bytes());
        head.put_i32(length(partitions.len())?);
        for (wanted, fetched) in topic.partitions.iter().zip(partitions) {
            let (error, high_watermark, log_start, batches) = match fetched {
                Ok(fetched) => (0, fetched.high_watermark, fetched.log_start_offset, fetched.batches.clone()),
                Err(error) => (error.code(), -1, -1, Bytes::new()),
            };
            head.put_i32(wanted.partition);
            head.put_i16(error);
            head.put_i64(high_watermark);
            head.put_i64(high_watermark); // last stable offset
            head.put_i64(log_start);
            head.put_i32(0); // aborted transactions
            head.put_i32(-1); // preferred read replica
            head.put_i32(length(batches.len())?);
            pieces.push(head.split().freeze());
            pieces.push(batches);
        }
    }
    pieces.push(head.freeze());
    Ok(pieces)
}

fn length(count: usize) -> io::Result<i32> {
    i32::try_from(count).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::FetchResponse;
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::protocol::{Decodable, StrBytes};

    #[test]
    fn the_hand_written_answer_is_what_the_wire_types_read() {
        let partition = |index| FetchPartition::default().with_partition(index);
        let topic = FetchTopic::default().with_topic(StrBytes::from_static_str("plant").into());
        let plan = FetchRequest::default()
            .with_topics(vec![topic.with_partitions(vec![partition(0), partition(7)])]);
        let fetched =
            Fetched { batches: Bytes::from_static(b"batches"), high_watermark: 9, log_start_offset: 2 };
        let found = vec![vec![Ok(fetched), Err(ResponseError::OffsetOutOfRange)]];
        let mut body: Bytes = encode(&plan, &found, 0).unwrap().concat().into();
        let read = FetchResponse::decode(&mut body, 11).unwrap();
        assert!(body.is_empty());
        let partitions = &read.responses[0].partitions;
        assert_eq!(read.responses[0].topic.as_str(), "plant");
        assert_eq!((partitions[0].high_watermark, partitions[0].last_stable_offset), (9, 9));
        assert_eq!(partitions[0].log_start_offset, 2);
        assert_eq!(partitions[0].records.as_deref(), Some(&b"batches"[..]));
        assert_eq!((partitions[1].partition_index, partitions[1].error_code), (7, 1));
    }
}
