//! The names a streaming query can read: the pipeline's sources and its shared views.
//!
//! A name means the same however it is written: Spark compares names without regard to case, and so does every look-up
//! here. A view may use sources and the views before it, so no view can reach itself.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_core::error::codes;
use forebay_core::source::envelope_schema;
use forebay_core::{Error, Result};

/// The hidden column under which a decoded source keeps the columns of its envelope.
pub const KAFKA_COLUMN: &str = "_kafka";

/// What views and subqueries hand on of each record beside their own columns, in a catalogue that
/// [carries records](Catalog::carrying_records): its timestamp, topic and partition. `*` leaves them out.
pub const RECORD_COLUMNS: [&str; 3] = ["__timestamp", "__topic", "__partition"];

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

/// The sources and views of a pipeline.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub(super) sources: Vec<(String, SourceColumns)>,
    pub(super) views: Vec<(String, String)>,
    pub(super) carries_records: bool,
}

impl Catalog {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tables, whose views and subqueries also have [`RECORD_COLUMNS`]. A view over a source that has neither
    /// an envelope nor [`KAFKA_COLUMN`] does not.
    pub fn carrying_records(&self) -> Self {
        Self { carries_records: true, ..self.clone() }
    }

    /// Adds a source. Fails if the name is taken.
    pub fn add_source(&mut self, name: &str, columns: SourceColumns) -> Result<()> {
        self.refuse_taken(name)?;
        self.sources.push((name.to_owned(), columns));
        Ok(())
    }

    /// Adds a view; its SQL may use every source and the views added before it. Fails if the name is taken. The SQL
    /// is looked at when a query uses the view: plan `SELECT * FROM name` to check it.
    pub fn add_view(&mut self, name: &str, sql: &str) -> Result<()> {
        self.refuse_taken(name)?;
        self.views.push((name.to_owned(), sql.to_owned()));
        Ok(())
    }

    /// The names of all sources and views, in the order they were added.
    pub fn names(&self) -> Vec<&str> {
        let sources = self.sources.iter().map(|(name, _)| name.as_str());
        sources.chain(self.views.iter().map(|(name, _)| name.as_str())).collect()
    }

    fn refuse_taken(&self, name: &str) -> Result<()> {
        match self.names().iter().find(|taken| taken.eq_ignore_ascii_case(name)) {
            None => Ok(()),
            Some(taken) => {
                Err(Error::new(&codes::BAD_VALUE, format!("the name `{name}` is taken by `{taken}`"))
                    .with_hint("Sources and views share one set of names, and case makes no difference."))
            }
        }
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
