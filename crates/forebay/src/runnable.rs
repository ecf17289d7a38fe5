//! What keeps a pipeline from running although each part of it is good: parts that get in each other's way, or in
//! Forebay's own. What must stay true: touches nothing, so that `validate` finds it as `run` does.

use std::path::{Path, PathBuf};

use forebay_connectors::sources;
use forebay_core::catalog::WAREHOUSE;
use forebay_core::config::{CycleConfig, Pipeline, Problem, QueryConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::sink::place;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};

use crate::{load, warehouse};

/// The folders under the data folder that no table may be in.
const OWN: [&str; 4] = ["log", "checkpoints", "quarantine", "live"];

/// Longest name of an archive in bytes: 255, without what a second one of the same second adds.
const LONGEST_NAME: usize = 240;

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
            let is_files = |query: &QueryConfig| matches!(query.format.as_str(), "csv" | "parquet");
            let same_path = |other: &&QueryConfig| {
                let other_path = other.options.text("path").filter(|_| is_files(other) || is_files(query));
                path.zip(other_path)
                    .is_some_and(|(a, b)| plain(&self.data.join(a)) == plain(&self.data.join(b)))
            };
            if let Some(other) = pipeline.queries.iter().take(index).find(same_path) {
                let message = format!("option `path` is that of query `{}` already", other.name);
                let error = Error::new(&codes::BAD_VALUE, message)
                    .with_hint("A folder of files has one query that writes to it: name another folder.");
                problems.extend(query.option_places.problem(error, file));
            }
            if let Some(own) = path.and_then(|path| self.own(path)) {
                let message =
                    format!("option `path` is in the way of Forebay's own folder {}", own.display());
                let error = Error::new(&codes::BAD_VALUE, message).with_hint(format!(
                    "Under the data folder (`--data`) {} are Forebay's own. Name another folder, such as `tables/{}`.",
                    OWN.map(|name| format!("`{name}`")).join(", "),
                    query.name
                ));
                problems.extend(query.option_places.problem(error, file));
            } else if let Some(error) = self.in_catalogs(query) {
                problems.extend(query.option_places.problem(error, file));
            }
            if let (Some(cycle), Err(error)) = (&query.cycle, self.archive(pipeline, query)) {
                problems.push(Problem::at(error, file, cycle.place, 1));
            }
        }
        problems
    }

    /// Refuses archives that get in the way of other archives, of what a query writes, or of Forebay's own.
    fn archive(&self, pipeline: &Pipeline, query: &QueryConfig) -> Result<()> {
        let Some(CycleConfig { cycle, .. }) = &query.cycle else { return Ok(()) };
        let bad = |what: String, hint: &str| {
            let message = format!("the archive `{}` {what}", cycle.archive.text);
            Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint.to_owned()))
        };
        let archive = plain(&self.data.join(cycle.archive.name(&query.name, 0, 0)));
        let before = pipeline.queries.iter().take_while(|other| other.name != query.name);
        let same = before.filter_map(|other| Some((other, &other.cycle.as_ref()?.cycle)));
        let mut same = same.map(|(other, cycle)| (other, cycle.archive.name(&other.name, 0, 0)));
        if let Some((other, _)) = same.find(|(_, name)| plain(&self.data.join(name)) == archive) {
            return bad(
                format!("has the name of those of query `{}`", other.name),
                "Put `{name}` into it, the query's own name, or name another folder.",
            );
        }
        let own = OWN.iter().chain([&WAREHOUSE]).map(|name| plain(&self.data.join(name)));
        if let Some(own) = own.into_iter().find(|own| archive.starts_with(own)) {
            return bad(
                format!("is in Forebay's own folder {}", own.display()),
                "Name another folder, such as `backup/{name}_{yyyyMMdd_HHmmss}.csv`.",
            );
        }
        for other in &pipeline.queries {
            let path = other.options.text("path").filter(|path| !path.trim().is_empty());
            let Some(folder) = path.map(|path| plain(&self.data.join(path))) else { continue };
            if archive.starts_with(&folder) {
                return bad(
                    format!("is in the folder to which query `{}` writes", other.name),
                    "Whoever reads that folder would find its rows twice. Name a folder beside it, such as `backup/{name}_{yyyyMMdd_HHmmss}.csv`.",
                );
            }
        }
        match archive.file_name() {
            Some(name) if name.len() > LONGEST_NAME => bad(
                format!("has a name of {} bytes, and file systems end at 255", name.len()),
                "Give it a shorter name.",
            ),
            _ => Ok(()),
        }
    }

    /// A path among the folders of catalogs, where a table has one name and that is its catalog's; or a link that would
    /// lead a name elsewhere.
    fn in_catalogs(&self, query: &QueryConfig) -> Option<Error> {
        if let Some(name) = &query.to_table {
            let link = warehouse::link_in_the_way(self.data, name)?;
            let message =
                format!("the table of `path` {name} cannot be written through the link {}", link.display());
            let hint = "Folders of catalogs are no links: move the folder here, or give the query a `path`.";
            return Some(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        }
        let path = query.options.text("path").filter(|path| !path.trim().is_empty())?;
        let (table, catalogs) = (plain(&self.data.join(path)), plain(&self.data.join(WAREHOUSE)));
        if !table.starts_with(&catalogs) && !catalogs.starts_with(&table) {
            return None;
        }
        let message = format!("option `path` is among the tables of catalogs, in {}", catalogs.display());
        let hint = "Write `toTable: catalog.schema.table` in place of `path`, or name another folder.";
        Some(Error::new(&codes::BAD_VALUE, message).with_hint(hint))
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
