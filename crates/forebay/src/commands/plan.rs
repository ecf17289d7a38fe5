//! `forebay plan`: what `forebay run` would do with each query, before anything is done.
//!
//! Reads the file and the checkpoints under the data folder, works beside a pipeline that runs, and touches nothing.
//! What the verdicts mean stands in [`crate::foresight`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use forebay_connectors::sinks::{self, SinkContext};
use forebay_connectors::sources;
use forebay_core::clock::SystemClock;
use forebay_core::config::{Pipeline, QueryConfig, SourceConfig};
use forebay_core::source::Wanted;
use forebay_core::{Positions, Result};
use forebay_engine::checkpoint::{self, definition};
use forebay_engine::query;
use forebay_storage::Door;
use serde_json::{Value, json};

use crate::alerts::PlannedAlert;
use crate::cli::{Global, PlanArgs, PlanFormat};
use crate::definition as current;
use crate::foresight::{Facts, Foreseen, Verdict};
use crate::load::Loaded;
use crate::runnable::Run;
use crate::{load, talk, work};

pub fn run(global: &Global, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let run = Run { data: &global.data, trigger: None };
    let Some(loaded) = load::load_or_explain(&args.file, Some(run))? else { return Ok(ExitCode::FAILURE) };
    let file = &loaded.pipeline;
    let mut queries = Vec::new();
    for (query, plan) in file.queries.iter().zip(&loaded.plans) {
        let source = work::source_of(&file.sources, plan.source())?;
        let foreseen = facts(&global.data, file, query, source)?.foresee();
        queries.push(Planned { query, source, foreseen });
    }
    let left = left(&global.data, &loaded);
    let others = other_pipelines(&global.data, file);
    talk::print(&match args.format {
        PlanFormat::Text => text(global, file, &queries, &left, &others),
        PlanFormat::Json => format!("{:#}\n", document(global, file, &queries, &left, &others)),
    })?;
    Ok(if queries.iter().all(Planned::is_safe) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Planned<'a> {
    query: &'a QueryConfig,
    source: &'a SourceConfig,
    foreseen: Foreseen,
}

impl Planned<'_> {
    fn is_safe(&self) -> bool {
        self.foreseen.verdict != Verdict::Refused
    }
}

/// What is known of a query.
fn facts(data: &Path, file: &Pipeline, query: &QueryConfig, source: &SourceConfig) -> Result<Facts> {
    let folder = load::checkpoint_folder(data, &file.name, query);
    let context = SinkContext { data_dir: data, door: Door::new(), clock: Arc::new(SystemClock) };
    let reads = sources::build(&source.format, &source.options, Wanted::default(), None)?;
    let writes = sinks::build(&query.format, &query.options, &context)?;
    Ok(Facts {
        identity: query::identity(&file.name, &query.name, &*reads, &*writes, (data, folder.as_path())),
        definition: current::of(file, query, source),
        shown: checkpoint::show(&folder),
        // One that cannot be read is as good as none.
        was: definition::recall(&folder).unwrap_or_default(),
        folder,
    })
}

/// Checkpoints of this pipeline that no query and no alert of the file has, by name.
fn left(data: &Path, loaded: &Loaded) -> BTreeMap<String, PathBuf> {
    let file = &loaded.pipeline;
    let used = |folder: &Path| {
        let same = |query: &QueryConfig| load::checkpoint_folder(data, &file.name, query) == folder;
        let watches = |alert: &PlannedAlert| alert.checkpoint(data, &file.name) == folder;
        file.queries.iter().any(same) || loaded.alerts.iter().any(watches)
    };
    let folders = children(&data.join("checkpoints").join(&file.name));
    folders.into_iter().filter(|(_, folder)| folder.join("metadata").exists() && !used(folder)).collect()
}

/// Other pipelines that have checkpoints, told where this one has none: its name may have changed.
fn other_pipelines(data: &Path, file: &Pipeline) -> Vec<String> {
    let all = children(&data.join("checkpoints"));
    if all.contains_key(&file.name) { Vec::new() } else { all.into_keys().collect() }
}

