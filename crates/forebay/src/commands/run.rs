//! `forebay run`: a pipeline, until it ends or is stopped.

use std::process::ExitCode;

use crate::cli::{Global, RunArgs};
use crate::load;
use crate::pipeline::{self, Overrides};
use crate::runnable::Run;

pub async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let run = Run { data: &global.data, trigger: args.trigger };
    let Some(loaded) = load::load_or_explain(&args.file, Some(run))? else { return Ok(ExitCode::FAILURE) };
    let overrides = Overrides {
        queries: args.queries.clone(),
        trigger: args.trigger,
        embedded_log: args.embedded_log,
        no_live: args.no_live,
    };
    let running = pipeline::start(global, &loaded, &overrides).await?;
    Ok(running.finish(pipeline::stop_signal()).await?)
}
