//! What is wrong with a record: a stable code, the place inside the record, and why, without its content.
//!
//! A fault is made where it is noticed and learns its path on the way out, one step for each level of the schema. It
//! is boxed so that the way of the good records carries no more than a pointer. What must stay true: no text of the
//! record gets into `why`; a device's data must not leak into logs by being malformed.

use std::fmt::Write as _;

/// The result of reading a piece of a record.
pub(super) type Parse<T = ()> = Result<T, Box<Fault>>;

/// The codes of bad records. They are public names: alerts and queries over the quarantine use them.
pub(super) mod code {
    pub(in super::super) const EMPTY: &str = "json.empty";
    pub(in super::super) const NULL: &str = "json.null";
    pub(in super::super) const TRUNCATED: &str = "json.truncated";
    pub(in super::super) const SYNTAX: &str = "json.syntax";
    pub(in super::super) const TRAILING: &str = "json.trailing";
    pub(in super::super) const NOT_OBJECT: &str = "json.not_object";
    pub(in super::super) const UTF8: &str = "json.utf8";
    pub(in super::super) const DEPTH: &str = "json.depth";
    pub(in super::super) const TYPE: &str = "json.type";
    pub(in super::super) const RANGE: &str = "json.range";
    pub(in super::super) const FORMAT: &str = "json.format";
    pub(in super::super) const REQUIRED: &str = "json.required";
    pub(in super::super) const DUPLICATE_KEY: &str = "json.duplicate_key";
    pub(in super::super) const LIMIT: &str = "json.limit";
}

/// The longest map key that a path shows, in characters; the rest is cut.
const KEY_SHOWN: usize = 64;

/// Why a record is bad.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) why: String,
    /// The steps from the fault outwards, each rendered.
    steps: Vec<String>,
}

impl Fault {
    #[cold]
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, why: why.into(), steps: Vec::new() })
    }

    /// The same fault, seen from the object that holds this field.
    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let mut step = String::new();
        if plain {
            step.push('.');
            step.push_str(name);
        } else {
            step.push_str("['");
            for c in name.chars().take(KEY_SHOWN) {
                match c {
                    '\'' | '\\' => step.extend(['\\', c]),
                    c if c.is_control() => step.extend(c.escape_unicode()),
                    c => step.push(c),
                }
            }
            step.push_str("']");
        }
        self.steps.push(step);
        self
    }

    /// The same fault, seen from the array that holds this element.
    #[cold]
    pub(super) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        let mut step = String::new();
        let _ = write!(step, "[{index}]");
        self.steps.push(step);
        self
    }

    /// The JSON path, `$` for the record as a whole.
    pub(super) fn path(&self) -> String {
        let mut path = String::from("$");
        path.extend(self.steps.iter().rev().map(String::as_str));
        path
    }
}

/// What kind of character stands somewhere: enough to find the mistake, nothing of the content.
pub(super) fn describe(byte: u8) -> &'static str {
    match byte {
        b'{' => "`{`",
        b'}' => "`}`",
        b'[' => "`[`",
        b']' => "`]`",
        b',' => "`,`",
        b':' => "`:`",
        b'"' => "a quote",
        b'\'' => "a single quote",
        b'\\' => "a backslash",
        b'/' => "a slash",
        b'+' => "`+`",
        b'-' => "`-`",
        b'.' => "a point",
        b'0'..=b'9' => "a digit",
        b'a'..=b'z' | b'A'..=b'Z' => "a letter",
        b' ' | b'\t' | b'\r' | b'\n' => "white space",
        0 => "a NUL character",
        1..=0x1f => "a control character",
        0x80.. => "a character beyond ASCII",
        _ => "another character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_quote_what_is_no_plain_name() {
        let fault = Fault::new(code::TYPE, "x").in_field("x").in_element(3).in_field("b's key").in_field("a");
        assert_eq!(fault.path(), "$.a['b\\'s key'][3].x");
        assert_eq!(Fault::new(code::EMPTY, "x").path(), "$");
    }
}
