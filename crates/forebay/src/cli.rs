//! What can be typed. The doc comment of an argument is its help; [`values`] reads what stands behind options,
//! [`examples`] stand under a command's help.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use forebay_core::trigger::Trigger;

mod access;
mod alerts;
mod backtest;
mod examples;
mod first;
mod models;
mod produce;
mod spark;
mod testing;
mod topics;
mod values;

pub use access::{
    DeviceArgs, LogAccessArgs, LogServeArgs, LogUserArgs, NewTokenArgs, ServerArgs, TokenCommand,
};
pub use alerts::{AlertsArgs, AlertsCommand, AlertsState, Least, ListArgs, MakeArgs, SilenceCommand};
pub use backtest::BacktestArgs;
pub use first::{
    CompletionsArgs, HealthArgs, InferArgs, InitArgs, ManArgs, PlanArgs, PlanFormat, SchemaCommand, TopArgs,
    WhyCommand, WhyRowArgs, WhyWindowArgs,
};

pub use models::{TrainArgs, TrialArgs, TrialFormat};
pub use produce::ProduceArgs;
pub use spark::SparkArgs;
pub use testing::{TestArgs, TestFormat};
pub use topics::{BrokerArgs, Fault, LogCommand, Motion, RATE, Shape, SimulateArgs};

use values::{duration, http_address, kafka_address, log_level, rate, size, trigger};

/// From device to dashboard in one binary: a Kafka-compatible log, streaming SQL with Spark's semantics, and
/// exactly-once sinks.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, arg_required_else_help = true, propagate_version = true)]
#[command(
    after_help = "Start with `forebay demo`. Options that show a FOREBAY_… name can also be set by it in the environment.\n\
Exit status: 0 done, 1 failed, 2 wrong use."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What queries and alerts tell while they run is no news in a test: it is told what came of it.
    pub fn quiet_tests(mut self) -> Self {
        if matches!(self.command, Command::Test(_)) && self.global.log_level == "info" {
            "error".clone_into(&mut self.global.log_level);
        }
        self
    }
}

/// The heading of [`Global`] in every help: what a command takes itself stands first.
const OF_ALL: &str = "Options of every command";

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Folder under which everything is written: log, checkpoints, tables, quarantine
    #[arg(long, global = true, env = "FOREBAY_DATA", default_value = "./forebay-data", value_name = "DIR", help_heading = OF_ALL)]
    pub data: PathBuf,
    /// Where the page, REST, metrics and health listen; loopback only, unless `forebay run` has both tokens and TLS
    #[arg(long, global = true, env = "FOREBAY_HTTP", default_value = "127.0.0.1:8080", value_name = "ADDR", help_heading = OF_ALL, value_parser = http_address)]
    pub http: SocketAddr,
    /// The embedded log's address; one that others can reach needs --kafka-users and TLS. Not given: where the pipeline's sources read, else 127.0.0.1:9092
    #[arg(long, global = true, env = "FOREBAY_KAFKA", value_name = "ADDR", help_heading = OF_ALL, value_parser = kafka_address)]
    pub kafka: Option<SocketAddr>,
    /// What to tell on stderr: error, warn, info, debug, or a filter such as `forebay_engine=debug`
    #[arg(long, global = true, env = "FOREBAY_LOG", default_value = "info", value_name = "LEVEL", help_heading = OF_ALL, value_parser = log_level)]
    pub log_level: String,
    /// How to tell it: text for people, json with one object a line
    #[arg(long, global = true, env = "FOREBAY_LOG_FORMAT", default_value = "text", value_name = "FORMAT", help_heading = OF_ALL)]
    pub log_format: LogFormat,
}

