//! `alerts: NAME:` a condition over a source or view that opens and clears, for each key by itself.
//!
//! What is SQL here is checked by whoever plans it; where each piece stands is kept for that. The message is taken
//! apart here, because its form is the file's own: text with `{column}` in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parse::{Reading, bad_value, piece};
use super::section::{Section, Text};
use super::yaml::Entry;
use super::{Placed, keys, silence};
use crate::error::{Error, codes};
use crate::options::{parse_duration, unknown_name};

mod rule;
mod shape;

pub use shape::{AlertConfig, LevelConfig, MatchesConfig, NoDataConfig};

/// Longest message, in bytes: it is shown in a line.
const LONGEST_MESSAGE: usize = 1_000;

/// How bad an alert is. The worst is the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word in the file, in REST and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is told of an alert: text with the values of columns in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<Piece>);

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of a column; `at` is the byte of its name in the text.
    Column {
        name: String,
        at: usize,
    },
}

impl Message {
    /// Reads `{column} is too hot`; `{{` stands for a `{` and `}}` for a `}`. With it comes what is wrong, each with the
    /// bytes of the text that are: their beginning and length. What is right is read all the same.
    pub fn parse(text: &str) -> (Self, Vec<(Error, usize, usize)>) {
        let (mut pieces, mut wrong) = (Vec::new(), Vec::new());
        let mut plain = String::new();
        let mut at = 0;
        while let Some(brace) = text[at..].find(['{', '}']).map(|found| at + found) {
            plain.push_str(&text[at..brace]);
            let rest = &text[brace..];
            at = brace + 1;
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push_str(&rest[..1]);
                at += 1;
                continue;
            }
            // A place ends before the next one begins.
            let end = rest[1..].find(['{', '}']).map(|found| found + 1);
            let length = match end.filter(|end| rest.starts_with('{') && rest[*end..].starts_with('}')) {
                Some(length) => length,
                None => {
                    let (this, other) = if rest.starts_with('{') { ("{", "}") } else { ("}", "{") };
                    let error =
                        Error::new(&codes::BAD_VALUE, format!("a `{this}` in the message has no `{other}`"))
                            .with_hint(format!(
                                "A column's value stands as `{{column}}`; a `{this}` of the text itself is written `{this}{this}`."
                            ));
                    wrong.push((error, brace, 1));
                    continue;
                }
            };
            at = brace + length + 1;
            let inside = &rest[1..length];
            let name = inside.trim();
            if name.is_empty() {
                let error = Error::new(&codes::BAD_VALUE, "the message has a place without a column")
                    .with_hint("Write the name of a column between `{` and `}`.");
                wrong.push((error, brace, length + 1));
                continue;
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            let indent = inside.len() - inside.trim_start().len();
            pieces.push(Piece::Column { name: name.to_owned(), at: brace + 1 + indent });
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (Self(pieces), wrong)
    }

    /// The columns that it names, each with the byte of the text at which it does.
    pub fn columns(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Column { name, at } => Some((name.as_str(), *at)),
            Piece::Text(_) => None,
        })
    }

    /// The same message with other names for its columns.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let piece = |piece: &Piece| match piece {
            Piece::Column { name, at } => Piece::Column { name: rename(name), at: *at },
            text => text.clone(),
        };
        Self(self.0.iter().map(piece).collect())
    }

    /// The text with the values that `value` gives for its columns.
    pub fn render(&self, value: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Column { name, .. } => value(name),
        };
        self.0.iter().map(piece).collect()
    }
}

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<AlertConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    section.check(what, &keys::ALERT, &mut reading.problems, |_| None);
    let on = piece(&section, "on", reading);
    if on.is_some() {
        check_table(&section, reading);
    }
    let key = piece(&section, "key", reading);
    let own_when = piece(&section, "when", reading);
    let mut clear = piece(&section, "clear", reading);
    let mut hold = duration(&section, "for", reading).unwrap_or_default();
    let mut severity = severity_of(&section, reading).unwrap_or_default();
    let levels = rule::levels(&section, hold, reading);
    let matches = rule::matches(&section, reading);
    let cooldown = duration(&section, "cooldown", reading).unwrap_or_default();
    let no_data = rule::no_data(&section, reading);
    let inhibited_by = silence::list(&section, "inhibitedBy", reading);
    known_alerts(&inhibited_by, reading);
    let inhibited_by = inhibited_by
        .into_iter()
        .map(|text| Placed { text: text.text.to_owned(), place: reading.problems.place(text.span) })
        .collect();
    let message = message(&section, reading);
    let when = match levels.first() {
        Some(mildest) => {
            (clear, hold, severity) = (mildest.clear.clone(), mildest.hold, mildest.severity);
            Some(mildest.when.clone())
        }
        None => own_when.or_else(|| rule::without_condition(&section, what, reading)),
    };
    Some(AlertConfig {
        name: entry.key.clone(),
        on: on?,
        key: key?,
        when: when?,
        clear,
        hold,
        severity,
        levels,
        matches,
        cooldown,
        no_data,
        inhibited_by,
        message,
    })
}

