//! The OpenAPI document, made from the table of routes and the schemas of what they answer.
//!
//! Nothing is described twice: paths, parameters and roles come from [`crate::routes`], which the router is made from
//! too; every answer that the tests get is checked against its schema here.

use forebay_gateway::http::LONGEST_KEY;
use serde_json::{Map, Value, json};

use crate::access::Role;
use crate::answer::tagged;
use crate::ask::{Ask, Outcome, Patience};
use crate::paging;
use crate::params::{Kind, Parameter};
use crate::routes::{Answer, ROUTES, Route};

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
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.verb.word().to_ascii_lowercase()] = operation(route);
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
        "components": { "schemas": schemas::all(), "securitySchemes": {
            "token": {
                "type": "http", "scheme": "bearer",
                "description": "A token that `forebay token new` made. Asked for only where the server was started with `--auth`.",
            },
            "session": {
                "type": "apiKey", "in": "cookie", "name": "__Host-forebay",
                "description": "What POST /api/v1/session sets, for browsers. Without TLS its name is `forebay`.",
            },
        } },
    })
}

/// Why a request may be refused whatever it asks for.
fn refusals(route: &Route) -> impl Iterator<Item = (&'static str, &'static str)> {
    let signed = route.role > Role::Anyone || route.path == "/api/v1/session";
    let unknown = [("401", "a token is missing, unknown, revoked or has expired")];
    let denied = [("403", "the role is too small, or the request comes from another site")];
    unknown.into_iter().filter(move |_| signed).chain(denied)
}

/// Why a post is not taken, or not all of it.
const NOT_TAKEN: [(&str, &str); 7] = [
    ("404", "no gateway has this name (FB-8002), or no route of it takes the topic (FB-2009)"),
    ("409", "a post with this Idempotency-Key is under way (FB-8013)"),
    ("413", "the body is too large or has too many messages (FB-8006)"),
    ("415", "a Content-Type or Content-Encoding that is not taken (FB-8007)"),
    (
        "422",
        "some messages will never be taken (FB-2010): `messages` says of each where it is, or why not; or the key is that of another post (FB-8014)",
    ),
    ("429", "as many posts as may be are under way (FB-8004)"),
    (
        "503",
        "of some messages it is not known whether the log has them (FB-8004): `messages` says of which; or the run ends",
    ),
];

