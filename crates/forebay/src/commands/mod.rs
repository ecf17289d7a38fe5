//! One file for each command.

mod alerts;
mod backtest;
mod checkpoint;
mod demo;
mod explain;
mod health;
mod init;
mod log;
mod plan;
mod produce;
mod quarantine;
mod query;
mod reference;
mod run;
mod schema;
mod shell;
mod simulate;
mod spark;
mod test;
mod token;
mod top;
mod train;
mod trial;
mod validate;
mod why;

use std::io;
use std::path::Path;
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

/// The error of what this user may not read; `None` for every other reason.
pub fn denied(path: &Path, error: &io::Error) -> Option<Error> {
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| {
        Error::new(&codes::FILE_UNREADABLE, "permission denied").at(path.display()).with_hint(
            "Run this as the user who owns the file or folder, or give the user of this process the right to read it.",
        )
    })
}

/// Says of a build for tests that it is one, before it touches anybody's data.
fn warn_of_test_hooks(command: &Command) {
    let touches_data = matches!(
        command,
        Command::Run(_)
            | Command::Demo(_)
            | Command::Query(_)
            | Command::Log(crate::cli::LogCommand::Serve { .. })
    );
    if forebay_storage::FAULTS_BUILT_IN && touches_data {
        crate::talk::say(
            "warning: this build carries test hooks (kill points, storage faults); do not use it for real data",
        );
    }
}

/// Runs the command that was typed.
pub async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = cli.global;
    warn_of_test_hooks(&cli.command);
    match cli.command {
        Command::Run(args) => run::run(&global, &args).await,
        Command::Demo(args) => demo::run(&global, &args).await,
        Command::Top(args) => top::run(&global, &args).await,
        Command::Alerts(args) => alerts::run(&global, &args).await,
        Command::Health(args) => health::run(&global, &args).await,
        Command::Validate(args) => validate::run(&global, &args),
        Command::Test(args) => test::run(&global, &args).await,
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
        Command::Token(command) => token::run(command),
        Command::Init(args) => init::run(&global, &args).await,
        Command::Plan(args) => plan::run(&global, &args).await,
        Command::Spark(args) => spark::run(&global, &args).await,
        Command::Train(args) => train::run(&global, &args).await,
        Command::Trial(args) => trial::run(&args),
        Command::Backtest(args) => backtest::run(&global, &args).await,
        Command::Why(command) => why::run(&global, command).await,
        Command::Schema(command) => schema::run(&global, command).await,
        Command::Explain { code } => explain::run(code.as_deref()),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::Reference { dir } => reference::run(&dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_denied_permission_is_told_as_one() {
        let told = denied(Path::new("data/log"), &io::ErrorKind::PermissionDenied.into()).unwrap();
        assert!(told.message().contains("permission denied") && told.place() == Some("data/log"));
        assert!(denied(Path::new("x"), &io::ErrorKind::NotFound.into()).is_none());
    }
}
