//! `deduplicate` of a query or view, for the planner, and where in the file its keys stand.

use forebay_core::config::{DeduplicateConfig, Placed, Problem};
use forebay_engine::plan::{Deduplicate, SqlError};

/// The problem of a key of `deduplicate` that is no column, at the key.
pub(super) fn of_key(error: &SqlError, config: Option<&DeduplicateConfig>, file: &str) -> Option<Problem> {
    let is_of =
        |key: &&Placed| error.error.message() == format!("`deduplicate`: unknown column `{}`", key.text);
    let key = config?.keys.iter().find(is_of)?;
    Some(Problem::at(error.error.clone(), file, key.place, key.text.chars().count()))
}

/// What a query or view lets pass once.
pub(super) fn once(config: &DeduplicateConfig) -> Deduplicate {
    let within = config.within.map(|within| i64::try_from(within.as_micros()).unwrap_or(i64::MAX));
    Deduplicate { keys: config.keys.iter().map(|key| key.text.clone()).collect(), within_us: within }
}
