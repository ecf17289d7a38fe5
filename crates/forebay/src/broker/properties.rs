//! A file of client options as Kafka's own tools take it (`--producer.config`, `--command-config`): Java's properties.
//!
//! ```text
//! # who we are
//! security.protocol = SASL_SSL
//! sasl.jaas.config=org.apache…PlainLoginModule required \
//!     username="plant" password="…";
//! ```
//!
//! What must stay true: a value is what Java would read, and none of it is ever shown, since it may be a secret.

use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// The options of a file, in its order.
///
/// # Errors
/// `FILE_UNREADABLE`, or `BAD_VALUE` with file and line for what is not an option.
pub fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(&codes::FILE_UNREADABLE, "the client options cannot be read")
            .at(path.display())
            .caused_by(error)
            .with_hint("Check the path after `--client-properties`, and its permissions.")
    })?;
    parse(&text).map_err(|(line, what)| {
        Error::new(&codes::BAD_VALUE, what)
            .at(format_args!("{}:{line}", path.display()))
            .with_hint("Write an option a line, such as `security.protocol=SSL`; `#` begins a comment.")
    })
}

/// The pairs of a text, or the number of a wrong line and what is wrong there.
fn parse(text: &str) -> std::result::Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut pairs = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while goes_on(&whole) {
            whole.pop();
            match lines.next() {
                Some((_, more)) => whole.push_str(more.trim_start()),
                None => break,
            }
        }
        let end = name_end(&whole);
        let (name, rest) = whole.split_at(end);
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).ok_or((index + 1, "a line without `=`"))?;
        let told = |text: &str| plain(text).ok_or((index + 1, "`\\u` without four hexadecimal digits"));
        let name = told(name)?;
        if name.is_empty() {
            return Err((index + 1, "a value without a name"));
        }
        pairs.push((name, told(value.trim_start())?));
    }
    Ok(pairs)
}

/// True if the line ends with a backslash that no other one escapes.
fn goes_on(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// Where the name ends: at the first `=`, `:` or blank that is not escaped.
fn name_end(line: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        if !is_escaped && (matches!(c, '=' | ':') || c.is_ascii_whitespace()) {
            return at;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    line.len()
}

/// A text without its escapes.
fn plain(text: &str) -> Option<String> {
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => {}
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let is_hex = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
                let code = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?;
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_java_reads_it() {
        let text = "# a comment\n\n! another\nsecurity.protocol=SSL\n  client.id : plant\nlinger.ms 20\n";
        assert_eq!(
            parse(text).unwrap_err(),
            (6, "a line without `=`"),
            "Java takes it; a person hardly means it"
        );
        let text = "security.protocol=SASL_SSL\r\n  client.id : plant\nsasl.jaas.config=a.Login required \\\n    \
                    username=\"u\" \\\n    password=\"=:\\\\\";\nempty=\na\\=b=\\u0041\\tz\n";
        let expected = [
            ("security.protocol", "SASL_SSL"),
            ("client.id", "plant"),
            ("sasl.jaas.config", "a.Login required username=\"u\" password=\"=:\\\";"),
            ("empty", ""),
            ("a=b", "A\tz"),
        ];
        let read = parse(text).unwrap();
        assert_eq!(read.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_option_is_told_with_its_line_and_without_its_text() {
        for (text, line) in [("a=1\nsecret", 2), ("=secret", 1), ("a=1\n\nb=\\u12g4", 3)] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("client.properties");
        #[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
        std::fs::write(&file, "a=1\ncanary").unwrap();
        let error = read(&file).unwrap_err();
        assert!(error.place().unwrap().ends_with("client.properties:2"), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(read(&dir.path().join("none")).unwrap_err().code(), &codes::FILE_UNREADABLE);
    }
}
