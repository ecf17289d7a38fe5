//! Event time: how far it has come, and what is therefore late or done.
//!
//! ```text
//! epoch N:  rows ─▶ Observed (the highest event time of each input)
//!                       │ committed with N
//!                       ▼
//!           Tracker: per input highest − delay, never falls; over the inputs min (or max), never falls
//!                       │ planned with N+1
//!                       ▼
//!           Times { late: the watermark of N, evict: the watermark of N+1 }
//! ```
//!
//! The arithmetic is Spark's 4.0: milliseconds since 1970, from 0 on; an input that has shown nothing counts as 0; a NULL
//! event time says nothing. Two things are better than Spark's. A time too far in the future moves nothing (see
//! [`survey()`]). And an input that has been silent for its `idleTimeout` no longer holds the others back; if
//! all are silent, time goes on without them ([`Tracker::next`]).
//!
//! What must stay true: the watermark never falls, and everything here follows from what plans and commits hold, so that
//! an epoch that is repeated has the same one.

mod survey;
mod tracker;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use survey::{Survey, future_limit_us, survey};
pub use tracker::{Rule, Tracker};

/// The promise that no row with an event time at or before it is to come: milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub i64);

impl Watermark {
    /// The same in microseconds, in which columns have their times.
    #[inline]
    pub fn micros(self) -> i64 {
        self.0.saturating_mul(1_000)
    }

    /// True if it has reached this time (µs): the end of a window, or an event time that belongs to none. Such a row is
    /// late, such a key is done.
    #[inline]
    pub fn has_passed(self, ts_us: i64) -> bool {
        ts_us <= self.micros()
    }
}

impl fmt::Display for Watermark {
    /// `2016-12-14T18:45:24.873Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::progress::iso_millis(self.0))
    }
}

/// How the watermarks of several inputs become one: Spark's `multipleWatermarkPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatermarkPolicy {
    /// The slowest counts: no input's rows become late because another is ahead.
    #[default]
    Min,
    /// The fastest counts.
    Max,
}

impl WatermarkPolicy {
    /// Its name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The policy of this name, in upper or lower case as in Spark.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Min, Self::Max].into_iter().find(|policy| policy.word().eq_ignore_ascii_case(text.trim()))
    }
}

/// The watermarks of an epoch, durable in its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// A row is late if its window's end (or its event time, where there is no window) is at or before it: the watermark
    /// of the epoch before.
    pub late: Watermark,
    /// A key is done if the same is true of it once the rows of this epoch are in it.
    pub evict: Watermark,
}

impl Times {
    /// The times of the epoch after this one, for which the watermark is `evict`.
    pub fn then(self, evict: Watermark) -> Self {
        Self { late: self.evict, evict: evict.max(self.evict) }
    }
}

/// The highest event time of each input of a query, in milliseconds (rounded down); `None`: none was seen, or the
/// input has no watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Observed(pub Vec<Option<i64>>);

impl Observed {
    /// Nothing seen of so many inputs.
    pub fn nothing(inputs: usize) -> Self {
        Self(vec![None; inputs])
    }

    /// Adds what was seen elsewhere: of each input the higher time.
    pub fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), None);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }
}

#[cfg(test)]
mod tests;
