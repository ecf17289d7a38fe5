//! What the log says of an alert: the first change at once, then sums at most every ten seconds, so that a device that
//! flutters does not fill it. Pure but for the saying.

use crate::alert::AlertState;
use crate::rule::Bounds;
use crate::state::Changes;

/// The least time between two sayings, milliseconds.
const EVERY_MS: i64 = 10_000;

/// What was not said yet, and when something was.
#[derive(Debug, Default)]
pub(crate) struct Tell {
    last_ms: Option<i64>,
    sum: Sum,
}

/// What happened in one or more epochs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub opened: usize,
    pub cleared: usize,
    /// Rows that opened nothing because too many keys are active.
    pub refused: u64,
    /// Rows that nobody looked at because there were too many keys.
    pub left_out: u64,
    /// The message of the newest transition.
    pub newest: String,
}

impl Tell {
    /// Adds an epoch.
    pub fn add(&mut self, changes: &Changes, refused: u64, left_out: u64) {
        let opened = changes.transitions.iter().filter(|alert| alert.state == AlertState::Open).count();
        self.sum.opened += opened;
        self.sum.cleared += changes.transitions.len() - opened;
        self.sum.refused += refused;
        self.sum.left_out += left_out;
        if let Some(newest) = changes.transitions.last() {
            self.sum.newest.clone_from(&newest.message);
        }
    }

    /// What is to be said now, if anything.
    pub fn due(&mut self, now_ms: i64) -> Option<Sum> {
        if self.last_ms.is_some_and(|last| (0..EVERY_MS).contains(&now_ms.saturating_sub(last))) {
            return None;
        }
        let sum = self.rest()?;
        self.last_ms = Some(now_ms);
        Some(sum)
    }

    /// What was not said yet, if anything.
    pub fn rest(&mut self) -> Option<Sum> {
        Some(std::mem::take(&mut self.sum)).filter(|sum| *sum != Sum::default())
    }
}

impl Sum {
    /// Says it.
    pub fn say(&self, alert: &str, bounds: &Bounds) {
        let Self { opened, cleared, refused, left_out, newest } = self;
        if opened + cleared > 0 {
            tracing::info!(alert, opened, cleared, newest = newest.as_str(), "alerts changed");
        }
        if *refused > 0 {
            let most = bounds.active;
            tracing::warn!(alert, most, rows = refused, "too many keys have an open alert: others open none");
        }
        if *left_out > 0 {
            let most = bounds.tracks;
            tracing::warn!(
                alert,
                most,
                rows = left_out,
                "too many keys in an epoch: some were not looked at"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Alert;
    use crate::tests::rule;

    #[test]
    fn a_device_that_flutters_is_told_at_once_and_then_in_sums() {
        let opened = Alert::open(&rule(0), "d1", 5, &[], 0, None);
        let cleared = opened.clear(&rule(0), 6, &[], 0);
        let changes = Changes { transitions: vec![opened, cleared], ..Changes::default() };
        let mut tell = Tell::default();
        let mut said = Vec::new();
        for second in 0..25 {
            tell.add(&changes, 0, 1);
            said.extend(tell.due(second * 1_000).map(|sum| (second, sum.opened, sum.cleared, sum.left_out)));
        }
        assert_eq!(said, [(0, 1, 1, 1), (10, 10, 10, 10), (20, 10, 10, 10)]);
        let rest = tell.rest().unwrap();
        assert_eq!((rest.opened, rest.newest.as_str()), (4, "overheat: d1"));
        tell.add(&Changes::default(), 0, 0);
        assert_eq!((tell.due(99_000), tell.rest()), (None, None), "nothing to say is not said");
    }
}
