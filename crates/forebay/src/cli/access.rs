//! Arguments of who may ask the HTTP server, and where it listens beside `--http`.

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

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token: printed once, and the line for the file that the server reads
    #[command(after_help = examples::TOKEN)]
    New(NewTokenArgs),
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
