//! What keeps a pipeline from running although each part of it is good: parts that get in each other's way, or in
//! Forebay's own. What must stay true: touches nothing, so that `validate` finds it as `run` does.

use std::path::{Path, PathBuf};

use forebay_connectors::sources;
use forebay_core::config::{Pipeline, Problem, QueryConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::sink::place;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};

use crate::load;

/// The folders under the data folder that no table may be in.
const OWN: [&str; 4] = ["log", "checkpoints", "quarantine", "live"];

/// How a pipeline is to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// This trigger for every query, instead of the file's.
    pub trigger: Option<Trigger>,
    /// True if a table at rest that cannot be read keeps it from running; else that is told beside.
    pub needs_tables: bool,
    /// Only these queries and alerts (`alerts/NAME`); all if empty.
    pub only: &'a [String],
}

impl Run<'_> {
    /// True if the query or alert of this name is to run.
    pub fn runs(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Checkpoints and tables that are in the way.
    pub fn folders(&self, pipeline: &Pipeline, file: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let folder = |query: &QueryConfig| plain(&load::checkpoint_folder(self.data, &pipeline.name, query));
        for (index, query) in pipeline.queries.iter().enumerate() {
            let same = |other: &&QueryConfig| folder(other) == folder(query);
            // Told once, at the later of those that say it.
            let others = pipeline.queries.iter().enumerate();
            let others =
                others.filter(|(at, other)| at < &index || (at > &index && other.checkpoint.is_none()));
            let other = others.map(|(_, other)| other).find(same);
            if let Some(other) = other.filter(|_| query.checkpoint.is_some()) {
                let message = format!("`checkpointLocation` is that of query `{}` already", other.name);
                let error = Error::new(&codes::BAD_VALUE, message)
                    .with_hint("Each query needs a folder of its own: name another, or leave it out.");
                problems.extend(query.option_places.problem(error, file));
            }
            let path = query.options.text("path").filter(|path| !path.trim().is_empty());
            if let Some(own) = path.and_then(|path| self.own(path)) {
                let message =
                    format!("option `path` is in the way of Forebay's own folder {}", own.display());
                let error = Error::new(&codes::BAD_VALUE, message).with_hint(format!(
                    "Under the data folder (`--data`) {} are Forebay's own. Name another folder, such as `tables/{}`.",
                    OWN.map(|name| format!("`{name}`")).join(", "),
                    query.name
                ));
                problems.extend(query.option_places.problem(error, file));
            }
        }
        problems
    }

    /// The folder of Forebay's own that a table at `path` would be in, or would have in it.
    fn own(&self, path: &str) -> Option<PathBuf> {
        let table = plain(&self.data.join(path));
        OWN.iter()
            .map(|name| plain(&self.data.join(name)))
            .find(|own| table.starts_with(own) || own.starts_with(&table))
    }

    /// Options of the source that make no sense with the query's trigger.
    pub fn trigger(&self, query: &QueryConfig, source: &SourceConfig) -> Result<()> {
        sources::check_trigger(&source.options, self.trigger.unwrap_or(query.trigger))
    }
}

fn plain(path: &Path) -> PathBuf {
    place(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()), None)
}
