//! What a PostgreSQL has beside people's tables: `pg_catalog`, `information_schema`, the functions that clients call on
//! them, and `forebay`, the schema of what Forebay knows of itself.
//!
//! What belongs to PostgreSQL as such (its types, functions, operators) comes from `datafusion-pg-catalog`; what
//! describes the pipeline's tables is made here, anew for each statement, so that it is never older than that. What must
//! stay true: a table keeps its number over restarts ([`oids`]); nothing is listed that cannot be read, and of what
//! Forebay does not have (indexes, constraints, triggers) the tables are there and empty.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{MemTable, TableFunction, TableProvider};
use datafusion::common::Result as Planned;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::postgres::{PUBLIC, System, Text};

use crate::shown::Shown;
use crate::shown::sql::Relation;

mod cells;
mod describes;
mod functions;
pub(super) use functions::VERSION;
mod information;
mod oids;
mod own;
mod rules;
mod statics;
mod types;

use oids::Oids;

const CATALOG: &str = "pg_catalog";
const INFORMATION: &str = "information_schema";
/// The schema of Forebay's own tables.
pub(super) const OWN: &str = "forebay";

/// The system as one session sees it, at one moment.
pub(super) struct Own {
    pub database: String,
    pub user: String,
    pub shown: Shown,
    pub relations: Arc<Vec<Relation>>,
    /// The settings of the session, for `current_setting` and `pg_settings`.
    pub settings: Vec<(String, String)>,
    oids: Oids,
}

impl Own {
    pub fn new(
        database: String,
        user: String,
        shown: Shown,
        relations: &[Relation],
        settings: Vec<(String, String)>,
    ) -> Self {
        let mut relations = relations.to_vec();
        relations.extend(own::relations());
        let oids = Oids::new(&relations);
        Self { database, user, shown, relations: Arc::new(relations), settings, oids }
    }
}

/// The tables of PostgreSQL itself, read once.
fn static_tables() -> Result<&'static PgCatalogStaticTables> {
    static TABLES: OnceLock<Option<PgCatalogStaticTables>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| PgCatalogStaticTables::try_new().ok());
    tables.as_ref().ok_or_else(|| Error::new(&codes::INTERNAL, "the tables of pg_catalog cannot be read"))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(&codes::INTERNAL, "a table of the catalogue cannot be made").with_detail(error)
}

fn in_memory(batch: datafusion::arrow::array::RecordBatch) -> Planned<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}

#[async_trait]
impl System for Own {
    fn database(&self) -> &str {
        &self.database
    }

    async fn table(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let batch = match schema {
            // The schema of PostgreSQL's own tables need not be named.
            CATALOG | PUBLIC => match describes::table(self, name)? {
                Some(batch) => Some(batch),
                None => statics::table(static_tables()?, name)?,
            },
            INFORMATION => information::table(self, name)?,
            OWN => own::table(&self.shown, name).await?,
            _ => None,
        };
        batch.map(in_memory).transpose().map_err(failed)
    }

    fn is_catalogue(&self, schema: &str, _: &str) -> bool {
        schema != OWN
    }

    fn functions(&self) -> Vec<Arc<ScalarUDF>> {
        functions::all(self)
    }

    fn table_functions(&self) -> Vec<Arc<TableFunction>> {
        static_tables()
            .map(|tables| {
                vec![Arc::new(TableFunction::new(
                    "pg_get_keywords".to_owned(),
                    tables.pg_get_keywords.clone(),
                ))]
            })
            .unwrap_or_default()
    }

    fn types(&self) -> Arc<dyn TypePlanner> {
        Arc::new(types::Types)
    }

    fn rewritten(&self, text: &Text, statement: Statement, of_catalogue: bool) -> Result<Statement> {
        rules::rewritten(&self.oids, text, statement, of_catalogue)
    }
}
