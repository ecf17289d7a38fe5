//! Tables of CSV files, with Spark's options.
//!
//! Texts are split by arrow's reader and then made into the columns' types, so that what does not fit is told with its
//! record and its column. Behind each file the reader finds a record of our own ([`END`]): where it does not come out, a quoted
//! value has swallowed it, and with it what may have been half of the table. Times are read as those of JSON are.

use std::io::{Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch, not};
use arrow::csv::{Reader, ReaderBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use forebay_core::config::TableConfig;
use forebay_core::ddl;
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};
use forebay_core::{Error, Result};
use regex::Regex;

use super::files::{self, Files, Reads};
use super::place::Marks;
use super::rows::{Rows, columns};
use super::settle::{self, Lacks};
use super::{At, MODE, PATH, mode, unreadable, unreadable_in};
use crate::formats::json::{DATE_FORMAT, TIME_ZONE, TIMESTAMP_FORMAT, TIMESTAMP_NTZ_FORMAT, Times};

/// The values of the record behind a file: of letters that separate nothing, since those are ASCII.
const END: &str = "␃␃␃";

/// How many of them there are: where a file has no header, the first is taken for it.
const ENDS: usize = 2;

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
    summary: "One or more CSV files. Columns go by their places, as in Spark. Times are read as those of JSON are: ISO 8601, and in \
              the pipeline's zone where they name none.",
    delivery: "An epoch that is repeated after a crash reads the files as they are then.",
    options: &[
        PATH,
        MODE,
        option(
            "header",
            OptionKind::Bool,
            Some("false"),
            "True if the first line of each file names the columns. A file without a line is refused then.",
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
        option(
            "nullValue",
            OptionKind::String,
            Some(""),
            "What stands for NULL, beside an empty value, in quotes or not.",
        ),
        TIMESTAMP_FORMAT,
        TIME_ZONE,
        TIMESTAMP_NTZ_FORMAT,
        DATE_FORMAT,
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
    times: Times,
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
                times: Times::new(options)?,
            }),
        })
    }
}

impl Reads for Csv {
    const LACKS: Lacks = settle::lines;

    fn at(&self) -> &At {
        &self.rules.at
    }

    fn schema(&self) -> &SchemaRef {
        &self.rules.schema
    }

    fn rows(&self, files: &Files) -> Result<Vec<RecordBatch>> {
        self.rules.read(files)
    }
}

impl Rules {
    fn read(&self, files: &Files) -> Result<Vec<RecordBatch>> {
        let mut rows = Rows::new(&self.at, &self.schema);
        for path in files.paths() {
            if self.header && !self.enforce_schema {
                self.compare_header(path)?;
            }
            let (mut before, mut found) = (0, 0);
            for texts in self.reader(path, self.header, true)? {
                let texts = texts.map_err(|e| self.no_csv(path, e))?;
                let ends = ends(&texts);
                found += ends.true_count();
                let texts = filter_record_batch(&texts, &not(&ends).map_err(broken)?).map_err(broken)?;
                rows.push(&self.typed(&texts, before, path)?)?;
                before += texts.num_rows();
            }
            if found == 0 {
                let what = if before == 0 { "the header".to_owned() } else { format!("record {before}") };
                let message = format!("{what} of a file has a quote that does not end");
                let error =
                    unreadable_in(message, path, self.line_of(path, before + usize::from(self.header)));
                return Err(error.with_hint("A quote inside of a value stands in quotes, and is doubled."));
            }
            // One of the two was taken for the header.
            if self.header && found < ENDS {
                let error = unreadable("a file of the table has no header line", path);
                return Err(error.with_hint(
                    "With `header: true` an empty table has a line with the names of its columns.",
                ));
            }
        }
        Ok(rows.finish())
    }

    /// With `end` [`ENDS`] records of [`END`] come behind those of the file.
    fn reader(&self, path: &Path, header: bool, end: bool) -> Result<Reader<Text>> {
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
        let sep = char::from(self.sep).to_string();
        let one = vec![END; self.schema.fields().len()].join(&sep);
        let end = if end { format!("\n{one}").repeat(ENDS) + "\n" } else { String::new() };
        let text = files::open_text(path)?.chain(Cursor::new(end.into_bytes()));
        builder.build(text).map_err(|e| unreadable("a file of the table is no CSV", path).caused_by(e))
    }

    /// The line in which a record of a file begins; the header is one too.
    fn line_of(&self, path: &Path, record: usize) -> Option<usize> {
        let marks = Marks { sep: self.sep, quote: self.quote, escape: self.escape, comment: self.comment };
        marks.line_of(files::open_text(path).ok()?, record)
    }

    /// What the reader cannot split. It counts records, the header too, and calls them lines.
    fn no_csv(&self, path: &Path, error: ArrowError) -> Error {
        let said = error.to_string();
        let record = said.split_once(" for line ").and_then(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        let line = record.and_then(|record| self.line_of(path, record));
        unreadable_in("a file of the table is no CSV", path, line).caused_by(error)
    }

    fn compare_header(&self, path: &Path) -> Result<()> {
        let first = self.reader(path, false, false)?.next();
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
        let mut fits = BooleanBuffer::new_set(texts.num_rows());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(texts.num_columns());
        for (column, field) in texts.columns().iter().zip(self.schema.fields()) {
            let typed = self.column(column, field.data_type()).map_err(|e| {
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
                    return Err(unreadable_in(
                        message,
                        path,
                        self.line_of(path, number + usize::from(self.header)),
                    ));
                }
                fits = &fits & &fitting;
            }
            columns.push(typed);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(broken)?;
        match self.mode {
            BadRecordMode::DropMalformed => {
                filter_record_batch(&batch, &BooleanArray::new(fits, None)).map_err(broken)
            }
            _ => Ok(batch),
        }
    }

    /// Texts as values of a type; NULL where one does not fit.
    fn column(&self, texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let texts_of = texts.as_string::<i32>().iter();
        Ok(match data_type {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let read = |text: &str| self.times.spark_timestamp(text.as_bytes(), zone.is_some()).ok();
                let micros: TimestampMicrosecondArray = texts_of.map(|text| text.and_then(read)).collect();
                Arc::new(micros.with_timezone_opt(zone.clone()))
            }
            DataType::Date32 => {
                let read = |text: &str| self.times.spark_date(text.as_bytes()).ok();
                Arc::new(texts_of.map(|text| text.and_then(read)).collect::<Date32Array>())
            }
            // Arrow takes more words for true and false.
            DataType::Boolean => {
                let read = |text: &str| match text {
                    text if text.eq_ignore_ascii_case("true") => Some(true),
                    text if text.eq_ignore_ascii_case("false") => Some(false),
                    _ => None,
                };
                Arc::new(texts_of.map(|text| text.and_then(read)).collect::<BooleanArray>())
            }
            other => cast_with_options(texts, other, &CastOptions { safe: true, ..CastOptions::default() })?,
        })
    }
}

/// A file, and what is put behind it.
type Text = Chain<std::fs::File, Cursor<Vec<u8>>>;

/// Which records are no records of the file.
fn ends(texts: &RecordBatch) -> BooleanArray {
    let first = texts.column(0).as_string::<i32>();
    first.iter().map(|text| Some(text == Some(END))).collect()
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the columns of a file do not fit together").caused_by(error)
}
