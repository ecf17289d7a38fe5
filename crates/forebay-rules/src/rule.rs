//! What an alert's sink knows of its rule, and its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::config::{Message, Severity};
use serde_json::{Map, Value};

use crate::columns::text_of;

/// A rule, understood: which rows mean what is in the columns ([`crate::columns`]), the rest is here.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in the file.
    pub name: String,
    /// The column whose values are its keys.
    pub key_column: String,
    /// Of each source that it watches, itself or through views, the own field that the key is, dotted. Where the key is computed
    /// the source is not there.
    pub key_fields: BTreeMap<String, String>,
    /// How bad it is.
    pub severity: Severity,
    /// How long the condition must hold, milliseconds.
    pub hold_ms: i64,
    /// What is told; `None` for the key and the values.
    pub message: Option<Message>,
    /// The value columns, in their order.
    pub values: Vec<ValueColumn>,
}

/// A column that is kept with an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueColumn {
    /// Its name, nested ones with dots.
    pub name: String,
    /// True if the condition names it, so that its value is shown; others are only for the message.
    pub shown: bool,
}

/// What keeps an alert's memory and files small.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most subjects that are remembered at a time: keys that wait, count, rest after an alert or have an open one, and keys and
    /// fields that are watched for silence. What comes beyond opens nothing until there is room, which is logged. Some
    /// hundred bytes each.
    pub active: usize,
    /// Cleared alerts that are kept; the oldest go.
    pub cleared: usize,
    /// Most keys of an epoch that a lane looks at, counted for each partition. What comes beyond is left out and
    /// logged, unless its key waits or has an open alert.
    pub tracks: usize,
    /// Most rows that a lane holds until it is known which keys are awake: their columns, and a few bytes for each.
    pub held: usize,
    /// Bytes by which the journal grows, beyond the size of its snapshot, before it is rewritten.
    pub journal: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { active: 100_000, cleared: 10_000, tracks: 1_000_000, held: 1 << 16, journal: 1 << 20 }
    }
}

impl Rule {
    /// What is told of an alert of this key (`None`: NULL); `values` are those of the row that opens it, as [`Self::values`].
    pub(crate) fn text(&self, key: Option<&str>, values: &[Value]) -> String {
        let value = |name: &str| {
            let found = self.values.iter().zip(values).find(|(column, _)| column.name == name);
            found.map(|(_, value)| text_of(value)).unwrap_or_default()
        };
        if let Some(message) = &self.message {
            return cut(&message.render(value), LONGEST_TEXT).to_owned();
        }
        let mut text = format!("{}: {}", self.name, shown_key(key));
        for (column, value) in self.values.iter().zip(values).filter(|(column, _)| column.shown) {
            text.push_str(&format!(", {} {}", column.name, text_of(value)));
        }
        cut(&text, LONGEST_TEXT).to_owned()
    }

    /// What is told of a silence.
    pub(crate) fn silent_text(&self, key: Option<&str>, field: Option<&str>, after_ms: i64) -> String {
        let what = field.unwrap_or("data");
        let seconds = Duration::from_millis(after_ms.max(0).unsigned_abs());
        cut(&format!("{}: {}, no {what} for {seconds:?}", self.name, shown_key(key)), LONGEST_TEXT).to_owned()
    }

    /// The values that are shown, by name.
    pub(crate) fn shown(&self, values: &[Value]) -> Map<String, Value> {
        let columns = self.values.iter().zip(values).filter(|(column, _)| column.shown);
        let shown = |value: &Value| match value {
            Value::String(text) => cut(text, LONGEST_VALUE).into(),
            value => value.clone(),
        };
        columns.map(|(column, value)| (column.name.clone(), shown(value))).collect()
    }
}

/// A key as a text shows it.
fn shown_key(key: Option<&str>) -> &str {
    match key {
        None => "NULL",
        Some("") => "\"\"",
        Some(key) => key,
    }
}

/// Bytes of an alert's text, and of one value, that are kept: thousands of alerts are, and devices may send anything.
const LONGEST_TEXT: usize = 1_000;
const LONGEST_VALUE: usize = 256;

/// The beginning of a text.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rule;

    #[test]
    fn a_message_has_the_values_of_the_row_that_opens() {
        let mut rule = rule(0);
        let values = [Value::from(71.5), Value::from("hall 3")];
        assert_eq!(rule.text(Some("press-1"), &values), "overheat: press-1, temperature 71.5");
        assert_eq!(rule.text(None, &values), "overheat: NULL, temperature 71.5");
        assert_eq!(rule.text(Some(""), &values), "overheat: \"\", temperature 71.5");
        rule.message = Some(Message::parse("{place}: {temperature} °C, {{see below}}").0);
        assert_eq!(rule.text(Some("press-1"), &values), "hall 3: 71.5 °C, {see below}");
        assert_eq!(rule.text(Some("press-1"), &[Value::Null, Value::Null]), "NULL: NULL °C, {see below}");
    }
    #[test]
    fn what_devices_write_is_kept_as_far_as_a_person_reads() {
        let mut rule = rule(0);
        rule.message = Some(Message::parse("{place}").0);
        let text = rule.text(Some("press-1"), &[Value::from(71.5), "é".repeat(2_000).into()]);
        assert_eq!(text, "é".repeat(LONGEST_TEXT / 2));
        rule.values.iter_mut().for_each(|value| value.shown = true);
        let shown = rule.shown(&[Value::from(71.5), "x".repeat(2_000).into()]);
        assert_eq!(
            (&shown["temperature"], &shown["place"]),
            (&71.5.into(), &"x".repeat(LONGEST_VALUE).into())
        );
    }
}
