//! Rows as PostgreSQL's binary COPY wants them: for each row the number of fields, then each field's length and bytes,
//! numbers with the highest byte first.
//!
//! The formats are those of PostgreSQL's own `*_recv` functions. A batch is brought to plain columns once ([`Rows::new`]);
//! rows are then written one after the other into a buffer, without an allocation for each.
//! What must stay true: a value that PostgreSQL's type cannot hold is never altered: it is a [`Bad`] of its row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    DurationMicrosecondArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeBinaryArray, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use forebay_core::Zone;
use forebay_core::zone::Offsets;

use super::kinds::{Wire, canonical};

mod fields;

use fields::{begin, end, fixed, interval, micros, numeric, out_of_range, sized, too_long, uuid};

/// What a stream of rows begins with: signature, flags, length of the extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with.
pub const TRAILER: &[u8] = &[0xff, 0xff];

/// Days from 1970 to 2000, where PostgreSQL begins to count.
const DAYS_TO_2000: i32 = 10_957;

/// Why a value cannot be sent: in PostgreSQL's words, with its SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The column's number.
    pub column: usize,
    pub sqlstate: &'static str,
    pub why: String,
}

/// A batch, ready to be written row by row.
pub struct Rows {
    columns: Vec<ArrayRef>,
    fields: Vec<FieldRef>,
    wires: Arc<[Wire]>,
    json: EncoderOptions,
    zone: Zone,
}

impl Rows {
    /// The columns of a batch, each to be sent as `wires` says. Instants that go into a `timestamp` are shown as clocks of
    /// `zone` show them.
    pub fn new(batch: &RecordBatch, wires: &Arc<[Wire]>, zone: Zone) -> Result<Self, ArrowError> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let plain = |(column, wire): (&ArrayRef, &Wire)| {
            let wanted = canonical(wire, column.data_type());
            if *column.data_type() == wanted {
                Ok(column.clone())
            } else {
                cast_with_options(column, &wanted, &options)
            }
        };
        let columns: Vec<ArrayRef> =
            batch.columns().iter().zip(wires.iter()).map(plain).collect::<Result<_, _>>()?;
        let fields = columns.iter().map(|column| Arc::new(Field::new("", column.data_type().clone(), true)));
        let json = EncoderOptions::default().with_explicit_nulls(true);
        Ok(Self { fields: fields.collect(), columns, wires: wires.clone(), json, zone })
    }

    /// What writes them.
    pub fn writer(&self) -> Result<RowWriter<'_>, ArrowError> {
        let cells = self.columns.iter().zip(&self.fields).zip(self.wires.iter());
        let cells = cells.map(|((column, field), wire)| Cell::new(column.as_ref(), field, wire, self));
        Ok(RowWriter { cells: cells.collect::<Result<_, _>>()? })
    }
}

/// Writes rows of a batch.
pub struct RowWriter<'a> {
    cells: Vec<Cell<'a>>,
}

impl RowWriter<'_> {
    /// Appends a row to `out`; if it is bad, `out` is as before.
    pub fn write(&mut self, row: usize, out: &mut Vec<u8>) -> Result<(), Bad> {
        let start = out.len();
        out.extend_from_slice(&(self.cells.len() as i16).to_be_bytes());
        for (column, cell) in self.cells.iter_mut().enumerate() {
            if let Err((sqlstate, why)) = cell.write(row, out) {
                out.truncate(start);
                return Err(Bad { column, sqlstate, why });
            }
        }
        Ok(())
    }
}

