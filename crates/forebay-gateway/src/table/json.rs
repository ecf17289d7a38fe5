//! JSON as far as a route looks into it: whether a payload is an object, what a field of it says, what is written before it.
//!
//! What must stay true: numbers and texts that go on are those that came, letter by letter; nothing is parsed into a number and
//! written again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A payload as an object.
pub(super) enum Object<'p> {
    /// It is none, or is broken.
    None,
    /// What follows its opening brace; none of the names is in it.
    Behind(&'p [u8]),
    /// It has the name of this number.
    Has(usize),
}

/// Looks whether a payload is an object, and has one of these names at its top.
pub(super) fn object<'p>(payload: &'p [u8], names: &[&str]) -> Object<'p> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let found = Names(names).deserialize(&mut reader);
    match (found, reader.end()) {
        (Ok(Some(index)), Ok(())) => Object::Has(index),
        (Ok(None), Ok(())) => match payload.iter().position(|byte| *byte == b'{') {
            Some(brace) => Object::Behind(&payload[brace + 1..]),
            None => Object::None,
        },
        _ => Object::None,
    }
}

/// The text of a field: a string without its quotes, a number or boolean as it stands. `None` for what is not there, for null,
/// objects and arrays, and in what is no JSON. Of two of one name the last counts.
pub(super) fn field(payload: &[u8], path: &[String]) -> Option<String> {
    let (name, below) = path.split_first()?;
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let raw = Member(name).deserialize(&mut reader).ok()??;
    reader.end().ok()?;
    let text = raw.get();
    if !below.is_empty() {
        return field(text.as_bytes(), below);
    }
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

/// The number that a payload is, as it stands.
pub(super) fn number(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?.trim_matches([' ', '\t', '\r', '\n']);
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let starts = text.as_bytes().first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
    (starts && raw.get() == text).then_some(text)
}

/// A JSON string of these bytes in Base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a member and a comma.
pub(super) fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(quoted(name).as_bytes());
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
    out.push(b',');
}

/// True if an object ends here: nothing but its closing brace follows.
pub(super) fn is_end(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}')
}

/// Reads an object to its end and finds one of these names.
struct Names<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(index) = map.next_key_seed(Known(self.0))? {
            map.next_value::<IgnoredAny>()?;
            found = found.or(index);
        }
        Ok(found)
    }
}

/// Reads a key and says which of these names it is.
struct Known<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Known<'_> {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

/// Reads an object to its end and keeps the last member of this name.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(index) = map.next_key_seed(Known(&[self.0]))? {
            match index {
                Some(_) => found = Some(map.next_value::<&RawValue>()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}
