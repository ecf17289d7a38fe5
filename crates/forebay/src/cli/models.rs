//! Arguments of `forebay trial` and `forebay train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct TrialArgs {
    /// A folder of CSV files of `timestamp,value`; if not given, made-up series of every class of anomaly
    pub folder: Option<PathBuf>,
    /// What is wrong when: a JSON object from a file's path below the folder to its [first, last] times; labels.json in the
    /// folder if not given
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// The detector, with settings if you like: `z_score,threshold=3`
    #[arg(long, default_value = "auto", value_name = "KIND")]
    pub detector: String,
    /// Tell the counts of each series too
    #[arg(long)]
    pub each: bool,
    /// Tell each row that is flagged, and why
    #[arg(long)]
    pub why: bool,
    /// How to tell what came of it
    #[arg(long, default_value = "text")]
    pub format: TrialFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrialFormat {
    /// For people
    Text,
    /// One JSON document, with each series
    Json,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The detector, an entry of `detectors` with a `model`
    pub name: String,
    /// The pipeline file
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// What to train with: the folder of a Delta table, Parquet files, or a CSV file with a line of names; a relative path lies
    /// under --data
    #[arg(long, value_name = "TABLE")]
    pub on: String,
}
