//! `forebay validate`: every problem of a pipeline file at once; of a valid one, what will be read and written where.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use forebay_core::config::QueryConfig;

use crate::cli::{FileArgs, Global};
use crate::runnable::Run;
use crate::{talk, testing};

pub fn run(global: &Global, args: &FileArgs) -> anyhow::Result<ExitCode> {
    let run = Run { data: &global.data, trigger: None, needs_tables: false, only: &[] };
    let loaded = testing::load_or_explain(&args.file, None, (Some(run), &global.data))?;
    let Some((loaded, _)) = loaded else { return Ok(ExitCode::FAILURE) };
    let pipeline = &loaded.pipeline;
    talk::say(&format!(
        "{}: pipeline `{}` is valid: {} source(s), {} view(s), {} quer{}, {} alert(s)",
        args.file.display(),
        pipeline.name,
        pipeline.sources.len(),
        pipeline.views.len(),
        pipeline.queries.len(),
        if pipeline.queries.len() == 1 { "y" } else { "ies" },
        loaded.alerts.len(),
    ));
    if !loaded.absent.is_empty() {
        talk::say("  `forebay run` refuses it until the tables that it warns of are there");
    }
    for table in &pipeline.tables {
        let path = global.data.join(table.options.text("path").unwrap_or_default());
        talk::say(&format!("  table {}: {} {}", table.name, table.format, resolved(&path).display()));
    }
    for (query, plan) in loaded.queries() {
        let mut read = plan.sources();
        read.extend(plan.tables());
        talk::say(&format!("  {}: {} -> {}", query.name, read.join(", "), target(&global.data, query)));
    }
    for alert in &loaded.alerts {
        let (name, sources, key) = (alert.query_name(), alert.sources.join(", "), &alert.key);
        talk::say(&format!("  {name}: {sources} -> {} alert for each {key}", alert.config.severity.word()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The sink, and its table or topic, or the folder that a path of the file means: a `..` in it should surprise nobody.
fn target(data: &Path, query: &QueryConfig) -> String {
    match query.options.text("path") {
        Some(path) => format!("{} {}", query.format, resolved(&data.join(path)).display()),
        None => match ["dbtable", "topic"].iter().find_map(|option| query.options.text(option)) {
            Some(name) => format!("{} {name}", query.format),
            None => query.format.clone(),
        },
    }
}

/// The path from the root, without `.` and `..`; names only, since it may not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.components().fold(PathBuf::new(), |mut sum, part| {
        match part {
            Component::ParentDir => drop(sum.pop()),
            part => sum.push(part),
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_the_folder_it_means() {
        assert_eq!(resolved(Path::new("/data/./lake/../../etc")), Path::new("/etc"));
        assert_eq!(resolved(Path::new("/../x")), Path::new("/x"));
        assert!(resolved(Path::new("x")).is_absolute());
    }
}
