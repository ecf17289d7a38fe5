//! What is looked at by itself, before a query uses it: a view, the event time of a source.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::sql::sqlparser::ast::Statement;
use forebay_core::Error;
use forebay_core::error::codes;

use super::resolve::{Planner, State};
use super::session::{self, Purpose};
use super::{
    Catalog, Deduplicate, EVENT_TIME_COLUMN, JsonDecoderFactory, SqlError, StreamPlan, located, parse,
    statics, type_name,
};

/// Checks a view by itself. It may have state; which modes that takes is a matter of the queries that use it.
pub fn check_view(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    deduplicate: Option<&Deduplicate>,
) -> Result<(), SqlError> {
    let state = State::Kept(None);
    // A view may also be a part of tables at rest, for others to join.
    if parse::with_room(|| Ok(is_at_rest(catalog, sql, json, state, deduplicate)))? {
        return Ok(());
    }
    located(catalog, sql, json, state, deduplicate).map(|_| ())
}

/// True if a SELECT can be planned and reads tables at rest and nothing else.
fn is_at_rest(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    deduplicate: Option<&Deduplicate>,
) -> bool {
    let Ok(Statement::Query(query)) = parse::one_statement(sql, parse::Paths::No) else { return false };
    let Ok(session) = session::session(Purpose::Stream, catalog.time_zone, Arc::new(RuntimeEnv::default()))
    else {
        return false;
    };
    let mut planner = Planner::new(&session, catalog, json, true).remembering(state);
    planner.plan_once(query, deduplicate).is_ok_and(|plan| statics::is_at_rest(&plan))
}

/// Checks the event time of a source, if it has one.
pub fn check_watermark(
    catalog: &Catalog,
    source: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<(), SqlError> {
    event_time(catalog, source, json).map(|_| ())
}

/// The event time of a source's rows, as a plan that gives it as its one column for each row; `None` if the source has
/// none. Errors as those of [`check_watermark`].
pub fn event_time(
    catalog: &Catalog,
    source: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<Option<StreamPlan>, SqlError> {
    let Some(((name, columns), time)) = catalog.source(source).zip(catalog.watermark(source)) else {
        return Ok(None);
    };
    let column = columns.column(&time.column).unwrap_or_else(|| EVENT_TIME_COLUMN.to_owned());
    let sql = format!("SELECT `{column}` AS event_time FROM `{name}`");
    let planned =
        located(catalog, &sql, json, State::Kept(None), None).map_err(|error| SqlError::from(error.error))?;
    refuse_no_time(planned.output_schema.field(0).data_type(), &time.column)?;
    Ok(Some(planned))
}

/// Refuses an event time that is no TIMESTAMP.
pub(super) fn refuse_no_time(data_type: &DataType, column: &str) -> Result<(), Error> {
    if matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return Ok(());
    }
    let message = format!("the event time `{column}` is of type {}, not TIMESTAMP", type_name(data_type));
    Err(Error::new(&codes::SQL_PLAN, message)
        .with_hint("Compute a time of it: timestamp_seconds(…), timestamp_millis(…) or to_timestamp(…)."))
}
