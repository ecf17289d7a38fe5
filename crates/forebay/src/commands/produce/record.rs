//! From the bytes of an input to key and value of a record, and what is wrong with them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::cli::ProduceArgs;

/// How records are made.
#[derive(Debug)]
pub struct Maker {
    key: Key,
    /// Values must be JSON.
    is_json: bool,
    /// What stands for a record without a value.
    null: Option<Vec<u8>>,
}

/// Where keys come from.
#[derive(Debug)]
enum Key {
    Nowhere,
    Given(Vec<u8>),
    Field(String),
    Before(Vec<u8>),
}

/// A record's own parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    pub key: Option<Cow<'a, [u8]>>,
    pub value: Option<&'a [u8]>,
}

/// Why bytes are not the record that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    detail: Option<String>,
    /// Line and column in the bytes, from 1, if it is at one place of them.
    at: Option<(usize, usize)>,
}

impl Maker {
    /// As the command line says.
    ///
    /// # Errors
    /// `WRONG_USE` for an empty separator or field.
    pub fn new(args: &ProduceArgs) -> Result<Self> {
        let empty = |option: &str| Error::new(&codes::WRONG_USE, format!("`{option}` is empty"));
        let key = match (&args.key, &args.key_field, &args.key_separator) {
            (Some(key), ..) => Key::Given(key.clone().into_bytes()),
            (_, Some(field), _) if field.is_empty() => return Err(empty("--key-field")),
            (_, Some(field), _) => Key::Field(field.clone()),
            (.., Some(separator)) if separator.is_empty() => return Err(empty("--key-separator")),
            (.., Some(separator)) => Key::Before(separator.clone().into_bytes()),
            (None, None, None) => Key::Nowhere,
        };
        let is_json = args.json || args.key_field.is_some();
        Ok(Self { key, is_json, null: args.null_marker.clone().map(String::into_bytes) })
    }

    /// The record of these bytes; `None` if that is a blank line, where JSON is asked for.
    pub fn parts<'a>(&'a self, bytes: &'a [u8]) -> std::result::Result<Option<Parts<'a>>, Fault> {
        if self.is_json && bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (key, text) = match &self.key {
            Key::Before(separator) => match split(bytes, separator) {
                Some((key, text)) => (Some(Cow::Borrowed(key)), text),
                None => (None, bytes),
            },
            Key::Given(key) => (Some(Cow::Borrowed(key.as_slice())), bytes),
            Key::Nowhere | Key::Field(_) => (None, bytes),
        };
        if self.null.as_deref() == Some(text) {
            return Ok(Some(Parts { key, value: None }));
        }
        if !self.is_json {
            return Ok(Some(Parts { key, value: Some(text) }));
        }
        let json = checked(text).map_err(|fault| fault.behind(bytes.len() - text.len()))?;
        let key = match &self.key {
            Key::Field(field) => Some(Cow::Owned(key_of(json, field)?)),
            _ => key,
        };
        Ok(Some(Parts { key, value: Some(text) }))
    }
}

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), detail: None, at: None }
    }

    /// The same, in bytes of which it is not the first line's beginning.
    fn behind(mut self, bytes: usize) -> Self {
        if let Some((1, column)) = &mut self.at {
            *column += bytes;
        }
        self
    }

    /// The error, of an input in which the bytes begin at a line.
    pub fn of(self, input: &str, line: u64) -> Error {
        let place = match self.at {
            Some((below, column)) => format!("{input}:{}:{column}", line + below as u64 - 1),
            None => format!("{input}:{line}"),
        };
        let error = Error::new(&codes::BAD_VALUE, self.what).at(place).with_hint(
            "Nothing from here on was sent. `--whole` takes a JSON document of several lines as one record.",
        );
        match self.detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        }
    }
}

/// The bytes before and behind the first separator.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

/// The text, if it is JSON.
fn checked(bytes: &[u8]) -> std::result::Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Fault { at: Some((line, column)), ..Fault::new("the record is not UTF-8, and so no JSON") }
    })?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Fault {
            what: "the record is not JSON".to_owned(),
            detail: Some(crate::flaw::complaint(&error)),
            at: Some((error.line(), error.column().max(1))),
        }),
    }
}

/// The field of a JSON object that is its key, as bytes: a text without its quotes, a number or truth value as it is
/// written. The name may lead into objects, with dots.
fn key_of(json: &str, field: &str) -> std::result::Result<Vec<u8>, Fault> {
    let missing = || Fault::new(format!("the record has no field `{field}` to take its key from"));
    let raw = find(json, field).ok_or_else(missing)?;
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).map(String::into_bytes).map_err(|_| missing()),
        Some(b'{' | b'[') => {
            Err(Fault::new(format!("the field `{field}` is an object or a list, and no key")))
        }
        Some(b'n') => Err(Fault::new(format!("the field `{field}` is null, and no key"))),
        _ => Ok(raw.as_bytes().to_vec()),
    }
}

