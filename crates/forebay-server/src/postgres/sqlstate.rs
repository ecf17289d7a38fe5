//! An error in the words of PostgreSQL's protocol: its SQLSTATE, by which programs know it, and its place in the text.

use forebay_core::error::codes;
use forebay_core::{Error, error::Fault};
use forebay_engine::plan::SqlError;

/// Longest text of an error that is sent.
const LONGEST: usize = 4_000;

/// What a client is told.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// Five letters of PostgreSQL's.
    pub state: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// The letter of the statement's text at which it is, from 1.
    pub position: Option<usize>,
    /// True if the connection ends with it.
    pub is_fatal: bool,
}

pub(super) const SYNTAX: &str = "42601";
pub(super) const READ_ONLY: &str = "25006";
pub(super) const NOT_SUPPORTED: &str = "0A000";
pub(super) const PROTOCOL: &str = "08P01";
pub(super) const FAILED_TRANSACTION: &str = "25P02";
pub(super) const CANCELED: &str = "57014";
pub(super) const SHUTDOWN: &str = "57P01";
pub(super) const PASSWORD: &str = "28P01";
pub(super) const NOT_ALLOWED: &str = "28000";
pub(super) const NO_STATEMENT: &str = "26000";
pub(super) const NO_PORTAL: &str = "34000";
pub(super) const BAD_VALUE: &str = "22023";
pub(super) const BAD_TEXT: &str = "22P02";
pub(super) const TOO_LARGE: &str = "54000";
pub(super) const TOO_MANY: &str = "53300";
pub(super) const UNKNOWN_SETTING: &str = "42704";

impl Refusal {
    pub fn new(state: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { state, message, detail: None, hint: None, position: None, is_fatal: false }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn fatal(mut self) -> Self {
        self.is_fatal = true;
        self
    }

    /// That of a statement, which stands in this text.
    pub fn of(error: SqlError, sql: &str) -> Self {
        let position = error.place.and_then(|place| position(sql, place));
        Self { position, ..Self::from(error.error) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let detail = match (error.place(), error.detail()) {
            (Some(place), Some(detail)) => Some(format!("{place}: {detail}")),
            (place, detail) => place.or(detail).map(str::to_owned),
        };
        let detail = detail.map(|detail| format!("{detail} ({})", error.code().id));
        let detail = detail.or_else(|| Some(error.code().id.to_owned()));
        Self {
            state: state(&error),
            message: short(error.message()),
            detail: detail.map(|detail| short(&detail)),
            // What a code says of itself speaks of Spark's dialect.
            hint: Some(error.hint()).filter(|hint| *hint != error.code().remedy).map(short),
            position: None,
            is_fatal: false,
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The SQLSTATE of an error.
fn state(error: &Error) -> &'static str {
    let (code, message) = (error.code(), error.message());
    if code == &codes::SQL_SYNTAX {
        return SYNTAX;
    }
    if code == &codes::SQL_PLAN {
        let begins = [
            ("invalid input syntax", BAD_TEXT),
            ("unknown table", "42P01"),
            ("unknown column", "42703"),
            ("unknown function", "42883"),
            ("cannot call", "42883"),
            ("unknown type", "42704"),
            ("cannot compare", "42883"),
            ("cannot compute", "42883"),
            ("column `", "42803"),
            ("cannot execute", READ_ONLY),
            ("invalid function", "42883"),
        ];
        let found = begins.iter().find(|(begin, _)| message.starts_with(begin)).map(|(_, state)| *state);
        return match found {
            Some(state) => state,
            None if message.contains("ambiguous") => "42702",
            None => "42000",
        };
    }
    if code == &codes::NOT_YET {
        return NOT_SUPPORTED;
    }
    if code == &codes::QUERY_LIMIT {
        let is_time = message.contains("took longer");
        let is_memory = message.contains("memory");
        return if is_time {
            CANCELED
        } else if is_memory {
            "53200"
        } else {
            "54000"
        };
    }
    if code == &codes::QUERY_FAILED {
        let detail = error.detail().unwrap_or_default().to_lowercase();
        return if detail.contains("divide by zero") {
            "22012"
        } else if detail.contains("overflow") || detail.contains("range") {
            "22003"
        } else if detail.contains("cast") || detail.contains("parse") {
            BAD_TEXT
        } else {
            "22000"
        };
    }
    if code == &codes::BUSY {
        return TOO_MANY;
    }
    match code.fault {
        Fault::User => "42000",
        Fault::External => "58030",
        Fault::Internal => "XX000",
    }
}

/// The letter of a text at a line and column, all from 1.
fn position(sql: &str, (line, column): (usize, usize)) -> Option<usize> {
    let before: usize =
        sql.split_inclusive('\n').take(line.checked_sub(1)?).map(|line| line.chars().count()).sum();
    Some(before + column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_know_an_error_by_its_state_and_people_by_its_place() {
        let error = |message: &str| Error::new(&codes::SQL_PLAN, message.to_owned());
        for (message, state) in [
            ("unknown table `x`", "42P01"),
            ("unknown column `x`", "42703"),
            ("cannot execute INSERT in a read-only transaction", "25006"),
        ] {
            assert_eq!(Refusal::from(error(message)).state, state, "{message}");
        }
        let late = Error::new(&codes::QUERY_LIMIT, "the query took longer than 1s");
        assert_eq!(Refusal::from(late).state, CANCELED);
        let placed = SqlError::new(error("unknown column `x`"), Some((2, 3)));
        assert_eq!(Refusal::of(placed, "SELECT ü,\n  x").position, Some(13));
    }
}
