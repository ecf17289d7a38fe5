//! `options:` as typed: texts with their places, secrets put in, and the way to the connector that declared them.
//!
//! The decoder's options (`timestampFormat` …) stand in the same mapping as the source's. A Spark user knows both
//! as "options" and should not have to know which part of the line reads which; names are declared once and are
//! disjoint ([`Registry::conflicts`](super::Registry::conflicts)), so every name finds its reader, and a misspelt
//! one is compared with all of them.

use std::collections::{BTreeMap, HashMap};

use super::lines::Span;
use super::parse::Reading;
use super::places::OptionPlaces;
use super::secrets::resolve;
use super::section::{Section, text_of};
use super::yaml::Entry;
use crate::error::{Error, codes};
use crate::options::{ConnectorSpec, Options, looks_secret, unknown_name};

/// One option as typed.
pub(super) struct RawOption {
    pub name: String,
    pub key_span: Span,
    pub span: Span,
    /// With references replaced.
    pub text: String,
    /// What was typed, if its value came from the environment or a file.
    reference: Option<String>,
    /// True if its value could not be read, which is reported already.
    is_broken: bool,
}

/// Reads the mapping below `options`, if there is one.
pub(super) fn gather(entry: Option<&Entry>, what: &str, reading: &mut Reading<'_>) -> Vec<RawOption> {
    let Some(entry) = entry else { return Vec::new() };
    let what = format!("`options` of {what}");
    let Some(section) = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems) else {
        return Vec::new();
    };
    section.entries().iter().map(|entry| read_one(entry, reading)).collect()
}

/// The options of a part of the file that is about one connector, and their places; none without the connector. `key` is
/// where problems are shown if there is no `options`.
pub(super) fn of_one(
    section: &Section<'_>,
    key: Span,
    what: &str,
    connector: Option<&ConnectorSpec>,
    reading: &mut Reading<'_>,
) -> (OptionPlaces, Option<Options>) {
    let entry = section.get("options");
    let span = entry.map_or(key, |entry| entry.key_span);
    let raw = gather(entry, what, reading);
    let places = OptionPlaces::new(&raw, reading.problems.place(span), reading);
    let options = connector.map(|connector| {
        let mut parsed = parse_all(raw, &[connector], span, &[], |_| None, reading);
        parsed.pop().unwrap_or_default()
    });
    (places, options)
}

/// Reads one entry as an option.
pub(super) fn read_one(entry: &Entry, reading: &mut Reading<'_>) -> RawOption {
    let mut option = RawOption {
        name: entry.key.clone(),
        key_span: entry.key_span,
        span: entry.value.span,
        text: String::new(),
        reference: None,
        is_broken: true,
    };
    let Some(typed) = text_of(entry, &mut reading.problems) else { return option };
    match resolve(typed.text, &reading.lookup) {
        Ok(resolved) => {
            option.text = resolved.text;
            option.reference = resolved.is_secret.then(|| typed.text.to_owned());
            option.is_broken = false;
        }
        Err(unresolved) => {
            let (offset, length) = (unresolved.offset, unresolved.length);
            reading.problems.report_within(typed.span, typed.text, offset, length, unresolved.error);
        }
    }
    option
}

/// Takes an option out that is not the connector's, such as `checkpointLocation`.
pub(super) fn take(options: &mut Vec<RawOption>, name: &str) -> Option<RawOption> {
    let index = options.iter().position(|option| option.name.eq_ignore_ascii_case(name))?;
    Some(options.remove(index))
}

impl RawOption {
    /// What stands in the file under another name, as an option of this name and text.
    pub fn meant(self, name: &str, text: String) -> Self {
        Self { name: name.to_owned(), text, ..self }
    }

    /// The text, unless it could not be read.
    pub fn usable(&self) -> Option<&str> {
        (!self.is_broken).then_some(self.text.as_str())
    }

    /// True if its value came from the environment or a file.
    pub fn is_secret(&self) -> bool {
        self.reference.is_some()
    }
}

