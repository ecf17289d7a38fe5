//! `forebay schema`: what is in the records, and what a pipeline file may hold.

use std::process::ExitCode;

use anyhow::Context;
use forebay_connectors::formats::json::infer::{self, Inferred};
use forebay_core::reference;

use crate::cli::{BrokerArgs, Global, InferArgs, SchemaCommand};
use crate::registry::registry;
use crate::sample::{self, Topic};
use crate::talk;

pub async fn run(global: &Global, command: SchemaCommand) -> anyhow::Result<ExitCode> {
    match command {
        SchemaCommand::Infer(args) => infer(global, args).await,
        SchemaCommand::Json => {
            talk::print(&reference::pipeline_schema(&registry()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn infer(global: &Global, args: InferArgs) -> anyhow::Result<ExitCode> {
    let values = match (&args.file, &args.topic) {
        (Some(file), _) => sample::of_file(file, args.records)?,
        (None, topic) => {
            let topic = Topic::parse(topic.as_deref().unwrap_or_default())?;
            let bootstrap = topic.servers.or(args.broker.bootstrap);
            let broker = BrokerArgs { bootstrap, ..args.broker };
            sample::of_topic(global, &broker, &topic.name, args.records).await?
        }
    };
    let inferred = infer::infer(&values)?;
    for line in remarks(&inferred) {
        talk::say(&format!("-- {line}"));
    }
    talk::print(&(inferred.ddl().context("a type that was inferred has no name")? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be said beside an inferred schema, a line each.
pub fn remarks(inferred: &Inferred) -> Vec<String> {
    let mut lines = vec![format!("inferred from {} record(s)", inferred.records)];
    lines.extend(inferred.notes.iter().map(|(place, why)| format!("{}: {why}", shown(place))));
    lines.extend(inferred.refused.iter().map(|((code, path), count)| {
        format!("{count} of these records would go to the quarantine: {code} at {}", shown(path))
    }));
    lines
}

/// A name from a record, on one line and harmless for a terminal.
fn shown(name: &str) -> String {
    talk::one_line(name).chars().take(200).collect()
}
