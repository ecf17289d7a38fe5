//! The keys of the file of `--auth`.

use super::{Section, key, required};

/// The file of `--auth`; not a part of a pipeline file, so not in [`ALL`].
pub static AUTH: Section = Section {
    path: "The file of `--auth`",
    doc: "Who may ask the server.",
    keys: &[required("tokens", "list of tokens", "Each as `- { name: ana, role: viewer, sha256: … }`.")],
};

/// `tokens: -`
pub static TOKEN: Section = Section {
    path: "`tokens`",
    doc: "One token.",
    keys: &[
        required("name", "name", "Whose it is: shown on the page and in the log."),
        required("role", "`viewer`, `operator` or `admin`", "What it may do."),
        required(
            "sha256",
            "64 hexadecimal digits",
            "The hash of the token, as `forebay token new` prints it.",
        ),
        key(
            "scram",
            "`SCRAM-SHA-256$…`",
            None,
            "What PostgreSQL's clients are let in by, as `forebay token new` prints it.",
        ),
        key("expires", "date", None, "From when on it is worth nothing."),
    ],
};
