//! From SQL text to what a streaming query does: filters and projections, and between them operators with state.
//!
//! ```text
//! text ─parse─▶ tree ─resolve─▶ tree ─DataFusion─▶ logical plan ─verify─▶ ─build─▶ graph
//!        │              │                                 │                  │
//!   Spark's dialect,  names, `data.*`, views,       chains and joins over cut at operators with state; what lies
//!   limits            windows, hidden columns       sources, nothing      between is optimized and lowered to stages
//!                                                   a replay changes
//! ```
//!
//! A query is planned once; [`StreamPlan::executor`] then makes a cheap worker for each lane of each epoch, and
//! [`graph`] says what follows behind the lanes. What must stay true: a plan gives, for the same batch and the same epoch
//! time, the same rows. Where to read next: [`resolve`] for names, [`semantics`] for where Spark means something else than
//! DataFusion, [`zone`] for the session's time zone, [`verify`] and [`modes`] for what is refused, [`words`] for how DataFusion's refusals are told,
//! [`lineage`] for event time, [`executor`] for the hot path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use forebay_core::error::{Code, codes};
use forebay_core::output_mode::OutputMode;
use forebay_core::source::Wanted;
use forebay_core::{Error, Result};

mod aggregate;
mod build;
mod catalog;
mod conditions;
pub(crate) mod deadline;
mod executor;
pub(crate) mod functions;
pub(crate) mod graph;
mod inputs;
mod join;
mod joined;
mod lineage;
mod lower;
mod modes;
mod observe;
mod once;
mod origin;
pub(crate) mod parse;
mod provider;
pub(crate) mod resolve;
mod row_keys;
mod scan;
mod semantics;
pub(crate) mod session;
mod sort;
mod sql_error;
mod state_watermark;
pub(crate) mod statics;
#[cfg(test)]
mod tests;
mod verify;
mod watermark;
pub(crate) mod words;
mod zone;

pub(crate) use catalog::is_hidden;
pub use catalog::{
    Catalog, Deduplicate, EVENT_TIME_COLUMN, KAFKA_COLUMN, OFFSET_COLUMN, RECORD_COLUMNS, SourceColumns,
    SourceTime, envelope_field,
};
pub use executor::{Executor, Fates, Refusal, Rows};
pub use inputs::PlannedInput;
pub use sql_error::SqlError;
pub use words::type_name;

use self::build::{BuiltInput, Source, Sources};
use self::graph::{EventTime, Graph, Input, Step, StepPlan};
use self::lower::{Lowered, Stage};
use self::resolve::{Planner, Read, State};
use self::session::Purpose;
use crate::lookup::LookupSpec;

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
    output_schema: SchemaRef,
    uses_epoch_time: bool,
    input_uses_epoch_time: bool,
    /// The first of them.
    input: Input,
    graph: Graph,
}

impl StreamPlan {
    /// The name of the source it reads, as the catalogue spells it; of several the first.
    pub fn source(&self) -> &str {
        &self.input.source
    }

    /// The columns of the batches that [`Executor::process`] expects: the source's own, and [`KAFKA_COLUMN`] as
    /// the last one if [`Self::wants_envelope`].
    pub fn input_schema(&self) -> SchemaRef {
        Arc::clone(&self.input.input_schema)
    }

    /// The columns that come out; their names are unique without regard to case.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output_schema)
    }

    /// Which optional columns of the envelope are read.
    pub fn wanted(&self) -> Wanted {
        self.input.wanted
    }

    /// True if a decoded source must add [`KAFKA_COLUMN`].
    pub fn wants_envelope(&self) -> bool {
        self.input.wants_envelope
    }

    /// True if `now()` or one of its family is used.
    pub fn uses_epoch_time(&self) -> bool {
        self.uses_epoch_time
    }

    /// How far the watermark of each input is behind its latest event time, in milliseconds; `None`: it has none.
    pub fn delays_ms(&self) -> Vec<Option<i64>> {
        self.graph.inputs.iter().map(|input| input.event_time.as_ref().map(|time| time.delay_ms)).collect()
    }

    /// True if it has operators with state; then [`Self::executor`] gives the rows that the first of them takes.
    pub fn remembers(&self) -> bool {
        !self.graph.steps.is_empty()
    }

    /// Its joins with tables at rest.
    pub(crate) fn lookups(&self) -> Vec<Arc<LookupSpec>> {
        let inputs = self.graph.inputs.iter().flat_map(|input| input.stages.iter());
        let steps = self.graph.steps.iter().filter_map(|step| match &step.plan {
            StepPlan::Stages(staged) => Some(staged.stages.iter()),
            _ => None,
        });
        let lookup = |stage: &Stage| match stage {
            Stage::Lookup(lookup) => Some(Arc::clone(&lookup.spec)),
            _ => None,
        };
        inputs.chain(steps.flatten()).filter_map(lookup).collect()
    }

    /// The tables at rest that it reads, as the catalogue spells them.
    pub fn tables(&self) -> BTreeSet<String> {
        self.lookups().iter().flat_map(|spec| spec.tables.clone()).collect()
    }

    /// What happens to rows from the source to the sink.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// A worker for one lane of an epoch that was planned at this time (milliseconds since 1970).
    pub fn executor(&self, epoch_time_ms: i64) -> Executor {
        let time = self.input_uses_epoch_time.then_some(epoch_time_ms);
        Executor::new(&self.input.stages, &self.input.rows, time)
    }
}