/// A duration, if it is given.
pub(super) fn duration(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    let text = section.text(key, &mut reading.problems)?;
    let duration = parse_duration(text.text);
    if duration.is_none() {
        reading.problems.report(text.span, bad_value(key, text.text, "a duration such as `10 seconds`"));
    }
    duration
}

/// Reports names of alerts that the file does not have.
pub(super) fn known_alerts(names: &[Text<'_>], reading: &mut Reading<'_>) {
    for name in names {
        if reading.alerts.iter().any(|alert| alert.eq_ignore_ascii_case(name.text)) {
            continue;
        }
        let unknown = unknown_name("alert", name.text, reading.alerts.iter().map(String::as_str));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(name.span, error);
    }
}

/// Reports a table that the file does not have; whether its columns are known is another matter.
fn check_table(section: &Section<'_>, reading: &mut Reading<'_>) {
    let Some(name) = section.text("on", &mut reading.problems) else { return };
    if reading.tables.iter().any(|table| table.eq_ignore_ascii_case(name.text)) {
        return;
    }
    let unknown = unknown_name("source or view", name.text, reading.tables.iter().map(String::as_str));
    let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
    reading.problems.report(name.span, error);
}

/// A severity, if it is given and one.
pub(super) fn severity_of(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Severity> {
    let text = section.text("severity", &mut reading.problems)?;
    let found = Severity::ALL.into_iter().find(|severity| severity.word().eq_ignore_ascii_case(text.text));
    if found.is_none() {
        let expected = "`info`, `warning` or `critical`";
        reading.problems.report(text.span, bad_value("severity", text.text, expected));
    }
    found
}

fn message(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<(Message, Placed)> {
    let text = section.text("message", &mut reading.problems)?;
    if text.text.len() > LONGEST_MESSAGE {
        let error =
            Error::new(&codes::BAD_VALUE, format!("the message is longer than {LONGEST_MESSAGE} bytes"))
                .with_hint("It is shown in a line beside the alert.");
        reading.problems.report(text.span, error);
        return None;
    }
    // What is right in it is kept, so that its columns are looked at too.
    let (message, wrong) = Message::parse(text.text);
    for (error, at, length) in wrong {
        reading.problems.report_within(text.span, text.text, at, length, error);
    }
    Some((message, Placed { text: text.text.to_owned(), place: reading.problems.place(text.span) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_with_columns_in_it() {
        let (message, wrong) = Message::parse("{{a}} é{ site.hall }{b}}}!");
        assert!(wrong.is_empty());
        assert_eq!(message.columns().collect::<Vec<_>>(), [("site.hall", 10), ("b", 22)]);
        assert_eq!(message.render(|name| format!("<{name}>")), "{a} é<site.hall><b>}!");
        assert_eq!(message.renamed(|name| name.to_uppercase()).render(str::to_owned), "{a} éSITE.HALLB}!");
    }

    #[test]
    fn all_that_is_wrong_in_a_message_is_told() {
        for (text, told, columns) in [
            ("é {", &[(3, 1)][..], &[][..]),
            ("a { } b", &[(2, 3)], &[]),
            ("{}", &[(0, 2)], &[]),
            ("{a} {b", &[(4, 1)], &["a"]),
            ("{a {b} } {} {c}", &[(0, 1), (7, 1), (9, 2)], &["b", "c"]),
            ("}{", &[(0, 1), (1, 1)], &[]),
        ] {
            let (message, wrong) = Message::parse(text);
            let places: Vec<_> = wrong.iter().map(|(_, start, length)| (*start, *length)).collect();
            assert_eq!(places, told, "{text}");
            assert_eq!(message.columns().map(|(name, _)| name).collect::<Vec<_>>(), columns, "{text}");
        }
    }
}
