//! What `forebay query` can read: Delta tables by path, topics, and the sources, tables and views of a pipeline by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_connectors::{sinks, sources, tables};
use forebay_core::catalog::TableName;
use forebay_core::config::{Pipeline, QueryConfig, SourceConfig, TableConfig, ViewConfig};
use forebay_core::detect::Functions;
use forebay_core::error::codes;
use forebay_core::format::Format;
use forebay_core::options::Options;
use forebay_core::source::{self, Source, envelope_schema};
use forebay_core::table::{StaticTable, Wanted};
use forebay_core::{Error, Result, Zone};
use forebay_engine::adhoc::{About, Commit, Known, TableProvider, TableResolver, lanes};
use forebay_engine::late;
use forebay_engine::plan::{KAFKA_COLUMN, envelope_field};
use futures::StreamExt;

use crate::load::Loaded;
use crate::{broker, load, talk, warehouse};

mod about;

pub use about::hidden;

/// Finds tables for one statement.
pub struct Tables {
    /// Relative paths lie here.
    pub data: PathBuf,
    /// Where ``kafka.`topic` `` is looked for.
    pub kafka: String,
    /// The pipeline whose names can be used.
    pub pipeline: Option<Pipeline>,
    /// Records that did not decode, counted as a topic is read.
    pub undecoded: Arc<AtomicU64>,
    /// The tables that the pipeline's queries make.
    pub made: Made,
}

/// The columns of tables that queries make with their first rows: such a table is there before, without rows.
#[derive(Default)]
pub struct Made {
    /// Of each query that writes a Delta table, by its name.
    written: BTreeMap<String, SchemaRef>,
    /// Of each query whose rows can come too late.
    late: BTreeMap<String, SchemaRef>,
    /// Those that were read before they were there.
    empty: Mutex<BTreeSet<String>>,
}

impl Made {
    /// Those of the queries that are planned.
    pub fn of(loaded: &Loaded) -> Self {
        let (mut written, mut late) = (BTreeMap::new(), BTreeMap::new());
        for (query, plan) in loaded.queries() {
            if query.format == "delta" {
                written.insert(query.name.clone(), plan.output_schema());
            }
            late.extend(plan.late_columns().map(|schema| (query.name.clone(), schema)));
        }
        Self { written, late, empty: Mutex::default() }
    }

    /// The columns of a query's late table before its first row; `None` if no row of it can be late.
    pub fn late(&self, query: &str) -> Option<&SchemaRef> {
        self.late.get(query)
    }

    /// The tables that were read before they were there.
    pub fn empty(&self) -> Vec<String> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn without_rows(&self, name: String, schema: &SchemaRef) -> Result<Arc<dyn TableProvider>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        lanes::whole(Arc::clone(schema), Vec::new())
    }
}

#[async_trait]
impl TableResolver for Tables {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match kind {
            None => self.named(name).await,
            Some("delta") => self.delta_of(name, &BTreeMap::new()).await.map(Some),
            Some("kafka") => {
                let raw = BTreeMap::from([
                    ("kafka.bootstrap.servers".to_owned(), self.kafka.clone()),
                    ("subscribe".to_owned(), name.to_owned()),
                ]);
                self.topic(name, (&broker::source_options("kafka", &raw)?, "kafka"), None).await.map(Some)
            }
            Some(_) => Ok(None),
        }
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.known())
    }

    async fn catalog(&self) -> Result<Vec<TableName>> {
        Ok(warehouse::list(&self.data))
    }

    async fn about(&self, kind: Option<&str>, name: &str) -> Result<Option<About>> {
        Ok(about::about(self, kind, name))
    }

    async fn history(&self, kind: Option<&str>, name: &str, most: usize) -> Result<Option<Vec<Commit>>> {
        about::history(self, kind, name, most).await
    }

    fn time_zone(&self) -> Zone {
        self.pipeline.as_ref().map_or(Zone::UTC, |pipeline| pipeline.time_zone)
    }

    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        Some(Arc::new(load::Called { models: Some(self.data.clone()) }))
    }

    fn views(&self) -> Vec<(String, String)> {
        let views = self.pipeline.iter().flat_map(|pipeline| &pipeline.views);
        views.map(|view| (view.name.clone(), view.sql.clone())).collect()
    }
}

