//! The tables at rest of a pipeline, opened: what queries are planned with and joined with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_connectors::tables;
use forebay_core::config::{Draft, Pipeline, Problem, QueryConfig, TableConfig, ViewConfig};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::table::StaticTable;
use forebay_core::{Error, Result};
use forebay_engine::plan::{Catalog, catalog_tables};

use crate::alerts;
use crate::load::Loaded;
use crate::runnable::Run;

/// The tables that can be read now, and what keeps the others from it, each at its place in the file.
#[derive(Default)]
pub struct AtRest {
    pub tables: Vec<Arc<dyn StaticTable>>,
    pub absent: Vec<(String, Problem)>,
}

/// True if a word of the SQL is this name, or a name of several parts is this one.
pub fn names(sql: &str, name: &str) -> bool {
    if name.contains('.') {
        return catalog_tables(sql).iter().any(|table| table.to_string() == name);
    }
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    sql.split(|c| !is_word(c)).any(|word| word.eq_ignore_ascii_case(name))
}

/// The tables that a run may read: those whose names stand in the SQL of what it runs, or of a view that is named there.
/// Before anything is planned it is not known better, and more than these are not opened.
pub fn read_by(run: Option<Run<'_>>, pipeline: &Pipeline) -> BTreeSet<String> {
    let tables = pipeline.tables.iter().map(|table| table.name.clone());
    let Some(run) = run.filter(|run| !run.only.is_empty()) else { return tables.collect() };
    let queries = pipeline.queries.iter().filter(|query| run.runs(&query.name)).map(|query| &query.sql);
    let alerts = pipeline.alerts.iter().filter(|alert| run.runs(&alerts::query_name(&alert.name)));
    // The page follows its views whatever else runs.
    let followed = pipeline.dashboard.views.iter().map(|view| &view.name);
    let alerts = alerts.map(|alert| &alert.on.text);
    let mut texts: Vec<&String> = queries.chain(alerts).chain(followed).collect();
    let mut views: Vec<&ViewConfig> = pipeline.views.iter().collect();
    let mut at = 0;
    while let Some(text) = texts.get(at).copied() {
        texts.extend(views.extract_if(.., |view| names(text, &view.name)).map(|view| &view.sql));
        at += 1;
    }
    tables.filter(|table| texts.iter().any(|text| names(text, table))).collect()
}

/// The tables without which a run cannot be: those that its plans read, and all if it runs the whole file. `None` where one of its
/// queries could not be planned.
pub fn needed_by(run: Option<Run<'_>>, loaded: &Loaded) -> Option<BTreeSet<String>> {
    let Loaded { pipeline, plans, alerts: planned, .. } = loaded;
    let runs = |name: &str| run.is_none_or(|run| run.runs(name));
    let of_queries = pipeline.queries.iter().zip(plans).filter(|(query, _)| runs(&query.name));
    let of_queries = of_queries.map(|(_, plan)| plan.as_ref());
    let plan_of =
        |name: &str| planned.iter().find(|alert| alert.config.name == name).map(|alert| &alert.plan);
    let of_alerts = pipeline.alerts.iter().filter(|alert| runs(&alerts::query_name(&alert.name)));
    let of_alerts = of_alerts.map(|alert| plan_of(&alert.name));
    let plans = of_queries.chain(of_alerts).collect::<Option<Vec<_>>>()?;
    Some(match run {
        Some(run) if !run.only.is_empty() => plans.iter().flat_map(|plan| plan.tables()).collect(),
        _ => pipeline.tables.iter().map(|table| table.name.clone()).collect(),
    })
}

/// Adds the tables of a pipeline to the catalogue. Those whose columns are not known, since they are not there, are unknown
/// names to SQL; without a data folder none is looked for, and never any but those of `read`.
pub fn open(
    draft: &mut Draft,
    pipeline: &Pipeline,
    read: &BTreeSet<String>,
    (file, data): (&str, Option<&Path>),
    catalog: &mut Catalog,
    problems: &mut Vec<Problem>,
) -> AtRest {
    let mut at_rest = AtRest::default();
    for config in &pipeline.tables {
        if let Err(error) = tables::check(config) {
            if draft.is_sound("table", &config.name) || error.code() == &codes::BAD_VALUE {
                problems.extend(config.option_places.problem(error, file));
            }
            draft.unknown.push(config.name.clone());
            continue;
        }
        if !draft.is_sound("table", &config.name) {
            draft.unknown.push(config.name.clone());
            continue;
        }
        let opened = data.filter(|_| read.contains(&config.name)).map(|data| opened(config, data));
        let schema = match &opened {
            Some(Ok(table)) => Some(table.schema()),
            _ => config.schema.as_ref().map(|(schema, _)| Arc::clone(schema)),
        };
        match schema {
            // A name that is taken twice was reported by the parser.
            Some(schema) => drop(catalog.add_table(&config.name, schema)),
            None => draft.unknown.push(config.name.clone()),
        }
        match opened {
            Some(Ok(table)) => at_rest.tables.push(table),
            Some(Err(error)) => {
                let error = hinted(error, config, pipeline);
                let problem = Problem::at(error, file, config.place, config.name.len());
                at_rest.absent.push((config.name.clone(), problem));
            }
            None => {}
        }
    }
    at_rest
}

/// Opens a table from where nothing may be awaited, on a runtime of its own.
fn opened(config: &TableConfig, data: &Path) -> Result<Arc<dyn StaticTable>> {
    let lost = || Error::new(&codes::INTERNAL, "the opening of a table ended unexpectedly");
    let open = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| lost().caused_by(e))?;
        runtime.block_on(tables::open(config, data))
    };
    std::thread::scope(|scope| scope.spawn(open).join().unwrap_or_else(|_| Err(lost())))
}

fn hinted(error: Error, config: &TableConfig, pipeline: &Pipeline) -> Error {
    let error = Error::new(error.code(), format!("the table `{}`: {}", config.name, error.message()))
        .with_detail(match (error.place(), error.detail()) {
            (Some(place), Some(detail)) => format!("{place}: {detail}"),
            (place, detail) => place.or(detail).unwrap_or_default().to_owned(),
        });
    let path = |options: &Options| options.text("path").map(PathBuf::from);
    let is_writer =
        |query: &&QueryConfig| query.format == config.format && path(&query.options) == path(&config.options);
    let mend = match (config.format.as_str(), pipeline.queries.iter().find(is_writer)) {
        ("delta", Some(writer)) => format!(
            "The query `{}` of this file makes it with its first rows. Let that run first, from a file of its own.",
            writer.name
        ),
        ("delta", None) => {
            "A query makes its Delta table with its first rows: write the table before it is joined."
                .to_owned()
        }
        _ if error.hint() != error.code().remedy => error.hint().to_owned(),
        _ => "Put the file into its place before `forebay run`.".to_owned(),
    };
    let unknown = match config.schema {
        Some(_) => "",
        None => " Its columns are its own: until it is there, nothing that reads it can be checked.",
    };
    error.with_hint(format!("{mend}{unknown} Relative paths lie under `--data`."))
}
