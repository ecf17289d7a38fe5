//! `gateways: NAME: users: USER:` who may connect, and which topics are theirs.

use super::super::lines::Span;
use super::super::parse::Reading;
use super::super::section::Section;
use super::super::tokens::hash_of;
use super::super::yaml::Entry;
use super::super::{is_token_name, keys};
use super::list;
use crate::config::TOKEN_NAMES;
use crate::error::{Error, codes};

/// Most users of a gateway.
const MOST_USERS: usize = 10_000;
/// Most filters of a user for publishing, and for subscribing.
const MOST_FILTERS: usize = 64;
/// What a filter may be, for messages.
pub const FILTERS: &str = "levels with `/` between them: words, `+` for any one level, `#` at the end for all that follows, `%u` for the name of the user, `%c` for the client id";

/// Somebody who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConfig {
    /// The name; unique in the gateway.
    pub name: String,
    /// The SHA-256 of the token; unique in the gateway.
    pub sha256: Option<[u8; 32]>,
    /// The common name of a certificate that stands for the token.
    pub certificate: Option<String>,
    /// Filters in which to publish.
    pub publish: Vec<String>,
    /// Filters in which to subscribe.
    pub subscribe: Vec<String>,
}

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Vec<UserConfig> {
    let what = format!("`users` of {what}");
    let Some(section) = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems) else {
        return Vec::new();
    };
    if let Some(entry) = section.entries().get(MOST_USERS) {
        let error = Error::new(&codes::BAD_VALUE, format!("{what} has more than {MOST_USERS} users"));
        reading.problems.report(entry.key_span, error);
    }
    let mut users: Vec<UserConfig> = Vec::new();
    for entry in section.entries().iter().take(MOST_USERS) {
        let Some(user) = user(entry, reading) else { continue };
        let same = |other: &&UserConfig| {
            (user.sha256.is_some() && other.sha256 == user.sha256)
                || (user.certificate.is_some() && other.certificate == user.certificate)
        };
        if let Some(other) = users.iter().find(same) {
            let message = format!("user `{}` has the token or certificate of `{}`", user.name, other.name);
            let hint = "Each device or program has its own, so that one can be revoked alone.";
            reading.problems.report(entry.key_span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        }
        users.push(user);
    }
    users
}

fn user(entry: &Entry, reading: &mut Reading<'_>) -> Option<UserConfig> {
    if !is_token_name(&entry.key) {
        // Not shown: it may be a token in a wrong place.
        let error = Error::new(&codes::BAD_VALUE, "this is no name for a user")
            .with_hint(format!("Allowed: {TOKEN_NAMES}."));
        reading.problems.report(entry.key_span, error);
        return None;
    }
    let what = format!("user `{}`", entry.key);
    let section = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems)?;
    section.check(&what, &keys::USER, &mut reading.problems, |_| None);
    let sha256 = section.text("sha256", &mut reading.problems).and_then(|text| {
        let hash = hash_of(text.text);
        if hash.is_none() {
            let error = Error::new(&codes::BAD_VALUE, "`sha256` is not 64 hexadecimal digits").with_hint(
                "`forebay token device` prints it. The token itself never stands in the file: if it does now, make a new one.",
            );
            reading.problems.report(text.span, error);
        }
        hash
    });
    let certificate = section.text("certificate", &mut reading.problems).map(|text| text.text.to_owned());
    if section.get("sha256").is_none() && certificate.is_none() {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `sha256`"))
            .with_hint("Add the hash of a token, as `forebay token device` prints it, or a `certificate`.");
        reading.problems.report(entry.key_span, error);
    }
    Some(UserConfig {
        name: entry.key.clone(),
        sha256,
        certificate,
        publish: filters(&section, "publish", reading),
        subscribe: filters(&section, "subscribe", reading),
    })
}

fn filters(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Vec<String> {
    let Some(entry) = section.get(key) else { return Vec::new() };
    let items = list(entry);
    let mut refuse = |span: Span, message: String| {
        let error =
            Error::new(&codes::BAD_VALUE, message).with_hint(format!("Write a list of filters: {FILTERS}."));
        reading.problems.report(span, error);
    };
    if items.len() > MOST_FILTERS {
        refuse(entry.key_span, format!("`{key}` has more than {MOST_FILTERS} filters"));
    }
    let mut filters = Vec::new();
    for (text, span) in items.into_iter().take(MOST_FILTERS) {
        match text.filter(|text| is_filter(text)) {
            Some(text) => filters.push(text.to_owned()),
            None => refuse(span, format!("this is no topic filter for `{key}`")),
        }
    }
    filters
}

/// True of a topic filter as MQTT has it, in which `%u` and `%c` stand alone in a level.
pub fn is_filter(text: &str) -> bool {
    let count = text.split('/').count();
    let is_level = |(index, level): (usize, &str)| match level {
        "#" => index + 1 == count,
        "+" | "%u" | "%c" => true,
        word => !word.contains(['+', '#', '\0']) && !word.contains("%u") && !word.contains("%c"),
    };
    !text.is_empty() && text.len() <= 1_024 && text.split('/').enumerate().all(is_level)
}
