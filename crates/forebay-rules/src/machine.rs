//! The life of an alert of one key, as a pure machine.
//!
//! ```text
//!           when                     when, for long enough       raised ▲
//!   idle ─────────▶ pending(since) ───────────────────────▶ open(since, level) ─┐
//!    ▲ ▲               │ not when                                lowered ▼      │ clear, and not when
//!    │ └───────────────┘                                                        │
//!    └──────────────────────────── cool-down ───────────────────────────────────┘
//! ```
//!
//! With no time to hold, `when` leads from idle to open at once. A rule has one level or several; each has a `when`, a `clear` and a
//! time to hold of its own, and its gate remembers since when its condition holds. An alert is opened at, or raised to,
//! the worst level whose gate is through. Where the present level's `clear` holds it is lowered to the worst level below
//! that does not clear too, else cleared: one transition a row. With `matches`, `when` stands below for "enough rows
//! match" ([`window`](crate::window)).
//!
//! Time is the records' own and nothing else: the same rows in the same order give the same transitions, whenever
//! they are read. What must stay true:
//!
//! * a condition that is NULL says nothing, neither that it holds nor that it does not;
//! * while `when` holds nothing clears, so a row for which both hold opens an alert and leaves it open; nor is an alert lowered while the
//!   `when` of a worse level holds;
//! * a row that is older than the last transition of its key changes nothing: it tells of a time that is decided;
//! * in a cool-down a condition may begin to hold but opens nothing; the row at its very end opens.

use serde::{Deserialize, Serialize};

use crate::logic::{LEVELS, Logic};
use crate::window::Window;

/// How a key stands with its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No alert is open.
    Idle {
        /// When the last one cleared (milliseconds since 1970), if one is remembered.
        since: Option<i64>,
    },
    /// There is an open alert.
    Open {
        /// The time of its last transition.
        since: i64,
        /// Which of the rule's levels it is at.
        level: usize,
    },
}

/// How one level of a key stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    /// The time of the row with which its condition began to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Which rows matched.
    #[serde(default, skip_serializing_if = "Window::is_empty")]
    pub window: Window,
}

/// How a key stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub phase: Phase,
    /// By level; of those that the open alert has reached only the windows count.
    pub gates: [Gate; LEVELS],
    /// Until when it opens nothing.
    pub rest_until: Option<i64>,
}

/// What a row says of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether `when` holds; `None` for NULL.
    pub when: Option<bool>,
    /// Whether `clear` holds; `None` for NULL, or where the level has none.
    pub clear: Option<bool>,
}

/// What a row says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The record's timestamp, milliseconds since 1970.
    pub at: i64,
    /// By level.
    pub says: [Said; LEVELS],
    /// Which of the watched fields have a value: a bit for each, the first is the lowest.
    pub fields: u32,
}

impl Row {
    /// True if no condition holds: nothing comes of it for a key of which nothing is remembered.
    pub fn says_nothing(&self) -> bool {
        self.says.iter().all(|said| said.when != Some(true))
    }
}

/// A step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// A condition began to hold.
    Began,
    /// It ceased before it had held for long enough.
    Withdrawn,
    /// An alert opened at this level.
    Opened(usize),
    /// It is worse now.
    Raised(usize),
    /// It is milder now.
    Lowered(usize),
    /// It cleared.
    Cleared,
}

/// What a row did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub transition: Option<Transition>,
    /// It is one of the rows that an alert opens for, or may.
    pub is_cause: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self { phase: Phase::Idle { since: None }, gates: Default::default(), rest_until: None }
    }
}

impl Gate {
    fn is_idle(&self) -> bool {
        self.since.is_none() && self.window.is_empty()
    }
}

