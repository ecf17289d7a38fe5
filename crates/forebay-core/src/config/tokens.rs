//! The file of `--auth`: who may ask the server, each by the hash of a token.
//!
//! ```yaml
//! tokens:
//!   - { name: ana, role: operator, sha256: 9f86d0…0a08, expires: 2027-01-01 }
//! ```
//!
//! A token is 256 random bits, so its plain SHA-256 tells nothing about it: what makes passwords need a slow hash is
//! that they can be guessed. What must stay true: no token ever stands in the file, and no two entries share a name or
//! a hash, so that whatever is revoked is revoked whole.

use chrono::{DateTime, NaiveDate};

use super::Problem;
use super::keys;
use super::lines::Span;
use super::problems::Problems;
use super::section::{Section, Text};
use super::yaml::{self, Kind, Node};
use crate::error::{Error, codes};
use crate::options::unknown_name;

/// Most tokens of a file: each is compared at every request.
const MOST_TOKENS: usize = 1_000;
/// Larger files are refused.
const MAX_BYTES: usize = 1 << 20;
/// Longest name of a token, in bytes: it is shown on the page and in the log.
const LONGEST_NAME: usize = 64;

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks: every page, every SELECT.
    Viewer,
    /// Stops and starts queries, replays records.
    Operator,
    /// Takes records out of the quarantine for good, and changes what runs.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word in the file, in REST and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// An entry of `tokens:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Whose it is; unique in the file.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The SHA-256 of the token; unique in the file.
    pub sha256: [u8; 32],
    /// From when on it is worth nothing, milliseconds since 1970; `None` for never.
    pub expires_ms: Option<i64>,
}

/// Reads a file of tokens: all of it, or everything that is wrong with it.
pub fn parse_tokens(text: &str, file_name: &str) -> Result<Vec<TokenConfig>, Vec<Problem>> {
    let too_large = text.len() > MAX_BYTES;
    let mut problems = Problems::new(if too_large { "" } else { text }, file_name);
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if too_large || is_empty {
        let message = if too_large { "the file is too large" } else { "the file is empty" };
        let error = Error::new(&codes::MISSING_KEY, message)
            .with_hint("It begins with `tokens:`; `forebay token new --auth FILE` writes it.");
        problems.report(Span::default(), error);
        return Err(problems.into_found());
    }
    let tokens = yaml::read(&mut problems).map(|root| read(&root, &mut problems)).unwrap_or_default();
    match problems.count() {
        0 => Ok(tokens),
        _ => Err(problems.into_found()),
    }
}

/// A name that can stand in a log, a header and a file as it is.
pub fn is_token_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain)
}

/// A time from which on a token is worth nothing: a day (its first moment in UTC) or a time with its zone.
pub fn expiry(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
}

