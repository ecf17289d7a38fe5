//! Fetch: whole record batches, at once where there are any, else as soon as there are.
//!
//! Offsets and positions are compared first, without touching a file: an idle consumer costs a few comparisons per
//! poll, and one that waits for many bytes is read for when they are there. Then memory is taken for what there is to
//! read, or for a small answer where others hold too much, and one blocking task reads all partitions in the order
//! asked, until the answer is full; the first batch is sent even if it alone exceeds every limit, so that no reader is
//! ever stuck. What was read counts against the server's response memory until it is sent; while a request waits, it
//! holds nothing that was read, and nothing of its own bytes.
//!
//! There are no fetch sessions (every answer says session 0). A reader of committed data gets nothing from the last
//! stable offset on, and beside its batches the list of the aborted transactions in them.

use super::errors::response_error;
use super::{Call, Context, Outcome, Started};
use crate::LogError;
use crate::quiet::{About, Quiet};
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::server::frame::Frame;
use crate::storage::{Fetched, Isolation, Log};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, FetchRequest};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most of one partition in an answer, unless the client waits for more at once: what clients ask for by default. Much
/// larger pieces bring no more records a second, and each would be memory that the allocator gives back late.
const MOST_OF_A_PARTITION: usize = 1 << 20;

/// What to read, in the order asked: topics and their partitions, each of them once.
type Plan = Arc<Vec<(String, Vec<Wanted>)>>;
/// What was found, in the order of the plan.
type Found = Vec<Vec<Result<Fetched, ResponseError>>>;

/// A part of a plan.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    partition: i32,
    offset: i64,
    max_bytes: usize,
    /// Who asks may not read it.
    is_denied: bool,
}

/// How much there is to read, as far as positions tell.
#[derive(Clone, Copy, Debug, Default)]
struct There {
    /// All of it. As many as the index is coarse may be too many, for each partition.
    bytes: usize,
    too_many: usize,
    /// What the client allows of it.
    allowed: usize,
}

/// What is asked for beside the plan.
#[derive(Clone, Copy, Debug)]
struct Limits {
    isolation: Isolation,
    deadline: Instant,
    min_bytes: usize,
    max_bytes: usize,
}

/// Begins one Fetch: the rest of it is done when all earlier answers of its connection are out.
pub(super) fn begin(cx: &Context, call: Call, request: FetchRequest) -> Result<Started, Ended> {
    let call = call.without_text();
    if request.session_id != 0 && request.session_epoch > 0 {
        // A session that we never gave out: the client goes on without.
        let pieces = encode(&Plan::default(), &Found::new(), ResponseError::FetchSessionIdNotFound.code())?;
        let frame = Frame::from_pieces(call.correlation_id, pieces)?;
        return Ok(Started::AtHead(Box::pin(async move { Ok(Outcome::Answer(frame)) })));
    }
    let options = &cx.shared.options;
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let limits = Limits {
        isolation: isolation(request.isolation_level),
        deadline: Instant::now() + wait.min(options.max_fetch_wait),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(options.max_fetch_bytes),
    };
    let most = cx.shared.log.options().max_partitions;
    let plan = plan(&request, most, |topic| cx.may(ApiKey::Fetch, Need::Read, topic))
        .ok_or_else(|| Ended::Malformed { key: ApiKey::Fetch, why: format!("over {most} partitions") })?;
    Ok(Started::AtHead(Box::pin(serve(cx.clone(), call, plan, limits))))
}

/// The protocol's numbers: 0 is uncommitted; whoever asks for something else gets no more than is decided.
pub(super) fn isolation(level: i8) -> Isolation {
    match level {
        0 => Isolation::Uncommitted,
        _ => Isolation::Committed,
    }
}

/// What a request wants, without its bytes; `None` where it names more partitions than there may be. What it names
/// again is left out.
fn plan(request: &FetchRequest, most: usize, may_read: impl Fn(&str) -> bool) -> Option<Plan> {
    let mut seen = HashSet::new();
    let most_of_one = MOST_OF_A_PARTITION.max(usize::try_from(request.min_bytes).unwrap_or(0));
    let mut topics = Vec::with_capacity(request.topics.len().min(most));
    for topic in &request.topics {
        let is_denied = !may_read(&topic.topic);
        let new = topic.partitions.iter().filter(|one| seen.insert((&topic.topic, one.partition)));
        let wanted: Vec<Wanted> = new
            .map(|one| Wanted {
                partition: one.partition,
                offset: one.fetch_offset,
                max_bytes: usize::try_from(one.partition_max_bytes).unwrap_or(0).min(most_of_one),
                is_denied,
            })
            .collect();
        if !wanted.is_empty() {
            topics.push((topic.topic.to_string(), wanted));
        }
    }
    (seen.len() <= most).then(|| Arc::new(topics))
}

