//! One file for each command.

mod checkpoint;
mod demo;
mod log;
mod produce;
mod quarantine;
mod query;
mod reference;
mod run;
mod simulate;
mod validate;

use std::process::ExitCode;

use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use crate::cli::{CheckpointCommand, Cli, Command};

/// The error for a name on the command line that nothing has.
pub fn wrong_name<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let unknown = unknown_name(what, name, known);
    Error::new(&codes::WRONG_USE, unknown.message()).with_hint(unknown.hint())
}

/// Runs the command that was typed.
pub async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = cli.global;
    match cli.command {
        Command::Run(args) => run::run(&global, &args).await,
        Command::Demo(args) => demo::run(&global, &args).await,
        Command::Validate(args) => validate::run(&global, &args),
        Command::Query(args) => query::run(&global, &args).await,
        Command::Produce(args) | Command::Log(crate::cli::LogCommand::Produce(args)) => {
            produce::run(&global, &args).await
        }
        Command::Simulate(args) => simulate::run(&global, &args).await,
        Command::Quarantine(command) => quarantine::run(&global, command),
        Command::Log(command) => log::run(&global, command).await,
        Command::Checkpoint(CheckpointCommand::Show { path, query, json, entries }) => {
            checkpoint::show(&global, &path, query.as_deref(), json, entries)
        }
        Command::Reference { dir } => reference::run(&dir),
    }
}
