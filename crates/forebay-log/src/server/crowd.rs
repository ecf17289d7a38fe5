//! How many connections there are, and which goes when one more comes than there is room for.
//!
//! The one that goes is the one that has been idle longest, as in Apache Kafka: programs that hold connections and do
//! nothing with them must not shut the others out; where logins are asked for, those that have not logged in go first. Idle is who has nothing under way: no request that is being read
//! or answered, no Fetch that waits for data, no member that waits for its group. Where none is idle, one goes whose
//! only request arrives slowly, or not at all; where there is none of these either, the new one is refused.
//!
//! What must stay true: a connection that was chosen never begins a request ([`Seat::begin`] and [`Seat::has_read`]
//! say no), so none is cut off while one is worked on.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// All open connections.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    seats: Mutex<Vec<Arc<Chair>>>,
    /// Counts the moments at which some connection became idle.
    idle_moments: AtomicU64,
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    chair: Arc<Chair>,
}

#[derive(Debug)]
struct Chair {
    state: Mutex<State>,
    /// True while what is being read arrives slowly.
    slow: Arc<AtomicBool>,
    /// True once it is known whose it is. Strangers make room first.
    known: AtomicBool,
    /// Set when this connection makes room for another.
    leave: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is under way since that moment.
    Idle(u64),
    /// So many requests are, of which the last may still be read.
    Busy { requests: usize, is_reading: bool },
    /// It makes room.
    Leaving,
}

impl Crowd {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, seats: Mutex::default(), idle_moments: AtomicU64::new(0) })
    }

    /// A place for a new connection, and whether another makes room for it; `None` where all are busy.
    pub(super) fn enter(self: &Arc<Self>) -> Option<(Seat, bool)> {
        let mut seats = self.seats.lock();
        let is_full = seats.len() >= self.most;
        if is_full {
            let goes = longest_idle(&seats).or_else(|| slowly_read(&seats))?;
            seats.swap_remove(goes).leave.cancel();
        }
        let state = Mutex::new(State::Idle(self.next_moment()));
        let chair = Chair {
            state,
            slow: Arc::default(),
            known: AtomicBool::new(false),
            leave: CancellationToken::new(),
        };
        let chair = Arc::new(chair);
        seats.push(chair.clone());
        Some((Seat { crowd: self.clone(), chair }, is_full))
    }

    fn next_moment(&self) -> u64 {
        self.idle_moments.fetch_add(1, Ordering::Relaxed)
    }
}

/// Chooses the connection that has been idle longest, and has it leave.
fn longest_idle(seats: &[Arc<Chair>]) -> Option<usize> {
    loop {
        let idle = seats.iter().enumerate().filter_map(|(at, chair)| match *chair.state.lock() {
            State::Idle(since) => Some((chair.known.load(Ordering::Relaxed), since, at)),
            State::Busy { .. } | State::Leaving => None,
        });
        let (_, since, at) = idle.min()?;
        let mut state = seats.get(at)?.state.lock();
        // It may have begun a request since it was looked at; then the next one is.
        if *state == State::Idle(since) {
            *state = State::Leaving;
            return Some(at);
        }
    }
}

/// Chooses a connection that has nothing under way but a request that arrives slowly, and has it leave.
fn slowly_read(seats: &[Arc<Chair>]) -> Option<usize> {
    seats.iter().position(|chair| {
        let mut state = chair.state.lock();
        let goes =
            *state == State::Busy { requests: 1, is_reading: true } && chair.slow.load(Ordering::Relaxed);
        if goes {
            *state = State::Leaving;
        }
        goes
    })
}

impl Seat {
    /// Where to tell whether what is being read arrives slowly.
    pub(super) fn slow(&self) -> Arc<AtomicBool> {
        self.chair.slow.clone()
    }

    /// It is known whose connection this is, or nobody asks.
    pub(super) fn is_somebodys(&self) {
        self.chair.known.store(true, Ordering::Relaxed);
    }

