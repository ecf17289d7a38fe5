//! From a pipeline file to planned queries, or to a list of everything that is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::SchemaRef;
use forebay_core::clock::millis;
use forebay_core::config::{
    self, DetectorConfig, Draft, InvalidConfig, Lookup, Pipeline, Problem, QueryConfig, SourceConfig,
    ViewConfig,
};
use forebay_core::error::codes;
use forebay_core::format::Format;
use forebay_core::table::StaticTable;
use forebay_core::{Error, Result};
use forebay_engine::adhoc;
use forebay_engine::expect::invalid_columns;
use forebay_engine::plan::{self, Catalog, SourceColumns, SourceTime, SqlError, StreamPlan};
use forebay_storage::read_regular;

use self::connectors::{unbuildable, untaken};
use self::once::{of_key, once};
use crate::alerts::{self, PlannedAlert};
use crate::at_rest::{self, AtRest};
use crate::json::FromJson;
use crate::registry::registry;
use crate::runnable::Run;
use crate::{channels, expect, gateways, tables, talk, warehouse, work};

mod connectors;
mod detectors;
mod once;
mod watched;

pub use self::detectors::{Called, words as detector_words};
pub use self::watched::Watched;

/// Largest pipeline file: far beyond what people write.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A valid pipeline with its queries and alerts planned, in the order of the file.
pub struct Loaded {
    pub pipeline: Pipeline,
    /// Of each query. None where it reads a table that is not there and that the run does not need.
    pub plans: Vec<Option<Arc<StreamPlan>>>,
    pub alerts: Vec<PlannedAlert>,
    /// The views that the page follows, in the order of `dashboard`.
    pub watched: Vec<Watched>,
    /// The tables at rest that can be read.
    pub tables: Vec<Arc<dyn StaticTable>>,
    /// Why the others cannot, where the run does not need them yet.
    pub absent: Vec<Problem>,
}

impl Loaded {
    /// The queries that are planned, in the order of the file.
    pub fn queries(&self) -> impl Iterator<Item = (&QueryConfig, &Arc<StreamPlan>)> {
        let both = self.pipeline.queries.iter().zip(&self.plans);
        both.filter_map(|(query, plan)| Some((query, plan.as_ref()?)))
    }
}

/// Loads a file; if it is not valid, prints every problem to stderr and returns `None`. With `run`, what keeps it from
/// running so is a problem too.
pub fn load_or_explain(path: &Path, run: Option<Run<'_>>) -> anyhow::Result<Option<Loaded>> {
    Ok(load_file(path, run)?.ok())
}

/// The same for who looks at a pipeline beside its run: its tables are those under the data folder.
pub fn load_beside(path: &Path, data: &Path) -> anyhow::Result<Option<Loaded>> {
    let (text, name) = (read(path, "the pipeline file")?, path.display().to_string());
    let (loaded, of_tests) = load_apart(&text, &name, None, Some(data));
    Ok(whole(loaded, of_tests).inspect_err(|problems| say(problems, &text, &name)).ok())
}

/// As [`load_or_explain`]; gives what it prints.
pub fn load_file(path: &Path, run: Option<Run<'_>>) -> anyhow::Result<Result<Loaded, Vec<Problem>>> {
    let text = read(path, "the pipeline file")?;
    let name = path.display().to_string();
    let loaded = load(&text, &name, run).inspect_err(|problems| say(problems, &text, &name));
    if let Ok(Loaded { absent, .. }) = &loaded
        && !absent.is_empty()
    {
        talk::say(config::warn(absent, &text, &name, talk::is_colored()).trim_end());
    }
    Ok(loaded)
}

fn say(problems: &[Problem], text: &str, name: &str) {
    talk::say(config::render(problems, text, name, talk::is_colored()).trim_end());
}

/// A file's meaning and its text, its SQL not planned; if it is not valid, prints every problem and returns `None`.
pub fn parse_file(path: &Path) -> anyhow::Result<Option<(Pipeline, String)>> {
    let text = read(path, "the pipeline file")?;
    let name = path.display().to_string();
    match config::parse(&text, &name, &registry(), &lookup()) {
        Ok(pipeline) => Ok(Some((pipeline, text))),
        Err(problems) => {
            say(&problems, &text, &name);
            Ok(None)
        }
    }
}

/// References in the file, from this process's environment and this machine's files.
fn lookup() -> Lookup<'static> {
    Lookup {
        env: &|variable| std::env::var(variable).ok(),
        file: &|path| std::fs::read_to_string(path).map_err(|e| e.to_string()),
    }
}

