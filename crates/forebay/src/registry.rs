//! Every connector there is, top to bottom. A new one costs its folder, one `mod` line there and one line here.

use forebay_connectors::{formats, sinks, sources, tables};
use forebay_core::config::Registry;

use crate::channels;

/// What a pipeline file can name.
pub fn registry() -> Registry<'static> {
    Registry {
        sources: sources::SPECS,
        sinks: sinks::SPECS,
        formats: formats::SPECS,
        tables: tables::SPECS,
        gateways: forebay_gateway::SPECS,
        channels: channels::SPECS,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_source_shares_an_option_name_with_a_decoder() {
        assert_eq!(super::registry().conflicts(), Vec::<String>::new());
    }
}
