//! Secrets: `${NAME}` and `${file:/path}` in the values of options, and what must not be shown of a file.
//!
//! This crate reads neither environment nor files: both come in as functions ([`Lookup`]). What must stay true: the
//! value of a secret is in the parsed options and nowhere else, in no message, no rendered line, no debug print.

use std::fmt;

use saphyr_parser::Event;

use super::lines::{Lines, Span};
use super::yaml;
use crate::error::{Error, codes};
use crate::options::looks_secret;

/// How the file's references are resolved: injected, so that parsing stays a function of what it is given.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The value of an environment variable, if it is set.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file, or why it cannot be read. One line break at its end is not part of the secret.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
}

impl fmt::Debug for Lookup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// A text whose references are replaced.
#[derive(PartialEq, Eq)]
pub(super) struct Resolved {
    pub text: String,
    /// True if anything of it came from the environment or a file.
    pub is_secret: bool,
}

/// Why a reference could not be replaced, and where in the text it stands (bytes).
pub(super) struct Unresolved {
    pub offset: usize,
    pub length: usize,
    pub error: Error,
}

/// Replaces `${NAME}` and `${file:/path}`; `$$` stands for `$`, and any other `$` for itself (a pattern may end in
/// one). What was put in is not looked through again.
pub(super) fn resolve(text: &str, lookup: &Lookup<'_>) -> Result<Resolved, Unresolved> {
    let mut resolved = Resolved { text: String::with_capacity(text.len()), is_secret: false };
    let mut at = 0;
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        resolved.text.push_str(&text[at..dollar]);
        let rest = &text[dollar + 1..];
        if rest.starts_with('$') {
            resolved.text.push('$');
            at = dollar + 2;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let Some(end) = inside.find('}') else {
                let error = Error::new(&codes::BAD_VALUE, "`${` is never closed")
                    .with_hint("Write `${NAME}`, `${file:/path}`, or `$${` for the characters themselves.");
                return Err(Unresolved { offset: dollar, length: text.len() - dollar, error });
            };
            let value = lookup_one(&inside[..end], lookup).map_err(|error| Unresolved {
                offset: dollar,
                length: end + 3,
                error,
            })?;
            resolved.text.push_str(&value);
            resolved.is_secret = true;
            at = dollar + end + 3;
        } else {
            resolved.text.push('$');
            at = dollar + 1;
        }
    }
    resolved.text.push_str(&text[at..]);
    Ok(resolved)
}

fn lookup_one(reference: &str, lookup: &Lookup<'_>) -> Result<String, Error> {
    if let Some(path) = reference.strip_prefix("file:") {
        return match (lookup.file)(path) {
            Ok(content) => {
                let content = content.strip_suffix('\n').unwrap_or(&content);
                Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
            }
            Err(why) => {
                Err(Error::new(&codes::SECRET, format!("the file of `${{file:{path}}}` cannot be read"))
                    .with_detail(why)
                    .with_hint("Check that the file exists and that this user may read it."))
            }
        };
    }
    if !is_name(reference) {
        // What stands there is not repeated: it may be a secret with a shell's default (`${NAME:-secret}`).
        return Err(Error::new(&codes::BAD_VALUE, "`${…}` holds neither the name of a variable nor `file:/path`")
            .with_hint("Write `${NAME}`, `${file:/path}`, or `$${` for the characters themselves. There are no defaults."));
    }
    (lookup.env)(reference).ok_or_else(|| {
        Error::new(&codes::SECRET, format!("the environment variable `{reference}` is not set")).with_hint(format!(
            "Set it before Forebay starts, or write `${{file:/path}}`. `$${{{reference}}}` means the characters themselves."
        ))
    })
}

