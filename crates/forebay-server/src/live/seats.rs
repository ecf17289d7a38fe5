//! The places of readers: how many are taken, of all that was ever shown, and by whom.
//!
//! What must stay true: with authentication no token takes more than its share, whatever sessions, pages and addresses it
//! is used from, so that others always get a place. Without it there are no others: whoever reaches the server is the
//! person at the machine, who may end everything anyway, and all their pages and programs have one address.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use forebay_core::error::codes;
use parking_lot::Mutex;

use crate::problem::Problem;

/// Most readers at once: each is a connection and a mailbox.
pub(super) const MOST_READERS: usize = 200;
/// Most different views at once: each is rendered for itself, 30 times a second at most.
pub(super) const MOST_VIEWS: usize = 64;
/// A token has one part in so many of both at most.
pub(super) const SHARE: usize = 4;

/// Whose a reader is: the name of a token, which is unique; `None` where nobody is asked.
pub(super) type Owner = Option<Arc<str>>;

/// All places.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_name: HashMap<Arc<str>, usize>,
}

/// One place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    owner: Owner,
}

impl Seats {
    /// A place, if there is one for its owner.
    pub fn take(self: &Arc<Self>, owner: Owner) -> Result<Seat, Problem> {
        let mut taken = self.0.lock();
        if taken.all >= MOST_READERS {
            let hint = "Close pages that are open elsewhere; each takes one place.";
            return Err(Problem::busy(format!("{MOST_READERS} readers watch already")).hint(hint));
        }
        if let Some(name) = &owner {
            let own = taken.by_name.entry(Arc::clone(name)).or_default();
            if *own >= MOST_READERS / SHARE {
                return Err(beyond_share(MOST_READERS / SHARE, "readers"));
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Seat { seats: Arc::clone(self), owner })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().all
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        taken.all -= 1;
        let Some(name) = &self.owner else { return };
        if let Some(own) = taken.by_name.get_mut(name) {
            *own -= 1;
            if *own == 0 {
                taken.by_name.remove(name);
            }
        }
    }
}

/// The refusal of somebody who has their share.
pub(super) fn beyond_share(share: usize, what: &str) -> Problem {
    let message = format!("this token has its share of places already: {share} {what}");
    let hint = "Close pages and programs that use the same token; each person and program may have one of their own.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, &codes::BUSY, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_share_and_what_is_given_back_can_be_had_again() {
        let seats: Arc<Seats> = Arc::default();
        let of = |name: &str| seats.take(Some(name.into()));
        let mut ana: Vec<Seat> = (0..MOST_READERS / SHARE).map(|_| of("ana").unwrap()).collect();
        assert!(of("ana").is_err());
        ana.pop();
        ana.push(of("ana").unwrap());
        assert!(of("ana").is_err());
        let rest: Vec<Seat> = (ana.len()..MOST_READERS).map(|_| seats.take(None).unwrap()).collect();
        assert!(of("bob").is_err() && seats.take(None).is_err());
        drop((ana, rest));
        let taken = seats.0.lock();
        assert!(taken.all == 0 && taken.by_name.is_empty(), "{taken:?}");
    }
}
