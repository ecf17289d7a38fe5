//! The options of `format: alertmanager`.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

use super::{ALLOW_LOCAL, TIMEOUT};

/// Prometheus' Alertmanager.
pub static ALERTMANAGER: ConnectorSpec = ConnectorSpec {
    name: "alertmanager",
    kind: ConnectorKind::Channel,
    summary: "Prometheus' Alertmanager, which groups, routes and silences by itself: alerts as its API v2 takes them, with the labels `alertname` (the \
              rule), `severity`, `pipeline` and the key under its column's name; one of silence has `no_data` (the field, or `all`). Annotations: `summary`, `alert` (its \
              id), `source`, `value_COLUMN`, `acknowledged_by`.",
    delivery: "How an alert stands is told with each of its transitions, and again every `resend` as long as it is open, so that an Alertmanager that \
               was started anew knows of it. It says that it is to be believed (`endsAt`) four times as long, and the end of an alert is told for 15 \
               minutes, as Prometheus does. Telling the same twice changes nothing there. Of a cluster of Alertmanagers each wants to be told: give each a \
               channel.",
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::String,
            default: None,
            required: true,
            doc: "Its address, `https://HOST:9093`, with the prefix of its path if it has one; `/api/v2/alerts` comes behind it. Plain `http://…` needs `allowLocal`.",
        },
        OptionSpec {
            name: "user",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The user, where it asks for one (HTTP's basic authentication).",
        },
        OptionSpec {
            name: "password",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The user's password, from outside: `${NAME}`.",
        },
        OptionSpec {
            name: "resend",
            kind: OptionKind::Duration,
            default: Some("1 minute"),
            required: false,
            doc: "How often an open alert is told again, not more often than every second. After four times as long without a word an Alertmanager takes it for cleared.",
        },
        ALLOW_LOCAL,
        TIMEOUT,
    ],
    prefixes: &[],
    example: "channels:\n  duty:\n    format: alertmanager\n    options: { url: \"http://alertmanager:9093\", allowLocal: true }\n    severity: warning",
};
