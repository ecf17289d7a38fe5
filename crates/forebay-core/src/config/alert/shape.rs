//! What an alert of the file is, once it is read.

use std::time::Duration;

use super::{Message, Severity};
use crate::config::Placed;

/// `alerts: NAME: …`
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Its name.
    pub name: String,
    /// The source or view that it watches.
    pub on: Placed,
    /// The column that tells the watched things apart, nested ones with dots.
    pub key: Placed,
    /// The condition that opens, SQL: of one with levels that of the mildest, of one with `noData` alone `false`.
    pub when: Placed,
    /// The condition that clears, SQL; `None` for the contrary of `when`.
    pub clear: Option<Placed>,
    /// How long `when` must hold (`for`).
    pub hold: Duration,
    /// How bad it is: of one with levels as the mildest.
    pub severity: Severity,
    /// The levels, the mildest first; none where it has only `when`.
    pub levels: Vec<LevelConfig>,
    /// How many records must match; `None`: each counts alone.
    pub matches: Option<MatchesConfig>,
    /// How long after clearing it opens nothing.
    pub cooldown: Duration,
    /// What is watched for silence.
    pub no_data: Option<NoDataConfig>,
    /// Alerts that mute it.
    pub inhibited_by: Vec<Placed>,
    /// What is told, and its text; `None` for key and values.
    pub message: Option<(Message, Placed)>,
}

/// `levels: SEVERITY: …` of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelConfig {
    /// How bad it is.
    pub severity: Severity,
    /// The condition that opens or raises, SQL.
    pub when: Placed,
    /// The condition that lowers, SQL; `None` for the contrary of `when`.
    pub clear: Option<Placed>,
    /// How long `when` must hold.
    pub hold: Duration,
}

/// `matches:` of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchesConfig {
    /// So many of the newest records.
    OfRows {
        /// At least 1.
        count: u32,
        /// From `count` to 64.
        of: u32,
    },
    /// So many within a time.
    Within {
        /// From 1 to 1,000.
        count: u32,
        /// At least a millisecond.
        time: Duration,
    },
}

/// `noData:` of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDataConfig {
    /// For longer than this nothing may come.
    pub after: Duration,
    /// Columns that are watched; none: the key's records are.
    pub fields: Vec<Placed>,
    /// Keys that are watched though they never came.
    pub keys: Vec<String>,
}
