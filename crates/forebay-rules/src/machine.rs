//! The life of an alert of one key, as a pure machine.
//!
//! ```text
//!           when                     when, for long enough
//!   idle ─────────▶ pending(since) ─────────────────────▶ open(since) ─┐
//!    ▲ ▲               │ not when                                      │ clear, and not when
//!    │ └───────────────┘                                               │
//!    └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! With no time to hold, `when` leads from idle to open at once. Time is the records' own and nothing else: the same
//! rows in the same order give the same transitions, whenever they are read. What must stay true:
//!
//! * a condition that is NULL says nothing, neither that it holds nor that it does not;
//! * while `when` holds nothing clears, so a row for which both hold opens an alert and leaves it open;
//! * a row that is older than the last transition of its key changes nothing: it tells of a time that is decided.

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong.
    Idle {
        /// When the last alert cleared (milliseconds since 1970), if one is remembered.
        since: Option<i64>,
    },
    /// The condition holds, not yet for long enough.
    Pending {
        /// The time of the row with which it began to hold.
        since: i64,
    },
    /// There is an open alert.
    Open {
        /// The time of the row that opened it.
        since: i64,
    },
}

/// What a row says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The record's timestamp, milliseconds since 1970.
    pub at: i64,
    /// Whether `when` holds; `None` for NULL.
    pub when: Option<bool>,
    /// Whether `clear` holds; `None` for NULL.
    pub clear: Option<bool>,
}

/// A step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The condition began to hold.
    Began,
    /// It ceased before it had held for long enough.
    Withdrawn,
    /// An alert opened.
    Opened,
    /// It cleared.
    Cleared,
}

impl Row {
    /// True if the row ends what is pending or open.
    fn ends(self) -> bool {
        self.clear == Some(true) && self.when != Some(true)
    }
}

impl State {
    /// The time of the last transition, as far as it is remembered.
    pub fn since(self) -> Option<i64> {
        match self {
            Self::Idle { since } => since,
            Self::Pending { since } | Self::Open { since } => Some(since),
        }
    }

    /// Takes a row; `hold_ms` is how long `when` must hold.
    pub fn step(&mut self, hold_ms: i64, row: Row) -> Option<Transition> {
        if self.since().is_some_and(|since| row.at < since) {
            return None;
        }
        let (next, transition) = match (*self, row.when) {
            (Self::Idle { .. }, Some(true)) if hold_ms <= 0 => {
                (Self::Open { since: row.at }, Transition::Opened)
            }
            (Self::Idle { .. }, Some(true)) => (Self::Pending { since: row.at }, Transition::Began),
            (Self::Pending { since }, Some(true)) if row.at.saturating_sub(since) >= hold_ms => {
                (Self::Open { since: row.at }, Transition::Opened)
            }
            (Self::Pending { .. }, Some(false)) => (Self::Idle { since: None }, Transition::Withdrawn),
            (Self::Pending { .. }, None) if row.ends() => (Self::Idle { since: None }, Transition::Withdrawn),
            (Self::Open { .. }, _) if row.ends() => (Self::Idle { since: Some(row.at) }, Transition::Cleared),
            _ => return None,
        };
        *self = next;
        Some(transition)
    }
}

#[cfg(test)]
mod tests {
    use super::Transition::{Began, Cleared, Opened, Withdrawn};
    use super::*;

    const T: Option<bool> = Some(true);
    const F: Option<bool> = Some(false);
    const N: Option<bool> = None;

    /// The transitions of these rows, each with its time.
    fn run(hold_ms: i64, rows: &[(i64, Option<bool>, Option<bool>)]) -> Vec<(i64, Transition)> {
        let mut state = State::Idle { since: None };
        let step = |&(at, when, clear): &(i64, Option<bool>, Option<bool>)| {
            Some((at, state.step(hold_ms, Row { at, when, clear })?))
        };
        rows.iter().filter_map(step).collect()
    }

    #[test]
    fn an_alert_opens_once_and_clears_once() {
        let rows = [(1, F, T), (2, T, F), (3, T, F), (4, F, F), (5, F, T), (6, F, T), (7, T, F)];
        assert_eq!(run(0, &rows), [(2, Opened), (5, Cleared), (7, Opened)]);
    }

    #[test]
    fn a_condition_must_hold_for_its_time_on_the_records_clock() {
        let rows = [(0, T, F), (999, T, F), (1_000, T, F), (9_000, F, T)];
        assert_eq!(run(1_000, &rows), [(0, Began), (1_000, Opened), (9_000, Cleared)]);
        let rows = [(0, T, F), (999, F, F), (1_000, T, F), (1_999, T, F), (2_000, T, F)];
        assert_eq!(run(1_000, &rows), [(0, Began), (999, Withdrawn), (1_000, Began), (2_000, Opened)]);
        assert_eq!(run(1_000, &[(0, T, F)]), [(0, Began)], "time that no row tells of does not pass");
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        assert_eq!(run(1_000, &[(0, T, N), (500, N, N), (1_000, T, N)]), [(0, Began), (1_000, Opened)]);
        assert_eq!(run(0, &[(0, T, F), (1, F, N), (2, N, N), (3, N, T)]), [(0, Opened), (3, Cleared)]);
        assert_eq!(run(1_000, &[(0, T, F), (1, N, T)]), [(0, Began), (1, Withdrawn)]);
        assert_eq!(run(0, &[(0, N, T), (1, N, N)]), []);
    }

    #[test]
    fn nothing_clears_while_the_condition_holds() {
        assert_eq!(run(0, &[(0, T, T), (1, T, T), (2, F, T)]), [(0, Opened), (2, Cleared)]);
    }

    #[test]
    fn a_row_older_than_the_last_transition_changes_nothing() {
        assert_eq!(run(0, &[(5, T, F), (4, F, T), (9, F, T), (8, T, F)]), [(5, Opened), (9, Cleared)]);
        assert_eq!(run(1_000, &[(5, T, F), (4, F, T), (1_005, T, F)]), [(5, Began), (1_005, Opened)]);
        assert_eq!(run(0, &[(5, T, F), (5, F, T), (5, T, F)]), [(5, Opened), (5, Cleared), (5, Opened)]);
    }

    #[test]
    fn times_at_the_ends_of_their_range_do_no_harm() {
        assert_eq!(
            run(i64::MAX, &[(i64::MIN, T, F), (i64::MAX, T, F)]),
            [(i64::MIN, Began), (i64::MAX, Opened)]
        );
    }
}
