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
//! A query is planned once; [`PlannedInput::executor`] then makes a cheap worker for each lane of each epoch, and
//! [`graph`] says what follows behind the lanes. What must stay true: a plan gives, for the same batch and the same epoch
//! time, the same rows. Where to read next: [`resolve`] for names, [`semantics`] for where Spark means something else than
//! DataFusion, [`generator`] for rows made of arrays, [`learned`] for detectors that are called, [`doubles`] for numbers of two types, [`zone`] for the session's time zone, [`union`] for rows of several sources, [`verify`] and [`modes`] for what is refused, [`words`] for how
//! DataFusion's refusals are told, [`lineage`] for event time, [`conditions`], [`join`] and [`state_watermark`] for joins
//! of streams, [`told`] for what state means, [`statics`] and [`lookups`] for those with tables at rest, [`executor`] for the hot path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use forebay_core::detect::Model;
use forebay_core::error::{Code, codes};
use forebay_core::event_time::Observed;
use forebay_core::output_mode::OutputMode;
use forebay_core::source::Wanted;
use forebay_core::{Error, Result};

pub(crate) mod absent;
mod aggregate;
mod build;
mod catalog;
mod checks;
pub(crate) mod columns;
mod conditions;
pub(crate) mod deadline;
mod dialect;
pub(crate) mod doubles;
mod executor;
pub(crate) mod functions;
mod generator;
pub(crate) mod graph;
mod grouping;
mod inputs;
mod join;
mod judged;
pub(crate) mod kept_names;
mod late;
mod lateral;
mod learned;
mod lineage;
mod lookups;
mod lower;
mod modes;
mod observe;
mod once;
mod origin;
pub(crate) mod parse;
pub(crate) mod physical;
mod provider;
mod record;
pub(crate) mod resolve;
mod row_keys;
mod scan;
pub(crate) mod semantics;
pub(crate) mod session;
mod sort;
mod sql_error;
mod state_watermark;
pub(crate) mod statics;
#[cfg(test)]
mod tests;
pub(crate) mod told;
mod union;
mod verify;
mod watermark;
mod widest;
pub(crate) mod words;
mod zone;

pub(crate) use catalog::is_hidden;
pub use catalog::{
    Catalog, Deduplicate, Detect, EVENT_TIME_COLUMN, KAFKA_COLUMN, OFFSET_COLUMN, RECORD_COLUMNS,
    SourceColumns, SourceTime, catalog_tables, envelope_field,
};
pub use checks::{check_detector, check_view, check_watermark, event_time, row_conditions};
pub(crate) use executor::truth;
pub use executor::{Executor, Fates, Refusal, Rows};
pub use inputs::PlannedInput;
pub use sql_error::SqlError;
pub use words::type_name;

use self::build::{BuiltInput, Source, Sources};
use self::catalog::Behind;
use self::checks::refuse_no_time;
use self::graph::{EventTime, Graph, Input, Step, StepPlan};
use self::lower::{Lowered, Stage};
use self::resolve::{Planner, Read, State};
use self::session::Purpose;
use crate::lookup::LookupSpec;
use crate::status::Drift;

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
    graph: Graph,
    /// The saved models that functions judge by.
    models: Vec<Arc<dyn Model>>,
}

impl StreamPlan {
    /// The columns that come out; their names are unique without regard to case.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output_schema)
    }

    /// True if `now()` or one of its family is used.
    pub fn uses_epoch_time(&self) -> bool {
        self.uses_epoch_time
    }

    /// How far the watermark of each input is behind its latest event time, in milliseconds; `None`: it has none.
    pub fn delays_ms(&self) -> Vec<Option<i64>> {
        self.graph.inputs.iter().map(|input| input.event_time.as_ref().map(|time| time.delay_ms)).collect()
    }

    /// The latest event times that the inputs of an epoch have seen (in milliseconds), where those with the same watermark have
    /// seen what any of them has.
    pub(crate) fn observed(&self, seen: &[Option<i64>]) -> Observed {
        let firsts = || {
            let inputs = self.graph.inputs.iter().enumerate();
            inputs.map(|(number, input)| input.event_time.as_ref().map_or(number, |time| time.first))
        };
        let latest = |first: usize| {
            let same = firsts().zip(seen).filter(|(other, _)| *other == first);
            same.filter_map(|(_, seen)| *seen).max()
        };
        Observed(firsts().map(latest).collect())
    }

    /// True if it has operators with state; then its inputs' executors give the rows that the first of them take.
    pub fn remembers(&self) -> bool {
        !self.graph.steps.is_empty()
    }

    /// True if its rows follow from their records alone, whatever came before, lies in tables or is the time.
    pub fn is_of_rows(&self) -> bool {
        !self.remembers() && !self.uses_epoch_time && self.lookups().is_empty()
    }

    /// Which versions of saved models its detectors judge by, in their order, and then its functions.
    pub fn models(&self) -> Vec<String> {
        self.judges().filter_map(|model| model.version()).collect()
    }

    /// The same, and how far the scores that each gave of late are from those of its training.
    pub(crate) fn drifts(&self) -> Vec<Drift> {
        let mut drifts: Vec<Drift> = Vec::new();
        for model in self.judges() {
            if let Some(model_is) =
                model.version().filter(|is| drifts.iter().all(|known| *known.model != **is))
            {
                drifts.push(Drift { model: model_is.into(), index: model.drift() });
            }
        }
        drifts
    }

    fn judges(&self) -> impl Iterator<Item = &Arc<dyn Model>> {
        let of_steps = self.graph.steps.iter().filter_map(|step| match &step.plan {
            StepPlan::Detect(spec) => Some(&spec.model),
            _ => None,
        });
        of_steps.chain(&self.models)
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
}

