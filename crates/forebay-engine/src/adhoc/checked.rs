//! A SELECT planned over columns alone: what `forebay validate` asks of the statements in a file.
//!
//! What must stay true: what is refused here would be refused by [`run`](super::run) over tables of these columns.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::runtime_env::RuntimeEnv;
use forebay_core::detect::Functions;
use forebay_core::error::codes;
use forebay_core::{Error, Zone};

use super::budget::Budget;
use super::prepared::Prepared;
use super::{Asked, Limits, bounds, internal, understood};
use crate::plan::resolve::Planner;
use crate::plan::session::{self, Purpose};
use crate::plan::{JsonDecoderFactory, SqlError, parse};

/// The tables and views that statements may read.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Tables by their names and columns, the first of a name counts.
    pub tables: Vec<(String, SchemaRef)>,
    /// Names that stand for a SELECT; each sees the tables and the views before it. A table of the same name wins.
    pub views: Vec<(String, String)>,
    /// Names that are there and cannot be read, and what to say of them.
    pub unreadable: Vec<(String, Error)>,
    /// The zone in which statements read and show times.
    pub time_zone: Zone,
    /// What makes the models behind calls of detectors.
    pub detectors: Option<Arc<dyn Functions>>,
}

/// Plans a SELECT as far as it can be without rows. Gives the columns of its answer.
pub fn check(known: &Known, json: Option<&dyn JsonDecoderFactory>, sql: &str) -> Result<SchemaRef, SqlError> {
    parse::with_room(|| check_here(known, json, sql)).map_err(|error| error.located(sql))
}

fn check_here(
    known: &Known,
    json: Option<&dyn JsonDecoderFactory>,
    sql: &str,
) -> Result<SchemaRef, SqlError> {
    let Asked::Rows { query, explain: None, names } = understood(sql)? else {
        let error = Error::new(&codes::SQL_PLAN, "only a SELECT is possible here");
        return Err(error.with_hint("Write a SELECT.").into());
    };
    let prepared = Prepared::of_columns(known, names)?;
    let purpose = Purpose::Batch { now_ms: 0, deadline: None };
    let state =
        session::session(purpose, known.time_zone, Arc::new(RuntimeEnv::default())).map_err(internal)?;
    let plan = Planner::new(&state, &prepared, json, false).plan(query)?;
    let memory = Limits::default().memory;
    let budget = Arc::new(Budget::new(memory, None));
    let plan = bounds::metered(plan, &budget).map_err(SqlError::planning)?;
    let plan = state.optimize(&plan).map_err(SqlError::planning)?;
    bounds::narrow(&plan, memory).map_err(SqlError::planning)?;
    // Tables without rows wait for nothing.
    let planned = futures::executor::block_on(state.query_planner().create_physical_plan(&plan, &state));
    Ok(planned.map_err(SqlError::planning)?.schema())
}

/// A table that has columns and no rows.
pub(super) fn without_rows(schema: &SchemaRef) -> Arc<dyn super::TableProvider> {
    Arc::new(EmptyTable::new(Arc::clone(schema)))
}
