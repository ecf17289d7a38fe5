//! A value as people see it.

use std::hash::{Hash, Hasher};
use std::io::Write;

use serde::{Serialize, Serializer};

use crate::codec::{Decoder, Encoder};

/// Longest text that is kept of a value, in bytes: a cell shows no more. Keys: [`forebay_core::key`].
pub(crate) const LONGEST_TEXT: usize = 256;

/// A value. Serializes as JSON: null, a number (times: milliseconds since 1970, with those of a microsecond behind the
/// point), true or false, a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing, or nothing yet.
    #[default]
    Null,
    /// A number, always finite.
    Number(f64),
    /// A whole number beyond 2^53, of which a [`Number`](Self::Number) would be another.
    Whole(i64),
    /// True or false.
    Bool(bool),
    /// A text of at most 256 bytes; longer ones are cut.
    Text(String),
}

/// Whole numbers up to here are the same as an `f64`.
const EXACT: i64 = 1 << 53;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        if number.unsigned_abs() <= EXACT.unsigned_abs() {
            Self::Number(number as f64)
        } else {
            Self::Whole(number)
        }
    }
}

impl Value {
    /// A time, in microseconds since 1970, as milliseconds.
    pub(crate) fn time(micros: i64) -> Self {
        Self::Number(micros as f64 / 1_000.0)
    }

    /// The number that it is, as near as an `f64` comes to it.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Whole(number) => Some(*number as f64),
            Self::Null | Self::Bool(_) | Self::Text(_) => None,
        }
    }

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
            Self::Whole(number) => text.parse().is_ok_and(|wanted: i64| wanted == *number),
            Self::Bool(yes) => text.eq_ignore_ascii_case(if *yes { "true" } else { "false" }),
            Self::Text(held) => held == cut(text),
        }
    }

    /// It as a text; `None` where there is nothing.
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Whole(number) => Some(number.to_string()),
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
            Self::Whole(number) => {
                encoder.u8(5);
                encoder.u64(number.cast_unsigned());
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
            5 => Self::Whole(decoder.u64()?.cast_signed()),
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
            Self::Whole(number) => number.hash(state),
            Self::Bool(yes) => yes.hash(state),
            Self::Text(text) => text.hash(state),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            // Whole numbers print without `.0`.
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT as f64 => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Whole(number) => serializer.serialize_i64(*number),
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

    #[test]
    fn whole_numbers_and_microseconds_are_what_they_were() {
        for number in [0, -7, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN, -(1 << 53) - 1] {
            let value = Value::from(number);
            assert_eq!(value.words(), Some(number.to_string()));
            assert!(value.is(&number.to_string()));
            let mut encoder = Encoder::new(Vec::new());
            value.write(&mut encoder);
            let (bytes, _) = encoder.finish().unwrap();
            assert_eq!(Value::read(&mut Decoder::new(&bytes)), Some(value));
        }
        assert!(!Value::from(i64::MAX).is(&(i64::MAX - 1).to_string()));
        for (micros, text) in
            [(1_767_607_200_123_456, "1767607200123.456"), (1_500, "1.5"), (-1, "-0.001"), (2_000, "2")]
        {
            assert_eq!(Value::time(micros).words().as_deref(), Some(text));
        }
    }
}
