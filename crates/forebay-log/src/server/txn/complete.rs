//! The end of a decided transaction: its markers; and whatever ends without its producer.
//!
//! A marker is written where the producer wrote, once: a partition that has nothing open of it gets none. So writing
//! them again, after a failure or a restart, is always right.

use super::Transactions;
use super::state::{Phase, Transaction};
use crate::LogError;
use crate::quiet::About;
use crate::records::Marker;
use crate::server::Shared;
use crate::server::group::Name;
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at: a tenth of the shortest timeout that makes sense, and of no weight.
const LOOK: Duration = Duration::from_millis(500);

impl Transactions {
    /// Writes the markers of a decided transaction; true if it is over then. The caller has the turn.
    pub(super) async fn complete(&self, at: &Shared, id: &str) -> bool {
        let Some(found) = self.get(id) else { return true };
        let Some(marker) = found.marker() else { return true };
        if !mark(at, &found, marker).await {
            return false;
        }
        forebay_storage::kill_point("log.txn.marked");
        self.known.lock().put(id, found.completed());
        true
    }

    /// Takes up what a restart interrupted; nobody is served before. What cannot be done now is tried again later.
    pub(crate) async fn resume(&self, at: &Shared) {
        for id in self.ids(|transaction| !transaction.is_over()) {
            let _turn = self.turn(&id).await;
            let Some(found) = self.get(&id) else { continue };
            if found.phase == Phase::Ongoing {
                for (topic, partition) in &found.partitions {
                    let begun = at.log.begin_transaction(topic, *partition, found.producer_id, found.epoch);
                    if let Err(error) = begun {
                        tracing::warn!(%id, %error, "a transaction cannot go on; it will be aborted");
                    }
                }
            } else {
                self.complete(at, &id).await;
            }
        }
        self.abort_strangers(at).await;
    }

    /// Transactions in partitions that nobody here knows would hold up every reader for ever.
    async fn abort_strangers(&self, at: &Shared) {
        let known: HashSet<(i64, Name, i32)> = {
            let known = self.known.lock();
            let open = known.by_id.values().filter(|it| !it.is_over());
            open.flat_map(|it| it.partitions.iter().map(|(topic, n)| (it.producer_id, topic.clone(), *n)))
                .collect()
        };
        let log = at.log.clone();
        let open = tokio::task::spawn_blocking(move || log.open_transactions()).await.unwrap_or_default();
        for it in open {
            if known.contains(&(it.producer_id, it.topic.as_str().into(), it.partition)) {
                continue;
            }
            let (topic, partition, producer_id) = (&it.topic, it.partition, it.producer_id);
            tracing::warn!(
                topic,
                partition,
                producer_id,
                "aborting a transaction that the group store does not know"
            );
            let ended = at.log.end_transaction(topic, partition, producer_id, it.epoch, Marker::Abort);
            let ended = match ended {
                Ok(pending) => pending.done().await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::error!(topic, partition, producer_id, %error, "it stays open; the next start tries again");
            }
        }
    }

    /// Looks at the clock until `stop`: what takes too long is aborted, what is decided completed, who was not heard of
    /// for long forgotten.
    pub(crate) async fn run(&self, at: &Shared, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.look(at).await;
        }
    }

    /// One look at the clock.
    pub(crate) async fn look(&self, at: &Shared) {
        let now = at.log.options().clock.now();
        let expiry = i64::try_from(at.options.transactional_id_expiry.as_millis()).unwrap_or(i64::MAX);
        let is_due = |it: &Transaction| {
            let is_idle = it.is_over() && now.saturating_sub(it.touched) > expiry;
            // A clock that was put back must not keep a transaction open for longer than its time.
            it.is_late(now)
                || it.marker().is_some()
                || is_idle
                || (it.phase == Phase::Ongoing && now < it.began)
        };
        for id in self.ids(is_due) {
            let _turn = self.turn(&id).await;
            let Some(found) = self.get(&id).filter(|found| is_due(found)) else { continue };
            if found.is_over() {
                let _ = self.forget(at, &id).await;
            } else if found.is_late(now) {
                if let Some(untold) = at.quiet.may_tell(About::Refusals) {
                    let timeout_ms = found.timeout_ms;
                    tracing::warn!(%id, timeout_ms, untold, "a transaction took too long and is aborted");
                }
                if self.remember(at, &id, found.fenced(now), Vec::new()).await.is_ok() {
                    self.complete(at, &id).await;
                }
            } else if found.phase == Phase::Ongoing {
                self.known.lock().put(&id, Transaction { began: now, ..Transaction::clone(&found) });
            } else {
                self.complete(at, &id).await;
            }
        }
    }
}

/// All markers of a transaction, side by side; true once each is durable.
async fn mark(at: &Shared, transaction: &Transaction, marker: Marker) -> bool {
    let Transaction { producer_id, epoch, .. } = *transaction;
    let mut pending = Vec::with_capacity(transaction.partitions.len());
    let mut all = true;
    for (topic, partition) in &transaction.partitions {
        match at.log.end_transaction(topic, *partition, producer_id, epoch, marker) {
            Ok(ending) => pending.push(ending),
            Err(error) => all &= is_gone(at, &error),
        }
    }
    for ending in pending {
        if let Err(error) = ending.done().await {
            all &= is_gone(at, &error);
        }
    }
    all
}

/// True where there is nothing to end any more.
fn is_gone(at: &Shared, error: &LogError) -> bool {
    if matches!(error, LogError::UnknownTopic(_) | LogError::UnknownPartition { .. }) {
        return true;
    }
    if let Some(untold) = at.quiet.may_tell(About::Failures) {
        tracing::error!(%error, untold, "a transaction's marker could not be written; it is tried again");
    }
    false
}
