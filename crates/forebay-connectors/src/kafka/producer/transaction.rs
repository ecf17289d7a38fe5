//! The transaction that a producer writes in: which partitions take part, and whether it still stands.
//!
//! Before a partition's first batch the coordinator must know that it takes part. Each partition's sender asks for its
//! own; those that come while a question is under way go together with the next. Once anything of a transaction has
//! failed for good, all of it has: every later batch gets the same error, and only a new author can begin again.

use std::collections::HashSet;

use forebay_core::{Error, Partition, Result};
use forebay_storage::kill_point;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::transactions::{Author, Transactions};

/// The transaction of one author, one after the other.
#[derive(Debug)]
pub struct Transaction {
    calls: Transactions,
    author: Author,
    state: Mutex<State>,
    /// One question at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Partitions that take part.
    joined: HashSet<Partition>,
    /// Those whose senders wait for it.
    wanted: Vec<Partition>,
    /// When the first partition joined.
    since: Option<Instant>,
    failure: Option<Error>,
}

impl Transaction {
    /// Transactions of this author.
    pub fn new(calls: Transactions, author: Author) -> Self {
        Self { calls, author, state: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The transactional id.
    pub fn name(&self) -> &str {
        self.calls.name()
    }

    pub(super) fn author(&self) -> Author {
        self.author
    }

    pub(super) fn calls(&self) -> &Transactions {
        &self.calls
    }

    /// Why nothing more can be written, if that is so.
    ///
    /// # Errors
    /// The first failure.
    pub fn stands(&self) -> Result<()> {
        self.state.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Remembers the first failure, and returns it.
    pub fn fail(&self, error: &Error) -> Error {
        self.state.lock().failure.get_or_insert_with(|| error.clone()).clone()
    }

    /// Makes the partition take part.
    pub(super) async fn join(&self, partition: &Partition) -> Result<()> {
        if self.has(partition)? {
            return Ok(());
        }
        self.state.lock().wanted.push(partition.clone());
        let _turn = self.asking.lock().await;
        if self.has(partition)? {
            return Ok(());
        }
        let mut wanted = std::mem::take(&mut self.state.lock().wanted);
        if !wanted.contains(partition) {
            wanted.push(partition.clone());
        }
        self.calls.add_partitions(self.author, &wanted).await?;
        let mut state = self.state.lock();
        state.joined.extend(wanted);
        state.since.get_or_insert_with(Instant::now);
        drop(state);
        kill_point("sink.kafka.begin.after");
        Ok(())
    }

    fn has(&self, partition: &Partition) -> Result<bool> {
        let state = self.state.lock();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.joined.contains(partition)),
        }
    }

    /// Puts an offset of the group into the transaction, with a text beside it.
    pub async fn mark(&self, at: &Partition, offset: i64, text: &str) -> Result<()> {
        self.stands()?;
        self.calls.mark(self.author, at, offset, text).await.map_err(|error| self.fail(&error))
    }

    /// Commits. All records must have been flushed.
    pub async fn commit(&self) -> Result<()> {
        self.stands()?;
        self.calls.end(self.author, true).await.map_err(|error| self.fail(&error))?;
        let mut state = self.state.lock();
        state.joined.clear();
        state.since = None;
        Ok(())
    }

    /// Adds to `lost` what is known of the reason.
    pub fn why_lost(&self, lost: Error) -> Error {
        let timeout = self.calls.timeout();
        let Some(open) = self.state.lock().since.map(|since| since.elapsed()) else { return lost };
        let detail = lost.detail().unwrap_or_default().to_owned();
        let why = match open >= timeout {
            true => format!("it was open for {open:.1?}, `kafka.transaction.timeout.ms` is {timeout:?}"),
            false => format!("after {open:.1?}, by a newer process or by the broker itself"),
        };
        lost.with_detail(format!("{why}: {detail}"))
    }
}
