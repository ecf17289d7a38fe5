//! `sources: NAME:` where a query reads, and how values are decoded.

use super::lines::Span;
use super::parse::{Reading, bad_value};
use super::places::OptionPlaces;
use super::raw_options::{self, RawOption, declares};
use super::section::Section;
use super::yaml::{Entry, Kind};
use super::{InvalidConfig, Placed, SourceConfig, ValueConfig, event_time, expect, keys};
use crate::ddl;
use crate::error::{Error, codes};
use crate::format::BadRecordMode;
use crate::options::{ConnectorSpec, Options, unknown_name};

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<SourceConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    if let Some(of) = section.get("invalidOf") {
        return invalid(entry, of, &section, what, reading);
    }
    let connector = spec(&section, "format", "source", reading.registry.sources, reading);
    let decoder = spec(&section, "value", "decoder", reading.registry.formats, reading);
    let belongs_below = |key: &str| in_options(key, &[connector, decoder]);
    section.check(what, &keys::SOURCE, &mut reading.problems, belongs_below);

    let options_entry = section.get("options");
    let options_span = options_entry.map_or(entry.key_span, |entry| entry.key_span);
    let mut raw = raw_options::gather(options_entry, what, reading);
    let mode_option = match connector {
        Some(connector) if !declares(connector, "mode") => raw_options::take(&mut raw, "mode"),
        _ => None,
    };
    let mode = mode(&section, mode_option.as_ref(), reading);
    let option_places = OptionPlaces::new(&raw, reading.problems.place(options_span), reading);
    let (options, value_options) = match (connector, section.get("value").is_some(), decoder) {
        (Some(connector), false, _) => source_options(raw, connector, options_span, reading),
        (Some(connector), true, Some(decoder)) => {
            both_options(raw, connector, decoder, options_span, reading)
        }
        // The reader of some options is not known: their names cannot be checked before it is.
        _ => (Options::default(), Options::default()),
    };

    let schema = schema(&section, reading);
    let expect = expect::read(&section, reading);
    let value_text = section.text("value", &mut reading.problems);
    if value_text.is_none() && section.get("value").is_none() {
        let mode_span =
            section.get("mode").map(|entry| entry.key_span).or(mode_option.map(|option| option.key_span));
        let needless = section
            .get("schema")
            .map(|entry| ("schema", entry.key_span))
            .or(mode_span.map(|at| ("mode", at)))
            .or(section.get("expect").map(|entry| ("expect", entry.key_span)));
        if let Some((key, span)) = needless {
            let article = if key == "expect" { "an" } else { "a" };
            let message = format!("{what} has {article} `{key}` and no `value`");
            let error = Error::new(&codes::MISSING_KEY, message)
                .with_hint("Add `value: json`: it says how the values are decoded.");
            reading.problems.report(span, error);
        }
    } else if section.get("schema").is_none() {
        let span = section.get("value").map_or(entry.key_span, |entry| entry.key_span);
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has a `value` and no `schema`"))
            .with_hint("Add the columns of a value as Spark DDL: `schema: id STRING, at TIMESTAMP`.");
        reading.problems.report(span, error);
    }
    let value = match (decoder, schema) {
        (Some(decoder), Some((schema, ddl))) => Some(ValueConfig {
            format: decoder.name.to_owned(),
            options: value_options,
            schema,
            ddl,
            mode,
            expect,
        }),
        _ => None,
    };
    let decodes = section.get("value").is_some() || section.get("schema").is_some();
    if value.is_none() && decodes {
        reading.unknown.push(entry.key.clone());
    }
    let format = connector.map(|connector| connector.name.to_owned()).unwrap_or_default();
    let watermark = event_time::watermark(&section, reading);
    let name = entry.key.clone();
    Some(SourceConfig { name, format, options, value, option_places, watermark, invalid: None })
}

/// The source of the invalid records of another one. What it takes from that is filled in by [`resolve`].
fn invalid(
    entry: &Entry,
    of: &Entry,
    section: &Section<'_>,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<SourceConfig> {
    section.check(what, &keys::INVALID, &mut reading.problems, |_| None);
    let text = section.text("invalidOf", &mut reading.problems)?;
    let of = Placed { text: text.text.trim().to_owned(), place: reading.problems.place(of.value.span) };
    Some(SourceConfig {
        name: entry.key.clone(),
        format: String::new(),
        options: Options::default(),
        value: None,
        option_places: OptionPlaces::new(&[], reading.problems.place(entry.key_span), reading),
        watermark: None,
        invalid: Some(InvalidConfig { of, value: None }),
    })
}

