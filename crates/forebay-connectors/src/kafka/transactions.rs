//! What the coordinator of a transactional id is asked: who writes, what belongs to a transaction, how it ends.
//!
//! ```text
//!  initialize ─▶ { add_partitions, produce … , mark (an offset of a group, part of the transaction) , end } ─▶ { … } …
//!      └─ ends what an older author left open, and refuses whatever that author still sends
//! ```
//!
//! Each call is tried again after what passes (a broker that restarts, a coordinator that moves, an earlier transaction
//! whose markers are still being written), for as long as `kafka.default.api.timeout.ms` allows. All of them may be
//! repeated: a broker that has done what is asked says so again. What must stay true: once the broker says that the
//! transaction is not ours any more (`TRANSACTION_LOST`), nothing is tried again under this author. Who it was that
//! ended it cannot be seen from here.

mod refusal;

use std::sync::Arc;
use std::time::Duration;

use forebay_core::{Partition, Result};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiKey, EndTxnRequest, GroupId, InitProducerIdRequest,
    OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use parking_lot::Mutex;

use super::client::{Client, Coordinator};
use super::connection::Connection;
use super::metadata::topic_name;
use super::retry;
use refusal::is_own_reason;

/// First pause before a call is tried again. 5 ms: the usual reason is that the markers of the transaction before are
/// still being written, which takes a broker about as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The version from which a group's offsets can be asked for without those of an open transaction.
const STABLE_OFFSETS: i16 = 7;

/// Under whose name records are written: a producer id and its epoch. Each [`Transactions::initialize`] gives a later
/// one, and the broker refuses all earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// An offset that a group holds, with the text beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Of which partition.
    pub partition: Partition,
    /// The offset.
    pub offset: i64,
    /// What was written beside it; empty if nothing was.
    pub text: String,
}

/// One transactional id on one cluster, and the group of the same name whose offset goes with each transaction.
#[derive(Debug)]
pub struct Transactions {
    client: Client,
    name: String,
    timeout: Duration,
    coordinators: Mutex<[Option<Arc<Connection>>; 2]>,
}

impl Transactions {
    /// The transactions of `name`, each of which may be open for `timeout`.
    pub fn new(client: Client, name: impl Into<String>, timeout: Duration) -> Self {
        Self { client, name: name.into(), timeout, coordinators: Mutex::default() }
    }