async fn serve(cx: Context, call: Call, plan: Plan, limits: Limits) -> io::Result<Outcome> {
    let Limits { isolation, deadline, min_bytes, max_bytes } = limits;
    let log = &cx.shared.log;
    let mut enough = min_bytes;
    loop {
        let mut found = peek(log, &plan);
        let there = look(log, &plan, &found, limits);
        let is_last = Instant::now() >= deadline || cx.peer.closing.is_cancelled();
        let has_error = found.iter().flatten().any(Result::is_err);
        let mut memory = None;
        if there.bytes > 0 && (there.bytes >= enough || is_last || has_error) {
            // The first batch is read however large it is, which is seldom more than this.
            let one_batch = there.bytes.min(log.options().max_message_bytes);
            memory = cx.shared.response_memory.take(there.allowed.max(one_batch)).await;
            let most = memory.as_ref().map_or(0, |memory| memory.num_permits()).min(max_bytes);
            let (shared, wanted) = (cx.shared.clone(), plan.clone());
            let reading = move || read(&shared.log, &wanted, most, isolation, &shared.quiet);
            found = tokio::task::spawn_blocking(reading).await?;
        }
        let bytes: usize = found.iter().flatten().flatten().map(|fetched| fetched.batches.len()).sum();
        let has_error = found.iter().flatten().any(Result::is_err);
        // More than was counted too many is left only where no more goes into one answer.
        let is_full = bytes > 0 && there.bytes > bytes + there.too_many;
        if bytes >= min_bytes || has_error || is_last || is_full {
            if let Some(memory) = &mut memory {
                drop(memory.split(memory.num_permits().saturating_sub(bytes)));
            }
            let pieces = encode(&plan, &found, 0)?;
            return Ok(Outcome::Answer(Frame::from_pieces(call.correlation_id, pieces)?.holding(memory)));
        }
        if memory.is_some() {
            enough = there.bytes + (min_bytes - bytes);
        }
        let places = places(&plan, &found, isolation);
        drop((found, memory));
        wait_for_more(&cx, &places, limits).await;
    }
}

