//! Small tables, row by row: each row names the cells that say something, the others are what their type has for
//! nothing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use forebay_core::Result;

use super::super::types::OID_KEY;
use super::failed;

/// A value of a small table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bool(bool),
    Float(f64),
    /// Milliseconds since 1970.
    Time(i64),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The cells of a row that say something.
pub(super) type Row = Vec<(&'static str, Cell)>;

/// A table of these columns.
pub(super) fn filled(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        let cells: Vec<Option<&Cell>> = rows
            .iter()
            .map(|row| row.iter().find(|(name, _)| name == field.name()).map(|(_, cell)| cell))
            .collect();
        column(field, &cells)
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).map_err(failed)
}

fn column(field: &Field, cells: &[Option<&Cell>]) -> ArrayRef {
    // What a row does not name is nothing: 0, false, NULL for a text.
    let int = |cell: &Option<&Cell>| match cell {
        Some(Cell::Int(value)) => Some(*value),
        Some(_) => None,
        None => Some(0),
    };
    match field.data_type() {
        DataType::Int16 => {
            let narrow = |value: i64| i16::try_from(value).unwrap_or(i16::MAX);
            Arc::new(cells.iter().map(|cell| int(cell).map(narrow)).collect::<Int16Array>())
        }
        DataType::Int32 => {
            let narrow = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
            Arc::new(cells.iter().map(|cell| int(cell).map(narrow)).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(cells.iter().map(int).collect::<Int64Array>()),
        DataType::Float32 => {
            let float = |cell: &Option<&Cell>| match cell {
                Some(Cell::Float(value)) => Some(*value as f32),
                other => int(other).map(|value| value as f32),
            };
            Arc::new(cells.iter().map(float).collect::<Float32Array>())
        }
        DataType::Float64 => {
            let float = |cell: &Option<&Cell>| match cell {
                Some(Cell::Float(value)) => Some(*value),
                Some(Cell::Int(value)) => Some(*value as f64),
                _ => None,
            };
            Arc::new(cells.iter().map(float).collect::<Float64Array>())
        }
        DataType::Boolean => {
            let truth = |cell: &Option<&Cell>| match cell {
                Some(Cell::Bool(value)) => Some(*value),
                Some(_) => None,
                None => Some(false),
            };
            Arc::new(cells.iter().map(truth).collect::<BooleanArray>())
        }
        DataType::Utf8 => {
            let text = |cell: &Option<&Cell>| match cell {
                Some(Cell::Text(value)) => Some(value.clone()),
                _ => None,
            };
            Arc::new(cells.iter().map(text).collect::<StringArray>())
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let time = |cell: &Option<&Cell>| match cell {
                Some(Cell::Time(millis)) => millis.checked_mul(1_000),
                _ => None,
            };
            let times: TimestampMicrosecondArray = cells.iter().map(time).collect();
            Arc::new(times.with_timezone("UTC"))
        }
        other => new_null_array(other, cells.len()),
    }
}

/// Columns by a word for the type of each: `name text, oid oid, …`.
pub(super) fn columns(text: &str) -> SchemaRef {
    let fields = text.split(',').filter_map(|column| {
        let (name, kind) = column.trim().split_once(' ')?;
        let data_type = match kind.trim() {
            "oid" | "int" => DataType::Int32,
            "short" => DataType::Int16,
            "long" => DataType::Int64,
            "real" => DataType::Float32,
            "double" => DataType::Float64,
            "bool" => DataType::Boolean,
            "texts" => DataType::new_list(DataType::Utf8, true),
            "time" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => DataType::Utf8,
        };
        let field = Field::new(name, data_type, true);
        let is_oid = kind.trim() == "oid";
        Some(if is_oid {
            field.with_metadata([(OID_KEY.to_owned(), "oid".to_owned())].into())
        } else {
            field
        })
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
