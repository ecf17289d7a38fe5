//! Reaching a Kafka from the command line.

use std::collections::BTreeMap;

use forebay_connectors::kafka::{Client, ClientConfig};
use forebay_connectors::sources;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};

use crate::cli::{BrokerArgs, Global};
use crate::talk;

/// The client that the arguments describe; the embedded log's address if they name no broker.
pub async fn connect(global: &Global, args: &BrokerArgs, more: &[(&str, &str)]) -> anyhow::Result<Client> {
    let mut options: BTreeMap<String, String> =
        more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options.insert("kafka.bootstrap.servers".to_owned(), bootstrap(global, args));
    options.extend(args.options.iter().cloned());
    let config = ClientConfig::from_options(&options)?;
    for warning in &config.warnings {
        talk::say(&format!("warning: {warning}"));
    }
    let connected = talk::patiently(&bootstrap(global, args), Client::connect(config)).await;
    Ok(connected.map_err(|error| for_command(error, args))?)
}

/// The brokers that the arguments name, else the embedded log.
pub fn bootstrap(global: &Global, args: &BrokerArgs) -> String {
    args.bootstrap.clone().unwrap_or_else(|| global.kafka().to_string())
}

/// A failure to reach the broker, with what the person at the keyboard can do: a command tries once and ends.
pub fn for_command(error: Error, args: &BrokerArgs) -> Error {
    if error.code() != &codes::SOURCE_UNAVAILABLE {
        return error;
    }
    error.with_hint(match args.bootstrap {
        Some(_) => "Check that a broker runs there and that `--bootstrap` is right; `-X KEY=VALUE` gives what it needs for TLS or SASL.",
        None => "Start the embedded log with `forebay run FILE` or `forebay log serve`, or name another with `--kafka ADDR` or `--bootstrap HOST:PORT`.",
    })
}

/// Options of a source that are put together here rather than read from a file.
pub fn source_options(format: &str, raw: &BTreeMap<String, String>) -> Result<Options> {
    let problems = match Options::parse(sources::spec(format)?, raw) {
        Ok(options) => return Ok(options),
        Err(problems) => problems,
    };
    let first = problems.into_iter().next().map(|(_, error)| error);
    Err(first.unwrap_or_else(|| Error::new(&codes::INTERNAL, "options were refused without a reason")))
}
