//! The file of `--kafka-users`: who may use the embedded log, and what is theirs there.
//!
//! ```yaml
//! users:
//!   press-1: { sha256: 9f86d0…0a08, scram: "SCRAM-SHA-256$4096:…", scram512: "SCRAM-SHA-512$4096:…", write: [plant.*] }
//!   board: { certificate: board.plant, read: [plant.*], groups: [board-*] }
//! ```
//!
//! What must stay true: a secret is a token of 256 random bits, of which the file holds hashes and verifiers and never itself; no
//! two users share a token or a certificate, so that whatever is revoked is revoked whole; no problem shows what may be a token.

use super::gateway::list;
use super::lines::Span;
use super::problems::Problems;
use super::section::Section;
use super::tokens::{TOKEN_NAMES, hash_of, is_token_name, parse_secret};
use super::yaml::{Entry, Node};
use super::{Problem, keys};
use crate::error::{Error, codes};
use crate::scram::{ScramHash, ScramVerifier};

/// Most users of a log.
const MOST_USERS: usize = 10_000;
/// Most patterns of one list.
const MOST_PATTERNS: usize = 256;
/// Longest pattern, as long as a name of a topic may be, and its `*`.
const LONGEST_PATTERN: usize = 250;

/// Somebody who may use the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogUserConfig {
    /// The name; unique in the file.
    pub name: String,
    /// The SHA-256 of the token, for PLAIN; unique in the file.
    pub sha256: Option<[u8; 32]>,
    /// For SCRAM-SHA-256.
    pub scram: Option<ScramVerifier>,
    /// For SCRAM-SHA-512.
    pub scram512: Option<ScramVerifier>,
    /// The common name of a certificate that stands for the user; unique in the file.
    pub certificate: Option<String>,
    /// May everything.
    pub admin: bool,
    /// What may be done with which topics.
    pub topics: TopicPatterns,
    /// Groups.
    pub groups: Vec<String>,
    /// Ids of transactional producers.
    pub transactional_ids: Vec<String>,
}

/// Patterns of topics, by what may be done with them: a name, or the beginning of names with `*` behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPatterns {
    /// To read.
    pub read: Vec<String>,
    /// To write to.
    pub write: Vec<String>,
    /// To make.
    pub create: Vec<String>,
    /// To look at.
    pub describe: Vec<String>,
    /// To change settings and partitions of.
    pub alter: Vec<String>,
    /// To delete.
    pub delete: Vec<String>,
}

/// Reads a file of users: all of it, or everything that is wrong with it.
///
/// # Errors
/// What is wrong, each with its place and without what may be a token.
pub fn parse_log_users(text: &str, file_name: &str) -> Result<Vec<LogUserConfig>, Vec<Problem>> {
    parse_secret(
        text,
        file_name,
        "It begins with `users:`; `forebay token kafka --users FILE` writes it.",
        read,
    )
}

