//! The records of one partition that wait to be sent: one open batch, and full ones before it.

use std::collections::VecDeque;
use std::time::Duration;

use forebay_core::{Partition, Result};
use forebay_log::records::{BatchBuilder, Compression};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::NewRecord;

/// What became of a batch: nothing yet, the offset of its first record, or why it failed.
pub(super) type Outcome = Option<Result<i64>>;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) builder: BatchBuilder,
    pub(super) outcome: watch::Sender<Outcome>,
    /// When its first record came.
    pub(super) since: Instant,
    /// Records of it that the topic refuses for good are set aside, and the others written.
    pub(super) sifted: bool,
}

/// One partition's queue: filled by whoever sends, emptied by the partition's one sender task.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) partition: Partition,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Waiting>,
    open: Option<Waiting>,
    /// The batch that is being sent; also told when it is done.
    in_flight: Option<watch::Receiver<Outcome>>,
    /// Somebody waits for everything: lingering is over.
    hurry: bool,
}

/// Where a record went.
pub(super) struct Place {
    pub(super) outcome: watch::Receiver<Outcome>,
    /// Its number in the batch.
    pub(super) index: i64,
    /// Bytes by which the queue grew.
    pub(super) bytes: usize,
    /// True if this record filled its batch.
    pub(super) full: bool,
}

impl Queue {
    pub(super) fn new(partition: Partition) -> Self {
        Self { partition, state: Mutex::default(), wake: Notify::new() }
    }

    /// Adds a record to the open batch. One that is as large as a batch goes alone: it may be as large as the broker
    /// takes, and those before it must not be refused with it.
    pub(super) fn push(&self, record: &NewRecord<'_>, compression: Compression, batch_bytes: usize) -> Place {
        let mut state = self.state.lock();
        if record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) >= batch_bytes {
            let before = state.open.take();
            state.full.extend(before);
        }
        let fresh = state.open.is_none();
        let batch = state.open.get_or_insert_with(|| Waiting {
            builder: BatchBuilder::new(compression),
            outcome: watch::Sender::new(None),
            since: Instant::now(),
            sifted: false,
        });
        let before = if fresh { 0 } else { batch.builder.size() };
        let index = batch.builder.len() as i64;
        batch.builder.append(record.timestamp, record.key, record.value, record.headers);
        let size = batch.builder.size();
        let outcome = batch.outcome.subscribe();
        let full = size >= batch_bytes;
        if full {
            let batch = state.open.take();
            state.full.extend(batch);
        }
        drop(state);
        if fresh || full {
            self.wake.notify_one();
        }
        Place { outcome, index, bytes: size - before, full }
    }

    /// Adds a whole batch behind those that wait.
    pub(super) fn push_batch(&self, builder: BatchBuilder) {
        let mut state = self.state.lock();
        let before = state.open.take();
        state.full.extend(before);
        let outcome = watch::Sender::new(None);
        state.full.push_back(Waiting { builder, outcome, since: Instant::now(), sifted: true });
        drop(state);
        self.wake.notify_one();
    }

    /// The next batch to send: a full one, or an open one that has lingered long enough.
    pub(super) async fn next(&self, linger: Duration) -> Waiting {
        loop {
            let deadline = {
                let mut state = self.state.lock();
                let due =
                    state.hurry || state.open.as_ref().is_some_and(|batch| batch.since.elapsed() >= linger);
                let mut batch = state.full.pop_front();
                if batch.is_none() && due {
                    batch = state.open.take();
                }
                if let Some(batch) = batch {
                    state.in_flight = Some(batch.outcome.subscribe());
                    return batch;
                }
                state.hurry = false;
                state.open.as_ref().map(|batch| batch.since + linger)
            };
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, self.wake.notified()).await),
                None => self.wake.notified().await,
            }
        }
    }

    /// Everything that is not done yet; asks for it to be sent now.
    pub(super) fn hurry(&self) -> Vec<watch::Receiver<Outcome>> {
        let mut state = self.state.lock();
        state.hurry = true;
        let mut pending: Vec<_> = state.in_flight.iter().cloned().collect();
        pending.extend(state.full.iter().chain(&state.open).map(|batch| batch.outcome.subscribe()));
        drop(state);
        self.wake.notify_one();
        pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_record_as_large_as_a_batch_goes_alone() {
        let queue = Queue::new(Partition::new("t", 0));
        let large = [b'x'; 100];
        let places: Vec<_> = [&b"small"[..], &large, b"after"]
            .map(|value| queue.push(&NewRecord::value("t", value, 0), Compression::None, 100))
            .into_iter()
            .map(|place| (place.index, place.full))
            .collect();
        assert_eq!(places, [(0, false), (0, true), (0, false)]);
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(queue.next(Duration::ZERO).await.builder.len());
        }
        assert_eq!(sent, [1, 1, 1]);
    }
}
