//! What the Postgres wire reads: the tables of the pipeline as REST has them, their columns for the catalogue, and turns
//! on the threads of SQL.
//!
//! What must stay true: no more than [`AT_ONCE`] of its statements are worked on, each within its time and memory, beside
//! those of REST and on the same threads; a table that a query has not made yet is listed and there without rows, because BI
//! tools take an error for a broken connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::catalog::TableName;
use forebay_core::config::QueryConfig;
use forebay_core::detect::Functions;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};
use forebay_engine::adhoc::{self, About, Commit, Known, Limits, TableProvider, TableResolver};
use forebay_engine::late;
use forebay_engine::plan::{JsonDecoderFactory, KAFKA_COLUMN};
use forebay_server::shown::sql::{Relation, Statements, Turn};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::sql::{Registered, Threads};
use crate::json::FromJson;
use crate::load::{Called, Loaded};
use crate::{tables, warehouse};

/// Statements that are worked on at once; one whose rows are fetched bit by bit counts until its end.
const AT_ONCE: usize = 4;
/// Statements that are worked on or wait.
const MOST: usize = 64;
/// How long a statement waits for its turn: a dashboard asks many at once.
const TURN: Duration = Duration::from_secs(30);
/// How long it may take from its plan to its last row: reports read whole tables.
const TIME: Duration = Duration::from_secs(300);
/// Bytes that its sorts, joins and aggregates may hold, and as many that its functions may make.
const MEMORY: usize = 256 << 20;

/// Most tables of catalogs that are described.
const LISTED: usize = 1_000;
/// How long their columns are taken for those that they were.
const FRESH: Duration = Duration::from_secs(10);

/// The turns of a process.
pub struct Places {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(MOST)) }
    }
}

/// The statements of the wire over a pipeline's names.
pub struct Wire {
    tables: Arc<Tables>,
    /// What the pipeline's file says of its tables' columns.
    known: Known,
    threads: Arc<Threads>,
    /// All but the late rows, once somebody has asked.
    relations: OnceCell<Vec<Relation>>,
    /// The columns of the tables of catalogs, and when they were looked up.
    columns: Mutex<BTreeMap<TableName, (Instant, SchemaRef)>>,
}

struct Tables {
    registered: Arc<Registered>,
}

impl Wire {
    pub fn new(registered: Arc<Registered>, loaded: &Loaded, threads: Arc<Threads>) -> Self {
        let written: Vec<Option<SchemaRef>> =
            loaded.plans.iter().map(|plan| plan.as_ref().map(|plan| plan.output_schema())).collect();
        let known = tables::columns(&loaded.pipeline, &written, &loaded.tables);
        let tables = Arc::new(Tables { registered });
        Self { tables, known, threads, relations: OnceCell::new(), columns: Mutex::default() }
    }

    /// The tables and views of the file. A view that cannot be read is left out.
    fn listed(&self) -> Vec<Relation> {
        let relation = |name: &str, schema: &SchemaRef, is_view| Relation {
            schema: "public".to_owned(),
            name: name.to_owned(),
            columns: shown(schema),
            is_view,
        };
        // Those of catalogs are listed as they appear.
        let tables = self.known.tables.iter().filter(|(name, _)| !name.contains('.'));
        let tables = tables.map(|(name, schema)| relation(name, schema, false));
        let views = self.known.views.iter().filter_map(|(name, _)| {
            let sql = format!("SELECT * FROM `{name}`");
            let schema = adhoc::check(&self.known, Some(&FromJson), &sql).ok()?;
            Some(relation(name, &schema, true))
        });
        tables.chain(views).collect()
    }

