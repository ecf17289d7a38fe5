use std::collections::BTreeMap;

use super::super::{Lookup, Pipeline, Problem, Registry, parse};
use super::*;
use crate::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

static MQTT: ConnectorSpec = ConnectorSpec {
    name: "mqtt",
    kind: ConnectorKind::Gateway,
    summary: "",
    delivery: "",
    options: &[OptionSpec {
        name: "listen",
        kind: OptionKind::String,
        default: None,
        required: false,
        doc: "Where.",
    }],
    prefixes: &["kafka."],
    example: "",
};

static KAFKA: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    kind: ConnectorKind::Source,
    summary: "",
    delivery: "",
    options: &[],
    prefixes: &["kafka."],
    example: "",
};

static CONSOLE: ConnectorSpec = ConnectorSpec {
    name: "console",
    kind: ConnectorKind::Sink,
    summary: "",
    delivery: "",
    options: &[],
    prefixes: &[],
    example: "",
};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn read(gateways: &str) -> Result<Pipeline, Vec<Problem>> {
    let text = format!(
        "pipeline: p\nsources:\n  s: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"a:1\" }} }}\nqueries:\n  q: {{ sql: SELECT * FROM s, format: console }}\n{gateways}"
    );
    let registry = Registry {
        sources: &[&KAFKA],
        sinks: &[&CONSOLE],
        formats: &[],
        tables: &[],
        gateways: &[&MQTT],
        channels: &[],
    };
    let none = BTreeMap::<String, String>::new();
    let lookup = Lookup { env: &|name| none.get(name).cloned(), file: &|_| Err("no".to_owned()) };
    parse(&text, "p.yaml", &registry, &lookup)
}

fn routed(route: &str) -> Result<Pipeline, Vec<Problem>> {
    read(&format!("gateways:\n  plant:\n    format: mqtt\n    routes:\n      {route}\n"))
}

#[test]
fn a_gateway_is_read_with_its_routes_and_users() {
    let pipeline = read(&format!(
        "gateways:\n  plant:\n    format: mqtt\n    options: {{ listen: \"127.0.0.1:1883\" }}\n    routes:\n      \
         \"plant/{{station}}/dht11\": {{ topic: dht_test, key: \"{{station}}\", fields: {{ station: \"{{1}}\" }} }}\n      \
         \"plant/+/sr04\": {{ topic: sr04_test, value: number, as: distance, receivedAt: at, headers: {{ from: \"{{from}}\" }} }}\n      \
         \"debug/#\": {{ drop: true }}\n      \"#\": {{ topic: stray, value: binary }}\n    users:\n      \
         uno-1: {{ sha256: {HASH}, publish: [\"plant/%u/#\", a], subscribe: \"#\" }}\n      ca: {{ certificate: ca.plant }}\n"
    ))
    .unwrap();
    let gateway = &pipeline.gateways[0];
    assert_eq!((gateway.name.as_str(), gateway.format.as_str(), gateway.routes.len()), ("plant", "mqtt", 4));
    let sr04 = gateway.routes[1].target.as_ref().unwrap();
    assert_eq!(
        (sr04.payload, sr04.wrap.as_deref(), sr04.received_at.as_deref()),
        (Payload::Number, Some("distance"), Some("at"))
    );
    assert!(gateway.routes[2].target.is_none());
    let users = gateway.users.as_ref().unwrap();
    assert_eq!((users[0].publish.len(), users[0].subscribe.as_slice()), (2, &["#".to_owned()][..]));
    assert!(users[1].publish.is_empty() && users[1].certificate.is_some());
    assert!(gateway.is_as(&gateway.clone()));
}

#[test]
fn whatever_is_wrong_is_told_with_its_place() {
    for (route, part) in [
        ("\"a/#/b\": { topic: t }", "not the last level"),
        ("\"a/+\": { topic: \"a b\" }", "no name for a topic"),
        ("\"a/+\": { topic: t, key: \"{2}\" }", "not there"),
        ("\"a/+\": { topic: t, keys: x }", "unknown key"),
        ("\"a/+\": { topic: t, drop: true }", "both"),
        ("\"a/+\": { key: x }", "neither"),
        ("\"a/+\": { topic: t, value: number }", "name of its field"),
        ("\"a/+\": { topic: t, as: x }", "become one field"),
        ("\"a/+\": { topic: t, value: sparkplug, as: x }", "become one field"),
        ("\"a/+\": { topic: t, rebirth: true }", "`value: sparkplug`"),
        ("\"a/+\": { topic: t, value: text, receivedAt: at }", "no JSON object"),
        ("\"a/+\": { topic: t, value: xml }", "`xml`"),
        ("\"a/+\": { topic: t, fields: { at: \"{1}\" }, receivedAt: at }", "added twice"),
        ("\"a/#\": { topic: t }\n      \"a/b\": { topic: u }", "never used"),
    ] {
        let problems = routed(route).unwrap_err();
        let found = problems.iter().find(|problem| problem.error.message().contains(part));
        assert!(found.is_some_and(|problem| problem.line > 5), "{route}: {problems:?}");
    }
}

#[test]
fn a_user_without_proof_or_with_that_of_another_is_refused() {
    for (users, part) in [
        ("a: { publish: \"#\" }".to_owned(), "no `sha256`"),
        ("a: { sha256: fb_secret }".to_owned(), "64 hexadecimal"),
        (format!("a: {{ sha256: {HASH} }}\n      b: {{ sha256: {HASH} }}"), "token or certificate of `a`"),
        (format!("a: {{ sha256: {HASH}, publish: [\"x%u/y\"] }}"), "no topic filter"),
        (format!("a: {{ sha256: {HASH}, publish: [{{}}] }}"), "no topic filter"),
        (format!("fb_x: {{ sha256: {HASH} }}"), "no name for a user"),
    ] {
        let text = format!(
            "gateways:\n  g:\n    format: mqtt\n    routes:\n      \"#\": {{ topic: t }}\n    users:\n      {users}\n"
        );
        let problems = read(&text).unwrap_err();
        assert!(problems.iter().any(|it| it.error.message().contains(part)), "{users}: {problems:?}");
        assert!(problems.iter().all(|it| !format!("{:?}", it.error).contains("fb_secret")), "{problems:?}");
    }
}
