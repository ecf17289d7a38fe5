//! `forebay spark`: the pipeline as a Spark job, printed, written or run. What the job is stands in [`crate::spark`].

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_storage::Door;

use crate::cli::{Global, SparkArgs};
use crate::spark::submit::{self, Places};
use crate::spark::{File, Job, SPARK};
use crate::{load, spark, talk};

pub async fn run(global: &Global, args: &SparkArgs) -> anyhow::Result<ExitCode> {
    let Some((pipeline, text)) = load::parse_file(&args.file)? else { return Ok(ExitCode::FAILURE) };
    spark::refuse_detectors(&pipeline)?;
    let (name, data) = (args.file.display().to_string(), global.data.display().to_string());
    // What cannot be planned is told by `forebay validate`; of the rest the job can be made all the same.
    let planned = load::load_apart(&text, &name, None, Some(&global.data)).0;
    let row_keys = planned.as_ref().map(spark::row_keys).unwrap_or_default();
    let job = File { name: &name, text: &text, pipeline: &pipeline, data: &data, row_keys }.job();
    for note in &job.notes {
        talk::say(&format!("line {}: {}", note.line, talk::one_line(&note.text)));
    }
    if args.strict && job.notes.iter().any(|note| note.is_missing) {
        talk::say(&format!(
            "error: {name} has what cannot be expressed in Spark {SPARK}; without --strict the rest is written"
        ));
        return Ok(ExitCode::FAILURE);
    }
    let path = match &args.out {
        Some(out) => out.clone(),
        // Not the pipeline's name alone: Python would take a `json.py` beside the job for its own module.
        None if args.submit => global.data.join("spark").join(format!("{}_job.py", pipeline.name)),
        None => {
            talk::print(&job.text)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    write(&path, &job.text)?;
    talk::say(&format!("wrote {}", path.display()));
    if args.submit { run_job(&job, &path, args).await } else { Ok(ExitCode::SUCCESS) }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let door = Door::new();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), |folder| door.create_dir_all(folder));
    made.and_then(|()| door.write_atomic(path, text.as_bytes())).map_err(|error| {
        Error::new(&codes::WRONG_USE, "the job cannot be written").at(path.display()).caused_by(error)
    })
}

/// Runs the job to its end; a Ctrl-C reaches spark-submit by itself.
async fn run_job(job: &Job, path: &Path, args: &SparkArgs) -> anyhow::Result<ExitCode> {
    let program = Places::of_environment().find()?;
    talk::say(&format!("running {}", program.display()));
    let mut command = Command::new(&program);
    command.args(submit::arguments(path, &job.packages, args.master.as_deref(), &args.more));
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    let status = status.with_context(|| format!("{} cannot be run", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
