//! Rows as they are sent, in text or binary form, column by column as the client wants them.
//!
//! What must stay true: a value comes out with all its digits, or the statement fails; nothing is rounded to fit. Text
//! forms are PostgreSQL's own with `DateStyle` ISO, `IntervalStyle` postgres and `extra_float_digits` 1; times are in UTC.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, SchemaRef,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::render::{json_texts, refuse_far_times};

use super::forms;
use super::types::{JSON, PgType};

/// Rows are put together until they are so many bytes.
pub(super) const CHUNK: usize = 64 << 10;

/// Rows, each a message, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    /// Where each row ends.
    pub ends: Vec<usize>,
}

/// Writes the value of a row; it is not NULL.
type Write = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<()> + Send>;

/// A column of a batch, ready to be written.
struct Column {
    array: ArrayRef,
    write: Write,
}

/// A batch that is written piece by piece.
pub(super) struct Encoder {
    columns: Vec<Column>,
    rows: usize,
    next: usize,
}

impl Encoder {
    /// Of a batch whose columns have these types; `binary` says which are wanted so.
    pub fn new(batch: &RecordBatch, schema: &SchemaRef, binary: &[bool]) -> Result<Self> {
        batch.columns().iter().try_for_each(refuse_far_times)?;
        let columns = batch.columns().iter().enumerate().map(|(at, array)| {
            let pg = schema
                .fields()
                .get(at)
                .map_or_else(|| PgType::of_type(array.data_type()), |field| PgType::of(field));
            let is_binary = binary.get(at).copied().unwrap_or_default();
            let array = plain(array, pg)?;
            Ok(Column { write: writer(&array, is_binary, pg)?, array })
        });
        Ok(Self { columns: columns.collect::<Result<_>>()?, rows: batch.num_rows(), next: 0 })
    }

    /// The next rows, until they are [`CHUNK`] bytes; `None` behind the last.
    pub fn next(&mut self) -> Result<Option<Chunk>> {
        if self.next == self.rows {
            return Ok(None);
        }
        let mut chunk = Chunk::default();
        let count =
            u16::try_from(self.columns.len()).map_err(|_| too_large("a row of more than 65535 columns"))?;
        while self.next < self.rows && chunk.bytes.len() < CHUNK {
            let out = &mut chunk.bytes;
            out.push(b'D');
            let start = out.len();
            out.extend([0; 4]);
            out.extend(count.to_be_bytes());
            for column in &self.columns {
                if column.array.is_null(self.next) {
                    out.extend((-1_i32).to_be_bytes());
                    continue;
                }
                sized(out, |out| (column.write)(self.next, out))?;
            }
            let length =
                i32::try_from(out.len() - start).map_err(|_| too_large("a row of more than 2 GiB"))?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            chunk.ends.push(out.len());
            self.next += 1;
        }
        Ok(Some(chunk))
    }
}

fn too_large(what: &str) -> Error {
    Error::new(&codes::QUERY_LIMIT, format!("{what} cannot be sent"))
}

/// What `write` writes, behind its length.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let at = out.len();
    out.extend([0; 4]);
    write(out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| too_large("a value of more than 2 GiB"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn unsent(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::QUERY_FAILED, "a value of the answer cannot be sent").caused_by(error)
}

/// The column in one of the few types that are written.
fn plain(array: &ArrayRef, pg: PgType) -> Result<ArrayRef> {
    let to = |data_type: &DataType| cast(array, data_type).map_err(unsent);
    if pg.oid == JSON {
        return json_texts(array).map_err(unsent);
    }
    match array.data_type() {
        DataType::Int8 | DataType::UInt8 => to(&DataType::Int16),
        DataType::UInt16 => to(&DataType::Int32),
        DataType::UInt32 => to(&DataType::Int64),
        DataType::UInt64 => to(&DataType::Decimal128(20, 0)),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            to(&DataType::Decimal128(*precision, *scale))
        }
        DataType::Float16 => to(&DataType::Float32),
        DataType::LargeUtf8 | DataType::Null => to(&DataType::Utf8),
        DataType::LargeBinary | DataType::FixedSizeBinary(_) => to(&DataType::Binary),
        DataType::Date64 => to(&DataType::Date32),
        DataType::Time32(_) | DataType::Time64(_) => to(&DataType::Time64(TimeUnit::Microsecond)),
        DataType::Timestamp(_, zone) => to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime) | DataType::Duration(_) => {
            to(&DataType::Interval(IntervalUnit::MonthDayNano))
        }
        DataType::Dictionary(_, value) => plain(&cast(array, value).map_err(unsent)?, pg),
        DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => to(&DataType::List(Arc::clone(item))),
        _ => Ok(Arc::clone(array)),
    }
}