impl Tables {
    /// The names that can be read without a path.
    pub fn known(&self) -> Vec<String> {
        let of_catalogs = warehouse::list(&self.data).into_iter().map(|name| name.to_string());
        let Some(pipeline) = &self.pipeline else { return of_catalogs.collect() };
        let sources = pipeline.sources.iter().map(|source| source.name.clone());
        let tables =
            pipeline.queries.iter().filter(|query| query.format == "delta").map(|query| query.name.clone());
        let views = pipeline.views.iter().map(|view| view.name.clone());
        // Those that have no name but their catalog's are listed there.
        let named = pipeline.tables.iter().filter(|table| !is_of_catalog_alone(table));
        let at_rest = named.map(|table| table.name.clone());
        let has_late = |query: &&QueryConfig| {
            self.made.late(&query.name).is_some()
                || late::folder(&self.data, &pipeline.name, &query.name).is_dir()
        };
        let late = pipeline.queries.iter().filter(has_late).map(|query| format!("late.{}", query.name));
        sources.chain(at_rest).chain(tables).chain(views).chain(late).chain(of_catalogs).collect()
    }

    /// A name of the pipeline, else of a catalog.
    async fn named(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.of_pipeline(name).await? {
            Some(table) => Ok(Some(table)),
            None if self.views().iter().any(|(view, _)| view.eq_ignore_ascii_case(name)) => Ok(None),
            None => match warehouse::find(&self.data, name) {
                Some(folder) => self.delta(&folder).await.map(Some),
                None => Ok(None),
            },
        }
    }

    async fn of_pipeline(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(pipeline) = &self.pipeline else { return Ok(None) };
        if let Some(source) = pipeline.sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)) {
            return self.source(source).await.map(Some);
        }
        let mut at_rest = pipeline.tables.iter().filter(|table| !is_of_catalog_alone(table));
        if let Some(table) = at_rest.find(|table| table.name.eq_ignore_ascii_case(name)) {
            return self.at_rest(table).await.map(Some);
        }
        let is = |query: &&QueryConfig, name: &str| query.name.eq_ignore_ascii_case(name);
        if let Some(query) =
            late_of(name).and_then(|name| pipeline.queries.iter().find(|query| is(query, name)))
        {
            return self.late(&pipeline.name, query).map(Some);
        }
        let view = pipeline.views.iter().find(|view| view.name.eq_ignore_ascii_case(name));
        let of_catalog = TableName::parse(name).ok();
        let is_it = |query: &&QueryConfig| {
            is(query, name) || (query.to_table.is_some() && query.to_table == of_catalog)
        };
        let query = pipeline.queries.iter().find(is_it);
        match (query, query.map(|query| (query.format.as_str(), query.options.text("path"))), view) {
            (Some(query), Some(("delta", Some(path))), _) => {
                let reading = self.delta_of(path, query.options.passed_on());
                match (reading.await, self.made.written.get(&query.name)) {
                    (Err(error), Some(schema)) if error.code() == &codes::SQL_PLAN => {
                        self.made.without_rows(query.name.clone(), schema).map(Some)
                    }
                    (found, _) => found.map(Some),
                }
            }
            (_, _, Some(view)) if view.detector.is_some() => Err(judges(view)),
            (_, _, Some(view)) if view.deduplicate.is_some() => Err(counts_once(view)),
            (_, _, Some(_)) | (None, ..) => Ok(None),
            (Some(query), ..) => Err(without_table(query, &query.format)),
        }
    }

    async fn delta(&self, path: &Path) -> Result<Arc<dyn TableProvider>> {
        self.delta_of(&path.to_string_lossy(), &BTreeMap::new()).await
    }

    /// The table of a path or an address, with the options for buckets beside it.
    async fn delta_of(&self, path: &str, given: &BTreeMap<String, String>) -> Result<Arc<dyn TableProvider>> {
        match sinks::delta::read::table_of(path, given, &self.data).await {
            Ok(reading) => Ok(reading.provider),
            Err(error) if error.code() == &codes::SQL_PLAN => Err(error.with_hint(format!(
                "A query makes its table with its first rows: has it had any? Relative paths lie under {} (`--data`).",
                self.data.display()
            ))),
            Err(error) => Err(error),
        }
    }

    /// A table at rest, as it is now.
    async fn at_rest(&self, config: &TableConfig) -> Result<Arc<dyn TableProvider>> {
        let table = tables::open(config, &self.data).await?;
        let rows = table.load(&Wanted::Newest).await?;
        lanes::whole(table.schema(), rows.batches)
    }

    /// The rows of a query that came too late.
    fn late(&self, pipeline: &str, query: &QueryConfig) -> Result<Arc<dyn TableProvider>> {
        let name = format!("late.{}", query.name);
        if let Some((schema, rows)) = late::rows(&late::folder(&self.data, pipeline, &query.name))? {
            return lanes::table(&name, schema, vec![futures::stream::iter(rows).boxed()]);
        }
        if let Some(schema) = self.made.late(&query.name) {
            return self.made.without_rows(name, schema);
        }
        let error =
            Error::new(&codes::SQL_PLAN, format!("no row of the query `{}` can come too late", query.name));
        Err(error.with_hint(
            "Rows are late for windows, sessions, joins and de-duplication with a watermark, which this query does not have.",
        ))
    }

    async fn source(&self, source: &SourceConfig) -> Result<Arc<dyn TableProvider>> {
        self.topic(&source.name, (&source.options, &source.format), load::format_of(source)?).await
    }
}