    /// The tables of catalogs: to PostgreSQL a schema is `kafka_table`, or `data_pipelines.kafka_table` outside of the default
    /// catalog, because tools know one database. Columns are looked up anew after a while.
    async fn of_catalogs(&self) -> Vec<Relation> {
        let inner = &self.tables.registered.0;
        let mut relations = Vec::new();
        let own = inner.pipeline.iter().flat_map(|pipeline| &pipeline.queries);
        let own = own.filter_map(|query| query.to_table.clone());
        let names: BTreeSet<TableName> =
            warehouse::list(&inner.data).into_iter().take(LISTED).chain(own).collect();
        for name in names {
            let known = self.columns.lock().await.get(&name).filter(|(at, _)| at.elapsed() < FRESH).cloned();
            let columns = match known {
                Some((_, columns)) => columns,
                None => {
                    let Ok(Some(table)) = self.tables.resolve(None, &name.to_string()).await else {
                        continue;
                    };
                    let columns = shown(&table.schema());
                    self.columns.lock().await.insert(name.clone(), (Instant::now(), Arc::clone(&columns)));
                    columns
                }
            };
            let (schema, name) = (name.namespace(), name.table().to_owned());
            relations.push(Relation { schema, name, columns, is_view: false });
        }
        relations
    }

    /// The tables of rows that came too late: of every query that has some, or can.
    fn late(&self) -> Vec<Relation> {
        let inner = &self.tables.registered.0;
        let Some(pipeline) = &inner.pipeline else { return Vec::new() };
        let relation = |query: &QueryConfig| {
            let folder = late::folder(&inner.data, &pipeline.name, &query.name);
            let there = folder.is_dir().then(|| late::rows(&folder).ok().flatten()).flatten();
            let schema = there.map(|(schema, _)| schema);
            let schema = schema.or_else(|| inner.made.late(&query.name).cloned())?;
            let (schema, name) = (shown(&schema), query.name.clone());
            Some(Relation { schema: "late".to_owned(), name, columns: schema, is_view: false })
        };
        pipeline.queries.iter().filter_map(relation).collect()
    }
}

/// The columns that `*` gives.
fn shown(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().filter(|field| field.name() != KAFKA_COLUMN).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[async_trait]
impl Statements for Wire {
    fn tables(&self) -> Arc<dyn TableResolver> {
        Arc::clone(&self.tables) as _
    }

    fn json(&self) -> Arc<dyn JsonDecoderFactory> {
        Arc::new(FromJson)
    }

    async fn relations(&self) -> Arc<Vec<Relation>> {
        let listed = self.relations.get_or_init(|| async { self.listed() }).await;
        let of_catalogs = self.of_catalogs().await;
        Arc::new(listed.iter().cloned().chain(self.late()).chain(of_catalogs).collect())
    }

    async fn turn(&self) -> Result<Turn> {
        let busy = || Error::new(&codes::BUSY, "too many statements are being answered");
        let Places { turns, waiting } = &self.threads.wire;
        let place = Arc::clone(waiting).try_acquire_owned().map_err(|_| busy())?;
        let turn = tokio::time::timeout(TURN, Arc::clone(turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let runtime = self.threads.runtime.as_ref().ok_or_else(busy)?.handle().clone();
        let limits = Limits { time: Some(TIME), memory: MEMORY, rows: None };
        // The threads stay as long as something runs on them.
        let held = Box::new((place, turn, Arc::clone(&self.threads)));
        Ok(Turn { runtime, limits, held })
    }
}

#[async_trait]
impl TableResolver for Tables {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.registered.resolve(kind, name).await
    }

    async fn names(&self) -> Result<Vec<String>> {
        self.registered.names().await
    }

    async fn catalog(&self) -> Result<Vec<TableName>> {
        self.registered.catalog().await
    }

    async fn about(&self, kind: Option<&str>, name: &str) -> Result<Option<About>> {
        self.registered.about(kind, name).await
    }

    async fn history(&self, kind: Option<&str>, name: &str, most: usize) -> Result<Option<Vec<Commit>>> {
        self.registered.history(kind, name, most).await
    }

    fn time_zone(&self) -> Zone {
        TableResolver::time_zone(&self.registered.0)
    }

    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        Some(Arc::new(Called { models: None }))
    }

    fn views(&self) -> Vec<(String, String)> {
        self.registered.views()
    }
}
