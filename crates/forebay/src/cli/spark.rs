//! Arguments of `forebay spark`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct SparkArgs {
    /// The pipeline file
    pub file: PathBuf,
    /// Write the job to this file instead of stdout; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Fail (status 1) if a query cannot be expressed in Spark, or would give other rows there
    #[arg(long)]
    pub strict: bool,
    /// Run the job with spark-submit (from SPARK_HOME, PATH or the Python package pyspark); without --out it lies under
    /// `spark` in the data folder
    #[arg(long)]
    pub submit: bool,
    /// Where it runs, for example spark://host:7077, yarn or local[4]; spark-submit's own default if not given
    #[arg(long, value_name = "URL", requires = "submit")]
    pub master: Option<String>,
    /// More arguments for spark-submit, behind `--`; with --packages or --jars among them, no packages are added
    #[arg(last = true, value_name = "ARGUMENT", requires = "submit")]
    pub more: Vec<String>,
}