fn operation(route: &Route) -> Value {
    let ok = match route.answer {
        Answer::Json(schema) | Answer::Tagged(schema) => {
            ("200", content("application/json", &reference(schema)))
        }
        Answer::Accepted(schema) => ("202", content("application/json", &reference(schema))),
        Answer::Health(schema) => ("200", content("application/json", &reference(schema))),
        Answer::Other(kind) => ("200", content(kind, &json!({ "type": "string" }))),
        Answer::Nothing => ("204", json!({})),
    };
    let mut answers = Map::new();
    answers.insert(ok.0.to_owned(), json!({ "description": route.summary, "content": ok.1 }));
    for (status, why) in refusals(route) {
        let problem = content("application/problem+json", &reference("Problem"));
        answers.insert(status.to_owned(), json!({ "description": why, "content": problem }));
    }
    if let Answer::Tagged(_) = route.answer {
        let tag =
            json!({ "required": true, "schema": { "type": "string", "pattern": "^\"[0-9a-f]{24}\"$" } });
        let headers = json!({ "ETag": tag });
        answers["200"]["headers"] = headers.clone();
        answers
            .insert("304".to_owned(), json!({ "description": "it is as you have it", "headers": headers }));
    }
    if route.patience == Patience::Ingest {
        for (status, why) in NOT_TAKEN {
            let problem = content("application/problem+json", &reference("Problem"));
            answers.insert(status.to_owned(), json!({ "description": why, "content": problem }));
        }
    }
    if let Answer::Health(schema) = route.answer {
        let body = content("application/json", &reference(schema));
        answers.insert("503".to_owned(), json!({ "description": "what is wrong", "content": body }));
    }
    let problem = content("application/problem+json", &reference("Problem"));
    answers.insert("default".to_owned(), json!({ "description": "why not", "content": problem }));
    let mut parameters: Vec<Value> = route.path.split('/').filter_map(in_path).collect();
    parameters.extend(route.parameters.iter().map(in_query));
    if let Answer::Tagged(_) = route.answer {
        parameters.push(json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "The `ETag` of an answer that you have.", "schema": { "type": "string" },
        }));
    }
    if route.changes {
        parameters.push(json!({
            "name": "X-Forebay", "in": "header", "required": true,
            "description": "Shows that the sender means it: no form of another page can send it. With a token in the header `Authorization` it may be left out.",
            "schema": { "type": "string", "enum": ["1"] },
        }));
    }
    if route.patience == Patience::Ingest {
        for (name, about) in [
            (
                "Idempotency-Key",
                "Names the post: one that is repeated with it sends only what is not known to be in the log.",
            ),
            ("Content-Encoding", "gzip, zstd or identity."),
        ] {
            let schema = json!({ "type": "string", "maxLength": LONGEST_KEY });
            parameters.push(json!({
                "name": name, "in": "header", "required": false, "description": about, "schema": schema,
            }));
        }
    }
    let mut operation = json!({
        "summary": route.summary,
        "x-role": route.role.word(),
        "parameters": parameters,
        "responses": answers,
    });
    operation["security"] = match route.role {
        Role::Anyone => json!([]),
        // The empty one stands for a server without `--auth`.
        _ => json!([{ "token": [] }, { "session": [] }, {}]),
    };
    if let Some(schema) = route.body {
        let mut body = content("application/json", &reference(schema));
        if route.patience == Patience::Ingest {
            for kind in ["application/x-ndjson", "text/plain", "application/octet-stream"] {
                body[kind] = json!({ "schema": { "type": "string" } });
            }
        }
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
    let name = part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*');
    Some(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

fn in_query(parameter: &Parameter) -> Value {
    let one = match parameter.kind {
        Kind::Text(most) if parameter.required => {
            json!({ "type": "string", "minLength": 1, "maxLength": most })
        }
        Kind::Text(most) => json!({ "type": "string", "maxLength": most }),
        Kind::Cursor => json!({ "type": "string", "pattern": paging::PATTERN }),
        Kind::Integer(least, most, default) => {
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
        }
        Kind::OneOf(words) => json!({ "type": "string", "enum": words, "default": words.first() }),
    };
    let schema = match parameter.most {
        1 => one,
        most => json!({ "type": "array", "items": one, "maxItems": most }),
    };
    let mut described = json!({
        "name": parameter.name, "in": "query", "required": parameter.required, "description": parameter.doc,
        "schema": schema,
    });
    if !parameter.required {
        described["allowEmptyValue"] = true.into();
    }
    described
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
        let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.path, route.verb.word())).collect();
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

    #[test]
    fn every_operation_says_who_may_ask_and_how_others_are_refused() {
        let document = document("0");
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        for route in ROUTES {
            let path = route.path.replace("{*", "{");
            let operation = &document["paths"][&path][route.verb.word().to_ascii_lowercase()];
            let needs = operation["security"].as_array().unwrap();
            assert_eq!(operation["x-role"], route.role.word());
            assert_eq!(needs.is_empty(), route.role == Role::Anyone, "{}", route.path);
            for scheme in needs.iter().flat_map(|need| need.as_object().unwrap().keys()) {
                assert!(schemes.contains_key(scheme), "{scheme}");
            }
            let answers = &operation["responses"];
            assert!(answers["403"].is_object(), "{}", route.path);
            assert_eq!(answers["401"].is_object(), !needs.is_empty() || route.path.ends_with("/session"));
        }
    }
}
