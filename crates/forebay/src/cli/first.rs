//! Arguments of the commands of the first minutes: a file to start from, a schema, a plan, help for the shell.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{BrokerArgs, examples};

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write; one that is there already is left alone
    #[arg(default_value = "pipeline.yaml")]
    pub file: PathBuf,
    /// Read this topic and write a pipeline for what is in it
    #[arg(long, value_name = "kafka://HOST:PORT/TOPIC")]
    pub from: Option<String>,
    /// A client option for --from, written into the file too, for example -X kafka.security.protocol=SSL
    #[arg(short = 'X', long = "option", value_name = "KEY=VALUE", value_parser = super::values::key_value)]
    pub options: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The pipeline file
    pub file: PathBuf,
    /// How to print
    #[arg(long, default_value = "text")]
    pub format: PlanFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Read JSON records and print their schema as Spark DDL; on stderr, what is unsure about it
    #[command(after_help = examples::INFER)]
    Infer(InferArgs),
    /// Print the JSON Schema of pipeline files, by which editors complete and check them
    #[command(after_help = examples::JSON_SCHEMA)]
    Json,
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// The topic: its name, or kafka://HOST:PORT/TOPIC
    #[arg(required_unless_present = "file")]
    pub topic: Option<String>,
    /// Read lines of this file instead of a topic; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "topic")]
    pub file: Option<PathBuf>,
    /// Read at most this many records: the oldest of each partition, as many of each
    #[arg(short = 'n', long = "records", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub records: u32,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Subcommand)]
pub enum WhyCommand {
    /// What became of the records of a device around a time: read by which epoch, filtered by which condition, or why
    /// set aside. Reads the log again; nothing is changed
    #[command(after_help = examples::WHY)]
    Row(WhyRowArgs),
    /// Why a window has not come out, and when it will: what is held for it, how far the watermark is and which source
    /// holds it back. Reads the query's checkpoint, beside a pipeline that runs; nothing is changed
    #[command(after_help = examples::WHY_WINDOW)]
    Window(WhyWindowArgs),
}

#[derive(Debug, Args)]
pub struct WhyWindowArgs {
    /// The pipeline file
    pub file: PathBuf,
    /// The query
    pub query: String,
    /// A time in the window: 2026-11-21T12:00:00Z, or seconds or milliseconds since 1970. Not given: the windows that
    /// are open, those that end first
    #[arg(value_name = "TIME", allow_negative_numbers = true, value_parser = super::values::moment)]
    pub at: Option<i64>,
    /// Only of this key: what stands in one of the columns behind GROUP BY, or in all, with commas
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Tell at most this many windows, those that end first; of a join rows of both sides together
    #[arg(short = 'n', long = "windows", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub windows: u32,
}

#[derive(Debug, Args)]
pub struct WhyRowArgs {
    /// The pipeline file
    #[arg(long, value_name = "FILE")]
    pub pipeline: PathBuf,
    /// The source, if the file has several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The device: the key of its records, or what stands in their key column
    #[arg(long, value_name = "DEVICE")]
    pub key: String,
    /// The key column, with dots for nested ones; if not given, device_id or another usual name
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// The time of the record in the log: 2026-11-21T12:00:00Z, or seconds or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = super::values::moment)]
    pub at: i64,
    /// How far from that time to look, before and after
    #[arg(long, default_value = "30 seconds", value_name = "DURATION", value_parser = super::values::duration)]
    pub within: Duration,
    /// Show at most this many records
    #[arg(short = 'n', long = "records", default_value_t = 20, value_name = "N")]
    pub records: u32,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    /// The server, as http://HOST:PORT or https://HOST; the one at --http if not given
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// Print how it stands and end; so too where stdin or stdout is no terminal
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The server, as http://HOST:PORT or https://HOST; the one at --http if not given
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// Ask only whether it answers: a pipeline that waits for its PostgreSQL is alive, and nothing is won by restarting it
    #[arg(long)]
    pub alive: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, in as many words as it has; Forebay itself if not given
    pub command: Vec<String>,
}