/// True for a table at rest that stands in no `tables:`, but in the SQL.
fn is_of_catalog_alone(table: &TableConfig) -> bool {
    table.of_catalog.as_ref().is_some_and(|name| name.to_string() == table.name)
}

/// The query whose late rows a name means: `late.NAME`.
fn late_of(name: &str) -> Option<&str> {
    let (schema, query) = name.split_once('.')?;
    schema.eq_ignore_ascii_case("late").then_some(query)
}

/// What the statements of a pipeline may read, by columns alone, with the tables at rest whose columns are known; `written` are
/// those of the queries whose SELECT can be planned, in the order of the file.
pub fn columns(
    pipeline: &Pipeline,
    written: &[Option<SchemaRef>],
    at_rest: &[Arc<dyn StaticTable>],
) -> Known {
    // The page's statements name no files.
    let detectors: Option<Arc<dyn Functions>> = Some(Arc::new(load::Called { models: None }));
    let mut known = Known { time_zone: pipeline.time_zone, detectors, ..Known::default() };
    known.tables.extend(at_rest.iter().map(|table| (table.name().to_owned(), table.schema())));
    let unopened = |config: &&TableConfig| at_rest.iter().all(|table| table.name() != config.name);
    for config in pipeline.tables.iter().filter(unopened) {
        let schema = config.schema.as_ref().map(|(schema, _)| Arc::clone(schema));
        known.tables.extend(schema.map(|schema| (config.name.clone(), schema)));
    }
    for source in &pipeline.sources {
        // What is wrong with a source is told there.
        if let Ok(decoder) = load::format_of(source) {
            known.tables.push((source.name.clone(), topic_columns(decoder.as_ref())));
        }
    }
    for (query, schema) in pipeline.queries.iter().zip(written) {
        if let (Some(name), Some(schema)) = (&query.to_table, schema) {
            known.tables.push((name.to_string(), Arc::clone(schema)));
            known.tables.push((format!("{}.{}", name.schema(), name.table()), Arc::clone(schema)));
        }
        match (query.format.as_str(), schema) {
            ("delta", Some(schema)) => known.tables.push((query.name.clone(), Arc::clone(schema))),
            ("delta", None) => {}
            (format, _) => known.unreadable.push((query.name.clone(), without_table(query, format))),
        }
    }
    for view in &pipeline.views {
        match (&view.deduplicate, &view.detector) {
            (_, Some(_)) => known.unreadable.push((view.name.clone(), judges(view))),
            (Some(_), None) => known.unreadable.push((view.name.clone(), counts_once(view))),
            (None, None) => known.views.push((view.name.clone(), view.sql.clone())),
        }
    }
    known
}

