//! The names a streaming query can read: the pipeline's sources, its tables at rest and its shared views.
//!
//! A name means the same however it is written: Spark compares names without regard to case, and so does every look-up
//! here. A view may use sources and the views before it, so no view can reach itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::TableSource;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use forebay_core::catalog::TableName;
use forebay_core::detect::{Functions, Model};
use forebay_core::error::codes;
use forebay_core::source::envelope_schema;
use forebay_core::{Error, Result, Zone};

use super::parse::{self, Paths};
use super::provider::StreamTable;
use super::resolve::{Found, Lookup};
use super::sql_error::SqlError;
use super::statics::AtRest;
use crate::adhoc::relations;

/// The hidden column under which a decoded source keeps the columns of its envelope.
pub const KAFKA_COLUMN: &str = "_kafka";

/// What views and subqueries hand on of each record beside their own columns, in a catalogue that
/// [carries records](Catalog::carrying_records): its timestamp, topic and partition. `*` leaves them out.
pub const RECORD_COLUMNS: [&str; 3] = ["__timestamp", "__topic", "__partition"];

/// The same for the late rows of a query with state: their offset.
pub const OFFSET_COLUMN: &str = "__offset";

/// The hidden column of a source whose event time is computed.
pub const EVENT_TIME_COLUMN: &str = "_event_time";

/// The column that an operator's event time is put into where it is an expression.
pub(super) const TIME: &str = "__event_time";

/// How the names of the other columns begin that are computed for an operator.
pub(super) const COMPUTED: &str = "__computed_";

/// True if a column among the rows of an operator is none of the row's own: it was put there by the planner.
pub(crate) fn is_hidden(name: &str) -> bool {
    let hidden = [EVENT_TIME_COLUMN, OFFSET_COLUMN, TIME];
    RECORD_COLUMNS.contains(&name) || hidden.contains(&name) || name.starts_with(COMPUTED)
}

/// Which time of a source's rows is their event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTime {
    /// A column, or SQL over the source's columns: a TIMESTAMP.
    pub column: String,
    /// How far the watermark is behind the latest.
    pub delay_ms: i64,
}

/// `deduplicate:` of a query or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplicate {
    /// The names of the key's columns; none: all of them.
    pub keys: Vec<String>,
    /// How long a key is remembered after the event time of its first row, in microseconds.
    pub within_us: Option<i64>,
}

/// An entry of `detectors`: a model, and which columns it looks at.
#[derive(Clone, Debug)]
pub struct Detect {
    /// The names of the columns that tell the watched things apart; none: all rows are of one thing.
    pub keys: Vec<String>,
    /// The names of the columns that are judged.
    pub columns: Vec<String>,
    /// The name of the column with a row's time; `None`: its event time, else its record's timestamp.
    pub time: Option<String>,
    /// What judges.
    pub model: Arc<dyn Model>,
}

/// What the rows of a view pass behind its SELECT.
#[derive(Clone, Debug)]
pub(crate) enum Behind {
    /// The first of each key goes on.
    Once(Deduplicate),
    /// Each goes on with what a model says of it.
    Judged(Detect),
}

/// What the rows of a source look like.
#[derive(Clone, Debug)]
pub enum SourceColumns {
    /// The columns of the decoded value. Beside them stands [`KAFKA_COLUMN`], a struct of Spark's Kafka columns,
    /// reachable by name and not part of `SELECT *`.
    Decoded(SchemaRef),
    /// Spark's Kafka columns themselves, [`envelope_schema`]; `headers` only with `includeHeaders`.
    Envelope {
        /// True if the source has `includeHeaders: true`.
        headers: bool,
    },
}

/// What views and subqueries do with [`RECORD_COLUMNS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Records {
    /// They have none.
    #[default]
    Left,
    /// They hand them on, out of sight.
    Carried,
    /// The same, and the outermost SELECT can name them.
    Named,
}

/// The sources, tables and views of a pipeline.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub(super) sources: Vec<(String, SourceColumns)>,
    pub(super) views: Vec<View>,
    /// Tables at rest.
    tables: Vec<(String, SchemaRef)>,
    /// The event time of sources, by their names as they were added.
    times: Vec<(String, SourceTime)>,
    pub(super) records: Records,
    pub(super) time_zone: Zone,
    detectors: Option<Arc<dyn Functions>>,
}

/// A view.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub name: String,
    pub sql: String,
    pub behind: Option<Behind>,
}

impl Catalog {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty catalogue, whose queries read and show times in a zone.
    pub fn in_zone(time_zone: Zone) -> Self {
        Self { time_zone, ..Self::default() }
    }

    /// The same tables, whose views and subqueries also have [`RECORD_COLUMNS`], which nobody can name. A view over a
    /// source that has neither an envelope nor [`KAFKA_COLUMN`] does not.
    pub fn carrying_records(&self) -> Self {
        Self { records: Records::Carried, ..self.clone() }
    }

