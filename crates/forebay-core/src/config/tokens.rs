//! The file of `--auth`: who may ask the server, each by the hash of a token.
//!
//! ```yaml
//! tokens:
//!   - { name: ana, role: operator, sha256: 9f86d0…0a08, scram: "SCRAM-SHA-256$4096:…", expires: 2030-12-31 }
//! ```
//!
//! A token is 256 random bits, so its plain SHA-256 tells nothing about it: what makes passwords need a slow hash is
//! that they can be guessed. PostgreSQL's clients never send it, so for them the entry has what SCRAM needs beside it
//! ([`ScramVerifier`]). What must stay true: no token ever stands in the file, and no two entries share a name or
//! a hash, so that whatever is revoked is revoked whole.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};

use super::Problem;
use super::keys;
use super::lines::Span;
use super::problems::Problems;
use super::section::{Section, Text};
use super::yaml::{self, Kind, Node};
use crate::error::{Error, codes};
use crate::options::unknown_name;
use crate::scram::{ScramHash, ScramVerifier};

/// Most tokens of a file: each is compared at every request.
const MOST_TOKENS: usize = 1_000;
/// Larger files are refused.
const MAX_BYTES: usize = 1 << 20;
/// Longest name of a token, in bytes: it is shown on the page and in the log.
const LONGEST_NAME: usize = 64;
/// What a token's name may be.
pub const TOKEN_NAMES: &str = "a letter or digit, then letters, digits and `-_.@`, 64 at most; neither `null` nor what begins with `fb_`";
/// What every token begins with, so that scanners for secrets find one that lies where it should not.
pub const TOKEN_PREFIX: &str = "fb_";

/// Letters of a token behind its prefix.
const TOKEN_LETTERS: usize = 43;

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
    /// The same token for SCRAM; without it PostgreSQL's clients are not let in.
    pub scram: Option<ScramVerifier>,
    /// From when on it is worth nothing, milliseconds since 1970; `None` for never.
    pub expires_ms: Option<i64>,
}

/// Reads a file of tokens: all of it, or everything that is wrong with it.
pub fn parse_tokens(text: &str, file_name: &str) -> Result<Vec<TokenConfig>, Vec<Problem>> {
    parse_secret(
        text,
        file_name,
        "It begins with `tokens:`; `forebay token new --auth FILE` writes it.",
        read,
    )
}

/// Reads a file whose entries have tokens, with `read`; what is wrong is told without what may be one. `hint` says how the
/// file begins and what writes it.
pub(super) fn parse_secret<T>(
    text: &str,
    file_name: &str,
    hint: &str,
    read: impl FnOnce(&Node, &mut Problems<'_>) -> Vec<T>,
) -> Result<Vec<T>, Vec<Problem>> {
    let too_large = text.len() > MAX_BYTES;
    let mut problems = Problems::new(if too_large { "" } else { text }, file_name);
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if too_large || is_empty {
        let message = if too_large { "the file is too large" } else { "the file is empty" };
        let error = Error::new(&codes::MISSING_KEY, message).with_hint(hint);
        problems.report(Span::default(), error);
        return Err(problems.into_found());
    }
    let entries = yaml::read(&mut problems).map(|root| read(&root, &mut problems)).unwrap_or_default();
    match problems.count() {
        0 => Ok(entries),
        _ => Err(problems.into_found().into_iter().map(without_tokens).collect()),
    }
}

/// A name that can stand in a log, a header and a file as it is, and is not a token that somebody put there by mistake.
pub fn is_token_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= LONGEST_NAME
        && name.chars().all(is_plain)
        && !name.eq_ignore_ascii_case("null")
        && !name.starts_with(TOKEN_PREFIX)
}

/// True if a text has the form of a token: 32 bytes in Base64 behind the prefix. Anything else is refused unseen: a password whose
/// hash somebody wrote into a file could be guessed.
pub fn is_token(text: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = text.strip_prefix(TOKEN_PREFIX.as_bytes());
    rest.is_some_and(|rest| rest.len() == TOKEN_LETTERS && rest.iter().all(is_letter))
}

/// A time from which on a token is worth nothing: a day (its first moment in UTC) or a time with its zone, of the years
/// 1970 to 9999.
pub fn expiry(text: &str) -> Option<i64> {
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc(),
        Err(_) => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN).and_utc(),
    };
    (1970..=9999).contains(&time.year()).then(|| time.timestamp_millis())
}

/// The problem with nothing in it that may be a token: who mistakes a key may have written the token itself, and
/// problems are printed and logged.
fn without_tokens(problem: Problem) -> Problem {
    let error = &problem.error;
    let mut told = Error::new(error.code(), hidden(error.message())).with_hint(hidden(error.hint()));
    if let Some(detail) = error.detail() {
        told = told.with_detail(hidden(detail));
    }
    if let Some(place) = error.place() {
        told = told.at(place);
    }
    Problem { error: told, ..problem }
}