/// The text of a file; `what` it is stands in the error.
pub fn read(path: &Path, what: &str) -> anyhow::Result<String> {
    let unreadable = |detail: String| {
        Error::new(&codes::FILE_UNREADABLE, format!("{what} cannot be read"))
            .at(path.display())
            .with_detail(detail)
    };
    let bytes = read_regular(path, MAX_FILE_BYTES).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes)
        .map_err(|e| unreadable(e.to_string()))
        .with_context(|| format!("{what} is UTF-8 text"))
}

/// Checks and plans a pipeline. What is wrong in one part hides nothing that is wrong in another, and is told once:
/// of a part that was refused already only further bad values count, and SQL that names it is only parsed.
pub fn load(text: &str, name: &str, run: Option<Run<'_>>) -> Result<Loaded, Vec<Problem>> {
    let (loaded, of_tests) = load_apart(text, name, run, run.map(|run| run.data));
    whole(loaded, of_tests)
}

fn whole(loaded: Result<Loaded, Vec<Problem>>, of_tests: Vec<Problem>) -> Result<Loaded, Vec<Problem>> {
    match loaded {
        Ok(loaded) if of_tests.is_empty() => Ok(loaded),
        Ok(_) => Err(of_tests),
        Err(problems) => {
            let mut all = [problems, of_tests].concat();
            all.sort_by_key(|problem| (problem.line, problem.column));
            Err(all)
        }
    }
}

/// As [`load`], with what is wrong with the shape of its tests by itself. Its tables are looked for under `data`.
pub fn load_apart(
    text: &str,
    name: &str,
    run: Option<Run<'_>>,
    data: Option<&Path>,
) -> (Result<Loaded, Vec<Problem>>, Vec<Problem>) {
    let mut draft = config::draft(text, name, &registry(), &lookup());
    let of_tests = std::mem::take(&mut draft.test_problems);
    (load_draft(draft, text, name, run, data), of_tests)
}