    /// A request begins to be read. False if the connection makes room for another: then it is not read.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.chair.state.lock();
        *state = match *state {
            State::Idle(_) => State::Busy { requests: 1, is_reading: true },
            State::Busy { requests, .. } => State::Busy { requests: requests + 1, is_reading: true },
            State::Leaving => return false,
        };
        true
    }

    /// The request that began has been read. False if the connection makes room for another: then it is not begun.
    pub(super) fn has_read(&self) -> bool {
        let mut state = self.chair.state.lock();
        if let State::Busy { is_reading, .. } = &mut *state {
            *is_reading = false;
        }
        *state != State::Leaving
    }

    /// A request was answered.
    pub(super) fn end(&self) {
        let mut state = self.chair.state.lock();
        *state = match *state {
            State::Busy { requests, is_reading } if requests > 1 => {
                State::Busy { requests: requests - 1, is_reading }
            }
            State::Busy { .. } => State::Idle(self.crowd.next_moment()),
            other => other,
        };
    }

    /// True while a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(*self.chair.state.lock(), State::Busy { .. })
    }

    /// Returns when the connection has to make room for another.
    pub(super) async fn must_leave(&self) {
        self.chair.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.seats.lock().retain(|chair| !Arc::ptr_eq(chair, &self.chair));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_leaving(seat: &Seat) -> bool {
        seat.chair.leave.is_cancelled()
    }

    #[test]
    fn the_longest_idle_makes_room_and_a_busy_one_never() {
        let crowd = Crowd::new(3);
        let mut seats: Vec<Seat> = (0..3).map(|_| crowd.enter().unwrap().0).collect();
        assert!(seats[0].begin() && seats[1].begin() && seats[1].begin());
        seats[0].end();
        seats[1].end();
        // Idle since: 2 from the beginning, 0 since it was answered; 1 has a second request under way.
        let (fourth, made_room) = crowd.enter().unwrap();
        assert!(made_room && is_leaving(&seats[2]) && !seats[2].begin());
        assert!(fourth.begin());
        let (fifth, _) = crowd.enter().unwrap();
        assert!(is_leaving(&seats[0]) && !is_leaving(&seats[1]) && !is_leaving(&fourth));
        assert!(fifth.begin());
        assert!(crowd.enter().is_none(), "all are busy");
        seats.remove(1);
        let (_, made_room) = crowd.enter().unwrap();
        assert!(!made_room);
    }

    #[test]
    fn who_has_not_logged_in_makes_room_before_who_has() {
        let crowd = Crowd::new(3);
        let seats: Vec<Seat> = (0..3).map(|_| crowd.enter().unwrap().0).collect();
        seats[0].is_somebodys();
        seats[2].is_somebodys();
        let (fourth, _) = crowd.enter().unwrap();
        assert!(is_leaving(&seats[1]) && !is_leaving(&seats[0]));
        let (_fifth, _) = crowd.enter().unwrap();
        assert!(is_leaving(&fourth) && !is_leaving(&seats[0]) && !is_leaving(&seats[2]));
    }

    #[test]
    fn a_request_that_does_not_arrive_makes_room_and_one_that_is_worked_on_does_not() {
        let crowd = Crowd::new(3);
        let seats: Vec<Seat> = (0..3).map(|_| crowd.enter().unwrap().0).collect();
        // 0 is worked on, 1 is worked on while the next arrives slowly, 2 arrives slowly.
        assert!(
            seats.iter().all(Seat::begin) && seats[0].has_read() && seats[1].has_read() && seats[1].begin()
        );
        assert!(crowd.enter().is_none(), "all are busy, and none is slow");
        for seat in &seats {
            seat.slow().store(true, Ordering::Relaxed);
        }
        let (_fourth, made_room) = crowd.enter().unwrap();
        assert!(made_room && is_leaving(&seats[2]) && !seats[2].has_read());
        assert!(!is_leaving(&seats[0]) && !is_leaving(&seats[1]));
    }
}