/// What stands in an object under a name, or under the last of names with dots between them.
fn find<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    if let Some(found) = fields.get(name) {
        return Some(found.get());
    }
    let (first, rest) = name.split_once('.')?;
    find(fields.get(first)?.get(), rest)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn maker(more: &[&str]) -> Result<Maker> {
        let line = ["forebay", "produce", "--topic", "t"].iter().chain(more);
        let crate::cli::Command::Produce(args) = crate::cli::Cli::try_parse_from(line).unwrap().command
        else {
            panic!("another command")
        };
        Maker::new(&args)
    }

    /// Key and value, as text.
    fn made(more: &[&str], bytes: &[u8]) -> Option<(Option<String>, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let maker = maker(more).unwrap();
        let parts = maker.parts(bytes).unwrap()?;
        Some((parts.key.as_deref().map(text), parts.value.map(text)))
    }

    fn told(more: &[&str], bytes: &[u8]) -> String {
        maker(more).unwrap().parts(bytes).unwrap_err().of("events.txt", 7).to_string()
    }

    fn parts(key: Option<&str>, value: Option<&str>) -> Option<(Option<String>, Option<String>)> {
        Some((key.map(str::to_owned), value.map(str::to_owned)))
    }

    #[test]
    fn a_key_is_given_or_before_the_separator_or_a_field() {
        assert_eq!(made(&[], b"a=b"), parts(None, Some("a=b")));
        assert_eq!(made(&["-k", "k"], b"a=b"), parts(Some("k"), Some("a=b")));
        assert_eq!(made(&["-K", "="], b"a=b=c"), parts(Some("a"), Some("b=c")));
        assert_eq!(made(&["-K", "="], b"=b"), parts(Some(""), Some("b")));
        assert_eq!(made(&["-K", "="], b"ab"), parts(None, Some("ab")));
        let event = r#"{"customerId": "CI\u00e9", "n": 1.0, "big": 123456789012345678901234567890, "data": {"id": true, "a.b": 2}}"#;
        for (field, key) in [
            ("customerId", "CI\u{e9}"),
            ("n", "1.0"),
            ("big", "123456789012345678901234567890"),
            ("data.id", "true"),
            ("data.a.b", "2"),
        ] {
            assert_eq!(made(&["--key-field", field], event.as_bytes()), parts(Some(key), Some(event)));
        }
        for (option, what) in [("-K", "--key-separator"), ("--key-field", "--key-field")] {
            let refused = maker(&[option, ""]).unwrap_err();
            assert!(refused.code() == &codes::WRONG_USE && refused.message().contains(what), "{refused}");
        }
    }

    #[test]
    fn the_marker_is_no_value() {
        assert_eq!(made(&["--null-marker", "NULL", "-K", "="], b"a=NULL"), parts(Some("a"), None));
        assert_eq!(made(&["--null-marker", ""], b""), parts(None, None));
        assert_eq!(made(&[], b""), parts(None, Some("")));
    }

    #[test]
    fn what_is_not_json_is_told_with_its_line_and_column() {
        assert_eq!(made(&["--json"], b" {\"a\": [1]} "), parts(None, Some(" {\"a\": [1]} ")));
        assert_eq!(made(&["--json"], b" \r"), None, "a blank line is no record");
        let told_of = |bytes| told(&["--json"], bytes);
        assert!(
            told_of(b"{\"a\": }").contains("(events.txt:7:7): expected value"),
            "{}",
            told_of(b"{\"a\": }")
        );
        assert!(told_of(b"{\n \"a\": 1,\n").contains("events.txt:9:"), "{}", told_of(b"{\n \"a\": 1,\n"));
        assert!(told_of(b"{\"a\": \"\xff\"}").contains("(events.txt:7:8)"));
        assert!(told(&["--json", "-K", "=>"], b"key=>x").contains("(events.txt:7:6)"));
    }

    #[test]
    fn a_record_without_its_key_is_told() {
        let told_of = |bytes| told(&["--key-field", "data.id"], bytes);
        for (bytes, what) in [
            (&b"{\"data\": {}}"[..], "no field `data.id`"),
            (b"{\"data\": 5}", "no field `data.id`"),
            (b"[1]", "no field `data.id`"),
            (b"{\"data\": {\"id\": null}}", "is null"),
            (b"{\"data\": {\"id\": [1]}}", "an object or a list"),
        ] {
            let said = told_of(bytes);
            assert!(said.contains(what) && said.contains("(events.txt:7)"), "{said}");
        }
    }
}
