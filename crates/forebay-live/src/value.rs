//! A value as people see it.

use serde::{Serialize, Serializer};

/// Longest text that is kept of a value, in bytes: a cell shows no more. Keys: [`forebay_core::key`].
pub(crate) const LONGEST_TEXT: usize = 256;

/// A value. Serializes as JSON: null, a number (times: milliseconds since 1970), true or false, a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing, or nothing yet.
    #[default]
    Null,
    /// A number, always finite.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A text of at most 256 bytes; longer ones are cut.
    Text(String),
}

impl Value {
    /// Takes a text, in the memory that is there already if it held one.
    pub(crate) fn set_text(&mut self, text: &str) {
        let text = cut(text);
        match self {
            Self::Text(held) if held == text => {}
            Self::Text(held) => {
                held.clear();
                held.push_str(text);
            }
            other => *other = Self::Text(text.to_owned()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Self::Null => serializer.serialize_unit(),
            // Whole numbers print without `.0`.
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(yes) => serializer.serialize_bool(*yes),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// The beginning of a text that is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut value = Value::Null;
        value.set_text(&"é".repeat(200));
        assert_eq!(value, Value::Text("é".repeat(128)));
        value.set_text("short");
        assert_eq!(value, Value::Text("short".to_owned()));
    }
}
