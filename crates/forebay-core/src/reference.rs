//! The reference that is generated: `docs/configuration.md` here, `docs/error-codes.md` in [`pages`], and the JSON
//! Schema of the pipeline file in [`schema`].
//!
//! Everything in it is taken from the tables that the program itself reads ([`config::keys`](crate::config::keys),
//! each [`ConnectorSpec`], [`codes`](crate::error::codes)), so it cannot say what the code does not do. Pure: the
//! binary writes the files, and `make check` compares them.

use std::fmt::Write as _;

use crate::config::{Registry, keys};
use crate::options::{ConnectorSpec, OptionSpec};

mod pages;
mod schema;

pub use pages::{error_codes_markdown, explain, list};
pub use schema::pipeline_schema;

const GENERATED: &str =
    "<!-- Generated from the tables in the code by `make docs`: edit those instead. -->\n\n";

/// The page of the pipeline file: its keys, and each connector with its options.
pub fn configuration_markdown(registry: &Registry<'_>) -> String {
    let mut page = String::from(GENERATED);
    page.push_str(
        "# Configuration\n\n\
         A pipeline is one YAML file. `forebay validate FILE` reports everything that is wrong with it at once. \
         Unknown keys and options are errors: nothing is silently ignored.\n\n\
         * **Durations** read `500 ms`, `10 seconds`, `1 hour 30 minutes`; in SQL their units are written out, as in Spark. \
         **Sizes** read `1024`, `64MiB`, `1 GB` (KB, MB, GB count by 1000; KiB, MiB, GiB by 1024).\n\
         * **Names** have letters, digits, `_` and `-`, begin with a letter or `_`, and are at most 64 long. Upper \
         and lower case do not make them different.\n\
         * **Options** keep Spark's names, in upper or lower case. Numbers and booleans need no quotes; a text that \
         begins with `{`, `[`, `*` or `&`, or holds `: ` or ` #`, does. The options of a source and of its decoder \
         stand in one mapping.\n\
         * **Secrets** come from outside: in the value of an option (and in `checkpointLocation`) `${NAME}` stands \
         for an environment variable and `${file:/path}` for the content of a file; `$$` is a `$`. They print as \
         `***`.\n\
         * **Relative paths** lie under `--data`, absolute ones stand; `forebay validate` shows what they mean.\n\
         * **The embedded log**: a Kafka source whose `kafka.bootstrap.servers` is one loopback address (`localhost` or \
         an IP address, any port) and that asks for neither TLS nor SASL (which it may where the log has users, `--kafka-users`) needs no Kafka. If nobody listens there, \
         `forebay run` serves the embedded log at that address; if somebody does, that is the Kafka it reads. Stderr \
         says which. A query that has a checkpoint in a data folder without a log has read from a Kafka elsewhere \
         and waits for it. `--embedded-log always` or `never` forces either; `--kafka ADDR` says which of several \
         addresses may be served, since one process serves one log, and must be one that a source names.\n\
         * YAML anchors, aliases and tags are not used.\n\n",
    );
    for section in keys::ALL {
        keys_section(&mut page, section);
    }
    connectors(&mut page, "Gateways", "`gateways.NAME.format`", registry.gateways);
    connectors(&mut page, "Sources", "`sources.NAME.format`", registry.sources);
    connectors(&mut page, "Decoders", "`sources.NAME.value`", registry.formats);
    connectors(&mut page, "Tables", "`tables.NAME.format`", registry.tables);
    connectors(&mut page, "Sinks", "`queries.NAME.format`", registry.sinks);
    connectors(&mut page, "Channels", "`channels.NAME.format`", registry.channels);
    trim_end(page)
}

