//! From a place in a text's meaning back to the place in the file where it was typed.
//!
//! YAML folds lines, strips indentation and reads escapes, so the tenth byte of a query's SQL may stand anywhere.
//! Instead of a map that is carried about, the file's text is walked again beside the value: blanks and breaks match
//! any run of blanks and breaks, every other character matches itself or its escape.

use super::lines::Lines;

/// Where the byte `offset` of a value stands in the file: (line, column), from 1, in characters.
///
/// `place` is where the value begins: its first letter, its quote, or the `|` or `>` of a block. Values in quotes,
/// blocks and values over several lines are followed; a place on white space may be off by some white space.
pub fn sql_place(file_text: &str, place: (usize, usize), value: &str, offset: usize) -> (usize, usize) {
    let lines = Lines::new(file_text);
    let start = lines.offset(place);
    let mut walk = Walk::new(lines.text(), start);
    for (at, c) in value.char_indices() {
        walk.reach(c);
        if at >= offset {
            break;
        }
        walk.pass(c);
    }
    lines.place(walk.at)
}

#[derive(PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    style: Style,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str, start: usize) -> Self {
        let rest = &text[start..];
        let (style, at) = match rest.chars().next() {
            Some('\'') => (Style::Single, start + 1),
            Some('"') => (Style::Double, start + 1),
            // The header of a block: its text begins in the next line.
            Some('|' | '>') => (Style::Plain, start + rest.find('\n').map_or(rest.len(), |end| end + 1)),
            _ => (Style::Plain, start),
        };
        Self { text, at, style }
    }

    /// Moves to where `c`, the next character of the value, was typed.
    fn reach(&mut self, c: char) {
        if c.is_whitespace() && !self.rest().starts_with('\\') {
            return;
        }
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            let is_continued = self.style == Style::Double
                && (self.rest().starts_with("\\\n") || self.rest().starts_with("\\\r\n"));
            if !is_continued {
                return;
            }
            self.at += 1;
        }
    }

    /// Moves behind `c`.
    fn pass(&mut self, c: char) {
        let rest = self.rest();
        let Some(typed) = rest.chars().next() else { return };
        let length = match (&self.style, typed) {
            (Style::Double, '\\') => match rest[1..].chars().next() {
                Some('x') => 4,
                Some('u') => 6,
                Some('U') => 10,
                Some(escaped) => 1 + escaped.len_utf8(),
                None => 1,
            },
            (Style::Single, '\'') => 2,
            _ if c.is_whitespace() && typed != c => usize::from(typed.is_whitespace()) * typed.len_utf8(),
            _ => typed.len_utf8(),
        };
        self.at = self.text.floor_char_boundary(self.at + length);
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, where its SQL stands, and what the SQL is; the word HERE is looked for in both.
    const CASES: &[(&str, (usize, usize), &str)] = &[
        ("sql: SELECT HERE", (1, 6), "SELECT HERE"),
        ("sql: SELECT\n    a,\n    HERE FROM t\n", (1, 6), "SELECT a, HERE FROM t"),
        ("sql: |\n  SELECT a\n    FROM HERE\n", (1, 6), "SELECT a\n  FROM HERE\n"),
        ("sql: |- # remark\n  é\n\n  HERE", (1, 6), "é\n\nHERE"),
        ("sql: >\n  SELECT a\n  FROM\n\n  HERE\n", (1, 6), "SELECT a FROM\nHERE\n"),
        ("sql: 'it''s'' HERE'", (1, 6), "it's' HERE"),
        ("sql: \"a\\n\\u00e9 \\\"b\\\" \\\n   HERE\"", (1, 6), "a\né \"b\" HERE"),
        ("sql: \"a\n\n  HERE\"", (1, 6), "a\nHERE"),
        ("- { sql: SELECT HERE, x: y }", (1, 10), "SELECT HERE"),
        ("sql: |\r\n  SELECT a,\r\n  HERE\r\n", (1, 6), "SELECT a,\nHERE\n"),
    ];

    #[test]
    fn a_place_in_the_sql_is_found_in_the_file() {
        for (file, place, value) in CASES {
            let expected = Lines::new(file).place(file.find("HERE").unwrap());
            assert_eq!(sql_place(file, *place, value, value.find("HERE").unwrap()), expected, "{file}");
        }
    }

    #[test]
    fn a_place_beyond_the_sql_is_its_end() {
        assert_eq!(sql_place("sql: SELECT", (1, 6), "SELECT", 99), (1, 12));
        assert_eq!(sql_place("", (7, 7), "SELECT", 3), (1, 1));
    }
}
