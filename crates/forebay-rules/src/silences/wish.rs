//! What is asked for when a silence is made, and whether it can be. Pure.
//!
//! What must stay true: nothing is silenced by mistake. A wish that names nothing is refused unless it says that it means all, and one
//! that is over before it begins, or lasts longer than anybody remembers it, is refused too.

use std::time::Duration;

use forebay_core::clock::millis;
use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::Silence;
use crate::life::{LONGEST_COMMENT, Remark};

/// Names in a list.
pub const MOST_NAMES: usize = 20;

/// Characters of a rule, a key or a pattern.
pub const LONGEST_NAME: usize = 250;

/// How long a silence lasts at most: what is to be quiet for longer belongs into the file.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// The end of the year 9999, the last that RFC 3339 writes, in milliseconds since 1970.
pub(super) const LATEST_MS: i64 = 253_402_300_799_999;

/// A silence as it is asked for. What names nothing means all, which has to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The rules.
    pub rules: Vec<String>,
    /// The one key; `Some(None)` is NULL.
    pub key: Option<Option<String>>,
    /// Patterns of keys.
    pub keys: Vec<String>,
    /// Severities.
    pub severities: Vec<Severity>,
    /// That all alerts are meant.
    pub all: bool,
    /// When it begins, if not now; a time that is over means now.
    pub from: Option<i64>,
    /// When it ends.
    pub end: Option<End>,
}

/// When a silence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At this time, milliseconds since 1970.
    At(i64),
    /// So long after it began.
    After(Duration),
}

impl Wish {
    /// The silence, without a number yet.
    pub(super) fn checked(self, made: Remark) -> Result<Silence> {
        let Self { rules, key, keys, severities, all, from, end } = self;
        if key.is_some() && !keys.is_empty() {
            return Err(bad(
                "both `key` and `keys` are given",
                "`key` is one key as it is, `keys` are patterns.",
            ));
        }
        let names_nothing = rules.is_empty() && key.is_none() && keys.is_empty() && severities.is_empty();
        if names_nothing != all {
            let (message, hint) = if all {
                ("a silence of all alerts names some", "Leave out `all`, or all that it names.")
            } else {
                (
                    "a silence does not say of what",
                    "Name `rules`, a `key`, `keys` or `severities`; or say `all`.",
                )
            };
            return Err(bad(message, hint));
        }
        [("rules", &rules), ("keys", &keys)].into_iter().try_for_each(|(name, list)| names(name, list))?;
        key.iter().flatten().try_for_each(|key| text("key", key))?;
        if severities.len() > Severity::ALL.len() {
            return Err(bad(
                "`severities` names one of them twice",
                "There are `info`, `warning` and `critical`.",
            ));
        }
        let now = made.at;
        let from = from.unwrap_or(now).max(now);
        let until = match end {
            Some(End::At(until)) => until,
            Some(End::After(time)) => from.saturating_add(millis(time)),
            None => {
                let hint = "Say for how long (`2 hours`), or until when.";
                return Err(bad("a silence does not say when it ends", hint));
            }
        };
        if until <= from {
            let hint = "Its end is later than its beginning, and than now.";
            return Err(bad("a silence ends before it begins", hint));
        }
        if until.saturating_sub(from) > LONGEST_MS {
            let hint = "A silence that is made at run time lasts a year at most; `silences:` of the file has no end.";
            return Err(bad("a silence lasts too long", hint));
        }
        if until > LATEST_MS {
            let hint = "Times are told as `2027-01-31T08:00:00Z`, or as milliseconds since 1970.";
            return Err(bad("a silence ends after the year 9999", hint));
        }
        Ok(Silence {
            id: String::new(),
            rules,
            key,
            keys,
            severities,
            from,
            until,
            made: remark(made)?,
            ended: None,
        })
    }
}

/// A remark that can be kept.
pub(super) fn remark(remark: Remark) -> Result<Remark> {
    let long = remark.by.len().max(remark.comment.as_ref().map_or(0, String::len));
    if long > LONGEST_COMMENT {
        let message = format!("a name or comment has {long} bytes, more than {LONGEST_COMMENT}");
        return Err(bad(message, "Keep it to a few sentences."));
    }
    if remark.by.trim().is_empty() {
        return Err(bad("nobody is named who silences", "Say who you are."));
    }
    Ok(remark)
}

fn names(name: &str, list: &[String]) -> Result<()> {
    if list.len() > MOST_NAMES {
        let message = format!("`{name}` has {} texts, more than {MOST_NAMES}", list.len());
        return Err(bad(
            message,
            "A pattern such as `press-*` covers many keys; no rule at all means all of them.",
        ));
    }
    list.iter().try_for_each(|one| {
        if one.trim().is_empty() {
            return Err(bad(format!("a text of `{name}` is empty"), "Leave it out."));
        }
        text(name, one)
    })
}

fn text(name: &str, text: &str) -> Result<()> {
    let long = text.chars().count();
    if long > LONGEST_NAME {
        let message = format!("a text of `{name}` has {long} characters, more than {LONGEST_NAME}");
        return Err(bad(message, "A pattern can end with `*`."));
    }
    Ok(())
}

fn bad(message: impl Into<String>, hint: &str) -> Error {
    Error::new(&codes::BAD_VALUE, message.into()).with_hint(hint)
}