/// A value that PostgreSQL's type does not have: SQLSTATE and words.
type Refusal = (&'static str, String);

/// One column.
struct Cell<'a> {
    column: &'a dyn Array,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a Int16Array),
    Int4(&'a Int32Array),
    Int8(&'a Int64Array),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Numeric(&'a Decimal128Array, u32),
    Text(Texts<'a>, TextAs),
    Json(NullableEncoder<'a>, bool),
    Bytea(Bytes<'a>),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Local(&'a TimestampMicrosecondArray, Offsets),
    Months(&'a IntervalYearMonthArray),
    Interval(&'a IntervalMonthDayNanoArray),
    Duration(&'a DurationMicrosecondArray),
    Array { lists: &'a dyn Array, of: u32, items: Box<Cell<'a>> },
    Never,
}

#[derive(Clone, Copy)]
enum TextAs {
    Text,
    Jsonb,
    Uuid,
}

enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl Texts<'_> {
    fn get(&self, row: usize) -> &str {
        match self {
            Self::Small(texts) => texts.value(row),
            Self::Large(texts) => texts.value(row),
            Self::View(texts) => texts.value(row),
        }
    }
}

enum Bytes<'a> {
    Small(&'a BinaryArray),
    Large(&'a LargeBinaryArray),
    View(&'a BinaryViewArray),
}

impl<'a> Cell<'a> {
    fn new(
        column: &'a dyn Array,
        field: &'a FieldRef,
        wire: &Wire,
        rows: &'a Rows,
    ) -> Result<Self, ArrowError> {
        let text = |how| {
            let texts = match column.data_type() {
                DataType::LargeUtf8 => Texts::Large(column.as_string()),
                DataType::Utf8View => Texts::View(column.as_string_view()),
                _ => Texts::Small(column.as_string()),
            };
            Values::Text(texts, how)
        };
        let values = match wire {
            _ if column.null_count() == column.len() => Values::Never,
            Wire::Bool => Values::Bool(column.as_boolean()),
            Wire::Int2 => Values::Int2(column.as_primitive()),
            Wire::Int4 => Values::Int4(column.as_primitive()),
            Wire::Int8 => Values::Int8(column.as_primitive()),
            Wire::Float4 => Values::Float4(column.as_primitive()),
            Wire::Float8 => Values::Float8(column.as_primitive()),
            Wire::Numeric => {
                let numbers: &Decimal128Array = column.as_primitive();
                Values::Numeric(numbers, u32::try_from(numbers.scale()).unwrap_or(0))
            }
            Wire::Text => text(TextAs::Text),
            Wire::Uuid => text(TextAs::Uuid),
            Wire::JsonbText => text(TextAs::Jsonb),
            Wire::Json(binary) => Values::Json(make_encoder(field, column, &rows.json)?, *binary),
            Wire::Bytea => Values::Bytea(match column.data_type() {
                DataType::LargeBinary => Bytes::Large(column.as_binary()),
                DataType::BinaryView => Bytes::View(column.as_binary_view()),
                _ => Bytes::Small(column.as_binary()),
            }),
            Wire::Date => Values::Date(column.as_primitive()),
            Wire::Timestamp => Values::Timestamp(column.as_primitive()),
            Wire::LocalTimestamp => Values::Local(column.as_primitive(), Offsets::new(rows.zone)),
            Wire::Interval => match column.data_type() {
                DataType::Duration(_) => Values::Duration(column.as_primitive()),
                DataType::Interval(arrow::datatypes::IntervalUnit::YearMonth) => {
                    Values::Months(column.as_primitive())
                }
                _ => Values::Interval(column.as_primitive()),
            },
            Wire::Array(oid, wire) => {
                let items: &'a dyn Array = match column.data_type() {
                    DataType::LargeList(_) => column.as_list::<i64>().values(),
                    _ => column.as_list::<i32>().values(),
                };
                let wanted = canonical(wire, items.data_type());
                if *items.data_type() != wanted {
                    let message = format!("a list of {} is to be sent as {wanted}", items.data_type());
                    return Err(ArrowError::SchemaError(message));
                }
                let items = Self::new(items, field, wire, rows)?;
                Values::Array { lists: column, of: *oid, items: Box::new(items) }
            }
        };
        Ok(Self { column, values })
    }

    /// Appends a field: its length and its bytes.
    fn write(&mut self, row: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.column.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        match &mut self.values {
            Values::Bool(values) => fixed(out, [u8::from(values.value(row))]),
            Values::Int2(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Int4(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Int8(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Float4(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Float8(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Numeric(values, scale) => numeric(out, values.value(row), *scale),
            Values::Text(texts, how) => match how {
                TextAs::Text => sized(out, &[], texts.get(row).as_bytes())?,
                TextAs::Jsonb => sized(out, &[1], texts.get(row).as_bytes())?,
                TextAs::Uuid => fixed(out, uuid(texts.get(row))?),
            },
            Values::Json(encoder, binary) => {
                let start = begin(out);
                if *binary {
                    out.push(1);
                }
                encoder.encode(row, out);
                end(out, start)?;
            }
            Values::Bytea(Bytes::Small(values)) => sized(out, &[], values.value(row))?,
            Values::Bytea(Bytes::Large(values)) => sized(out, &[], values.value(row))?,
            Values::Bytea(Bytes::View(values)) => sized(out, &[], values.value(row))?,
            Values::Date(values) => {
                let day = values.value(row).checked_sub(DAYS_TO_2000);
                // The ends stand for infinity.
                let day = day.filter(|day| *day != i32::MIN).ok_or_else(|| out_of_range("date"))?;
                fixed(out, day.to_be_bytes());
            }
            Values::Timestamp(values) => fixed(out, micros(values.value(row))?.to_be_bytes()),
            Values::Local(values, offsets) => {
                fixed(out, micros(offsets.local(values.value(row)))?.to_be_bytes());
            }
            Values::Months(values) => interval(out, 0, 0, values.value(row)),
            Values::Duration(values) => interval(out, values.value(row), 0, 0),
            Values::Interval(values) => {
                let value = values.value(row);
                if value.nanoseconds % 1_000 != 0 {
                    return Err(("22008", "interval has more digits than microseconds".to_owned()));
                }
                interval(out, value.nanoseconds / 1_000, value.days, value.months);
            }
            Values::Array { lists, of, items } => array(out, *lists, row, *of, items)?,
            Values::Never => {}
        }
        Ok(())
    }
}

fn array(
    out: &mut Vec<u8>,
    lists: &dyn Array,
    row: usize,
    of: u32,
    items: &mut Cell<'_>,
) -> Result<(), Refusal> {
    let range = match lists.data_type() {
        DataType::LargeList(_) => {
            let offsets = lists.as_list::<i64>().value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        }
        _ => {
            let offsets = lists.as_list::<i32>().value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        }
    };
    let start = begin(out);
    let has_null = range.clone().any(|item| items.column.is_null(item));
    out.extend_from_slice(&i32::from(!range.is_empty()).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&of.to_be_bytes());
    if !range.is_empty() {
        let len = i32::try_from(range.len()).map_err(|_| too_long(range.len()))?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
    }
    for item in range {
        items.write(item, out)?;
    }
    end(out, start)
}

#[cfg(test)]
mod tests;
