//! Columns under construction.
//!
//! ```text
//!  record 0 ok     ▓▓▓   ▓▓▓▓▓▓   ▓        each column grows by one value
//!  record 1 bad    ▓▓    ·        ·        it failed in the first column …
//!                  │
//!                  └─ truncate(1): every column is cut back to one row, as if record 1 had never been
//! ```
//!
//! Arrow's own builders cannot take a value back. These can: [`Column::truncate`] restores every buffer (values, nulls,
//! offsets, text, children) to what it was after that many rows. That is all the rollback a decoder needs, because
//! everything a column holds is ordered by row. What must stay true: after `truncate(n)` the column is byte for byte
//! the one that `n` good rows alone would have made.

mod build;
mod nulls;
mod plan;
mod vars;

use std::collections::HashMap;

use arrow::datatypes::{FieldRef, Fields};

pub(super) use nulls::Nulls;
pub(super) use plan::{TypeName, plan_object};
pub(super) use vars::VarBytes;

use super::fault::{Fault, Parse, code};
use super::glue::Glue;

/// A column under construction, by type.
#[derive(Clone, Debug)]
pub(super) enum Column {
    Boolean(Fixed<bool>),
    Int8(Fixed<i8>),
    Int16(Fixed<i16>),
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    Float32(Fixed<f32>),
    Float64(Fixed<f64>),
    Decimal {
        data: Fixed<i128>,
        precision: u8,
        scale: i8,
    },
    Text(VarBytes),
    Binary(VarBytes),
    Date(Fixed<i32>),
    /// Microseconds; with a zone (`TIMESTAMP`) or without (`TIMESTAMP_NTZ`).
    Timestamp {
        data: Fixed<i64>,
        zoned: bool,
    },
    Struct(Box<Object>),
    List(Box<List>),
    Map(Box<Map>),
}

/// Values of one width.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixed<T> {
    pub(super) values: Vec<T>,
    pub(super) nulls: Nulls,
}

/// A struct, or the record itself: fields in the order of the schema.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) fields: Vec<FieldColumn>,
    /// Where a key belongs; only for objects of many fields, few are compared one by one.
    pub(super) index: HashMap<Box<[u8]>, usize>,
    /// What stood before each value of the objects that were read last.
    pub(super) glue: Glue,
    pub(super) rows: usize,
    pub(super) nulls: Nulls,
    pub(super) arrow_fields: Fields,
}

/// One field of an object.
#[derive(Clone, Debug)]
pub(super) struct FieldColumn {
    pub(super) name: Box<str>,
    pub(super) column: Column,
    pub(super) required: bool,
    /// The number of the object instance that gave this field its last value: tells duplicates and missing keys
    /// without clearing anything between records.
    pub(super) filled: u64,
}

/// An array of any length.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) element: Column,
    pub(super) element_required: bool,
    /// The end of each row in `element`.
    pub(super) ends: Vec<i32>,
    pub(super) nulls: Nulls,
    pub(super) arrow_field: FieldRef,
}

/// Text keys and their values.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) keys: VarBytes,
    pub(super) value: Column,
    pub(super) value_required: bool,
    /// The end of each row in `keys` and `value`.
    pub(super) ends: Vec<i32>,
    pub(super) nulls: Nulls,
    pub(super) arrow_field: FieldRef,
}

impl<T: Copy + Default> Fixed<T> {
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        self.values.push(value);
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.push(self.values.len());
        self.values.push(T::default());
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }
}

impl Object {
    pub(super) fn push_null(&mut self) {
        self.nulls.push(self.rows);
        for field in &mut self.fields {
            field.column.push_null();
        }
        self.rows += 1;
    }

    /// Takes back every row from this one on.
    pub(super) fn truncate(&mut self, rows: usize) {
        for field in &mut self.fields {
            field.column.truncate(rows);
        }
        self.nulls.truncate(rows);
        self.rows = self.rows.min(rows);
    }

    /// Where a key belongs. Names match exactly, by case.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            self.fields.iter().position(|field| field.name.as_bytes() == key)
        } else {
            self.index.get(key).copied()
        }
    }
}

impl List {
    /// Where the next row starts in the elements.
    pub(super) fn end(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Makes the elements since the last row into a row.
    pub(super) fn close_row(&mut self) -> Parse {
        self.ends.push(row_end(self.element.rows())?);
        Ok(())
    }
}

impl Map {
    /// Where the next row starts in the entries.
    pub(super) fn end(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Makes the entries since the last row into a row.
    pub(super) fn close_row(&mut self) -> Parse {
        self.ends.push(row_end(self.keys.rows())?);
        Ok(())
    }
}

/// A number of rows as an offset.
fn row_end(rows: usize) -> Parse<i32> {
    i32::try_from(rows).map_err(|_| Fault::new(code::LIMIT, "expected at most 2^31 elements in one batch"))
}

impl Column {
    /// Adds a null.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(data) => data.push_null(),
            Self::Int8(data) => data.push_null(),
            Self::Int16(data) => data.push_null(),
            Self::Int32(data) | Self::Date(data) => data.push_null(),
            Self::Int64(data) | Self::Timestamp { data, .. } => data.push_null(),
            Self::Float32(data) => data.push_null(),
            Self::Float64(data) => data.push_null(),
            Self::Decimal { data, .. } => data.push_null(),
            Self::Text(data) | Self::Binary(data) => data.push_null(),
            Self::Struct(object) => object.push_null(),
            Self::List(list) => {
                list.nulls.push(list.ends.len());
                list.ends.push(list.end() as i32);
            }
            Self::Map(map) => {
                map.nulls.push(map.ends.len());
                map.ends.push(map.end() as i32);
            }
        }
    }

    /// Takes back every row from this one on.
    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Boolean(data) => data.truncate(rows),
            Self::Int8(data) => data.truncate(rows),
            Self::Int16(data) => data.truncate(rows),
            Self::Int32(data) | Self::Date(data) => data.truncate(rows),
            Self::Int64(data) | Self::Timestamp { data, .. } => data.truncate(rows),
            Self::Float32(data) => data.truncate(rows),
            Self::Float64(data) => data.truncate(rows),
            Self::Decimal { data, .. } => data.truncate(rows),
            Self::Text(data) | Self::Binary(data) => data.truncate(rows),
            Self::Struct(object) => object.truncate(rows),
            Self::List(list) => {
                list.ends.truncate(rows);
                list.nulls.truncate(rows);
                let end = list.end();
                list.element.truncate(end);
            }
            Self::Map(map) => {
                map.ends.truncate(rows);
                map.nulls.truncate(rows);
                let end = map.end();
                map.keys.truncate(end);
                map.value.truncate(end);
            }
        }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Boolean(data) => data.values.len(),
            Self::Int8(data) => data.values.len(),
            Self::Int16(data) => data.values.len(),
            Self::Int32(data) | Self::Date(data) => data.values.len(),
            Self::Int64(data) | Self::Timestamp { data, .. } => data.values.len(),
            Self::Float32(data) => data.values.len(),
            Self::Float64(data) => data.values.len(),
            Self::Decimal { data, .. } => data.values.len(),
            Self::Text(data) | Self::Binary(data) => data.rows(),
            Self::Struct(object) => object.rows,
            Self::List(list) => list.ends.len(),
            Self::Map(map) => map.ends.len(),
        }
    }
}
