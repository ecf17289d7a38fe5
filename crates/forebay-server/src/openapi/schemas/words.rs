//! The words that schemas are made of.

use serde_json::{Map, Value, json};

pub fn text() -> Value {
    json!({ "type": "string" })
}

pub fn number() -> Value {
    json!({ "type": "number" })
}

/// A whole number.
pub fn whole() -> Value {
    json!({ "type": "integer" })
}

/// A whole number, not below zero.
pub fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// Milliseconds since 1970.
pub fn time() -> Value {
    json!({ "type": "integer", "description": "milliseconds since 1970" })
}

pub fn yes_or_no() -> Value {
    json!({ "type": "boolean" })
}

pub fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

pub fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

pub fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub fn to(name: &str) -> Value {
    super::super::reference(name)
}

/// An object with exactly these members.
pub fn object(members: &[(&str, Value)]) -> Value {
    with_optional(members, &[])
}

/// An object with exactly these members, of which the second may be missing.
pub fn with_optional(members: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let all: Map<String, Value> =
        members.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": all, "required": required, "additionalProperties": false })
}