fn load_draft(
    mut draft: Draft,
    text: &str,
    name: &str,
    run: Option<Run<'_>>,
    data: Option<&Path>,
) -> Result<Loaded, Vec<Problem>> {
    let mut problems = std::mem::take(&mut draft.problems);
    let Some(mut pipeline) = draft.pipeline.take() else { return Err(problems) };
    match warehouse::read_by(&pipeline) {
        Ok(tables) => pipeline.tables.extend(tables),
        Err(error) => problems.push(Problem::at(error, name, (1, 1), 1)),
    }
    problems.extend(unbuildable(&draft, &pipeline, name));
    if problems.is_empty() {
        problems.extend(gateways::problems(&pipeline, name));
        problems.extend(channels::problems(&pipeline, name));
    }
    problems.extend(run.iter().flat_map(|run| run.folders(&pipeline, name)));
    let mut catalog = Catalog::in_zone(pipeline.time_zone);
    let models = data.unwrap_or(Path::new(".")).to_path_buf();
    catalog.set_detectors(Arc::new(Called { models: Some(models) }));
    let read = at_rest::read_by(run, &pipeline);
    let at_rest = at_rest::open(&mut draft, &pipeline, &read, (name, data), &mut catalog, &mut problems);
    let names = (catalog, at_rest.tables.as_slice(), data);
    let (plans, alerts, watched) = planned(&mut draft, &pipeline, (text, name), run, names, &mut problems);
    let AtRest { tables, absent } = at_rest;
    let loaded = Loaded { pipeline, plans, alerts, watched, tables, absent: Vec::new() };
    let (mut loaded, mut absent) = (loaded, absent);
    // Where the columns of a table are not known, what reads it could not be planned.
    let needed = at_rest::needed_by(run, &loaded);
    if problems.is_empty() && needed.is_none() && absent.is_empty() {
        let what = "a table has no columns before it is there";
        problems.push(Problem::at(Error::new(&codes::TABLE_UNREADABLE, what), name, (1, 1), 1));
    }
    if let Some(needed) = &needed {
        absent.retain(|(table, _)| needed.contains(table));
    }
    let absent: Vec<Problem> = absent.into_iter().map(|(_, problem)| problem).collect();
    if (problems.is_empty() && needed.is_none()) || run.is_some_and(|run| run.needs_tables) {
        problems.extend(absent.iter().cloned());
    }
    if problems.is_empty() {
        loaded.absent = absent;
        return Ok(loaded);
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
        .dedup_by(|a, b| (a.line, a.column) == (b.line, b.column) && a.error.message() == b.error.message());
    Err(problems)
}

/// Plans every view, query and alert, as far as it can be planned.
fn planned(
    draft: &mut Draft,
    pipeline: &Pipeline,
    (text, name): (&str, &str),
    run: Option<Run<'_>>,
    (mut catalog, at_rest, data): (Catalog, &[Arc<dyn StaticTable>], Option<&Path>),
    problems: &mut Vec<Problem>,
) -> (Vec<Option<Arc<StreamPlan>>>, Vec<PlannedAlert>, Vec<Watched>) {
    let in_sql = |error: SqlError, place: (usize, usize), sql: &str| {
        let offset = error.place.map_or(0, |place| offset_of(sql, place));
        Problem::within(error.error, text, name, place, sql, offset, word_at(sql, offset).len())
    };
    for source in &pipeline.sources {
        // A source whose columns are not known still has its name, for "did you mean".
        let columns = columns(source).unwrap_or_else(|error| {
            if draft.is_sound("source", &source.name) {
                problems.extend(source.option_places.problem(error, name));
            }
            draft.unknown.push(source.name.clone());
            SourceColumns::Envelope { headers: false }
        });
        // Names that are taken twice were reported by the parser.
        let _ = catalog.add_source(&source.name, columns);
        if !draft.unknown.contains(&source.name) {
            problems.extend(expect::problems(source, text, name));
        }
        let Some(watermark) = &source.watermark else { continue };
        let column = watermark.column.text.clone();
        catalog.set_watermark(&source.name, SourceTime { column, delay_ms: millis(watermark.delay) });
        if draft.unknown.contains(&source.name) {
            continue;
        }
        if let Err(error) = plan::check_watermark(&catalog, &source.name, Some(&FromJson)) {
            problems.push(in_sql(error, watermark.column.place, &watermark.column.text));
            draft.unknown.push(source.name.clone());
        }
    }
    for view in &pipeline.views {
        if let Some(detector) = &view.detector {
            detected(draft, &mut catalog, (view, detector), (name, data), problems);
            continue;
        }
        // Planned as a query of its own, so that places are those of its own text.
        let once = view.deduplicate.as_ref().map(once);
        if let Err(error) = plan::check_view(&catalog, &view.sql, Some(&FromJson), once.as_ref()) {
            if tells(&error, &view.sql, &draft.unknown) {
                let of_key = of_key(&error, view.deduplicate.as_ref(), name);
                problems.push(of_key.unwrap_or_else(|| in_sql(error, view.place, &view.sql)));
            }
            draft.unknown.push(view.name.clone());
        }
        let _ = catalog.add_view_once(&view.name, &view.sql, once);
    }
    let mut plans = Vec::new();
    // The columns of each query's table.
    let mut written = Vec::new();
    for query in &pipeline.queries {
        let once = query.deduplicate.as_ref().map(once);
        // Late rows are told with the record that they came in.
        let catalog = catalog.carrying_records();
        let planned =
            plan::plan_query(&catalog, &query.sql, Some(&FromJson), query.output_mode, once.as_ref());
        written.push(planned.as_ref().ok().map(StreamPlan::output_schema));
        plans.push(None);
        match planned {
            Ok(plan) => {
                problems.extend(untaken(query, &plan, name));
                problems.extend(run.iter().flat_map(|run| endless(*run, pipeline, query, &plan, name)));
                plans.pop();
                plans.push(Some(Arc::new(plan)));
            }
            Err(error) if error.error.code() == &codes::OUTPUT_MODE => {
                problems.push(Problem::at(error.error, name, query.output_mode_place, 1));
            }
            Err(error) if tells(&error, &query.sql, &draft.unknown) => {
                let of_key = of_key(&error, query.deduplicate.as_ref(), name);
                problems.push(of_key.unwrap_or_else(|| in_sql(error, query.place, &query.sql)));
            }
            Err(_) => {}
        }
    }
    for (error, place, sql) in panels(draft, pipeline, (&written, at_rest)) {
        problems.push(in_sql(error, place, sql));
    }
    let file = alerts::File { text, name };
    let watched = watched::planned(&catalog, draft, pipeline, name, problems);
    (plans, alerts::planned(&catalog, draft, pipeline, &file, run, problems), watched)
}

/// Adds a detector to the catalogue, or tells what is wrong with it.
fn detected(
    draft: &mut Draft,
    catalog: &mut Catalog,
    (view, config): (&ViewConfig, &DetectorConfig),
    (name, data): (&str, Option<&Path>),
    problems: &mut Vec<Problem>,
) {
    let problem = match detectors::made(config, name, data) {
        Ok(detect) => match plan::check_detector(catalog, &view.sql, Some(&FromJson), &detect) {
            Ok(()) => {
                // Names that are taken twice were reported by the parser.
                let _ = catalog.add_detector(&view.name, &view.sql, detect);
                return;
            }
            Err(error) => {
                let is_told = tells(&error, &view.sql, &draft.unknown);
                is_told.then(|| detectors::of_column(&error, config, name))
            }
        },
        Err(problem) => Some(problem),
    };
    problems.extend(problem);
    draft.unknown.push(view.name.clone());
    // It still has its name, for "did you mean".
    let _ = catalog.add_view(&view.name, &view.sql);
}

/// What is wrong in the SQL of the page's panels, with the place and the text of each. Their tables may not be there
/// yet: their columns follow from the queries that write them.
fn panels<'p>(
    draft: &Draft,
    pipeline: &'p Pipeline,
    (written, at_rest): (&[Option<SchemaRef>], &[Arc<dyn StaticTable>]),
) -> Vec<(SqlError, (usize, usize), &'p str)> {
    let panels = pipeline.dashboard.panels.iter().filter_map(|panel| panel.sql.as_ref());
    let known = tables::columns(pipeline, written, at_rest);
    let unplanned = pipeline.queries.iter().zip(written).filter(|(_, columns)| columns.is_none());
    let mut unknown = draft.unknown.clone();
    unknown.extend(unplanned.map(|(query, _)| query.name.clone()));
    panels
        .filter_map(|(sql, place)| {
            let error = adhoc::check(&known, Some(&FromJson), sql).err()?;
            tells(&error, sql, &unknown).then_some((error, *place, sql.as_str()))
        })
        .collect()
}

