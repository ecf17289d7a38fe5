//! From a pipeline file to planned queries, or to a list of everything that is wrong with it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use forebay_connectors::sinks::{self, SinkContext};
use forebay_connectors::{formats, sources};
use forebay_core::clock::SystemClock;
use forebay_core::config::{self, Lookup, Pipeline, Problem, QueryConfig, SourceConfig};
use forebay_core::format::Format;
use forebay_core::source::Wanted;
use forebay_core::{Error, Result};
use forebay_engine::plan::{self, Catalog, SourceColumns, SqlError, StreamPlan};
use forebay_storage::Door;

use crate::json::FromJson;
use crate::registry::registry;
use crate::talk;

/// Largest pipeline file: far beyond what people write.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A valid pipeline with its queries planned, in the order of the file.
pub struct Loaded {
    pub pipeline: Pipeline,
    pub plans: Vec<Arc<StreamPlan>>,
}

/// Loads a file; if it is not valid, prints every problem to stderr and returns `None`.
pub fn load_or_explain(path: &Path) -> anyhow::Result<Option<Loaded>> {
    let text = read(path)?;
    let name = path.display().to_string();
    Ok(match load(&text, &name) {
        Ok(loaded) => Some(loaded),
        Err(problems) => {
            talk::say(&config::render(&problems, &text, &name, std::io::stderr().is_terminal()));
            None
        }
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let unreadable = |detail: String| {
        Error::new(&forebay_core::error::codes::FILE_UNREADABLE, "the pipeline file cannot be read")
            .at(path.display())
            .with_detail(detail)
    };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has {size} bytes, more than {MAX_FILE_BYTES}")).into());
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| unreadable(e.to_string())).context("a pipeline file is UTF-8 text")
}

/// Checks and plans a pipeline.
pub fn load(text: &str, name: &str) -> Result<Loaded, Vec<Problem>> {
    let env = |variable: &str| std::env::var(variable).ok();
    let file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
    let pipeline = config::parse(text, name, &registry(), &Lookup { env: &env, file: &file })?;
    let in_sql = |error: SqlError, place: (usize, usize), sql: &str| {
        let offset = error.place.map_or(0, |place| offset_of(sql, place));
        Problem::within(error.error, text, name, place, sql, offset, 1)
    };
    let mut problems = Vec::new();
    let mut catalog = Catalog::new();
    for source in &pipeline.sources {
        if let Err(error) = columns(source).and_then(|columns| catalog.add_source(&source.name, columns)) {
            problems.push(Problem::at(error, name, source.place, 1));
        }
    }
    for view in &pipeline.views {
        let added = catalog.add_view(&view.name, &view.sql).map_err(SqlError::from);
        let sql = format!("SELECT * FROM `{}`", view.name);
        if let Err(error) = added.and_then(|()| plan::plan(&catalog, &sql, Some(&FromJson))) {
            problems.push(in_sql(error, view.place, &view.sql));
        }
    }
    let mut plans = Vec::new();
    for query in &pipeline.queries {
        match plan::plan(&catalog, &query.sql, Some(&FromJson)) {
            Ok(plan) => plans.push(Arc::new(plan)),
            Err(error) => problems.push(in_sql(error, query.place, &query.sql)),
        }
    }
    problems.extend(built(&pipeline, name));
    if problems.is_empty() { Ok(Loaded { pipeline, plans }) } else { Err(problems) }
}

/// What only the connectors themselves can refuse: options that do not fit together. Building touches nothing.
fn built(pipeline: &Pipeline, name: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &pipeline.sources {
        if let Err(error) = sources::build(&source.format, &source.options, Wanted::default(), None) {
            problems.push(Problem::at(error, name, source.place, 1));
        }
    }
    let context = SinkContext { data_dir: Path::new("."), door: Door::new(), clock: Arc::new(SystemClock) };
    for query in &pipeline.queries {
        if let Err(error) = sinks::build(&query.format, &query.options, &context) {
            problems.push(Problem::at(error, name, query.options_place, 1));
        }
    }
    problems
}

/// The byte at a line and column (characters, both from 1) of a text.
fn offset_of(text: &str, (line, column): (usize, usize)) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(0, |(offset, _)| offset)
}

fn columns(source: &SourceConfig) -> Result<SourceColumns> {
    Ok(match &source.value {
        None => SourceColumns::Envelope { headers: source.options.bool("includeHeaders") },
        Some(value) => SourceColumns::Decoded(formats::build(value)?.schema()),
    })
}

/// The decoder of a source's values, if it has one.
pub fn format_of(source: &SourceConfig) -> Result<Option<Arc<dyn Format>>> {
    source.value.as_ref().map(formats::build).transpose()
}

/// Where a query's checkpoint lies: its `checkpointLocation`, else a folder of its own under the data folder.
pub fn checkpoint_folder(data: &Path, pipeline: &str, query: &QueryConfig) -> PathBuf {
    match &query.checkpoint {
        Some(path) => data.join(path),
        None => data.join("checkpoints").join(pipeline).join(&query.name),
    }
}
