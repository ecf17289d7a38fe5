//! What was fetched and not read yet: between the tasks that fetch and the lanes that open batches.
//!
//! ```text
//!  fetcher ─ deliver ─▶ slot of the partition: chunk, chunk, … ─ take ─▶ lane
//!      ▲                   └ bounded by bytes: a full slot is not fetched for        │
//!      └──────── to_fetch ◀──────────────────────────── put back what lies behind ───┘
//!                                                       the end of the epoch
//! ```
//!
//! From a near broker little is asked for at a time, since what waits is memory; where answers take long, as much as the
//! options allow. Slots outlive epochs: while an epoch is written, the next one's batches arrive. What must stay true: the chunks
//! of a slot follow each other without a hole, from the position that is read next to the one that is fetched next.
//! Whoever reads elsewhere (a replay) seeks; answers to questions asked before that are dropped by generation.
//! Here is what lanes and the source take; [`fetching`] is how it is filled.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::{Error, Partition, Positions};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::transactions::Aborted;

mod fetching;
#[cfg(test)]
mod tests;

pub(super) use self::fetching::{Fetched, Question};

/// Whole batches of one partition, as they were fetched.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The position from which they were asked for; the first batch may begin before it.
    pub(super) from: i64,
    /// The position after them.
    pub(super) next: i64,
    pub(super) batches: Bytes,
    pub(super) aborted: Aborted,
}

/// Why a slot brings nothing more.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The position is not there: too old, or beyond the end.
    OutOfRange,
    /// Anything else that trying again does not change.
    Fatal(Error),
}

/// What a lane finds.
#[derive(Debug)]
pub(super) enum Taken {
    Chunk(Chunk),
    Failure(Failure),
    /// Nothing yet.
    Nothing,
}

/// Bytes of a slot that is filled from near by. They bridge an answer's way at about ten megabytes a second.
const NEAR_BYTES: usize = 256 << 10;

#[derive(Debug)]
struct Slot {
    leader: Option<i32>,
    /// Bytes that are asked for at a time, and at which it is full.
    room: usize,
    /// Where the next question begins.
    ask_at: i64,
    generation: u64,
    asked: bool,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    end: i64,
    /// A lane waits for it: its first chunk is fetched even when other slots hold too much.
    needed: bool,
    failure: Option<Failure>,
    /// Since when its broker is away, and what it said last.
    trouble: Option<(Instant, Error)>,
}

impl Slot {
    fn new(at: i64, room: usize) -> Self {
        Self {
            leader: None,
            room,
            ask_at: at,
            generation: 0,
            asked: false,
            chunks: VecDeque::new(),
            bytes: 0,
            end: -1,
            needed: false,
            failure: None,
            trouble: None,
        }
    }

    /// Drops the chunks that end before a position.
    fn drop_before(&mut self, at: i64) {
        while self.chunks.front().is_some_and(|chunk| chunk.next <= at) {
            let passed = self.chunks.pop_front();
            self.bytes -= passed.map_or(0, |chunk| chunk.batches.len());
        }
    }

    fn seek(&mut self, at: i64) {
        self.ask_at = at;
        self.generation += 1;
        self.asked = false;
        self.chunks.clear();
        self.bytes = 0;
        self.failure = None;
    }
}

/// Bounds on what waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most bytes that are asked for at a time; with so many a slot is full.
    pub(super) slot: usize,
    /// Bytes at which all are full, but for those that a lane waits for.
    pub(super) total: usize,
}

impl Bounds {
    /// The bytes of a slot that nothing is known of.
    fn near(&self) -> usize {
        self.slot.min(NEAR_BYTES)
    }

    /// True if these hold so much that all are full.
    fn are_reached<'a>(&self, slots: impl Iterator<Item = &'a Slot>) -> bool {
        slots.map(|slot| slot.bytes).sum::<usize>() >= self.total
    }
}

/// All slots of a source.
#[derive(Debug)]
pub(super) struct Inbox {
    slots: Mutex<BTreeMap<Partition, Slot>>,
    bounds: Bounds,
    /// Told when something arrived, failed, or is in trouble.
    arrived: Notify,
    /// Told when there may be something to ask for.
    asking: Notify,
    /// Told when a slot has no leader.
    leaderless: Notify,
}

