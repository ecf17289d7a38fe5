//! What of a pipeline file is run as a query: its queries and its alerts, chosen by their names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::config::{Pipeline, QueryConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_engine::plan::StreamPlan;

use crate::alerts::{self, PlannedAlert};
use crate::commands;
use crate::load::{self, Loaded};

/// A query or alert that is run, with what it reads.
pub struct Chosen<'a> {
    pub work: Work<'a>,
    pub plan: &'a Arc<StreamPlan>,
    /// Of each input of the plan, in their order: one that is read twice is there twice.
    pub sources: Vec<&'a SourceConfig>,
}

/// What of the file is run as a query: one of its queries, or an alert.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    Query(&'a QueryConfig),
    Alert(&'a PlannedAlert),
}

/// The same, with nothing borrowed.
pub enum OwnWork {
    Query(QueryConfig),
    Alert(PlannedAlert),
}

impl OwnWork {
    pub fn as_work(&self) -> Work<'_> {
        match self {
            Self::Query(query) => Work::Query(query),
            Self::Alert(alert) => Work::Alert(alert),
        }
    }
}

impl Work<'_> {
    /// A copy that lives as long as it is needed.
    pub fn own(self) -> OwnWork {
        match self {
            Self::Query(query) => OwnWork::Query(query.clone()),
            Self::Alert(alert) => OwnWork::Alert(alert.clone()),
        }
    }

    /// The name of the query.
    pub fn name(self) -> String {
        match self {
            Self::Query(query) => query.name.clone(),
            Self::Alert(alert) => alert.query_name(),
        }
    }

    /// The name of its folders.
    pub fn folder_name(self) -> String {
        match self {
            Self::Query(query) => query.name.clone(),
            Self::Alert(alert) => alert.folder_name(),
        }
    }

    /// Where its checkpoint lies.
    pub fn checkpoint(self, data: &Path, pipeline: &str) -> PathBuf {
        match self {
            Self::Query(query) => load::checkpoint_folder(data, pipeline, query),
            Self::Alert(alert) => alert.checkpoint(data, pipeline),
        }
    }

    /// When it looks for new data, by the file.
    pub fn trigger(self) -> Trigger {
        match self {
            Self::Query(query) => query.trigger,
            Self::Alert(_) => Trigger::Default,
        }
    }
}

/// Everything of the file that can be run as a query, with its plan, in the order of the file.
pub fn all(loaded: &Loaded) -> impl Iterator<Item = (Work<'_>, &Arc<StreamPlan>)> {
    let queries = loaded.queries().map(|(query, plan)| (Work::Query(query), plan));
    queries.chain(loaded.alerts.iter().map(|alert| (Work::Alert(alert), &alert.plan)))
}

/// The queries and alerts of these names; all if there are none. Fails with `WRONG_USE` if a name is nobody's.
pub fn chosen<'a>(loaded: &'a Loaded, names: &[String]) -> Result<Vec<Chosen<'a>>> {
    let Pipeline { queries, alerts: rules, .. } = &loaded.pipeline;
    let queries = queries.iter().map(|query| query.name.clone());
    let rules = rules.iter().map(|rule| alerts::query_name(&rule.name));
    let known: Vec<String> = queries.chain(rules).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(commands::wrong_name("query", name, known.iter().map(String::as_str)));
    }
    all(loaded)
        .filter(|(work, _)| names.is_empty() || names.contains(&work.name()))
        .map(|(work, plan)| Ok(Chosen { work, plan, sources: sources_of(&loaded.pipeline.sources, plan)? }))
        .collect()
}

/// The source of each input of a plan.
pub fn sources_of<'a>(sources: &'a [SourceConfig], plan: &StreamPlan) -> Result<Vec<&'a SourceConfig>> {
    let source_of = |name: &str| {
        sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            Error::new(&codes::INTERNAL, format!("the plan reads `{name}`, which is not a source"))
        })
    };
    plan.inputs().into_iter().map(source_of).collect()
}

/// True if a plan reads this source.
pub fn reads(plan: &StreamPlan, source: &SourceConfig) -> bool {
    plan.inputs().iter().any(|name| name.eq_ignore_ascii_case(&source.name))
}

/// Sources by which something is known, each once, in the order of their first inputs.
pub fn distinct<'a>(sources: &[&'a SourceConfig]) -> Vec<&'a SourceConfig> {
    let mut each: Vec<&SourceConfig> = Vec::new();
    for source in sources {
        if each.iter().all(|known| known.name != source.name) {
            each.push(source);
        }
    }
    each
}

/// An error with the query that it is about.
pub fn named(query: &str, error: &Error) -> Error {
    let told = Error::new(error.code(), format!("{query}: {}", error.message()))
        .with_hint(error.hint())
        .with_retry(error.is_retryable());
    let told = match error.detail() {
        Some(detail) => told.with_detail(detail),
        None => told,
    };
    match error.place() {
        Some(place) => told.at(place),
        None => told,
    }
}
