//! The names a streaming query can read: the pipeline's sources, its tables at rest and its shared views.
//!
//! A name means the same however it is written: Spark compares names without regard to case, and so does every look-up
//! here. A view may use sources and the views before it, so no view can reach itself.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::TableSource;
use datafusion::sql::sqlparser::ast::ObjectName;
use forebay_core::error::codes;
use forebay_core::source::envelope_schema;
use forebay_core::{Error, Result, Zone};

use super::provider::StreamTable;
use super::resolve::{Found, Lookup};
use super::sql_error::SqlError;
use super::statics::AtRest;

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
}

/// A view.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub name: String,
    pub sql: String,
    pub deduplicate: Option<Deduplicate>,
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
        self.refuse_taken(name)?;
        self.views.push(View { name: name.to_owned(), sql: sql.to_owned(), deduplicate });
        Ok(())
    }

    /// Says which time of a source is its event time. It is looked at when a query with state reads the source:
    /// [`super::check_watermark`] checks it.
    pub fn set_watermark(&mut self, source: &str, time: SourceTime) {
        self.times.retain(|(name, _)| !name.eq_ignore_ascii_case(source));
        self.times.push((source.to_owned(), time));
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
            Some(taken) => {
                Err(Error::new(&codes::BAD_VALUE, format!("the name `{name}` is taken by `{taken}`"))
                    .with_hint(
                        "Sources, tables and views share one set of names, and case makes no difference.",
                    ))
            }
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
        let [part] = name.0.as_slice() else { return Ok(None) };
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
            deduplicate: view.deduplicate.clone(),
        }))
    }

    fn names(&self) -> Vec<String> {
        Catalog::names(self).into_iter().map(str::to_owned).collect()
    }

    fn without_names(&self) -> &'static str {
        "The pipeline has no sources yet."
    }
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
