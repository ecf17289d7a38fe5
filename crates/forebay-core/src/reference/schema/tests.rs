//! What the schema holds. That it takes good files and refuses wrong ones is seen by an independent validator, in the
//! binary's integration tests.

use serde_json::Value;

use super::*;
use crate::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

const fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>) -> OptionSpec {
    OptionSpec { name, kind, default, required: default.is_none(), doc: "Its doc." }
}

static PIPE: ConnectorSpec = ConnectorSpec {
    name: "pipe",
    kind: ConnectorKind::Sink,
    summary: "",
    delivery: "",
    options: &[
        option("end", OptionKind::String, None),
        option("wide", OptionKind::Integer(1, 9), Some("3")),
        option("open", OptionKind::Bool, Some("true")),
    ],
    prefixes: &["pipe."],
    example: "",
};

fn schema() -> Value {
    let registry = Registry {
        sources: &[&PIPE],
        sinks: &[&PIPE],
        formats: &[&PIPE],
        tables: &[],
        gateways: &[],
        channels: &[],
    };
    serde_json::from_str(&pipeline_schema(&registry)).unwrap()
}

#[test]
fn every_key_stands_where_the_reference_says() {
    let schema = schema();
    for section in keys::ALL {
        let mut at = &schema;
        // Two sections may stand at one place: a source is one or the other.
        let is_invalid = std::ptr::eq(*section, &keys::INVALID);
        let path = section.path.trim_matches('`').split('`').next().unwrap_or_default();
        for step in path.split('.').filter(|_| section.path.starts_with('`')) {
            at = if matches!(step, "NAME" | "PATTERN" | "USER" | "SEVERITY") {
                &at["additionalProperties"]
            } else {
                &at["properties"][step]
            };
            at = if at["type"] == "array" { &at["items"] } else { at };
            // Beside a mapping a word or a text may be taken.
            let mapping = |value: &&Value| {
                value["type"] == "object" && value["properties"]["invalidOf"].is_object() == is_invalid
            };
            at = at["anyOf"].as_array().and_then(|any| any.iter().find(mapping)).unwrap_or(at);
        }
        for key in section.keys {
            let found = &at["properties"][key.name];
            if key.later {
                assert!(found.is_null(), "`{}` in {path} is not there yet", key.name);
            } else {
                assert_eq!(found["description"], key.doc, "`{}` in {path}", key.name);
            }
        }
    }
}

#[test]
fn options_hold_where_their_format_stands() {
    let schema = schema();
    let query = &schema["properties"]["queries"]["additionalProperties"];
    let rule = &query["allOf"][0];
    assert_eq!(rule["if"]["properties"]["format"]["pattern"], "^([Pp][Ii][Pp][Ee])$");
    let options = &rule["then"]["properties"]["options"];
    assert_eq!(options["additionalProperties"], false);
    assert!(options["patternProperties"]["^pipe\\."].is_object(), "{options}");
    assert_eq!(options["properties"]["wide"]["$ref"], "#/definitions/sink.pipe.wide");
    assert_eq!(options["allOf"][0]["then"]["required"][0], "end");
    let wide = &schema["definitions"]["sink.pipe.wide"];
    assert_eq!((&wide["default"], &wide["description"]), (&3.into(), &"Its doc.".into()));
    assert_eq!(schema["definitions"]["sink.pipe.open"]["default"], true);
    // Alone, and with its decoder.
    let source = &schema["properties"]["sources"]["additionalProperties"]["anyOf"][0];
    assert_eq!(source["allOf"].as_array().unwrap().len(), 2);
}

#[test]
fn a_kind_is_read_word_by_word_and_what_is_not_known_sets_no_bounds() {
    let registry = Registry {
        sources: &[&PIPE],
        sinks: &[&PIPE],
        formats: &[&PIPE],
        tables: &[],
        gateways: &[],
        channels: &[],
    };
    let key = |name, kind| keys::KeySpec {
        name,
        kind,
        default: None,
        required: false,
        later: false,
        doc: "Its doc.",
    };
    let schema = |name, kind| property("somewhere", &key(name, kind), &registry);
    assert_eq!(
        schema("severity", "`info`, `warning` or `critical`")["anyOf"][0]["enum"],
        json!(["info", "warning", "critical"])
    );
    assert_eq!(schema("pin", "`true` or `false`")["anyOf"][0]["enum"], json!(["true", "false", true, false]));
    let two = schema("retention", "duration or `forever`");
    assert_eq!(two["anyOf"][1]["$ref"], "#/definitions/duration");
    assert_eq!(schema("format", "name of a source")["anyOf"][0]["enum"], json!(["pipe"]));
    for (name, kind) in [
        ("source", "name of a source"),
        ("on", "name of a source or view"),
        ("field", "`SOURCE.FIELD`"),
        ("message", "text with `{column}`"),
        ("trigger", "duration or something else"),
    ] {
        assert_eq!(schema(name, kind), json!({ "description": "Its doc." }), "{kind}");
    }
}
