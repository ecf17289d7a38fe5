//! A value as people see it.

use std::hash::{Hash, Hasher};
use std::io::Write;

use serde::{Serialize, Serializer};

use crate::codec::{Decoder, Encoder};

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

impl Value {
    /// True if a person who writes this text means the value. Of a long one, as it is kept.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Self::Null => text.is_empty(),
            Self::Number(number) => text.parse::<f64>().is_ok_and(|wanted| wanted == *number),
            Self::Bool(yes) => text.eq_ignore_ascii_case(if *yes { "true" } else { "false" }),
            Self::Text(held) => held == cut(text),
        }
    }

    /// It as a text; `None` where there is nothing.
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(yes) => Some(yes.to_string()),
            Self::Text(text) => Some(text.clone()),
        }
    }

    pub(crate) fn write<W: Write>(&self, encoder: &mut Encoder<W>) {
        match self {
            Self::Null => encoder.u8(0),
            Self::Number(number) => {
                encoder.u8(1);
                encoder.f64(*number);
            }
            Self::Bool(yes) => encoder.u8(2 + u8::from(*yes)),
            Self::Text(text) => {
                encoder.u8(4);
                encoder.text(text);
            }
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(decoder: &mut Decoder<'_>) -> Option<Self> {
        Some(match decoder.u8()? {
            0 => Self::Null,
            1 => Self::Number(decoder.f64()?),
            2 => Self::Bool(false),
            3 => Self::Bool(true),
            4 => Self::Text(decoder.text()?.to_owned()),
            _ => return None,
        })
    }
}

impl Eq for Value {}

/// Numbers by their bits: they are finite, and a zero with a sign is another zero only to a hash that would differ.
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Number(number) => (number + 0.0).to_bits().hash(state),
            Self::Bool(yes) => yes.hash(state),
            Self::Text(text) => text.hash(state),
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
