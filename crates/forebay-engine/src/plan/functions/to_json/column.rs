//! A column of any type, ready to be written as JSON row by row: looked at once for all of its rows.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::Result;
use forebay_core::json_text::{write_decimal, write_double, write_float, write_string};

use super::words::Words;
use crate::plan::functions::failed;

/// The type itself if it can be written; the error is the type within it that cannot.
pub(super) fn writable(of: &DataType) -> Result<(), DataType> {
    match of {
        DataType::Struct(fields) => fields.iter().try_for_each(|field| writable(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            writable(item.data_type())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                let key = pair[0].data_type();
                let is_word = key.is_string()
                    || key.is_signed_integer()
                    || key.is_floating()
                    || matches!(key, DataType::Boolean | DataType::Decimal128(..));
                if is_word { writable(pair[1].data_type()) } else { Err(of.clone()) }
            }
            _ => Err(of.clone()),
        },
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Timestamp(..) => Ok(()),
        other => Err(other.clone()),
    }
}

/// The values, and which are NULL.
pub(super) struct Column {
    kind: Kind,
    nulls: Option<NullBuffer>,
}

enum Kind {
    Null,
    Boolean(BooleanArray),
    Whole(Int64Array),
    Float(Float32Array),
    Double(Float64Array),
    Decimal(Decimal128Array, i8),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    Local(TimestampMicrosecondArray),
    /// The names in quotes, with the colon.
    Struct(Vec<(Vec<u8>, Column)>),
    /// Where the elements of each row begin; one more than there are rows.
    List(Vec<usize>, Box<Column>),
    /// The same, with keys.
    Map(Vec<usize>, Box<Column>, Box<Column>),
}

impl Column {
    /// Of an array whose type is [`writable`].
    pub fn new(array: &ArrayRef) -> Result<Self> {
        let as_type = |to: DataType| cast(array, &to);
        let starts = |offsets: &[i32]| offsets.iter().map(|at| *at as usize).collect();
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Boolean(array.as_boolean().clone()),
            of if of.is_integer() => Kind::Whole(as_type(DataType::Int64)?.as_primitive().clone()),
            DataType::Float32 => Kind::Float(array.as_primitive().clone()),
            DataType::Float64 => Kind::Double(array.as_primitive().clone()),
            DataType::Decimal128(_, scale) => Kind::Decimal(array.as_primitive().clone(), *scale),
            of if of.is_string() => Kind::Text(as_type(DataType::Utf8View)?.as_string_view().clone()),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Kind::Bytes(as_type(DataType::BinaryView)?.as_binary_view().clone())
            }
            DataType::Date32 => Kind::Date(array.as_primitive().clone()),
            DataType::Timestamp(_, zone) => {
                let micros = as_type(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                let micros = micros.as_primitive().clone();
                if zone.is_some() { Kind::Timestamp(micros) } else { Kind::Local(micros) }
            }
            DataType::Struct(fields) => {
                let named = fields.iter().zip(array.as_struct().columns());
                let named = named.map(|(field, child)| {
                    let mut name = Vec::new();
                    write_string(field.name().as_bytes(), &mut name);
                    name.push(b':');
                    Ok((name, Self::new(child)?))
                });
                Kind::Struct(named.collect::<Result<_>>()?)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List(starts(list.value_offsets()), Box::new(Self::new(list.values())?))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let starts = list.value_offsets().iter().map(|at| usize::try_from(*at).unwrap_or(0));
                Kind::List(starts.collect(), Box::new(Self::new(list.values())?))
            }
            DataType::FixedSizeList(_, _) => {
                let list = array.as_fixed_size_list();
                let length = usize::try_from(list.value_length()).unwrap_or(0);
                let starts = (0..=list.len()).map(|row| row * length);
                Kind::List(starts.collect(), Box::new(Self::new(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let [keys, values] = [map.keys(), map.values()].map(Self::new);
                Kind::Map(starts(map.value_offsets()), Box::new(keys?), Box::new(values?))
            }
            other => return failed(format!("to_json cannot write a value of type {other}")),
        };
        Ok(Self { kind, nulls: array.logical_nulls() })
    }

    fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Writes a value, or `null`.
    fn write_or_null(&self, row: usize, words: &mut Words, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.write(row, words, out)
    }

    /// Writes a value that is not NULL.
    pub fn write(&self, row: usize, words: &mut Words, out: &mut Vec<u8>) -> Result<()> {
        let is_told = match &self.kind {
            Kind::Date(days) => words.date(days.value(row), out),
            Kind::Timestamp(micros) => words.timestamp(micros.value(row), out),
            Kind::Local(micros) => words.local(micros.value(row), out),
            Kind::Text(texts) => {
                write_string(texts.value(row).as_bytes(), out);
                true
            }
            Kind::Bytes(bytes) => {
                write_string(STANDARD.encode(bytes.value(row)).as_bytes(), out);
                true
            }
            Kind::Struct(fields) => {
                out.push(b'{');
                let mut is_first = true;
                for (name, child) in fields {
                    if child.is_null(row) && !words.keeps_nulls {
                        continue;
                    }
                    next(&mut is_first, out);
                    out.extend_from_slice(name);
                    child.write_or_null(row, words, out)?;
                }
                out.push(b'}');
                true
            }
            Kind::List(starts, elements) => {
                out.push(b'[');
                let mut is_first = true;
                for element in starts[row]..starts[row + 1] {
                    next(&mut is_first, out);
                    elements.write_or_null(element, words, out)?;
                }
                out.push(b']');
                true
            }
            Kind::Map(starts, keys, values) => {
                out.push(b'{');
                let mut is_first = true;
                for entry in starts[row]..starts[row + 1] {
                    next(&mut is_first, out);
                    keys.write_name(entry, out);
                    out.push(b':');
                    values.write_or_null(entry, words, out)?;
                }
                out.push(b'}');
                true
            }
            _ => {
                self.write_plain(row, out);
                true
            }
        };
        if is_told { Ok(()) } else { failed("to_json: the time lies beyond the calendar") }
    }

    /// Writes a number or a truth value.
    fn write_plain(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Boolean(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Kind::Whole(values) => out.extend_from_slice(values.value(row).to_string().as_bytes()),
            Kind::Float(values) => write_float(values.value(row), out),
            Kind::Double(values) => write_double(values.value(row), out),
            Kind::Decimal(values, scale) => write_decimal(values.value(row), *scale, out),
            _ => out.extend_from_slice(b"null"),
        }
    }

    /// Writes a key of a map: in quotes, whatever it is.
    fn write_name(&self, row: usize, out: &mut Vec<u8>) {
        if let Kind::Text(texts) = &self.kind {
            return write_string(texts.value(row).as_bytes(), out);
        }
        let start = out.len();
        out.push(b'"');
        self.write_plain(row, out);
        // What is no JSON number has quotes already.
        if out.get(start + 1) == Some(&b'"') {
            out.remove(start);
        } else {
            out.push(b'"');
        }
    }
}

fn next(is_first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::replace(is_first, false) {
        out.push(b',');
    }
}
