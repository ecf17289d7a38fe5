//! Arguments of `forebay test`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The pipeline file
    pub file: PathBuf,
    /// A file of tests beside it; if not given, NAME.test.yaml beside NAME.yaml is read if it is there
    #[arg(long, value_name = "FILE")]
    pub tests: Option<PathBuf>,
    /// Only the tests that have this in their names, in upper or lower case
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// How to tell what came of them
    #[arg(long, default_value = "text")]
    pub format: TestFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people: a line for each test, and below it what is not as expected
    Text,
    /// One JSON document
    Json,
    /// JUnit's XML, for CI
    Junit,
}
