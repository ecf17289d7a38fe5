//! What is said to people: data on stdout, logging, plain lines and errors with their hint on stderr.
//!
//! What must stay true: a reader that has gone away ends a command quietly, whatever it prints, and no text from
//! outside commands the terminal.

use std::io::{self, ErrorKind, IsTerminal, Write};
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
        .with_writer(io::stderr)
        .with_ansi(is_colored())
        .with_target(false)
        // It would tell of a closed stderr on stderr, and panic.
        .log_internal_errors(false);
    // A second start (in a test) finds the first one in place, which is fine.
    let _ = match global.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Prints a line to stderr.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
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

/// True if stderr shows colours, and nobody asked for none (<https://no-color.org>).
pub fn is_colored() -> bool {
    io::stderr().is_terminal() && wants_colors()
}

/// False if `NO_COLOR` is set.
pub fn wants_colors() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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

/// Text from outside, made harmless for a terminal; its lines stay lines.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Text from outside on one line: without control characters, those that turn the direction of writing and those that
/// show nothing.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Characters that make a text look like another one. The joiners of scripts and emoji are none of them.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Where data goes: stdout. A reader that has gone away, such as `head` that has seen enough, ends the program with
/// status 0, as a signal would end a program that is not in Rust: there is nothing left to say, and nobody to say it to.
pub fn stdout() -> Data {
    Data(io::stdout())
}

/// See [`stdout`].
pub struct Data(io::Stdout);

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(or_end)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(or_end)
    }
}

/// The error, if anybody is there to hear of it.
fn or_end(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    error
}

/// Prints data to stdout.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}
