//! `forebay run`: a pipeline, until it ends or is stopped.

use std::process::ExitCode;

use crate::cli::{Global, RunArgs};
use crate::pipeline::{self, Overrides};
use crate::{load, talk};

pub async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load::load_or_explain(&args.file)? else { return Ok(ExitCode::FAILURE) };
    if forebay_storage::FAULTS_BUILT_IN {
        talk::say(
            "warning: this build carries test hooks (kill points, storage faults); do not use it for real data",
        );
    }
    let overrides =
        Overrides { queries: args.queries.clone(), trigger: args.trigger, embedded_log: args.embedded_log };
    let running = pipeline::start(global, &loaded, &overrides).await?;
    Ok(running.finish(pipeline::stop_signal()).await?)
}
