//! The words of a SELECT, with their places: comments and blanks left out, texts in quotes whole.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name, a keyword, a number; a name in back-quotes too.
    Word,
    Text,
    Symbol,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub at: usize,
}

impl Token<'_> {
    /// True if it is this word or symbol, in any case.
    pub fn is(&self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text)
    }

    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// As a name: without its quotes, in lower case.
    pub fn name(&self) -> String {
        self.text.trim_matches('`').to_lowercase()
    }

    /// True if both mean the same in SQL: names in any case, quoted or not.
    pub fn equals(&self, other: &Self) -> bool {
        match self.kind {
            Kind::Word => other.kind == Kind::Word && self.name() == other.name(),
            kind => kind == other.kind && self.text == other.text,
        }
    }
}

/// The tokens of a text; of one that is no SQL too.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let length = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '/' if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            '\'' | '"' | '`' => quoted(rest, c),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let kind = match c {
            '\'' | '"' => Kind::Text,
            c if c == '`' || is_word(c) => Kind::Word,
            _ => Kind::Symbol,
        };
        tokens.push(Token { kind, text: &sql[at..at + length], at });
        at += length;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A text with some of its pieces replaced, which are in order; an empty piece is a place to insert at.
pub(super) fn edited(sql: &str, edits: Vec<(Range<usize>, String)>) -> String {
    let (mut out, mut copied) = (String::new(), 0);
    for (piece, text) in edits {
        out.push_str(&sql[copied..piece.start]);
        out.push_str(&text);
        copied = piece.end;
    }
    out + &sql[copied..]
}
