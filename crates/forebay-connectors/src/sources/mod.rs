//! Sources by name: the explicit list of what a query can read.
//!
//! A new source costs its folder, a `mod` line here, its line in [`SPECS`] and its arm in [`build`].

use forebay_core::error::codes;
use forebay_core::options::{ConnectorSpec, Options, unknown_name};
use forebay_core::source::{Source, Wanted};
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_log::storage::Log;

pub mod kafka;

pub use kafka::KafkaSource;

/// Every source, in the order of the reference.
pub static SPECS: &[&ConnectorSpec] = &[&kafka::SPEC];

/// The spec of a source by its `format`.
///
/// # Errors
/// `UNKNOWN_FORMAT`, naming those that exist.
pub fn spec(format: &str) -> Result<&'static ConnectorSpec> {
    SPECS.iter().find(|spec| spec.name == format).copied().ok_or_else(|| {
        let known = unknown_name("source format", format, SPECS.iter().map(|spec| spec.name));
        Error::new(&codes::UNKNOWN_FORMAT, known.message()).with_hint(known.hint())
    })
}

/// Builds a source. `log` is the embedded log, if the source's address is its own.
pub fn build(format: &str, options: &Options, wanted: Wanted, log: Option<Log>) -> Result<Box<dyn Source>> {
    match spec(format)?.name {
        "kafka" => Ok(Box::new(KafkaSource::new(options, wanted, log)?)),
        other => Err(Error::new(&codes::INTERNAL, format!("source `{other}` is listed but cannot be built"))),
    }
}

/// Refuses options that make no sense with a trigger: a query that runs for ever has no end.
pub fn check_trigger(options: &Options, trigger: Trigger) -> Result<()> {
    let endings = ["endingOffsets", "endingTimestamp", "endingOffsetsByTimestamp"];
    match endings.iter().find(|name| !trigger.is_bounded() && options.text(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(Error::new(&codes::BAD_VALUE, format!("option `{name}` needs a query that ends"))
            .with_hint("Use the trigger `availableNow` or `once`, or leave the option out.")),
    }
}
