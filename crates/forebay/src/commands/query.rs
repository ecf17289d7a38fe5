//! `forebay query`: one SELECT over topics and tables.

use std::io::BufWriter;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay_core::Error;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{self, Problem};
use forebay_core::error::codes;
use forebay_engine::adhoc::render::{self, Renderer};
use forebay_engine::adhoc::{self, Limits, Takes};
use forebay_engine::plan::SqlError;
use futures::StreamExt;

use crate::cli::{Global, OutputFormat, QueryArgs};
use crate::json::FromJson;
use crate::tables::{Made, Tables};
use crate::{load, talk};

pub async fn run(global: &Global, args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let mut made = Made::default();
    let pipeline = match &args.pipeline {
        None => None,
        Some(file) => match load::load_beside(file, &global.data)? {
            Some(loaded) => {
                made = Made::of(&loaded);
                Some(loaded.pipeline)
            }
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let limits = Limits { time: Some(args.timeout), memory: args.memory, rows: None };
    let undecoded = Arc::new(AtomicU64::new(0));
    let tables = Tables {
        data: global.data.clone(),
        kafka: global.kafka().to_string(),
        pipeline,
        undecoded: Arc::clone(&undecoded),
        made,
    };
    let now_ms = SystemClock.now_ms();
    let answer = match adhoc::run(&tables, Some(&FromJson), &args.sql, Takes::All, limits, now_ms).await {
        Ok(answer) => answer,
        Err(mut error) => {
            if error.error.code() == &codes::SOURCE_UNAVAILABLE {
                error.error = error.error.with_hint(
                    "A topic can be read while its log runs: start `forebay run FILE` or `forebay log serve`. Its address comes from `--pipeline FILE`, and from `--kafka` for kafka.`TOPIC`.",
                );
            }
            explain(&args.sql, error);
            return Ok(ExitCode::FAILURE);
        }
    };
    let format = match args.format {
        OutputFormat::Table => render::OutputFormat::Table,
        OutputFormat::Csv => render::OutputFormat::Csv,
        OutputFormat::Json => render::OutputFormat::Json,
    };
    let mut renderer = Renderer::new(BufWriter::new(talk::stdout()), format, answer.schema);
    let mut batches = answer.batches;
    let mut left = if args.limit == 0 { usize::MAX } else { args.limit };
    while left > 0
        && let Some(batch) = batches.next().await
    {
        let batch = batch?;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        renderer.write(&batch).map_err(unwritten)?;
    }
    renderer.finish().map_err(unwritten)?;
    left_out(undecoded.load(Ordering::Relaxed));
    for name in tables.made.empty() {
        let data = global.data.display();
        talk::say(&format!("note: `{name}` is not there yet under {data} (`--data`): it was read as empty"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that a count is not that of the topic's records.
fn left_out(records: u64) {
    match records {
        0 => {}
        1 => talk::say("note: 1 record did not decode, or is not as expected, and is left out"),
        n => {
            talk::say(&format!("note: {n} records did not decode, or are not as expected, and are left out"))
        }
    }
}

/// The error with the line of SQL it is in and a mark under its place.
fn explain(sql: &str, error: SqlError) {
    let Some(place) = error.place else { return talk::error(&error.error) };
    let length = load::word_at(sql, load::offset_of(sql, place)).chars().count();
    let problem = Problem::at(error.error, "SQL", place, length);
    talk::say(config::explain_in(&problem, sql, "SQL", talk::is_colored()).trim_end());
}

/// What the renderer refused, else a failure of the output.
fn unwritten(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours.into(),
        Err(error) => error.into(),
    }
}