/// Plans a streaming query without state: one SELECT over one source, each row by itself.
///
/// `json` makes the decoders of `from_json`; without it the function is not available. Errors: `SQL_SYNTAX`,
/// `SQL_PLAN`, `NOT_STREAMING`, `NOT_YET`, with their place in `sql` where it is known.
pub fn plan(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<StreamPlan, SqlError> {
    located(catalog, sql, json, State::Refused, None)
}

/// Plans a streaming query that may have state, for an output mode. Errors as those of [`plan`]; what Spark refuses in
/// this mode is `NOT_STREAMING`.
pub fn plan_query(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    mode: OutputMode,
    deduplicate: Option<&Deduplicate>,
) -> Result<StreamPlan, SqlError> {
    located(catalog, sql, json, State::Kept(Some(mode)), deduplicate)
}

/// Checks a view by itself. It may have state; which modes that takes is a matter of the queries that use it.
pub fn check_view(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    deduplicate: Option<&Deduplicate>,
) -> Result<(), SqlError> {
    let state = State::Kept(None);
    // A view may also be a part of tables at rest, for others to join.
    if parse::with_room(|| Ok(is_at_rest(catalog, sql, json, state, deduplicate)))? {
        return Ok(());
    }
    located(catalog, sql, json, state, deduplicate).map(|_| ())
}

/// True if a SELECT can be planned and reads tables at rest and nothing else.
fn is_at_rest(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    deduplicate: Option<&Deduplicate>,
) -> bool {
    let Ok(Statement::Query(query)) = parse::one_statement(sql, parse::Paths::No) else { return false };
    let Ok(session) = session::session(Purpose::Stream, catalog.time_zone, Arc::new(RuntimeEnv::default()))
    else {
        return false;
    };
    let mut planner = Planner::new(&session, catalog, json, true).remembering(state);
    let planned = match deduplicate {
        Some(deduplicate) => planner.plan_once(query, deduplicate),
        None => planner.plan(query),
    };
    planned.is_ok_and(|plan| statics::is_at_rest(&plan))
}

/// Checks the event time of a source, if it has one.
pub fn check_watermark(
    catalog: &Catalog,
    source: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<(), SqlError> {
    event_time(catalog, source, json).map(|_| ())
}

/// The event time of a source's rows, as a plan that gives it as its one column for each row; `None` if the source has
/// none. Errors as those of [`check_watermark`].
pub fn event_time(
    catalog: &Catalog,
    source: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<Option<StreamPlan>, SqlError> {
    let Some(((name, columns), time)) = catalog.source(source).zip(catalog.watermark(source)) else {
        return Ok(None);
    };
    let column = columns.column(&time.column).unwrap_or_else(|| EVENT_TIME_COLUMN.to_owned());
    let sql = format!("SELECT `{column}` AS event_time FROM `{name}`");
    let planned =
        located(catalog, &sql, json, State::Kept(None), None).map_err(|error| SqlError::from(error.error))?;
    refuse_no_time(planned.output_schema.field(0).data_type(), &time.column)?;
    Ok(Some(planned))
}

/// Refuses an event time that is no TIMESTAMP.
fn refuse_no_time(data_type: &DataType, column: &str) -> Result<(), Error> {
    if matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return Ok(());
    }
    let message = format!("the event time `{column}` is of type {}, not TIMESTAMP", type_name(data_type));
    Err(Error::new(&codes::SQL_PLAN, message)
        .with_hint("Compute a time of it: timestamp_seconds(…), timestamp_millis(…) or to_timestamp(…)."))
}

fn located(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    deduplicate: Option<&Deduplicate>,
) -> Result<StreamPlan, SqlError> {
    parse::with_room(|| plan_here(catalog, sql, json, state, deduplicate)).map_err(|error| error.located(sql))
}

fn plan_here(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    deduplicate: Option<&Deduplicate>,
) -> Result<StreamPlan, SqlError> {
    let query = match parse::one_statement(sql, parse::Paths::No)? {
        Statement::Query(query) => query,
        other => return Err(not_a_select(&other).into()),
    };
    let internal = |error| core_error(&codes::INTERNAL, error);
    let runtime = Arc::new(RuntimeEnv::default());
    let session = session::session(Purpose::Stream, catalog.time_zone, runtime).map_err(internal)?;
    let mut planner =
        Planner::new(&session, catalog, json, true).carrying(catalog.carries_records).remembering(state);
    let logical = match deduplicate {
        Some(deduplicate) => planner.plan_once(query, deduplicate)?,
        None => planner.plan(query)?,
    };
    verify::streaming(&logical, state)?;
    let sources = sources(&planner, catalog);
    let mode = match state {
        State::Kept(mode) => mode,
        State::Refused => None,
    };
    if !build::remembers(&logical) {
        if let Some(mode) = mode {
            modes::check(&[], mode)?;
        }
        let Some(source) = build::source_of(&logical, &sources) else {
            return Err(Error::new(&codes::INTERNAL, "the source of the query is not known").into());
        };
        let optimized = session.optimize(&logical).map_err(SqlError::planning)?;
        let lowered = lower::lower(&optimized, &session)?;
        let rows = build::arrow_schema(optimized.schema());
        let input = input_of(source, lowered, &optimized, Arc::clone(&rows), None);
        return planned(vec![input], Vec::new(), rows, mode);
    }
    let analyzed = session
        .analyzer()
        .execute_and_check(logical, session.config_options(), |_, _| {})
        .map_err(SqlError::planning)?;
    for source in sources.values() {
        let Some(time) = &source.time else { continue };
        let column = source.columns.column(&time.column);
        let field =
            column.and_then(|column| source.columns.full_schema().field_with_name(&column).cloned().ok());
        field.map_or(Ok(()), |field| refuse_no_time(field.data_type(), &time.column))?;
    }
    let output_schema = build::arrow_schema(analyzed.schema());
    let built = build::build(analyzed, &session, &sources, catalog.carries_records, mode)?;
    let inputs = built.inputs.into_iter().map(|input| {
        let BuiltInput { source, lowered, plan, rows, is_timed } = input;
        let time = source.time.as_ref().filter(|_| is_timed);
        let event_time = time.map(|time| EventTime { delay_ms: time.delay_ms });
        input_of(source, lowered, &plan, rows, event_time)
    });
    planned(inputs.collect(), built.steps, output_schema, mode)
}

/// The sources that a statement reads.
fn sources<'a>(planner: &Planner<'_>, catalog: &'a Catalog) -> Sources<'a> {
    let source = |read: &Read| {
        let (name, columns) = catalog.source(&read.name)?;
        let time = read.watermark.clone().or_else(|| catalog.watermark(name).cloned());
        Some((provider::table_name(read.table), Source { name, columns, time }))
    };
    planner.reads.iter().filter_map(source).collect()
}

fn planned(
    inputs: Vec<Input>,
    steps: Vec<Step>,
    output_schema: SchemaRef,
    mode: Option<OutputMode>,
) -> Result<StreamPlan, SqlError> {
    let Some(input) = inputs.first().cloned() else {
        return Err(Error::new(&codes::INTERNAL, "the query reads no source").into());
    };
    let staged = |step: &Step| matches!(&step.plan, StepPlan::Stages(staged) if staged.uses_epoch_time);
    Ok(StreamPlan {
        output_schema,
        uses_epoch_time: inputs.iter().any(|input| lower::uses_time(&input.stages))
            || steps.iter().any(staged),
        input_uses_epoch_time: lower::uses_time(&input.stages),
        input,
        graph: Graph { inputs, steps, mode: mode.unwrap_or_default() },
    })
}

/// The lanes' part of a query.
fn input_of(
    source: &Source<'_>,
    lowered: Lowered,
    optimized: &LogicalPlan,
    rows: SchemaRef,
    event_time: Option<EventTime>,
) -> Input {
    let columns = source.columns;
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
        if is_envelope || wants_envelope { lower::wanted(optimized, &used) } else { Wanted::default() };
    Input {
        source: source.name.to_owned(),
        input_schema,
        wanted,
        wants_envelope,
        stages: lowered.stages.into(),
        rows,
        event_time,
    }
}

fn not_a_select(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this");
    Error::new(&codes::SQL_PLAN, format!("a query must be a SELECT, not {}", verb.to_uppercase()))
        .with_hint("The sink is chosen in the pipeline file; the SQL only says which rows go there.")
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
