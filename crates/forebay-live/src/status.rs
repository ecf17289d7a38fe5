//! How a follower stands.

use forebay_core::Error;

/// How a follower stands.
#[derive(Clone, Debug, Default)]
pub struct FollowerStatus {
    /// Records that wait in the source; `None` while it does not answer.
    pub lag: Option<u64>,
    /// It has not been at the source's end for ten seconds: what is shown is not now.
    pub behind: bool,
    /// When it came to the source's end after it had not been there for a second, or for the first time, ms: seconds that were
    /// told before have got more.
    pub caught_up_ms: Option<i64>,
    /// Records read since the history began.
    pub read: u64,
    /// Records older than 24 hours: in no history. Those that are between 15 minutes and 24 hours old count in the wider
    /// frames.
    pub too_old: u64,
    /// Records that did not decode; the queries count and quarantine them.
    pub skipped: u64,
    /// Devices that had to go because there were too many.
    pub evicted: u64,
    /// What keeps it from reading now, and since when, ms.
    pub error: Option<(Error, i64)>,
    /// What keeps its history from being saved now, and since when, ms: a restart would lose what came since.
    pub unsaved: Option<(Error, i64)>,
}