/// True if the connector declares an option of this name, or hands it on.
pub(super) fn declares(spec: &ConnectorSpec, name: &str) -> bool {
    spec.options.iter().any(|option| option.name.eq_ignore_ascii_case(name))
        || spec.prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Divides options among the connectors that declare them, in the order of `specs`, and parses each part. Names that
/// nobody declares are reported with a guess; `elsewhere` may know who else has the name, and `others` are names
/// that are read outside of the connectors.
pub(super) fn parse_all(
    raw: Vec<RawOption>,
    specs: &[&ConnectorSpec],
    span: Span,
    others: &[&'static str],
    elsewhere: impl Fn(&str) -> Option<Error>,
    reading: &mut Reading<'_>,
) -> Vec<Options> {
    let mut parts: Vec<Vec<RawOption>> = specs.iter().map(|_| Vec::new()).collect();
    for option in raw {
        match specs.iter().position(|spec| declares(spec, &option.name)) {
            Some(index) => parts[index].push(option),
            None => {
                let prefixes: Vec<String> =
                    specs.iter().flat_map(|spec| spec.prefixes).map(|prefix| format!("{prefix}*")).collect();
                let names = specs.iter().flat_map(|spec| spec.options).map(|declared| declared.name);
                let known = names.chain(others.iter().copied()).chain(prefixes.iter().map(String::as_str));
                let error = elsewhere(&option.name).unwrap_or_else(|| {
                    with_prefix(unknown_name("option", &option.name, known), &option.name, specs)
                });
                reading.problems.report(option.key_span, error);
            }
        }
    }
    specs.iter().zip(parts).map(|(spec, part)| parse_part(spec, part, span, reading)).collect()
}

/// The error for an unknown name, with the guess that it lacks a prefix: names with dots are handed on.
fn with_prefix(error: Error, name: &str, specs: &[&ConnectorSpec]) -> Error {
    let prefix = specs.iter().flat_map(|spec| spec.prefixes).find(|prefix| prefix.ends_with('.'));
    match prefix.filter(|_| name.contains('.') && !error.hint().contains("Did you mean")) {
        Some(prefix) => {
            let hint = format!("Did you mean `{prefix}{name}`? {}", error.hint());
            error.with_hint(hint)
        }
        None => error,
    }
}

fn parse_part(spec: &ConnectorSpec, part: Vec<RawOption>, span: Span, reading: &mut Reading<'_>) -> Options {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut seen: HashMap<String, &str> = HashMap::new();
    for option in &part {
        if let Some(first) = seen.insert(option.name.to_ascii_lowercase(), &option.name) {
            let error = Error::new(&codes::BAD_VALUE, format!("option `{}` is given twice", option.name))
                .with_hint(format!(
                    "`{first}` is the same option: upper and lower case do not matter, as in Spark."
                ));
            reading.problems.report(option.key_span, error);
        } else {
            texts.insert(option.name.clone(), option.text.clone());
        }
    }
    match Options::parse(spec, &texts) {
        Ok(mut options) => {
            for option in &part {
                if let Some(reference) = &option.reference {
                    options.mark_secret(&option.name, reference);
                }
            }
            options
        }
        Err(found) => {
            for (name, error) in found {
                match part.iter().find(|option| option.name.eq_ignore_ascii_case(&name)) {
                    Some(option) if option.is_broken => {}
                    Some(option) => reading.problems.report(option.span, without_secret(spec, option, error)),
                    None => reading.problems.report(span, error),
                }
            }
            Options::default()
        }
    }
}

/// The error about a value, told without the value if that is a secret.
fn without_secret(spec: &ConnectorSpec, option: &RawOption, error: Error) -> Error {
    if !option.is_secret() && !looks_secret(&option.name) {
        return error;
    }
    let expected = spec.options.iter().find(|declared| declared.name.eq_ignore_ascii_case(&option.name));
    let (kind, doc) = expected.map(|declared| (declared.kind.describe(), declared.doc)).unwrap_or_default();
    let message = format!("option `{}` is not {kind}; its value is a secret", option.name);
    Error::new(&codes::BAD_VALUE, message).with_hint(doc)
}
