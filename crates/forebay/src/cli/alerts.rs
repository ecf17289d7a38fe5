//! Arguments of `forebay alerts`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::examples;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsArgs {
    /// The server, as http://HOST:PORT or https://HOST; the one at --http if not given
    #[arg(long, global = true, value_name = "SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub list: ListArgs,
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which alerts
    #[arg(long, default_value = "open")]
    pub state: AlertsState,
    /// Only those of this rule
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Only those that are at least so bad now, or were when they cleared
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<Least>,
    /// Only those about this key
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Only those that opened or cleared within so long
    #[arg(long, value_name = "DURATION", value_parser = super::values::duration)]
    pub since: Option<Duration>,
    /// Print at most this many, the newest
    #[arg(short = 'n', long = "limit", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub limit: u32,
    /// One JSON object a line, all that is known of each
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlertsState {
    /// Those that are open, acknowledged or not
    Open,
    /// Those that are open and nobody has acknowledged
    Unacknowledged,
    /// Those that are open and somebody takes care of
    Acknowledged,
    /// Those that have cleared
    Cleared,
    /// All of them
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Least {
    Info,
    Warning,
    Critical,
}

impl Least {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Say that you take care of open alerts; of several people the first does
    #[command(after_help = examples::ACK)]
    Ack {
        /// The alerts, by their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// What you have to say of it
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Say something of an open alert, for those who look at it later
    Comment {
        /// The alert, by its id
        id: String,
        /// What you have to say of it
        #[arg(value_name = "TEXT")]
        comment: String,
    },
    /// Hold back what is told of some alerts for a while; they open and clear all the same
    #[command(after_help = examples::SILENCE)]
    Silence(SilenceArgs),
}

#[derive(Debug, Args)]
pub struct SilenceArgs {
    #[command(subcommand)]
    pub command: SilenceCommand,
}

#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Make a silence; print its number
    #[command(after_help = examples::SILENCE_MAKE)]
    Make(Box<MakeArgs>),
    /// See the silences: those that hold and will, also those of the pipeline's file
    List {
        /// Those that have ended too, as far as they are remembered: the newest hundred of five days
        #[arg(long)]
        all: bool,
        /// One JSON object a line, all that is known of each that people made
        #[arg(long)]
        json: bool,
    },
    /// End silences now; who is still in alert is told of then
    Expire {
        /// The silences, by their numbers
        #[arg(required = true, value_name = "NUMBER")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["rules", "keys", "severities", "all"]).required(true).multiple(true)))]
#[command(group(ArgGroup::new("end").args(["length", "until"]).required(true)))]
pub struct MakeArgs {
    /// Alerts of this rule; may be given several times
    #[arg(long = "rule", value_name = "NAME")]
    pub rules: Vec<String>,
    /// Alerts about keys that are like this, in which * stands for any text; may be given several times
    #[arg(long = "key", value_name = "PATTERN")]
    pub keys: Vec<String>,
    /// Alerts of this severity; may be given several times
    #[arg(long = "severity", value_name = "SEVERITY")]
    pub severities: Vec<Least>,
    /// All alerts of the pipeline
    #[arg(long, conflicts_with_all = ["rules", "keys", "severities"])]
    pub all: bool,
    /// How long it lasts, a year at most
    #[arg(long = "for", value_name = "DURATION", value_parser = super::values::duration)]
    pub length: Option<Duration>,
    /// When it ends, in place of how long it lasts; in UTC unless it says otherwise
    #[arg(long, value_name = "TIME", value_parser = super::values::moment)]
    pub until: Option<i64>,
    /// When it begins, if not now
    #[arg(long, value_name = "TIME", value_parser = super::values::moment)]
    pub from: Option<i64>,
    /// Why, for those who wonder where the notices are
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}