    /// The same; the outermost SELECT can name [`RECORD_COLUMNS`], and `*` gives them there: for SQL of Forebay's own.
    pub fn naming_records(&self) -> Self {
        Self { records: Records::Named, ..self.clone() }
    }

    /// Adds a source. Fails if the name is taken.
    pub fn add_source(&mut self, name: &str, columns: SourceColumns) -> Result<()> {
        self.refuse_taken(name)?;
        self.sources.push((name.to_owned(), columns));
        Ok(())
    }

    /// Adds a table at rest. Fails if the name is taken.
    pub fn add_table(&mut self, name: &str, schema: SchemaRef) -> Result<()> {
        self.refuse_taken(name)?;
        self.tables.push((name.to_owned(), schema));
        Ok(())
    }

    /// Adds a view; its SQL may use every source, every table and the views added before it. Fails if the name is taken. The SQL
    /// is looked at when a query uses the view: plan `SELECT * FROM name` to check it.
    pub fn add_view(&mut self, name: &str, sql: &str) -> Result<()> {
        self.add_view_once(name, sql, None)
    }

    /// Adds a view whose rows may count once.
    pub fn add_view_once(&mut self, name: &str, sql: &str, deduplicate: Option<Deduplicate>) -> Result<()> {
        self.add(name, sql, deduplicate.map(Behind::Once))
    }

    /// Adds a detector: a view whose rows pass a model.
    pub fn add_detector(&mut self, name: &str, sql: &str, detect: Detect) -> Result<()> {
        self.add(name, sql, Some(Behind::Judged(detect)))
    }

    fn add(&mut self, name: &str, sql: &str, behind: Option<Behind>) -> Result<()> {
        self.refuse_taken(name)?;
        self.views.push(View { name: name.to_owned(), sql: sql.to_owned(), behind });
        Ok(())
    }

    /// Says which time of a source is its event time. It is looked at when a query with state reads the source:
    /// [`super::check_watermark`] checks it.
    pub fn set_watermark(&mut self, source: &str, time: SourceTime) {
        self.times.retain(|(name, _)| !name.eq_ignore_ascii_case(source));
        self.times.push((source.to_owned(), time));
    }

    /// Says what makes the models behind detectors that are called in SQL.
    pub fn set_detectors(&mut self, detectors: Arc<dyn Functions>) {
        self.detectors = Some(detectors);
    }

    /// The event time of a source.
    pub(super) fn watermark(&self, source: &str) -> Option<&SourceTime> {
        self.times.iter().find(|(name, _)| name.eq_ignore_ascii_case(source)).map(|(_, time)| time)
    }

    /// The names of all sources, tables and views.
    pub fn names(&self) -> Vec<&str> {
        let sources = self.sources.iter().map(|(name, _)| name.as_str());
        let tables = self.tables.iter().map(|(name, _)| name.as_str());
        sources.chain(tables).chain(self.views.iter().map(|view| view.name.as_str())).collect()
    }

    fn refuse_taken(&self, name: &str) -> Result<()> {
        match self.names().iter().find(|taken| taken.eq_ignore_ascii_case(name)) {
            None => Ok(()),
            Some(taken) => Err(Error::new(
                &codes::BAD_VALUE,
                format!("the name `{name}` is taken by `{taken}`"),
            )
            .with_hint(
                "Sources, tables, views and detectors share one set of names, and case makes no difference.",
            )),
        }
    }
}

impl Catalog {
    pub(super) fn source(&self, name: &str) -> Option<(&str, &SourceColumns)> {
        let name = name.trim_matches('`');
        self.sources
            .iter()
            .find(|(source, _)| source.eq_ignore_ascii_case(name))
            .map(|(source, columns)| (source.as_str(), columns))
    }
}

impl Lookup for Catalog {
    fn find(&self, name: &ObjectName, views_before: usize) -> Result<Option<Found>, SqlError> {
        let [part] = name.0.as_slice() else {
            let Some(of_catalog) = of_catalog(name) else { return Ok(None) };
            let found = self.tables.iter().find(|(name, _)| *name == of_catalog.to_string());
            return Ok(found.map(|(name, schema)| {
                let table = AtRest { name: name.clone(), schema: Arc::clone(schema) };
                Found::AtRest(Arc::new(table))
            }));
        };
        let Some(ident) = part.as_ident() else { return Ok(None) };
        if let Some((_, columns)) = self.source(&ident.value) {
            let source: Arc<dyn TableSource> = Arc::new(StreamTable(columns.full_schema()));
            let time = self.watermark(&ident.value).map(|time| &time.column);
            let event_time = time.filter(|time| columns.column(time).is_none()).cloned();
            return Ok(Some(Found::Table { source, hidden: columns.hidden(), event_time }));
        }
        if let Some((name, schema)) =
            self.tables.iter().find(|(name, _)| name.eq_ignore_ascii_case(&ident.value))
        {
            let table = AtRest { name: name.clone(), schema: Arc::clone(schema) };
            return Ok(Some(Found::AtRest(Arc::new(table))));
        }
        let seen = self.views.iter().take(views_before).enumerate();
        let view = seen.into_iter().find(|(_, view)| view.name.eq_ignore_ascii_case(&ident.value));
        Ok(view.map(|(index, view)| Found::View {
            name: view.name.clone(),
            sql: view.sql.clone(),
            index,
            behind: view.behind.clone(),
        }))
    }

