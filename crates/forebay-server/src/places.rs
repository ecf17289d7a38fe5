//! What each connection waits for, and who makes room when places are short.
//!
//! ```text
//!  accepted ─▶ waits ──head──▶ served ──answer ready──▶ waits ──next head──▶ …
//!                                 └─ its body is awaited: waits ─┘
//! ```
//!
//! A connection that waits for its other side costs nothing but its place: silent ones, those between two requests, those
//! that send a head or a body drop by drop, those that do not take their answer. What must stay true: such a connection
//! never keeps a new one out; the one that waits longest goes. One that is being served, or watches events, stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All connections of a server.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    next: AtomicU64,
    all: Mutex<HashMap<u64, Holder>>,
    /// A place is free, or a connection waits that did not.
    changed: Notify,
}

/// Who has a place: a connection, for whose other side something is done or waited. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Holder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Arc<Places>,
    phase: Mutex<Phase>,
    cut: CancellationToken,
    stalled: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Since then nothing can be done for it.
    Waits(Instant),
    Served,
    /// It was told to go.
    Cut,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    holder: Holder,
}

impl Places {
    /// Places for so many connections.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, next: AtomicU64::new(0), all: Mutex::default(), changed: Notify::new() })
    }

    /// A place for a connection that was accepted; the one that waits longest makes room if there is none.
    pub async fn place(self: &Arc<Self>) -> Place {
        loop {
            if let Some(place) = self.free() {
                return place;
            }
            // Whoever is told to go wakes this, and so does whoever begins to wait.
            self.changed.notified().await;
        }
    }

    fn free(self: &Arc<Self>) -> Option<Place> {
        let mut all = self.all.lock();
        if all.len() >= self.most {
            make_room(&all);
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let holder = Holder(Arc::new(Inner {
            places: Arc::clone(self),
            phase: Mutex::new(Phase::Waits(Instant::now())),
            cut: CancellationToken::new(),
            stalled: AtomicBool::new(false),
        }));
        all.insert(id, holder.clone());
        Some(Place { id, holder })
    }
}

/// Tells the connection that waits longest to go, unless one is going already.
fn make_room(all: &HashMap<u64, Holder>) {
    let mut waiting = Vec::new();
    for holder in all.values() {
        match *holder.0.phase.lock() {
            Phase::Cut => return,
            Phase::Served => {}
            Phase::Waits(since) => waiting.push((since, holder)),
        }
    }
    waiting.sort_unstable_by_key(|(since, _)| *since);
    for (_, holder) in waiting {
        // It may be served by now.
        let mut phase = holder.0.phase.lock();
        if let Phase::Waits(_) = *phase {
            *phase = Phase::Cut;
            holder.0.cut.cancel();
            return;
        }
    }
}

impl Holder {
    /// From now on it is the other side's turn.
    pub fn waits(&self) {
        self.enter(Phase::Waits(Instant::now()));
        self.0.places.changed.notify_one();
    }

    /// From now on something is done for it.
    pub fn is_served(&self) {
        self.enter(Phase::Served);
    }

    fn enter(&self, next: Phase) {
        let mut phase = self.0.phase.lock();
        if !matches!(*phase, Phase::Cut) {
            *phase = next;
        }
    }

    /// Until it must make room.
    pub async fn must_go(&self) {
        self.0.cut.cancelled().await;
    }

    /// It took nothing of what was sent, for too long.
    pub fn stall(&self) {
        self.0.stalled.store(true, Ordering::Relaxed);
    }

    /// Whether it did.
    pub fn has_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Who has it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.holder.0.places;
        places.all.lock().remove(&self.id);
        places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_waits_longest_makes_room_and_who_is_served_does_not() {
        let places = Places::new(3);
        let (first, second, third) = (places.place().await, places.place().await, places.place().await);
        first.holder().is_served();
        let mut next = Box::pin(places.place());
        assert!((&mut next).now_or_never().is_none());
        second.holder().must_go().now_or_never().expect("it waits longest");
        assert!((&mut next).now_or_never().is_none(), "its place is not free yet");
        assert!(third.holder().must_go().now_or_never().is_none(), "one is enough");
        drop(second);
        let fourth = next.await;
        fourth.holder().is_served();
        third.holder().is_served();
        let mut next = Box::pin(places.place());
        assert!((&mut next).now_or_never().is_none());
        first.holder().waits();
        assert!((&mut next).now_or_never().is_none());
        first.holder().must_go().now_or_never().expect("the only one that waits");
    }
}
