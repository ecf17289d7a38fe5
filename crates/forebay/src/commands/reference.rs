//! `forebay reference`: writes what is generated from the code: pages for people, the JSON Schema for editors, the
//! dashboard for Grafana.

use std::path::Path;
use std::process::ExitCode;

use forebay_connectors::formats;
use forebay_core::reference;
use forebay_server::grafana;
use forebay_storage::Door;

use crate::registry::registry;
use crate::talk;

/// The generated files: name and text.
pub fn pages() -> [(&'static str, String); 4] {
    [
        ("configuration.md", reference::configuration_markdown(&registry())),
        ("error-codes.md", reference::error_codes_markdown(&formats::codes())),
        ("pipeline.schema.json", reference::pipeline_schema(&registry())),
        ("grafana.json", grafana::dashboard()),
    ]
}

pub fn run(dir: &Path) -> anyhow::Result<ExitCode> {
    for (name, text) in pages() {
        Door::new().write_atomic(&dir.join(name), text.as_bytes())?;
        talk::say(&format!("wrote {}", dir.join(name).display()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_files_in_docs_are_in_step_with_the_code() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, text) in super::pages() {
            let found = std::fs::read_to_string(docs.join(name)).unwrap_or_default();
            assert!(found == text, "docs/{name} is out of step: run `make docs`");
        }
    }
}
