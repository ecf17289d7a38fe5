//! A batch as lines.
//!
//! Columns are looked at once for each batch, values row by row; texts of numbers and times go straight into the buffer
//! where the dialect can never quote them.

use std::io::Write as _;

use arrow::array::{Array, AsArray, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::dialect::is_formula;
use super::texts::{self, Clock};
use super::{Dialect, Texts};

/// Writes batches of one schema as CSV.
pub(crate) struct Encoder {
    dialect: Dialect,
    texts: Texts,
    clock: Clock,
    /// Numbers and times need no look for quotes.
    plain: bool,
    text: Vec<u8>,
    scratch: String,
}

enum Column<'a> {
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Other(&'a dyn Array),
}

impl Encoder {
    pub fn new(dialect: &Dialect, texts: &Texts) -> Self {
        Self {
            plain: dialect.leaves_plain(),
            dialect: dialect.clone(),
            clock: Clock::new(texts.zone),
            texts: texts.clone(),
            text: Vec::new(),
            scratch: String::new(),
        }
    }

    /// True if a column of this type can be written.
    pub fn takes(ty: &DataType) -> bool {
        matches!(
            ty,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Boolean
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Float32
                | DataType::Float64
                | DataType::Decimal128(_, 0..)
                | DataType::Date32
                | DataType::Timestamp(TimeUnit::Microsecond, _)
                | DataType::Null
        )
    }

    /// Appends the line with the names of the columns.
    pub fn header(&mut self, out: &mut Vec<u8>, schema: &Schema) {
        let before = out.len();
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                out.push(self.dialect.separator);
            }
            self.dialect.value(out, Some(field.name()), at == 0);
        }
        self.end(out, before);
    }

    /// Appends the rows of a batch whose columns [`Encoder::takes`] all.
    ///
    /// # Errors
    /// `SINK_SCHEMA` for a time beyond the calendar, `INTERNAL` for a type that is not taken.
    pub fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<()> {
        let columns: Vec<Column<'_>> =
            batch.columns().iter().map(|column| Column::of(column.as_ref())).collect();
        for row in 0..batch.num_rows() {
            let before = out.len();
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    out.push(self.dialect.separator);
                }
                let is_first = at == 0;
                match column {
                    Column::Text(texts) => {
                        self.string(out, texts.is_valid(row).then(|| texts.value(row)), is_first)
                    }
                    Column::LargeText(texts) => {
                        self.string(out, texts.is_valid(row).then(|| texts.value(row)), is_first)
                    }
                    Column::TextView(texts) => {
                        self.string(out, texts.is_valid(row).then(|| texts.value(row)), is_first)
                    }
                    Column::Other(column) if column.is_null(row) => self.dialect.value(out, None, is_first),
                    Column::Other(column) => self.other(out, *column, row, is_first)?,
                }
            }
            self.end(out, before);
        }
        Ok(())
    }

    /// Ends a line; one with nothing in it is left out, as Spark does.
    fn end(&self, out: &mut Vec<u8>, before: usize) {
        if out.len() > before {
            out.extend_from_slice(self.dialect.line_end.as_bytes());
        }
    }

    fn string(&mut self, out: &mut Vec<u8>, text: Option<&str>, is_first: bool) {
        match text {
            Some(text) if self.dialect.neutralizes && is_formula(text) => {
                self.scratch.clear();
                self.scratch.push('\'');
                self.scratch.push_str(text);
                self.dialect.value(out, Some(&self.scratch), is_first);
            }
            text => self.dialect.value(out, text, is_first),
        }
    }

    fn other(&mut self, out: &mut Vec<u8>, column: &dyn Array, row: usize, is_first: bool) -> Result<()> {
        let is_time = matches!(column.data_type(), DataType::Date32 | DataType::Timestamp(..));
        if self.plain && !is_time {
            return self.write(out, column, row);
        }
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let written = self.write(&mut text, column, row);
        self.dialect.value(out, Some(&String::from_utf8_lossy(&text)), is_first);
        self.text = text;
        written
    }

    fn write(&mut self, out: &mut Vec<u8>, column: &dyn Array, row: usize) -> Result<()> {
        macro_rules! whole {
            ($kind:ty) => {
                drop(write!(out, "{}", column.as_primitive::<$kind>().value(row)))
            };
        }
        let in_calendar = match column.data_type() {
            DataType::Boolean => {
                out.extend_from_slice(if column.as_boolean().value(row) { b"true" } else { b"false" });
                true
            }
            DataType::Int8 => (whole!(Int8Type), true).1,
            DataType::Int16 => (whole!(Int16Type), true).1,
            DataType::Int32 => (whole!(Int32Type), true).1,
            DataType::Int64 => (whole!(Int64Type), true).1,
            DataType::Float32 => {
                texts::float(out, column.as_primitive::<Float32Type>().value(row), &mut self.scratch);
                true
            }
            DataType::Float64 => {
                texts::double(out, column.as_primitive::<Float64Type>().value(row), &mut self.scratch);
                true
            }
            DataType::Decimal128(_, scale) => {
                texts::decimal(out, column.as_primitive::<Decimal128Type>().value(row), *scale);
                true
            }
            DataType::Date32 => self.texts.date(out, column.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                let instant = column.as_primitive::<TimestampMicrosecondType>().value(row);
                self.texts.timestamp(out, instant, &mut self.clock)
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                self.texts.local(out, column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            other => {
                return Err(Error::new(
                    &codes::INTERNAL,
                    format!("a column of type {other} came to a CSV file"),
                ));
            }
        };
        if in_calendar {
            return Ok(());
        }
        Err(Error::new(&codes::SINK_SCHEMA, "a time is beyond the calendar and cannot be written as text")
            .with_hint("Leave such rows out with WHERE."))
    }
}

impl<'a> Column<'a> {
    fn of(column: &'a dyn Array) -> Self {
        match column.data_type() {
            DataType::Utf8 => Self::Text(column.as_string()),
            DataType::LargeUtf8 => Self::LargeText(column.as_string()),
            DataType::Utf8View => Self::TextView(column.as_string_view()),
            _ => Self::Other(column),
        }
    }
}