/// The error for a view whose rows count once: which of the rows with one key comes first is known to a stream alone.
fn counts_once(view: &ViewConfig) -> Error {
    let message = format!(
        "the view `{}` lets the first row of a key pass (`deduplicate`), which only a stream can",
        view.name
    );
    Error::new(&codes::SQL_PLAN, message).with_hint(format!(
        "Read the table of a query that uses it, or its SELECT in place of its name, with the rows that come again: FROM ({}).",
        on_one_line(&view.sql)
    ))
}

/// The error for a detector: what it has learned by then is known to a stream alone.
fn judges(view: &ViewConfig) -> Error {
    let message = format!("`{}` is a detector, which judges rows as they come in a stream", view.name);
    Error::new(&codes::SQL_PLAN, message)
        .with_hint("Read the table of a query that reads it: that has its score, is_anomaly and reason.")
}

/// The error for a query that keeps no rows.
fn without_table(query: &QueryConfig, format: &str) -> Error {
    let to = if format == "console" { "the console" } else { format };
    let error = format!("the query `{}` writes to {to} and has no table", query.name);
    let hint = format!("Put its SELECT in place of its name: FROM ({}).", on_one_line(&query.sql));
    Error::new(&codes::SQL_PLAN, error).with_hint(hint)
}

fn on_one_line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").trim_end_matches(';').to_owned()
}

impl Tables {
    /// All records that a source has now, decoded if it has a format. Records that do not decode are left out, as the
    /// stream leaves them to its quarantine, and counted.
    async fn topic(
        &self,
        name: &str,
        (options, format): (&Options, &str),
        decoder: Option<Arc<dyn Format>>,
    ) -> Result<Arc<dyn TableProvider>> {
        let mut source: Box<dyn Source> =
            sources::build(format, options, source::Wanted { keys: true, headers: true }, None)?;
        let none = Default::default();
        // Asked from nowhere, a source names the first position of every partition as new.
        let available = source.available(&none).await?;
        // Says which topic is not there; where a query would begin is not asked here.
        match source.start(true).await {
            Err(error) if available.new.is_empty() => return Err(error),
            Err(error) if error.code() == &codes::NO_TOPIC => {
                talk::say(&format!("warning: {error}; reading what is there"));
            }
            _ => {}
        }
        let ranges = available.ranges(&available.new);
        let schema = topic_columns(decoder.as_ref());
        let has_kafka = decoder.as_ref().is_some_and(|format| format.schema() != schema);
        let parallel = std::thread::available_parallelism().map_or(2, usize::from);
        let read = source.read(&ranges, parallel).await?;
        // The source keeps its connections for as long as its lanes are read.
        let source = Arc::new(Mutex::new(source));
        let rows = read
            .into_iter()
            .map(|lane| {
                let mut decoder = decoder.as_ref().map(|format| format.decoder());
                let keep = source.clone();
                let undecoded = Arc::clone(&self.undecoded);
                lane.map(move |envelope| {
                    let _kept = &keep;
                    let envelope = envelope?;
                    match &mut decoder {
                        Some(decoder) => {
                            let decoded = decoder.decode(&envelope.values)?;
                            undecoded.fetch_add(decoded.bad.len() as u64, Ordering::Relaxed);
                            if has_kafka {
                                lanes::with_envelope(decoded, &envelope)
                            } else {
                                Ok(decoded.rows)
                            }
                        }
                        None => envelope.to_batch().map_err(|e| {
                            Error::new(&codes::INTERNAL, "records cannot be made into columns").caused_by(e)
                        }),
                    }
                })
                .boxed()
            })
            .collect();
        lanes::table(name, schema, rows)
    }
}

/// The columns of a topic's records.
fn topic_columns(decoder: Option<&Arc<dyn Format>>) -> SchemaRef {
    decoder.map_or_else(envelope_schema, |format| with_kafka(&format.schema()))
}

/// The columns of the values with Kafka's own beside them, under the name that a stream has for them.
fn with_kafka(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(KAFKA_COLUMN)) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().cloned().chain([Arc::new(envelope_field())]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