/// The folders in a folder, by name; none if it cannot be read.
fn children(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

fn text(
    global: &Global,
    file: &Pipeline,
    queries: &[Planned<'_>],
    left: &BTreeMap<String, PathBuf>,
    others: &[String],
) -> String {
    let mut out = format!("pipeline `{}` against {}\n", file.name, global.data.display());
    for planned in queries {
        out.push_str(&described(planned));
    }
    for (name, folder) in left {
        out.push_str(&format!(
            "  - {name}: is not in the file; nothing reads its checkpoint {}, which stays\n",
            folder.display()
        ));
    }
    if !file.alerts.is_empty() {
        out.push_str(&format!(
            "  {} of `alerts` not compared: a changed `key` is refused by `forebay run`\n",
            file.alerts.len()
        ));
    }
    if !others.is_empty() {
        out.push_str(&format!(
            "  This pipeline has no checkpoint here; there are some of {}. Did its name change?\n",
            others.join(", ")
        ));
    }
    let refused = queries.iter().filter(|planned| !planned.is_safe()).count();
    out.push_str(&match refused {
        0 => "`forebay run` refuses none of these queries.\n".to_owned(),
        refused => format!("`forebay run` would refuse {refused} of {} queries.\n", queries.len()),
    });
    out
}

fn described(planned: &Planned<'_>) -> String {
    let Planned { query, source, foreseen } = planned;
    let (mark, what) = match foreseen.verdict {
        Verdict::New => ("+", format!("is new: it begins where the options of source `{}` say", source.name)),
        Verdict::Unchanged => ("=", goes_on(foreseen)),
        Verdict::Unknown => ("=", goes_on(foreseen) + "; what it was when it last ran is not known"),
        Verdict::Changed => ("~", goes_on(foreseen) + ", and is not what it was"),
        Verdict::Refused => ("!", "would be refused".to_owned()),
    };
    let mut out = format!("  {mark} {}: {what}\n", query.name);
    for change in &foreseen.changes {
        let shown = |text: &Option<String>| match text {
            Some(text) => text.lines().map(str::trim).collect::<Vec<_>>().join(" "),
            None => "(nothing)".to_owned(),
        };
        out.push_str(&format!(
            "      {}\n        was  {}\n        is   {}\n",
            change.what,
            shown(&change.was),
            shown(&change.is)
        ));
    }
    if let Some(error) = &foreseen.error {
        out.push_str(&format!("      {error}\n      {}\n", error.hint()));
    }
    out
}

fn goes_on(foreseen: &Foreseen) -> String {
    let epoch = foreseen.epoch.map_or_else(String::new, |epoch| epoch.to_string());
    let places = places(&foreseen.positions);
    let at = if places.is_empty() { String::new() } else { format!(" at {}", places.join(", ")) };
    match foreseen.again {
        true => format!("goes on with epoch {epoch}, which was begun, once more{at}"),
        false => format!("goes on with epoch {epoch}{at}"),
    }
}

fn places(positions: &Positions) -> Vec<String> {
    positions.iter().map(|(partition, at)| format!("{partition} {at}")).collect()
}

fn document(
    global: &Global,
    file: &Pipeline,
    queries: &[Planned<'_>],
    left: &BTreeMap<String, PathBuf>,
    others: &[String],
) -> Value {
    let query = |planned: &Planned<'_>| {
        let Foreseen { verdict, epoch, again, positions, changes, error } = &planned.foreseen;
        let places = positions.iter().map(|(partition, at)| {
            json!({ "topic": &*partition.topic, "partition": partition.index, "offset": at.0 })
        });
        json!({
            "name": planned.query.name,
            "verdict": verdict,
            "checkpoint": load::checkpoint_folder(&global.data, &file.name, planned.query),
            "epoch": epoch.map(|epoch| epoch.0),
            "again": again,
            "positions": places.collect::<Vec<_>>(),
            "changes": changes,
            "error": error.as_ref().map(|error| {
                json!({ "code": error.code().id, "message": error.message(), "hint": error.hint() })
            }),
        })
    };
    json!({
        "pipeline": file.name,
        "safe": queries.iter().all(Planned::is_safe),
        "queries": queries.iter().map(query).collect::<Vec<_>>(),
        "left": left.iter().map(|(name, folder)| json!({ "name": name, "checkpoint": folder })).collect::<Vec<_>>(),
        "otherPipelines": others,
    })
}
