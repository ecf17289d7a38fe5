//! From SQL text to a streaming query's filters and projections.
//!
//! ```text
//! text ─parse─▶ tree ─resolve─▶ tree ─DataFusion─▶ logical plan ─verify─▶ ─optimize─▶ ─lower─▶ stages
//!        │              │                                 │                               │
//!   Spark's dialect,  names, `data.*`,           linear chain over one source,     physical expressions,
//!   limits            views, hidden columns      nothing that a replay changes     planned once
//! ```
//!
//! A query is planned once; [`StreamPlan::executor`] then makes a cheap worker for each lane of each epoch. What
//! must stay true: a plan that comes out of [`plan`] gives, for the same batch and the same epoch time, the same
//! rows. Where to read next: [`resolve`] for names, [`semantics`] for where Spark means something else than
//! DataFusion, [`verify`] for what is refused, [`words`] for how DataFusion's refusals are told, [`executor`] for the
//! hot path.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::TableSource;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use forebay_core::error::{Code, codes};
use forebay_core::source::Wanted;
use forebay_core::{Error, Result};

mod catalog;
pub(crate) mod deadline;
mod executor;
pub(crate) mod functions;
mod lower;
mod origin;
pub(crate) mod parse;
mod provider;
pub(crate) mod resolve;
mod scan;
mod semantics;
pub(crate) mod session;
mod sql_error;
#[cfg(test)]
mod tests;
mod verify;
pub(crate) mod words;

pub use catalog::{Catalog, KAFKA_COLUMN, RECORD_COLUMNS, SourceColumns, envelope_field};
pub use executor::{Executor, Fates, Refusal};
pub use sql_error::SqlError;
pub use words::type_name;

use self::lower::Stage;
use self::provider::StreamTable;
use self::resolve::{Found, Lookup, Planner};
use self::session::Purpose;

/// Decodes a column of JSON texts (`Utf8View`) to a struct column of the same length; a NULL text gives a NULL.
pub type JsonDecode = Arc<dyn Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync>;

/// Makes the decoders behind `from_json`; the engine does not know the format itself.
pub trait JsonDecoderFactory: Send + Sync {
    /// A decoder for these fields and options. Its result is a struct of the fields, each nullable. Fails with
    /// `UNKNOWN_KEY` or `BAD_VALUE` if an option is wrong.
    fn decoder(&self, schema: SchemaRef, options: &BTreeMap<String, String>) -> Result<JsonDecode>;
}

/// A streaming query, planned.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    source: String,
    input_schema: SchemaRef,
    output_schema: SchemaRef,
    wanted: Wanted,
    wants_envelope: bool,
    uses_epoch_time: bool,
    stages: Arc<[Stage]>,
}

impl StreamPlan {
    /// The name of the source it reads, as the catalogue spells it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The columns of the batches that [`Executor::process`] expects: the source's own, and [`KAFKA_COLUMN`] as
    /// the last one if [`Self::wants_envelope`].
    pub fn input_schema(&self) -> SchemaRef {
        Arc::clone(&self.input_schema)
    }

    /// The columns that come out; their names are unique without regard to case.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output_schema)
    }

    /// Which optional columns of the envelope are read.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// True if a decoded source must add [`KAFKA_COLUMN`].
    pub fn wants_envelope(&self) -> bool {
        self.wants_envelope
    }

    /// True if `now()` or one of its family is used.
    pub fn uses_epoch_time(&self) -> bool {
        self.uses_epoch_time
    }

    /// A worker for one lane of an epoch that was planned at this time (milliseconds since 1970).
    pub fn executor(&self, epoch_time_ms: i64) -> Executor {
        Executor::new(&self.stages, &self.output_schema, self.uses_epoch_time.then_some(epoch_time_ms))
    }
}

/// Plans a streaming query: one SELECT over one source.
///
/// `json` makes the decoders of `from_json`; without it the function is not available. Errors: `SQL_SYNTAX`,
/// `SQL_PLAN`, `NOT_STREAMING`, `NOT_YET`, with their place in `sql` where it is known.
pub fn plan(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<StreamPlan, SqlError> {
    parse::with_room(|| plan_here(catalog, sql, json)).map_err(|error| error.located(sql))
}

fn plan_here(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<StreamPlan, SqlError> {
    let query = match parse::one_statement(sql, parse::Paths::No)? {
        Statement::Query(query) => query,
        other => return Err(not_a_select(&other).into()),
    };
    let internal = |error| core_error(&codes::INTERNAL, error);
    let state = session::session(Purpose::Stream, Arc::new(RuntimeEnv::default())).map_err(internal)?;
    let mut planner = Planner::new(&state, catalog, json, true).carrying(catalog.carries_records);
    let logical = planner.plan(query)?;
    verify::streaming(&logical)?;
    let name = planner.reads.first().cloned().unwrap_or_default();
    let Some((source, columns)) = catalog.source(&name) else {
        return Err(Error::new(&codes::INTERNAL, "the source of the query is not known").into());
    };
    let optimized = state.optimize(&logical).map_err(SqlError::planning)?;
    let lowered = lower::lower(&optimized, &state)?;
    let full = columns.full_schema();
    let used: Vec<String> = lowered.used.iter().map(|&index| full.field(index).name().clone()).collect();
    let hidden = matches!(columns, SourceColumns::Decoded(_)) && !columns.hidden().is_empty();
    let wants_envelope = hidden && used.iter().any(|name| name == KAFKA_COLUMN);
    let input_schema = match columns {
        SourceColumns::Decoded(schema) if !wants_envelope => Arc::clone(schema),
        _ => full,
    };
    let is_envelope = matches!(columns, SourceColumns::Envelope { .. });
    let wanted =
        if is_envelope || wants_envelope { lower::wanted(&optimized, &used) } else { Wanted::default() };
    let output_schema = Arc::new(Schema::new(optimized.schema().fields().clone()));
    Ok(StreamPlan {
        source: source.to_owned(),
        input_schema,
        output_schema,
        wanted,
        wants_envelope,
        uses_epoch_time: lower::uses_time(&lowered.stages),
        stages: lowered.stages.into(),
    })
}

fn not_a_select(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this");
    Error::new(&codes::SQL_PLAN, format!("a query must be a SELECT, not {}", verb.to_uppercase()))
        .with_hint("The sink is chosen in the pipeline file; the SQL only says which rows go there.")
}

impl Catalog {
    fn source(&self, name: &str) -> Option<(&str, &SourceColumns)> {
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
            return Ok(Some(Found::Table { source, hidden: columns.hidden() }));
        }
        let view = self
            .views
            .iter()
            .take(views_before)
            .enumerate()
            .find(|(_, (view, _))| view.eq_ignore_ascii_case(&ident.value));
        Ok(view.map(|(index, (name, sql))| Found::View { name: name.clone(), sql: sql.clone(), index }))
    }

    fn names(&self) -> Vec<String> {
        Catalog::names(self).into_iter().map(str::to_owned).collect()
    }

    fn without_names(&self) -> &'static str {
        "The pipeline has no sources yet."
    }
}

/// DataFusion's error as Forebay's: one of our own that passed through it comes out as it went in.
pub(crate) fn core_error(code: &'static Code, error: DataFusionError) -> Error {
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return ours.clone();
    }
    let words = words::words(&error);
    if code.id == codes::QUERY_FAILED.id {
        return Error::new(code, "an expression of the query failed").with_detail(words);
    }
    Error::new(code, words)
}
