//! Memory that requests and answers may hold, counted over all connections.
//!
//! A request counts for what has *arrived* of it, never for what its length prefix promises: who only claims to send
//! much holds nothing. What may be held is split in three, so that half-read requests cannot wait for each other:
//!
//! ```text
//!   shared   first come, first served
//!   small    for requests of up to SMALL_BYTES when nothing is left of the shared: these go on, whatever others hold
//!   turn     for one large request at a time, with room for the largest; next is who has least left to send
//! ```
//!
//! What must stay true: somebody who holds memory can always go on without getting more, and comes to an end in a
//! limited time. For the second part [`Pace`] watches those whose speed is a client's: while others wait, they move
//! or lose their connection; and who has the turn has it for a few stretches only.

use super::turn::{Turn, Turns};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A request up to this size is small: heartbeats, fetches, a device's batch. It counts once it is whole.
pub(super) const SMALL_BYTES: usize = 64 << 10;

/// The share of the whole that is kept for small requests, as a divisor.
const SMALL_SHARE: usize = 8;

/// Bytes per second that a client must send or take while others wait for memory that it holds; of a large answer it
/// must always take as much. A tenth of a slow mobile line.
pub(super) const MIN_RATE: u64 = 64 << 10;

/// Memory for requests.
#[derive(Debug)]
pub(crate) struct RequestMemory {
    shared: Arc<Semaphore>,
    small: Arc<Semaphore>,
    turns: Arc<Turns>,
    waiting: AtomicUsize,
}

/// What one request holds; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    bytes: usize,
    shared: Option<OwnedSemaphorePermit>,
    _small: Option<OwnedSemaphorePermit>,
    turn: Option<Turn>,
}

impl RequestMemory {
    /// `total` bytes, of which a request takes `largest` at most. One request of that size is always possible.
    pub(super) fn new(total: usize, largest: usize) -> Self {
        let small = (total / SMALL_SHARE).max(SMALL_BYTES);
        let shared = total.saturating_sub(small).saturating_sub(largest);
        Self {
            shared: Arc::new(Semaphore::new(shared.min(Semaphore::MAX_PERMITS))),
            small: Arc::new(Semaphore::new(small.min(Semaphore::MAX_PERMITS))),
            turns: Arc::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// True while somebody waits for memory that others hold.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Raises a share to `bytes`, of a request that will have `len`. Waits while others hold too much.
    pub(super) async fn cover(&self, share: &mut Share, bytes: usize, len: usize) {
        let more = bytes.saturating_sub(share.bytes);
        if more == 0 {
            return;
        }
        if share.turn.is_some() {
            share.bytes = bytes;
            return;
        }
        let permits = permits(more);
        if let Ok(permit) = self.shared.clone().try_acquire_many_owned(permits) {
            return share.add(permit, bytes);
        }
        let _waiting = Waiting::new(&self.waiting);
        let is_small = len <= SMALL_BYTES;
        // Neither is ever closed.
        tokio::select! {
            biased;
            Ok(permit) = self.shared.clone().acquire_many_owned(permits) => share.add(permit, bytes),
            Ok(permit) = self.small.clone().acquire_many_owned(permits), if is_small => {
                share._small = Some(permit);
                share.bytes = bytes;
            }
            turn = self.turns.take(len.saturating_sub(bytes)), if !is_small => {
                share.turn = Some(turn);
                share.bytes = bytes;
            }
            else => {}
        }
    }
}

impl Share {
    fn add(&mut self, permit: OwnedSemaphorePermit, bytes: usize) {
        self.bytes = bytes;
        match &mut self.shared {
            Some(shared) => shared.merge(permit),
            none => *none = Some(permit),
        }
    }

    /// True when others could use what it holds.
    pub(super) fn is_taken(&self) -> bool {
        self.bytes > 0
    }

    /// How long it has had the turn.
    pub(super) fn turn_for(&self) -> Duration {
        self.turn.as_ref().map_or(Duration::ZERO, |turn| turn.since.elapsed())
    }
}

/// An answer of records may always be this large, when others hold the rest: the largest batch that a client sends
/// by default, and room for small ones of many readers.
pub(super) const SMALL_ANSWER_BYTES: usize = 1 << 20;

/// Memory for answers, whose size is known before it is taken. An eighth is kept for answers of up to
/// [`SMALL_ANSWER_BYTES`]: while readers that take slowly hold the rest, the others get on with less at a time.
#[derive(Debug)]
pub(crate) struct ResponseMemory {
    shared: Arc<Semaphore>,
    most: usize,
    small: Arc<Semaphore>,
    most_small: usize,
    waiting: AtomicUsize,
}

impl ResponseMemory {
    /// `total` bytes.
    pub(super) fn new(total: usize) -> Self {
        let small = (total / SMALL_SHARE).clamp(1, Semaphore::MAX_PERMITS);
        let most = total.saturating_sub(small).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Semaphore::new(most)),
            most,
            small: Arc::new(Semaphore::new(small)),
            most_small: small.min(SMALL_ANSWER_BYTES),
            waiting: AtomicUsize::new(0),
        }
    }

