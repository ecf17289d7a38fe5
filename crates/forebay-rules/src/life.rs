//! What an alert has been through: its steps, the rows that caused it, what people said of it.
//!
//! It is stored and shown as a part of the [`Alert`](crate::Alert). What must stay true: it is bounded, whatever the records and the
//! people do, and one that was written before there was such a thing is read as one that is empty.

use forebay_core::config::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows that are kept of those that caused an alert: the newest. One reads a handful; thousands of alerts are kept.
pub(crate) const MOST_ROWS: usize = 5;

/// Changes of the level that are kept: the newest.
pub(crate) const MOST_LEVELS: usize = 10;

/// Comments on an alert.
pub const MOST_COMMENTS: usize = 20;

/// Bytes of a comment, and of a person's name.
pub const LONGEST_COMMENT: usize = 1_000;

/// See the module. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Life {
    /// How many transitions it has had, its opening among them; 0 if it opened before they were counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub step: u32,
    /// The newest transition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// That it is an alert of silence, and whose; `None`: of the condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoDataOf>,
    /// The worst that it has been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Severity>,
    /// Changes of its level, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelChange>,
    /// The rows that caused it, oldest first: the one that opened it is the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Cause>,
    /// Who takes care of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Remark>,
    /// What people said of it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Remark>,
    /// Why nobody was told of its opening so far, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted: Option<String>,
}

/// A transition that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// It opened.
    Opened,
    /// It is worse now.
    Raised,
    /// It is milder now.
    Lowered,
    /// Somebody takes care of it.
    Acknowledged,
    /// It cleared, or ended.
    Cleared,
}

impl Event {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Raised => "raised",
            Self::Lowered => "lowered",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

/// Of what nothing came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDataOf {
    /// The field; `None` for every record of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A step from one level to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelChange {
    /// The timestamp of the record that did it.
    pub at: i64,
    /// The level since then.
    pub severity: Severity,
    /// The values of that record.
    pub value: Map<String, Value>,
}

/// A row that caused an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Its record's timestamp.
    pub at: i64,
    /// The values that are shown.
    pub value: Map<String, Value>,
    /// The record's source.
    pub source: String,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its place there, where the alert's query tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
}

/// What a person did or said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// When, by the clock of this machine.
    pub at: i64,
    /// Who.
    pub by: String,
    /// The words, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(step: &u32) -> bool {
    *step == 0
}

/// Puts one more at the end; the oldest go.
pub(crate) fn push_bounded<T>(all: &mut Vec<T>, one: T, most: usize) {
    all.push(one);
    let surplus = all.len().saturating_sub(most);
    all.drain(..surplus);
}