    /// The transactional id, and the name of the group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long a transaction may be open.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Ends what earlier authors left open, and gives out a new one.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` while there is no coordinator, `SOURCE_AUTH`, `BAD_VALUE` for a timeout that the broker does
    /// not allow, `SOURCE_REFUSED` from brokers without transactions.
    pub async fn initialize(&self) -> Result<Author> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id()))
            .with_transaction_timeout_ms(i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        self.trying(Coordinator::Transaction, "to begin as its writer", &request, |answer| {
            self.outcome(answer.error_code, "to begin as its writer")?;
            Ok(Author { id: answer.producer_id.0, epoch: answer.producer_epoch })
        })
        .await
    }

    /// Makes partitions part of the transaction, which begins with the first.
    pub async fn add_partitions(&self, author: Author, partitions: &[Partition]) -> Result<()> {
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        for partition in partitions {
            match topics.iter_mut().find(|topic| topic.name.0.as_str() == &*partition.topic) {
                Some(topic) => topic.partitions.push(partition.index),
                None => topics.push(
                    AddPartitionsToTxnTopic::default()
                        .with_name(topic_name(&partition.topic))
                        .with_partitions(vec![partition.index]),
                ),
            }
        }
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id())
            .with_v3_and_below_producer_id(ProducerId(author.id))
            .with_v3_and_below_producer_epoch(author.epoch)
            .with_v3_and_below_topics(topics);
        self.trying(Coordinator::Transaction, "to add partitions", &request, |answer| {
            let topics = answer.results_by_topic_v3_and_below.iter();
            let codes =
                topics.flat_map(|topic| &topic.results_by_partition).map(|it| it.partition_error_code);
            // One refusal refuses all, and the others say only that they were not tried.
            let told = codes.filter(|code| *code != 0).max_by_key(|code| is_own_reason(*code));
            self.outcome(told.unwrap_or_default(), "to add partitions to its transaction")
        })
        .await
    }

    /// Commits an offset of the group as part of the transaction, with a text beside it.
    pub async fn mark(&self, author: Author, at: &Partition, offset: i64, text: &str) -> Result<()> {
        let what = "to add the group's offset to its transaction";
        let group = GroupId(self.id().0);
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id())
            .with_producer_id(ProducerId(author.id))
            .with_producer_epoch(author.epoch)
            .with_group_id(group.clone());
        let added = |code| self.outcome(code, what);
        self.trying(Coordinator::Transaction, what, &request, |answer| added(answer.error_code)).await?;
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(at.index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(StrBytes::from_string(text.to_owned())));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(&at.topic))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id())
            .with_group_id(group)
            .with_producer_id(ProducerId(author.id))
            .with_producer_epoch(author.epoch)
            .with_topics(vec![topic]);
        self.trying(Coordinator::Group, what, &request, |answer| {
            let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|it| it.error_code);
            codes.into_iter().try_for_each(added)
        })
        .await
    }

    /// Ends the transaction; after a lost answer the same may be asked again.
    pub async fn end(&self, author: Author, commit: bool) -> Result<()> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id())
            .with_producer_id(ProducerId(author.id))
            .with_producer_epoch(author.epoch)
            .with_committed(commit);
        self.trying(Coordinator::Transaction, "to end its transaction", &request, |answer| {
            self.outcome(answer.error_code, "to end its transaction")
        })
        .await
    }

    /// The greatest offset that the group holds of any topic's first partition; `None` if it holds none, as a group that
    /// never was, or whose offsets have expired. Offsets of open transactions do not count.
    pub async fn marked(&self) -> Result<Option<Marked>> {
        let plain = OffsetFetchRequest::default().with_group_id(GroupId(self.id().0)).with_topics(None);
        let read = async || {
            let connection = self.coordinator(Coordinator::Group).await?;
            let stable = connection.version(ApiKey::OffsetFetch) >= Some(STABLE_OFFSETS);
            let request = plain.clone().with_require_stable(stable);
            let answer = self.told(Coordinator::Group, connection.call(&request).await)?;
            self.heard(Coordinator::Group, self.outcome(answer.error_code, "to read the group's offset"))?;
            let mut newest: Option<Marked> = None;
            for topic in &answer.topics {
                for found in topic.partitions.iter().filter(|found| found.partition_index == 0) {
                    let told = self.outcome(found.error_code, "to read the group's offset");
                    self.heard(Coordinator::Group, told)?;
                    let later = newest.as_ref().is_none_or(|newest| newest.offset < found.committed_offset);
                    if found.committed_offset >= 0 && later {
                        newest = Some(Marked {
                            partition: Partition::new(topic.name.0.as_str(), 0),
                            offset: found.committed_offset,
                            text: found.metadata.as_ref().map(ToString::to_string).unwrap_or_default(),
                        });
                    }
                }
            }
            Ok(newest)
        };
        retry::until(self.client.config().retry_timeout, self.pauses(), read).await
    }

    fn id(&self) -> TransactionalId {
        TransactionalId(StrBytes::from_string(self.name.clone()))
    }

    fn pauses(&self) -> (Duration, Duration) {
        (FIRST_PAUSE, self.client.config().backoff.1.max(FIRST_PAUSE))
    }

    /// Asks a coordinator until it answers in a way that `read` takes.
    async fn trying<R: Request, T>(
        &self,
        of: Coordinator,
        what: &str,
        request: &R,
        read: impl Fn(R::Response) -> Result<T>,
    ) -> Result<T> {
        let read = &read;
        let ask = || async move {
            let connection = self.coordinator(of).await?;
            if connection.version(ApiKey::try_from(R::KEY).unwrap_or(ApiKey::EndTxn)).is_none() {
                return Err(self.without_transactions(what));
            }
            let answer = self.told(of, connection.call(request).await)?;
            self.heard(of, read(answer))
        };
        retry::until(self.client.config().retry_timeout, self.pauses(), ask).await
    }

    async fn coordinator(&self, of: Coordinator) -> Result<Arc<Connection>> {
        let known = self.coordinators.lock()[of as usize].clone();
        if let Some(connection) = known.filter(|connection| connection.is_open()) {
            return Ok(connection);
        }
        let connection =
            self.client.coordinator(of, &self.name).await.map_err(|error| self.explained(error))?;
        self.coordinators.lock()[of as usize] = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// After any failure the coordinator may be elsewhere: the next attempt asks who it is.
    fn heard<T>(&self, of: Coordinator, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.coordinators.lock()[of as usize] = None;
        }
        outcome
    }

    fn told<T>(&self, of: Coordinator, outcome: Result<T>) -> Result<T> {
        self.heard(of, outcome).map_err(|error| self.explained(error))
    }
}
