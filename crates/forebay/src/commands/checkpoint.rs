//! `forebay checkpoint show`: what a checkpoint says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forebay_core::checkpoint::Entry;
use forebay_core::error::codes;
use forebay_core::progress::iso_millis;
use forebay_core::{Error, Ledger};
use forebay_engine::checkpoint::{self, Examined};

use crate::cli::Global;
use crate::commands::{denied, wrong_name};
use crate::{load, standing, talk};

pub fn show(
    global: &Global,
    path: &Path,
    query: Option<&str>,
    json: bool,
    entries: usize,
) -> anyhow::Result<ExitCode> {
    let Some(dirs) = folders(global, path, query)? else { return Ok(ExitCode::FAILURE) };
    let (mut printed, mut missing, mut refused) = (0, None, false);
    for dir in dirs {
        for file in [dir.join("metadata"), dir.join("journal")] {
            if let Err(error) = std::fs::File::open(&file).map_err(|e| denied(&file, &e)) {
                error.map_or(Ok(()), Err)?;
            }
        }
        let mut examined = match checkpoint::examine(&dir) {
            Ok(examined) => examined,
            // Of several queries some may not have run yet: the others are shown.
            Err(error) if error.code() == &codes::CHECKPOINT_NOT_FOUND => {
                missing.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let first = examined.entries.len().saturating_sub(entries);
        examined.entries.drain(..first);
        let text =
            if json { serde_json::to_string_pretty(&examined)? + "\n" } else { describe(&dir, &examined) };
        talk::print(&text)?;
        printed += 1;
        refused |= examined.is_refused();
    }
    match missing {
        Some(error) if printed == 0 => return Err(error.into()),
        Some(error) => talk::say(&format!("not shown: {error}")),
        None => {}
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The folders that are meant: `path` itself, or the checkpoints of a pipeline file's queries and alerts.
fn folders(global: &Global, path: &Path, query: Option<&str>) -> anyhow::Result<Option<Vec<PathBuf>>> {
    if let Some(error) = path.try_exists().err().and_then(|e| denied(path, &e)) {
        return Err(error.into());
    }
    if path.is_dir() {
        return Ok(Some(vec![path.to_path_buf()]));
    }
    if !path.exists() {
        let message = "this is neither the folder of a checkpoint nor a pipeline file";
        return Err(Error::new(&codes::CHECKPOINT_NOT_FOUND, message).at(path.display()).into());
    }
    let Some(loaded) = load::load_beside(path, &global.data)? else { return Ok(None) };
    let (data, pipeline) = (&global.data, &loaded.pipeline.name);
    let queries = loaded.pipeline.queries.iter();
    let queries = queries.map(|query| (query.name.clone(), load::checkpoint_folder(data, pipeline, query)));
    let alerts = loaded.alerts.iter().map(|alert| (alert.query_name(), alert.checkpoint(data, pipeline)));
    let known: Vec<(String, PathBuf)> = queries.chain(alerts).collect();
    if let Some(query) = query
        && !known.iter().any(|(name, _)| name == query)
    {
        return Err(wrong_name("query", query, known.iter().map(|(name, _)| name.as_str())).into());
    }
    let chosen = known.into_iter().filter(|(name, _)| query.is_none_or(|query| name == query));
    Ok(Some(chosen.map(|(_, folder)| folder).collect()))
}

fn describe(dir: &Path, examined: &Examined) -> String {
    let mut text = format!("checkpoint {}\n", dir.display());
    if let Some(identity) = &examined.identity {
        text.push_str(&format!(
            "  query    {} of pipeline {}\n  id       {}\n  source   {}\n  sink     {}\n",
            identity.query,
            identity.pipeline,
            examined.id.as_deref().unwrap_or_default(),
            identity.source,
            identity.sink
        ));
    }
    for damage in &examined.damaged {
        let (file, why) = (damage.file.display(), &damage.why);
        let next_start = &damage.next_start;
        text.push_str(&format!("  damaged  {file}: {why}\n           the next start {next_start}\n"));
    }
    for table in &examined.state {
        let keys = table.keys;
        let oldest = table
            .oldest_expiry
            .map(|us| format!(", the oldest done at {}", iso_millis(us.div_euclid(1_000))));
        let oldest = oldest.unwrap_or_default();
        text.push_str(&format!("  state    {}: {keys} key(s), {} bytes{oldest}\n", table.name, table.bytes));
    }
    let watermark = examined.ends().plan.and_then(|plan| plan.times).map(|times| times.evict);
    if let Some(watermark) = watermark {
        text.push_str(&format!("  watermark {watermark}\n"));
    }
    examined.entries.iter().for_each(|entry| describe_entry(entry, &mut text));
    text
}

fn describe_entry(entry: &Entry, text: &mut String) {
    match entry {
        Entry::Start(start) => {
            let places = start.ranges.iter().map(|range| format!("{} {}", range.partition, range.from));
            let places = places.collect::<Vec<_>>().join("  ");
            text.push_str(&format!("  start           the query begins at {places}\n"));
        }
        Entry::Plan(plan) => {
            let ranges: Vec<String> = plan
                .ranges
                .iter()
                .map(|range| format!("{} [{}, {})", range.partition, range.from, range.to))
                .collect();
            let ranges = if ranges.is_empty() { "nothing".to_owned() } else { ranges.join("  ") };
            text.push_str(&format!("  plan    {:>6}  this epoch reads {ranges}", plan.epoch.0));
            if !plan.replay.is_empty() {
                text.push_str(&format!("  and {} quarantined records again", plan.replay.len()));
            }
            for (table, version) in &plan.tables {
                text.push_str(&format!(", joined with `{table}` version {version}"));
            }
            text.push('\n');
        }
        Entry::Outcome(outcome) => {
            let balance = balance(&outcome.ledger);
            text.push_str(&format!("  outcome {:>6}  this epoch: {balance}\n", outcome.epoch.0));
        }
        Entry::Commit(commit) => {
            let balance = balance(&commit.ledger);
            text.push_str(&format!("  commit  {:>6}  all epochs so far: {balance}\n", commit.epoch.0));
        }
    }
}

fn balance(ledger: &Ledger) -> String {
    format!("{}; rows out {}{}", standing::sum(ledger), ledger.rows_out, standing::refused(ledger))
}