/// Gives each source of invalid records what it reads and how that is decoded; one for which there is none is told and left out.
pub(super) fn resolve(
    sources: Vec<SourceConfig>,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<SourceConfig> {
    let all = sources.clone();
    let entries = section.get("sources").map(|entry| &entry.value.kind);
    let mut resolved = Vec::with_capacity(sources.len());
    for mut source in sources {
        let Some(invalid) = &mut source.invalid else {
            resolved.push(source);
            continue;
        };
        let name = &invalid.of.text;
        let found = all.iter().find(|other| other.name.eq_ignore_ascii_case(name));
        if let Some((other, value)) = found.and_then(|other| Some((other, other.value.as_ref()?))) {
            (source.format, source.options) = (other.format.clone(), other.options.clone());
            source.option_places = other.option_places.clone();
            invalid.value = Some(value.clone());
            resolved.push(source);
            continue;
        }
        reading.unknown.push(source.name.clone());
        // A source that could not be read was reported already; what names it is not to blame.
        if reading.unknown.iter().any(|unknown| unknown.eq_ignore_ascii_case(name))
            && found.is_none_or(|it| it.invalid.is_none())
        {
            continue;
        }
        let error = match found {
            None => {
                let decoded = all.iter().filter(|it| it.value.is_some()).map(|it| it.name.as_str());
                let unknown = unknown_name("source", name, decoded);
                Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint())
            }
            Some(other) => Error::new(
                &codes::BAD_VALUE,
                format!("source `{}` decodes no values, so none of its records is invalid", other.name),
            )
            .with_hint("Name a source that has `value:` and a schema."),
        };
        let span = match entries {
            Some(Kind::Mapping(entries)) => entries.iter().find(|entry| entry.key == source.name),
            _ => None,
        };
        let Some(span) = span.and_then(|entry| match &entry.value.kind {
            Kind::Mapping(keys) => keys.iter().find(|key| key.key == "invalidOf").map(|key| key.value.span),
            _ => None,
        }) else {
            continue;
        };
        reading.problems.report(span, error);
    }
    resolved
}

/// The connector that a key names; an unknown one is reported with those that exist.
pub(super) fn spec<'s>(
    section: &Section<'_>,
    key: &str,
    what: &str,
    known: &[&'s ConnectorSpec],
    reading: &mut Reading<'_>,
) -> Option<&'s ConnectorSpec> {
    let name = section.text(key, &mut reading.problems)?;
    let found = known.iter().find(|spec| spec.name.eq_ignore_ascii_case(name.text));
    if found.is_none() {
        let unknown = unknown_name(what, name.text, known.iter().map(|spec| spec.name));
        let error = Error::new(&codes::UNKNOWN_FORMAT, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(name.span, error);
    }
    found.copied()
}

/// The error for a key that is an option and stands one level too high.
pub(super) fn in_options(key: &str, specs: &[Option<&ConnectorSpec>]) -> Option<Error> {
    let owner = specs.iter().flatten().find(|spec| declares(spec, key))?;
    let error = Error::new(&codes::UNKNOWN_KEY, format!("`{key}` is an option of `{}`", owner.name));
    Some(error.with_hint(format!("Write it below `options:`, as `options: {{ {key}: … }}`.")))
}

fn source_options(
    raw: Vec<RawOption>,
    connector: &ConnectorSpec,
    span: Span,
    reading: &mut Reading<'_>,
) -> (Options, Options) {
    let formats = reading.registry.formats;
    let decoders_own = |name: &str| {
        let decoder = formats.iter().find(|decoder| declares(decoder, name))?;
        let message =
            format!("option `{name}` belongs to the decoder `{}`, and no values are decoded", decoder.name);
        Some(
            Error::new(&codes::UNKNOWN_KEY, message)
                .with_hint(format!("Add `value: {}` and a schema.", decoder.name)),
        )
    };
    let mut parsed = raw_options::parse_all(raw, &[connector], span, &[], decoders_own, reading);
    (parsed.pop().unwrap_or_default(), Options::default())
}

fn both_options(
    raw: Vec<RawOption>,
    connector: &ConnectorSpec,
    decoder: &ConnectorSpec,
    span: Span,
    reading: &mut Reading<'_>,
) -> (Options, Options) {
    let mut parsed = raw_options::parse_all(raw, &[connector, decoder], span, &["mode"], |_| None, reading);
    let value_options = parsed.pop().unwrap_or_default();
    (parsed.pop().unwrap_or_default(), value_options)
}

/// `mode` as a key or, as in Spark, among the options.
fn mode(section: &Section<'_>, option: Option<&RawOption>, reading: &mut Reading<'_>) -> BadRecordMode {
    let key = section.text("mode", &mut reading.problems);
    if let (Some(_), Some(option)) = (section.get("mode"), option) {
        reading.problems.report(option.key_span, given_twice("mode"));
        return BadRecordMode::default();
    }
    let (text, span) = match (key, option) {
        (Some(key), _) => (key.text, key.span),
        (None, Some(option)) => match option.usable() {
            Some(text) => (text, option.span),
            None => return BadRecordMode::default(),
        },
        (None, None) => return BadRecordMode::default(),
    };
    match text.to_ascii_uppercase().as_str() {
        "QUARANTINE" => BadRecordMode::Quarantine,
        "PERMISSIVE" => BadRecordMode::Permissive,
        "DROPMALFORMED" => BadRecordMode::DropMalformed,
        "FAILFAST" => BadRecordMode::FailFast,
        _ => {
            let expected = "one of quarantine, PERMISSIVE, DROPMALFORMED, FAILFAST";
            reading.problems.report(span, bad_value("mode", text, expected));
            BadRecordMode::default()
        }
    }
}

/// The error for something that may stand in two places, and does.
pub(super) fn given_twice(name: &str) -> Error {
    Error::new(&codes::BAD_VALUE, format!("`{name}` stands among the options and beside them"))
        .with_hint("Both places are good; keep one of them.")
}

pub(super) fn schema(
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Option<(arrow::datatypes::SchemaRef, String)> {
    let text = section.text("schema", &mut reading.problems)?;
    match ddl::parse(text.text) {
        Ok(schema) => Some((schema, text.text.to_owned())),
        Err(wrong) => {
            let error = Error::new(&codes::BAD_SCHEMA, wrong.message).with_hint(wrong.hint);
            reading.problems.report_within(text.span, text.text, wrong.offset, wrong.length, error);
            None
        }
    }
}
