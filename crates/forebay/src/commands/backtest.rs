//! `forebay backtest`: what the alerts of a file would have done with the rows of a table.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::Door;
use parking_lot::Mutex;

use crate::backtest::report::{OfRule, Report};
use crate::backtest::{
    Asked, Chosen, Frame, Rest, Side, Trial, Workers, chosen, picture, source_time, trials,
};
use crate::cli::{BacktestArgs, Global};
use crate::load::{self, Loaded};
use crate::tables::{Made, Tables};
use crate::talk;

pub async fn run(global: &Global, args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::new(&codes::WRONG_USE, "--to is not after --from").into());
    }
    let Some(new) = load::load_beside(&args.file, &global.data)? else { return Ok(ExitCode::FAILURE) };
    let present = match &args.against {
        None => None,
        Some(file) => match load::load_beside(file, &global.data)? {
            Some(loaded) => Some(loaded),
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let started = Instant::now();
    let report = tried(global, args, &new, present.as_ref()).await?;
    if let Some(file) = &args.picture {
        write(file, &picture::of(&report, &file.to_string_lossy()))?;
        talk::say(&format!("wrote {}", file.display()));
    }
    let text = if args.json { format!("{:#}\n", report.json()) } else { report.text() };
    talk::print(&text)?;
    let took = started.elapsed();
    let speed = report.rows as f64 / took.as_secs_f64().max(1e-9);
    talk::say(&format!(
        "{} rows in {took:.1?}, {speed:.0} a second; nobody was told of anything",
        report.rows
    ));
    Ok(ExitCode::SUCCESS)
}

async fn tried(
    global: &Global,
    args: &BacktestArgs,
    new: &Loaded,
    present: Option<&Loaded>,
) -> Result<Report> {
    let now_ms = SystemClock.now_ms();
    let rules = chosen(new, &args.rules, args.source.as_deref(), true)?;
    let present = match present {
        None => None,
        Some(loaded) => Some((loaded, chosen(loaded, &args.rules, Some(&rules.source), false)?)),
    };
    let sources = &new.pipeline.sources;
    let source = sources.iter().find(|source| source.name == rules.source);
    let missing = || Error::new(&codes::INTERNAL, "the source of an alert is not there");
    let source = source.ok_or_else(missing)?;
    let Some(value) = &source.value else {
        let message =
            format!("the source `{}` hands out Kafka's own columns, and a table has others", source.name);
        return Err(Error::new(&codes::NOT_YET, message)
            .with_hint("Rules are tried whose source decodes its records: `value:` with a schema."));
    };
    let rest = Rest {
        tables: Tables {
            data: global.data.clone(),
            kafka: global.kafka().to_string(),
            pipeline: Some(new.pipeline.clone()),
            undecoded: Arc::new(AtomicU64::new(0)),
            made: Made::of(new),
        },
        source: Arc::clone(&value.schema),
        time: args.time.clone(),
        memory: args.memory,
        order: Mutex::default(),
    };
    let columns = rest.columns(&args.on, now_ms).await?;
    let time = match &args.time {
        Some(time) => time.clone(),
        None => source_time(source, &columns)?,
    };
    let frame = |chosen: &Chosen| Frame::new(chosen, &columns, &args.on);
    let frames = (frame(&rules)?, present.as_ref().map(|(_, chosen)| frame(chosen)).transpose()?);
    let mut all = trials(&rules, Side::New, new, now_ms).await?;
    if let Some((loaded, chosen)) = &present {
        all.extend(trials(chosen, Side::Present, loaded, now_ms).await?);
    }
    let asked = Asked { on: &args.on, name: &source.name, time: &time, from: args.from, to: args.to };
    let start = || Workers::start(all.iter().map(Trial::anew).collect(), args.from);
    let (workers, fed) = rest.feed(&asked, frames, start, now_ms).await;
    // What a rule says is wrong comes before what the reader says, which only noticed that it stopped.
    let last_ms = fed.as_ref().ok().and_then(|read| read.last_ms).unwrap_or(0);
    let end_ms = args.to.map_or(last_ms, |to| to.min(now_ms).max(last_ms));
    let done = workers.end(end_ms).await?;
    let read = fed?;
    let Some(first_ms) = read.first_ms else {
        let without = match read.without_time {
            0 => String::new(),
            rows => format!(" ({rows} rows have no time)"),
        };
        let error = Error::new(&codes::BAD_VALUE, format!("the table has no row in this time{without}"));
        return Err(error
            .at(&args.on)
            .with_hint("Look at --from, --to and --time: what time do its rows have?"));
    };
    Ok(Report {
        on: args.on.clone(),
        time,
        rows: read.rows,
        without_time: read.without_time,
        from_ms: args.from.unwrap_or(first_ms),
        to_ms: end_ms,
        rules: OfRule::all(done),
        is_compared: present.is_some(),
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    Door::new().write_atomic(path, text.as_bytes()).map_err(|error| {
        Error::new(&codes::STORAGE, "the picture cannot be written").at(path.display()).caused_by(error)
    })
}
