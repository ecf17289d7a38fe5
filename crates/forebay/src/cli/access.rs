//! Arguments of who may ask the HTTP server and use the embedded log, and where they listen beside `--http` and `--kafka`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{self, Role};
use forebay_server::Postgres;

use super::examples;

/// The heading of [`ServerArgs`] in help.
const OF_SERVER: &str = "Options of the HTTP server";

/// How the HTTP server of a run listens.
#[derive(Clone, Debug, Default, Args)]
pub struct ServerArgs {
    /// Ask who asks: a file of tokens, made by `forebay token new`. Without it the server is for this machine alone
    #[arg(long, env = "FOREBAY_AUTH", value_name = "FILE", help_heading = OF_SERVER)]
    pub auth: Option<PathBuf>,
    /// Speak TLS: the server's certificate, then those between it and its authority, in PEM
    #[arg(long, env = "FOREBAY_TLS_CERT", value_name = "FILE", requires = "tls_key", help_heading = OF_SERVER)]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, env = "FOREBAY_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = OF_SERVER)]
    pub tls_key: Option<PathBuf>,
    /// Serve /health and /metrics here instead of at --http; on loopback plain and for whoever asks
    #[arg(long, env = "FOREBAY_MONITOR", value_name = "ADDR", help_heading = OF_SERVER, value_parser = super::values::monitor_address)]
    pub monitor: Option<SocketAddr>,
    /// Serve the Postgres wire here: SQL for psql, JDBC, Power BI, Grafana; `off` for nowhere. Not given: 127.0.0.1:5455, if
    /// that is free
    #[arg(long, env = "FOREBAY_POSTGRES", value_name = "ADDR", help_heading = OF_SERVER, value_parser = super::values::postgres_address)]
    pub postgres: Option<Postgres>,
}

/// The heading of [`LogAccessArgs`] in help.
const OF_LOG: &str = "Options of the embedded log";

/// Who may use the embedded log.
#[derive(Clone, Debug, Default, Args)]
pub struct LogAccessArgs {
    /// Ask who uses the embedded log: a file of users, made by `forebay token kafka`. With --tls-cert and --tls-key it then speaks
    /// TLS. Without it the log is for this machine alone
    #[arg(long, env = "FOREBAY_KAFKA_USERS", value_name = "FILE", help_heading = OF_LOG)]
    pub kafka_users: Option<PathBuf>,
    /// Ask every client of the embedded log for a certificate of these authorities, in PEM
    #[arg(long, env = "FOREBAY_KAFKA_CLIENT_CA", value_name = "FILE", requires = "kafka_users", help_heading = OF_LOG)]
    pub kafka_client_ca: Option<PathBuf>,
    /// What clients of the embedded log are told to dial. Not given: the name by which they asked for it in TLS, or the address
    #[arg(long, env = "FOREBAY_KAFKA_ADVERTISED", value_name = "HOST[:PORT]", help_heading = OF_LOG, value_parser = super::values::advertised)]
    pub kafka_advertised: Option<(String, Option<u16>)>,
}

/// How the embedded log listens alone.
#[derive(Clone, Debug, Default, Args)]
pub struct LogServeArgs {
    #[command(flatten)]
    pub access: LogAccessArgs,
    /// Speak TLS, with --kafka-users: the log's certificate, then those between it and its authority, in PEM
    #[arg(long, env = "FOREBAY_TLS_CERT", value_name = "FILE", requires = "tls_key", help_heading = OF_LOG)]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, env = "FOREBAY_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = OF_LOG)]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token: printed once, and the line for the file that the server reads
    #[command(after_help = examples::TOKEN)]
    New(NewTokenArgs),
    /// Make a user of a gateway, for a device: the token is printed once, and the entry for `users:` of the gateway in the pipeline's
    /// file
    #[command(after_help = examples::TOKEN_DEVICE)]
    Device(DeviceArgs),
    /// Make a user of the embedded log: the token is printed once, and the entry for the file of --kafka-users. A PATTERN is a name, or
    /// the beginning of names with * behind it
    #[command(after_help = examples::TOKEN_KAFKA)]
    Kafka(LogUserArgs),
    /// List the tokens of a file, and say what is wrong with it
    Ls {
        /// The file
        #[arg(long, env = "FOREBAY_AUTH", value_name = "FILE")]
        auth: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct NewTokenArgs {
    /// Whose it is: a person, a program; shown on the page and in the log
    #[arg(long, value_name = "NAME", value_parser = token_name)]
    pub name: String,
    /// What it may do: viewer looks, operator stops, starts and replays, admin drops records too
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Role,
    /// From when on it is worth nothing: a day such as 2030-12-31, or a time (never if not given)
    #[arg(long, value_name = "DATE", value_parser = expiry)]
    pub expires: Option<String>,
    /// Add it to this file, which is made if it is not there
    #[arg(long, env = "FOREBAY_AUTH", value_name = "FILE")]
    pub auth: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub struct DeviceArgs {
    /// What the user is called: of an MQTT client the user's name, in filters `%u`
    #[arg(long, value_name = "NAME", value_parser = token_name)]
    pub name: String,
    /// Topics to which the device may publish, as a filter of MQTT; as often as needed
    #[arg(long, value_name = "FILTER")]
    pub publish: Vec<String>,
    /// Topics to which it may subscribe
    #[arg(long, value_name = "FILTER")]
    pub subscribe: Vec<String>,
}

#[derive(Debug, Default, Args)]
pub struct LogUserArgs {
    /// What the user is called, in SASL too
    #[arg(long, value_name = "NAME", value_parser = token_name)]
    pub name: String,
    /// Add it to this file, which is made if it is not there
    #[arg(long, env = "FOREBAY_KAFKA_USERS", value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// May everything
    #[arg(long)]
    pub admin: bool,
    /// Topics to read
    #[arg(long, value_name = "PATTERN")]
    pub read: Vec<String>,
    /// Topics to write to
    #[arg(long, value_name = "PATTERN")]
    pub write: Vec<String>,
    /// Topics to make
    #[arg(long, value_name = "PATTERN")]
    pub create: Vec<String>,
    /// Topics to look at
    #[arg(long, value_name = "PATTERN")]
    pub describe: Vec<String>,
    /// Topics whose settings and number of partitions to change
    #[arg(long, value_name = "PATTERN")]
    pub alter: Vec<String>,
    /// Topics to delete
    #[arg(long, value_name = "PATTERN")]
    pub delete: Vec<String>,
    /// Consumer groups to be in
    #[arg(long = "group", value_name = "PATTERN")]
    pub groups: Vec<String>,
    /// Transactional ids to write with
    #[arg(long = "transactional-id", value_name = "PATTERN")]
    pub transactional_ids: Vec<String>,
}

fn token_name(text: &str) -> Result<String, String> {
    let refused = || format!("expected {}", config::TOKEN_NAMES);
    config::is_token_name(text).then(|| text.to_owned()).ok_or_else(refused)
}

fn role(text: &str) -> Result<Role, String> {
    Role::of(text).ok_or_else(|| format!("expected one of {}", Role::ALL.map(Role::word).join(", ")))
}

/// Kept as it was typed: so it stands in the file.
fn expiry(text: &str) -> Result<String, String> {
    const LIKE: &str = "expected a day to come, such as 2030-12-31, or a time, such as 2030-12-31T12:00:00Z, before the year 10000";
    match config::expiry(text) {
        None => Err(LIKE.to_owned()),
        Some(time) if time <= SystemClock.now_ms() => {
            Err(format!("that is past, so the token would be worth nothing: {LIKE}"))
        }
        Some(_) => Ok(text.to_owned()),
    }
}
