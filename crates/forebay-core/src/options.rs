//! Options: declared once by a connector, parsed once when the file is validated, documented from the same table.
//!
//! A connector publishes a [`ConnectorSpec`]. Parsing ([`Options::parse`]), the reference in `docs/configuration.md`
//! and the suggestions in error messages all read it; no option is parsed anywhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, codes};

/// What a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// A query reads from it.
    Source,
    /// A query writes to it.
    Sink,
    /// It decodes the values of a source.
    Format,
    /// A table at rest is kept in it.
    Table,
    /// Devices push by it.
    Gateway,
    /// People are told of alerts by it.
    Channel,
}

/// A connector's entry in the registry: its name, its options and their documentation.
#[derive(Debug)]
pub struct ConnectorSpec {
    /// The name in `format:` (or `value:`).
    pub name: &'static str,
    /// Source, sink, format or table.
    pub kind: ConnectorKind,
    /// One or two sentences for the reference.
    pub summary: &'static str,
    /// What it promises about rows after a crash, for the reference.
    pub delivery: &'static str,
    /// The options, in the order of the reference.
    pub options: &'static [OptionSpec],
    /// Prefixes of options that are handed on as they are, for example `kafka.`.
    pub prefixes: &'static [&'static str],
    /// A piece of a pipeline file that works.
    pub example: &'static str,
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its name, Spark's own where Spark has it.
    pub name: &'static str,
    /// Its type.
    pub kind: OptionKind,
    /// Its default as it would be written in the file.
    pub default: Option<&'static str>,
    /// True if it must be given.
    pub required: bool,
    /// Its entry in the reference: units, limits, what it is for.
    pub doc: &'static str,
}

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    String,
    /// `true` or `false`.
    Bool,
    /// A whole number, at least the first and at most the second.
    Integer(i64, i64),
    /// A duration: `10 seconds`.
    Duration,
    /// A size in bytes: `64MiB`.
    Size,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A parsed value of an option.
#[derive(Clone, PartialEq)]
enum Value {
    Text(String),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Size(u64),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Duration(duration) => duration.fmt(f),
            Self::Size(bytes) => bytes.fmt(f),
        }
    }
}

/// The options of one source, sink or format, checked against its [`ConnectorSpec`]; defaults are filled in.
///
/// Prints secrets as `***`: options whose names say so ([`looks_secret`]) and those that were marked.
#[derive(Clone, Default, PartialEq)]
pub struct Options {
    values: BTreeMap<&'static str, Value>,
    passed_on: BTreeMap<String, String>,
    /// Options whose values came from the environment or a file: names in lower case, and what was typed.
    secret: BTreeMap<String, String>,
}

impl Options {
    /// Checks raw texts against the spec: unknown names (with the nearest known one), missing and malformed
    /// values. All problems are returned at once, each with the name of its option.
    pub fn parse(spec: &ConnectorSpec, raw: &BTreeMap<String, String>) -> Result<Self, Vec<(String, Error)>> {
        let mut parsed = Self::default();
        let mut problems = Vec::new();
        for (name, text) in raw {
            if spec.prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                parsed.passed_on.insert(name.clone(), text.clone());
                continue;
            }
            match spec.options.iter().find(|option| option.name.eq_ignore_ascii_case(name)) {
                Some(option) => match parse_value(option, text) {
                    Ok(value) => drop(parsed.values.insert(option.name, value)),
                    Err(error) => problems.push((name.clone(), error)),
                },
                None => {
                    let known = spec.options.iter().map(|option| option.name);
                    problems.push((name.clone(), unknown_name("option", name, known)));
                }
            }
        }
        for option in spec.options {
            if parsed.values.contains_key(option.name) {
                continue;
            }
            match option.default {
                Some(default) => match parse_value(option, default) {
                    Ok(value) => drop(parsed.values.insert(option.name, value)),
                    Err(error) => problems.push((option.name.to_owned(), error)),
                },
                None if option.required => {
                    let already = problems.iter().any(|(name, _)| name.eq_ignore_ascii_case(option.name));
                    if !already {
                        let message = format!("option `{}` is missing", option.name);
                        let error = Error::new(&codes::MISSING_KEY, message).with_hint(option.doc);
                        problems.push((option.name.to_owned(), error));
                    }
                }
                None => {}
            }
        }
        if problems.is_empty() { Ok(parsed) } else { Err(problems) }
    }

    /// A text option; `None` if not given and without default.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A yes-or-no option; false if not given and without default.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Bool(true)))
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.values.get(name) {
            Some(Value::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// A size in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self.values.get(name) {
            Some(Value::Size(size)) => Some(*size),
            _ => None,
        }
    }

    /// The options that are handed on as they are, by their full names.
    pub fn passed_on(&self) -> &BTreeMap<String, String> {
        &self.passed_on
    }

    /// The same options with one of them set, whatever was typed; `spec` is that by which they were parsed.
    ///
    /// # Errors
    /// `UNKNOWN_KEY` and `BAD_VALUE`, as for typed ones.
    pub fn with(mut self, spec: &ConnectorSpec, name: &str, text: &str) -> Result<Self, Error> {
        let Some(option) = spec.options.iter().find(|option| option.name == name) else {
            return Err(unknown_name("option", name, spec.options.iter().map(|option| option.name)));
        };
        self.values.insert(option.name, parse_value(option, text)?);
        Ok(self)
    }

    /// The same options with one of them as if it had neither been typed nor had a default.
    pub fn without(mut self, name: &str) -> Self {
        self.values.remove(name);
        self
    }

    /// Marks an option as a secret, whatever its name: its value is never printed. `reference` is what was typed instead.
    pub fn mark_secret(&mut self, name: &str, reference: &str) {
        self.secret.insert(name.to_ascii_lowercase(), reference.to_owned());
    }

    /// What was typed instead of a value that came from the environment or a file: `${NAME}`.
    pub fn reference(&self, name: &str) -> Option<&str> {
        self.secret.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_secret = |name: &str| looks_secret(name) || self.reference(name).is_some();
        let mut map = f.debug_map();
        for (name, value) in &self.values {
            let value: &dyn fmt::Debug = if is_secret(name) { &"***" } else { value };
            map.entry(name, value);
        }
        for (name, value) in &self.passed_on {
            let value: &str = if is_secret(name) { "***" } else { value };
            map.entry(name, &value);
        }
        map.finish()
    }
}

