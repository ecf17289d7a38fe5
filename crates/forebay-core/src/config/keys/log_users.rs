//! The keys of the file of `--kafka-users`.

use super::{Section, key, required};

/// The file of `--kafka-users`; not a part of a pipeline file, so not in [`ALL`](super::ALL).
pub static LOG_USERS: Section = Section {
    path: "The file of `--kafka-users`",
    doc: "Who may use the embedded log.",
    keys: &[required(
        "users",
        "mapping of users",
        "Each under its name, as `forebay token kafka` writes it.",
    )],
};

const LIST: &str = "list of patterns";

/// `users: NAME:`
pub static LOG_USER: Section = Section {
    path: "`users.NAME`",
    doc: "Somebody who may use the embedded log: how they prove who they are, and what is theirs. A pattern is a name, or the \
          beginning of names with `*` behind it. What is not listed is not theirs.",
    keys: &[
        key(
            "sha256",
            "64 hexadecimal digits",
            None,
            "The hash of the token, for SASL PLAIN, which needs TLS.",
        ),
        key("scram", "`SCRAM-SHA-256$…`", None, "What SASL SCRAM-SHA-256 needs of the token."),
        key("scram512", "`SCRAM-SHA-512$…`", None, "What SASL SCRAM-SHA-512 needs of the token."),
        key("certificate", "text", None, "The common name of a client certificate that stands for the user."),
        key("admin", "`true` or `false`", Some("false"), "May everything, whatever the lists say."),
        key("read", LIST, None, "Topics to read."),
        key("write", LIST, None, "Topics to write to."),
        key("create", LIST, None, "Topics to make."),
        key(
            "describe",
            LIST,
            None,
            "Topics to look at without reading; who may read, write, alter or delete one may this too.",
        ),
        key("alter", LIST, None, "Topics whose settings and number of partitions may be changed."),
        key("delete", LIST, None, "Topics to delete."),
        key("groups", LIST, None, "Consumer groups to be in, to look at and to delete."),
        key("transactionalIds", LIST, None, "Ids of transactional producers."),
    ],
};
