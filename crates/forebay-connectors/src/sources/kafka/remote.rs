//! Brokers: one fetch task for each that leads something, and one that keeps track of who leads.
//!
//! A fetch task has a connection of its own, because brokers hold questions at the end of a log until something
//! comes. It looks at batch headers only; opening batches is the lanes' work. As soon as an answer is in its slots
//! the next question is on its way, so broker, network and lanes work at the same time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use forebay_core::error::codes;
use forebay_core::{Error, Partition, Positions, Result};
use forebay_log::records::Batches;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::fetcher;
use super::inbox::{Chunk, Inbox};
use super::transactions::Aborted;
use super::transport::{FoundTopic, Transport};
use crate::kafka::{At, Backoff, Client, ClientConfig, Topics, refused};

#[derive(Debug)]
pub(super) struct Remote {
    shared: Arc<Shared>,
    started: Mutex<bool>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// What the background tasks share.
#[derive(Debug)]
struct Shared {
    client: Client,
    inbox: Arc<Inbox>,
}

impl Remote {
    pub(super) fn new(config: ClientConfig, inbox: Arc<Inbox>) -> Result<Self> {
        let shared = Arc::new(Shared { client: Client::new(config)?, inbox });
        let stop = CancellationToken::new();
        Ok(Self {
            shared,
            started: Mutex::new(false),
            stop: stop.clone(),
            _stop_when_dropped: stop.drop_guard(),
        })
    }
}

#[async_trait]
impl Transport for Remote {
    async fn topics(&self, topics: &Topics) -> Result<BTreeMap<Arc<str>, FoundTopic>> {
        let metadata = self.shared.client.metadata(topics).await?;
        let mut found = BTreeMap::new();
        for (name, topic) in metadata.topics {
            use kafka_protocol::error::ResponseError as E;
            match topic.error {
                None => {
                    let partitions = topic.partitions.keys().copied().collect();
                    found.insert(name, FoundTopic { id: topic.id, partitions });
                }
                Some(E::UnknownTopicOrPartition) => {}
                Some(error) => return Err(refused(error, &format_args!("topic `{name}`"))),
            }
        }
        Ok(found)
    }

    async fn hear(&self, topics: &Topics) -> Result<()> {
        self.shared.client.metadata(topics).await.map(drop)
    }

    fn id_of(&self, topic: &str) -> Option<Uuid> {
        self.shared.client.topic_id(topic)
    }

    async fn offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Option<i64>>> {
        let found = self.shared.client.list_offsets(places).await?;
        Ok(found.into_iter().map(|(partition, found)| (partition, found.offset)).collect())
    }

    fn start(&self) {
        let mut started = self.started.lock();
        if !*started {
            *started = true;
            let keeping_track = keep_track(Arc::clone(&self.shared), self.stop.clone());
            let stop = self.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(keeping_track).await });
        }
    }

    async fn show(&self, group: &str, positions: &Positions) -> Result<()> {
        self.shared.client.commit_group_offsets(group, positions).await
    }
}

/// Finds leaders for slots without one, and starts a fetch task for each broker when it first leads something.
async fn keep_track(shared: Arc<Shared>, stop: CancellationToken) {
    let mut fetching: HashSet<i32> = HashSet::new();
    let mut backoff = Backoff::new(shared.client.config().backoff);
    loop {
        let lost = shared.inbox.without_leader();
        if lost.is_empty() {
            backoff.reset();
            shared.inbox.leaderless().await;
            continue;
        }
        let learned = shared.client.learn_leaders(lost.iter()).await;
        let leaders: Vec<_> = lost
            .into_iter()
            .map(|partition| {
                let leader = if learned.is_ok() { shared.client.leader(&partition) } else { None };
                (partition, leader)
            })
            .collect();
        let why_not = learned.err().unwrap_or_else(|| {
            Error::new(&codes::SOURCE_UNAVAILABLE, "a partition has no leader at the moment")
        });
        for leader in leaders.iter().filter_map(|(_, leader)| *leader) {
            if fetching.insert(leader) {
                let task = fetcher::run(shared.client.clone(), leader, Arc::clone(&shared.inbox));
                let stop = stop.clone();
                tokio::spawn(async move { stop.run_until_cancelled(task).await });
            }
        }
        shared.inbox.lead(&leaders, Some(&why_not));
        // Also when leaders were found: a broker that refuses at once must not keep us busy.
        tokio::time::sleep(backoff.pause().max(Duration::from_millis(10))).await;
    }
}

/// The whole batches in `bytes`, asked for from `from`; `None` if there is none.
///
/// # Errors
/// `BAD_BATCH` if the first bytes are no batch. Damage behind a good batch is found when it comes first.
pub(super) fn chunk_of(
    partition: &Partition,
    from: i64,
    bytes: Bytes,
    aborted: Aborted,
) -> Result<Option<Chunk>> {
    let mut next = from;
    let mut batches = Batches::new(&bytes);
    let mut whole = 0;
    for batch in batches.by_ref() {
        match batch {
            Ok(batch) => {
                next = next.max(batch.header.next_offset());
                whole += batch.bytes.len();
            }
            Err(_) if whole > 0 => break,
            Err(error) => return Err(bad_batch(partition, from, error)),
        }
    }
    if whole == 0 && !bytes.is_empty() {
        return Err(bad_batch(partition, from, "the broker sent part of a batch and nothing else"));
    }
    if whole > 0 && next <= from {
        return Err(bad_batch(
            partition,
            from,
            "the batches that came end before the position that was asked for",
        ));
    }
    let chunk = Chunk { from, next, batches: bytes.slice(..whole), aborted };
    Ok((whole > 0).then_some(chunk))
}

/// The error for a batch that cannot be trusted.
pub(super) fn bad_batch(partition: &Partition, offset: i64, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::BAD_BATCH, "damaged record batch")
        .at(format_args!("{partition} at offset {offset}"))
        .with_detail(why)
}
