//! Names and texts as PostgreSQL writes them.
//!
//! What must stay true: a name or a text that comes from a file or from data gets into a statement through [`quoted`]
//! or [`literal`] only.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// PostgreSQL cuts longer names (NAMEDATALEN - 1), bytes.
const LONGEST: usize = 63;

/// An identifier that means exactly this name: in quotes, quotes in it doubled.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Several of them, with commas.
pub fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// A text literal that means exactly this text, whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// The name of a table, with its schema if one was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub schema: Option<String>,
    pub table: String,
}

impl TableName {
    /// Reads `table` or `schema.table` as PostgreSQL does: parts in double quotes stand as they are, others are lower case.
    pub fn read(option: &str, text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(&codes::BAD_VALUE, format!("option `{option}` is `{text}`, {why}")).with_hint(
                "Write TABLE or SCHEMA.TABLE; a part with upper case, blanks or other signs in double quotes: '\"My Schema\".\"Events\"'.",
            )
        };
        let mut parts = parts(text).ok_or_else(|| bad("which is no name of a table"))?;
        if parts.iter().any(|part| part.len() > LONGEST) {
            return Err(bad("and PostgreSQL's names have at most 63 bytes"));
        }
        match (parts.pop(), parts.pop(), parts.is_empty()) {
            (Some(table), schema, true) => Ok(Self { schema, table }),
            _ => Err(bad("which has too many parts")),
        }
    }

    /// A table beside this one.
    pub fn beside(&self, table: &Self) -> Self {
        Self { schema: table.schema.clone().or_else(|| self.schema.clone()), table: table.table.clone() }
    }

    /// For a statement.
    pub fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.table)),
            None => quoted(&self.table),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// The parts of a dotted name; `None` if it is none.
fn parts(text: &str) -> Option<Vec<String>> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    loop {
        if let Some(inside) = rest.strip_prefix('"') {
            let (mut part, mut chars) = (String::new(), inside.char_indices());
            let end = loop {
                match chars.next()? {
                    (at, '"') if inside[at + 1..].starts_with('"') => {
                        part.push('"');
                        chars.next();
                    }
                    (at, '"') => break at + 1,
                    (_, '\0') => return None,
                    (_, other) => part.push(other),
                }
            };
            if part.is_empty() {
                return None;
            }
            parts.push(part);
            rest = &inside[end..];
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = &rest[..end];
            let starts = part.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
            if !starts || !part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$') {
                return None;
            }
            parts.push(part.to_lowercase());
            rest = &rest[end..];
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// The columns of a list such as `eventId, "device id"`.
pub fn columns(option: &str, text: &str) -> Result<Vec<String>> {
    let bad = || {
        Error::new(&codes::BAD_VALUE, format!("option `{option}` is `{text}`, expected names of columns"))
            .with_hint(
                "Separate names by commas; a name with a comma or quotes in it stands in double quotes.",
            )
    };
    let (mut names, mut rest) = (Vec::new(), text.trim());
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(inside) => {
                let mut end = 0;
                loop {
                    end += inside[end..].find('"').ok_or_else(bad)?;
                    if !inside[end + 1..].starts_with('"') {
                        break;
                    }
                    end += 2;
                }
                (inside[..end].replace("\"\"", "\""), inside[end + 1..].trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        if name.is_empty() || names.contains(&name) {
            return Err(bad());
        }
        names.push(name);
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if after.is_empty() => return Ok(names),
            None => return Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_postgresql_reads_it() {
        let name = |schema: Option<&str>, table: &str| TableName {
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
        };
        for (text, expected) in [
            ("events", name(None, "events")),
            ("Events", name(None, "events")),
            ("Public.iot_device_events", name(Some("public"), "iot_device_events")),
            ("\"My Schema\".\"Ev\"\"ents.x\"", name(Some("My Schema"), "Ev\"ents.x")),
            ("größe", name(None, "größe")),
        ] {
            assert_eq!(TableName::read("dbtable", text).unwrap(), expected, "{text}");
        }
        for text in ["", ".", "a.", "a.b.c", "a b", "a;drop", "\"a", "\"\"", "1a", "\"a\"b", "(select 1) t"] {
            let error = TableName::read("dbtable", text).unwrap_err();
            assert!(error.message().contains("dbtable"), "{text}");
        }
        assert!(TableName::read("dbtable", &"a".repeat(64)).is_err());
    }

    #[test]
    fn whatever_a_name_or_a_text_holds_it_stays_one() {
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
        assert_eq!(quoted_list(["a", "B c"]), "\"a\", \"B c\"");
    }

    #[test]
    fn lists_of_columns_may_have_quotes() {
        assert_eq!(columns("key", "eventId, deviceId").unwrap(), ["eventId", "deviceId"]);
        assert_eq!(columns("key", "\"a, b\" , c").unwrap(), ["a, b", "c"]);
        assert_eq!(columns("key", "\"a\"\"b\"").unwrap(), ["a\"b"]);
        for text in ["", "a,", "a,,b", "a, a", "\"a", "\"a\" b"] {
            assert!(columns("key", text).is_err(), "{text}");
        }
    }
}
