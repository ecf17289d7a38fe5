//! From a pipeline file to planned queries, or to a list of everything that is wrong with it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use forebay_connectors::sinks::{self, SinkContext};
use forebay_connectors::{formats, sources};
use forebay_core::clock::SystemClock;
use forebay_core::config::{self, Draft, Lookup, Pipeline, Problem, QueryConfig, SourceConfig};
use forebay_core::error::codes;
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
        Error::new(&codes::FILE_UNREADABLE, "the pipeline file cannot be read")
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

/// Checks and plans a pipeline. What is wrong in one part hides nothing that is wrong in another, and is told once:
/// of a part that was refused already only further bad values count, and SQL that names it is only parsed.
pub fn load(text: &str, name: &str) -> Result<Loaded, Vec<Problem>> {
    let env = |variable: &str| std::env::var(variable).ok();
    let file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
    let mut draft = config::draft(text, name, &registry(), &Lookup { env: &env, file: &file });
    let mut problems = std::mem::take(&mut draft.problems);
    let Some(pipeline) = draft.pipeline.take() else { return Err(problems) };
    problems.extend(unbuildable(&draft, &pipeline, name));
    let plans = planned(&mut draft, &pipeline, text, name, &mut problems);
    if problems.is_empty() {
        return Ok(Loaded { pipeline, plans });
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Err(problems)
}

/// Plans every view and query, as far as it can be planned.
fn planned(
    draft: &mut Draft,
    pipeline: &Pipeline,
    text: &str,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<StreamPlan>> {
    let in_sql = |error: SqlError, place: (usize, usize), sql: &str| {
        let offset = error.place.map_or(0, |place| offset_of(sql, place));
        Problem::within(error.error, text, name, place, sql, offset, 1)
    };
    let mut catalog = Catalog::new();
    for source in &pipeline.sources {
        // A source whose columns are not known still has its name, for "did you mean".
        let columns = columns(source).unwrap_or_else(|error| {
            if draft.is_sound("source", &source.name) {
                problems.push(Problem::at(error, name, source.place, 1));
            }
            draft.unknown.push(source.name.clone());
            SourceColumns::Envelope { headers: false }
        });
        // Names that are taken twice were reported by the parser.
        let _ = catalog.add_source(&source.name, columns);
    }
    for view in &pipeline.views {
        let _ = catalog.add_view(&view.name, &view.sql);
        let by_name = format!("SELECT * FROM `{}`", view.name);
        if let Err(error) = plan::plan(&catalog, &by_name, Some(&FromJson)) {
            if tells(&error, &view.sql, &draft.unknown) {
                problems.push(in_sql(error, view.place, &view.sql));
            }
            draft.unknown.push(view.name.clone());
        }
    }
    let mut plans = Vec::new();
    for query in &pipeline.queries {
        match plan::plan(&catalog, &query.sql, Some(&FromJson)) {
            Ok(plan) => plans.push(Arc::new(plan)),
            Err(error) if tells(&error, &query.sql, &draft.unknown) => {
                problems.push(in_sql(error, query.place, &query.sql));
            }
            Err(_) => {}
        }
    }
    plans
}

/// True if an error is the text's own: where the SQL names something that is refused already, only its syntax counts.
fn tells(error: &SqlError, sql: &str, unknown: &[String]) -> bool {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let names = || sql.split(|c| !word(c)).filter(|name| !name.is_empty());
    error.error.code() == &codes::SQL_SYNTAX
        || !unknown.iter().any(|unknown| names().any(|name| name.eq_ignore_ascii_case(unknown)))
}

/// What only the connectors themselves can refuse: options that do not fit together. Building touches nothing. In a
/// part that has problems already, what is missing may be what was misspelt: only values that are there count.
fn unbuildable(draft: &Draft, pipeline: &Pipeline, name: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let tells = |what: &str, name: &str, error: &Error| {
        draft.is_sound(what, name) || error.code() == &codes::BAD_VALUE
    };
    for source in &pipeline.sources {
        match sources::build(&source.format, &source.options, Wanted::default(), None) {
            Err(error) if tells("source", &source.name, &error) => {
                problems.push(Problem::at(error, name, source.place, 1));
            }
            _ => {}
        }
    }
    let context = SinkContext { data_dir: Path::new("."), door: Door::new(), clock: Arc::new(SystemClock) };
    for query in &pipeline.queries {
        match sinks::build(&query.format, &query.options, &context) {
            Err(error) if tells("query", &query.name, &error) => {
                problems.push(Problem::at(error, name, query.options_place, 1));
            }
            _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let problems = load(text, "p.yaml").err().unwrap_or_default();
        config::render(&problems, text, "p.yaml", false)
    }

    /// A file with a good source `iot`, whose options end with `more`, and these queries.
    fn file(more: &str, queries: &str) -> String {
        format!(
            "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"localhost:9092\", subscribe: t{more} }}\n\
             \x20   value: json\n    schema: device_id STRING, temperature DOUBLE\nqueries:\n{queries}"
        )
    }

    #[test]
    fn every_example_is_valid() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut loaded = 0;
        for entry in std::fs::read_dir(examples).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.display().to_string();
                if let Err(problems) = load(&text, &name) {
                    panic!("{}", config::render(&problems, &text, &name, false));
                }
                loaded += 1;
            }
        }
        assert!(loaded > 0, "there are examples");
        let readme =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
        let block = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(refused(block), "0 problems in p.yaml\n", "the README's pipeline");
    }

    #[test]
    fn wrong_options_hide_no_wrong_sql_and_no_other_wrong_options() {
        let queries = "  a:\n    sql: SELECT tempature FROM iot\n    format: console\n    options: { numRow: 3 }\n\
                       \x20 b:\n    sql: SELECT * FROM iott\n    format: consle\n\
                       \x20 c:\n    sql: SELEC 1\n    format: delta\n    options: { path: \"s3://x\" }\n";
        let told = refused(&file("/../x, startingOfsets: latest", queries));
        for part in [
            "startingOffsets",
            "no name of a topic",
            "tempature",
            "numRows",
            "iott",
            "console",
            "FB-4001",
            "s3://x",
        ] {
            assert!(told.contains(part), "`{part}` is missing in\n{told}");
        }
        assert!(told.ends_with("8 problems in p.yaml\n"), "{told}");
    }

    #[test]
    fn what_follows_from_a_problem_is_not_told_again() {
        let source = "pipeline: p\nsources:\n  iot:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", subscribe: t }\n    value: json\n    schema: device_id STRNG\n";
        let rest = "views:\n  hot: SELECT * FROM iot WHERE temperature > 70\nqueries:\n  a: { sql: SELECT device_id FROM hot, format: console }\n\
                    \x20 b: { sql: SELECT device_id FROM iot, format: console }\n";
        let told = refused(&format!("{source}{rest}"));
        assert!(told.ends_with("1 problem in p.yaml\n") && told.contains("STRNG"), "{told}");
    }

    #[test]
    fn an_illegal_topic_name_is_refused_before_anything_runs() {
        let queries = "  a: { sql: SELECT * FROM iot, format: console }\n";
        let told = refused(&file("/../x", queries));
        assert!(told.contains("t/../x") && told.contains("FB-1005"), "{told}");
        assert_eq!(load(&file("", queries), "p.yaml").map(|loaded| loaded.plans.len()).ok(), Some(1));
    }
}
