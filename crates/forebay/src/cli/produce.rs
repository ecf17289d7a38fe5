//! What is typed to write events to a topic, under the names and letters of Kafka's console producer and kcat.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::BrokerArgs;
use super::values::{duration, header};

#[derive(Debug, Args)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// The topic to write to; it is made if it is not there and the broker allows that
    #[arg(short = 't', long)]
    pub topic: String,
    /// Read this file instead of stdin; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write all of the input as one record, such as a JSON document of several lines, instead of one for each line
    #[arg(long)]
    pub whole: bool,
    /// Look at each record before it is sent: what is not JSON ends the command, told with its line. Blank lines are left
    /// out
    #[arg(long)]
    pub json: bool,
    /// The key of every record
    #[arg(short = 'k', long, value_name = "TEXT", conflicts_with_all = ["key_field", "key_separator"])]
    pub key: Option<String>,
    /// Take each record's key from this field of its JSON, such as customerId or data.site (as --json)
    #[arg(long, value_name = "FIELD", conflicts_with = "key_separator")]
    pub key_field: Option<String>,
    /// Split each line into key and value at this text; a line without it has no key
    #[arg(short = 'K', long, value_name = "TEXT", conflicts_with = "whole")]
    pub key_separator: Option<String>,
    /// A header of every record; the name alone is one without a value. Can be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub headers: Vec<(String, Option<String>)>,
    /// The partition of every record; if not given, that of its key, or for records without one whichever
    #[arg(short = 'p', long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Write what is this text as a record without a value (a tombstone)
    #[arg(long, value_name = "TEXT")]
    pub null_marker: Option<String>,
    /// Compression of the batches; lz4 if not given
    #[arg(short = 'z', long, value_name = "CODEC", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    pub compression: Option<String>,
    /// How long the log is waited for, and each record is sent again, before the command gives up
    #[arg(long, default_value = "2 minutes", value_name = "DURATION", value_parser = duration)]
    pub timeout: Duration,
}
