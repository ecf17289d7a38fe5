//! The JSON Schema of the pipeline file (draft-07, which editors' YAML servers read): completion, hover texts and
//! marks under mistakes, from the same tables as the reference.
//!
//! [`keys`] gives the mappings and where they stand: the path `queries.NAME.trigger` is the key `trigger` of every
//! entry of `queries`. A key's `kind` is read word by word ([`values`]); a kind that is not known sets no bounds, one that
//! begins with `list` makes a list of the mapping at its path. The options of a connector hold where its `format`
//! stands beside them.
//!
//! What must stay true: a file that `forebay validate` takes is never refused here. The other way round the schema
//! knows less: it does not read SQL or DDL.

use serde_json::{Map, Value, json};

use crate::config::{Registry, keys};
use crate::options::parse_duration;

mod options;
mod values;

/// What names of pipelines, sources, views and queries look like, as the parser has it.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

/// The schema as text, indented, with a line break at its end.
pub fn pipeline_schema(registry: &Registry<'_>) -> String {
    let mut schema = mapping("", &keys::PIPELINE, registry);
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!("Forebay pipeline"));
    schema.insert("definitions".to_owned(), definitions(registry));
    format!("{:#}\n", Value::Object(schema))
}

fn definitions(registry: &Registry<'_>) -> Value {
    let mut all = values::definitions();
    for spec in registry
        .sources
        .iter()
        .chain(registry.sinks)
        .chain(registry.formats)
        .chain(registry.tables)
        .chain(registry.gateways)
        .chain(registry.channels)
    {
        for option in spec.options {
            all.insert(options::definition(spec, option), options::value(option));
        }
    }
    Value::Object(all)
}

/// The mapping of a section that stands at `path`; its keys' own mappings are found by their paths.
fn mapping(path: &str, section: &keys::Section, registry: &Registry<'_>) -> Map<String, Value> {
    let there = section.keys.iter().filter(|key| !key.later);
    let properties: Map<String, Value> =
        there.map(|key| (key.name.to_owned(), property(path, key, registry))).collect();
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = object(json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    }));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    // What the parser knows of these sections beyond their keys.
    if std::ptr::eq(section, &keys::SOURCE) {
        schema.insert(
            "dependencies".to_owned(),
            json!({ "value": ["schema"], "schema": ["value"], "mode": ["value"], "expect": ["value"] }),
        );
        schema.insert("allOf".to_owned(), json!(options::of_sources(registry)));
    } else if std::ptr::eq(section, &keys::TABLE) {
        schema.insert("allOf".to_owned(), json!(options::of_tables(registry)));
    } else if std::ptr::eq(section, &keys::GATEWAY) {
        schema.insert("allOf".to_owned(), json!(options::of_named(registry.gateways)));
    } else if std::ptr::eq(section, &keys::CHANNEL) {
        schema.insert("allOf".to_owned(), json!(options::of_named(registry.channels)));
    } else if std::ptr::eq(section, &keys::QUERY) {
        schema.insert("allOf".to_owned(), json!(options::of_sinks(registry)));
    } else if std::ptr::eq(section, &keys::TRIGGER) {
        schema.insert("minProperties".to_owned(), json!(1));
        schema.insert("maxProperties".to_owned(), json!(1));
    }
    schema
}

/// What a key takes: the alternatives of its kind, and the mapping below it if it has one.
fn property(path: &str, key: &keys::KeySpec, registry: &Registry<'_>) -> Value {
    let below = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
    // In the end of a test may be expected what may be in a step.
    let below = if below == "tests.expect" { "tests.steps.expect".to_owned() } else { below };
    let section = |path: &str| keys::ALL.iter().find(|section| section.path.trim_matches('`') == path);
    let (words, kinds) = values::alternatives(key.kind);
    let mut takes: Vec<Value> = if words.is_empty() { Vec::new() } else { vec![values::word(&words)] };
    let mut known = true;
    for kind in kinds {
        match values::of_kind(kind, key, registry) {
            Some(value) => takes.push(value),
            None if kind.starts_with("mapping") || kind.starts_with("list") => {}
            None => known = false,
        }
    }
    if let Some(inner) = section(&below) {
        let inner = mapping(&below, inner, registry);
        let is_list = key.kind.starts_with("list");
        takes.push(if is_list { json!({ "type": "array", "items": inner }) } else { json!(inner) });
    }
    let entry = format!("{below}.NAME");
    if let Some(inner) = section(&entry) {
        let is_source = std::ptr::eq(*inner, &keys::SOURCE);
        let inner = Value::Object(mapping(&entry, inner, registry));
        let value = if key.kind.ends_with("to SQL") {
            one_of(vec![values::text(), inner])
        } else if is_source {
            one_of(vec![inner, Value::Object(mapping(&entry, &keys::INVALID, registry))])
        } else {
            inner
        };
        takes.push(json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": value,
        }));
    }
    // Names that are none: patterns of topics, users, severities.
    for free in ["PATTERN", "USER", "SEVERITY"] {
        let entry = format!("{below}.{free}");
        if let Some(inner) = section(&entry) {
            let inner = Value::Object(mapping(&entry, inner, registry));
            takes.push(json!({ "type": "object", "additionalProperties": inner }));
        }
    }
    if takes.is_empty() && key.kind.starts_with("mapping") {
        takes.push(json!({ "type": "object" }));
    }
    let takes = if known { takes } else { Vec::new() };
    let mut schema = object(one_of(takes));
    schema.insert("description".to_owned(), json!(key.doc));
    // Some defaults are told in words; an editor would type them.
    let is_value = |default: &&str| !default.contains(' ') || parse_duration(default).is_some();
    if let Some(default) = key.default.filter(is_value) {
        schema.insert("default".to_owned(), json!(default));
    }
    Value::Object(schema)
}

/// Any of these, without a wrapper around a single one; anything if there is none.
fn one_of(mut schemas: Vec<Value>) -> Value {
    match schemas.len() {
        0 => json!({}),
        1 => schemas.swap_remove(0),
        _ => json!({ "anyOf": schemas }),
    }
}

/// A schema to which more can be said: draft-07 ignores what stands beside a reference.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) if !object.contains_key("$ref") => object,
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    }
}

#[cfg(test)]
mod tests;
