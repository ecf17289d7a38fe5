//! Reaching a Kafka from the command line.
//!
//! What a client is told comes from three places, the later before the earlier: the file of `--client-properties`,
//! `--bootstrap`, each `-X`. Where none names a broker, it is the embedded log.

mod properties;

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_connectors::kafka::{Backoff, Client, ClientConfig};
use forebay_connectors::sources;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use tokio::time::{Instant, sleep};

use crate::cli::{BrokerArgs, Global};
use crate::talk;

/// The client that the arguments describe; the embedded log's address if they name no broker. Tried once.
pub async fn connect(global: &Global, args: &BrokerArgs, more: &[(&str, &str)]) -> anyhow::Result<Client> {
    let config = config(global, args, more)?;
    let log = config.bootstrap.join(", ");
    let connected = talk::patiently(&log, Client::connect(config)).await;
    Ok(connected.map_err(|error| for_command(error, args))?)
}

/// As [`connect`], tried again with growing pauses until `patience` is over. That is said once, with the reason.
pub async fn connect_within(config: ClientConfig, args: &BrokerArgs, patience: Duration) -> Result<Client> {
    let end = Instant::now() + patience;
    let mut backoff = Backoff::new(config.backoff);
    let mut is_told = false;
    loop {
        let error = match Client::connect(config.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => for_command(error, args),
        };
        let pause = backoff.pause();
        // Who is not let in now will not be let in later.
        let is_worth_it = error.is_retryable() && error.code() != &codes::SOURCE_AUTH;
        if !is_worth_it || Instant::now() + pause >= end {
            return Err(error);
        }
        if !is_told {
            is_told = true;
            let log = config.bootstrap.join(", ");
            talk::say(&format!("{log} is tried again for at most {patience:?}, Ctrl-C ends that: {error}"));
            talk::say(&format!("help: {}", error.hint()));
        }
        sleep(pause).await;
    }
}

/// How the arguments say that the log is reached, and whom we are. `more` is what holds where they say nothing.
pub fn config(global: &Global, args: &BrokerArgs, more: &[(&str, &str)]) -> Result<ClientConfig> {
    let mut options: BTreeMap<String, String> =
        more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options.insert(format!("kafka.{SERVERS}"), bootstrap(global, args));
    for (name, value) in given(args)? {
        // One property, whether it is spelt with the prefix or without.
        let bare = name.strip_prefix("kafka.").unwrap_or(&name).to_owned();
        options.remove(&format!("kafka.{bare}"));
        options.remove(&bare);
        options.insert(name, value);
    }
    let config = ClientConfig::from_options(&options)?;
    for warning in &config.warnings {
        talk::say(&format!("warning: {warning}"));
    }
    Ok(config)
}

const SERVERS: &str = "bootstrap.servers";

/// The options that the arguments give, those of the file first: of two with one name the second holds.
pub fn given(args: &BrokerArgs) -> Result<Vec<(String, String)>> {
    let mut given = Vec::new();
    if let Some(path) = &args.client_properties {
        for (name, value) in properties::read(path)? {
            let bare = name.strip_prefix("kafka.").unwrap_or(&name);
            if !(bare == SERVERS && args.bootstrap.is_some()) {
                given.push((format!("kafka.{bare}"), value));
            }
        }
    }
    given.extend(args.options.iter().cloned());
    Ok(given)
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
    let is_named = args.bootstrap.is_some() || args.client_properties.is_some();
    error.with_hint(if is_named {
        "Check that a broker runs there and that `--bootstrap` is right; `-X KEY=VALUE` gives what it needs for TLS or SASL."
    } else {
        "Start the embedded log with `forebay run FILE` or `forebay log serve`, or name another with `--kafka ADDR` or `--bootstrap HOST:PORT`."
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config_of(line: &str) -> Result<ClientConfig> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Produce(args) = &cli.command else { panic!("another command") };
        config(&cli.global, &args.broker, &[("kafka.client.id", "default")])
    }

    #[test]
    fn what_is_typed_comes_before_the_file_and_the_file_before_what_holds_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("client.properties");
        #[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
        std::fs::write(&file, "bootstrap.servers=file:1\nclient.id=file\ngroup.id=file\n").unwrap();
        let with = |more: &str| {
            let config = config_of(&format!("forebay --kafka 127.0.0.1:9 produce --topic t{more}")).unwrap();
            (config.bootstrap[0].clone(), config.client_id, config.group_id.unwrap_or_default())
        };
        let file = format!(" --client-properties {}", file.display());
        let told = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(with(""), told("127.0.0.1:9", "default", ""));
        assert_eq!(with(&file), told("file:1", "file", "file"));
        assert_eq!(with(&format!("{file} -b typed:1 -X client.id=typed")), told("typed:1", "typed", "file"));
        assert_eq!(with(&format!("{file} -X kafka.client.id=typed")), told("file:1", "typed", "file"));
        assert!(
            config_of("forebay produce --topic t -X client.di=x").unwrap_err().hint().contains("`client.id`")
        );
    }
}
