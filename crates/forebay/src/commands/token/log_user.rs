//! `forebay token kafka`: a user of the embedded log, its token printed once.
//!
//! What must stay true: as for `token new`: the file stays whose it is, what stands there stays as it is, and nothing that is told
//! shows a token.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use forebay_core::Error;
use forebay_core::config::parse_log_users;
use forebay_core::error::codes;
use forebay_core::scram::ScramHash;
use forebay_server::{NewToken, read_users_file};
use forebay_storage::Door;

use super::{NOT_OURS, by_hand, place_of, turn};
use crate::cli::LogUserArgs;
use crate::talk;

pub fn new(args: &LogUserArgs) -> anyhow::Result<ExitCode> {
    let token = NewToken::random()?;
    let entry = entry(args, &token)?;
    match &args.users {
        Some(file) => {
            add(file, &entry)?;
            talk::say(&format!(
                "{} was added to {}; a log that reads it needs no restart.",
                args.name,
                file.display()
            ));
        }
        None => talk::say(&format!("The entry for the file of `--kafka-users`, below `users:`:\n  {entry}")),
    }
    talk::say(
        "The token is shown this once. It is the password of Kafka's clients, by SASL SCRAM-SHA-512, SCRAM-SHA-256 or, over TLS, PLAIN; the user is the name.",
    );
    talk::print(&format!("{}\n", token.reveal()))?;
    Ok(ExitCode::SUCCESS)
}

/// The line of a user.
fn entry(args: &LogUserArgs, token: &NewToken) -> Result<String, Error> {
    let (sha256, scram) = (token.sha256(), token.scram()?);
    let mut keys = vec![
        format!("sha256: {sha256}"),
        format!("scram: \"{scram}\""),
        format!("scram512: \"{}\"", token.scram_of(ScramHash::Sha512)?),
    ];
    if args.admin {
        keys.push("admin: true".to_owned());
    }
    for (key, patterns) in [
        ("read", &args.read),
        ("write", &args.write),
        ("create", &args.create),
        ("describe", &args.describe),
        ("alter", &args.alter),
        ("delete", &args.delete),
        ("groups", &args.groups),
        ("transactionalIds", &args.transactional_ids),
    ] {
        if !patterns.is_empty() {
            keys.push(format!("{key}: {}", serde_json::json!(patterns)));
        }
    }
    Ok(format!("{}: {{ {} }}", args.name, keys.join(", ")))
}

/// Adds an entry at the end of the file. What stands there already stays as it is, remarks included.
fn add(file: &Path, entry: &str) -> anyhow::Result<()> {
    let place = place_of(file)?;
    let failed = |error: io::Error| {
        let told = Error::new(&codes::STORAGE, "the file of users cannot be written").at(file.display());
        let told = match error.kind() {
            io::ErrorKind::PermissionDenied => told.with_hint(NOT_OURS),
            _ => told,
        };
        told.caused_by(error)
    };
    let _turn = turn(&place).map_err(failed)?;
    let name = file.display().to_string();
    let parsed = |text: &str| {
        parse_log_users(text, &name).map_err(|problems| {
            let first = problems.into_iter().next().map(|problem| problem.error);
            first.unwrap_or_else(|| Error::new(&codes::INTERNAL, "the file was refused without a reason"))
        })
    };
    let (before, text) = match place.exists() {
        true => {
            let text = read_users_file(file)?;
            (parsed(&text)?.len(), text)
        }
        false => {
            let begin =
                "# Who may use Forebay's embedded log (`--kafka-users`): hashes, no tokens.\nusers:\n";
            (0, begin.to_owned())
        }
    };
    // In the form that a file may have which lets nobody in.
    let text = match text.trim_end().strip_suffix("users: {}") {
        Some(before) => format!("{before}users:\n"),
        None => text,
    };
    let is_entry = |line: &&str| line.starts_with(' ') && !line.trim_start().starts_with('#');
    let first = text.lines().find(is_entry);
    let indent = first.map_or("  ", |line| &line[..line.len() - line.trim_start().len()]);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}{indent}{entry}\n");
    match parsed(&text) {
        Ok(users) if users.len() == before + 1 => {}
        Err(error) if error.message().contains("stands twice") => {
            let hint = "Remove that entry first, or choose another name: each user is revoked by its name.";
            return Err(Error::new(&codes::TOKENS, error.message()).at(&name).with_hint(hint).into());
        }
        _ => return Err(by_hand(&name, entry).into()),
    }
    Ok(Door::new().write_private(&place, text.as_bytes()).map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str) -> LogUserArgs {
        LogUserArgs {
            name: name.into(),
            read: vec!["*".into(), "plant.*".into()],
            groups: vec!["g-*".into()],
            ..LogUserArgs::default()
        }
    }

    fn add_one(file: &Path, name: &str) -> anyhow::Result<()> {
        add(file, &entry(&args(name), &NewToken::random().unwrap()).unwrap())
    }

    #[test]
    fn a_user_is_added_to_whatever_is_there_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users.yaml");
        for before in [
            "",
            "users: {}\n",
            "# ours\nusers:\n    old:\n      certificate: old.plant # remark\n      read: [a]",
            "users:\n  # a remark\n  old: { certificate: old.plant }\n\n# end",
        ] {
            let _ = Door::new().remove_file(&file);
            if !before.is_empty() {
                Door::new().write_private(&file, before.as_bytes()).unwrap();
            }
            add_one(&file, "ana").unwrap();
            let after = std::fs::read_to_string(&file).unwrap();
            let users = parse_log_users(&after, "f").unwrap();
            assert_eq!(users.len(), 1 + usize::from(before.contains("old")), "{before}");
            let ana = users.last().unwrap();
            assert_eq!(
                (ana.name.as_str(), ana.topics.read.len(), &ana.groups[..]),
                ("ana", 2, &["g-*".to_owned()][..])
            );
            assert!(ana.sha256.is_some() && ana.scram.is_some() && ana.scram512.is_some() && !ana.admin);
            assert!(before.contains("{}\n") || after.starts_with(before), "{before}: {after}");
            assert!(add_one(&file, "ana").is_err(), "{after}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
        }
    }
}
