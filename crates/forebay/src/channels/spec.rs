//! The channels that a file can name, with their options.

mod alertmanager;
mod email;
mod kafka;
mod mqtt;

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

pub use self::alertmanager::ALERTMANAGER;
pub use self::email::EMAIL;
pub use self::kafka::KAFKA;
pub use self::mqtt::MQTT;

/// What `channels.NAME.format` may be.
pub static SPECS: &[&ConnectorSpec] = &[&WEBHOOK, &ALERTMANAGER, &KAFKA, &MQTT, &EMAIL];

/// Of channels that are spoken to over HTTP.
const ALLOW_LOCAL: OptionSpec = OptionSpec {
    name: "allowLocal",
    kind: OptionKind::Bool,
    default: Some("false"),
    required: false,
    doc: "Whether the address may be one of this machine or its network (loopback, private, link-local), and plain HTTP. Without it \
          such addresses are refused, also where a name leads to one.",
};

const TIMEOUT: OptionSpec = OptionSpec {
    name: "timeout",
    kind: OptionKind::Duration,
    default: Some("10 seconds"),
    required: false,
    doc: "How long an answer is waited for.",
};

/// A POST of JSON.
pub static WEBHOOK: ConnectorSpec = ConnectorSpec {
    name: "webhook",
    kind: ConnectorKind::Channel,
    summary: "A POST of a JSON object to a URL: `id`, `pipeline`, `channel`, `text` for people, `count`, and `transitions`, each with its \
              alert, rule, key, event, time and severity.",
    delivery: "A notice is repeated until the receiver answers 2xx, after a crash too, with the same `id` in the body and the same \
               `Idempotency-Key`: whoever knows it has it already. A receiver that answers 400, 413, 415 or 422 will never take it: that \
               is logged, and the next one is sent. Redirects are not followed.",
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "Where it is posted to: `https://…`, or `http://…` within reach of `allowLocal`. A URL that is a secret itself comes from \
                  outside: `${NAME}`.",
        },
        OptionSpec {
            name: "secret",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "With it each POST has `X-Forebay-Signature: v1=…`, the HMAC-SHA256 in hexadecimal digits of the value of \
                  `X-Forebay-Timestamp` (seconds since 1970), a dot, and the body.",
        },
        ALLOW_LOCAL,
        TIMEOUT,
    ],
    prefixes: &[],
    example: "channels:\n  ops:\n    format: webhook\n    options: { url: \"https://ops.example/forebay\", secret: \"${OPS_SECRET}\" }\n    \
              severity: warning\n    wait: 30 seconds",
};
