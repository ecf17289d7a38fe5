//! Talk on stderr: logging, plain lines, and errors with their hint.

use std::io::{IsTerminal, Write};

use forebay_core::Error;
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};

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
        .with_ansi(std::io::stderr().is_terminal())
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

/// Prints a failure: Forebay's own errors with code, place and hint, others with their chain of causes.
pub fn failure(error: &anyhow::Error) {
    match error.downcast_ref::<Error>() {
        Some(error) => {
            say(&format!("error: {error}"));
            say(&format!("hint: {}", error.hint()));
        }
        None => say(&format!("error: {error:#}")),
    }
}

/// Prints data to stdout. A reader that has gone away ends the command quietly.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
