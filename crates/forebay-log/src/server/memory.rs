//! Memory that requests and answers may hold, counted over all connections.
//!
//! A request counts for what has *arrived* of it, never for what its length prefix promises: who only claims to send
//! much holds nothing. What may be held is split in three, so that half-read requests cannot wait for each other:
//!
//! ```text
//!   shared   first come, first served
//!   small    for requests of up to SMALL_BYTES when nothing is left of the shared: whatever large ones hold, these go on
//!   turn     for one large request at a time, with room for the largest: who has it comes to its end
//! ```
//!
//! What must stay true: somebody who holds memory can always go on without getting more, and comes to an end in a
//! limited time. For the second part [`Pace`] watches those whose speed is a client's: while others wait, they move
//! or lose their connection.

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
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// What one request holds; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    bytes: usize,
    shared: Option<OwnedSemaphorePermit>,
    _small: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

impl RequestMemory {
    /// `total` bytes, of which a request takes `largest` at most. One request of that size is always possible.
    pub(super) fn new(total: usize, largest: usize) -> Self {
        let small = (total / SMALL_SHARE).max(SMALL_BYTES);
        let shared = total.saturating_sub(small).saturating_sub(largest);
        Self {
            shared: Arc::new(Semaphore::new(shared.min(Semaphore::MAX_PERMITS))),
            small: Arc::new(Semaphore::new(small.min(Semaphore::MAX_PERMITS))),
            turn: Arc::new(Semaphore::new(1)),
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
        let (kept, wanted) = if is_small { (&self.small, permits) } else { (&self.turn, 1) };
        // Neither is ever closed.
        tokio::select! {
            biased;
            Ok(permit) = self.shared.clone().acquire_many_owned(permits) => share.add(permit, bytes),
            Ok(permit) = kept.clone().acquire_many_owned(wanted) => {
                let place = if is_small { &mut share._small } else { &mut share.turn };
                *place = Some(permit);
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
}

/// Memory for answers, whose size is known before it is taken.
#[derive(Debug)]
pub(crate) struct ResponseMemory {
    bytes: Arc<Semaphore>,
    total: usize,
    waiting: AtomicUsize,
}

impl ResponseMemory {
    /// `total` bytes.
    pub(super) fn new(total: usize) -> Self {
        let bytes = Arc::new(Semaphore::new(total.clamp(1, Semaphore::MAX_PERMITS)));
        Self { bytes, total: total.max(1), waiting: AtomicUsize::new(0) }
    }

    /// True while somebody waits for memory that others hold.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for so many bytes; for all there are where that is less. `None` is never seen: nobody closes it.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let _waiting = Waiting::new(&self.waiting);
        self.bytes.clone().acquire_many_owned(permits(bytes.clamp(1, self.total))).await.ok()
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
}

impl Pace {
    /// Judges in stretches of this length.
    pub(super) fn new(stretch: Duration) -> Self {
        Self { stretch, began: Instant::now(), moved: 0 }
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
        let is_slow = u128::from(self.moved) < least;
        self.restart();
        others_wait && is_slow
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