/// What writes the values of a column.
fn writer(array: &ArrayRef, is_binary: bool, pg: PgType) -> Result<Write> {
    type Native<T> = <T as ArrowPrimitiveType>::Native;
    macro_rules! primitive {
        ($kind:ty, $binary:expr, $text:expr) => {{
            let values = array.as_primitive::<$kind>().clone();
            if is_binary {
                Box::new(move |row, out: &mut Vec<u8>| {
                    let write: fn(Native<$kind>, &mut Vec<u8>) = $binary;
                    write(values.value(row), out);
                    Ok(())
                })
            } else {
                Box::new(move |row, out: &mut Vec<u8>| {
                    let write: fn(Native<$kind>, &mut Vec<u8>) = $text;
                    write(values.value(row), out);
                    Ok(())
                })
            }
        }};
    }
    let own = Arc::clone(array);
    Ok(match array.data_type() {
        DataType::Boolean => Box::new(move |row, out| {
            let value = own.as_boolean().value(row);
            out.push(match (is_binary, value) {
                (true, value) => u8::from(value),
                (false, true) => b't',
                (false, false) => b'f',
            });
            Ok(())
        }),
        DataType::Int16 => primitive!(Int16Type, |n, out| out.extend(n.to_be_bytes()), forms::display),
        DataType::Int32 => primitive!(Int32Type, |n, out| out.extend(n.to_be_bytes()), forms::display),
        DataType::Int64 => primitive!(Int64Type, |n, out| out.extend(n.to_be_bytes()), forms::display),
        DataType::Float32 => primitive!(Float32Type, |n, out| out.extend(n.to_be_bytes()), forms::float4),
        DataType::Float64 => primitive!(Float64Type, |n, out| out.extend(n.to_be_bytes()), forms::float8),
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().clone();
            Box::new(move |row, out| forms::number(&values.value_as_string(row), is_binary, out))
        }
        DataType::Decimal256(..) => {
            let values = array.as_primitive::<Decimal256Type>().clone();
            Box::new(move |row, out| forms::number(&values.value_as_string(row), is_binary, out))
        }
        // A text and a JSON are the same in both forms.
        DataType::Utf8 => Box::new(move |row, out| forms::text(own.as_string::<i32>().value(row), out)),
        DataType::Utf8View => Box::new(move |row, out| forms::text(own.as_string_view().value(row), out)),
        DataType::Binary => Box::new(move |row, out| {
            forms::bytes(own.as_binary::<i32>().value(row), is_binary, out);
            Ok(())
        }),
        DataType::BinaryView => Box::new(move |row, out| {
            forms::bytes(own.as_binary_view().value(row), is_binary, out);
            Ok(())
        }),
        DataType::Date32 => primitive!(Date32Type, forms::date_binary, forms::date),
        DataType::Time64(_) => {
            primitive!(Time64MicrosecondType, |n, out| out.extend(n.to_be_bytes()), forms::time)
        }
        DataType::Timestamp(_, None) => {
            primitive!(TimestampMicrosecondType, forms::timestamp_binary, forms::timestamp)
        }
        DataType::Timestamp(_, Some(_)) => {
            primitive!(TimestampMicrosecondType, forms::timestamp_binary, |micros, out| {
                forms::timestamp(micros, out);
                forms::in_utc(out);
            })
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            primitive!(IntervalMonthDayNanoType, forms::interval_binary, forms::interval)
        }
        DataType::List(item) => list(array, item.data_type(), is_binary, pg)?,
        other => {
            let message = format!("a column of type {other} cannot be sent");
            return Err(Error::new(&codes::NOT_YET, message).with_hint("Cast it to text."));
        }
    })
}

/// What writes arrays.
fn list(array: &ArrayRef, item: &DataType, is_binary: bool, pg: PgType) -> Result<Write> {
    let lists = array.as_list::<i32>().clone();
    let element = pg.element().unwrap_or(super::types::TEXT);
    let values = plain(lists.values(), PgType::of_type(item))?;
    let write = writer(&values, is_binary, PgType::of_type(item))?;
    let range = move |row: usize| {
        let offset =
            |at: usize| lists.value_offsets().get(at).and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
        offset(row)..offset(row + 1)
    };
    if is_binary {
        return Ok(Box::new(move |row, out| {
            let range = range(row);
            let has_nulls = range.clone().any(|at| values.is_null(at));
            let count = i32::try_from(range.len()).map_err(|_| too_large("an array"))?;
            out.extend(i32::from(count > 0).to_be_bytes());
            out.extend(i32::from(has_nulls).to_be_bytes());
            out.extend(element.to_be_bytes());
            if count > 0 {
                out.extend(count.to_be_bytes());
                out.extend(1_i32.to_be_bytes());
            }
            for at in range {
                if values.is_null(at) {
                    out.extend((-1_i32).to_be_bytes());
                } else {
                    sized(out, |out| write(at, out))?;
                }
            }
            Ok(())
        }));
    }
    Ok(Box::new(move |row, out| {
        out.push(b'{');
        let (mut is_first, mut value) = (true, Vec::new());
        for at in range(row) {
            if !std::mem::replace(&mut is_first, false) {
                out.push(b',');
            }
            if values.is_null(at) {
                out.extend(b"NULL");
                continue;
            }
            value.clear();
            write(at, &mut value)?;
            forms::element(&value, out);
        }
        out.push(b'}');
        Ok(())
    }))
}