/// The ends of each partition, without reading.
fn peek(log: &Log, plan: &Plan) -> Found {
    let ends = |topic: &str, wanted: &Wanted| {
        if wanted.is_denied {
            return Err(ResponseError::TopicAuthorizationFailed);
        }
        let ends = log.offsets(topic, wanted.partition).map_err(|error| response_error(&error))?;
        if !(ends.earliest..=ends.latest).contains(&wanted.offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        Ok(Fetched {
            high_watermark: ends.latest,
            last_stable_offset: ends.stable,
            log_start_offset: ends.earliest,
            ..Fetched::default()
        })
    };
    plan.iter().map(|(topic, wanted)| wanted.iter().map(|one| ends(topic, one)).collect()).collect()
}

/// Counts what there is to read in what was peeked at.
fn look(log: &Log, plan: &Plan, peeked: &Found, limits: Limits) -> There {
    let Limits { isolation, max_bytes, .. } = limits;
    let mut there = There::default();
    for ((topic, wanted), ends) in plan.iter().zip(peeked) {
        for (wanted, ends) in wanted.iter().zip(ends) {
            if !ends.as_ref().is_ok_and(|ends| ends.end(isolation) > wanted.offset) {
                continue;
            }
            let bytes = log.bytes_behind(topic, wanted.partition, wanted.offset, isolation).unwrap_or(0);
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            there.bytes = there.bytes.saturating_add(bytes);
            // Where it does not reach to the end, both ends of it are coarse.
            there.too_many += 2 * log.options().index_interval_bytes as usize;
            there.allowed = there.allowed.saturating_add(bytes.min(wanted.max_bytes)).min(max_bytes);
        }
    }
    there
}

/// Reads until the answer is full. Blocks.
fn read(log: &Log, plan: &Plan, max_bytes: usize, isolation: Isolation, quiet: &Quiet) -> Found {
    let mut room = max_bytes;
    let mut is_first = true;
    let mut found = Found::with_capacity(plan.len());
    for (topic, wanted) in plan.iter() {
        let mut partitions = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            if wanted.is_denied {
                partitions.push(Err(ResponseError::TopicAuthorizationFailed));
                continue;
            }
            let limit = wanted.max_bytes.min(room);
            let fetched = log.read(topic, wanted.partition, wanted.offset, limit, is_first, isolation);
            if let Ok(fetched) = &fetched {
                room = room.saturating_sub(fetched.batches.len());
                is_first &= fetched.batches.is_empty();
            }
            partitions.push(fetched.map_err(|error| refused(quiet, topic, wanted.partition, &error)));
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

/// Each partition, with the end that has been seen.
fn places<'a>(plan: &'a Plan, found: &Found, isolation: Isolation) -> Vec<(&'a str, i32, i64)> {
    let wanted =
        plan.iter().flat_map(|(topic, wanted)| wanted.iter().map(|one| (topic.as_str(), one.partition)));
    let ends = found.iter().flatten().map(|fetched| fetched.as_ref().map_or(i64::MAX, |f| f.end(isolation)));
    wanted.zip(ends).map(|((topic, partition), end)| (topic, partition, end)).collect()
}

async fn wait_for_more(cx: &Context, places: &[(&str, i32, i64)], limits: Limits) {
    let left = limits.deadline.saturating_duration_since(Instant::now());
    tokio::select! {
        () = cx.peer.closing.cancelled() => {}
        _ = cx.shared.log.wait_for_any(places, limits.isolation, left) => {}
    }
}

/// Version 11 of the answer, by hand: the batches stay the pieces that the log gave, uncopied.
fn encode(plan: &Plan, found: &Found, error: i16) -> io::Result<Vec<Bytes>> {
    let mut pieces = Vec::new();
    let mut head = BytesMut::with_capacity(256);
    head.put_i32(0); // throttle time
    head.put_i16(error);
    head.put_i32(0); // session
    head.put_i32(length(found.len())?);
    for ((topic, wanted), partitions) in plan.iter().zip(found) {
        head.put_i16(i16::try_from(topic.len()).map_err(io::Error::other)?);
        head.put_slice(topic.as_bytes());
        head.put_i32(length(partitions.len())?);
        for (wanted, fetched) in wanted.iter().zip(partitions) {
            let nothing = Fetched {
                high_watermark: -1,
                last_stable_offset: -1,
                log_start_offset: -1,
                ..Fetched::default()
            };
            let (error, fetched) = match fetched {
                Ok(fetched) => (0, fetched),
                Err(error) => (error.code(), &nothing),
            };
            head.put_i32(wanted.partition);
            head.put_i16(error);
            head.put_i64(fetched.high_watermark);
            head.put_i64(fetched.last_stable_offset);
            head.put_i64(fetched.log_start_offset);
            head.put_i32(length(fetched.aborted.len())?);
            for (producer_id, first_offset) in &fetched.aborted {
                head.put_i64(*producer_id);
                head.put_i64(*first_offset);
            }
            head.put_i32(-1); // preferred read replica
            head.put_i32(length(fetched.batches.len())?);
            pieces.push(head.split().freeze());
            pieces.push(fetched.batches.clone());
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
        let topic = topic.with_partitions(vec![partition(0), partition(7), partition(0)]);
        let request = FetchRequest::default().with_topics(vec![topic.clone(), topic]);
        let plan = plan(&request, 2, |_| true).unwrap();
        assert!(super::plan(&request, 1, |_| true).is_none());
        let fetched = Fetched {
            batches: Bytes::from_static(b"batches"),
            high_watermark: 9,
            last_stable_offset: 7,
            log_start_offset: 2,
            aborted: vec![(70, 3), (71, 4)],
        };
        let found = vec![vec![Ok(fetched), Err(ResponseError::OffsetOutOfRange)]];
        let mut body: Bytes = encode(&plan, &found, 0).unwrap().concat().into();
        let read = FetchResponse::decode(&mut body, 11).unwrap();
        assert!(body.is_empty());
        let partitions = &read.responses[0].partitions;
        assert_eq!(read.responses.len(), 1, "what is named twice is one");
        assert_eq!(read.responses[0].topic.as_str(), "plant");
        assert_eq!((partitions[0].high_watermark, partitions[0].last_stable_offset), (9, 7));
        let aborted = partitions[0].aborted_transactions.as_ref().unwrap();
        let aborted: Vec<_> = aborted.iter().map(|it| (it.producer_id.0, it.first_offset)).collect();
        assert_eq!(aborted, [(70, 3), (71, 4)]);
        assert_eq!(partitions[0].log_start_offset, 2);
        assert_eq!(partitions[0].records.as_deref(), Some(&b"batches"[..]));
        assert_eq!((partitions[1].partition_index, partitions[1].error_code), (7, 1));
    }
}
