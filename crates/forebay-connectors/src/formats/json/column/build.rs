//! Columns to Arrow arrays, and room for the next batch.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray,
    StringArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Fields, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::{Column, Fixed, Object};

impl Object {
    /// Makes room for this many rows in the columns of the top level.
    pub(in super::super) fn reserve(&mut self, rows: usize) {
        for field in &mut self.fields {
            field.column.reserve(rows);
        }
    }

    /// The columns of the object and which rows are null; starts anew.
    pub(in super::super) fn take(&mut self) -> Result<(Vec<ArrayRef>, Option<NullBuffer>), ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let nulls = self.nulls.take(rows);
        let mut arrays = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            arrays.push(field.column.take()?);
        }
        Ok((arrays, nulls))
    }
}

impl Column {
    fn reserve(&mut self, rows: usize) {
        match self {
            Self::Boolean(data) => data.values.reserve(rows),
            Self::Int8(data) => data.values.reserve(rows),
            Self::Int16(data) => data.values.reserve(rows),
            Self::Int32(data) | Self::Date(data) => data.values.reserve(rows),
            Self::Int64(data) | Self::Timestamp { data, .. } => data.values.reserve(rows),
            Self::Float32(data) => data.values.reserve(rows),
            Self::Float64(data) => data.values.reserve(rows),
            Self::Decimal { data, .. } => data.values.reserve(rows),
            Self::Text(data) | Self::Binary(data) => data.reserve(rows),
            Self::Struct(object) => object.reserve(rows),
            // How many elements there will be is not known; the vectors grow.
            Self::List(list) => list.ends.reserve(rows),
            Self::Map(map) => map.ends.reserve(rows),
        }
    }

    fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(data) => {
                let values = std::mem::take(&mut data.values);
                let nulls = data.nulls.take(values.len());
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Self::Int8(data) => primitive::<Int8Type>(data)?,
            Self::Int16(data) => primitive::<Int16Type>(data)?,
            Self::Int32(data) => primitive::<Int32Type>(data)?,
            Self::Int64(data) => primitive::<Int64Type>(data)?,
            Self::Float32(data) => primitive::<Float32Type>(data)?,
            Self::Float64(data) => primitive::<Float64Type>(data)?,
            Self::Date(data) => primitive::<Date32Type>(data)?,
            Self::Decimal { data, precision, scale } => {
                let array = take_primitive::<Decimal128Type>(data)?;
                Arc::new(array.with_data_type(DataType::Decimal128(*precision, *scale)))
            }
            Self::Timestamp { data, zoned } => {
                let array = take_primitive::<TimestampMicrosecondType>(data)?;
                Arc::new(array.with_timezone_opt(zoned.then_some("UTC")))
            }
            Self::Text(data) => {
                let (offsets, bytes, nulls) = data.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Self::Binary(data) => {
                let (offsets, bytes, nulls) = data.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Self::Struct(object) => {
                let rows = object.rows;
                let (arrays, nulls) = object.take()?;
                let fields = object.arrow_fields.clone();
                Arc::new(StructArray::try_new_with_length(fields, arrays, nulls, rows)?)
            }
            Self::List(list) => {
                let rows = list.ends.len();
                let offsets = offsets(&mut list.ends);
                let element = list.element.take()?;
                let nulls = list.nulls.take(rows);
                Arc::new(ListArray::try_new(list.arrow_field.clone(), offsets, element, nulls)?)
            }
            Self::Map(map) => {
                let rows = map.ends.len();
                let offsets = offsets(&mut map.ends);
                let nulls = map.nulls.take(rows);
                let (key_offsets, key_bytes, _) = map.keys.take();
                let keys: ArrayRef = Arc::new(StringArray::try_new(key_offsets, key_bytes, None)?);
                let entries = StructArray::try_new(
                    entry_fields(&map.arrow_field),
                    vec![keys, map.value.take()?],
                    None,
                )?;
                Arc::new(MapArray::try_new(map.arrow_field.clone(), offsets, entries, nulls, false)?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(data: &mut Fixed<T::Native>) -> Result<ArrayRef, ArrowError>
where
    T::Native: Default,
{
    Ok(Arc::new(take_primitive::<T>(data)?))
}

fn take_primitive<T: ArrowPrimitiveType>(
    data: &mut Fixed<T::Native>,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let values = std::mem::take(&mut data.values);
    let nulls = data.nulls.take(values.len());
    PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

/// The fields `key` and `value` inside a map's entry.
fn entry_fields(entries: &Field) -> Fields {
    match entries.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::empty(),
    }
}
