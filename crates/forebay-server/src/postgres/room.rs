//! The memory that clients of the end point may fill with what they send: long messages while they come in, the texts of
//! prepared statements, the values of portals.
//!
//! Each connection has bounds of its own, and a hundred connections at their bounds would be more than the machine has. So
//! all of them share one [`Room`], and hold of it what they really sent. What must stay true: who is not let in has no
//! part of it; what is held is given back with what it was held for; where there is no room a client is told so, and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sqlstate::{NO_MEMORY, Refusal};

/// Bytes that all clients hold together: some of the longest messages at a time, or the statements of a hundred pools.
pub(super) const ROOM: usize = 128 << 20;

/// What is left for all.
#[derive(Debug)]
pub(super) struct Room {
    left: AtomicUsize,
    size: usize,
}

/// What one holds.
#[derive(Debug)]
pub(super) struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(size), size })
    }

    /// Holds nothing yet.
    pub fn none(self: &Arc<Self>) -> Held {
        Held { room: Arc::clone(self), bytes: 0 }
    }

    /// Holds so many bytes.
    ///
    /// # Errors
    /// `53200` if there is no room for them.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Refusal> {
        let mut held = self.none();
        match held.set(bytes) {
            true => Ok(held),
            false => Err(self.full()),
        }
    }

    /// What a client is told for which there is no room.
    pub fn full(&self) -> Refusal {
        let size = self.size >> 20;
        let message =
            format!("out of memory: statements and values of all clients take at most {size} MiB together");
        Refusal::new(NO_MEMORY, message).hint(
            "Close portals and prepared statements that are done with, send shorter values, or try again.",
        )
    }
}

impl Held {
    /// Holds so many bytes from now on; false, and as before, if there is no room for more.
    pub fn set(&mut self, bytes: usize) -> bool {
        let left = &self.room.left;
        if bytes <= self.bytes {
            left.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        } else {
            let more = bytes - self.bytes;
            let taken =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more));
            if taken.is_err() {
                return false;
            }
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_for_all_and_given_back() {
        let room = Room::new(10);
        let mut first = room.hold(6).unwrap();
        assert_eq!(room.hold(5).unwrap_err().state, "53200");
        assert!(!first.set(11) && first.set(9), "what did not fit changed nothing");
        assert!(first.set(4));
        let second = room.hold(6).unwrap();
        assert!(room.hold(1).is_err());
        drop((first, second));
        assert!(room.hold(10).is_ok());
    }
}
