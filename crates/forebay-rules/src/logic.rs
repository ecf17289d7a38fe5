//! What a rule can ask for, beyond its words: the logic that its rows go through.
//!
//! ```text
//!  row ─▶ matches    how many of the newest rows, or of those within a time, hold      `window`
//!      ─▶ for        how long that holds                                               `machine`
//!      ─▶ levels     how bad it is: raised and lowered, each step once                 `machine`
//!      ─▶ cool-down  how long a key that cleared opens nothing                         `machine`
//!  no row ─▶ noData  a key, or a field of it, of which nothing came                    `silent`
//!  transitions ─▶ silences, inhibition, groups: who is told of what                    `notices`
//! ```
//!
//! `when` is a boolean column and nothing else: rates of change, differences per key, polygons and jumps of a position are SQL
//! functions in front of it. The columns are those of [`columns`](crate::columns); a rule with levels has a pair of them for each level
//! above the mildest, and a value column for each field that `noData` watches.
//!
//! **Which time.** Everything but `noData` goes by the timestamps of the key's own records: time that none of them tells of does
//! not pass. `noData` needs a time that goes on without records, and there is one that is the same at every replay: that of the
//! epoch, which is in its plan. It only decides *when* a silence is noticed; what is told of it is made of the records: it
//! opens at the last record's time plus `noData`. So an epoch that comes before the silence is over notices it, one that reads
//! the records before and after it at once finds the same gap between them, and both tell the same. A key that never had a
//! record is not watched, unless [`NoData::keys`] names it: then from the rule's first epoch on. A field is watched from the first record
//! of its key on.
//!
//! **When a rule changes** while alerts are open: what is open stays open until the new `clear` holds. Its level is the one of
//! its severity; where that is gone, the nearest one below, else the mildest; the severity that is shown changes with
//! the next transition. What waits goes on waiting and is measured by the new `for`; a changed `matches` keeps the
//! rows that it still counts (another kind of counting begins anew); a cool-down that began ends when it was to end.
//! Alerts of a `noData`, or of a field, that is not asked for any more end with the next epoch, marked `ruleRemoved`.

use forebay_core::clock::millis;
use forebay_core::config::{AlertConfig, MatchesConfig, Severity};

use crate::notices::Notices;
use crate::rule::Rule;

/// Most levels of a rule: one for each severity.
pub const LEVELS: usize = 3;

/// Most fields that a rule watches for silence.
pub const MOST_FIELDS: usize = 16;

/// How rows become transitions. See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logic {
    /// From one to [`LEVELS`], the mildest first.
    pub levels: Vec<Level>,
    /// How many rows must match; `None`: each one counts alone.
    pub matches: Option<Matches>,
    /// How long after clearing a key opens nothing, milliseconds of its records.
    pub cooldown_ms: i64,
    /// What is watched for silence.
    pub no_data: Option<NoData>,
}

/// A level of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// How bad it is.
    pub severity: Severity,
    /// How long its condition must hold, milliseconds.
    pub hold_ms: i64,
    /// It has a condition of its own for clearing; else it clears where its condition is false.
    pub(crate) has_clear: bool,
}

/// How many rows of a key must match before its condition holds. After an alert has cleared the counting begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    /// So many of the newest rows whose condition is not NULL.
    OfRows {
        /// At least one, at most `of`.
        count: u32,
        /// At most [`Matches::MOST_ROWS`].
        of: u32,
    },
    /// So many rows, from the first to the last of which no more than this time lies.
    Within {
        /// At least one, at most [`Matches::MOST_WITHIN`].
        count: u32,
        /// Milliseconds.
        ms: i64,
    },
}

/// What is watched for silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoData {
    /// How long nothing may come, milliseconds: more than that is a silence.
    pub after_ms: i64,
    /// The key itself: any record of it counts.
    pub of_key: bool,
    /// Columns that are to have a value, by the names of the rule's value columns; at most [`MOST_FIELDS`].
    pub fields: Vec<String>,
    /// Keys that are watched though nothing of them ever came.
    pub keys: Vec<String>,
}

/// A rule with its logic, and who is told. A [`Rule`] alone is one with one level.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its words.
    pub rule: Rule,
    /// Its logic; `severity` and `hold_ms` of the rule count no more.
    pub logic: Logic,
    /// Who is told of what.
    pub notices: Notices,
}

impl Matches {
    /// The rows that a [`Matches::OfRows`] remembers at most: a bit for each.
    pub const MOST_ROWS: u32 = 64;
    /// The rows that a [`Matches::Within`] remembers at most: eight bytes for each.
    pub const MOST_WITHIN: u32 = 1_000;
}

impl Level {
    /// A level whose condition must hold for so many milliseconds.
    pub fn new(severity: Severity, hold_ms: i64) -> Self {
        Self { severity, hold_ms, has_clear: false }
    }
}

impl Logic {
    /// What an alert of the file asks for. `fields` are its `noData.fields`, as the rule's value columns are named.
    pub fn of(config: &AlertConfig, fields: Vec<String>) -> Self {
        let levels = config.levels.iter().map(|level| Level::new(level.severity, millis(level.hold)));
        let matches = config.matches.map(|matches| match matches {
            MatchesConfig::OfRows { count, of } => Matches::OfRows { count, of },
            MatchesConfig::Within { count, time } => Matches::Within { count, ms: millis(time) },
        });
        let no_data = config.no_data.as_ref().map(|no_data| NoData {
            after_ms: millis(no_data.after),
            of_key: no_data.fields.is_empty(),
            fields,
            keys: no_data.keys.clone(),
        });
        let mut logic =
            Self { levels: levels.collect(), matches, cooldown_ms: millis(config.cooldown), no_data };
        if logic.levels.is_empty() {
            logic.levels.push(Level::new(config.severity, millis(config.hold)));
        }
        logic
    }

    /// One level and nothing else.
    pub fn plain(severity: Severity, hold_ms: i64) -> Self {
        Self { levels: vec![Level::new(severity, hold_ms)], matches: None, cooldown_ms: 0, no_data: None }
    }

    /// The level that stands for a severity: its own, else the nearest below, else the mildest.
    pub(crate) fn level_of(&self, severity: Severity) -> usize {
        self.levels.iter().rposition(|level| level.severity <= severity).unwrap_or(0)
    }

    /// How bad a level is.
    pub(crate) fn severity(&self, level: usize) -> Severity {
        self.levels.get(level).map(|level| level.severity).unwrap_or_default()
    }

    /// How bad a silence is: as the mildest level.
    pub(crate) fn of_silence(&self) -> Severity {
        self.severity(0)
    }

    /// What is watched for silence, in the order of a key's [`Silence`](crate::silent::Silence)s: `None` is the key itself.
    pub(crate) fn aspects(&self) -> impl Iterator<Item = Option<&str>> {
        let of_key = self.no_data.iter().filter(|no_data| no_data.of_key).map(|_| None);
        of_key.chain(self.fields().iter().map(|field| Some(field.as_str())))
    }

    /// The fields that are watched for silence.
    pub(crate) fn fields(&self) -> &[String] {
        self.no_data
            .as_ref()
            .map_or(&[], |no_data| no_data.fields.get(..MOST_FIELDS).unwrap_or(&no_data.fields))
    }
}

impl From<Rule> for Watched {
    fn from(rule: Rule) -> Self {
        let logic = Logic::plain(rule.severity, rule.hold_ms);
        Self { rule, logic, notices: Notices::default() }
    }
}
