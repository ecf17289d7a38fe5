//! `tables: NAME:` a table at rest that streams are joined with.

use super::parse::{Reading, bad_value};
use super::places::OptionPlaces;
use super::raw_options::{self, RawOption};
use super::section::Section;
use super::source::{given_twice, in_options, schema, spec};
use super::yaml::Entry;
use super::{TableConfig, catalog_table, keys};
use crate::error::{Error, codes};
use crate::options::{ConnectorSpec, Options, parse_size};

const PATH: &str = "path";
const TABLE: &str = "table";

/// `maxMemory` if it is not given: 256 MiB.
const MAX_MEMORY: u64 = 256 << 20;

/// Formats whose files do not say what their columns are.
const NEED_SCHEMA: [&str; 2] = ["csv", "json"];

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<TableConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    let connector = spec(&section, "format", "table format", reading.registry.tables, reading);
    let decoder = connector.and_then(|connector| decoder(connector, reading));
    section.check(what, &keys::TABLE, &mut reading.problems, |key| in_options(key, &[connector, decoder]));

    let options_entry = section.get("options");
    let options_span = options_entry.map_or(entry.key_span, |entry| entry.key_span);
    let mut raw = raw_options::gather(options_entry, what, reading);
    let path = path_given(&section, &mut raw, reading);
    let of_catalog = catalog_table::read(&section, TABLE, connector, path.as_slice(), reading);
    let (of_catalog, path) = match of_catalog {
        Some((name, folder)) => (Some(name), Some(folder)),
        None => (None, path),
    };
    let is_missing = section.get(TABLE).is_none()
        && path.as_ref().is_none_or(|path| path.usable().is_some_and(|path| path.trim().is_empty()));
    if is_missing {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `path`"))
            .with_hint("Add `path: …`, the file or folder of the table. Relative paths lie under `--data`.");
        reading.problems.report(entry.key_span, error);
    }
    raw.extend(path);
    let option_places = OptionPlaces::new(&raw, reading.problems.place(options_span), reading);
    let (options, decoder_options) = match (connector, decoder) {
        (Some(connector), Some(decoder)) => {
            let specs = [connector, decoder];
            let mut parsed = raw_options::parse_all(raw, &specs, options_span, &[], |_| None, reading);
            let decoder_options = parsed.pop().unwrap_or_default();
            (parsed.pop().unwrap_or_default(), decoder_options)
        }
        (Some(connector), None) => {
            let mut parsed = raw_options::parse_all(raw, &[connector], options_span, &[], |_| None, reading);
            (parsed.pop().unwrap_or_default(), Options::default())
        }
        _ => Default::default(),
    };
    let max_memory = max_memory(&section, reading);
    let needs_schema = connector.is_some_and(|connector| NEED_SCHEMA.contains(&connector.name));
    if needs_schema && section.get("schema").is_none() {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `schema`")).with_hint(
            "Add its columns as Spark DDL, in the order of the file: `schema: id STRING, site STRING`.",
        );
        reading.problems.report(entry.key_span, error);
        reading.unknown.push(entry.key.clone());
    }
    if let Some(schema) = section.get("schema")
        && let Some(connector) = connector
        && !needs_schema
    {
        let error =
            Error::new(&codes::BAD_VALUE, format!("a table of `{}` has its own columns", connector.name))
                .with_hint("Leave `schema` out.");
        reading.problems.report(schema.key_span, error);
    }
    let schema = schema(&section, reading);
    if section.get("schema").is_some() && schema.is_none() {
        reading.unknown.push(entry.key.clone());
    }
    Some(TableConfig {
        name: entry.key.clone(),
        format: connector.map(|connector| connector.name.to_owned()).unwrap_or_default(),
        options,
        decoder_options,
        schema,
        max_memory,
        option_places,
        place: reading.problems.place(entry.key_span),
        of_catalog,
    })
}

/// What reads the records of a file whose format is also one of values.
fn decoder<'s>(connector: &ConnectorSpec, reading: &Reading<'s>) -> Option<&'s ConnectorSpec> {
    reading.registry.formats.iter().copied().find(|format| format.name == connector.name)
}

/// `path` as a key or, as in Spark, among the options.
fn path_given(
    section: &Section<'_>,
    raw: &mut Vec<RawOption>,
    reading: &mut Reading<'_>,
) -> Option<RawOption> {
    let option = raw_options::take(raw, PATH);
    let key = section.get(PATH).map(|entry| raw_options::read_one(entry, reading));
    match (key, option) {
        (Some(key), Some(option)) => {
            reading.problems.report(option.key_span, given_twice(PATH));
            Some(key)
        }
        (key, option) => key.or(option),
    }
}

fn max_memory(section: &Section<'_>, reading: &mut Reading<'_>) -> u64 {
    let Some(text) = section.text("maxMemory", &mut reading.problems) else { return MAX_MEMORY };
    parse_size(text.text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        reading.problems.report(text.span, bad_value("maxMemory", text.text, "a size such as `256MiB`"));
        MAX_MEMORY
    })
}
