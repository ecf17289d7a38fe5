//! Tests of a pipeline: records that are given at times, and the rows, alerts and late rows that are to come of them.
//!
//! ```text
//! tests: in the file, and in NAME.test.yaml beside it
//!   ─▶ check      names, columns, values and records against the planned queries,     `check`, `given`, `expected`,
//!                 messages through a gateway's routes                                 `pushed`
//!   ─▶ run        the real decoder, operators, rules and late table in a folder that is thrown away, on a clock
//!                 that only the test moves                                             `run`, `world`
//!   ─▶ compare    rows against rows, in any order, by the columns that are written     `compare`, `cell`
//!   ─▶ report     for people, JSON, JUnit                                              `report`
//! ```
//!
//! The tests stand in the pipeline's own file because they say what it is for, and are read, checked and completed with
//! it; where there are many they may stand beside it. What must stay true: a test touches no network, no port, no sink
//! and no data folder, but for the tables at rest that it reads; what runs is what `forebay run` runs, but for the
//! source's records, the sink and the clock.

use std::path::{Path, PathBuf};

use forebay_core::Error;
use forebay_core::config::{self, Problem};
use forebay_core::error::codes;

use crate::load::{self, Loaded};
use crate::runnable::Run;
use crate::talk;

mod cell;
mod check;
mod compare;
mod expected;
mod given;
mod pushed;
pub mod report;
pub mod run;
#[cfg(test)]
mod tests;
mod world;

pub use check::Test;

/// How to write a first test.
pub const FIRST: &str = "Add to the file:\n\
    \x20 tests:\n\
    \x20   - name: what it shows\n\
    \x20     given: { SOURCE: [ { column: value } ] }\n\
    \x20     expect: { queries: { QUERY: { rows: [ { column: value } ] } } }\n\
    docs/testing.md has more: times, late rows, alerts, what is set aside.";

/// A valid pipeline with its tests, in their order; else everything that is wrong is printed. `beside` is a file of tests, if
/// another than the one of the pipeline's name. Tables at rest lie under `data`; without a run, for the tests alone, all must
/// be there.
pub fn load_or_explain(
    path: &Path,
    beside: Option<&Path>,
    (run, data): (Option<Run<'_>>, &Path),
) -> anyhow::Result<Option<(Loaded, Vec<Test>)>> {
    let (text, name) = (load::read(path, "the pipeline file")?, path.display().to_string());
    let (loaded, of_tests) = load::load_apart(&text, &name, run, Some(data));
    let beside = beside.map(Path::to_path_buf).or_else(|| by_name(path));
    let beside = match beside {
        Some(beside) => Some((load::read(&beside, "the file of tests")?, beside.display().to_string())),
        None => None,
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            explain([problems, of_tests].concat(), &text, &name);
            // Whose names and columns its tests mean is not known.
            if let Some((text, name)) = beside {
                explain(config::parse_tests(&text, &name).1, &text, &name);
            }
            return Ok(None);
        }
    };
    match run {
        Some(_) if loaded.absent.is_empty() => {}
        Some(_) => talk::say(config::warn(&loaded.absent, &text, &name, talk::is_colored()).trim_end()),
        None if !explain(loaded.absent.clone(), &text, &name) => return Ok(None),
        None => {}
    }
    let mut problems = of_tests;
    let mut tests = check::check(&loaded.pipeline.tests, &name, &loaded, &mut problems);
    let mut is_sound = explain(problems, &text, &name);
    if let Some((text, name)) = beside {
        let (others, mut problems) = config::parse_tests(&text, &name);
        tests.extend(check::check(&others, &name, &loaded, &mut problems));
        is_sound &= explain(problems, &text, &name);
    }
    Ok(is_sound.then_some((loaded, tests)))
}

/// The file of tests beside a pipeline, if there is one: `plant.test.yaml` beside `plant.yaml`.
fn by_name(path: &Path) -> Option<PathBuf> {
    let (stem, extension) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
    let beside = path.with_file_name(format!("{stem}.test.{extension}"));
    beside.exists().then_some(beside)
}

/// Prints what is wrong with a file; true if nothing is.
fn explain(mut problems: Vec<Problem>, text: &str, name: &str) -> bool {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if !problems.is_empty() {
        talk::say(config::render(&problems, text, name, talk::is_colored()).trim_end());
    }
    problems.is_empty()
}

/// The tests whose names hold this, in upper or lower case; all if nothing is asked.
///
/// # Errors
/// `MISSING_KEY` if there are no tests at all, `WRONG_USE` if no name holds it.
pub fn chosen<'t>(tests: &'t [Test], file: &Path, filter: Option<&str>) -> Result<Vec<&'t Test>, Error> {
    if tests.is_empty() {
        return Err(Error::new(&codes::MISSING_KEY, "there are no tests")
            .at(file.display())
            .with_hint(FIRST));
    }
    let wanted = filter.unwrap_or_default().to_lowercase();
    let chosen: Vec<&Test> = tests.iter().filter(|test| test.name.to_lowercase().contains(&wanted)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        let error = Error::new(&codes::WRONG_USE, format!("no test has `{wanted}` in its name"));
        return Err(error.with_hint(format!("The tests are: {}.", names.join("; "))));
    }
    Ok(chosen)
}
