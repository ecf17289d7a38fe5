//! The embedded log, read in place: segments instead of a network, the same slots, and of transactions the same as a
//! broker would send.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::{Error, Partition, Position, Positions, Result};
use forebay_log::LogError;
use forebay_log::storage::{Isolation, Log};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::inbox::{Failure, Fetched, Inbox, Question};
use super::remote::chunk_of;
use super::transactions::Aborted;
use super::transport::{FoundTopic, Transport};
use crate::kafka::{self, At, Topics};

/// The log has no brokers; its slots are led by this one.
const LEADER: i32 = 0;
/// Longest sleep while nothing arrives; arrivals end it at once.
const IDLE: Duration = Duration::from_millis(500);
/// So few bytes before the ends of all partitions together are read at once.
const FRESH: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Embedded {
    log: Log,
    isolation: Isolation,
    inbox: Arc<Inbox>,
    started: AtomicBool,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Embedded {
    pub(super) fn new(log: Log, isolation: kafka::Isolation, inbox: Arc<Inbox>) -> Self {
        let isolation = match isolation {
            kafka::Isolation::ReadCommitted => Isolation::Committed,
            kafka::Isolation::ReadUncommitted => Isolation::Uncommitted,
        };
        let stop = CancellationToken::new();
        let started = AtomicBool::new(false);
        Self { log, isolation, inbox, started, stop: stop.clone(), _stop_when_dropped: stop.drop_guard() }
    }
}

#[async_trait]
impl Transport for Embedded {
    async fn topics(&self, topics: &Topics) -> Result<BTreeMap<Arc<str>, FoundTopic>> {
        let found = self.log.topics().into_iter().filter(|topic| topics.includes(&topic.name, false));
        Ok(found
            .map(|topic| {
                let partitions = (0..topic.partitions).collect();
                (topic.name.as_str().into(), FoundTopic { id: Some(topic.id), partitions })
            })
            .collect())
    }

    async fn hear(&self, _: &Topics) -> Result<()> {
        Ok(())
    }

    fn id_of(&self, topic: &str) -> Option<Uuid> {
        self.log.topic(topic).map(|topic| topic.id)
    }

    async fn offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Option<i64>>> {
        let is_in_memory = places.values().all(|at| matches!(at, At::Earliest | At::Latest));
        let (log, isolation, places) = (self.log.clone(), self.isolation, places.clone());
        let look_up =
            move || places.iter().map(|(partition, at)| look_up(&log, isolation, partition, *at)).collect();
        if is_in_memory {
            return look_up();
        }
        tokio::task::spawn_blocking(look_up).await.map_err(|error| ended(&error))?
    }

    fn refresh(&self, ends: &mut Positions) {
        for (partition, end) in ends {
            if let Ok(offsets) = self.log.offsets(&partition.topic, partition.index) {
                *end = (*end).max(Position(offsets.end(self.isolation)));
            }
        }
    }

    fn start(&self) {
        if self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        let fetching = fetch(self.log.clone(), self.isolation, Arc::clone(&self.inbox));
        let inbox = Arc::clone(&self.inbox);
        let leading = async move {
            loop {
                let leaders: Vec<_> =
                    inbox.without_leader().into_iter().map(|partition| (partition, Some(LEADER))).collect();
                inbox.lead(&leaders, None);
                inbox.leaderless().await;
            }
        };
        let stop = self.stop.clone();
        tokio::spawn(
            async move { stop.run_until_cancelled(async { tokio::join!(fetching, leading) }).await },
        );
    }

    async fn show(&self, _group: &str, _positions: &Positions) -> Result<()> {
        // The groups of the embedded log belong to its server; the query's own progress report shows the lag.
        Ok(())
    }
}

/// As brokers answer: what is not decided is not there for a reader of committed data.
fn look_up(
    log: &Log,
    isolation: Isolation,
    partition: &Partition,
    at: At,
) -> Result<(Partition, Option<i64>)> {
    let failed = |error: LogError| failed(partition, &error);
    let ends = log.offsets(&partition.topic, partition.index).map_err(failed)?;
    let offset = match at {
        At::Timestamp(ms) => {
            let found = log.offset_for_timestamp(&partition.topic, partition.index, ms).map_err(failed)?;
            found.map(|(offset, _)| offset).filter(|offset| *offset < ends.end(isolation))
        }
        At::Earliest => Some(ends.earliest),
        At::Latest => Some(ends.end(isolation)),
    };
    Ok((partition.clone(), offset))
}

/// Reads for whoever has room, and sleeps on the log while there is nothing new.
async fn fetch(log: Log, isolation: Isolation, inbox: Arc<Inbox>) {
    loop {
        let asking = inbox.asking();
        tokio::pin!(asking);
        asking.as_mut().enable();
        let questions = inbox.to_read(LEADER);
        if questions.is_empty() {
            asking.await;
            continue;
        }
        let read = if is_fresh(&log, isolation, &questions) {
            catch_unwind(AssertUnwindSafe(|| read_all(&log, isolation, &questions)))
                .map_err(|_| "a panic".to_owned())
        } else {
            let (log, asked) = (log.clone(), questions.clone());
            let read = tokio::task::spawn_blocking(move || read_all(&log, isolation, &asked)).await;
            read.map_err(|error| error.to_string())
        };
        let answers =
            read.unwrap_or_else(|why| questions.iter().map(|_| Err(Failure::Fatal(ended(&why)))).collect());
        let mut waiting = Vec::new();
        let mut brought = false;
        for (question, answer) in questions.iter().zip(answers) {
            let nothing = matches!(&answer, Ok(fetched) if fetched.chunk.is_none());
            brought |= !nothing;
            if nothing {
                waiting.push((question.partition.clone(), question.from));
            }
            inbox.deliver(question, answer);
        }
        inbox.announce();
        if brought {
            continue;
        }
        let places: Vec<(&str, i32, i64)> =
            waiting.iter().map(|(partition, at)| (&*partition.topic, partition.index, *at)).collect();
        tokio::select! {
            _ = log.wait_for_any(&places, isolation, IDLE) => {}
            () = asking => {}
        }
    }
}

/// True if all that there is to read was written a moment ago: it is in memory, and reading it takes less than having it read elsewhere.
fn is_fresh(log: &Log, isolation: Isolation, questions: &[Question]) -> bool {
    let behind = |Question { partition, from, .. }: &Question| {
        log.bytes_behind(&partition.topic, partition.index, *from, isolation).unwrap_or(u64::MAX)
    };
    questions.iter().map(behind).fold(0, u64::saturating_add) <= FRESH
}

fn read_all(log: &Log, isolation: Isolation, questions: &[Question]) -> Vec<Result<Fetched, Failure>> {
    questions.iter().map(|question| read(log, isolation, question)).collect()
}

fn read(log: &Log, isolation: Isolation, question: &Question) -> Result<Fetched, Failure> {
    let Question { partition, from, enough, .. } = question;
    match log.read(&partition.topic, partition.index, *from, *enough, true, isolation) {
        Ok(found) => {
            let end = found.end(isolation);
            let aborted = Aborted::new(found.aborted.into_iter());
            let chunk = chunk_of(partition, *from, found.batches, aborted).map_err(Failure::Fatal)?;
            Ok(Fetched { chunk, end })
        }
        // A topic that is gone is found out by the source, which knows what to make of it.
        Err(
            LogError::OffsetOutOfRange { .. } | LogError::UnknownTopic(_) | LogError::UnknownPartition { .. },
        ) => Err(Failure::OutOfRange),
        Err(error) => Err(Failure::Fatal(failed(partition, &error))),
    }
}

fn failed(partition: &Partition, error: &LogError) -> Error {
    Error::new(&codes::LOG_FAILED, "the embedded log cannot be read")
        .at(partition)
        .with_detail(error)
        .with_retry(error.is_retriable())
}

fn ended(why: &dyn std::fmt::Display) -> Error {
    Error::new(&codes::LOG_FAILED, "a read of the embedded log ended early").with_detail(why)
}
