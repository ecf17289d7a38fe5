//! Every connector there is, top to bottom. A new one costs its folder, one `mod` line there and one line here.

use forebay_connectors::{formats, sinks, sources};
use forebay_core::config::Registry;

/// What a pipeline file can name.
pub fn registry() -> Registry<'static> {
    Registry { sources: sources::SPECS, sinks: sinks::SPECS, formats: formats::SPECS }
}