/// Where a source of a query should end although the query does not. One that two such queries read tells it once.
fn endless(
    run: Run<'_>,
    pipeline: &Pipeline,
    query: &QueryConfig,
    plan: &StreamPlan,
    name: &str,
) -> Vec<Problem> {
    let read = pipeline.sources.iter().filter(|source| work::reads(plan, source));
    let endless =
        |source: &SourceConfig| source.option_places.problem(run.trigger(query, source).err()?, name);
    read.filter_map(endless).collect()
}

/// True if an error is the text's own: where the SQL names something that is refused already, only its syntax counts.
fn tells(error: &SqlError, sql: &str, unknown: &[String]) -> bool {
    error.error.code() == &codes::SQL_SYNTAX || !unknown.iter().any(|unknown| at_rest::names(sql, unknown))
}

/// The word of a text at the byte `offset`; empty if none begins there.
pub fn word_at(text: &str, offset: usize) -> &str {
    let rest = text.get(offset..).unwrap_or_default();
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rest, |end| &rest[..end])
}

/// The byte at a line and column (characters, both from 1) of a text.
pub fn offset_of(text: &str, (line, column): (usize, usize)) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(0, |(offset, _)| offset)
}

fn columns(source: &SourceConfig) -> Result<SourceColumns> {
    Ok(match (&source.value, &source.invalid) {
        (None, None) => SourceColumns::Envelope { headers: source.options.bool("includeHeaders") },
        (None, Some(_)) => SourceColumns::Decoded(invalid_columns()),
        (Some(value), _) => SourceColumns::Decoded(expect::columns(value)?),
    })
}

/// The decoder of a source's values, if it has one. Its rows are held to what the source expects, or are what that does not take.
pub fn format_of(source: &SourceConfig) -> Result<Option<Arc<dyn Format>>> {
    if let Some(InvalidConfig { of, value: Some(value) }) = &source.invalid {
        return expect::invalid(&of.text, value).map(Some);
    }
    source.value.as_ref().map(|value| expect::format(&source.name, value)).transpose()
}

/// Where a query's checkpoint lies: its `checkpointLocation`, else a folder of its own under the data folder.
pub fn checkpoint_folder(data: &Path, pipeline: &str, query: &QueryConfig) -> PathBuf {
    match &query.checkpoint {
        Some(path) => data.join(path),
        None => data.join("checkpoints").join(pipeline).join(&query.name),
    }
}

#[cfg(test)]
pub(crate) mod tests;