fn keys_section(page: &mut String, section: &keys::Section) {
    let _ = write!(page, "## {}\n\n{}\n\n", section.path, section.doc);
    page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in section.keys.iter().filter(|key| !key.later) {
        let default = match (key.required, key.default) {
            (true, _) => "**needed**".to_owned(),
            (false, Some(default)) => cell(default),
            (false, None) => String::new(),
        };
        let _ = writeln!(page, "| `{}` | {} | {} | {} |", key.name, cell(key.kind), default, cell(key.doc));
    }
    let later: Vec<String> =
        section.keys.iter().filter(|key| key.later).map(|key| format!("`{}`", key.name)).collect();
    if !later.is_empty() {
        let _ = write!(page, "\nPlanned, and refused until it is there: {}.\n", later.join(", "));
    }
    page.push('\n');
}

fn connectors(page: &mut String, title: &str, key: &str, specs: &[&ConnectorSpec]) {
    let _ = write!(page, "## {title}\n\nNamed by {key}.\n\n");
    for spec in specs {
        connector(page, spec);
    }
}

fn connector(page: &mut String, spec: &ConnectorSpec) {
    let _ = write!(page, "### `{}`\n\n{}\n\n", spec.name, spec.summary.trim());
    if !spec.delivery.is_empty() {
        let _ = write!(page, "*Delivery:* {}\n\n", spec.delivery.trim());
    }
    if !spec.options.is_empty() {
        page.push_str("| option | value | default | meaning |\n|---|---|---|---|\n");
        for option in spec.options {
            option_row(page, option);
        }
        page.push('\n');
    }
    if !spec.prefixes.is_empty() {
        let prefixes: Vec<String> = spec.prefixes.iter().map(|prefix| format!("`{prefix}*`")).collect();
        let _ = write!(page, "Options {} are handed on as they are.\n\n", prefixes.join(", "));
    }
    if !spec.example.is_empty() {
        let _ = write!(page, "```yaml\n{}\n```\n\n", spec.example.trim_matches('\n').trim_end());
    }
}

fn option_row(page: &mut String, option: &OptionSpec) {
    let default = match (option.required, option.default) {
        (true, None) => "**needed**".to_owned(),
        (_, Some("")) => "empty".to_owned(),
        // What cannot be seen is written as it is written in a file.
        (_, Some(default)) => format!("`{}`", cell(&default.replace('\n', "\\n").replace('\t', "\\t"))),
        (false, None) => String::new(),
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {} | {} |",
        option.name,
        cell(&option.kind.describe()),
        default,
        cell(option.doc)
    );
}

/// Text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn trim_end(mut page: String) -> String {
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ConnectorKind, OptionKind};

    static PIPE: ConnectorSpec = ConnectorSpec {
        name: "pipe",
        kind: ConnectorKind::Sink,
        summary: "Writes to a pipe.",
        delivery: "At least once.",
        options: &[
            OptionSpec {
                name: "shape",
                kind: OptionKind::OneOf(&["round", "flat"]),
                default: Some("round"),
                required: false,
                doc: "How it looks:\n `a|b`.",
            },
            OptionSpec {
                name: "end",
                kind: OptionKind::String,
                default: None,
                required: true,
                doc: "Where.",
            },
        ],
        prefixes: &["pipe."],
        example: "\nformat: pipe\n",
    };

    #[test]
    fn a_connectors_page_shows_what_its_spec_declares() {
        let mut page = String::new();
        connector(&mut page, &PIPE);
        let expected = "### `pipe`\n\nWrites to a pipe.\n\n*Delivery:* At least once.\n\n\
            | option | value | default | meaning |\n|---|---|---|---|\n\
            | `shape` | one of round, flat | `round` | How it looks: `a\\|b`. |\n\
            | `end` | a text | **needed** | Where. |\n\n\
            Options `pipe.*` are handed on as they are.\n\n```yaml\nformat: pipe\n```\n\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn the_page_holds_every_key_and_connector() {
        let page = configuration_markdown(&Registry {
            sources: &[],
            sinks: &[&PIPE],
            formats: &[],
            tables: &[],
            gateways: &[],
            channels: &[],
        });
        for key in keys::ALL.iter().flat_map(|section| section.keys) {
            assert!(page.contains(&format!("`{}`", key.name)), "{}", key.name);
        }
        assert!(page.contains("### `pipe`"));
    }
}
