//! Detectors in PostgreSQL's dialect: they are not there, and a statement that calls one is told so.

use forebay_core::Error;
use forebay_core::error::codes;

use crate::adhoc::TableResolver;
use crate::plan::SqlError;

/// The refusal of a function that does not exist, in other words where it is a detector.
pub(super) fn told(refused: SqlError, tables: &dyn TableResolver) -> SqlError {
    let Some(functions) = tables.detectors() else { return refused };
    let message = refused.error.message();
    let unknown = message.to_ascii_lowercase();
    let unknown = unknown.strip_prefix("invalid function '").and_then(|rest| rest.split('\'').next());
    let kinds = functions.learning().into_iter().chain(functions.trained());
    let Some(name) = kinds.into_iter().find(|kind| Some(*kind) == unknown) else { return refused };
    let message = format!("{name}() is a detector, and detectors are not called over the Postgres wire");
    let error = Error::new(&codes::SQL_PLAN, message).with_hint(
        "Read the table of a query whose SQL calls it, or ask `forebay query` or the REST interface (docs/detectors.md).",
    );
    SqlError::new(error, refused.place)
}
