//! SHOW TABLES, DESCRIBE and the like over the wire: the answers of [`crate::adhoc::described`] as statements with rows.
//!
//! PostgreSQL itself knows SHOW for settings alone. Whoever comes from Spark types these, and the words mean no setting, so
//! they are answered; what tools ask, they ask of `pg_catalog`.

use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;

use super::session;
use super::text::Piece;
use super::{PUBLIC, Planned, Planning};
use crate::adhoc::described::Told;
use crate::adhoc::{internal, lanes};
use crate::plan::SqlError;

/// What SHOW lists of tables; every other word behind it is a setting's.
const LISTS: [&str; 6] = ["CATALOGS", "SCHEMAS", "DATABASES", "NAMESPACES", "TABLES", "COLUMNS"];

/// True for the words of a SHOW that asks for tables, and not for a setting.
pub fn tells_of_tables(words: &[Piece]) -> bool {
    let [first, second, ..] = words else { return false };
    first.is("SHOW") && LISTS.iter().any(|list| second.is(list))
}

/// Finds the answer, which is then read as a table.
pub(super) async fn planned(told: Told, planning: &Planning<'_>) -> Result<Planned, SqlError> {
    let Planning { tables, json, system, limits, now_ms, deadline } = *planning;
    let told = told.without(system.database(), PUBLIC);
    let batch = told.answer(tables, json, (now_ms, deadline)).await?;
    let schema = batch.schema();
    let rows = lanes::whole(Arc::clone(&schema), vec![batch])?;
    let state = session::session(system, &[], super::runtime(limits)?, now_ms, deadline, &[]);
    let state = state.map_err(internal)?;
    let plan = LogicalPlanBuilder::scan("told", provider_as_source(rows), None);
    let plan = plan.and_then(LogicalPlanBuilder::build).map_err(SqlError::planning)?;
    Ok(Planned { schema, parameters: Vec::new(), plan, state, explain: None, limits, deadline })
}
