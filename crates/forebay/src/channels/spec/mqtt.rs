//! The options of `format: mqtt`.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

use super::TIMEOUT;

const fn text(name: &'static str, default: Option<&'static str>, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::String, default, required: false, doc }
}

/// An MQTT broker.
pub static MQTT: ConnectorSpec = ConnectorSpec {
    name: "mqtt",
    kind: ConnectorKind::Channel,
    summary: "Topics of an MQTT broker, for horns, lamps and panels: a message for each transition, the same JSON object as of `kafka`, with QoS 1. Each notice is a \
              connection of its own, so a broker sees a client only while something is told.",
    delivery: "A notice is repeated until the broker has acknowledged each of its messages (PUBACK), after a crash too, with the same `id` in the payload. A topic or payload that \
               the broker calls invalid, or a message larger than it takes, will never be taken: that is logged, and the next one is sent.",
    options: &[
        OptionSpec {
            name: "server",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The broker: `mqtt://HOST:1883`, or `mqtts://HOST:8883` for TLS.",
        },
        text(
            "topic",
            Some("forebay/alerts/{rule}/{key}"),
            "The topic, with places in braces: `{pipeline}`, `{channel}`, `{rule}`, `{key}`, `{event}`, `{severity}`. What a topic cannot hold in one of its levels becomes `_`; a key that is NULL is `_`.",
        ),
        OptionSpec {
            name: "retain",
            kind: OptionKind::Bool,
            default: Some("false"),
            required: false,
            doc: "Whether the broker keeps the newest message of each topic for those that subscribe later: with `{rule}` and `{key}` in the topic, that is how each alert stands.",
        },
        text("clientId", None, "The client's name; `forebay-PIPELINE-CHANNEL` without it."),
        text("user", None, "The user, if the broker wants one."),
        text(
            "password",
            None,
            "Its password, from outside: `${NAME}`. Without TLS others can read it on its way: `validate` and the log warn of that.",
        ),
        OptionSpec {
            name: "version",
            kind: OptionKind::OneOf(&["5.0", "3.1.1"]),
            default: Some("5.0"),
            required: false,
            doc: "The MQTT that is spoken.",
        },
        text(
            "tlsCa",
            None,
            "A PEM file with the authority of the broker's certificate; without it those of this machine.",
        ),
        text("tlsCert", None, "A PEM file with our certificate, where the broker wants one."),
        text("tlsKey", None, "A PEM file with its key."),
        TIMEOUT,
    ],
    prefixes: &[],
    example: "channels:\n  hall:\n    format: mqtt\n    options: { server: \"mqtt://broker:1883\", topic: \"plant/alerts/{rule}/{key}\", retain: true }",
};
