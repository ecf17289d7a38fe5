//! No function of times is forgotten.

use super::*;

/// Functions that have the session's zone themselves, or whose arguments are cast to what they take, or that no zone
/// matters for.
const WITHOUT_CARE: [&str; 25] = [
    "add_months",
    "current_date",
    "date_add",
    "date_bin",
    "date_diff",
    "date_sub",
    "from_unixtime",
    "from_utc_timestamp",
    "last_day",
    "make_date",
    "make_dt_interval",
    "make_interval",
    "make_time",
    "next_day",
    "now",
    "time_trunc",
    "to_date",
    "to_timestamp",
    "to_utc_timestamp",
    "trunc",
    "unix_date",
    "unix_micros",
    "unix_millis",
    "unix_seconds",
    "window",
];

#[test]
fn every_function_of_times_has_been_looked_at() {
    let functions = datafusion::functions::datetime::functions();
    let functions = functions.into_iter().chain(datafusion_spark::function::datetime::functions());
    let known =
        |name: &str| OF_CLOCKS.contains(&name) || UTC_ONLY.contains(&name) || WITHOUT_CARE.contains(&name);
    let new: Vec<String> =
        functions.map(|function| function.name().to_owned()).filter(|name| !known(name)).collect();
    assert!(new.is_empty(), "what does the session's zone mean for {new:?}?");
}
