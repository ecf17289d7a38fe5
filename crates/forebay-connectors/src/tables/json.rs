//! Tables of JSON files: one object in each line, read as the values of a source are.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BinaryViewBuilder, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use forebay_core::Result;
use forebay_core::config::TableConfig;
use forebay_core::format::{Decoder, Format};
use forebay_core::options::{ConnectorKind, ConnectorSpec};

use super::files::{self, Files, Reads};
use super::rows::{Rows, columns};
use super::settle::{self, Lacks};
use super::{At, MODE, PATH, mode, unreadable};
use crate::formats::json::JsonFormat;

/// Lines that are decoded together, and bytes after which no more are taken.
const LINES: usize = 8_192;
const BYTES: usize = 8 << 20;

/// The format's entry in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "json",
    kind: ConnectorKind::Table,
    summary: "One or more files with one JSON object in each line. The options of the decoder `json` hold here too.",
    delivery: "An epoch that is repeated after a crash reads the files as they are then.",
    options: &[PATH, MODE],
    prefixes: &[],
    example: "tables:\n  devices:\n    format: json\n    path: devices.jsonl\n    schema: device_id STRING, site STRING, limits STRUCT<low: DOUBLE, high: DOUBLE>",
};

pub(super) struct Json {
    at: At,
    format: JsonFormat,
    schema: SchemaRef,
}

impl Reads for Json {
    const LACKS: Lacks = settle::lines;

    fn at(&self) -> &At {
        &self.at
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn rows(&self, files: &Files) -> Result<Vec<RecordBatch>> {
        let mut rows = Rows::new(&self.at, &self.schema);
        let mut decoder = self.format.decoder();
        files.paths().try_for_each(|path| self.read_one(path, &mut *decoder, &mut rows))?;
        Ok(rows.finish())
    }
}

impl Json {
    pub fn new(at: At, config: &TableConfig) -> Result<Self> {
        let said = config.schema.as_ref().map(|(schema, _)| Arc::clone(schema));
        let said = said.unwrap_or_else(|| Arc::new(Schema::empty()));
        let format = JsonFormat::new(said, mode(config), &config.decoder_options)?;
        let schema = columns(&format.schema());
        Ok(Self { at, format, schema })
    }

    fn read_one(&self, path: &Path, decoder: &mut dyn Decoder, rows: &mut Rows<'_>) -> Result<()> {
        let mut reader = BufReader::new(files::open_text(path)?);
        let failed = |e| unreadable("a file of the table cannot be read", path).caused_by(e);
        let (mut line, mut before) = (Vec::new(), 0);
        loop {
            let (mut values, mut lines, mut bytes) = (BinaryViewBuilder::new(), Vec::new(), 0);
            while lines.len() < LINES && bytes < BYTES {
                line.clear();
                // A file without line breaks is not read to its end.
                let most = self.at.max_memory.saturating_add(1);
                let read =
                    std::io::Read::take(&mut reader, most).read_until(b'\n', &mut line).map_err(failed)?;
                if read == 0 {
                    break;
                }
                before += 1;
                if !line.trim_ascii().is_empty() {
                    values.append_value(line.trim_ascii());
                    lines.push(before);
                    bytes += read;
                }
            }
            if lines.is_empty() {
                return Ok(());
            }
            let decoded = decoder.decode(&values.finish()).map_err(|error| {
                let index =
                    error.place().and_then(|place| place.strip_prefix("record ")?.parse::<usize>().ok());
                let line = index.and_then(|index| lines.get(index)).copied().unwrap_or(before);
                unreadable(
                    format!("line {line} of a file does not fit the schema: {}", error.message()),
                    path,
                )
            })?;
            rows.push(&decoded.rows)?;
        }
    }
}
