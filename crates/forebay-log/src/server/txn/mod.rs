//! The transaction coordinator: who writes in transactions, and how each of them ends.
//!
//! ```text
//!  state.rs      one transactional producer as a pure machine
//!  durable.rs    its form in the group store, beside the committed offsets
//!  complete.rs   markers; what is resumed after a restart, what ends because time is up
//!  limits.rs     how many there may be, how large, and who goes
//!  mod.rs        all producers, and each request's way: turn, decide, make durable, act
//! ```
//!
//! | dies | after the restart |
//! |---|---|
//! | before the decision is durable | the transaction is open: its producer may go on; the next incarnation, or time, aborts it |
//! | after it, before all markers | the missing markers are written before anybody is served |
//! | after that | nothing is left to do; finding that out is cheap, so it is not written down |
//!
//! Offsets that come with a commit are written with the decision, in one batch: they are there exactly if it is.
//!
//! What must stay true: one request at a time has a producer's turn; it remembers a state in memory only when it is
//! durable, and partitions hear of a transaction only behind that. So a partition holds no transaction that the
//! coordinator does not know, and one that it finds there nevertheless (the store was lost) is aborted.

mod complete;
mod durable;
mod limits;
mod state;

pub(crate) use durable::is_key;
pub(crate) use state::Producer;

use super::Shared;
use super::group::{Committed, Identity, Name, OffsetKey};
use crate::LogError;
use crate::quiet::About;
use crate::records::Marker;
use crate::storage::GroupStore;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use state::{End, Init, Transaction};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// Producers that may be in the middle of something at once; two of one number wait for each other's fsync.
const TURNS: usize = 256;

/// All transactional producers.
#[derive(Debug)]
pub(crate) struct Transactions {
    known: Mutex<Known>,
    turns: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<Name, Arc<Transaction>>,
    /// Bytes of them all.
    bytes: usize,
}

impl Known {
    fn put(&mut self, id: &str, transaction: Transaction) {
        self.bytes += id.len() + transaction.bytes();
        if let Some(before) = self.by_id.insert(id.into(), Arc::new(transaction)) {
            self.bytes -= id.len() + before.bytes();
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(before) = self.by_id.remove(id) {
            self.bytes -= id.len() + before.bytes();
        }
    }
}

impl Transactions {
    /// A coordinator that knows what is in `store`.
    pub(crate) fn open(store: &GroupStore) -> Self {
        let mut known = Known::default();
        for (id, transaction) in durable::load(store) {
            known.put(&id, transaction);
        }
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect();
        Self { known: Mutex::new(known), turns, hasher: RandomState::new() }
    }

    /// The producer's turn.
    async fn turn(&self, id: &str) -> MutexGuard<'_, ()> {
        let at = self.hasher.hash_one(id) % TURNS as u64;
        self.turns[usize::try_from(at).unwrap_or(0)].lock().await
    }

    fn get(&self, id: &str) -> Option<Arc<Transaction>> {
        self.known.lock().by_id.get(id).cloned()
    }

    /// The producer's transaction, if it is its newest incarnation that asks.
    fn of(&self, id: &str, from: Producer) -> Result<Arc<Transaction>, ResponseError> {
        let found = self.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        found.check(from)?;
        Ok(found)
    }

    /// A new incarnation of a producer: whatever an older one left open is aborted, and the older one shut out.
    pub(crate) async fn init(
        &self,
        at: &Shared,
        id: &str,
        timeout_ms: i32,
    ) -> Result<(i64, i16), ResponseError> {
        let longest = i32::try_from(at.options.max_transaction_timeout.as_millis()).unwrap_or(i32::MAX);
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        if !(1..=longest).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        if self.get(id).is_none() {
            self.make_room(at, at.log.options().clock.now()).await?;
        }
        let _turn = self.turn(id).await;
        // A fence, its completion and a new id: no more steps than these.
        for _ in 0..3 {
            let now = at.log.options().clock.now();
            let ready = match self.get(id).map(|found| found.init(timeout_ms, now)) {
                Some(Init::Ready(ready)) => ready,
                Some(Init::NeedsId) | None => Transaction::new(new_id(at).await?, timeout_ms, now),
                Some(Init::Fence(fenced)) => {
                    tracing::info!(
                        id,
                        epoch = fenced.epoch,
                        "a newer producer aborts what an older one left open"
                    );
                    self.remember(at, id, fenced, Vec::new()).await?;
                    if !self.complete(at, id).await {
                        return Err(ResponseError::ConcurrentTransactions);
                    }
                    continue;
                }
                Some(Init::Busy) if self.complete(at, id).await => continue,
                Some(Init::Busy) => return Err(ResponseError::ConcurrentTransactions),
            };
            let given = (ready.producer_id, ready.epoch);
            self.remember(at, id, ready, Vec::new()).await?;
            return Ok(given);
        }
        Err(ResponseError::ConcurrentTransactions)
    }

    /// Partitions join the producer's transaction; the log has been told of them on return.
    pub(crate) async fn add_partitions(
        &self,
        at: &Shared,
        id: &str,
        from: Producer,
        partitions: Vec<(Name, i32)>,
    ) -> Result<(), ResponseError> {
        let _turn = self.turn(id).await;
        let now = at.log.options().clock.now();
        let found = self.of(id, from)?;
        if let Some(next) = found.add(partitions.iter().cloned(), None, now)? {
            self.remember(at, id, next, Vec::new()).await?;
            forebay_storage::kill_point("log.txn.added");
        }
        // Also those that were in already: the one before may have failed here.
        let mut enrolled = Vec::with_capacity(partitions.len());
        for (topic, partition) in &partitions {
            let begun = at.log.begin_transaction(topic, *partition, from.id, from.epoch);
            enrolled.push(begun.map_err(|error| refused(at, id, &error))?);
        }
        // They have their place already; but who asks again and again must not fill the partitions' inboxes.
        for pending in enrolled {
            pending.done().await.map_err(|error| refused(at, id, &error))?;
        }
        Ok(())
    }

