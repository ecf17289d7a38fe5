//! Warnings that clients can cause, told so that they cannot flood the log.
//!
//! The first of a kind is told whole. Those that follow within [`INTERVAL`] are counted, and told as a sum with the
//! next one, or by [`Quiet::sums`], which is asked at the end, and by the server whenever a client connects: so there
//! is no timer, and nothing is kept back for good.

use crate::storage::Clock;
use parking_lot::Mutex;

/// One minute, in milliseconds: a log that a person reads, not a stream.
const INTERVAL: i64 = 60_000;

/// What is warned about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Connections closed for what came over them.
    BadConnections,
    /// Connections closed, or not taken, because there were too many.
    Crowd,
    /// Connections that could not be accepted.
    Accepting,
    /// Requests refused for what they ask.
    Refusals,
    /// Requests that the log's files, or its coordinator, failed.
    Failures,
}

impl About {
    const ALL: [Self; 5] =
        [Self::BadConnections, Self::Crowd, Self::Accepting, Self::Refusals, Self::Failures];

    /// For the sum's line.
    fn name(self) -> &'static str {
        match self {
            Self::BadConnections => "bad connections",
            Self::Crowd => "too many connections",
            Self::Accepting => "connections not accepted",
            Self::Refusals => "requests refused",
            Self::Failures => "requests failed",
        }
    }
}

/// Counts what is not told.
#[derive(Debug)]
pub(crate) struct Quiet {
    clock: Clock,
    kinds: Mutex<[Kind; About::ALL.len()]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// When one was told last, by the log's clock.
    told_at: Option<i64>,
    untold: u64,
}

impl Kind {
    fn is_due(&self, now: i64) -> bool {
        // A clock that was put back must not silence anything.
        self.told_at.is_none_or(|at| !(at..at.saturating_add(INTERVAL)).contains(&now))
    }
}

impl Quiet {
    /// Nothing was told yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, kinds: Mutex::default() }
    }

    /// `Some` if this one is to be told, with the number of those that were not since the last; else it is counted.
    pub(crate) fn may_tell(&self, about: About) -> Option<u64> {
        let now = self.clock.now();
        let kind = &mut self.kinds.lock()[about as usize];
        if !kind.is_due(now) {
            kind.untold += 1;
            return None;
        }
        kind.told_at = Some(now);
        Some(std::mem::take(&mut kind.untold))
    }

    /// Tells the sums that are due; at the end all of them.
    pub(crate) fn sums(&self, is_end: bool) {
        let now = self.clock.now();
        for about in About::ALL {
            let kind = &mut self.kinds.lock()[about as usize];
            if kind.untold > 0 && (is_end || kind.is_due(now)) {
                let untold = std::mem::take(&mut kind.untold);
                tracing::warn!(about = about.name(), untold, "more of the same, not told one by one");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn the_first_is_told_and_the_rest_comes_as_a_sum() {
        let time = Arc::new(AtomicI64::new(5));
        let read = time.clone();
        let quiet = Quiet::new(Clock::new(move || read.load(Ordering::SeqCst)));
        assert_eq!(quiet.may_tell(About::Crowd), Some(0));
        for _ in 0..7 {
            assert_eq!(quiet.may_tell(About::Crowd), None);
        }
        assert_eq!(quiet.may_tell(About::BadConnections), Some(0), "each kind for itself");
        time.store(5 + INTERVAL - 1, Ordering::SeqCst);
        assert_eq!(quiet.may_tell(About::Crowd), None);
        time.store(5 + INTERVAL, Ordering::SeqCst);
        assert_eq!(quiet.may_tell(About::Crowd), Some(8));
        time.store(0, Ordering::SeqCst);
        assert_eq!(quiet.may_tell(About::Crowd), Some(0), "the clock was put back");
    }
}
