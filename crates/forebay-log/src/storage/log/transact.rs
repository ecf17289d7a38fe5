//! What the transaction coordinator does to partitions.

use super::super::answers::{OpenTransaction, Pending};
use super::super::partition::Work;
use super::Log;
use crate::LogError;
use crate::records::Marker;

impl Log {
    /// Lets a producer write to a partition in a transaction: appends that are submitted from now on may, whether or not
    /// the answer is awaited. Nothing of it is durable before the first of them; the caller remembers it.
    ///
    /// # Errors
    /// [`LogError::LimitReached`] while readers have
    /// [`max_aborted_transactions`](LogOptions::max_aborted_transactions) to skip.
    pub fn begin_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
    ) -> Result<Pending, LogError> {
        let core = &self.open.core;
        core.check_writable()?;
        let partition = self.open.topics.partition(topic, partition)?;
        core.check_aborted()?;
        self.enqueue(&partition, Work::Enrol { producer_id, epoch }, None)
    }

    /// Ends a producer's transaction in a partition: behind everything submitted before stands its marker, if the
    /// producer wrote anything; what it submits later is refused. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`LogError::InvalidProducerEpoch`] for an epoch older than the transaction's.
    pub fn end_transaction(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        epoch: i16,
        marker: Marker,
    ) -> Result<Pending, LogError> {
        self.open.core.check_writable()?;
        let partition = self.open.topics.partition(topic, partition)?;
        self.enqueue(&partition, Work::End { producer_id, epoch, marker }, None)
    }

    /// The transactions that have records and are not decided. Blocks while partitions are written to.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        let mut open = Vec::new();
        for partition in self.open.topics.partitions() {
            let writer = partition.writer.lock();
            open.extend(writer.producers.transactions.open().map(|(producer_id, epoch, _)| {
                OpenTransaction {
                    topic: partition.topic.clone(),
                    partition: partition.number,
                    producer_id,
                    epoch,
                }
            }));
        }
        open
    }
}