impl Standing {
    /// True if a condition holds, or rows are counted, and no alert is open.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. }) && self.gates.iter().any(|gate| !gate.is_idle())
    }

    /// The gates as far as one of them remembers something.
    pub fn kept_gates(&self) -> &[Gate] {
        let kept = self.gates.iter().rposition(|gate| !gate.is_idle()).map_or(0, |last| last + 1);
        &self.gates[..kept]
    }

    /// How many rows are counted, of the level that counts most.
    pub fn counted(&self) -> usize {
        self.gates.iter().map(|gate| gate.window.len()).max().unwrap_or(0)
    }

    fn is_pending(&self) -> bool {
        self.gates.iter().any(|gate| gate.since.is_some())
    }

    /// Takes a row.
    pub fn step(&mut self, logic: &Logic, row: &Row) -> Outcome {
        let (since, open) = match self.phase {
            Phase::Idle { since } => (since, None),
            Phase::Open { since, level } => (Some(since), Some(level)),
        };
        if since.is_some_and(|since| row.at < since) {
            return Outcome::default();
        }
        let was_pending = self.is_pending();
        self.rest_until = self.rest_until.filter(|until| row.at < *until);
        let seen = self.look(logic, row, open);
        let transition = match open {
            None => match seen.reached {
                Some(level) if self.rest_until.is_none() => Some(Transition::Opened(level)),
                _ => match (was_pending, self.is_pending()) {
                    (false, true) => Some(Transition::Began),
                    (true, false) => Some(Transition::Withdrawn),
                    _ => None,
                },
            },
            Some(level) => match seen.reached {
                Some(worse) => Some(Transition::Raised(worse)),
                None if seen.worse_holds || !seen.ends.get(level).is_some_and(|ends| *ends) => None,
                None => match seen.ends.iter().take(level).rposition(|ends| !ends) {
                    Some(milder) => Some(Transition::Lowered(milder)),
                    None => Some(Transition::Cleared),
                },
            },
        };
        self.take(logic, row.at, transition);
        Outcome { transition, is_cause: open.is_none() && seen.is_cause }
    }

    /// Looks at a row with each level's gate; `open` is the level of the open alert.
    fn look(&mut self, logic: &Logic, row: &Row, open: Option<usize>) -> Seen {
        let mut seen = Seen::default();
        let levels = logic.levels.iter().zip(&mut self.gates).zip(row.says);
        for (index, ((level, gate), said)) in levels.enumerate() {
            let is_ahead = open.is_none_or(|open| index > open);
            if is_ahead && gate.since.is_some_and(|since| row.at < since) {
                continue;
            }
            let met = match (logic.matches, said.when) {
                (Some(matches), Some(holds)) => Some(gate.window.take(matches, row.at, holds)),
                (Some(_), None) => None,
                (None, when) => {
                    gate.window = Window::default();
                    when
                }
            };
            let clear = if level.has_clear { said.clear } else { met.map(|met| !met) };
            let ends = clear == Some(true) && met != Some(true);
            seen.ends[index] = ends;
            if !is_ahead {
                gate.since = None;
                continue;
            }
            seen.is_cause |= logic.matches.is_some() && said.when == Some(true);
            match met {
                Some(true) => {
                    seen.is_cause |= gate.since.is_none();
                    seen.worse_holds = true;
                    let since = *gate.since.get_or_insert(row.at);
                    if row.at.saturating_sub(since) >= level.hold_ms {
                        seen.reached = Some(index);
                        seen.is_cause = true;
                    }
                }
                Some(false) => gate.since = None,
                None if ends => gate.since = None,
                None => {}
            }
        }
        seen
    }

    fn take(&mut self, logic: &Logic, at: i64, transition: Option<Transition>) {
        match transition {
            Some(Transition::Opened(level) | Transition::Raised(level)) => {
                self.phase = Phase::Open { since: at, level };
                self.gates.iter_mut().take(level + 1).for_each(|gate| gate.since = None);
            }
            Some(Transition::Lowered(level)) => self.phase = Phase::Open { since: at, level },
            Some(Transition::Cleared) => {
                self.phase = Phase::Idle { since: Some(at) };
                self.gates = Default::default();
                self.rest_until = (logic.cooldown_ms > 0).then(|| at.saturating_add(logic.cooldown_ms));
            }
            Some(Transition::Began | Transition::Withdrawn) | None => {}
        }
    }
}

/// What the gates saw in a row.
#[derive(Default)]
struct Seen {
    /// The worst level, above the open alert's, whose gate is through.
    reached: Option<usize>,
    /// The condition of a level above the open alert's holds.
    worse_holds: bool,
    /// By level: it clears.
    ends: [bool; LEVELS],
    is_cause: bool,
}

#[cfg(test)]
mod tests {
    use forebay_core::config::Severity;

    use super::Transition::{Began, Cleared, Opened, Withdrawn};
    use super::*;

    const T: Option<bool> = Some(true);
    const F: Option<bool> = Some(false);
    const N: Option<bool> = None;

    /// The transitions of these rows, each with its time. What else there is to a rule is tried in the suite.
    fn run(hold_ms: i64, rows: &[(i64, Option<bool>, Option<bool>)]) -> Vec<(i64, Transition)> {
        let mut standing = Standing::default();
        let mut logic = Logic::plain(Severity::Warning, hold_ms);
        logic.levels[0].has_clear = true;
        let step = |&(at, when, clear): &(i64, Option<bool>, Option<bool>)| {
            let says = [Said { when, clear }, Said::default(), Said::default()];
            Some((at, standing.step(&logic, &Row { at, says, fields: 0 }).transition?))
        };
        rows.iter().filter_map(step).collect()
    }

    #[test]
    fn a_condition_must_hold_for_its_time_on_the_records_clock() {
        let rows = [(0, T, F), (999, T, F), (1_000, T, F), (9_000, F, T)];
        assert_eq!(run(1_000, &rows), [(0, Began), (1_000, Opened(0)), (9_000, Cleared)]);
        let rows = [(0, T, F), (999, F, F), (1_000, T, F), (1_999, T, F), (2_000, T, F)];
        assert_eq!(run(1_000, &rows), [(0, Began), (999, Withdrawn), (1_000, Began), (2_000, Opened(0))]);
        assert_eq!(run(1_000, &[(0, T, F)]), [(0, Began)], "time that no row tells of does not pass");
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        assert_eq!(run(1_000, &[(0, T, N), (500, N, N), (1_000, T, N)]), [(0, Began), (1_000, Opened(0))]);
        assert_eq!(run(0, &[(0, T, F), (1, F, N), (2, N, N), (3, N, T)]), [(0, Opened(0)), (3, Cleared)]);
        assert_eq!(run(1_000, &[(0, T, F), (1, N, T)]), [(0, Began), (1, Withdrawn)]);
        assert_eq!(run(0, &[(0, N, T), (1, N, N)]), []);
    }

    #[test]
    fn a_row_older_than_the_last_transition_changes_nothing() {
        assert_eq!(run(0, &[(5, T, F), (4, F, T), (9, F, T), (8, T, F)]), [(5, Opened(0)), (9, Cleared)]);
        assert_eq!(run(1_000, &[(5, T, F), (4, F, T), (1_005, T, F)]), [(5, Began), (1_005, Opened(0))]);
        assert_eq!(
            run(0, &[(5, T, F), (5, F, T), (5, T, F)]),
            [(5, Opened(0)), (5, Cleared), (5, Opened(0))]
        );
    }

    #[test]
    fn times_at_the_ends_of_their_range_do_no_harm() {
        let rows = [(i64::MIN, T, F), (i64::MAX, T, F)];
        assert_eq!(run(i64::MAX, &rows), [(i64::MIN, Began), (i64::MAX, Opened(0))]);
    }
}
