//! `forebay validate`: every problem of a pipeline file at once; of a valid one, what will be read and written where.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use forebay_connectors::s3::is_address;
use forebay_core::config::{AlertConfig, CycleConfig, QueryConfig};

use crate::cli::{FileArgs, Global};
use crate::definition::words;
use crate::load::detector_words;
use crate::runnable::Run;
use crate::{channels, gateways, talk, testing};

use super::plan;

pub fn run(global: &Global, args: &FileArgs) -> anyhow::Result<ExitCode> {
    let run = Run { data: &global.data, trigger: None, needs_tables: false, only: &[] };
    let loaded = testing::load_or_explain(&args.file, None, (Some(run), &global.data))?;
    let Some((loaded, _)) = loaded else { return Ok(ExitCode::FAILURE) };
    let pipeline = &loaded.pipeline;
    let views = &pipeline.views;
    let detectors: Vec<_> = views.iter().filter_map(|view| view.detector.as_ref()).collect();
    talk::say(&format!(
        "{}: pipeline `{}` is valid: {} source(s), {} view(s), {} quer{}, {} alert(s)",
        args.file.display(),
        pipeline.name,
        pipeline.sources.len(),
        views.len() - detectors.len(),
        pipeline.queries.len(),
        if pipeline.queries.len() == 1 { "y" } else { "ies" },
        loaded.alerts.len(),
    ));
    if !loaded.absent.is_empty() {
        talk::say("  `forebay run` refuses it until the tables that it warns of are there");
    }
    for gateway in &pipeline.gateways {
        talk::say(&format!("  gateway {}: {}", gateway.name, plan::reaches(gateway)));
    }
    let warnings = [gateways::warnings(pipeline), channels::warnings(pipeline)].concat();
    warnings.iter().for_each(|warning| talk::say(&format!("  warning: {warning}")));
    for table in &pipeline.tables {
        let place = place(&global.data, table.options.text("path").unwrap_or_default());
        talk::say(&format!("  table {}: {} {place}", table.name, table.format));
    }
    for detector in detectors {
        talk::say(&format!("  detector {}: {}", detector.name, detector_words(detector)));
    }
    for (query, plan) in loaded.queries() {
        let mut read = plan.sources();
        read.extend(plan.tables());
        let target = target(&global.data, query);
        talk::say(&format!(
            "  {}: {} -> {target}{}",
            query.name,
            read.join(", "),
            archive(&global.data, query)
        ));
    }
    for alert in &loaded.alerts {
        let (name, sources, key) = (alert.query_name(), alert.sources.join(", "), &alert.key);
        talk::say(&format!("  {name}: {sources} -> {} alert for each {key}", severities(&alert.config)));
    }
    Ok(ExitCode::SUCCESS)
}

/// How bad an alert can be.
fn severities(alert: &AlertConfig) -> String {
    if alert.levels.is_empty() {
        return alert.severity.word().to_owned();
    }
    alert.levels.iter().map(|level| level.severity.word()).collect::<Vec<_>>().join(" or ")
}

/// The sink, and its table or topic, or the folder that a path of the file means: a `..` in it should surprise nobody.
fn target(data: &Path, query: &QueryConfig) -> String {
    if let Some(table) = &query.to_table {
        return format!("{} {table}", query.format);
    }
    match query.options.text("path") {
        Some(path) => format!("{} {}", query.format, place(data, path)),
        None => match ["dbtable", "topic"].iter().find_map(|option| query.options.text(option)) {
            Some(name) => format!("{} {name}", query.format),
            None => query.format.clone(),
        },
    }
}

/// What becomes of its files, if it cycles.
fn archive(data: &Path, query: &QueryConfig) -> String {
    let Some(CycleConfig { cycle, .. }) = &query.cycle else { return String::new() };
    let every = words(cycle.every);
    format!(", every {every} an archive {}", place(data, &cycle.archive.text))
}

/// The folder or file that a path of the file means; an address of something in a bucket is that.
fn place(data: &Path, path: &str) -> String {
    if is_address(path) { path.to_owned() } else { resolved(&data.join(path)).display().to_string() }
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
