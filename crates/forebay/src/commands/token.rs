//! `forebay token`: tokens for the HTTP server and the Postgres wire. What is kept of one is its hash, and what SCRAM needs
//! beside it; the token itself is printed once.
//!
//! A token never stands on a command line, where everybody on the machine could read it in the list of processes. What
//! must stay true: the file stays whose it was; two who add to it at once both do; no problem that is told shows what
//! stands in the file, because that may be a token in a wrong place.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forebay_core::Error;
use forebay_core::config::{self, parse_tokens};
use forebay_core::error::codes;
use forebay_server::{NewToken, read_tokens};
use forebay_storage::{Door, read_regular};

use crate::cli::{NewTokenArgs, TokenCommand};
use crate::talk;

mod device;
mod log_user;

/// Largest file that is looked at.
const MOST_BYTES: u64 = 1 << 20;
/// What helps where the file is somebody else's.
const NOT_OURS: &str =
    "The file stays whose it is: run this as its owner, who must be let write to its folder too.";

pub fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::New(args) => new(&args),
        TokenCommand::Device(args) => device::new(&args),
        TokenCommand::Kafka(args) => log_user::new(&args),
        TokenCommand::Ls { auth } => ls(&auth),
    }
}

fn new(args: &NewTokenArgs) -> anyhow::Result<ExitCode> {
    let token = NewToken::random()?;
    let expires = args.expires.as_ref().map(|date| format!(", expires: {date}")).unwrap_or_default();
    let entry = format!(
        "- {{ name: {}, role: {}, sha256: {}, scram: \"{}\"{expires} }}",
        args.name,
        args.role.word(),
        token.sha256(),
        token.scram()?
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
        "The token is shown this once. It goes into the page's form, into the header `Authorization: Bearer …`, and is the password of PostgreSQL's clients, whose user is the token's name.",
    );
    talk::print(&format!("{}\n", token.reveal()))?;
    Ok(ExitCode::SUCCESS)
}

/// Adds an entry at the end of the file. What stands there already stays as it is, remarks included.
fn add(file: &Path, entry: &str) -> anyhow::Result<()> {
    let place = place_of(file)?;
    let failed = |error: io::Error| {
        let told = Error::new(&codes::STORAGE, "the file of tokens cannot be written").at(file.display());
        let told = match error.kind() {
            io::ErrorKind::PermissionDenied => told.with_hint(NOT_OURS),
            _ => told,
        };
        told.caused_by(error)
    };
    let _turn = turn(&place).map_err(failed)?;
    let (before, text) = match place.exists() {
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
    Ok(Door::new().write_private(&place, text.as_bytes()).map_err(failed)?)
}

/// Where the file is: where its name is a link, what that points to is written, and not the link.
fn place_of(file: &Path) -> Result<PathBuf, Error> {
    if !file.is_symlink() {
        return Ok(file.to_path_buf());
    }
    file.canonicalize().map_err(|error| {
        Error::new(&codes::TOKENS, "the file of tokens is a link that leads nowhere")
            .at(file.display())
            .caused_by(error)
            .with_hint("Remove the link, or give `--auth` the name that it points to.")
    })
}

/// A turn to read and write the file, until it is dropped; whoever has one now is waited for. The folder is locked, not
/// the file: that is replaced, and who waits for its lock would get the one of the file that is gone.
fn turn(place: &Path) -> io::Result<File> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")))?;
    folder.lock()?;
    Ok(folder)
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
        let text = read_regular(file, MOST_BYTES).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else { return Err(error.into()) };
        let name = file.display().to_string();
        let Err(problems) = parse_tokens(&text, &name) else { return Err(error.into()) };
        // Without its lines: a token may stand in them.
        talk::say(config::render(&problems, "", &name, talk::is_colored()).trim_end());
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

    #[test]
    fn those_who_add_at_once_all_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.yaml");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = &file;
                scope.spawn(move || add(file, &entry(&format!("n{n}"), &n.to_string())).unwrap());
            }
        });
        assert_eq!(read_tokens(&file).unwrap().len(), 8);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_link_is_followed_or_refused_and_never_replaced() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (file, link, target) =
            (dir.path().join("auth.yaml"), dir.path().join("link"), dir.path().join("target"));
        add(&target, &entry("old", "b")).unwrap();
        symlink(&target, &link).unwrap();
        add(&link, &entry("ana", "a")).unwrap();
        assert_eq!(read_tokens(&target).unwrap().len(), 2);
        symlink(dir.path().join("nothing"), &file).unwrap();
        let refused = add(&file, &entry("ana", "a")).unwrap_err();
        let refused = refused.downcast_ref::<Error>().unwrap();
        assert_eq!(refused.code(), &codes::TOKENS);
        assert!(refused.hint().contains("Remove the link"), "{refused:?}");
        assert!([&file, &link].iter().all(|it| it.symlink_metadata().unwrap().is_symlink()));
        assert!(!dir.path().join("nothing").exists());
    }
}
