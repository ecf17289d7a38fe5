//! What stands at the other end of a connection: the table, found or made, and the statements that fit it.
//!
//! What must stay true: a table is never changed but for what the options ask for, and what cannot work in this way ever is told as
//! the user's.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio_postgres::Statement;

use super::config::{Config, WriteMode};
use super::names::literal;
use super::session::Session;
use super::statements::Statements;
use super::table::Fit;
use super::{PostgresSink, table, unique};

/// Queries that begin at once would each find no table, and all but one would fail in making it: they take turns, until the
/// transaction has ended that this and the statements after it are.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(hashtext('forebay_epochs'))";

/// A connection, and what was found at its other end.
pub(super) struct Ready {
    pub session: Arc<Session>,
    pub fit: Fit,
    pub sql: Arc<Statements>,
    pub copy: Statement,
    /// What may be meant and may be not, for the log.
    pub doubts: Vec<String>,
}

impl PostgresSink {
    /// Looks at the table, or makes it, and writes the statements for it.
    pub(super) async fn look(&self, session: Arc<Session>, schema: &Schema) -> Result<Ready> {
        let (config, key) = (&self.config, table::key_columns(schema, &self.key)?);
        let columns = match table::look(&session, config).await? {
            Some(columns) => columns,
            None => {
                change(&session, config, &table::create(config, schema, &key)?).await?;
                let made = table::look(&session, config).await?;
                made.ok_or_else(|| Self::internal("told that its table was made, and it is not there"))?
            }
        };
        let missing = if config.merge_schema { table::missing(schema, &columns) } else { Vec::new() };
        let columns = if missing.is_empty() {
            columns
        } else {
            let add = |field: &&Field| format!("ADD COLUMN IF NOT EXISTS {}", table::made(config, field));
            let added = missing.iter().map(add).collect::<Vec<_>>().join(", ");
            change(&session, config, &format!("ALTER TABLE {} {added}", config.table.sql())).await?;
            table::look(&session, config).await?.unwrap_or_default()
        };
        let fit = table::fit(config, schema, &columns, (self.write, &key))?;
        if self.write == WriteMode::Upsert {
            unique::check_key(&session, config, &fit.key).await?;
        }
        let doubts = unique::check_others(&session, config, &fit).await?;
        if let Some(epochs) = &config.epoch_table
            // Who may only write must not need the right to make it.
            && session.first("look at the table of epochs", &format!("SELECT to_regclass({})", literal(&epochs.sql()))).await?.is_none()
        {
            let sql = format!(
                "{TAKE_TURNS}; CREATE TABLE IF NOT EXISTS {} (query_id text PRIMARY KEY, query_name text NOT NULL, epoch bigint, \
                 rows bigint, planned_at timestamptz, committed_at timestamptz)",
                epochs.sql()
            );
            session.run("make the table of epochs", &sql).await?;
        }
        let sql = Arc::new(Statements::new(config, &fit));
        if let Some(stage) = &sql.stage {
            session.run("make a stage for rows", stage).await?;
        }
        let prepared = config
            .within(config.query_timeout, "look at the table", session.client.prepare(&sql.copy))
            .await?;
        let copy = prepared.map_err(|error| session.failed("look at the table", &error))?;
        Ok(Ready { session, fit, sql, copy, doubts })
    }
}

/// Changes the table; what cannot work in this way ever is the user's.
async fn change(session: &Session, config: &Config, sql: &str) -> Result<()> {
    let what = "make or change the table";
    let Err(error) = session.try_run(what, &format!("{TAKE_TURNS}; {sql}")).await? else { return Ok(()) };
    let state = error.code().map(tokio_postgres::error::SqlState::code).unwrap_or_default();
    let is_for_ever =
        matches!(state.get(..2), Some("42" | "0A" | "22")) && !matches!(state, "42501" | "42P07");
    if !is_for_ever {
        return Err(session.failed(what, &error));
    }
    let words = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Err(Error::new(&codes::SINK_SCHEMA, format!("PostgreSQL cannot make the table `{}`", config.table))
        .with_detail(format!("{words} (SQLSTATE {state})"))
        .with_hint(
            "Look at `key`, `createTableColumnTypes` and `createTableOptions`, or make the table by hand.",
        ))
}
