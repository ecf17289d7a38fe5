//! Formats: how the bytes of a record become a row.
//!
//! One folder for each format; each exports its `SPEC` (name, options, documentation) and a type that implements
//! [`forebay_core::format::Format`]. A format looks at one record at a time and gives either exactly one row or one
//! bad record: what stands next to a bad record in the same batch is never touched by it.
//!
//! | format | reads |
//! |---|---|
//! | [`json`] | one JSON object for each record |

use std::sync::Arc;

use forebay_core::config::ValueConfig;
use forebay_core::error::{Error, Result, codes};
use forebay_core::expectation;
use forebay_core::format::{Format, RecordCode};
use forebay_core::options::{ConnectorSpec, unknown_name};

pub mod json;

/// Every format, in the order of the reference.
pub static SPECS: &[&ConnectorSpec] = &[&json::SPEC];

/// Every code that a record is set aside with: of a format that cannot read it, then of an expectation that it fails; in
/// the order of the reference.
pub fn codes() -> Vec<&'static RecordCode> {
    json::CODES.iter().chain(expectation::CODES).collect()
}

/// Builds the format that a source's `value:` names.
///
/// # Errors
/// `UNKNOWN_FORMAT`, naming those that exist; what the format says of its schema and options.
pub fn build(value: &ValueConfig) -> Result<Arc<dyn Format>> {
    match value.format.as_str() {
        "json" => Ok(Arc::new(json::JsonFormat::new(value.schema.clone(), value.mode, &value.options)?)),
        other => {
            let unknown = unknown_name("format", other, SPECS.iter().map(|spec| spec.name));
            Err(Error::new(&codes::UNKNOWN_FORMAT, unknown.message()).with_hint(unknown.hint()))
        }
    }
}
