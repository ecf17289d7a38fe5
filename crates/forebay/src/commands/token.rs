//! `forebay token`: tokens for the HTTP server. What is kept of one is its hash; the token itself is printed once.
//!
//! A token never stands on a command line, where everybody on the machine could read it in the list of processes.

use std::path::Path;
use std::process::ExitCode;

use forebay_core::Error;
use forebay_core::config::{self, parse_tokens};
use forebay_core::error::codes;
use forebay_server::{NewToken, read_tokens};
use forebay_storage::Door;

use crate::cli::{NewTokenArgs, TokenCommand};
use crate::talk;

pub fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::New(args) => new(&args),
        TokenCommand::Ls { auth } => ls(&auth),
    }
}

fn new(args: &NewTokenArgs) -> anyhow::Result<ExitCode> {
    let token = NewToken::random()?;
    let expires = args.expires.as_ref().map(|date| format!(", expires: {date}")).unwrap_or_default();
    let entry = format!(
        "- {{ name: {}, role: {}, sha256: {}{expires} }}",
        args.name,
        args.role.word(),
        token.sha256()
    );
    match &args.auth {
        Some(file) => {
            add(file, &entry)?;
            talk::say(&format!(
                "{} was added to {}; a server that reads it needs no restart.",
                args.name,
                file.display()
            ));
        }
        None => talk::say(&format!("The entry for the file of `--auth`, below `tokens:`:\n  {entry}")),
    }
    talk::say(
        "The token is shown this once. It goes into the page's form, or into the header `Authorization: Bearer …`.",
    );
    talk::print(&format!("{}\n", token.reveal()))?;
    Ok(ExitCode::SUCCESS)
}

/// Adds an entry at the end of the file. What stands there already stays as it is, remarks included.
fn add(file: &Path, entry: &str) -> anyhow::Result<()> {
    let (before, text) = match file.exists() {
        true => (read_tokens(file)?, std::fs::read_to_string(file)?),
        false => (
            Vec::new(),
            "# Who may ask Forebay's HTTP server (`forebay run --auth`): hashes, no tokens.\ntokens:\n"
                .to_owned(),
        ),
    };
    // In the form that `new` writes when a file has none yet.
    let text = match text.trim_end().strip_suffix("tokens: []") {
        Some(before) => format!("{before}tokens:\n"),
        None => text,
    };
    let last = text.lines().rev().find(|line| line.trim_start().starts_with("- "));
    let indent = last.map_or("  ", |line| &line[..line.len() - line.trim_start().len()]);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}{indent}{entry}\n");
    let name = file.display().to_string();
    match parse_tokens(&text, &name) {
        Ok(tokens) if tokens.len() == before.len() + 1 => {}
        Ok(_) => return Err(by_hand(&name, entry).into()),
        Err(problems) => {
            let doubled = problems.iter().find(|problem| problem.error.message().contains("named"));
            return Err(doubled.map_or_else(|| by_hand(&name, entry), |problem| {
                let hint = "Remove that entry first, or choose another name: each token is revoked by its name.";
                Error::new(&codes::TOKENS, problem.error.message()).at(&name).with_hint(hint)
            }).into());
        }
    }
    // Where the name is a link, what it points to is written, not the link.
    let place = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    Door::new().write_private(&place, text.as_bytes()).map_err(|error| {
        Error::new(&codes::STORAGE, "the file of tokens cannot be written").at(&name).caused_by(error)
    })?;
    Ok(())
}

fn by_hand(file: &str, entry: &str) -> Error {
    Error::new(&codes::TOKENS, "the file is written so that nothing can be added at its end")
        .at(file)
        .with_hint(format!(
            "Make the token without `--auth` and add its line by hand; it looks like `{entry}`."
        ))
}

fn ls(file: &Path) -> anyhow::Result<ExitCode> {
    // As the server reads it: what is refused there is refused here, but all of it at once.
    if let Err(error) = read_tokens(file) {
        let Ok(text) = std::fs::read_to_string(file) else { return Err(error.into()) };
        let name = file.display().to_string();
        let Err(problems) = parse_tokens(&text, &name) else { return Err(error.into()) };
        talk::say(config::render(&problems, &text, &name, talk::is_colored()).trim_end());
        return Ok(ExitCode::FAILURE);
    }
    let mut out = String::new();
    for token in read_tokens(file)? {
        let until = token.expires_ms.and_then(chrono::DateTime::from_timestamp_millis);
        let until =
            until.map_or_else(|| "never".to_owned(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string());
        out += &format!("{:<24} {:<9} expires {until}\n", token.name, token.role.word());
    }
    talk::print(&out)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::config::Role;

    fn entry(name: &str, digit: &str) -> String {
        format!("- {{ name: {name}, role: viewer, sha256: {} }}", digit.repeat(64))
    }

    #[test]
    fn an_entry_is_added_to_whatever_is_there_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.yaml");
        for before in [
            String::new(),
            "tokens: []\n".to_owned(),
            format!("# ours\ntokens:\n- name: old # remark\n  role: admin\n  sha256: {}", "b".repeat(64)),
            format!("tokens:\n    {}\n\n# end", entry("old", "b")),
        ] {
            let _ = Door::new().remove_file(&file);
            if !before.is_empty() {
                Door::new().write_atomic(&file, before.as_bytes()).unwrap();
            }
            add(&file, &entry("ana", "a")).unwrap();
            let tokens = read_tokens(&file).unwrap();
            assert_eq!(tokens.last().unwrap().name, "ana", "{before}");
            assert_eq!(tokens.len(), 1 + usize::from(before.contains("old")), "{before}");
            let after = std::fs::read_to_string(&file).unwrap();
            assert!(before.contains("[]") || after.starts_with(&before), "{before}: {after}");
            let refused = add(&file, &entry("ana", "c")).unwrap_err().to_string();
            assert!(refused.contains("named `ana`"), "{refused}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
        }
        let flow = format!("tokens: [{}]\n", &entry("old", "b")[2..]);
        Door::new().write_atomic(&file, flow.as_bytes()).unwrap();
        assert!(add(&file, &entry("ana", "a")).unwrap_err().to_string().contains("at its end"));
        assert_eq!(read_tokens(&file).unwrap()[0].role, Role::Viewer);
    }
}
