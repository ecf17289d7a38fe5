//! Reads user name and password out of `sasl.jaas.config`, as it is written for Java clients:
//!
//! ```text
//! org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p";
//! ```

use std::collections::BTreeMap;

/// The options of the first login module in the text; `None` if it is not of the form above.
pub(super) fn parse(text: &str) -> Option<BTreeMap<String, String>> {
    let mut words = Words { rest: text.trim_start() };
    let module = words.bare()?;
    let flag = words.bare()?;
    let known_flag =
        ["required", "requisite", "sufficient", "optional"].contains(&flag.to_lowercase().as_str());
    if module.is_empty() || !known_flag {
        return None;
    }
    let mut options = BTreeMap::new();
    loop {
        if words.rest.starts_with(';') || words.rest.is_empty() {
            return Some(options);
        }
        let name = words.bare()?;
        words.rest = words.rest.strip_prefix('=')?.trim_start();
        let value = if words.rest.starts_with('"') { words.quoted()? } else { words.bare()? };
        options.insert(name, value);
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    /// A word up to white space, `=` or `;`.
    fn bare(&mut self) -> Option<String> {
        let end =
            self.rest.find(|c: char| c.is_whitespace() || c == '=' || c == ';').unwrap_or(self.rest.len());
        if end == 0 {
            return None;
        }
        let word = self.rest[..end].to_owned();
        self.rest = self.rest[end..].trim_start();
        Some(word)
    }

    /// A text in double quotes, where a backslash keeps the next character as it is.
    fn quoted(&mut self) -> Option<String> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => out.push(chars.next()?.1),
                '"' => {
                    self.rest = self.rest[at + 1..].trim_start();
                    return Some(out);
                }
                other => out.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_users_write() {
        let text = r#"org.apache.kafka.common.security.plain.PlainLoginModule required
            username="ann" password="a \"b\" = ;c";"#;
        let options = parse(text).unwrap();
        assert_eq!(options["username"], "ann");
        assert_eq!(options["password"], "a \"b\" = ;c");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in ["", "Module", "Module maybe a=b;", "Module required user", "Module required u=\"x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