impl Global {
    /// The embedded log's address where no pipeline names one: Kafka's usual port.
    pub fn kafka(&self) -> SocketAddr {
        self.kafka.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline: its log (if its sources use the embedded one), its queries, its HTTP server
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// See a plant live: simulated devices, log, query, alerts on the screen and a Delta table
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Watch a running pipeline in the terminal: is all well, and if not, what is wrong and since when
    #[command(after_help = examples::TOP)]
    Top(TopArgs),
    /// See the alerts of a running pipeline, acknowledge them, say something of them, silence some for a while
    #[command(after_help = examples::ALERTS)]
    Alerts(AlertsArgs),
    /// Ask a running pipeline whether all is well: for health checks of containers and supervisors
    #[command(after_help = examples::HEALTH)]
    Health(HealthArgs),
    /// Check a pipeline file; every problem at once, with its place and a hint
    Validate(FileArgs),
    /// Try a pipeline with records that its tests give, on a clock of their own; touches nothing else
    #[command(after_help = examples::TEST)]
    Test(TestArgs),
    /// Ask SQL over topics, Delta tables and the tables of a pipeline
    #[command(after_help = examples::QUERY)]
    Query(QueryArgs),
    /// Write events from stdin (or a file) to a topic: a record for each line, or one in all
    #[command(after_help = examples::PRODUCE)]
    Produce(ProduceArgs),
    /// Write the events of simulated devices, or samples from files, to a topic, with faults if you like
    #[command(after_help = examples::SIMULATE)]
    Simulate(SimulateArgs),
    /// Look at the records that could not be decoded; replay or drop them
    #[command(subcommand, after_help = examples::QUARANTINE)]
    Quarantine(QuarantineCommand),
    /// The embedded log: serve it alone, list topics, follow one, write to one
    #[command(subcommand)]
    Log(LogCommand),
    /// Look into checkpoints
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Make tokens for the HTTP server and users of the embedded log, and list tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Write a pipeline file to start from: one that runs as it stands, or one made for a topic
    #[command(after_help = examples::INIT)]
    Init(InitArgs),
    /// Say what would go on, change or be refused if a file were run now; touches nothing
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Say what became of a record, or why a window has not come out and when it will
    #[command(subcommand)]
    Why(WhyCommand),
    /// Write the pipeline as a Spark Structured Streaming job, and say line by line what Spark has not
    #[command(after_help = examples::SPARK)]
    Spark(SparkArgs),
    /// Make the saved model of a detector from a Delta table, Parquet or CSV files
    #[command(after_help = examples::TRAIN)]
    Train(TrainArgs),
    /// Judge a detector on series whose anomalies are known, row by row: precision, recall, F1, how early
    #[command(after_help = examples::TRIAL)]
    Trial(TrialArgs),
    /// Try alerts on the rows of a table: what would have opened and cleared, when and how often, beside the present rules.
    /// Nobody is told of anything
    #[command(after_help = examples::BACKTEST)]
    Backtest(BacktestArgs),
    /// Infer a schema from records; print the JSON Schema of pipeline files
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Tell what a code means and what to try
    #[command(after_help = examples::EXPLAIN)]
    Explain {
        /// The code, as FB-2003 or json.truncated; all of them, a line each, if not given
        code: Option<String>,
    },
    /// Print a script that completes commands and options in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the man page of Forebay, or of one of its commands
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
    /// Write the reference pages that are generated from the code
    #[command(hide = true)]
    Reference {
        /// The folder to write to
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline file
    pub file: PathBuf,
    /// Run only these queries and alerts, an alert as alerts/NAME (all if not given)
    #[arg(long = "query", value_name = "NAME")]
    pub queries: Vec<String>,
    /// Use this trigger for all queries instead of the file's: availableNow, once, default, or an interval such as
    /// "1 second"
    #[arg(long, value_name = "TRIGGER", value_parser = trigger)]
    pub trigger: Option<Trigger>,
    /// Whether this process serves the log that its sources read from
    #[arg(long, env = "FOREBAY_EMBEDDED_LOG", default_value = "auto", value_name = "WHEN")]
    pub embedded_log: EmbeddedLog,
    /// Take the file again whenever it changes, as at SIGHUP: what did not change runs on; a change that is not safe is
    /// refused and told
    #[arg(long)]
    pub watch: bool,
    /// Do not read the sources a second time for the page: queries, alerts and the ledger are shown, newest values and
    /// their history are not
    #[arg(long)]
    pub no_live: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub log: LogAccessArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EmbeddedLog {
    /// If a source names a loopback address and nobody listens there
    #[default]
    Auto,
    /// At the loopback address that the sources name; an address that is taken is an error
    Always,
    /// Never: every address is a Kafka elsewhere, waited for while it is down
    Never,
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The pipeline file
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which system to show
    #[arg(default_value = "plant")]
    pub name: String,
    /// List the systems that can be shown, a line each
    #[arg(long)]
    pub list: bool,
    /// Events per second; 0 for as many as go; 20 if not given, of the demo arduino what its sensors measure
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Stop by itself after this time, for example "30 seconds"
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Tell every few seconds how each query stands, not only all of them together
    #[arg(long)]
    pub verbose: bool,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// One SELECT in Spark's dialect, for example: SELECT count(*) FROM delta.`/lake/iot`
    pub sql: String,
    /// A pipeline file whose sources (topics) and sinks (tables) can be used by name
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// How to print the rows
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
    /// Most rows to print; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub limit: usize,
    /// Most time to spend, for example "1 minute"
    #[arg(long, default_value = "10 minutes", value_name = "DURATION", value_parser = duration)]
    pub timeout: Duration,
    /// Most memory to use, for example 2GiB
    #[arg(long, default_value = "2GiB", value_name = "SIZE", value_parser = size)]
    pub memory: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Columns in a frame
    Table,
    /// Comma-separated, with a header
    Csv,
    /// One JSON object a line
    Json,
}

/// Which quarantined records.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// Records by name, as `ls` prints them: TOPIC/PARTITION/OFFSET
    #[arg(value_name = "RECORD")]
    pub records: Vec<String>,
    /// All records that the other conditions leave
    #[arg(long)]
    pub all: bool,
    /// Only those of this pipeline: its name, or its file
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Only those of this query
    #[arg(long, value_name = "NAME")]
    pub query: Option<String>,
    /// Only those with this code, for example json.truncated
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List the records, oldest first
    Ls {
        #[command(flatten)]
        chosen: Chosen,
        /// How to print
        #[arg(long, default_value = "table")]
        format: OutputFormat,
    },
    /// Print one record with its raw bytes
    Show {
        /// The record: TOPIC/PARTITION/OFFSET
        record: String,
        /// Print the raw bytes alone
        #[arg(long)]
        raw: bool,
    },
    /// Ask the next epoch of each query to decode the records again, for example after mending the schema
    Replay(Chosen),
    /// Give the records up; they stay counted in the ledger
    Drop(Chosen),
}

#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Print what a checkpoint says: who the query is, what it holds, how far its watermark is, what its last epochs read and
    /// what became of it. Only reads, beside a pipeline that runs
    #[command(after_help = examples::CHECKPOINT)]
    Show {
        /// A pipeline file, or the folder of a checkpoint
        path: PathBuf,
        /// The query of the file, or alerts/NAME; all of them if not given
        query: Option<String>,
        /// Print JSON, a document for each checkpoint
        #[arg(long)]
        json: bool,
        /// How many of its last lines (plans, outcomes, commits) to print
        #[arg(short = 'n', long, default_value_t = 6, value_name = "N")]
        entries: usize,
    },
}

#[cfg(test)]
mod tests;
