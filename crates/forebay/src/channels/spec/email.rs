//! The options of `format: email`.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

const fn text(name: &'static str, required: bool, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::String, default: None, required, doc }
}

/// Mail by SMTP.
pub static EMAIL: ConnectorSpec = ConnectorSpec {
    name: "email",
    kind: ConnectorKind::Channel,
    summary: "A mail by SMTP for each notice: as subject the pipeline, severity, event and message of its first transition, as text a line for each. What \
              is told of one alert has the same `References`, so that programs show it together.",
    delivery: "A notice is repeated until the server has taken it for each address, after a crash too, always with the same `Message-ID`: servers and programs drop a \
               repeat by it. An address that the server refuses for good (5xx, while it takes mail) is not tried again, which is logged and counted, nor one that it defers ten times while others get the mail; who we are (530 to 539: a wrong \
               password), 4xx, and a server that is away are tried again.",
    options: &[
        text(
            "server",
            true,
            "The server that takes mail, `mail.example:587`; the port is 587 with `starttls`, 465 with `tls`, 25 with `none` if it is not said.",
        ),
        text("from", true, "Who writes: `forebay@plant.example`, or `Forebay <forebay@plant.example>`."),
        text("to", true, "Who is written to; several with commas. Each gets the mail by itself."),
        OptionSpec {
            name: "tls",
            kind: OptionKind::OneOf(&["starttls", "tls", "none"]),
            default: Some("starttls"),
            required: false,
            doc: "How the connection is encrypted: after `STARTTLS`, which must succeed; from the first byte; or not at all, with a password on this machine only.",
        },
        text("user", false, "The user, where the server asks for one."),
        text("password", false, "Its password, from outside: `${NAME}`."),
        text(
            "tlsCa",
            false,
            "A PEM file with the authority of the server's certificate; without it those of this machine.",
        ),
        OptionSpec {
            name: "timeout",
            kind: OptionKind::Duration,
            default: Some("30 seconds"),
            required: false,
            doc: "How long an answer is waited for.",
        },
    ],
    prefixes: &[],
    example: "channels:\n  office:\n    format: email\n    options:\n      server: mail.example:587\n      user: forebay\n      password: \"${MAIL_PASSWORD}\"\n      from: Forebay <forebay@plant.example>\n      to: ana@plant.example, ben@plant.example\n    severity: critical\n    wait: 1 minute",
};