/// The places of values whose keys look secret, in order: what a rendered line must not show.
///
/// Works on files that are not YAML too: behind the place where reading ended, whatever follows a secret-looking
/// word in its line, and the deeper lines below it, counts as its value.
pub(super) fn secret_spans(lines: &Lines<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut after_secret_key = false;
    let mut read_to = 0;
    for event in yaml::events(lines.text()) {
        let Ok((event, span)) = event else {
            // A secret collection whose end was never seen reaches to the end of the file.
            let unfinished = open.iter().find_map(|collection| collection.secret_from);
            spans.extend(unfinished.map(|start| Span { start, end: lines.text().len() }));
            spans.extend(guessed_spans(lines, read_to));
            break;
        };
        read_to = read_to.max(span.start);
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                let secret_from = std::mem::take(&mut after_secret_key).then_some(span.start);
                open.push(Open { is_mapping, key_is_next: is_mapping, secret_from });
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(start) = open.pop().and_then(|collection| collection.secret_from) {
                    spans.push(Span { start, end: span.end.max(start) });
                }
            }
            Event::Scalar(..) | Event::Alias(_) => {
                if let (Some(collection), Event::Scalar(key, ..)) = (open.last_mut(), &event)
                    && collection.key_is_next
                {
                    collection.key_is_next = false;
                    after_secret_key = looks_secret(key);
                    continue;
                }
                let is_odd = matches!(
                    &event,
                    Event::Scalar(text, ..) if holds_odd_reference(text) || may_hold_password(text)
                );
                if std::mem::take(&mut after_secret_key) || is_odd {
                    spans.push(span);
                }
            }
            _ => continue,
        }
        // A value has ended: in a mapping a key comes next.
        if let Some(collection) = open.last_mut() {
            collection.key_is_next = collection.is_mapping;
        }
    }
    merged(spans)
}

/// True if a text holds `${…}` around something that is no reference: it may be a shell's `${NAME:-secret}`.
fn holds_odd_reference(text: &str) -> bool {
    let references = text.split("${").skip(1).map(|piece| piece.split('}').next().unwrap_or_default());
    references.into_iter().any(|reference| !reference.starts_with("file:") && !is_name(reference))
}

/// True for the URL of a database, unless it is nothing but hosts, numbers of ports, a name, and parameters that hold no
/// secret: somebody may have written a password into it, wherever that stands in such URLs.
fn may_hold_password(text: &str) -> bool {
    const HARMLESS: [&str; 6] = ["sslmode", "ssl", "sslrootcert", "user", "connect_timeout", "currentSchema"];
    let text = text.trim();
    let rest = text.strip_prefix("jdbc:").unwrap_or(text);
    let rest = rest.strip_prefix("postgresql:").or_else(|| rest.strip_prefix("postgres:"));
    let Some(rest) = rest else { return text.starts_with("jdbc:") };
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest),
    };
    let is_word =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_host = |host: &str| {
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        is_word(name) && port.chars().all(|c| c.is_ascii_digit())
    };
    let is_harmless = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        name.is_empty() || HARMLESS.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    !(hosts.split(',').all(is_host) && is_word(database) && parameters.split('&').all(is_harmless))
}

fn is_name(reference: &str) -> bool {
    !reference.is_empty()
        && !reference.starts_with(|c: char| c.is_ascii_digit())
        && reference.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// In order and apart from each other, so that a place is found by bisection.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// A collection that is being read.
struct Open {
    is_mapping: bool,
    key_is_next: bool,
    secret_from: Option<usize>,
}

fn guessed_spans(lines: &Lines<'_>, from: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let (first, _) = lines.place(from);
    let mut below: Option<usize> = None;
    for line in first.. {
        let content = lines.line(line);
        let start = lines.offset((line, 1));
        if start >= lines.text().len() {
            break;
        }
        let indent = content.len() - content.trim_start().len();
        if below.is_some_and(|depth| indent > depth || content.trim().is_empty()) {
            spans.push(Span { start: start + indent, end: start + content.len() });
            continue;
        }
        below = None;
        let secret_at = content.find([':', '=']).filter(|_| looks_secret(content));
        if let Some(colon) = secret_at {
            spans.push(Span { start: start + colon + 1, end: start + content.len() });
            below = Some(indent);
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_database_is_hidden_where_it_may_hold_a_password() {
        for open in [
            "postgresql://localhost:6290/forebay",
            "jdbc:postgresql://a.plant:1,b-2/iot_1?sslmode=prefer&user=ops",
            "postgresql:forebay",
            "localhost:6290",
        ] {
            assert!(!may_hold_password(open), "{open}");
        }
        for hidden in [
            "postgresql://u:secret@h/x",
            "postgresql://h/x?password=secret",
            "postgresql://u:secret/x",
            "postgresql://h/x?sslmode=disable&surprise=secret",
            "jdbc:mysql://h/x",
            "postgres://h/x:secret@y",
        ] {
            assert!(may_hold_password(hidden), "{hidden}");
        }
    }
}