    fn names(&self) -> Vec<String> {
        Catalog::names(self).into_iter().map(str::to_owned).collect()
    }

    fn without_names(&self) -> &'static str {
        "The pipeline has no sources yet."
    }

    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        self.detectors.clone()
    }
}

/// The table of a catalog that a name of several parts means.
fn of_catalog(name: &ObjectName) -> Option<TableName> {
    let parts = name.0.iter().map(|part| Some(part.as_ident()?.value.as_str()));
    TableName::of_parts(&parts.collect::<Option<Vec<_>>>()?).ok()
}

/// The tables of catalogs that a SELECT names, by names of two or three parts; none of one that cannot be parsed.
pub fn catalog_tables(sql: &str) -> BTreeSet<TableName> {
    let parsed = parse::with_room(|| match parse::one_statement(sql, Paths::No)? {
        Statement::Query(query) => Ok(relations(&query)),
        _ => Ok(BTreeSet::new()),
    });
    let names = parsed.unwrap_or_default();
    names.iter().filter(|name| name.0.len() > 1).filter_map(of_catalog).collect()
}

impl SourceColumns {
    /// The columns of the batches that [`super::Executor::process`] is given if everything is wanted.
    pub(super) fn full_schema(&self) -> SchemaRef {
        match self {
            Self::Envelope { .. } => envelope_schema(),
            Self::Decoded(schema)
                if schema.fields().iter().any(|f| f.name().eq_ignore_ascii_case(KAFKA_COLUMN)) =>
            {
                Arc::clone(schema)
            }
            Self::Decoded(schema) => {
                let mut fields = schema.fields().to_vec();
                fields.push(Arc::new(envelope_field()));
                Arc::new(Schema::new(fields))
            }
        }
    }

    /// The column of this name, without regard to case and quotes; `None` if the text is anything else.
    pub(super) fn column(&self, text: &str) -> Option<String> {
        let name = text.trim().trim_matches('`');
        let schema = self.full_schema();
        let found = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        found.map(|field| field.name().clone())
    }

    /// Columns that `*` leaves out.
    pub(super) fn hidden(&self) -> &'static [&'static str] {
        match self {
            Self::Decoded(schema) if schema.column_with_name(KAFKA_COLUMN).is_none() => &[KAFKA_COLUMN],
            Self::Decoded(_) => &[],
            Self::Envelope { headers: true } => &[],
            Self::Envelope { headers: false } => &["headers"],
        }
    }
}

/// The field [`KAFKA_COLUMN`]: a struct of [`envelope_schema`]'s columns.
pub fn envelope_field() -> Field {
    Field::new(KAFKA_COLUMN, DataType::Struct(envelope_schema().fields().clone()), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_parts_are_those_of_catalogs() {
        for (sql, expected) in [
            ("SELECT * FROM a JOIN x.Y.z USING (id)", "x.y.z"),
            ("SELECT * FROM (SELECT * FROM `b`.c) q", "spark_catalog.b.c"),
            ("SELECT * FROM iot", ""),
            ("SELECT * FROM delta.`/mnt/t`", ""),
            ("SELECT a.b.c FROM a", ""),
            ("SELECT", ""),
        ] {
            let names: Vec<String> = catalog_tables(sql).iter().map(ToString::to_string).collect();
            assert_eq!(names.join(" "), expected, "{sql}");
        }
    }

    #[test]
    fn a_table_is_found_by_its_whole_name_however_it_is_written() {
        let mut catalog = Catalog::new();
        catalog.add_table("spark_catalog.b.c", Arc::new(Schema::empty())).unwrap();
        let found = |parts: &[&str]| {
            let name = ObjectName::from(parts.iter().map(|part| (*part).into()).collect::<Vec<_>>());
            catalog.find(&name, 0).unwrap().is_some()
        };
        assert!(found(&["B", "c"]) && found(&["spark_catalog", "b", "C"]));
        assert!(!found(&["x", "b", "c"]) && !found(&["c"]) && !found(&["b", "/c"]));
    }
}
