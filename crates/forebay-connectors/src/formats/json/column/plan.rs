//! From a schema to empty columns, once, when the format is made; and Spark's names for types, for messages.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use forebay_core::error::{Error, Result, codes};

use super::super::glue::Glue;
use super::{Column, FieldColumn, Fixed, List, Map, Nulls, Object, VarBytes};

/// Objects of more fields than this find keys by hash.
const COMPARED_ONE_BY_ONE: usize = 12;

/// How deep a schema may be nested: reading follows the schema by recursion, and a schema is written by people.
const SCHEMA_DEPTH: usize = 64;

/// Columns for these fields. Fails with `BAD_SCHEMA` on types that JSON cannot give.
pub(in super::super) fn plan_object(fields: &Fields) -> Result<Object> {
    object(fields, &mut Vec::new())
}

fn object(fields: &Fields, path: &mut Vec<String>) -> Result<Object> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        path.push(field.name().clone());
        columns.push(FieldColumn {
            name: field.name().as_str().into(),
            column: column(field, path)?,
            required: !field.is_nullable(),
            filled: 0,
        });
        path.pop();
    }
    let mut index = HashMap::new();
    for (position, field) in columns.iter().enumerate() {
        if index.insert(Box::from(field.name.as_bytes()), position).is_some() {
            let message = format!("the schema has two fields `{}`", field.name);
            return Err(Error::new(&codes::BAD_SCHEMA, message));
        }
    }
    if columns.len() <= COMPARED_ONE_BY_ONE {
        index.clear();
    }
    Ok(Object {
        fields: columns,
        index,
        glue: Glue::default(),
        rows: 0,
        nulls: Nulls::default(),
        arrow_fields: fields.clone(),
    })
}

fn column(field: &Field, path: &mut Vec<String>) -> Result<Column> {
    if path.len() > SCHEMA_DEPTH {
        let message = format!("the schema is nested deeper than {SCHEMA_DEPTH} levels");
        return Err(Error::new(&codes::BAD_SCHEMA, message));
    }
    Ok(match field.data_type() {
        DataType::Boolean => Column::Boolean(Fixed::default()),
        DataType::Int8 => Column::Int8(Fixed::default()),
        DataType::Int16 => Column::Int16(Fixed::default()),
        DataType::Int32 => Column::Int32(Fixed::default()),
        DataType::Int64 => Column::Int64(Fixed::default()),
        DataType::Float32 => Column::Float32(Fixed::default()),
        DataType::Float64 => Column::Float64(Fixed::default()),
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            Column::Decimal { data: Fixed::default(), precision: *precision, scale: *scale }
        }
        DataType::Utf8 => Column::Text(VarBytes::default()),
        DataType::Binary => Column::Binary(VarBytes::default()),
        DataType::Date32 => Column::Date(Fixed::default()),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Column::Timestamp { data: Fixed::default(), zoned: false }
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            Column::Timestamp { data: Fixed::default(), zoned: true }
        }
        DataType::Struct(fields) => Column::Struct(Box::new(object(fields, path)?)),
        DataType::List(element) => {
            path.push("element".to_owned());
            let list = List {
                element: column(element, path)?,
                element_required: !element.is_nullable(),
                ends: Vec::new(),
                nulls: Nulls::default(),
                arrow_field: element.clone(),
            };
            path.pop();
            Column::List(Box::new(list))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(unsupported(field, path)) };
            let [key, value] = fields.as_ref() else { return Err(unsupported(field, path)) };
            if key.data_type() != &DataType::Utf8 {
                return Err(unsupported(field, path)
                    .with_hint("The keys of a MAP must be STRING: JSON has no others."));
            }
            path.push("value".to_owned());
            let map = Map {
                keys: VarBytes::default(),
                value: column(value, path)?,
                value_required: !value.is_nullable(),
                ends: Vec::new(),
                nulls: Nulls::default(),
                arrow_field: entries.clone(),
            };
            path.pop();
            Column::Map(Box::new(map))
        }
        _ => return Err(unsupported(field, path)),
    })
}

fn unsupported(field: &Field, path: &[String]) -> Error {
    let message = format!("the format json cannot read `{}` as {}", path.join("."), field.data_type());
    Error::new(&codes::BAD_SCHEMA, message)
}

/// A column's type as Spark writes it.
pub(in super::super) struct TypeName<'a>(pub(in super::super) &'a Column);

impl fmt::Display for TypeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Column::Boolean(_) => "BOOLEAN",
            Column::Int8(_) => "TINYINT",
            Column::Int16(_) => "SMALLINT",
            Column::Int32(_) => "INT",
            Column::Int64(_) => "BIGINT",
            Column::Float32(_) => "FLOAT",
            Column::Float64(_) => "DOUBLE",
            Column::Decimal { precision, scale, .. } => return write!(f, "DECIMAL({precision},{scale})"),
            Column::Text(_) => "STRING",
            Column::Binary(_) => "BINARY",
            Column::Date(_) => "DATE",
            Column::Timestamp { zoned: true, .. } => "TIMESTAMP",
            Column::Timestamp { zoned: false, .. } => "TIMESTAMP_NTZ",
            Column::Struct(_) => "STRUCT",
            Column::List(_) => "ARRAY",
            Column::Map(_) => "MAP",
        })
    }
}
