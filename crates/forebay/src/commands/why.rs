//! `forebay why`: what became of the records of a device around a time, by reading the log again; why a window has not
//! come out ([`crate::why::window`]).

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use forebay_core::checkpoint::{Entry, RecordId};
use forebay_core::clock::{Clock, SystemClock, millis};
use forebay_core::config::{Pipeline, QueryConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::table::StaticTable;
use forebay_core::{Error, Result};
use forebay_engine::checkpoint::definition;
use forebay_engine::lookup::{self, Held};
use forebay_engine::plan::{PlannedInput, Refusal, StreamPlan};
use forebay_engine::quarantine::{self, Quarantine};
use forebay_storage::Door;
use futures::future::try_join_all;

use crate::cli::{Global, WhyCommand, WhyRowArgs};
use crate::commands::wrong_name;
use crate::definition as current;
use crate::hosting::own_address;
use crate::why::alert::Watcher;
use crate::why::find::{self, Fault, Found, Wish};
use crate::why::journey::{Journey, entries, journey};
use crate::why::window;
use crate::work::{Work, reads, sources_of};
use crate::{follow, load, talk};

/// Bytes of a record that are shown.
const SHOWN: usize = 400;

pub async fn run(global: &Global, command: WhyCommand) -> anyhow::Result<ExitCode> {
    match command {
        WhyCommand::Row(args) => row(global, args).await,
        WhyCommand::Window(args) => window::run(global, &args),
    }
}

async fn row(global: &Global, args: WhyRowArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load::load_beside(&args.pipeline, &global.data)? else { return Ok(ExitCode::FAILURE) };
    let file = &loaded.pipeline;
    let source = chosen(file, args.source.as_deref())?;
    let wish = Wish {
        column: args.column.clone().or_else(|| follow::key_of(&loaded, source)),
        servers: servers(source, global.kafka),
        ..wish(&args)
    };
    let (found, more) = find::find(source, &wish).await.map_err(unreachable)?;
    if found.is_empty() {
        talk::say(&format!(
            "no record of `{}` in source `{}` from {} to {}; `--within` looks further, `--column` says where the name stands",
            wish.key,
            source.name,
            shown_time(wish.from_ms),
            shown_time(wish.to_ms)
        ));
        return Ok(ExitCode::FAILURE);
    }
    let readers = file.queries.iter().zip(&loaded.plans);
    let readers = readers
        .filter(|(_, plan)| reads(plan, source))
        .map(|(query, plan)| Reader::open(&global.data, (file, &loaded.tables), query, plan));
    let readers: Vec<Reader<'_>> = try_join_all(readers).await?;
    let watchers = loaded.alerts.iter();
    let watchers = watchers
        .filter(|alert| reads(&alert.plan, source))
        .map(|alert| Watcher::open(&global.data, &file.name, alert, &loaded.tables));
    let watchers: Vec<Watcher<'_>> = try_join_all(watchers).await?;
    for record in &found {
        let mut out = described(record);
        for reader in &readers {
            out.push_str(&reader.told(source, record)?);
        }
        for watcher in &watchers {
            out.push_str(&format!("  {}: {}\n", watcher.name, watcher.fate(record)?));
        }
        if readers.is_empty() && watchers.is_empty() {
            out.push_str("  no query reads this source\n");
        }
        talk::print(&out)?;
    }
    if more > 0 {
        talk::say(&format!(
            "{more} more in that time, farther from it; `-n` shows more, `--within` looks at less"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn wish(args: &WhyRowArgs) -> Wish {
    let within = millis(args.within);
    Wish {
        key: args.key.clone(),
        column: None,
        at_ms: args.at,
        from_ms: args.at.saturating_sub(within),
        to_ms: args.at.saturating_add(within).saturating_add(1),
        most: args.records as usize,
        servers: None,
    }
}

/// Where the embedded log is, if `--kafka` says so and the source reads from it.
fn servers(source: &SourceConfig, kafka: Option<SocketAddr>) -> Option<String> {
    let kafka = kafka.filter(|_| own_address(source, kafka).is_some())?;
    Some(kafka.to_string())
}

/// A log that does not answer, with what the person at the keyboard can do.
fn unreachable(error: Error) -> Error {
    if error.code() != &codes::SOURCE_UNAVAILABLE {
        return error;
    }
    error.with_hint("Start the log with `forebay run FILE` or `forebay log serve`; `--kafka ADDR` says where the embedded log is, if not where the file says.")
}

/// The source that is meant; of a file with only one it need not be said.
fn chosen<'a>(file: &'a Pipeline, name: Option<&str>) -> Result<&'a SourceConfig> {
    let names = || file.sources.iter().map(|source| source.name.as_str());
    match (name, file.sources.as_slice()) {
        (Some(name), sources) => {
            let same = |source: &&SourceConfig| source.name.eq_ignore_ascii_case(name);
            sources.iter().find(same).ok_or_else(|| wrong_name("source", name, names()))
        }
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::new(&codes::WRONG_USE, "the file has several sources")
            .with_hint(format!("Name one of them: `--source` {}.", names().collect::<Vec<_>>().join(", ")))),
    }
}

/// A query that reads the source, and what its checkpoint and quarantine say.
struct Reader<'a> {
    name: &'a str,
    plan: &'a StreamPlan,
    entries: Vec<Entry>,
    /// Records in its quarantine, with the input that read them and their timestamps.
    set_aside: Vec<(RecordId, u16, i64)>,
    /// What is in its tables now.
    held: Arc<Held>,
    /// False if the query is known to have run with another SQL or schema, or if that is not known.
    is_what_ran: bool,
}

impl<'a> Reader<'a> {
    async fn open(
        data: &Path,
        (file, tables): (&Pipeline, &[Arc<dyn StaticTable>]),
        query: &'a QueryConfig,
        plan: &'a StreamPlan,
    ) -> Result<Self> {
        let folder = load::checkpoint_folder(data, &file.name, query);
        let aside = quarantine::folder(data, &file.name, &query.name);
        let mut set_aside = Vec::new();
        if aside.exists() {
            let quarantine = Quarantine::open(aside, Door::new(), file.quarantine.clone())?;
            let open = quarantine.open_entries()?.into_iter();
            set_aside.extend(open.map(|entry| (entry.id, entry.input, entry.timestamp)));
        }
        let held = lookup::newest(plan, tables).await?;
        let ran = definition::recall(&folder).unwrap_or_default();
        let sources = sources_of(&file.sources, plan)?;
        let is_what_ran = ran == Some(current::of(file, Work::Query(query), &sources, plan));
        Ok(Self { name: &query.name, plan, entries: entries(&folder)?, set_aside, held, is_what_ran })
    }

    /// What became of a record in this query: once for each input that reads its source, as both sides of a join may.
    fn told(&self, source: &SourceConfig, record: &Found) -> Result<String> {
        let inputs = (0u16..).zip(self.plan.each_input());
        let own: Vec<_> = inputs.filter(|(_, it)| it.source().eq_ignore_ascii_case(&source.name)).collect();
        let mut out = String::new();
        for (number, input) in &own {
            let which = if own.len() > 1 { format!(" (input {number})") } else { String::new() };
            let fate = self.fate(source, record, *number, *input)?;
            out.push_str(&format!("  {}{which}: {fate}\n", self.name));
        }
        Ok(out)
    }

    fn fate(
        &self,
        source: &SourceConfig,
        record: &Found,
        number: u16,
        input: PlannedInput<'_>,
    ) -> Result<String> {
        let journey = journey(&self.entries, &record.partition.of_input(number), record.offset);
        let (way, time) = (journey.words(!self.entries.is_empty()), journey.time());
        if journey == Journey::BeforeStart {
            return Ok(way);
        }
        let fate = match &record.decoded {
            Err(fault) => self.aside(source, record, number, fault),
            // Whether a condition on the time held is known only with the time of its epoch.
            Ok(_) if self.plan.uses_epoch_time() && time.is_none() => {
                "the SELECT asks for the time of its epoch, which is not known".to_owned()
            }
            Ok(row) => {
                let row = record.input(row, &input.schema())?;
                let executor = input.executor(time.unwrap_or_else(|| SystemClock.now_ms()));
                match executor.holding(Arc::clone(&self.held)).refusal(row) {
                    Ok(None) if self.plan.remembers() => "passes on to what the query remembers".to_owned(),
                    Ok(None) => "comes out as a row".to_owned(),
                    Ok(Some(Refusal::Alone(tables))) => format!("finds no partner in {tables} as it is now"),
                    Ok(Some(Refusal::Met(tables))) => format!("finds a partner in {tables} as it is now"),
                    Ok(Some(Refusal::Condition(condition))) => {
                        format!("filtered: `{condition}` does not hold")
                    }
                    Err(error) => format!("fails: {error}"),
                }
            }
        };
        let joined = joined(&self.entries, journey);
        let doubt = if self.is_what_ran || self.entries.is_empty() {
            ""
        } else {
            " (with SQL and schema as they are now; it ran with others, or that is not known)"
        };
        Ok(format!("{way}{joined}; {fate}{doubt}"))
    }

    /// What becomes of a record that does not decode.
    fn aside(&self, source: &SourceConfig, record: &Found, number: u16, fault: &Fault) -> String {
        let mode = source.value.as_ref().map(|value| value.mode);
        let id = RecordId {
            topic: record.partition.topic.to_string(),
            partition: record.partition.index,
            offset: record.offset,
        };
        let is_it = |(known, input, at): &(RecordId, u16, i64)| {
            (known, *input, *at) == (&id, number, record.timestamp)
        };
        let is_aside = self.set_aside.iter().any(is_it);
        match (fault, mode) {
            (Fault::Dropped, _) => "dropped: it does not decode (DROPMALFORMED)".to_owned(),
            (Fault::Bad(_), Some(BadRecordMode::Quarantine)) if is_aside => {
                format!("in the quarantine: `forebay quarantine show {id}`")
            }
            (Fault::Bad(_), _) => "not among the open records of its quarantine".to_owned(),
        }
    }
}

/// Which versions of tables the epoch that read a record was joined with.
fn joined(entries: &[Entry], journey: Journey) -> String {
    let Journey::Read { epoch, .. } = journey else { return String::new() };
    let plan = entries.iter().rev().find_map(|entry| match entry {
        Entry::Plan(plan) if plan.epoch == epoch => Some(plan),
        _ => None,
    });
    let tables = plan.iter().flat_map(|plan| &plan.tables);
    tables.map(|(name, version)| format!(", joined with `{name}` version {version}")).collect()
}

/// A record and whether it decodes.
fn described(record: &Found) -> String {
    let mut out =
        format!("{} offset {}, {}\n", record.partition, record.offset, shown_time(record.timestamp));
    match &record.value {
        None => out.push_str("  (null)\n"),
        Some(value) => {
            let text = String::from_utf8_lossy(value);
            let cut = if text.chars().count() > SHOWN { " …" } else { "" };
            let shown: String = talk::one_line(&text).chars().take(SHOWN).collect();
            out.push_str(&format!("  {shown}{cut}\n"));
        }
    }
    if let Err(Fault::Bad(bad)) = &record.decoded {
        out.push_str(&format!("  does not decode: {} at {}: {}\n", bad.code, bad.path, bad.why));
    }
    out
}

/// Milliseconds since 1970 as people read them.
fn shown_time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
