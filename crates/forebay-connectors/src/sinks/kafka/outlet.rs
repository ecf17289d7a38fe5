//! Where the rows of an epoch go: a producer, in a transaction or not. All lanes of an epoch share it.

use std::collections::HashMap;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_log::records::BatchBuilder;
use parking_lot::Mutex;

use crate::kafka::{Producer, Transaction};

/// Held by whoever uses the transaction: an epoch, or housekeeping between two.
pub(super) type Turn = tokio::sync::OwnedMutexGuard<()>;

/// The producer of one author.
#[derive(Debug)]
pub(super) struct Outlet {
    pub producer: Producer,
    /// `None` with `exactlyOnce: false`.
    pub transaction: Option<Arc<Transaction>>,
    /// How many partitions each topic has in this epoch: a key must not change its partition inside one.
    partitions: Mutex<HashMap<Arc<str>, usize>>,
    turns: Arc<tokio::sync::Mutex<()>>,
}

impl Outlet {
    pub fn new(producer: Producer, transaction: Option<Arc<Transaction>>) -> Self {
        Self { producer, transaction, partitions: Mutex::default(), turns: Arc::default() }
    }

    /// Waits until nobody else uses the transaction.
    pub async fn turn(&self) -> Turn {
        Arc::clone(&self.turns).lock_owned().await
    }

    /// The same, if it is free now.
    pub fn free_turn(&self) -> Option<Turn> {
        Arc::clone(&self.turns).try_lock_owned().ok()
    }

    /// Looks for new partitions; for between two epochs.
    pub async fn refresh(&self) -> Result<()> {
        self.producer.refresh().await?;
        self.partitions.lock().clear();
        Ok(())
    }

    pub async fn partitions(&self, topic: &Arc<str>) -> Result<usize> {
        let known = self.partitions.lock().get(topic).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.producer.partitions(topic).await?;
        Ok(*self.partitions.lock().entry(Arc::clone(topic)).or_insert(found))
    }

    pub async fn send(&self, topic: &str, partition: usize, batch: BatchBuilder) -> Result<()> {
        self.stands()?;
        self.producer.send_batch(topic, partition, batch).await
    }

    /// Returns once all that was sent is written.
    pub async fn flush(&self) -> Result<()> {
        let flushed = self.producer.flush().await;
        self.stands()?;
        flushed
    }

    /// Nothing of the transaction has failed.
    pub fn stands(&self) -> Result<()> {
        self.transaction.as_ref().map_or(Ok(()), |transaction| transaction.stands())
    }

    /// A lost transaction by its likeliest reason.
    pub fn explained(&self, error: Error) -> Error {
        match &self.transaction {
            Some(transaction) if error.code() == &codes::TRANSACTION_LOST => transaction.why_lost(error),
            _ => error,
        }
    }
}