fn read(root: &Node, problems: &mut Problems<'_>) -> Vec<LogUserConfig> {
    let start = Span { start: root.span.start, end: root.span.start };
    let Some(file) = Section::open(root, "the file", start, problems) else { return Vec::new() };
    file.check("the file", &keys::LOG_USERS, problems, |_| None);
    let Some(entry) = file.get("users") else { return Vec::new() };
    let Some(section) = Section::open(&entry.value, "`users`", entry.key_span, problems) else {
        return Vec::new();
    };
    if let Some(entry) = section.entries().get(MOST_USERS) {
        let error = Error::new(&codes::BAD_VALUE, format!("more than {MOST_USERS} users"))
            .with_hint("Remove those that nobody uses.");
        problems.report(entry.key_span, error);
    }
    let mut users: Vec<LogUserConfig> = Vec::new();
    for entry in section.entries().iter().take(MOST_USERS) {
        let Some(user) = user(entry, problems) else { continue };
        let same = |other: &&LogUserConfig| {
            (user.sha256.is_some() && other.sha256 == user.sha256)
                || (user.scram.is_some() && other.scram == user.scram)
                || (user.scram512.is_some() && other.scram512 == user.scram512)
                || (user.certificate.is_some() && other.certificate == user.certificate)
        };
        if let Some(other) = users.iter().find(same) {
            let message = format!("user `{}` has the token or certificate of `{}`", user.name, other.name);
            let hint = "Each device or program has its own, so that one can be revoked alone.";
            problems.report(entry.key_span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        }
        users.push(user);
    }
    users
}

fn user(entry: &Entry, problems: &mut Problems<'_>) -> Option<LogUserConfig> {
    if !is_token_name(&entry.key) {
        // Not shown: it may be a token in a wrong place.
        let error = Error::new(&codes::BAD_VALUE, "this is no name for a user")
            .with_hint(format!("Allowed: {TOKEN_NAMES}."));
        problems.report(entry.key_span, error);
        return None;
    }
    let what = format!("user `{}`", entry.key);
    let section = Section::open(&entry.value, &what, entry.key_span, problems)?;
    section.check(&what, &keys::LOG_USER, problems, |_| None);
    let proofs = ["sha256", "scram", "scram512", "certificate"];
    if proofs.iter().all(|key| section.get(key).is_none()) {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has nothing to prove who it is")).with_hint(
            "Add `sha256`, `scram` and `scram512` of a token, as `forebay token kafka` prints them, or a `certificate`.",
        );
        problems.report(entry.key_span, error);
    }
    let value = |key: &str, hint: &str, problems: &mut Problems<'_>, is: &dyn Fn(&str) -> bool| {
        let text = section.text(key, problems)?;
        if !is(text.text) {
            // Not shown: who mistakes the key may have written the token itself.
            let error = Error::new(&codes::BAD_VALUE, format!("`{key}` of {what} is none")).with_hint(hint);
            problems.report(text.span, error);
            return None;
        }
        Some(text.text)
    };
    let written = "`forebay token kafka` writes it. The token itself never stands in the file: if it does now, make a new one.";
    let sha256 = value("sha256", written, problems, &|text| hash_of(text).is_some()).and_then(hash_of);
    let verifier = |hash, text: &str| ScramVerifier::parse(text).filter(|verifier| verifier.hash == hash);
    let scram = |key, hash, problems: &mut Problems<'_>| {
        let text = value(key, written, problems, &|text| verifier(hash, text).is_some())?;
        verifier(hash, text)
    };
    let (scram256, scram512) =
        (scram("scram", ScramHash::Sha256, problems), scram("scram512", ScramHash::Sha512, problems));
    let certificate =
        value("certificate", "Write its common name.", problems, &|text| !text.trim().is_empty());
    let is_bool = |text: &str| matches!(text, "true" | "false");
    let admin = value("admin", "Write `true` or `false`.", problems, &is_bool) == Some("true");
    let mut patterns = |key| patterns(&section, key, problems);
    Some(LogUserConfig {
        name: entry.key.clone(),
        sha256,
        scram: scram256,
        scram512,
        certificate: certificate.map(str::to_owned),
        admin,
        topics: TopicPatterns {
            read: patterns("read"),
            write: patterns("write"),
            create: patterns("create"),
            describe: patterns("describe"),
            alter: patterns("alter"),
            delete: patterns("delete"),
        },
        groups: patterns("groups"),
        transactional_ids: patterns("transactionalIds"),
    })
}

