//! Tables at rest by format: what streams are joined with.
//!
//! A format reads a table whole, version by version ([`forebay_core::table::StaticTable`]). [`files`] makes tables of
//! formats of files and says what tells one state of them from another, [`rows`] holds what was read to the table's
//! columns and its bound. A new format costs its file, a `mod` line here, its line in [`SPECS`] and its arms in
//! [`check`] and [`open`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::config::TableConfig;
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::options::{ConnectorSpec, OptionKind, OptionSpec};
use forebay_core::table::StaticTable;
use forebay_core::{Error, Result};

use self::settle::Patience;
use crate::s3;

mod csv;
mod delta;
mod files;
mod json;
mod parquet;
mod place;
mod rows;
mod settle;
#[cfg(test)]
mod tests;

/// Every format, in the order of the reference.
pub static SPECS: &[&ConnectorSpec] = &[&csv::SPEC, &json::SPEC, &parquet::SPEC, &delta::SPEC];

const PATH: OptionSpec = OptionSpec {
    name: "path",
    kind: OptionKind::String,
    default: None,
    required: false,
    doc: "The file or folder; it may stand beside the options. Of a folder all files count whose names do not begin with `_` \
          or `.`. Relative paths lie under `--data`.",
};

const MODE: OptionSpec = OptionSpec {
    name: "mode",
    kind: OptionKind::OneOf(&["FAILFAST", "PERMISSIVE", "DROPMALFORMED"]),
    default: Some("FAILFAST"),
    required: false,
    doc: "What becomes of a table with a record that does not fit: it is refused as a whole, so that the last good version \
          stays; or as in Spark, where PERMISSIVE is the default: NULL takes the place of what does not fit, or the record is \
          left out.",
};

/// The table's place and bound.
#[derive(Clone, Debug)]
struct At {
    name: String,
    path: PathBuf,
    max_memory: u64,
    /// How long files are waited for that are being written.
    patience: Patience,
}

impl At {
    fn new(config: &TableConfig, data_dir: &Path) -> Self {
        let path = data_dir.join(config.options.text("path").unwrap_or_default());
        Self { name: config.name.clone(), path, max_memory: config.max_memory, patience: Patience::default() }
    }
}

/// Refuses options and columns that do not fit together. Touches nothing.
pub fn check(config: &TableConfig) -> Result<()> {
    let at = At::new(config, Path::new("."));
    let path = config.options.text("path").unwrap_or_default();
    if config.format != "delta" && s3::is_address(path) {
        let message = format!("the path of a table is `{path}`, expected a file or a folder");
        return Err(
            Error::new(&codes::NOT_YET, message).with_hint("In buckets tables of `format: delta` are read.")
        );
    }
    match config.format.as_str() {
        "csv" => csv::Csv::new(at, config).map(drop),
        "json" => json::Json::new(at, config).map(drop),
        "parquet" => Ok(()),
        "delta" => delta::located(&config.options, Path::new(".")).map(drop),
        other => Err(unlisted(other)),
    }
}

/// Opens a table whose relative path lies under `data_dir`; of its rows nothing is read yet. Fails with `TABLE_UNREADABLE` if
/// it is not there.
pub async fn open(config: &TableConfig, data_dir: &Path) -> Result<Arc<dyn StaticTable>> {
    open_at(At::new(config, data_dir), config, data_dir).await
}

async fn open_at(at: At, config: &TableConfig, data_dir: &Path) -> Result<Arc<dyn StaticTable>> {
    let table: Arc<dyn StaticTable> = match config.format.as_str() {
        "csv" => Arc::new(files::Table::new(csv::Csv::new(at, config)?)),
        "json" => Arc::new(files::Table::new(json::Json::new(at, config)?)),
        "parquet" => Arc::new(files::Table::new(parquet::Parquet::open(at).await?)),
        "delta" => Arc::new(delta::Delta::open(at, &config.options, data_dir).await?),
        other => return Err(unlisted(other)),
    };
    table.version().await?;
    Ok(table)
}

fn mode(config: &TableConfig) -> BadRecordMode {
    match config.options.text("mode") {
        Some("PERMISSIVE") => BadRecordMode::Permissive,
        Some("DROPMALFORMED") => BadRecordMode::DropMalformed,
        _ => BadRecordMode::FailFast,
    }
}

fn unlisted(format: &str) -> Error {
    Error::new(&codes::INTERNAL, format!("the table format `{format}` is not known"))
}

/// The error for a table that cannot be read.
fn unreadable(message: impl Into<String>, path: &Path) -> Error {
    Error::new(&codes::TABLE_UNREADABLE, message.into()).at(path.display())
}

/// The same where the line is known.
fn unreadable_in(message: impl Into<String>, path: &Path, line: Option<usize>) -> Error {
    let error = unreadable(message, path);
    match line {
        Some(line) => error.at(format_args!("{}:{line}", path.display())),
        None => error,
    }
}
