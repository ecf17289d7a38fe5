//! Arguments of `forebay alerts`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

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
}
