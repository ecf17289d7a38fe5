//! `forebay test`: what the tests of a pipeline come to. What a test is stands in [`crate::testing`].

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use crate::cli::{Global, TestArgs, TestFormat};
use crate::talk;
use crate::testing::{self, report, run};

pub async fn run(global: &Global, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let loaded = testing::load_or_explain(&args.file, args.tests.as_deref(), (None, &global.data))?;
    let Some((loaded, tests)) = loaded else { return Ok(ExitCode::FAILURE) };
    let chosen = testing::chosen(&tests, &args.file, args.filter.as_deref())?;
    let color = stdout().is_terminal() && talk::wants_colors();
    let mut outcomes = Vec::new();
    for test in chosen {
        let outcome = run::run(test, &loaded).await?;
        if args.format == TestFormat::Text {
            talk::print(&report::text(test, &outcome, color))?;
        }
        outcomes.push((test, outcome));
    }
    talk::print(&match args.format {
        TestFormat::Text => report::sum(&outcomes),
        TestFormat::Json => report::json(&outcomes),
        TestFormat::Junit => report::junit(&loaded.pipeline.name, &outcomes),
    })?;
    let is_ok = outcomes.iter().all(|(_, outcome)| outcome.failures.is_empty());
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
