//! What PostgreSQL's refusals mean: is it the row, or does it pass.
//!
//! What must stay true: only what a row itself causes, and would cause again whenever it came, is a row's fault. All
//! else is tried again for ever: a row is never given up because a server is down, full, read-only, or has lost a column.

use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use tokio_postgres::error::{DbError, SqlState};

/// Words and code of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub sqlstate: String,
    /// The column or constraint that is named.
    pub place: Option<String>,
    /// Message, detail and hint.
    pub text: String,
}

impl Words {
    fn of(error: &DbError) -> Self {
        let mut text = error.message().to_owned();
        for more in [error.detail(), error.hint()].into_iter().flatten() {
            text.push_str(". ");
            text.push_str(more.trim_end_matches('.'));
        }
        let place = error.column().or(error.constraint()).map(one_line);
        Self { sqlstate: error.code().code().to_owned(), place, text: one_line(&text) }
    }
}

/// Without signs that would begin a line of a log or move a terminal's cursor: the server's words hold values of rows.
fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// The words, if it is the fault of a row.
pub fn of_row(error: &tokio_postgres::Error) -> Option<Words> {
    let error = error.as_db_error()?;
    is_row_fault(error.code()).then(|| Words::of(error))
}

/// Data exceptions, broken constraints, views with check options, triggers that refuse, and what is too large for a
/// page or an index. Not what says that both sides disagree on the form of the data, since then any row would be refused.
fn is_row_fault(state: &SqlState) -> bool {
    let code = state.code();
    if matches!(code, "22P03" | "22P04" | "22P06") {
        return false;
    }
    matches!(code.get(..2), Some("22" | "23" | "44" | "P0")) || code == "54000"
}

/// An error of a step, for the engine: tried again for ever.
pub fn failed(what: &str, shown: &str, error: &tokio_postgres::Error) -> Error {
    let message = format!("cannot {what} in PostgreSQL at {shown}");
    match error.as_db_error() {
        Some(db) => {
            let Words { sqlstate, text, .. } = Words::of(db);
            let error = Error::new(&codes::SINK_UNAVAILABLE, message)
                .with_detail(format!("{text} (SQLSTATE {sqlstate})"));
            match hint(db.code()) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        None => Error::new(&codes::SINK_UNAVAILABLE, message).with_detail(said(error)).with_hint(format!(
            "{} It is tried again until it works; nothing is lost meanwhile.",
            unreached(error, shown)
        )),
    }
}

/// What a person can do about a server that was not reached, or no longer.
fn unreached(error: &(dyn std::error::Error + 'static), shown: &str) -> String {
    use std::io::ErrorKind;
    let mut cause = Some(error);
    let mut kind = None;
    while let Some(error) = cause {
        kind = kind.or(error.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        cause = error.source();
    }
    match kind {
        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            format!("No PostgreSQL listens at {shown}: start it there, or mend host and port in `url`.")
        }
        Some(ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            format!(
                "Nothing answers at {shown}: look at the network and its firewalls, or mend host and port in `url`."
            )
        }
        _ => format!("Look whether PostgreSQL runs at {shown} and what its log says, or mend `url`."),
    }
}

/// A library's error with what caused it.
pub fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

fn hint(state: &SqlState) -> Option<&'static str> {
    Some(match state.code() {
        "28P01" | "28000" => {
            "Check `user` and `password`, and the server's pg_hba.conf. It is tried again until it works."
        }
        "3D000" => "Make the database (`createdb NAME`), or mend `url`. It is tried again until it works.",
        "3F000" => {
            "Make the schema (`CREATE SCHEMA …`), or mend `dbtable`. It is tried again until it works."
        }
        "42501" => {
            "Grant the user what is missing: INSERT on the table, CREATE on the schema for tables that Forebay makes. It is tried again until it works."
        }
        "42P01" | "42703" => {
            "A table or column that the query writes is gone. Put it back; nothing is lost meanwhile."
        }
        "25006" => {
            "The server is read-only or a standby. Name the primary in `url`, several hosts with commas between them."
        }
        "53100" => "The server's disk is full. Make room; nothing is lost meanwhile.",
        "53300" => "The server has no free connection: raise max_connections, or close some.",
        "55P03" => "Somebody holds a lock on the table. It is tried again until it is free.",
        _ => return None,
    })
}

/// A step that took too long.
pub fn timed_out(what: &str, shown: &str, limit: Duration) -> Error {
    let message = format!("cannot {what} in PostgreSQL at {shown}");
    Error::new(&codes::SINK_UNAVAILABLE, message)
        .with_detail(format!("no answer for {} seconds", limit.as_secs()))
        .with_hint(
            "The server or the network between is stuck, or a statement needs longer than `queryTimeout`.",
        )
}

/// A step that a query did not wait for, because it is to end.
pub fn given_up(what: &str, shown: &str, grace: Duration) -> Error {
    let message = format!("cannot {what} in PostgreSQL at {shown}");
    Error::new(&codes::SINK_UNAVAILABLE, message)
        .with_detail(format!("no answer for {} seconds, and the query is to end", grace.as_secs()))
        .with_hint("The epoch is written at the next start, unless the server has it by then.")
}

/// Rows were refused: the epoch comes again, and then in pieces.
pub fn rows_refused(words: &Words) -> Error {
    Error::new(&codes::SINK_ROWS_REFUSED, "PostgreSQL refused a row; the epoch is written again, without it")
        .with_detail(format!("{} (SQLSTATE {})", words.text, words.sqlstate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_reached_is_told_with_what_to_do() {
        for (kind, says) in [
            (std::io::ErrorKind::ConnectionRefused, "No PostgreSQL listens at h:1/d: start it there"),
            (std::io::ErrorKind::TimedOut, "Nothing answers at h:1/d"),
            (std::io::ErrorKind::BrokenPipe, "what its log says"),
        ] {
            let told = unreached(&std::io::Error::from(kind), "h:1/d");
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn words_of_a_server_stay_on_their_line() {
        assert_eq!(
            one_line("Key (a)=(x\n2026 INFO all is well\u{1b}[2J)"),
            "Key (a)=(x\\n2026 INFO all is well\\u{1b}[2J)"
        );
    }

    #[test]
    fn a_row_is_given_up_for_its_own_sake_only() {
        for (code, expected) in [
            ("23505", true),  // unique violation
            ("23502", true),  // not null
            ("23514", true),  // check; also: no partition for the row
            ("22001", true),  // too long for varchar(n)
            ("22003", true),  // out of range
            ("22P02", true),  // no such label of an enumeration
            ("22021", true),  // NUL in a text
            ("54000", true),  // row or index entry too large
            ("P0001", true),  // a trigger refuses
            ("22P03", false), // the column has another type by now
            ("22P04", false),
            ("42703", false), // column dropped
            ("42501", false), // permission
            ("25006", false), // read-only
            ("40P01", false), // deadlock
            ("53100", false), // disk full
            ("55P03", false), // lock not available
            ("57P01", false), // terminated
            ("08006", false),
            ("XX000", false),
        ] {
            assert_eq!(is_row_fault(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
