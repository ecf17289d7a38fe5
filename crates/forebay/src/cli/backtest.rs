//! Arguments of `forebay backtest`.

use std::path::PathBuf;

use clap::Args;

use super::values::{moment, size};

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// The pipeline file whose alerts are tried
    pub file: PathBuf,
    /// What they are tried on: delta.`PATH`, parquet.`PATH`, csv.`PATH` (relative paths lie under --data), or the name of a
    /// table of the file or of a catalog
    #[arg(long, value_name = "TABLE")]
    pub on: String,
    /// From this time on: 2026-11-21T12:00:00Z, or seconds or milliseconds since 1970
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    pub from: Option<i64>,
    /// Before this time
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    pub to: Option<i64>,
    /// Compare with the alerts of this pipeline file, the present one
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The rows' time: a column of the table or SQL over its columns. Not given: the watermark's column of the source, else the
    /// only TIMESTAMP of the table
    #[arg(long, value_name = "SQL")]
    pub time: Option<String>,
    /// The source that the table stands for, if the alerts watch several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only this alert; can be given several times
    #[arg(long = "rule", value_name = "NAME")]
    pub rules: Vec<String>,
    /// Print one JSON document, with each alert
    #[arg(long)]
    pub json: bool,
    /// Write a picture of it: SVG, or HTML if the name ends so
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Rows that take more are put in order in files of the folder for temporary files
    #[arg(long, default_value = "1GiB", value_name = "SIZE", value_parser = size)]
    pub memory: usize,
}
