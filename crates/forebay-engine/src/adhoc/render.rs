//! An answer as text: a table for people, CSV and JSON lines for programs. Written as the rows come.
//!
//! Times are ISO 8601 in UTC, numbers are exact. In a table, control characters are shown and not sent, so that a
//! device's name cannot move the cursor of the terminal it is read on.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::Error;
use forebay_core::error::codes;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Columns in a box; NULL is written out, an empty text is empty, nothing is in quotes.
    #[default]
    Table,
    /// With a header line; NULL is empty; nested values as JSON. Quotes stand where a reader needs them: around line
    /// breaks, commas and quotes, and as `""` for a row that would be an empty line, which readers pass over.
    Csv,
    /// One object per line; NULL is `null`.
    Json,
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            other => Err(format!("unknown format `{other}`: use table, csv or json")),
        }
    }
}

/// Rows whose widths decide the columns' widths of a table; later rows that are wider stand out of line.
const MEASURED_ROWS: usize = 1_000;

/// Writes batches of one schema.
pub struct Renderer<W: Write> {
    out: W,
    format: OutputFormat,
    schema: SchemaRef,
    rows: u64,
    /// Rows of a table that wait for its widths.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    header_written: bool,
}

impl<W: Write> Renderer<W> {
    /// A renderer; nothing is written yet.
    pub fn new(out: W, format: OutputFormat, schema: SchemaRef) -> Self {
        Self { out, format, schema, rows: 0, waiting: Vec::new(), widths: None, header_written: false }
    }

    /// Writes the rows of a batch. An error that is not the output's own is Forebay's: `QUERY_FAILED`.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        batch.columns().iter().try_for_each(refuse_far_times).map_err(io::Error::other)?;
        self.rows += batch.num_rows() as u64;
        match self.format {
            OutputFormat::Table => self.table(batch),
            OutputFormat::Csv => self.csv(batch),
            OutputFormat::Json => json_lines(&mut self.out, batch).map_err(unwritable),
        }
    }

    /// Writes what is still to be written: headers of an empty answer, the last line of a table. Gives the number of
    /// rows.
    pub fn finish(mut self) -> io::Result<u64> {
        match self.format {
            OutputFormat::Table => {
                self.flush_table()?;
                self.rule()?;
            }
            OutputFormat::Csv if !self.header_written => {
                self.csv(&RecordBatch::new_empty(Arc::clone(&self.schema)))?;
            }
            OutputFormat::Csv | OutputFormat::Json => {}
        }
        self.out.flush()?;
        Ok(self.rows)
    }

    fn csv(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = flat(batch).map_err(unwritable)?;
        let header = !std::mem::replace(&mut self.header_written, true);
        let mut writer = arrow::csv::WriterBuilder::new().with_header(header).build(&mut self.out);
        writer.write(&batch).map_err(unwritable)
    }

    fn table(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let options = FormatOptions::default().with_null("NULL");
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, ArrowError>>()
            .map_err(unwritable)?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter().map(|column| printable(&column.value(row).to_string())).collect();
            match &self.widths {
                Some(widths) => line(&mut self.out, &cells, widths)?,
                None => self.waiting.push(cells),
            }
        }
        if self.widths.is_none() && self.waiting.len() >= MEASURED_ROWS {
            self.flush_table()?;
        }
        Ok(())
    }

    fn flush_table(&mut self) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let names: Vec<String> = self.schema.fields().iter().map(|field| printable(field.name())).collect();
        let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
        for cells in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.widths = Some(widths.clone());
        self.rule()?;
        line(&mut self.out, &names, &widths)?;
        self.rule()?;
        for cells in std::mem::take(&mut self.waiting) {
            line(&mut self.out, &cells, &widths)?;
        }
        Ok(())
    }

    fn rule(&mut self) -> io::Result<()> {
        let mut text = String::from("+");
        for width in self.widths.iter().flatten() {
            text.extend(std::iter::repeat_n('-', width + 2));
            text.push('+');
        }
        writeln!(self.out, "{text}")
    }
}

fn line(out: &mut impl Write, cells: &[String], widths: &[usize]) -> io::Result<()> {
    let mut text = String::from("|");
    for (cell, width) in cells.iter().zip(widths) {
        // Writing to a String cannot fail.
        let _ = write!(text, " {cell:width$} |");
    }
    writeln!(out, "{text}")
}

/// The text with control characters written out.
fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

fn json_lines(out: &mut impl Write, batch: &RecordBatch) -> Result<(), ArrowError> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(out);
    writer.write(batch)?;
    writer.finish()
}

/// A writer's failure: the output's own comes out as it went in.
fn unwritable(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(
            Error::new(&codes::QUERY_FAILED, "a value of the answer cannot be written").caused_by(other),
        ),
    }
}

/// A DATE or TIMESTAMP may lie further away than any text form here reaches; Arrow's writers would put an error's
/// words among the rows.
pub fn refuse_far_times(column: &ArrayRef) -> Result<(), Error> {
    let (name, readable) = match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            ("DATE", edges(days).all(|days| date32_to_datetime(days).is_some()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>();
            ("TIMESTAMP", edges(micros).all(|micros| timestamp_us_to_datetime(micros).is_some()))
        }
        DataType::Struct(_) => {
            return column.as_struct().columns().iter().try_for_each(refuse_far_times);
        }
        // Of the children only what belongs to these rows: others may stand before and behind.
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            return refuse_far_times(&within(list.values(), list.value_offsets()));
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let children = map.entries().columns().iter();
            return children
                .map(|child| within(child, map.value_offsets()))
                .try_for_each(|child| refuse_far_times(&child));
        }
        _ => return Ok(()),
    };
    if readable {
        return Ok(());
    }
    Err(Error::new(&codes::QUERY_FAILED, format!("a {name} of the answer is too far away to be written"))
        .with_hint("Dates can be written up to the year 262142. Look at it as a number: `unix_date(d)`, `unix_seconds(t)`."))
}

/// What of the children lies between the first and the last offset.
fn within(children: &ArrayRef, offsets: &[i32]) -> ArrayRef {
    let at = |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    let (start, end) = (at(offsets.first()), at(offsets.last()));
    children.slice(start, end.saturating_sub(start))
}

/// The smallest and the greatest value, if there are any.
fn edges<T: ArrowNumericType>(values: &PrimitiveArray<T>) -> impl Iterator<Item = T::Native> {
    [arrow::compute::min(values), arrow::compute::max(values)].into_iter().flatten()
}

/// The batch with its nested columns as JSON texts: CSV has no nesting.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.schema_ref().fields().iter().any(|field| field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(json_texts(column)?);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Each value as a JSON text, by the writer of JSON lines: `{"v":VALUE}` without its frame.
pub fn json_texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", column.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(column)])?;
    let mut lines = Vec::new();
    {
        let mut writer: LineDelimitedWriter<_> = arrow::json::WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, arrow::json::writer::LineDelimited>(&mut lines);
        writer.write(&batch)?;
        writer.finish()?;
    }
    let lines = String::from_utf8_lossy(&lines);
    let texts: StringArray = lines
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
            value.filter(|_| column.is_valid(row))
        })
        .collect();
    Ok(Arc::new(texts))
}
