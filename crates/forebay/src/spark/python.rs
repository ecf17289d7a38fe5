//! Texts of the pipeline file as Python writes them. What must stay true: whatever a text holds, Python reads the same
//! text, and no text ends its literal or its comment.

use std::fmt::Write as _;

use crate::talk;

/// A text as a literal of one line.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push(&mut out, c);
    }
    out.push('"');
    out
}

/// A SELECT as it is read best: one of several lines keeps them.
pub(super) fn sql(text: &str) -> String {
    let text = text.trim_end();
    if !text.contains('\n') {
        return literal(text);
    }
    let mut out = String::from("\"\"\"\n");
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            // Only three in a row end the literal; a lone one is more readable as it is.
            '"' if !out.ends_with('"') => out.push('"'),
            c => push(&mut out, c),
        }
    }
    out.push_str("\n\"\"\"");
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        // What shows otherwise than it is: control characters, and those that turn the direction or hide.
        c if talk::one_line(c.encode_utf8(&mut [0; 4])) != c.to_string() => {
            // Writing to a string does not fail.
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// A list of texts: `["a", "b"]`.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(literal).collect();
    format!("[{}]", texts.join(", "))
}

/// Several lines of comment, none longer than people read.
pub(super) fn comment(text: &str) -> String {
    const WIDTH: usize = 110;
    let mut lines = vec![String::from("#")];
    for word in talk::one_line(text).split_whitespace() {
        let full = lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH);
        if full {
            lines.push(String::from("#  "));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// What stood in the file for a secret, as an expression that gives it where the job runs: `${NAME}`, `${file:/path}`
/// and `$$` as the file has them.
pub(super) fn reference(typed: &str) -> String {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = typed;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let inside = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        match inside {
            Some((name, after)) => {
                if !plain.is_empty() {
                    parts.push(literal(&std::mem::take(&mut plain)));
                }
                parts.push(match name.strip_prefix("file:") {
                    Some(path) => format!("secret_file({})", literal(path)),
                    None => format!("os.environ[{}]", literal(name)),
                });
                rest = after;
            }
            None => {
                plain.push('$');
                rest = rest.strip_prefix('$').unwrap_or(rest);
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(literal(&plain));
    }
    parts.join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_literal() {
        for (text, expected) in [
            ("iot", r#""iot""#),
            (r#"say "hi" \ there"#, r#""say \"hi\" \\ there""#),
            ("a\tb\nc", r#""a\tb\nc""#),
            ("\u{202e}°C\u{7}", r#""\U0000202e°C\U00000007""#),
        ] {
            assert_eq!(literal(text), expected);
        }
        assert_eq!(sql("SELECT 1 "), "\"SELECT 1\"");
        assert_eq!(sql("SELECT \"a\"\n'\"\"\"', \"b\""), "\"\"\"\nSELECT \"a\"\n'\"\\\"\\\"', \"b\"\n\"\"\"");
    }

    #[test]
    fn a_comment_stays_a_comment() {
        let long = "word ".repeat(60) + "\nimport os";
        let comment = comment(&long);
        assert!(
            comment.lines().count() > 2 && comment.lines().all(|line| line.starts_with('#')),
            "{comment}"
        );
    }

    #[test]
    fn a_secret_is_asked_for_where_the_job_runs() {
        for (typed, expected) in [
            ("${PASSWORD}", r#"os.environ["PASSWORD"]"#),
            ("a${X}b${file:/run/s}", r#""a" + os.environ["X"] + "b" + secret_file("/run/s")"#),
            ("$${X} $1", r#""${X} $1""#),
        ] {
            assert_eq!(reference(typed), expected, "{typed}");
        }
    }
}
