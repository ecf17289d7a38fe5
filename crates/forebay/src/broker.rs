//! Reaching a Kafka from the command line.

use std::collections::BTreeMap;

use anyhow::Context;
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
    let bootstrap = args.bootstrap.clone().unwrap_or_else(|| global.kafka.to_string());
    options.insert("kafka.bootstrap.servers".to_owned(), bootstrap);
    for option in &args.options {
        let (name, value) = option.split_once('=').context("an option is written KEY=VALUE")?;
        options.insert(name.to_owned(), value.to_owned());
    }
    let config = ClientConfig::from_options(&options)?;
    for warning in &config.warnings {
        talk::say(&format!("warning: {warning}"));
    }
    Ok(Client::connect(config).await?)
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
