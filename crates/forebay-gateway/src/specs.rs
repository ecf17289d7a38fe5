//! What a gateway may be, and its options: for the pipeline file, its reference and its schema.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

/// Every gateway there is.
pub static SPECS: &[&ConnectorSpec] = &[&MQTT, &MQTT_CLIENT, &HTTP, &SERIAL];

/// Options that are handed to the client of the log.
const PREFIXES: &[&str] = &["kafka."];

const fn option(
    name: &'static str,
    kind: OptionKind,
    default: Option<&'static str>,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, doc }
}

/// An MQTT end point of our own.
pub static MQTT: ConnectorSpec = ConnectorSpec {
    name: "mqtt",
    kind: ConnectorKind::Gateway,
    summary: "An MQTT end point: devices publish straight to Forebay, in MQTT 3.1.1 and 5.0, and subscribers may read.",
    delivery: "PUBACK and PUBREC come after the log has the message, fsynced, in the order of publishing. QoS 2 is exactly once within a \
               session; QoS 1 may come twice where a device sends again.",
    options: &[
        option(
            "listen",
            OptionKind::String,
            Some("127.0.0.1:1883"),
            "The address. One that others than this machine can reach needs `users`, `tlsCert` and `tlsKey`.",
        ),
        option(
            "tlsCert",
            OptionKind::String,
            None,
            "A PEM file with the certificate and those between it and its authority; with it all connections are TLS.",
        ),
        option(
            "tlsKey",
            OptionKind::String,
            None,
            "The PEM file of its private key. Relative paths begin where Forebay is started.",
        ),
        option(
            "clientCa",
            OptionKind::String,
            None,
            "A PEM file with the authorities of client certificates; with it a client without one of theirs is not let in, and a user may have a `certificate` in place of a token.",
        ),
        option(
            "retained",
            OptionKind::OneOf(&["process", "drop", "state"]),
            Some("process"),
            "Messages with the retain flag: as others, not at all, or kept for subscribers too.",
        ),
        option("maxPacketSize", OptionKind::Size, Some("1MiB"), "Largest packet."),
        option(
            "receiveMaximum",
            OptionKind::Integer(1, 65_535),
            Some("256"),
            "Messages of one connection that may be on their way to the log.",
        ),
        option("maxConnections", OptionKind::Integer(1, 1_000_000), Some("20000"), "Connections at a time."),
        option(
            "maxSessions",
            OptionKind::Integer(1, 1_000_000),
            Some("50000"),
            "Sessions at a time, connected or not.",
        ),
        option(
            "maxSessionExpiry",
            OptionKind::Duration,
            Some("1 day"),
            "How long a session outlives its connection at most.",
        ),
        option(
            "publishRate",
            OptionKind::Integer(1, 1_000_000),
            None,
            "Messages a second that are read from one connection; it is slowed, nothing is dropped.",
        ),
        option(
            "webSocket",
            OptionKind::Bool,
            Some("true"),
            "Whether it is at `/mqtt` of the HTTP server (`--http`) too, as browsers speak MQTT. One gateway can be.",
        ),
    ],
    prefixes: PREFIXES,
    example: "gateways:\n  plant:\n    format: mqtt\n    options: { listen: 127.0.0.1:1883 }\n    routes:\n      \"plant/{station}/dht11\": { topic: dht_test, key: \"{station}\" }",
};

/// Messages of a broker.
pub static MQTT_CLIENT: ConnectorSpec = ConnectorSpec {
    name: "mqttClient",
    kind: ConnectorKind::Gateway,
    summary: "A client of an MQTT broker, such as Mosquitto, EMQX or HiveMQ: what it subscribes to goes to the log.",
    delivery: "The broker gets PUBACK and PUBREC after the log has the message, fsynced, in the order in which messages came, and keeps \
               what comes while nobody is there for the session. QoS 1 and 2 are never lost by the gateway; after a kill or a connection that breaks they \
               may come twice.",
    options: &[
        OptionSpec {
            name: "server",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The broker: `mqtt://HOST:1883`, or `mqtts://HOST:8883` for TLS.",
        },
        OptionSpec {
            name: "subscribe",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "Topic filters, with commas between them. `$share/GROUP/FILTER` shares a filter: of all clients of the group one gets a message.",
        },
        OptionSpec {
            name: "clientId",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The client id. The session belongs to it, so it stays the same over restarts, and no two clients of a broker may have one: \
                  each would take the other's messages.",
        },
        option("user", OptionKind::String, None, "The user."),
        option("password", OptionKind::String, None, "Its password."),
        option("version", OptionKind::OneOf(&["5.0", "3.1.1"]), Some("5.0"), "The MQTT that is spoken."),
        option(
            "qos",
            OptionKind::Integer(0, 2),
            Some("1"),
            "The highest quality of service that is asked for. With 0 messages get lost whenever the connection breaks.",
        ),
        option(
            "sessionExpiry",
            OptionKind::Duration,
            Some("7 days"),
            "How long the broker is to keep the session, and messages in it, while nobody is there. In 3.1.1 the broker alone says.",
        ),
        option(
            "keepAlive",
            OptionKind::Duration,
            Some("30 seconds"),
            "After how long without a word a connection is given up.",
        ),
        option(
            "receiveMaximum",
            OptionKind::Integer(1, 65_535),
            Some("256"),
            "Messages that may be on their way to the log; the broker holds the others.",
        ),
        option(
            "maxPacketSize",
            OptionKind::Size,
            Some("16MiB"),
            "Largest packet. A larger message is refused and counted (`too_large`): the broker would send it for ever.",
        ),
        option(
            "retained",
            OptionKind::OneOf(&["process", "drop"]),
            Some("process"),
            "Messages that the broker had retained before the subscription: as others, or not at all.",
        ),
        option(
            "tlsCa",
            OptionKind::String,
            None,
            "A PEM file with the authorities of the broker's certificate; without it those of the system.",
        ),
        option(
            "tlsCert",
            OptionKind::String,
            None,
            "A PEM file with our certificate, if the broker asks for one.",
        ),
        option(
            "tlsKey",
            OptionKind::String,
            None,
            "The PEM file of its private key. Relative paths begin where Forebay is started.",
        ),
    ],
    prefixes: PREFIXES,
    example: "gateways:\n  hall:\n    format: mqttClient\n    options: { server: \"mqtt://broker:1883\", clientId: forebay-hall, subscribe: \"plant/#\" }\n    routes:\n      \"plant/{station}/dht11\": { topic: dht_test, key: \"{station}\" }",
};

