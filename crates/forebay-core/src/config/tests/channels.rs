//! `channels:` by themselves: what is read, what is refused.

use std::time::Duration;

use crate::config::{Lookup, Pipeline, Problem, Registry, Severity, parse};
use crate::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

const fn text(name: &'static str, required: bool) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::String, default: None, required, doc: "What it is for." }
}

const fn connector(name: &'static str, kind: ConnectorKind, options: &'static [OptionSpec]) -> ConnectorSpec {
    ConnectorSpec { name, kind, summary: "", delivery: "", options, prefixes: &[], example: "" }
}

static KAFKA: ConnectorSpec = connector("kafka", ConnectorKind::Source, &[]);
static CONSOLE: ConnectorSpec = connector("console", ConnectorKind::Sink, &[]);
static WEBHOOK: ConnectorSpec =
    connector("webhook", ConnectorKind::Channel, &[text("url", true), text("secret", false)]);

fn read(channels: &str) -> Result<Pipeline, Vec<Problem>> {
    let text = format!(
        "pipeline: p\nsources:\n  s: {{ format: kafka }}\nqueries:\n  q: {{ sql: SELECT * FROM s, format: console }}\n\
         alerts:\n  hot: {{ on: s, key: topic, when: true }}\nchannels:\n{channels}"
    );
    let registry = Registry {
        sources: &[&KAFKA],
        sinks: &[&CONSOLE],
        formats: &[],
        tables: &[],
        gateways: &[],
        channels: &[&WEBHOOK],
    };
    let lookup =
        Lookup { env: &|name| (name == "KEY").then(|| "sesame".to_owned()), file: &|_| Err("no".into()) };
    parse(&text, "p.yaml", &registry, &lookup)
}

#[test]
fn a_channel_hears_of_all_unless_the_file_says_of_what_and_shows_no_secret() {
    let channels = "  ops: { format: webhook, options: { url: \"https://a/b\", secret: \"${KEY}\" } }\n\
                    \x20 night: { format: WebHook, options: { url: u }, rules: [Hot], severity: critical, wait: 1 minute, most: 3 }\n";
    let pipeline = read(channels).unwrap_or_else(|problems| panic!("{problems:?}"));
    let [ops, night] = &pipeline.channels[..] else { panic!("two channels") };
    assert_eq!((ops.least, ops.wait, ops.most), (Severity::Info, Duration::ZERO, 10));
    assert!(ops.rules.is_empty() && ops.options.text("secret") == Some("sesame"));
    assert!(!format!("{pipeline:?}").contains("sesame"));
    assert_eq!((night.format.as_str(), night.rules.clone()), ("webhook", vec!["Hot".to_owned()]));
    assert_eq!((night.least, night.wait, night.most), (Severity::Critical, Duration::from_secs(60), 3));
}

#[test]
fn what_is_wrong_with_a_channel_is_told() {
    for (channel, part) in [
        ("{ format: webhok, options: { url: u } }", "unknown channel `webhok`"),
        ("{ format: webhook }", "option `url` is missing"),
        ("{ format: webhook, url: u }", "`url` is an option of `webhook`"),
        ("{ format: webhook, options: { url: u }, rules: [cold] }", "unknown alert `cold`"),
        ("{ format: webhook, options: { url: u }, severity: bad }", "`severity` is `bad`"),
        ("{ format: webhook, options: { url: u }, most: 21 }", "`most` is `21`"),
        ("{ format: webhook, options: { url: u }, wait: soon }", "`wait` is `soon`"),
    ] {
        let problems = read(&format!("  c: {channel}\n")).err().unwrap_or_default();
        let told: Vec<_> = problems.iter().map(|problem| problem.error.message().to_owned()).collect();
        assert!(told.iter().any(|message| message.contains(part)), "{channel}: {told:?}");
    }
}
