//! The OpenAPI document, made from the table of routes and the schemas of what they answer.
//!
//! Nothing is described twice: paths, parameters and roles come from [`crate::routes`], which the router is made from
//! too; every answer that the tests get is checked against its schema here.

use serde_json::{Map, Value, json};

use crate::answer::tagged;
use crate::ask::{Ask, Outcome};
use crate::params::{Kind, Parameter};
use crate::routes::{Answer, ROUTES, Route, Verb};

mod schemas;
#[cfg(test)]
pub(crate) mod validate;

pub(crate) async fn get(ask: Ask) -> Outcome {
    Ok(tagged(&ask.headers, ask.state.document()))
}

/// The document.
pub(crate) fn document(version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let verb = match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        path[verb] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Forebay",
            "version": version,
            "description": "What a running pipeline shows, and what can be done to it. Times are milliseconds since 1970 in UTC unless said otherwise.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas::all() },
    })
}

fn operation(route: &Route) -> Value {
    let ok = match route.answer {
        Answer::Json(schema) => ("200", content("application/json", &reference(schema))),
        Answer::Accepted(schema) => ("202", content("application/json", &reference(schema))),
        Answer::Health(schema) => ("200", content("application/json", &reference(schema))),
        Answer::Other(kind) => ("200", content(kind, &json!({ "type": "string" }))),
    };
    let mut answers = Map::new();
    answers.insert(ok.0.to_owned(), json!({ "description": route.summary, "content": ok.1 }));
    if let Answer::Health(schema) = route.answer {
        let body = content("application/json", &reference(schema));
        answers.insert("503".to_owned(), json!({ "description": "what is wrong", "content": body }));
    }
    let problem = content("application/problem+json", &reference("Problem"));
    answers.insert("default".to_owned(), json!({ "description": "why not", "content": problem }));
    let mut parameters: Vec<Value> = route.path.split('/').filter_map(in_path).collect();
    parameters.extend(route.parameters.iter().map(in_query));
    if route.role.changes() {
        parameters.push(json!({
            "name": "X-Forebay", "in": "header", "required": true,
            "description": "Shows that the sender means it: no form of another page can send it.",
            "schema": { "type": "string", "enum": ["1"] },
        }));
    }
    let mut operation = json!({
        "summary": route.summary,
        "x-role": route.role.word(),
        "parameters": parameters,
        "responses": answers,
    });
    if let Some(schema) = route.body {
        let body = content("application/json", &reference(schema));
        operation["requestBody"] = json!({ "required": true, "content": body });
    }
    operation
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn content(kind: &str, schema: &Value) -> Value {
    json!({ kind: { "schema": schema } })
}

fn in_path(part: &str) -> Option<Value> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

fn in_query(parameter: &Parameter) -> Value {
    let one = match parameter.kind {
        Kind::Text(most) => json!({ "type": "string", "maxLength": most }),
        Kind::Integer(least, most, default) => {
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
        }
        Kind::OneOf(words) => json!({ "type": "string", "enum": words, "default": words.first() }),
    };
    let schema = if parameter.many { json!({ "type": "array", "items": one }) } else { one };
    json!({
        "name": parameter.name, "in": "query", "required": parameter.required, "description": parameter.doc,
        "schema": schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() {
        let document = document("0");
        let text = document.to_string();
        let named: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let there = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(named, there.keys().map(String::as_str).collect());
    }

    #[test]
    fn no_two_routes_are_the_same_and_each_parameter_of_a_path_is_described() {
        let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.path, route.verb == Verb::Get)).collect();
        assert_eq!(all.len(), ROUTES.len());
        let document = document("0");
        let operations = document["paths"].as_object().unwrap().values();
        assert_eq!(operations.map(|path| path.as_object().unwrap().len()).sum::<usize>(), ROUTES.len());
        for (path, operations) in document["paths"].as_object().unwrap() {
            for operation in operations.as_object().unwrap().values() {
                let names: BTreeSet<&str> = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|parameter| parameter["in"] == "path")
                    .filter_map(|parameter| parameter["name"].as_str())
                    .collect();
                assert_eq!(names.len(), path.matches('{').count(), "{path}");
            }
        }
    }
}