/// True if an option of this name probably holds a secret, so that it is never printed.
///
/// Errs on the side of hiding: `kafka.sasl.oauthbearer.token.endpoint.url` is hidden too.
pub fn looks_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "jaas",
        "token",
        "secret",
        "credential",
        "keystore.key",
        "private",
    ];
    let lower = name.to_ascii_lowercase();
    let squeezed = lower.replace(['.', '-', '_'], "");
    WORDS.iter().any(|word| lower.contains(word))
        || squeezed.contains("apikey")
        || squeezed.contains("accesskey")
}

impl OptionKind {
    /// What a value of this kind looks like, for messages and the reference: `a duration such as ...`.
    pub fn describe(&self) -> String {
        match self {
            Self::String => "a text".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer(min, i64::MAX) => format!("a whole number, at least {min}"),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration => "a duration such as `10 seconds`".to_owned(),
            Self::Size => "a size such as `64MiB`".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}

fn parse_value(option: &OptionSpec, text: &str) -> Result<Value, Error> {
    let name = option.name;
    let bad = || {
        let expected = option.kind.describe();
        Error::new(&codes::BAD_VALUE, format!("option `{name}` is `{text}`, expected {expected}"))
            .with_hint(option.doc)
    };
    match option.kind {
        OptionKind::String => Ok(Value::Text(text.to_owned())),
        OptionKind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(bad()),
        },
        OptionKind::Integer(min, max) => match text.replace('_', "").parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Value::Integer(number)),
            _ => Err(bad()),
        },
        OptionKind::Duration => parse_duration(text).map(Value::Duration).ok_or_else(bad),
        OptionKind::Size => parse_size(text).map(Value::Size).ok_or_else(bad),
        OptionKind::OneOf(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => Ok(Value::Text((*word).to_owned())),
            None => Err(bad()),
        },
    }
}

/// No name is longer; a longer word is not compared, since comparing costs the product of the lengths.
const LONGEST_NAME: usize = 64;

/// The name that was probably meant, in whatever case it was typed.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_ascii_lowercase());
    let nearest = known.map(|candidate| (distance(candidate), candidate)).min();
    nearest.filter(|(distance, _)| *distance <= 1 + name.len() / 3).map(|(_, candidate)| candidate)
}

/// The error for a name that nobody knows: lists what exists and guesses what was meant.
pub fn unknown_name<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let mut hint = String::new();
    if let Some(candidate) = nearest(name, known.iter().copied()) {
        hint = format!("Did you mean `{candidate}`? ");
    }
    hint.push_str(&format!("Known: {}.", known.join(", ")));
    let shown = match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    Error::new(&codes::UNKNOWN_KEY, format!("unknown {what} `{shown}`")).with_hint(hint)
}

/// Reads `10 seconds`, `1 minute`, `500 ms`, `2h`; sums such as `1 hour 30 minutes` too. Bare numbers have no unit
/// and are refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let factor: u64 = match rest[..letters].to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return None,
        };
        total_ms = total_ms.checked_add(number.checked_mul(factor)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(Duration::from_millis(total_ms))
}

/// Reads `1024`, `64MiB`, `64 MB`, `1GiB`; KB, MB and GB count by 1000, KiB, MiB and GiB by 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests;