    /// True while somebody waits for memory that others hold.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// So many bytes; where others hold too much, as much as a small answer takes, for which it may wait. The permits
    /// tell how many. `None` is never seen: nobody closes it.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let wanted = permits(bytes.clamp(1, self.most));
        if let Ok(permit) = self.shared.clone().try_acquire_many_owned(wanted) {
            return Some(permit);
        }
        let less = wanted.min(permits(self.most_small));
        let _waiting = Waiting::new(&self.waiting);
        tokio::select! {
            biased;
            Ok(permit) = self.small.clone().acquire_many_owned(less) => Some(permit),
            Ok(permit) = self.shared.clone().acquire_many_owned(less) => Some(permit),
            else => None,
        }
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Counts one who waits, also if the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How much moved in the present stretch of time.
#[derive(Debug)]
pub(super) struct Pace {
    stretch: Duration,
    began: Instant,
    moved: u64,
    was_slow: bool,
}

impl Pace {
    /// Judges in stretches of this length.
    pub(super) fn new(stretch: Duration) -> Self {
        Self { stretch, began: Instant::now(), moved: 0, was_slow: false }
    }

    /// When the next judgement is due.
    pub(super) fn due(&self) -> Instant {
        self.began + self.stretch
    }

    /// Some bytes went over the connection.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// Begins a stretch anew, after a wait that was not the client's.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.stretch);
    }

    /// At the end of a stretch: was it too slow for those who wait? Then a new one begins.
    pub(super) fn is_too_slow(&mut self, others_wait: bool) -> bool {
        if Instant::now() < self.due() {
            return false;
        }
        let least = self.stretch.as_millis().saturating_mul(u128::from(MIN_RATE)) / 1000;
        let was_slow = u128::from(self.moved) < least;
        self.restart();
        self.was_slow = was_slow;
        others_wait && was_slow
    }

    /// True if the stretch before was too slow, whether others waited or not.
    pub(super) fn was_slow(&self) -> bool {
        self.was_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    async fn is_covered(memory: &RequestMemory, share: &mut Share, bytes: usize) -> bool {
        let soon = Duration::from_millis(50);
        tokio::time::timeout(soon, memory.cover(share, bytes, bytes.max(MIB))).await.is_ok()
    }

    #[tokio::test]
    async fn half_read_requests_cannot_wait_for_each_other() {
        let memory = Arc::new(RequestMemory::new(5 * MIB, MIB));
        // Twenty of 1 MiB, all growing in step, where there is room for five.
        let requests = (0..20).map(|_| {
            let memory = memory.clone();
            tokio::spawn(async move {
                let mut share = Share::default();
                for part in 1..=16 {
                    memory.cover(&mut share, part * (MIB / 16), MIB).await;
                    tokio::task::yield_now().await;
                }
            })
        });
        let requests: Vec<_> = requests.collect();
        for request in requests {
            let done = tokio::time::timeout(Duration::from_secs(10), request).await;
            done.expect("they wait for each other").unwrap();
        }
        assert!(!memory.is_short());
    }

    #[tokio::test]
    async fn whatever_slow_readers_hold_there_is_room_for_a_small_answer() {
        let memory = ResponseMemory::new(16 * MIB);
        let held = [memory.take(7 * MIB).await.unwrap(), memory.take(6 * MIB).await.unwrap()];
        assert_eq!(held[0].num_permits() + held[1].num_permits(), 13 * MIB);
        let soon = Duration::from_millis(50);
        let first = tokio::time::timeout(soon, memory.take(7 * MIB)).await.unwrap().unwrap();
        let second = tokio::time::timeout(soon, memory.take(7 * MIB)).await.unwrap().unwrap();
        let third = tokio::time::timeout(soon, memory.take(7 * MIB)).await.unwrap().unwrap();
        assert_eq!([&first, &second, &third].map(OwnedSemaphorePermit::num_permits), [MIB; 3]);
        assert!(tokio::time::timeout(soon, memory.take(1)).await.is_err(), "all is held");
        drop(held);
        assert_eq!(memory.take(7 * MIB).await.unwrap().num_permits(), 7 * MIB);
    }

    #[tokio::test]
    async fn small_requests_go_on_whatever_large_ones_hold() {
        let memory = RequestMemory::new(16 * MIB, 4 * MIB);
        let (mut all, mut turn, mut large) = (Share::default(), Share::default(), Share::default());
        // An eighth is for small ones, 4 MiB are for the turn: 10 MiB are shared.
        assert!(is_covered(&memory, &mut all, 10 * MIB).await);
        assert!(is_covered(&memory, &mut turn, MIB).await);
        assert!(is_covered(&memory, &mut turn, 4 * MIB).await, "who has the turn goes on");
        assert!(!is_covered(&memory, &mut large, MIB).await);
        let mut small: Vec<Share> = (0..32).map(|_| Share::default()).collect();
        for share in &mut small {
            let covered = memory.cover(share, SMALL_BYTES, SMALL_BYTES);
            assert!(tokio::time::timeout(Duration::from_millis(50), covered).await.is_ok());
        }
        drop(all);
        assert!(is_covered(&memory, &mut large, 3 * MIB).await);
    }
}