fn patterns(section: &Section<'_>, key: &str, problems: &mut Problems<'_>) -> Vec<String> {
    let Some(entry) = section.get(key) else { return Vec::new() };
    let items = list(entry);
    let mut refuse = |span: Span, message: String| {
        let hint = "Write a list of names; `*` stands at the end of a name, for all that begin so, or alone, for all.";
        problems.report(span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    };
    if items.len() > MOST_PATTERNS {
        refuse(entry.key_span, format!("`{key}` has more than {MOST_PATTERNS} patterns"));
    }
    let mut patterns = Vec::new();
    for (text, span) in items.into_iter().take(MOST_PATTERNS) {
        match text.filter(|text| is_pattern(text)) {
            Some(text) => patterns.push(text.to_owned()),
            None => refuse(span, format!("this is no pattern for `{key}`")),
        }
    }
    patterns
}

fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    !text.is_empty()
        && text.len() <= LONGEST_PATTERN
        && !name.contains('*')
        && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn scram(hash: ScramHash) -> String {
        ScramVerifier::of(hash, "fb_x", &[7; 16], 4_096).to_string()
    }

    #[test]
    fn a_file_is_read_with_what_is_whose() {
        let (scram, scram512) = (scram(ScramHash::Sha256), scram(ScramHash::Sha512));
        let text = format!(
            "users:\n  press-1:\n    sha256: {HASH}\n    scram: \"{scram}\"\n    scram512: \"{scram512}\"\n    write: [plant.*, state]\n    create: plant.*\n\
             \x20 board: {{ certificate: board.plant, read: [\"*\"], groups: [board-*], transactionalIds: [b] }}\n  root: {{ sha256: {}, admin: true }}\n",
            HASH.replace('9', "a")
        );
        let users = parse_log_users(&text, "kafka.yaml").unwrap();
        assert_eq!(users.len(), 3);
        let (press, board) = (&users[0], &users[1]);
        assert_eq!((press.topics.write.len(), press.topics.create[0].as_str()), (2, "plant.*"));
        assert_eq!(press.scram512.as_ref().unwrap().hash, ScramHash::Sha512);
        assert!(press.sha256.is_some() && !press.admin && press.topics.read.is_empty());
        assert_eq!(
            (board.certificate.as_deref(), board.groups[0].as_str()),
            (Some("board.plant"), "board-*")
        );
        assert!(users[2].admin);
        assert!(parse_log_users("users: {}", "f").unwrap().is_empty(), "nobody may use it");
    }

    #[test]
    fn whatever_is_wrong_is_told_with_its_place_and_no_value_that_may_be_a_token() {
        let token = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";
        let one = |entry: &str| format!("users:\n  press-1: {entry}\n");
        for (text, part) in [
            (String::new(), "empty"),
            ("users: [a]".to_owned(), "mapping"),
            ("user: {}".to_owned(), "user"),
            (one("{ write: [a] }"), "nothing to prove"),
            (one(&format!("{{ sha256: {token} }}")), "`sha256`"),
            (one(&format!("{{ scram: {token} }}")), "`scram`"),
            (one(&format!("{{ scram: \"{}\" }}", scram(ScramHash::Sha512))), "`scram`"),
            (one(&format!("{{ scram512: \"{}\" }}", scram(ScramHash::Sha256))), "`scram512`"),
            (one("{ certificate: \"\" }"), "`certificate`"),
            (one("{ certificate: a, admin: maybe }"), "`admin`"),
            (one("{ certificate: a, reads: [a] }"), "reads"),
            (one("{ certificate: a, read: [\"a*b\"] }"), "no pattern for `read`"),
            (one("{ certificate: a, groups: [{ a: b }] }"), "no pattern for `groups`"),
            (one("{ certificate: a, write: [\"\"] }"), "no pattern for `write`"),
            (format!("users:\n  {token}: {{ certificate: a }}\n"), "no name"),
            ("users:\n  a: { certificate: x }\n  b: { certificate: x }\n".to_owned(), "certificate of `a`"),
        ] {
            let problems = parse_log_users(&text, "kafka.yaml").unwrap_err();
            let said: Vec<String> = problems.iter().map(|it| format!("{:?}", it.error)).collect();
            assert!(said.iter().any(|it| it.contains(part)), "{text}: {said:?}");
            assert!(said.iter().all(|it| !it.contains(&token[3..10])), "{text}: {said:?}");
            let place = |it: &Problem| it.error.place().unwrap().starts_with("kafka.yaml:");
            assert!(problems.iter().all(place), "{text}");
        }
    }
}
