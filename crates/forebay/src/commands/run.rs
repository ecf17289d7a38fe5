//! `forebay run`: a pipeline, until it ends or is stopped.

use std::process::ExitCode;

use forebay_core::error::codes;
use forebay_core::options::parse_duration;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};

use crate::cli::{Global, RunArgs};
use crate::pipeline::{self, Overrides};
use crate::{load, talk};

pub async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let trigger = args.trigger.as_deref().map(parse_trigger).transpose()?;
    let Some(loaded) = load::load_or_explain(&args.file)? else { return Ok(ExitCode::FAILURE) };
    if forebay_storage::FAULTS_BUILT_IN {
        talk::say(
            "warning: this build carries test hooks (kill points, storage faults); do not use it for real data",
        );
    }
    let overrides = Overrides { queries: args.queries.clone(), trigger };
    let running = pipeline::start(global, &loaded, &overrides).await?;
    Ok(running.finish(pipeline::stop_signal()).await?)
}

fn parse_trigger(text: &str) -> Result<Trigger> {
    match text.to_ascii_lowercase().as_str() {
        "availablenow" => Ok(Trigger::AvailableNow),
        "once" => Ok(Trigger::Once),
        "default" => Ok(Trigger::Default),
        _ => parse_duration(text).map(Trigger::ProcessingTime).ok_or_else(|| {
            Error::new(&codes::WRONG_USE, format!("`{text}` is not a trigger"))
                .with_hint("Triggers are availableNow, once, default, or an interval such as \"1 second\".")
        }),
    }
}
