//! The options of connectors: which may stand where, and what each takes.
//!
//! Options are declared by connectors and stand in one mapping with those of the decoder, so a mapping is bounded once
//! for each pair of source and decoder. Names count in any case: the usual spelling has description and default,
//! another is only let through.

use serde_json::{Map, Value, json};

use super::values::{any_case, shared, text, word};
use crate::config::Registry;
use crate::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

/// One rule for each source alone, and one for each pair of source and decoder.
pub(super) fn of_sources(registry: &Registry<'_>) -> Vec<Value> {
    let mut rules = Vec::new();
    for source in registry.sources {
        let raw = json!({ "properties": { "format": is(source), "value": false }, "required": ["format"] });
        rules.push(rule(&raw, &[source], &[]));
        for format in registry.formats {
            let decoded = json!({
                "properties": { "format": is(source), "value": is(format) },
                "required": ["format", "value"],
            });
            rules.push(rule(&decoded, &[source, format], &["mode"]));
        }
    }
    rules
}

/// One rule for each table format, with the options of its decoder if it has one.
pub(super) fn of_tables(registry: &Registry<'_>) -> Vec<Value> {
    let tables = registry.tables.iter();
    tables
        .map(|table| {
            let named = json!({ "properties": { "format": is(table) }, "required": ["format"] });
            let decoder = registry.formats.iter().filter(|format| format.name == table.name);
            let specs: Vec<&ConnectorSpec> = std::iter::once(table).chain(decoder).copied().collect();
            rule(&named, &specs, &[])
        })
        .collect()
}

/// One rule for each sink.
pub(super) fn of_sinks(registry: &Registry<'_>) -> Vec<Value> {
    let sinks = registry.sinks.iter();
    sinks
        .flat_map(|sink| {
            let more = ["checkpointLocation"];
            if sink.name != "delta" {
                let named = json!({ "properties": { "format": is(sink) }, "required": ["format"] });
                return vec![rule(&named, &[sink], &more)];
            }
            // A table of a catalog needs no path.
            let by_path =
                json!({ "properties": { "format": is(sink), "toTable": false }, "required": ["format"] });
            let by_name = json!({ "properties": { "format": is(sink) }, "required": ["format", "toTable"] });
            let mut named = rule(&by_name, &[sink], &more);
            if let Some(then) = named.get_mut("then").and_then(Value::as_object_mut) {
                then.remove("required");
            }
            if let Some(options) =
                named.pointer_mut("/then/properties/options").and_then(Value::as_object_mut)
            {
                options.remove("allOf");
            }
            vec![rule(&by_path, &[sink], &more), named]
        })
        .collect()
}

/// One rule for each gateway.
pub(super) fn of_named(specs: &[&ConnectorSpec]) -> Vec<Value> {
    let of_one = |spec: &&ConnectorSpec| {
        let named = json!({ "properties": { "format": is(spec) }, "required": ["format"] });
        rule(&named, &[*spec], &[])
    };
    specs.iter().map(of_one).collect()
}

/// Where an option's schema stands under `definitions`.
pub(super) fn definition(spec: &ConnectorSpec, option: &OptionSpec) -> String {
    let kind = match spec.kind {
        ConnectorKind::Source => "source",
        ConnectorKind::Sink => "sink",
        ConnectorKind::Format => "decoder",
        ConnectorKind::Table => "table",
        ConnectorKind::Gateway => "gateway",
        ConnectorKind::Channel => "channel",
    };
    format!("{kind} {} {}", spec.name, option.name).replace(['/', '~', ' '], ".")
}

/// What an option takes: a value of its kind, or a text that comes from outside.
pub(super) fn value(option: &OptionSpec) -> Value {
    let takes = match option.kind {
        OptionKind::String => text(),
        OptionKind::Bool => shared("boolean"),
        OptionKind::Integer(min, max) => {
            let mut number =
                Map::from_iter([("type".to_owned(), json!("integer")), ("minimum".to_owned(), json!(min))]);
            if max < i64::MAX {
                number.insert("maximum".to_owned(), json!(max));
            }
            json!({ "anyOf": [number, { "type": "string", "pattern": "^[+-]?[0-9_]+$" }] })
        }
        OptionKind::Duration => shared("duration"),
        OptionKind::Size => shared("size"),
        OptionKind::OneOf(words) => word(words),
    };
    let takes = match option.kind {
        OptionKind::String => vec![takes],
        _ => vec![takes, shared("secret")],
    };
    let mut schema =
        Map::from_iter([("anyOf".to_owned(), json!(takes)), ("description".to_owned(), json!(option.doc))]);
    if let Some(default) = option.default {
        let typed = match option.kind {
            OptionKind::Bool => default.parse().map(Value::Bool).ok(),
            OptionKind::Integer(..) => default.parse::<i64>().map(Value::from).ok(),
            _ => None,
        };
        schema.insert("default".to_owned(), typed.unwrap_or_else(|| json!(default)));
    }
    Value::Object(schema)
}

/// Where `condition` holds, `options` has what these connectors declare, and nothing else.
fn rule(condition: &Value, specs: &[&ConnectorSpec], more: &[&str]) -> Value {
    let declared = || specs.iter().flat_map(|spec| spec.options.iter().map(move |option| (*spec, option)));
    let mut properties: Map<String, Value> = declared()
        .map(|(spec, option)| (option.name.to_owned(), shared(&definition(spec, option))))
        .collect();
    properties.extend(more.iter().map(|name| ((*name).to_owned(), text())));
    let names: Vec<&str> = declared().map(|(_, option)| option.name).chain(more.iter().copied()).collect();
    let mut patterns = Map::from_iter([(any_case(&names), json!({}))]);
    for prefix in specs.iter().flat_map(|spec| spec.prefixes) {
        patterns.insert(format!("^{}", prefix.replace('.', "\\.")), text());
    }
    let mut options = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties)),
        ("patternProperties".to_owned(), Value::Object(patterns)),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
    let needed = declared().filter(|(_, option)| option.required && option.default.is_none());
    let needed: Vec<&str> = needed.map(|(_, option)| option.name).collect();
    if !needed.is_empty() {
        // Missing in every spelling: then the usual one is asked for.
        let missing = needed.iter().map(|name| {
            json!({
                "if": { "propertyNames": { "not": { "pattern": any_case(&[*name]) } } },
                "then": { "required": [name] },
            })
        });
        options.insert("allOf".to_owned(), json!(missing.collect::<Vec<_>>()));
    }
    let mut then = Map::from_iter([("properties".to_owned(), json!({ "options": options }))]);
    if !needed.is_empty() {
        then.insert("required".to_owned(), json!(["options"]));
    }
    json!({ "if": condition, "then": then })
}

/// Names this connector.
fn is(spec: &ConnectorSpec) -> Value {
    json!({ "type": "string", "pattern": any_case(&[spec.name]) })
}
