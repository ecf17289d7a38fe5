//! `forebay why`: what became of the records of a device around a time, by reading the log again; why a window has not
//! come out ([`crate::why::window`]).

use std::net::SocketAddr;
use std::process::ExitCode;

use forebay_core::clock::millis;
use forebay_core::config::{Pipeline, RuleConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::future::try_join_all;

use crate::cli::{Global, WhyCommand, WhyRowArgs};
use crate::commands::wrong_name;
use crate::hosting::own_address;
use crate::why::alert::Watcher;
use crate::why::find::{self, Fault, Found, Wish};
use crate::why::reader::Reader;
use crate::why::window;
use crate::work::reads;
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
    let readers = loaded.queries().filter(|(_, plan)| reads(plan, source)).map(|(query, plan)| {
        Reader::open(&global.data, (file, &loaded.tables), (query, plan), (source, &found))
    });
    let readers: Vec<Reader<'_>> = try_join_all(readers).await?;
    let watchers = loaded.alerts.iter();
    let watchers = watchers
        .filter(|alert| reads(&alert.plan, source))
        .map(|alert| Watcher::open(&global.data, &file.name, alert, &loaded.tables));
    let watchers: Vec<Watcher<'_>> = try_join_all(watchers).await?;
    for record in &found {
        let mut out = described(record);
        for reader in &readers {
            out.push_str(&reader.told(record)?);
        }
        for watcher in &watchers {
            out.push_str(&watcher.told(source, record)?);
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
    if let Some(note) = rates(source, wish.from_ms) {
        talk::say(&note);
    }
    Ok(ExitCode::SUCCESS)
}

/// What cannot be known here of values that are held to the ones before them; `None` if none is.
fn rates(source: &SourceConfig, from_ms: i64) -> Option<String> {
    let all = source.value.as_ref()?.expect.all.iter();
    let names = all.filter(|it| matches!(it.rule, RuleConfig::Rate { .. }));
    let names: Vec<String> = names.map(|it| format!("`{}`", it.expected.name)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "note: {} is told against the values that were read here, from {} on; against what a query held the first of a key is not known: \
             of a record that it set aside `forebay quarantine show` tells the value before",
            names.join(", "),
            shown_time(from_ms)
        )
    })
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
    let kafka = kafka.filter(|_| own_address(source, kafka, false).is_some())?;
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
        let what = if bad.code.starts_with("expect.") { "is not as expected" } else { "does not decode" };
        out.push_str(&format!("  {what}: {} at {}: {}\n", bad.code, bad.path, bad.why));
    }
    out
}

/// Milliseconds since 1970 as people read them.
fn shown_time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