/// Plans a streaming query without state: one SELECT over one source, or over several as one with UNION ALL, each row by itself.
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

/// Plans a streaming query as [`plan`] does, whose rows may also be those of a detector: that remembers, and gives each row once.
pub fn plan_rows(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
) -> Result<StreamPlan, SqlError> {
    let refused = match plan(catalog, sql, json) {
        Err(error) if error.error.message() == verify::DETECTOR => error,
        planned => return planned,
    };
    let planned = plan_query(catalog, sql, json, OutputMode::Append, None)?;
    let is_by_row =
        |step: &Step| matches!(step.plan, StepPlan::Detect(_) | StepPlan::Stages(_) | StepPlan::Union);
    if planned.graph.steps.iter().all(is_by_row) { Ok(planned) } else { Err(refused) }
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
    let behind = deduplicate.cloned().map(Behind::Once);
    located(catalog, sql, json, State::Kept(Some(mode)), behind.as_ref())
}

fn located(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    behind: Option<&Behind>,
) -> Result<StreamPlan, SqlError> {
    parse::with_room(|| plan_here(catalog, sql, json, state, behind)).map_err(|error| error.located(sql))
}

fn plan_here(
    catalog: &Catalog,
    sql: &str,
    json: Option<&dyn JsonDecoderFactory>,
    state: State,
    behind: Option<&Behind>,
) -> Result<StreamPlan, SqlError> {
    let query = match parse::one_statement(sql, parse::Paths::No)? {
        Statement::Query(query) => query,
        other => return Err(not_a_select(&other).into()),
    };
    let internal = |error| core_error(&codes::INTERNAL, error);
    let runtime = Arc::new(RuntimeEnv::default());
    let session = session::session(Purpose::Stream, catalog.time_zone, runtime).map_err(internal)?;
    let mut planner =
        Planner::new(&session, catalog, json, true).carrying(catalog.records).remembering(state);
    let logical = planner.plan_behind(query, behind)?;
    verify::streaming(&logical, state)?;
    let sources = sources(&planner, catalog);
    let mode = match state {
        State::Kept(mode) => mode,
        State::Refused => None,
    };
    if !build::remembers(&logical) && !union::is_in(&logical) {
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
        let planned = planned(vec![input], Vec::new(), rows, mode)?;
        return Ok(StreamPlan { models: planner.models, ..planned });
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
    let built = build::build(analyzed, &session, &sources, catalog.records != catalog::Records::Left, mode)?;
    let firsts = built.watermarks();
    let inputs = built.inputs.into_iter().zip(firsts).map(|(input, first)| {
        let BuiltInput { source, lowered, plan, rows, is_timed } = input;
        let time = source.time.as_ref().filter(|_| is_timed);
        let event_time = time.map(|time| EventTime { delay_ms: time.delay_ms, first });
        input_of(source, lowered, &plan, rows, event_time)
    });
    let planned = planned(inputs.collect(), built.steps, output_schema, mode)?;
    Ok(StreamPlan { models: planner.models, ..planned })
}

/// The sources that a statement reads.
fn sources<'a>(planner: &Planner<'_>, catalog: &'a Catalog) -> Sources<'a> {
    let source = |read: &Read| {
        let (name, columns) = catalog.source(&read.name)?;
        let time = read.watermark.clone().or_else(|| catalog.watermark(name).cloned());
        let has_clause = read.watermark.is_some();
        Some((provider::table_name(read.table), Source { name, columns, time, has_clause }))
    };
    planner.reads.iter().filter_map(source).collect()
}

fn planned(
    inputs: Vec<Input>,
    steps: Vec<Step>,
    output_schema: SchemaRef,
    mode: Option<OutputMode>,
) -> Result<StreamPlan, SqlError> {
    if inputs.is_empty() {
        return Err(Error::new(&codes::INTERNAL, "the query reads no source").into());
    }
    let staged = |step: &Step| matches!(&step.plan, StepPlan::Stages(staged) if staged.uses_epoch_time);
    Ok(StreamPlan {
        output_schema,
        uses_epoch_time: inputs.iter().any(|input| lower::uses_time(&input.stages))
            || steps.iter().any(staged),
        graph: Graph { inputs, steps, mode: mode.unwrap_or_default() },
        models: Vec::new(),
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
