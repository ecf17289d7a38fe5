//! Sinks: one small folder for each system, the same file names in each, and one list to read top to bottom.
//!
//! A sink implements [`forebay_core::sink::Sink`] and publishes a [`ConnectorSpec`]. To add one: its folder, a `mod`
//! line, a line in [`SPECS`], an arm in [`build`], a call of the conformance suite, an example. What must stay true:
//! a sink promises only what `conformance.rs` has seen it keep.

use std::path::Path;
use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::options::{ConnectorSpec, Options, unknown_name};
use forebay_core::sink::Sink;
use forebay_core::{Error, Result, Zone};
use forebay_storage::Door;

pub mod console;
pub mod delta;
pub mod files;
pub mod kafka;
pub mod postgres;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod scratch;

/// Every sink, in the order of the reference.
pub static SPECS: &[&ConnectorSpec] =
    &[&delta::SPEC, &files::CSV, &files::PARQUET, &postgres::SPEC, &kafka::SPEC, &console::SPEC];

/// What a sink gets from the process it runs in.
#[derive(Clone)]
pub struct SinkContext<'a> {
    /// Under which relative paths lie.
    pub data_dir: &'a Path,
    /// The way to durable storage.
    pub door: Door,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// In which times are shown where they become texts.
    pub time_zone: Zone,
}

/// The spec of the sink called `format`; the error for another name lists those that exist.
pub fn spec(format: &str) -> Result<&'static ConnectorSpec> {
    SPECS.iter().copied().find(|spec| spec.name.eq_ignore_ascii_case(format)).ok_or_else(|| {
        let unknown = unknown_name("sink format", format, SPECS.iter().map(|spec| spec.name));
        Error::new(&codes::UNKNOWN_FORMAT, unknown.message()).with_hint(unknown.hint())
    })
}

/// Builds the sink called `format` from options that were parsed with its [`spec`]. Touches nothing outside yet.
pub fn build(format: &str, options: &Options, context: &SinkContext<'_>) -> Result<Box<dyn Sink>> {
    let SinkContext { data_dir, door, clock, time_zone } = context.clone();
    match spec(format)?.name {
        "delta" => Ok(Box::new(delta::DeltaSink::with_clock(options, data_dir, door, clock)?)),
        format @ ("csv" | "parquet") => {
            Ok(Box::new(files::FileSink::new(format, options, data_dir, door, time_zone)?))
        }
        "postgres" => Ok(Box::new(postgres::PostgresSink::new(options, time_zone)?)),
        "kafka" => Ok(Box::new(kafka::KafkaSink::new(options, clock)?)),
        "console" => {
            let console = console::ConsoleSink::new(options, Box::new(std::io::stdout()))?;
            Ok(Box::new(console.in_zone(time_zone)))
        }
        other => {
            Err(Error::new(&codes::INTERNAL, format!("the sink `{other}` is listed and cannot be built")))
        }
    }
}
