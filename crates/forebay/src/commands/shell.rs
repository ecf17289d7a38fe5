//! `forebay completions` and `forebay man`: the command line, told to shells and to `man`.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::commands::wrong_name;
use crate::talk;

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "forebay", &mut script);
    talk::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let mut root = Cli::command().disable_help_subcommand(true);
    // Tells each command the options of all, and its full name.
    root.build();
    let mut command = &root;
    for word in &args.command {
        let known = || command.get_subcommands().filter(|known| !known.is_hide_set());
        command = match known().find(|known| known.get_name() == word) {
            Some(found) => found,
            None => return Err(wrong_name("command", word, known().map(clap::Command::get_name)).into()),
        };
    }
    let mut page = Vec::new();
    let source = concat!("Forebay ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).manual("Forebay").render(&mut page)?;
    talk::print(&String::from_utf8(page)?)?;
    Ok(ExitCode::SUCCESS)
}