fn read(root: &Node, problems: &mut Problems<'_>) -> Vec<TokenConfig> {
    let start = Span { start: root.span.start, end: root.span.start };
    let Some(file) = Section::open(root, "the file", start, problems) else { return Vec::new() };
    file.check("the file", &keys::AUTH, problems, |_| None);
    let Some(entry) = file.get("tokens") else { return Vec::new() };
    let Kind::Sequence(items) = &entry.value.kind else {
        let error = Error::new(&codes::BAD_VALUE, "`tokens` must be a list")
            .with_hint("Each token begins with `- `, as in `- { name: ana, role: viewer, sha256: … }`.");
        problems.report(entry.key_span, error);
        return Vec::new();
    };
    if let Some(item) = items.get(MOST_TOKENS) {
        let error = Error::new(&codes::BAD_VALUE, format!("more than {MOST_TOKENS} tokens"))
            .with_hint("Remove those that nobody uses.");
        problems.report(item.span, error);
    }
    let mut tokens: Vec<TokenConfig> = Vec::new();
    for (index, item) in items.iter().take(MOST_TOKENS).enumerate() {
        let what = format!("token {}", index + 1);
        let first = Span { start: item.span.start, end: item.span.start + 1 };
        let Some(section) = Section::open(item, &what, first, problems) else { continue };
        section.check(&what, &keys::TOKEN, problems, |_| None);
        let Some(token) = token(&section, problems) else { continue };
        let doubled = if tokens.iter().any(|known| known.name == token.name) {
            Some(format!("two tokens are named `{}`", token.name))
        } else if tokens.iter().any(|known| known.sha256 == token.sha256) {
            Some(format!("{what} has the same `sha256` as another"))
        } else {
            None
        };
        if let Some(message) = doubled {
            let hint = "Each person and program has a token of its own, so that one can be revoked alone.";
            problems.report(first, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        }
        tokens.push(token);
    }
    tokens
}

fn token(section: &Section<'_>, problems: &mut Problems<'_>) -> Option<TokenConfig> {
    let mut value = |key: &str| section.text(key, problems);
    let (name, role, sha256) = (value("name"), value("role"), value("sha256"));
    let expires = value("expires");
    let name = name.filter(|name| {
        let hint = "Letters, digits and `-_.@`, 64 at most.";
        is_token_name(name.text)
            || refuse(problems, name, "a token's name cannot stand in a log as it is", hint)
    });
    let role = role.and_then(|text| {
        let role = Role::of(text.text);
        if role.is_none() {
            let unknown = unknown_name("role", text.text, Role::ALL.map(Role::word).into_iter());
            refuse(problems, &text, unknown.message(), unknown.hint());
        }
        role
    });
    let sha256 = sha256.and_then(|text| {
        let hash = hash_of(text.text);
        if hash.is_none() {
            // Not shown: who mistakes the key may have written the token itself.
            let hint = "`forebay token new` prints the line as it stands in the file. The token itself never stands there: \
                        if it does now, make a new one.";
            refuse(problems, &text, "`sha256` is not 64 hexadecimal digits", hint);
        }
        hash
    });
    let expires_ms = match expires {
        None => None,
        Some(text) => {
            let time = expiry(text.text);
            if time.is_none() {
                let hint = "Write a day, such as 2027-01-01, or a time, such as 2027-01-01T12:00:00Z.";
                refuse(problems, &text, "`expires` is no date", hint);
            }
            Some(time?)
        }
    };
    Some(TokenConfig { name: name?.text.to_owned(), role: role?, sha256: sha256?, expires_ms })
}

/// Reports a value; always false.
fn refuse(problems: &mut Problems<'_>, text: &Text<'_>, message: &str, hint: &str) -> bool {
    problems.report(text.span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    false
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    is_hex.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_file_is_read_with_its_roles_and_dates() {
        let text = format!(
            "# who may ask\ntokens:\n  - {{ name: ana, role: operator, sha256: {HASH}, expires: 2027-01-01 }}\n  - name: prometheus\n    role: viewer\n    sha256: \"{}\"\n",
            HASH.replace('9', "A")
        );
        let tokens = parse_tokens(&text, "auth.yaml").unwrap();
        assert_eq!(
            (tokens[0].name.as_str(), tokens[0].role, tokens[0].sha256[0]),
            ("ana", Role::Operator, 0x9f)
        );
        assert_eq!(tokens[0].expires_ms, Some(1_798_761_600_000));
        assert_eq!((tokens[1].role, tokens[1].sha256[0], tokens[1].expires_ms), (Role::Viewer, 0xaf, None));
        assert!(parse_tokens("tokens: []", "f").unwrap().is_empty(), "nobody may ask");
    }

    #[test]
    fn whatever_is_wrong_is_told_with_its_place_and_no_value_that_may_be_a_token() {
        let one = |entry: &str| format!("tokens:\n  - {entry}\n");
        let good = format!("{{ name: a, role: viewer, sha256: {HASH} }}");
        for (text, code, part) in [
            (String::new(), "FB-1004", "empty"),
            ("# nothing\n".to_owned(), "FB-1004", "empty"),
            ("tokens: ana".to_owned(), "FB-1005", "list"),
            ("token: []".to_owned(), "FB-1003", "token"),
            (one(&format!("{{ name: ana, sha256: {HASH} }}")), "FB-1004", "role"),
            (one(&format!("{{ name: ana, role: root, sha256: {HASH} }}")), "FB-1005", "root"),
            (one(&format!("{{ name: \"a b\", role: viewer, sha256: {HASH} }}")), "FB-1005", "name"),
            (one("{ name: ana, role: viewer, sha256: fb_secret }"), "FB-1005", "64 hexadecimal"),
            (
                one(&format!("{{ name: ana, role: viewer, sha256: {HASH}, expires: soon }}")),
                "FB-1005",
                "date",
            ),
            (format!("tokens:\n  - {good}\n  - {good}\n"), "FB-1005", "named `a`"),
            (format!("tokens:\n  - {good}\n  - {}\n", good.replace(" a,", " b,")), "FB-1005", "same"),
        ] {
            let problems = parse_tokens(&text, "auth.yaml").unwrap_err();
            let found =
                problems.iter().find(|it| it.error.code().id == code && it.error.message().contains(part));
            let found = found.unwrap_or_else(|| panic!("{text}: {problems:?}"));
            assert!(found.error.place().unwrap().starts_with("auth.yaml:"), "{text}");
            assert!(
                problems.iter().all(|it| !format!("{:?}", it.error).contains("fb_secret")),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::ALL.is_sorted() && Role::ALL.iter().all(|role| Role::of(role.word()) == Some(*role)));
    }
}
