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
pub(super) const BAD_BINARY: &str = "22P03";
pub(super) const OUT_OF_RANGE: &str = "22003";
pub(super) const BAD_TIME: &str = "22007";
pub(super) const FAR_TIME: &str = "22008";
pub(super) const NO_MEMORY: &str = "53200";
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
        return of_words(message).unwrap_or(SYNTAX);
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
        let said = of_words(message).or_else(|| of_words(error.detail().unwrap_or_default()));
        return said.unwrap_or("22000");
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

/// How sentences begin, and what they are.
const BEGINS: [(&str, &str); 28] = [
    ("unknown table", "42P01"),
    ("table function", "42883"),
    ("unknown column", "42703"),
    ("no field named", "42703"),
    ("unknown function", "42883"),
    ("invalid function", "42883"),
    ("cannot call", "42883"),
    ("cannot compare", "42883"),
    ("cannot compute", "42883"),
    ("unknown type", "42704"),
    ("cannot execute", READ_ONLY),
    ("the condition `", "42804"),
    ("failed to coerce", "42804"),
    ("incompatible inputs for union", "42804"),
    ("cannot tell the type", "42P18"),
    ("column `", "42803"),
    ("there is no parameter", "42P02"),
    ("cannot find column with position", "42P10"),
    ("limit must be", "2201W"),
    ("offset must be", "2201X"),
    ("window \"", "42704"),
    ("cannot override", "42P20"),
    ("cannot copy the frame clause", "42P20"),
    ("cannot take logarithm", "2201E"),
    ("cannot take square root", "2201F"),
    ("zero raised to a negative power", "2201F"),
    ("a negative number raised", "2201F"),
    ("invalid hexadecimal", BAD_TEXT),
];
/// What stands anywhere in a sentence, in this order.
const HOLDS: [(&str, &str); 14] = [
    ("divide by zero", "22012"),
    ("division by zero", "22012"),
    ("ambiguous", "42702"),
    ("subquery returned more than one row", "21000"),
    ("duplicate", "42701"),
    ("unique expression names", "42701"),
    ("date/time field", FAR_TIME),
    ("out of range for type timestamp", FAR_TIME),
    ("out of range for type date", FAR_TIME),
    ("underflow", OUT_OF_RANGE),
    ("overflow", OUT_OF_RANGE),
    ("out of range", OUT_OF_RANGE),
    ("too large to store", OUT_OF_RANGE),
    ("invalid regular expression", "2201B"),
];
/// Types of times as messages name them.
const TIMES: [&str; 4] = ["TIMESTAMP", "DATE", "TIME", "INTERVAL"];

/// The SQLSTATE of a sentence that DataFusion, Arrow or we say; `None` for one that is not known.
fn of_words(message: &str) -> Option<&'static str> {
    let lower = message.to_lowercase();
    let syntax = lower.strip_prefix("invalid input syntax for type ");
    let begins = BEGINS.iter().find(|(begin, _)| lower.starts_with(begin)).map(|(_, state)| *state);
    if let Some(type_and_text) = syntax {
        let is_time = TIMES.iter().any(|time| type_and_text.starts_with(&time.to_lowercase()));
        return Some(if is_time { of_time(&lower) } else { BAD_TEXT });
    }
    if lower.starts_with("error parsing timestamp") || lower.starts_with("error parsing date") {
        return Some(of_time(&lower));
    }
    if let Some(begins) = begins {
        return Some(begins);
    }
    // What a cast of a text says: `cannot cast string 'x' to value of INT type`.
    if let Some((text, to)) =
        lower.strip_prefix("cannot cast string '").and_then(|rest| rest.rsplit_once("' to value of "))
    {
        let is_number = text.trim().trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit());
        let is_time = TIMES.iter().any(|time| to.starts_with(&time.to_lowercase()));
        return Some(match (is_time, is_number && !text.trim().is_empty()) {
            (true, _) => of_time(&lower),
            (false, true) => OUT_OF_RANGE,
            (false, false) => BAD_TEXT,
        });
    }
    // Of a number: `can't cast value 3000000000 to type INT`.
    if lower.starts_with("can't cast value") || lower.starts_with("cannot cast to decimal") {
        return Some(OUT_OF_RANGE);
    }
    let holds = HOLDS.iter().find(|(part, _)| lower.contains(part)).map(|(_, state)| *state);
    holds
        .or_else(|| lower.starts_with("cannot cast").then_some("42846"))
        .or_else(|| (lower.contains("cast") || lower.contains("pars")).then_some(BAD_TEXT))
}

/// Of a time that cannot be read: one that has the form of a date names a month or a day that is none.
fn of_time(message: &str) -> &'static str {
    let text = message.split(['\'', '"']).nth(1).unwrap_or_default().trim();
    let day = text.split([' ', 't']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split('-').collect();
    let is_date = parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_date { FAR_TIME } else { BAD_TIME }
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
            ("unknown function `x`", "42883"),
            ("cannot compare INT = BINARY", "42883"),
            ("the condition `n + BIGINT(1)` is of type BIGINT, not BOOLEAN", "42804"),
            ("invalid input syntax for type integer: \"x\"", BAD_TEXT),
            ("cannot cast string 'x' to value of INT type", BAD_TEXT),
            ("cannot cast string '99999999999' to value of INT type", OUT_OF_RANGE),
            ("can't cast value 3000000000 to type INT", OUT_OF_RANGE),
            ("cannot cast string 'x' to value of DATE type", BAD_TIME),
            ("error parsing timestamp from '2026-13-01': error parsing date", FAR_TIME),
            ("divide by zero", "22012"),
            ("a sentence that nobody knows", SYNTAX),
        ] {
            assert_eq!(Refusal::from(error(message)).state, state, "{message}");
        }
        let failed = |detail: &str| {
            Refusal::from(
                Error::new(&codes::QUERY_FAILED, "an expression of the query failed")
                    .with_detail(detail.to_owned()),
            )
            .state
        };
        assert_eq!(failed("divide by zero"), "22012");
        assert_eq!(failed("arithmetic overflow: Overflow happened on: 2147483647 + 1"), OUT_OF_RANGE);
        assert_eq!(failed("cannot cast string 'x' to value of BIGINT type"), BAD_TEXT);
        let late = Error::new(&codes::QUERY_LIMIT, "the query took longer than 1s");
        assert_eq!(Refusal::from(late).state, CANCELED);
        let placed = SqlError::new(error("unknown column `x`"), Some((2, 3)));
        assert_eq!(Refusal::of(placed, "SELECT ü,\n  x").position, Some(13));
    }
}
