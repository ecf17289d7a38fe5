//! Talk on stderr: logging, plain lines, and errors with their hint.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, config};
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};

/// How long a person looks at a silent screen without wondering.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Starts logging to stderr.
pub fn start(global: &Global) {
    let filter = EnvFilter::try_new(&global.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter =
        ["datafusion=warn", "delta_kernel=warn", "deltalake_core=warn", "buoyant_kernel=warn", "rustls=warn"]
            .iter()
            .filter_map(|directive| directive.parse().ok())
            .fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_colored())
        .with_target(false);
    // A second start (in a test) finds the first one in place, which is fine.
    let _ = match global.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Prints a line to stderr.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints one of Forebay's own errors, with code, place and help.
pub fn error(error: &Error) {
    say(config::explain(error, is_colored()).trim_end());
}

/// Prints what ended a command and gives its exit status: 2 for wrong use, else 1.
pub fn failure(failure: &anyhow::Error) -> ExitCode {
    let Some(ours) = failure.downcast_ref::<Error>() else {
        say(&format!("error: {failure:#}"));
        return ExitCode::FAILURE;
    };
    error(ours);
    if ours.code() == &codes::WRONG_USE { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// True if stderr shows colours.
pub fn is_colored() -> bool {
    std::io::stderr().is_terminal()
}

/// Waits for `work`; says once what it waits for if that takes long.
pub async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            say(&format!("waiting for {what} …"));
            work.await
        }
    }
}

/// Text from outside, made harmless for a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Prints data to stdout. A reader that has gone away ends the command quietly.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
