//! `forebay quarantine`: the records that could not be decoded.
//!
//! Works on the files under `<data>/quarantine`, whether or not the pipeline runs. A record that several queries
//! could not decode is one record here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forebay_core::Error;
use forebay_core::checkpoint::{QuarantinedId, RecordId};
use forebay_core::config::QuarantineConfig;
use forebay_core::error::codes;
use forebay_engine::quarantine::{Entry, Quarantine, Resolved, not_replayed, not_there};
use forebay_storage::Door;
use serde_json::json;

use crate::cli::{Chosen, Global, OutputFormat, QuarantineCommand};
use crate::commands::denied;
use crate::{alerts, load, talk};

mod layout;

pub fn run(global: &Global, command: QuarantineCommand) -> anyhow::Result<ExitCode> {
    let (given, todo) = match command {
        QuarantineCommand::Show { record, raw } => return show(global, &record, raw),
        QuarantineCommand::Ls { chosen, format } => (chosen, Todo::List(format)),
        QuarantineCommand::Replay(chosen) => (chosen, Todo::Change(Change::Replay)),
        QuarantineCommand::Drop(chosen) => (chosen, Todo::Change(Change::Drop)),
    };
    let Some(chosen) = with_name(given)? else { return Ok(ExitCode::FAILURE) };
    match todo {
        Todo::List(format) => list(global, &chosen, format),
        Todo::Change(change) => self::change(global, &chosen, change),
    }
}

/// The quarantine of one query on disk.
struct Table {
    pipeline: String,
    query: String,
    quarantine: Quarantine,
    open: Vec<Entry>,
}

/// One record with every query that could not decode it.
struct Record<'a> {
    pipeline: &'a str,
    queries: BTreeSet<&'a str>,
    /// The sources by which they read it.
    sources: BTreeSet<&'a str>,
    entry: &'a Entry,
}

fn tables(global: &Global, chosen: &Chosen) -> anyhow::Result<Vec<Table>> {
    let root = global.data.join("quarantine");
    let mut tables = Vec::new();
    for (pipeline, dir) in folders(&root)? {
        for (folder, dir) in folders(&dir)? {
            let query = alerts::query_of(&folder);
            let wanted =
                |filter: &Option<String>, name: &str| filter.as_deref().is_none_or(|filter| filter == name);
            if !wanted(&chosen.pipeline, &pipeline) || !wanted(&chosen.query, &query) {
                continue;
            }
            let quarantine = Quarantine::open(dir, Door::new(), QuarantineConfig::default())?;
            let mut open = quarantine.open_entries()?;
            open.retain(|entry| wanted(&chosen.code, &entry.code));
            tables.push(Table { pipeline: pipeline.clone(), query, quarantine, open });
        }
    }
    Ok(tables)
}

fn folders(dir: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(match denied(dir, &error) {
                Some(denied) => denied.into(),
                None => anyhow::Error::new(error).context(format!("cannot read {}", dir.display())),
            });
        }
    };
    let mut folders = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
    }
    Ok(folders)
}

/// Records of one name that differ, as those of a topic that was made anew, stay apart.
fn merged(tables: &[Table]) -> Vec<Record<'_>> {
    let mut records: BTreeMap<_, Record<'_>> = BTreeMap::new();
    for table in tables {
        for entry in &table.open {
            let record = records.entry((&table.pipeline, entry.record_key())).or_insert_with(|| Record {
                pipeline: &table.pipeline,
                queries: BTreeSet::new(),
                sources: BTreeSet::new(),
                entry,
            });
            record.sources.extend(entry.source.as_deref());
            record.queries.insert(&table.query);
        }
    }
    let mut records: Vec<Record<'_>> = records.into_values().collect();
    records.sort_by_key(|record| (record.pipeline, record.entry.listed()));
    records
}

/// What `--pipeline`, `--query` and `--code` may name.
fn known(tables: &[Table]) -> String {
    let open = || tables.iter().filter(|table| !table.open.is_empty());
    let list = |what: &str, names: BTreeSet<&str>| {
        let names: Vec<&str> = names.into_iter().collect();
        format!("{what} {}", names.join(", "))
    };
    let all = [
        list("pipelines", open().map(|table| table.pipeline.as_str()).collect()),
        list("queries", open().map(|table| table.query.as_str()).collect()),
        list("codes", open().flat_map(|table| &table.open).map(|entry| entry.code.as_str()).collect()),
    ];
    if open().next().is_none() { "nothing".to_owned() } else { all.join("; ") }
}

