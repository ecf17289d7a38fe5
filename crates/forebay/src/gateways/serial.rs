//! A serial gateway, as the file tells it.

use forebay_core::config::GatewayConfig;
use forebay_gateway::serial::{Form, Serial, Settings};

/// The gateway; it opens nothing yet.
pub fn of(config: &GatewayConfig) -> Serial {
    let options = &config.options;
    let bytes =
        |name, usual: usize| options.size(name).and_then(|it| usize::try_from(it).ok()).unwrap_or(usual);
    let columns = options.text("columns").unwrap_or_default();
    Serial::new(Settings {
        name: config.name.clone(),
        port: options.text("port").unwrap_or_default().into(),
        baud: options.integer("baud").and_then(|it| u32::try_from(it).ok()).unwrap_or(115_200),
        form: Form::of(options.text("lines").unwrap_or_default(), columns),
        max_line: bytes("maxLine", 4 << 10),
        buffer: bytes("buffer", 1 << 20),
    })
}
