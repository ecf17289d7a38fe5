//! The fetch task of one broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::{Error, Partition, Result};
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::inbox::{Failure, Fetched, Inbox, Question};
use super::remote::chunk_of;
use super::transactions::Aborted;
use crate::kafka::{Client, ClientConfig, Connection, Isolation, refused};

/// How long the broker may hold a question while a slot of ours is full: short, so that it goes on when it has room.
const SHORT_WAIT: Duration = Duration::from_millis(20);

/// Runs until its source is dropped.
pub(super) async fn run(client: Client, leader: i32, inbox: Arc<Inbox>) {
    let mut connection: Option<Connection> = None;
    let mut turn = 0;
    loop {
        let asking = inbox.asking();
        tokio::pin!(asking);
        asking.as_mut().enable();
        let (mut questions, may_park) = inbox.to_fetch(leader);
        if questions.is_empty() {
            asking.await;
            continue;
        }
        // Brokers fill an answer in the order of the question: everyone comes first in turn.
        turn = (turn + 1) % questions.len();
        questions.rotate_left(turn);
        let open = match connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => match client.dial(leader).await {
                Ok(open) => open,
                Err(error) => {
                    inbox.orphan(&questions, &error);
                    continue;
                }
            },
        };
        let answer = {
            let fetching = fetch(&open, client.config(), &questions, may_park);
            tokio::pin!(fetching);
            loop {
                tokio::select! {
                    biased;
                    answer = &mut fetching => break Some(answer),
                    () = asking.as_mut() => {
                        // Somebody reads elsewhere now: an answer that the broker still holds is of no use.
                        if may_park && questions.iter().any(|question| inbox.is_stale(question)) {
                            break None;
                        }
                        asking.set(inbox.asking());
                        asking.as_mut().enable();
                    }
                }
            }
        };
        match answer {
            Some(Ok(answer)) => {
                let pause = Duration::from_millis(answer.throttle_time_ms.unsigned_abs().into());
                deliver(&inbox, client.config(), &questions, answer);
                connection = Some(open);
                // A broker with quotas says how long it will not listen.
                tokio::time::sleep(pause).await;
            }
            Some(Err(error)) => inbox.orphan(&questions, &error),
            // The connection goes with the question; slots that did not move are asked for again.
            None => inbox.ask_again(&questions),
        }
    }
}

async fn fetch(
    connection: &Connection,
    config: &ClientConfig,
    questions: &[Question],
    may_park: bool,
) -> Result<FetchResponse> {
    let wait = if may_park { config.fetch_max_wait } else { SHORT_WAIT.min(config.fetch_max_wait) };
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(config.fetch_min_bytes)
        .with_max_bytes(config.fetch_max_bytes)
        .with_isolation_level(config.isolation.id())
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics(questions));
    connection.call_within(&request, wait + config.request_timeout).await
}

fn topics(questions: &[Question]) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for question in questions {
        let wanted = FetchPartition::default()
            .with_partition(question.partition.index)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(question.from)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(i32::try_from(question.enough).unwrap_or(i32::MAX));
        match topics.last_mut().filter(|topic| topic.topic.0.as_str() == &*question.partition.topic) {
            Some(topic) => topic.partitions.push(wanted),
            None => topics.push(
                FetchTopic::default()
                    .with_topic(TopicName(StrBytes::from_string(question.partition.topic.to_string())))
                    .with_partitions(vec![wanted]),
            ),
        }
    }
    topics
}

fn deliver(inbox: &Inbox, config: &ClientConfig, questions: &[Question], answer: FetchResponse) {
    let whole = answer.error_code.err();
    let mut by_partition: BTreeMap<Partition, PartitionData> = BTreeMap::new();
    for topic in answer.responses {
        let name: Arc<str> = topic.topic.0.as_str().into();
        for data in topic.partitions {
            by_partition.insert(Partition::new(Arc::clone(&name), data.partition_index), data);
        }
    }
    let mut orphans: Vec<(Question, Error)> = Vec::new();
    for question in questions {
        let place = format_args!("to read {} at offset {}", question.partition, question.from).to_string();
        let data = by_partition.remove(&question.partition);
        let error = whole.or_else(|| {
            data.as_ref().map_or(Some(ResponseError::UnknownServerError), |d| d.error_code.err())
        });
        match (error, data) {
            (None, Some(data)) => inbox.deliver(question, understand(config, question, data)),
            (Some(ResponseError::OffsetOutOfRange), _) => inbox.deliver(question, Err(Failure::OutOfRange)),
            (error, _) => {
                let error = error.unwrap_or(ResponseError::UnknownServerError);
                let refusal = refused(error, &place);
                let passing = error.is_retriable() || error == ResponseError::UnknownServerError;
                if passing && error != ResponseError::CorruptMessage {
                    orphans.push((question.clone(), refusal));
                } else {
                    inbox.deliver(question, Err(Failure::Fatal(refusal)));
                }
            }
        }
    }
    for (question, why) in orphans {
        inbox.orphan(std::slice::from_ref(&question), &why);
    }
    inbox.announce();
}

fn understand(config: &ClientConfig, question: &Question, data: PartitionData) -> Result<Fetched, Failure> {
    let end = match config.isolation {
        Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
        Isolation::ReadCommitted | Isolation::ReadUncommitted => data.high_watermark,
    };
    let aborted = data.aborted_transactions.unwrap_or_default();
    let aborted = Aborted::new(aborted.iter().map(|void| (void.producer_id.0, void.first_offset)));
    let bytes = data.records.unwrap_or_default();
    let chunk = chunk_of(&question.partition, question.from, bytes, aborted).map_err(Failure::Fatal)?;
    Ok(Fetched { chunk, end })
}