/// The same with the name of a pipeline where its file is given; `None` if that is not valid, which is told.
fn with_name(mut chosen: Chosen) -> anyhow::Result<Option<Chosen>> {
    if let Some(file) = chosen.pipeline.as_deref().map(Path::new).filter(|path| path.is_file()) {
        let Some(loaded) = load::load_or_explain(file, None)? else { return Ok(None) };
        chosen.pipeline = Some(loaded.pipeline.name);
    }
    Ok(Some(chosen))
}

const EVERYTHING: Chosen = Chosen { records: Vec::new(), all: true, pipeline: None, query: None, code: None };

fn list(global: &Global, chosen: &Chosen, format: OutputFormat) -> anyhow::Result<ExitCode> {
    let tables = tables(global, chosen)?;
    let names = names(chosen)?;
    let (mut out, mut rows) = (String::new(), Vec::new());
    let mut count = 0;
    for record in merged(&tables) {
        if !names.is_empty() && !names.contains(&record.entry.id) {
            continue;
        }
        count += 1;
        match format {
            OutputFormat::Json => out.push_str(&(as_json(&record).to_string() + "\n")),
            OutputFormat::Csv => out.push_str(&line_of_csv(&record)),
            OutputFormat::Table => rows.push(row(&record)),
        }
    }
    match (format, count) {
        (OutputFormat::Json, _) => talk::print(&out)?,
        (OutputFormat::Csv, _) => talk::print(&format!("record,time,code,path,queries,sources,why\n{out}"))?,
        (OutputFormat::Table, 0) => talk::say(&match merged(&self::tables(global, &EVERYTHING)?).len() {
            0 => "the quarantine is empty".to_owned(),
            all => {
                let known = known(&self::tables(global, &EVERYTHING)?);
                format!("nothing matches; the quarantine holds {all} record(s): {known}")
            }
        }),
        (OutputFormat::Table, _) => {
            talk::print(&layout::columns(rows))?;
            talk::say(&format!("{count} record(s); `forebay quarantine show RECORD` prints one"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line_of_csv(record: &Record<'_>) -> String {
    let entry = record.entry;
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let fields = [
        entry.id.to_string(),
        time(entry.timestamp),
        entry.code.clone(),
        entry.path.clone(),
        listed(&record.queries, " "),
        listed(&record.sources, " "),
        entry.why.clone(),
    ];
    fields.iter().map(|field| quote(field)).collect::<Vec<_>>().join(",") + "\n"
}

fn row(record: &Record<'_>) -> [String; 7] {
    let entry = record.entry;
    [
        entry.id.to_string(),
        time(entry.timestamp),
        entry.code.clone(),
        talk::printable(&entry.path),
        listed(&record.queries, ","),
        listed(&record.sources, ","),
        talk::printable(&entry.why),
    ]
}

fn listed(names: &BTreeSet<&str>, between: &str) -> String {
    names.iter().copied().collect::<Vec<_>>().join(between)
}

fn as_json(record: &Record<'_>) -> serde_json::Value {
    let entry = record.entry;
    json!({
        "record": entry.id.to_string(),
        "topic": entry.id.topic,
        "partition": entry.id.partition,
        "offset": entry.id.offset,
        "timestamp": time(entry.timestamp),
        "code": entry.code,
        "path": entry.path,
        "why": entry.why,
        "at": time(entry.at),
        "pipeline": record.pipeline,
        "queries": record.queries,
        "sources": record.sources,
        "refusedBy": entry.refused_by,
        "raw": entry.raw,
    })
}

fn show(global: &Global, name: &str, raw: bool) -> anyhow::Result<ExitCode> {
    let id: RecordId = name.parse()?;
    let tables = tables(global, &EVERYTHING)?;
    let records = merged(&tables);
    let Some(record) = records.iter().find(|record| record.entry.id == id) else {
        return Err(not_there(&id).into());
    };
    let bytes = record.entry.raw_bytes();
    if raw {
        use std::io::Write as _;
        let mut out = talk::stdout();
        out.write_all(&bytes.unwrap_or_default())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let entry = record.entry;
    talk::print(&format!(
        "{}   {}\ntime     {}\nqueries  {}\n{}  {}\ncode     {}\npath     {}\nwhy      {}\nbytes    {}\n\n{}\n",
        if entry.refused_by.is_some() { "row   " } else { "record" },
        entry.id,
        time(entry.timestamp),
        listed(&record.queries, ", "),
        if entry.refused_by.is_some() { "refused" } else { "sources" },
        entry
            .refused_by
            .as_ref()
            .map_or_else(|| listed(&record.sources, ", "), |sink| format!("by {}", talk::printable(sink))),
        entry.code,
        talk::printable(&entry.path),
        talk::printable(&entry.why),
        bytes.as_ref().map_or_else(|| "null (a tombstone)".to_owned(), |bytes| bytes.len().to_string()),
        talk::printable(&String::from_utf8_lossy(&bytes.unwrap_or_default())),
    ))?;
    Ok(ExitCode::SUCCESS)
}

enum Todo {
    List(OutputFormat),
    Change(Change),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Replay,
    Drop,
}

fn change(global: &Global, chosen: &Chosen, change: Change) -> anyhow::Result<ExitCode> {
    let names = names(chosen)?;
    if names.is_empty() && !chosen.all {
        return Err(Error::new(&codes::WRONG_USE, "no record is named")
            .with_hint("Name records as `forebay quarantine ls` shows them, or say `--all`, which `--code`, `--query` and `--pipeline` narrow.")
            .into());
    }
    let tables = self::tables(global, chosen)?;
    let is_meant = |entry: &&Entry| chosen.all || names.contains(&entry.id);
    let meant = || tables.iter().flat_map(|table| &table.open).filter(is_meant);
    // Rows that a sink refused are no records that could be decoded again.
    let is_left = |entry: &Entry| change == Change::Replay && entry.refused_by.is_some();
    let left: BTreeSet<&RecordId> = meant().filter(|entry| is_left(entry)).map(|entry| &entry.id).collect();
    if let Some(row) = left.first().filter(|_| !names.is_empty() || meant().all(is_left)) {
        return Err(not_replayed(row).into());
    }
    let mut changed = BTreeSet::new();
    for table in &tables {
        let taken = table.open.iter().filter(is_meant).filter(|entry| !is_left(entry));
        let ids: Vec<QuarantinedId> = taken.map(Entry::quarantined_id).collect();
        if ids.is_empty() {
            continue;
        }
        match change {
            Change::Replay => table.quarantine.request(&ids)?,
            Change::Drop => table.quarantine.resolve(&ids, Resolved::Dropped)?,
        }
        changed.extend(ids.into_iter().map(|id| id.record));
    }
    if let Some(missing) = names.iter().find(|name| !changed.contains(name)) {
        return Err(not_there(missing).into());
    }
    let count = changed.len();
    if count == 0 {
        let known = known(&self::tables(global, &EVERYTHING)?);
        talk::say(&format!("no record matches, nothing is changed; the quarantine holds: {known}"));
        return Ok(ExitCode::SUCCESS);
    }
    talk::say(&match change {
        Change::Replay => format!(
            "asked to replay {count} record(s): a running pipeline decodes them again within a second, otherwise the next `forebay run` does. Its ledger counts them as `replayed`; what still does not decode stays in `forebay quarantine ls`"
        ),
        Change::Drop => format!("{count} record(s) dropped"),
    });
    if !left.is_empty() {
        talk::say(&format!(
            "{} row(s) that a sink refused are left where they are: they were decoded already. Mend the table, put them in by hand as `forebay quarantine show` prints them, then drop them",
            left.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn names(chosen: &Chosen) -> anyhow::Result<BTreeSet<RecordId>> {
    Ok(chosen.records.iter().map(|name| name.parse()).collect::<Result<_, Error>>()?)
}

fn time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_in_the_order_of_the_epochs_numbers() {
        let data = tempfile::tempdir().unwrap();
        let quarantine =
            Quarantine::open(data.path().join("q"), Door::new(), QuarantineConfig::default()).unwrap();
        let row = |epoch: u64| -> Entry {
            serde_json::from_value(json!({
                "topic": format!("lake@{epoch}"), "partition": 0, "offset": 0, "timestamp": 1, "timestampType": 0, "code": "c",
                "path": "$", "why": "w", "at": 2, "epoch": epoch, "refusedBy": "sink", "raw": "eA==",
            }))
            .unwrap()
        };
        let open = [10, 9, 100, 2].map(row).into();
        let table = Table { pipeline: "p".into(), query: "lake".into(), quarantine, open };
        let tables = [table];
        let epochs: Vec<u64> = merged(&tables).iter().map(|record| record.entry.epoch.0).collect();
        assert_eq!(epochs, [2, 9, 10, 100]);
    }
}
