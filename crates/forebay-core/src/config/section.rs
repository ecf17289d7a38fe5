//! One mapping of the file, read against its list of keys.

use super::keys;
use super::lines::Span;
use super::problems::Problems;
use super::yaml::{Entry, Kind, Node};
use crate::error::{Error, codes};
use crate::options::unknown_name;

/// A mapping of the file.
pub(super) struct Section<'n> {
    entries: &'n [Entry],
    /// Where problems of the mapping as a whole are shown: its key.
    span: Span,
}

/// A value that is one word or text.
#[derive(Clone, Copy)]
pub(super) struct Text<'n> {
    pub text: &'n str,
    pub span: Span,
}

impl<'n> Section<'n> {
    /// The mapping in this place; anything else is reported. `what` reads like "source `iot`".
    pub fn open(node: &'n Node, what: &str, span: Span, problems: &mut Problems<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Mapping(entries) => Some(Self { entries, span }),
            Kind::Null => {
                let error = Error::new(&codes::MISSING_KEY, format!("{what} is empty"))
                    .with_hint("Its keys stand below it, indented further.");
                problems.report(span, error);
                None
            }
            Kind::Scalar(_) | Kind::Sequence(_) => {
                let error =
                    Error::new(&codes::BAD_VALUE, format!("{what} must be a mapping: `key: value` below it"))
                        .with_hint("A blank stands between the colon and the value.");
                problems.report(node.span, error);
                None
            }
        }
    }

    /// Reports keys that nobody knows, keys that come later, and keys that are missing. `stranger` may know better
    /// what an unknown key is.
    pub fn check(
        &self,
        what: &str,
        spec: &keys::Section,
        problems: &mut Problems<'_>,
        stranger: impl Fn(&str) -> Option<Error>,
    ) {
        for entry in self.entries {
            let key = entry.key.as_str();
            let known = spec.keys.iter().find(|known| known.name == key);
            let error = match known {
                Some(known) if known.later => Error::new(
                    &codes::NOT_YET,
                    format!("`{key}` is not supported yet"),
                )
                .with_hint(format!("{} Leave it out for now: nothing is silently ignored.", known.doc)),
                Some(_) => continue,
                None => stranger(key).unwrap_or_else(|| {
                    let names = spec.keys.iter().filter(|known| !known.later).map(|known| known.name);
                    let unknown = unknown_name("key", key, names);
                    Error::new(&codes::UNKNOWN_KEY, format!("{} in {what}", unknown.message()))
                        .with_hint(unknown.hint())
                }),
            };
            problems.report(entry.key_span, error);
        }
        for missing in spec.keys.iter().filter(|known| known.required && self.get(known.name).is_none()) {
            let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `{}`", missing.name))
                .with_hint(format!("Add `{}: …` ({}). {}", missing.name, missing.kind, missing.doc));
            problems.report(self.span, error);
        }
    }

    /// Reports a problem of the mapping as a whole.
    pub fn report(&self, error: Error, problems: &mut Problems<'_>) {
        problems.report(self.span, error);
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The text of a key, if it is there; a value that is not a text is reported.
    pub fn text(&self, key: &str, problems: &mut Problems<'_>) -> Option<Text<'n>> {
        text_of(self.get(key)?, problems)
    }
}

/// The text of an entry; a value that is not one word or text is reported.
pub(super) fn text_of<'n>(entry: &'n Entry, problems: &mut Problems<'_>) -> Option<Text<'n>> {
    let key = &entry.key;
    let (span, message, hint) = match &entry.value.kind {
        Kind::Scalar(text) => return Some(Text { text, span: entry.value.span }),
        Kind::Null => (
            entry.key_span,
            format!("`{key}` has no value"),
            "Write it behind the colon, or leave the key out. An empty text is `\"\"`.",
        ),
        Kind::Mapping(_) | Kind::Sequence(_) => (
            entry.value.span,
            format!("`{key}` takes a text, not a list or mapping"),
            "A text that begins with `{` or `[` stands in quotes: `'{\"topic\":{\"0\":12}}'`. Several names are divided \
             by commas inside of one text.",
        ),
    };
    problems.report(span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    None
}