impl Inbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            slots: Mutex::default(),
            bounds,
            arrived: Notify::new(),
            asking: Notify::new(),
            leaderless: Notify::new(),
        }
    }

    /// Makes slots for exactly these partitions. Slots that are there stay where they are: somebody may read them.
    pub(super) fn follow(&self, positions: &Positions) {
        let mut slots = self.slots.lock();
        slots.retain(|partition, _| positions.contains_key(partition));
        let before = slots.len();
        for (partition, position) in positions {
            slots.entry(partition.clone()).or_insert_with(|| Slot::new(position.0, self.bounds.near()));
        }
        if slots.len() > before {
            self.leaderless.notify_one();
        }
    }

    // ---- for lanes ----

    /// The chunk that holds position `at`; what lies elsewhere makes the slot seek there.
    pub(super) fn take(&self, partition: &Partition, at: i64) -> Taken {
        let mut slots = self.slots.lock();
        let slot = slots.entry(partition.clone()).or_insert_with(|| Slot::new(at, self.bounds.near()));
        slot.drop_before(at);
        let taken = match slot.chunks.front() {
            Some(chunk) if chunk.from <= at => {
                let chunk = slot.chunks.pop_front();
                slot.needed = false;
                chunk.map_or(Taken::Nothing, |chunk| {
                    slot.bytes -= chunk.batches.len();
                    Taken::Chunk(chunk)
                })
            }
            None if slot.ask_at == at => {
                slot.needed = true;
                slot.failure.clone().map_or(Taken::Nothing, Taken::Failure)
            }
            _ => {
                slot.seek(at);
                slot.needed = true;
                Taken::Nothing
            }
        };
        let leaderless = slot.leader.is_none();
        drop(slots);
        // Either there is room now, or somebody waits.
        self.asking.notify_waiters();
        if leaderless {
            self.leaderless.notify_one();
        }
        taken
    }

    /// What lies before these positions was read by somebody else: it is let go, and nothing more of it is asked for.
    pub(super) fn pass<'a>(&self, positions: impl Iterator<Item = (&'a Partition, i64)>) {
        let mut slots = self.slots.lock();
        let mut is_other = false;
        for (partition, at) in positions {
            let Some(slot) = slots.get_mut(partition) else { continue };
            let before = slot.chunks.len();
            slot.drop_before(at);
            is_other |= slot.chunks.len() < before;
            // An answer that is on its way is let go with the next.
            if slot.chunks.is_empty() && slot.ask_at < at && !slot.asked {
                slot.seek(at);
                is_other = true;
            }
        }
        drop(slots);
        // Who waits for data looks here as well: it must not wake the fetcher, and be woken by it, for nothing.
        if is_other {
            self.asking.notify_waiters();
        }
    }

    /// Slots that failed begin anew at these positions.
    pub(super) fn mend<'a>(&self, positions: impl Iterator<Item = (&'a Partition, i64)>) {
        let mut slots = self.slots.lock();
        for (partition, at) in positions {
            if let Some(slot) = slots.get_mut(partition).filter(|slot| slot.failure.is_some()) {
                slot.seek(at);
            }
        }
        drop(slots);
        self.asking.notify_waiters();
    }

    /// These begin anew at these positions, whatever they hold and believe: it came from a topic that is no more.
    pub(super) fn forget<'a>(&self, positions: impl Iterator<Item = (&'a Partition, i64)>) {
        let mut slots = self.slots.lock();
        for (partition, at) in positions {
            if let Some(slot) = slots.get_mut(partition) {
                slot.seek(at);
                slot.end = -1;
            }
        }
        drop(slots);
        self.asking.notify_waiters();
    }

    /// Puts the rest of a chunk back to the front: it belongs to the next epoch.
    pub(super) fn put_back(&self, partition: &Partition, chunk: Chunk) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(partition) else { return };
        let follows = slot.chunks.front().map_or(slot.ask_at, |next| next.from);
        if chunk.next == follows && chunk.from < chunk.next {
            slot.bytes += chunk.batches.len();
            slot.chunks.push_front(chunk);
        }
    }

    /// Forgets that a lane waits for these.
    pub(super) fn not_needed<'a>(&self, partitions: impl Iterator<Item = &'a Partition>) {
        let mut slots = self.slots.lock();
        for partition in partitions {
            if let Some(slot) = slots.get_mut(partition) {
                slot.needed = false;
            }
        }
    }

    /// True if [`Inbox::take`] would find something.
    pub(super) fn is_ready(&self, partition: &Partition) -> bool {
        let slots = self.slots.lock();
        slots.get(partition).is_some_and(|slot| !slot.chunks.is_empty() || slot.failure.is_some())
    }

    /// Returns after the next arrival, failure or trouble. Create it, look, then await it: nothing is missed.
    pub(super) fn arrival(&self) -> tokio::sync::futures::Notified<'_> {
        self.arrived.notified()
    }

    /// What the broker of one of these partitions said last, if it is away for longer than `patience`.
    pub(super) fn lost<'a>(
        &self,
        partitions: impl Iterator<Item = &'a Partition>,
        patience: Duration,
    ) -> Option<Error> {
        let slots = self.slots.lock();
        let mut troubles = partitions.filter_map(|partition| slots.get(partition)?.trouble.as_ref());
        troubles.find(|(since, _)| since.elapsed() > patience).map(|(_, error)| error.clone())
    }

    /// Begins the patience with absent brokers anew: the caller has reported them.
    pub(super) fn forgive(&self) {
        for slot in self.slots.lock().values_mut() {
            slot.trouble = None;
        }
    }

    // ---- for the source ----

    /// The ends of these partitions as last heard of; `None` for those nobody has heard of, or that failed.
    pub(super) fn ends(&self, partitions: &Positions) -> Option<Positions> {
        let slots = self.slots.lock();
        let end = |partition: &Partition| {
            let slot = slots.get(partition)?;
            (slot.end >= 0 && slot.failure.is_none()).then_some(slot.end)
        };
        partitions
            .iter()
            .map(|(partition, from)| {
                Some((partition.clone(), (*from).max(forebay_core::Position(end(partition)?))))
            })
            .collect()
    }

    /// True if something lies beyond one of these positions, or something is wrong that must be looked at.
    pub(super) fn is_beyond(&self, positions: &Positions) -> bool {
        let slots = self.slots.lock();
        positions.iter().any(|(partition, from)| {
            slots.get(partition).is_some_and(|slot| slot.end > from.0 || slot.failure.is_some())
        })
    }
}
