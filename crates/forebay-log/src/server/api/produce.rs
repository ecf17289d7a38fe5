//! Produce: record batches go to the log as slices of the request's own buffer.
//!
//! All partitions of a request are queued before the next request of the connection is looked at, and are then
//! waited for together. With acks=0 nobody is told anything: an error closes the connection, which is how a
//! producer learns that it should look up its topics again.
//!
//! What a client does not take of its answers is memory that nobody counts, so they are small: behind a Produce to more
//! partitions than fit [`SMALL_ANSWER`] the next request waits until it is answered, as it does behind other requests.

use super::errors::response_error;
use super::{Call, Context, Outcome, Started};
use crate::LogError;
use crate::quiet::About;
use crate::records::BatchHeader;
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::server::txn::Producer;
use crate::storage::{Appended, Pending};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, TopicName, TransactionalId};

/// Bytes of an answer up to which the client's next request need not wait for it: a hundred partitions and more. So
/// many of them as may be under way are a few hundred KiB.
const SMALL_ANSWER: usize = 4 << 10;

/// Bytes of one partition's part of an answer.
const PARTITION_ANSWER: usize = 30;

type Queued = Vec<(TopicName, Vec<(i32, Result<Pending, ResponseError>)>)>;

/// Queues all batches of one Produce; its answer comes when they are durable.
pub(super) async fn begin(cx: &Context, call: Call, request: ProduceRequest) -> Result<Started, Ended> {
    let acks = request.acks;
    let is_small = answer_bytes(&request) <= SMALL_ANSWER;
    let refusal = match (&request.transactional_id, acks) {
        (_, -1) | (None, 0..=1) => None,
        _ => Some(ResponseError::InvalidRequiredAcks),
    };
    let id = request.transactional_id;
    let is_theirs = |id: &TransactionalId| cx.may(ApiKey::Produce, Need::TransactionalId, id);
    let refusal = match &id {
        Some(id) if !is_theirs(id) => Some(ResponseError::TransactionalIdAuthorizationFailed),
        _ => refusal,
    };
    let mut queued = Queued::new();
    for topic in request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        let may_write = cx.may(ApiKey::Produce, Need::Write, &topic.name);
        let denied = (!may_write).then_some(ResponseError::TopicAuthorizationFailed);
        let refusal = refusal.or(denied);
        for partition in topic.partition_data {
            let submitted = match (refusal, partition.records) {
                (Some(error), _) => Err(error),
                (None, None) => Err(ResponseError::InvalidRecord),
                (None, Some(batches)) if !is_newest(cx, id.as_ref().map(|id| id.as_str()), &batches) => {
                    Err(ResponseError::InvalidProducerEpoch)
                }
                (None, Some(batches)) => {
                    let submitted = cx.shared.log.submit(&topic.name, partition.index, batches).await;
                    submitted.map_err(|error| refused(cx, &topic.name, partition.index, &error))
                }
            };
            partitions.push((partition.index, submitted));
        }
        queued.push((topic.name, partitions));
    }
    if acks == 0 {
        let all_queued =
            queued.iter().all(|(_, partitions)| partitions.iter().all(|(_, submitted)| submitted.is_ok()));
        if !all_queued {
            if let Some(untold) = cx.shared.quiet.may_tell(About::Refusals) {
                let remote = cx.peer.remote;
                tracing::warn!(%remote, untold, "an append with acks=0 was refused, its connection is closed");
            }
            return Ok(Started::Now(Outcome::Close));
        }
        return Ok(Started::Now(Outcome::Silence));
    }
    let answer = finish(cx.clone(), queued);
    let work = Box::pin(async move { call.answer(&answer.await) });
    Ok(if is_small { Started::Queued(work) } else { Started::Later(work) })
}

/// False where a transactional producer is not the newest of its id. Whether it may write is the partition's to say.
fn is_newest(cx: &Context, id: Option<&str>, batches: &[u8]) -> bool {
    let Some(id) = id else { return true };
    let Ok(Some(header)) = BatchHeader::parse(batches) else { return true };
    let from = Producer { id: header.producer_id, epoch: header.producer_epoch };
    cx.shared.transactions.may_write(id, from).is_ok()
}

fn answer_bytes(request: &ProduceRequest) -> usize {
    let topics = request.topic_data.iter();
    topics.map(|topic| topic.name.len() + PARTITION_ANSWER * topic.partition_data.len().max(1)).sum()
}

/// Everything is queued already, so waiting for one after the other is waiting for all at once.
async fn finish(cx: Context, queued: Queued) -> ProduceResponse {
    let mut topics = Vec::with_capacity(queued.len());
    for (name, partitions) in queued {
        let mut answers = Vec::with_capacity(partitions.len());
        for (index, submitted) in partitions {
            let appended = match submitted {
                Ok(pending) => pending.done().await.map_err(|error| refused(&cx, &name, index, &error)),
                Err(error) => Err(error),
            };
            answers.push(answer(index, appended));
        }
        topics.push(TopicProduceResponse::default().with_name(name).with_partition_responses(answers));
    }
    ProduceResponse::default().with_responses(topics)
}

fn answer(index: i32, appended: Result<Appended, ResponseError>) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index);
    match appended {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time)
            .with_log_start_offset(appended.log_start_offset),
        Err(error) => answer
            .with_error_code(error.code())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1),
    }
}

fn refused(cx: &Context, topic: &TopicName, partition: i32, error: &LogError) -> ResponseError {
    let response = response_error(error);
    if response != ResponseError::KafkaStorageError {
        tracing::debug!(topic = %topic.0, partition, %error, "append refused");
    } else if let Some(untold) = cx.shared.quiet.may_tell(About::Failures) {
        tracing::error!(topic = %topic.0, partition, %error, untold, "append failed");
    }
    response
}
