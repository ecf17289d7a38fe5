//! The words of a DDL text: names, quotes, numbers, blanks and remarks; and errors that point at them.

use super::{DdlError, Excerpt};

/// A place in a text, always on a character's boundary.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn number(&mut self) -> Result<u32, DdlError> {
        self.skip_blanks()?;
        let digits = self.rest().find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest().len());
        match self.rest()[..digits].parse() {
            Ok(number) => {
                self.at += digits;
                self.skip_blanks()?;
                Ok(number)
            }
            Err(_) => Err(self.unexpected("a whole number")),
        }
    }

    /// Text between quotes: doubled quotes stand for one; in `'` and `"` a backslash escapes, as in Spark.
    pub(super) fn quoted(&mut self, quote: char, what: &str) -> Result<String, DdlError> {
        let start = self.at;
        let mut chars = self.text[start + 1..].char_indices().peekable();
        let mut text = String::new();
        while let Some((index, c)) = chars.next() {
            if c == quote {
                if chars.next_if(|(_, next)| *next == quote).is_none() {
                    self.at = start + 1 + index + 1;
                    return Ok(text);
                }
                text.push(quote);
            } else if c == '\\' && quote != '`' {
                match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.push(other),
                    None => break,
                }
            } else {
                text.push(c);
            }
        }
        self.at = self.text.len();
        Err(self.error(start, format!("{what} is never closed"), format!("End the text with {quote}.")))
    }

    /// Takes this character if it comes next.
    pub(super) fn take(&mut self, wanted: char) -> Result<bool, DdlError> {
        self.skip_blanks()?;
        let there = self.rest().starts_with(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        Ok(there)
    }

    /// Takes this word, in any case, if it comes next.
    pub(super) fn take_word(&mut self, wanted: &str) -> Result<bool, DdlError> {
        self.skip_blanks()?;
        let start = self.at;
        let there = self.word().eq_ignore_ascii_case(wanted);
        if !there {
            self.at = start;
        }
        Ok(there)
    }

    /// The letters, digits and `_` that come next; may be empty.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Skips white space and SQL comments.
    pub(super) fn skip_blanks(&mut self) -> Result<(), DdlError> {
        loop {
            let rest = self.rest().trim_start();
            self.at = self.text.len() - rest.len();
            if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => self.at += end + 2,
                    None => {
                        return Err(self.error(self.at, "`/*` is never closed", "End the remark with `*/`."));
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn unexpected(&self, wanted: &str) -> DdlError {
        let rest = self.rest();
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let found = match (word, rest.chars().next()) {
            (_, None) => {
                return DdlError {
                    offset: self.at,
                    length: 0,
                    message: format!("the schema ends where {wanted} is expected"),
                    hint: "A column is `name TYPE [NOT NULL] [COMMENT 'text']`.".to_owned(),
                };
            }
            (0, Some(c)) => &rest[..c.len_utf8()],
            (end, Some(_)) => &rest[..end],
        };
        DdlError {
            offset: self.at,
            length: found.len(),
            message: format!("expected {wanted}, found `{}`", Excerpt(found)),
            hint: "A column is `name TYPE [NOT NULL] [COMMENT 'text']`; columns are divided by commas."
                .to_owned(),
        }
    }

    /// An error about the text from `start` to where the parser stands.
    pub(super) fn error(
        &self,
        start: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> DdlError {
        let length = self.text[start..self.at.max(start)].trim_end().len();
        let length = match length {
            0 => self.text[start..].chars().next().map_or(0, char::len_utf8),
            length => length,
        };
        DdlError { offset: start, length, message: message.into(), hint: hint.into() }
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
