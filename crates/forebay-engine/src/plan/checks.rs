//! What is looked at by itself, before a query uses it: a view, the event time of a source.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::sql::sqlparser::ast::Statement;
use forebay_core::Error;
use forebay_core::error::codes;

use super::catalog::{Behind, Detect, KAFKA_COLUMN};
use super::lower::Stage;
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
    let behind = deduplicate.cloned().map(Behind::Once);
    let behind = behind.as_ref();
    // A view may also be a part of tables at rest, for others to join.
    if parse::with_room(|| Ok(is_at_rest(catalog, sql, json, state, behind)))? {
        return Ok(());
    }
    located(catalog, sql, json, state, behind).map(|_| ())
}

/// Checks a detector by itself: what it watches, and the columns that it looks at.
pub fn check_detector(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    detect: &Detect,
) -> Result<(), SqlError> {
    let behind = Behind::Judged(detect.clone());
    located(catalog, sql, json, State::Kept(None), Some(&behind)).map(|_| ())
}

/// True if a SELECT can be planned and reads tables at rest and nothing else.
fn is_at_rest(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    behind: Option<&Behind>,
) -> bool {
    let Ok(Statement::Query(query)) = parse::one_statement(sql, parse::Paths::No) else { return false };
    let Ok(session) = session::session(Purpose::Stream, catalog.time_zone, Arc::new(RuntimeEnv::default()))
    else {
        return false;
    };
    let mut planner = Planner::new(&session, catalog, json, true).remembering(state);
    planner.plan_behind(query, behind).is_ok_and(|plan| statics::is_at_rest(&plan))
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

/// Conditions over the rows of a decoded source as a plan that gives a BOOLEAN of each for each row. Each begins in a line of
/// its own, behind the SELECT's: that of the first in line 2 of the places that errors have.
///
/// Errors as those of [`super::plan`]; also `SQL_PLAN` for what is no condition, or asks for more than the row.
pub fn row_conditions(
    catalog: &Catalog,
    source: &str,
    conditions: &[&str],
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<StreamPlan, SqlError> {
    let list: Vec<String> = conditions
        .iter()
        .enumerate()
        .map(|(number, sql)| format!("(\n{sql}\n) AS `{}`", condition_name(number)))
        .collect();
    let sql = format!("SELECT {} FROM `{source}`", list.join(",\n"));
    let plan = located(catalog, &sql, json, State::Refused, None)?;
    let schema = plan.output_schema();
    let are_named = (0..).map(condition_name).zip(schema.fields()).all(|(name, field)| *field.name() == name);
    if schema.fields().len() != conditions.len() || !are_named {
        let error = Error::new(&codes::SQL_SYNTAX, "this is not one condition");
        return Err(error
            .with_hint("Write what could stand after WHERE; parts of it are joined by AND and OR.")
            .into());
    }
    if let Some(field) = schema.fields().iter().find(|field| field.data_type() != &DataType::Boolean) {
        let message = format!("this is not a condition: its type is {}", type_name(field.data_type()));
        let error = Error::new(&codes::SQL_PLAN, message);
        return Err(error.with_hint("Compare it with something, as in `temperature > 70`.").into());
    }
    if plan.uses_epoch_time() {
        let error = Error::new(&codes::SQL_PLAN, "a row is not held to a clock");
        return Err(error
            .with_hint("The same record must meet the same condition at every replay. Leave `now()` and its family to a query; `maxFutureSkew` of the watermark is for clocks that are fast.")
            .into());
    }
    let inputs = &plan.graph().inputs;
    let is_alone = |stage: &Stage| matches!(stage, Stage::Project(_));
    if inputs.iter().any(|input| input.wants_envelope || !input.stages.iter().all(is_alone)) {
        let error = Error::new(&codes::SQL_PLAN, "a condition is over the columns of the row alone");
        return Err(error
            .with_hint(format!(
                "There are no `{KAFKA_COLUMN}`, no subquery and nothing that makes several rows of one."
            ))
            .into());
    }
    Ok(plan)
}

fn condition_name(number: usize) -> String {
    format!("holds_{number}")
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
