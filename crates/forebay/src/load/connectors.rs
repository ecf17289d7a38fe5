//! What the connectors themselves have against a file, before anything of it is opened.

use std::path::Path;
use std::sync::Arc;

use forebay_connectors::sinks::{self, SinkContext};
use forebay_connectors::sources;
use forebay_core::clock::SystemClock;
use forebay_core::config::{CycleConfig, Draft, Pipeline, Problem, QueryConfig};
use forebay_core::error::codes;
use forebay_core::source::Wanted;
use forebay_core::{Error, Zone};
use forebay_engine::plan::StreamPlan;
use forebay_storage::Door;

/// What a query's sink has against the columns of the SELECT. A sink that cannot be built is told elsewhere.
pub(super) fn untaken(query: &QueryConfig, plan: &StreamPlan, name: &str) -> Option<Problem> {
    if let Some(CycleConfig { cycle, place }) = &query.cycle
        && let Err(error) = sinks::files::check_cycle(cycle, &query.format, &query.options)
    {
        return Some(Problem::at(error, name, *place, 1));
    }
    let mut sink = sinks::build(&query.format, &query.options, &nowhere()).ok()?;
    if let Err(error) = sink.output(query.output_mode, &plan.row_keys()) {
        return Some(Problem::at(error, name, query.output_mode_place, 1));
    }
    let error = sink.check(&plan.output_schema()).err()?;
    if error.code() == &codes::BAD_VALUE {
        return query.option_places.problem(error, name);
    }
    Some(Problem::at(error, name, query.place, 1))
}

/// What only the connectors themselves can refuse: options that do not fit together. In a part that has problems
/// already, what is missing may be what was misspelt: only values that are there count.
pub(super) fn unbuildable(draft: &Draft, pipeline: &Pipeline, name: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let tells = |what: &str, name: &str, error: &Error| {
        draft.is_sound(what, name) || error.code() == &codes::BAD_VALUE
    };
    for source in &pipeline.sources {
        match sources::build(&source.format, &source.options, Wanted::default(), None) {
            Err(error) if tells("source", &source.name, &error) => {
                problems.extend(source.option_places.problem(error, name));
            }
            _ => {}
        }
    }
    for query in &pipeline.queries {
        match sinks::build(&query.format, &query.options, &nowhere()) {
            Err(error) if tells("query", &query.name, &error) => {
                problems.extend(query.option_places.problem(error, name));
            }
            _ => {}
        }
    }
    problems
}

/// For sinks that are built only to be asked what they think of their options: building touches nothing.
fn nowhere() -> SinkContext<'static> {
    SinkContext {
        data_dir: Path::new("."),
        door: Door::new(),
        clock: Arc::new(SystemClock),
        time_zone: Zone::UTC,
    }
}
