//! Which devices fit a question. Pure over one device: what it is asked of is its row and its newest values.

use super::Ask;
use crate::device::DeviceState;
use crate::devices::{Devices, Row};
use crate::value::Value;

/// Which devices fit a question.
pub(crate) struct Fitting<'a> {
    ask: &'a Ask,
    /// In lower case.
    search: String,
    now_ms: i64,
}

impl<'a> Fitting<'a> {
    /// As of now.
    pub fn new(ask: &'a Ask, now_ms: i64) -> Self {
        Self { ask, search: ask.search.to_lowercase(), now_ms }
    }

    /// `Some(None)` for a device that fits, `Some(Some(field))` for one that only this field's values keep from it; `None` for
    /// all others.
    pub fn unfit(&self, devices: &Devices, row: &Row, values: &[Value]) -> Option<Option<usize>> {
        let (ask, search) = (self.ask, self.search.as_str());
        let fits =
            ask.state.is_none_or(|state| devices.is_quiet(row, self.now_ms) == (state == DeviceState::Quiet))
                && (!ask.late || devices.is_late(row))
                && ask.only.as_ref().is_none_or(|only| only.contains(&*row.key))
                && (search.is_empty()
                    || holds(&row.key, search)
                    || values.iter().any(|value| matches!(value, Value::Text(text) if holds(text, search))));
        if !fits {
            return None;
        }
        let is_other = |(field, wanted): &&(usize, Vec<String>)| {
            let value = values.get(*field).unwrap_or(&Value::Null);
            !wanted.iter().any(|text| value.is(text))
        };
        let mut others = ask.only_values.iter().filter(is_other).map(|(field, _)| *field);
        match (others.next(), others.next()) {
            (None, _) => Some(None),
            (Some(field), None) => Some(Some(field)),
            (Some(_), Some(_)) => None,
        }
    }
}

/// True if the text holds the part, which is in lower case.
fn holds(text: &str, part: &str) -> bool {
    if text.is_ascii() && part.is_ascii() {
        return text
            .as_bytes()
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
    }
    text.to_lowercase().contains(part)
}
