//! Tables of CSV files, with Spark's options.
//!
//! Texts are split by arrow's reader and then made into the columns' types, so that what does not fit is told with its
//! record and its column.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::csv::{Reader, ReaderBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::config::TableConfig;
use forebay_core::ddl;
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::{Error, Result};
use regex::Regex;

use super::files::{self, Files, blocking};
use super::rows::{Rows, columns};
use super::{At, MODE, PATH, mode, unreadable};

const fn option(
    name: &'static str,
    kind: OptionKind,
    default: Option<&'static str>,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, doc }
}

/// The format's entry in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "csv",
    kind: ConnectorKind::Table,
    summary: "One or more CSV files. Columns go by their places, as in Spark. Times are ISO 8601, UTC where there is no zone.",
    delivery: "An epoch that is repeated after a crash reads the files as they are then.",
    options: &[
        PATH,
        MODE,
        option(
            "header",
            OptionKind::Bool,
            Some("false"),
            "True if the first line of each file names the columns.",
        ),
        option(
            "enforceSchema",
            OptionKind::Bool,
            Some("true"),
            "True if a header is passed over, whatever it says. With `false` a file whose header has other names than `schema` \
             is refused; case makes no difference.",
        ),
        option(
            "sep",
            OptionKind::String,
            Some(","),
            "What stands between two values: one character of ASCII.",
        ),
        option(
            "quote",
            OptionKind::String,
            Some("\""),
            "What values stand in that hold a separator or a line break.",
        ),
        option(
            "escape",
            OptionKind::String,
            Some("\\"),
            "What stands before a quote inside of a quoted value.",
        ),
        option("comment", OptionKind::String, None, "What a line begins with that is passed over."),
        option("nullValue", OptionKind::String, Some(""), "What stands for NULL, beside an empty value."),
    ],
    prefixes: &[],
    example: "tables:\n  devices:\n    format: csv\n    path: devices.csv\n    schema: device_id STRING, site STRING, max_temperature DOUBLE\n    options: { header: true }",
};

pub(super) struct Csv {
    rules: Arc<Rules>,
}

struct Rules {
    at: At,
    schema: SchemaRef,
    mode: BadRecordMode,
    header: bool,
    enforce_schema: bool,
    sep: u8,
    quote: u8,
    escape: u8,
    comment: Option<u8>,
    null: Regex,
}

impl Csv {
    pub fn new(at: At, config: &TableConfig) -> Result<Self> {
        let options = &config.options;
        let one = |name: &str| match options.text(name).unwrap_or_default().as_bytes() {
            [] => Ok(None),
            [byte] if byte.is_ascii() => Ok(Some(*byte)),
            _ => Err(Error::new(&codes::BAD_VALUE, format!("option `{name}` takes one character of ASCII"))
                .with_hint("For a tabulator write \"\\t\".")),
        };
        let needed = |name: &str| {
            one(name)?.ok_or_else(|| {
                Error::new(&codes::BAD_VALUE, format!("option `{name}` is empty"))
                    .with_hint("Leave it out for the default.")
            })
        };
        let said = config.schema.as_ref().map(|(schema, _)| columns(schema));
        let schema = said.unwrap_or_else(|| Arc::new(Schema::empty()));
        if let Some(nested) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
            let message = format!("the column `{}` is nested, and CSV has only plain values", nested.name());
            return Err(Error::new(&codes::BAD_SCHEMA, message)
                .with_hint("Read it as STRING, or keep the table as JSON."));
        }
        let null = options.text("nullValue").unwrap_or_default();
        let null = Regex::new(&format!("^({})?$", regex::escape(null)))
            .map_err(|e| Error::new(&codes::BAD_VALUE, "option `nullValue` is too long").caused_by(e))?;
        Ok(Self {
            rules: Arc::new(Rules {
                at,
                schema,
                mode: mode(config),
                header: options.bool("header"),
                enforce_schema: options.bool("enforceSchema"),
                sep: needed("sep")?,
                quote: needed("quote")?,
                escape: needed("escape")?,
                comment: one("comment")?,
                null,
            }),
        })
    }
}

