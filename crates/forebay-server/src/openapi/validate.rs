//! Checks a value against a schema of the document: as much of JSON Schema as the document uses.

use serde_json::Value;

/// What is wrong with the value, if anything.
pub(crate) fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#')).expect(name);
        return wrong(document, target, value, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let tried: Vec<_> = choices.iter().map(|choice| wrong(document, choice, value, at)).collect();
        return if tried.contains(&None) { None } else { tried.into_iter().flatten().next() };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: a schema without a type: {other}"),
    };
    if !kinds.iter().any(|kind| is(value, kind)) {
        return Some(format!("{at}: {value} is no {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is none of {words:?}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return Some(format!("{at}: {number} is below {least}"));
    }
    match value {
        Value::Array(items) if schema.get("items").is_some() => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| wrong(document, &schema["items"], item, &format!("{at}[{index}]"))),
        Value::Object(members) => {
            let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = missing.clone().find(|name| !members.contains_key(*name)) {
                return Some(format!("{at}: `{missing}` is missing"));
            }
            members.iter().find_map(|(name, member)| {
                let at = format!("{at}.{name}");
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(known), _) => wrong(document, known, member, &at),
                    (None, Some(Value::Bool(false))) => Some(format!("{at} is not described")),
                    (None, Some(other @ Value::Object(_))) => wrong(document, other, member, &at),
                    (None, _) => None,
                }
            })
        }
        _ => None,
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let document = super::document("0");
    let check = |name: &str, value: Value| wrong(&document, &super::reference(name), &value, "$");
    use serde_json::json;
    assert_eq!(check("Requested", json!({ "requested": 1 })), None);
    for bad in [
        json!({}),
        json!({ "requested": -1 }),
        json!({ "requested": "1" }),
        json!({ "requested": 1, "x": 1 }),
    ] {
        assert!(check("Requested", bad.clone()).is_some(), "{bad}");
    }
    assert!(check("Queries", json!([{}])).is_some());
}