/// `fb_***` for whatever begins as tokens do.
fn hidden(text: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut pieces = text.split(TOKEN_PREFIX);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(is_letter);
        let stars = if rest.len() < piece.len() { "***" } else { "" };
        out += &format!("{TOKEN_PREFIX}{stars}{rest}");
    }
    out
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
    let (scram, expires) = (value("scram"), value("expires"));
    let name = name.filter(|name| {
        let hint = format!("Allowed: {TOKEN_NAMES}.");
        is_token_name(name.text) || refuse(problems, name, "this is no name for a token", &hint)
    });
    let role = role.and_then(|text| {
        let role = Role::of(text.text);
        if role.is_none() {
            // Not shown, as what stands under a wrong key may be anything.
            let unknown = unknown_name("role", text.text, Role::ALL.map(Role::word).into_iter());
            refuse(problems, &text, "`role` is none that there is", unknown.hint());
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
    let scram = match scram {
        None => None,
        Some(text) => {
            let verifier =
                ScramVerifier::parse(text.text).filter(|verifier| verifier.hash == ScramHash::Sha256);
            if verifier.is_none() {
                let hint =
                    "`forebay token new` writes it; without it all but PostgreSQL's clients are let in.";
                refuse(problems, &text, "`scram` is not what SCRAM-SHA-256 needs", hint);
            }
            Some(verifier?)
        }
    };
    let expires_ms = match expires {
        None => None,
        Some(text) => {
            let time = expiry(text.text);
            if time.is_none() {
                let hint = "Write a day, such as 2030-12-31, or a time, such as 2030-12-31T12:00:00Z; years are from 1970 to 9999.";
                refuse(problems, &text, "`expires` is no date", hint);
            }
            Some(time?)
        }
    };
    Some(TokenConfig { name: name?.text.to_owned(), role: role?, sha256: sha256?, scram, expires_ms })
}

/// Reports a value; always false.
fn refuse(problems: &mut Problems<'_>, text: &Text<'_>, message: &str, hint: &str) -> bool {
    problems.report(text.span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    false
}

pub(super) fn hash_of(text: &str) -> Option<[u8; 32]> {
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
            (one(&format!("{{ name: ana, role: root, sha256: {HASH} }}")), "FB-1005", "role"),
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
    fn a_token_that_stands_in_a_wrong_place_is_never_shown() {
        let token = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";
        for text in [
            format!("tokens:\n  - {{ name: {token}, role: viewer, sha256: {HASH} }}\n"),
            format!("tokens:\n  - {{ name: ana, role: {token}, sha256: {HASH} }}\n"),
            format!("tokens:\n  - {{ name: ana, role: viewer, sha256: {token} }}\n"),
            format!("tokens:\n  - {{ name: ana, role: viewer, sha256: {HASH}, expires: {token} }}\n"),
            format!("tokens:\n  - {{ name: ana, role: viewer, sha256: {HASH}, secret: {token} }}\n"),
            format!("tokens:\n  - {{ name: ana, role: viewer, sha256: {HASH}, {token}: x }}\n"),
            format!("tokens:\n  - {{ {token}: x, {token}: y }}\n"),
            format!("tokens:\n  - {token}\n"),
            format!("tokens: {token}\n"),
            format!("{token}: []\n"),
            format!("{token}\n"),
            format!("tokens:\n  - &{token} {{ name: *{token} }}\n"),
            format!("tokens:\n  - !{token} x\n"),
            format!("tokens: [{token}\n"),
            format!("tokens:\n  - {{ name: \"{token}\\q\", role: viewer, sha256: {HASH} }}\n"),
        ] {
            let problems = parse_tokens(&text, "auth.yaml").unwrap_err();
            for problem in problems {
                let said = format!("{:?} {}", problem.error, super::super::explain(&problem.error, false));
                assert!(!said.contains(&token[3..10]), "{text}: {said}");
            }
        }
        assert_eq!(hidden("a `fb_x-1` and fb_y, `fb_`"), "a `fb_***` and fb_***, `fb_`");
    }

    #[test]
    fn what_is_no_name_and_no_date_is_refused() {
        for name in ["ana", "7", "ana@plant.example", "x-1_y.z", &"n".repeat(64)] {
            assert!(is_token_name(name), "{name}");
        }
        for name in [
            "",
            "null",
            "Null",
            "@",
            "@ana",
            "-",
            "_x",
            ".",
            "~",
            "a b",
            "a\nb",
            "\u{1b}[2J",
            "ä",
            "fb_x",
            &"n".repeat(65),
        ] {
            assert!(!is_token_name(name), "{name:?}");
        }
        assert_eq!(expiry("2027-01-01"), Some(1_798_761_600_000));
        assert_eq!(expiry("2027-01-01T01:00:00+01:00"), Some(1_798_761_600_000));
        assert!(expiry("1970-01-01").is_some() && expiry("9999-12-31").is_some());
        for odd in [
            "0000-01-01",
            "1969-12-31",
            "+10000-01-01",
            "99999-01-01",
            "9999999-01-01",
            "9999999",
            "0",
            "",
            "-1",
            "2027-02-30",
            "0000-01-01T00:00:00Z",
            "soon",
        ] {
            assert_eq!(expiry(odd), None, "{odd}");
        }
    }

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::ALL.is_sorted() && Role::ALL.iter().all(|role| Role::of(role.word()) == Some(*role)));
    }
}
