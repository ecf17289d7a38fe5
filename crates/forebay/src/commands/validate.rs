//! `forebay validate`: every problem of a pipeline file at once.

use std::process::ExitCode;

use crate::cli::FileArgs;
use crate::{load, talk};

pub fn run(args: &FileArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load::load_or_explain(&args.file)? else { return Ok(ExitCode::FAILURE) };
    let pipeline = &loaded.pipeline;
    talk::say(&format!(
        "{}: pipeline `{}` is valid: {} source(s), {} view(s), {} quer{}",
        args.file.display(),
        pipeline.name,
        pipeline.sources.len(),
        pipeline.views.len(),
        pipeline.queries.len(),
        if pipeline.queries.len() == 1 { "y" } else { "ies" },
    ));
    Ok(ExitCode::SUCCESS)
}