    /// A group joins the producer's transaction: offsets may be committed for it.
    pub(crate) async fn add_group(
        &self,
        at: &Shared,
        id: &str,
        from: Producer,
        group: Name,
    ) -> Result<(), ResponseError> {
        let _turn = self.turn(id).await;
        let now = at.log.options().clock.now();
        match self.of(id, from)?.add([], Some(group), now)? {
            Some(next) => self.remember(at, id, next, Vec::new()).await,
            None => Ok(()),
        }
    }

    /// Offsets that the group gets if the transaction is committed. `member` may say them only while it is one.
    pub(crate) async fn add_offsets(
        &self,
        at: &Shared,
        id: &str,
        from: Producer,
        (group, member): (Name, Identity),
        offsets: Vec<(OffsetKey, Committed)>,
    ) -> Result<(), ResponseError> {
        let _turn = self.turn(id).await;
        let next = self.of(id, from)?.add_offsets(&group, offsets, at.log.options().clock.now())?;
        at.coordinator.check_transactional(&group, &member)?;
        self.remember(at, id, next, Vec::new()).await?;
        forebay_storage::kill_point("log.txn.offsets");
        Ok(())
    }

    /// The producer ends its transaction: decided durably, and usually marked in all partitions, on return.
    pub(crate) async fn end(
        &self,
        at: &Shared,
        id: &str,
        from: Producer,
        marker: Marker,
    ) -> Result<(), ResponseError> {
        let _turn = self.turn(id).await;
        let found = self.of(id, from)?;
        let decided = match found.end(marker, at.log.options().clock.now())? {
            End::Done => return Ok(()),
            End::Decide(decided) => decided,
        };
        let offsets = match marker {
            Marker::Abort => Vec::new(),
            Marker::Commit => {
                let each = found.offsets.iter();
                each.map(|((group, key), offset)| (group.clone(), key.clone(), offset.clone())).collect()
            }
        };
        self.remember(at, id, decided, offsets).await?;
        forebay_storage::kill_point("log.txn.decided");
        // The decision stands. Where a marker could not be written it is tried again, and the producer's next
        // transaction waits for it.
        self.complete(at, id).await;
        Ok(())
    }

    /// May this producer write, as far as is known here? The partition has the last word.
    pub(crate) fn may_write(&self, id: &str, from: Producer) -> Result<(), ResponseError> {
        self.of(id, from).map(drop)
    }

    /// The offsets of a group that a transaction may still change.
    pub(crate) fn pending(&self, group: &str) -> HashSet<OffsetKey> {
        let known = self.known.lock();
        let offsets = known.by_id.values().flat_map(|transaction| transaction.offsets.keys());
        offsets.filter(|(of, _)| of.as_ref() == group).map(|(_, key)| key.clone()).collect()
    }

    /// Takes a topic that is no more out of all transactions.
    pub(crate) async fn forget_topic(&self, at: &Shared, topic: &str) {
        for id in self.ids(|transaction| transaction.without_topic(topic).is_some()) {
            let _turn = self.turn(&id).await;
            let Some(next) = self.get(&id).and_then(|found| found.without_topic(topic)) else { continue };
            // What cannot be written now is found out when the transaction ends: the partition is not there.
            let _ = self.remember(at, &id, next, Vec::new()).await;
        }
    }

    fn ids(&self, which: impl Fn(&Transaction) -> bool) -> Vec<Name> {
        let known = self.known.lock();
        known.by_id.iter().filter(|(_, it)| which(it)).map(|(id, _)| id.clone()).collect()
    }

    /// Makes a state durable, together with offsets, and then remembers it. The caller has the turn.
    async fn remember(
        &self,
        at: &Shared,
        id: &str,
        next: Transaction,
        offsets: Vec<(Name, OffsetKey, Committed)>,
    ) -> Result<(), ResponseError> {
        self.check_size(&at.options, id, &next).map_err(|error| refused(at, id, &error))?;
        let write = (durable::key(id), Some(durable::value(&next)));
        let written = at.coordinator.write_transaction(write, offsets).await;
        written.unwrap_or(Err(LogError::Closed)).map_err(|error| refused(at, id, &error))?;
        self.known.lock().put(id, next);
        Ok(())
    }
}

async fn new_id(at: &Shared) -> Result<i64, ResponseError> {
    let log = at.log.clone();
    let taken = tokio::task::spawn_blocking(move || log.new_producer_id()).await;
    let taken = taken.unwrap_or(Err(LogError::Closed)).map_err(|error| refused(at, "", &error))?;
    Ok(taken.0)
}

/// The error that a transactional producer acts rightly upon: it tries again where that may help.
fn refused(at: &Shared, id: &str, error: &LogError) -> ResponseError {
    if let Some(untold) = at.quiet.may_tell(About::Failures) {
        tracing::warn!(id, %error, untold, "a transaction was refused");
    }
    match error {
        LogError::UnknownTopic(_) | LogError::UnknownPartition { .. } => {
            ResponseError::UnknownTopicOrPartition
        }
        LogError::LimitReached { .. } | LogError::BatchTooLarge { .. } => ResponseError::PolicyViolation,
        _ => ResponseError::CoordinatorNotAvailable,
    }
}