/// Posts to the HTTP server.
pub static HTTP: ConnectorSpec = ConnectorSpec {
    name: "http",
    kind: ConnectorKind::Gateway,
    summary: "Posts to `/api/v1/ingest/NAME/TOPIC` of the HTTP server (`--http`): one JSON value, an array, or lines; as it is, gzip or \
              zstd. The same path takes messages over WebSocket.",
    delivery: "202 comes after the log has all messages, fsynced. A post that is repeated with its `Idempotency-Key` sends only what is not \
               known to be there; over a restart records tell repeats apart by a header.",
    options: &[
        option(
            "maxBody",
            OptionKind::Size,
            Some("4MiB"),
            "Largest body, as it comes and unpacked. At most 16MiB.",
        ),
        option("maxMessages", OptionKind::Integer(1, 100_000), Some("10000"), "Most messages of a post."),
        option(
            "maxPosts",
            OptionKind::Integer(1, 1_000),
            Some("32"),
            "Posts under way at a time; one more is answered with 429.",
        ),
        option(
            "keyLife",
            OptionKind::Duration,
            Some("1 day"),
            "For how long an `Idempotency-Key` is remembered; of more than 100,000 the oldest are forgotten before.",
        ),
        option(
            "patience",
            OptionKind::Duration,
            Some("30 seconds"),
            "How long a post waits for the log before it is answered with 503. At most 50 seconds.",
        ),
    ],
    prefixes: PREFIXES,
    example: "gateways:\n  web:\n    format: http\n    routes:\n      \"plant/{station}/dht11\": { topic: dht_test, key: \"{station}\" }",
};

/// A serial line.
pub static SERIAL: ConnectorSpec = ConnectorSpec {
    name: "serial",
    kind: ConnectorKind::Gateway,
    summary: "A serial port, such as that of an Arduino on USB. Each line is a message. Its topic is the gateway's name; a line `WORD …` \
              of the form `keyValue` has `NAME/WORD`. A port that is unplugged is opened again when it is back. Unix only.",
    delivery: "A serial line knows no acknowledgement: what comes is held in memory until the log has it, up to `buffer`; beyond it lines are \
               dropped and counted. What was in memory when the process dies is lost.",
    options: &[
        OptionSpec {
            name: "port",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "The device file, such as `/dev/ttyACM0`.",
        },
        option(
            "baud",
            OptionKind::Integer(50, 4_000_000),
            Some("115200"),
            "Bits a second. 8 data bits, no parity, one stop bit.",
        ),
        option(
            "lines",
            OptionKind::OneOf(&["json", "keyValue", "csv", "raw"]),
            Some("json"),
            "What a line is: JSON; `key=value,…`, which becomes an object; values with commas between them, which become one with the names \
             of `columns`; or whatever the route's `value` says.",
        ),
        option(
            "columns",
            OptionKind::String,
            None,
            "Names for the values of `csv`, with commas between them.",
        ),
        option(
            "maxLine",
            OptionKind::Size,
            Some("4KiB"),
            "Longest line; a longer one is left out whole, and counted.",
        ),
        option("buffer", OptionKind::Size, Some("1MiB"), "Most bytes of lines that wait for the log."),
    ],
    prefixes: PREFIXES,
    example: "gateways:\n  bench:\n    format: serial\n    options: { port: /dev/ttyACM0, lines: keyValue }\n    routes:\n      \"bench/dht11\": { topic: dht_test }\n      \"#\": { drop: true }",
};