#[async_trait]
impl StaticTable for Csv {
    fn name(&self) -> &str {
        &self.rules.at.name
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.rules.schema)
    }

    fn max_memory(&self) -> u64 {
        self.rules.at.max_memory
    }

    async fn version(&self) -> Result<TableVersion> {
        let rules = Arc::clone(&self.rules);
        blocking(move || Ok(Files::now(&rules.at.path)?.version())).await
    }

    async fn load(&self, _: &Wanted) -> Result<TableRows> {
        let rules = Arc::clone(&self.rules);
        blocking(move || {
            let (version, batches) = files::read(&rules.at.path, |files| rules.read(files))?;
            Ok(TableRows { version, batches })
        })
        .await
    }
}

impl Rules {
    fn read(&self, files: &Files) -> Result<Vec<RecordBatch>> {
        let mut rows = Rows::new(&self.at, &self.schema);
        for path in files.paths() {
            if self.header && !self.enforce_schema {
                self.compare_header(path)?;
            }
            let mut before = 0;
            for texts in self.reader(path, self.header)? {
                let texts =
                    texts.map_err(|e| unreadable("a file of the table is no CSV", path).caused_by(e))?;
                rows.push(&self.typed(&texts, before, path)?)?;
                before += texts.num_rows();
            }
        }
        Ok(rows.finish())
    }

    fn reader(&self, path: &Path, header: bool) -> Result<Reader<std::fs::File>> {
        let texts = self.schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let mut builder = ReaderBuilder::new(Arc::new(Schema::new(texts.collect::<Vec<_>>())))
            .with_header(header)
            .with_delimiter(self.sep)
            .with_quote(self.quote)
            .with_escape(self.escape)
            .with_null_regex(self.null.clone())
            .with_truncated_rows(self.mode == BadRecordMode::Permissive);
        if let Some(comment) = self.comment {
            builder = builder.with_comment(comment);
        }
        let file = files::open(path)?;
        builder.build(file).map_err(|e| unreadable("a file of the table is no CSV", path).caused_by(e))
    }

    fn compare_header(&self, path: &Path) -> Result<()> {
        let first = self.reader(path, false)?.next();
        let Some(Ok(first)) = first.filter(|first| first.as_ref().is_ok_and(|batch| batch.num_rows() > 0))
        else {
            return Ok(());
        };
        for (column, field) in first.columns().iter().zip(self.schema.fields()) {
            let text = column.as_string::<i32>().value(0);
            if !text.trim().eq_ignore_ascii_case(field.name()) {
                let message =
                    format!("the header has `{}` where the schema has `{}`", text.trim(), field.name());
                return Err(unreadable(message, path));
            }
        }
        Ok(())
    }

    /// Texts as the columns' types; `before` records of the file came before these.
    fn typed(&self, texts: &RecordBatch, before: usize, path: &Path) -> Result<RecordBatch> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let mut fits = BooleanBuffer::new_set(texts.num_rows());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(texts.num_columns());
        for (column, field) in texts.columns().iter().zip(self.schema.fields()) {
            let typed = cast_with_options(column, field.data_type(), &options).map_err(|e| {
                Error::new(
                    &codes::BAD_SCHEMA,
                    format!("the column `{}` cannot be read from CSV", field.name()),
                )
                .caused_by(e)
            })?;
            if typed.null_count() > column.null_count() {
                let fitting = BooleanBuffer::collect_bool(typed.len(), |row| {
                    typed.is_valid(row) || column.is_null(row)
                });
                let first = (!&fitting).set_indices().next().unwrap_or_default();
                if self.mode == BadRecordMode::FailFast {
                    let text: String = column.as_string::<i32>().value(first).chars().take(40).collect();
                    let number = before + first + 1;
                    let column = ddl::to_ddl(&Schema::new(vec![Arc::clone(field)]))
                        .unwrap_or_else(|_| field.name().clone());
                    let message =
                        format!("record {number} of a file has `{text}` where the schema has `{column}`");
                    return Err(unreadable(message, path));
                }
                fits = &fits & &fitting;
            }
            columns.push(typed);
        }
        let broken =
            |e| Error::new(&codes::INTERNAL, "the columns of a file do not fit together").caused_by(e);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(broken)?;
        match self.mode {
            BadRecordMode::DropMalformed => {
                filter_record_batch(&batch, &BooleanArray::new(fits, None)).map_err(broken)
            }
            _ => Ok(batch),
        }
    }
}
