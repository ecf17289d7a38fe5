//! From schema to text, so that [`parse`](super::parse()) gives the same schema again.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

use super::COMMENT;
use crate::error::{Error, Result, codes};

/// Prints a schema as Spark DDL: `id STRING NOT NULL, place STRUCT<hall: INT>`.
///
/// Arrow's other layouts of the same values (views, large and dictionary-encoded texts) have the name of the plain
/// one. Fails with `BAD_SCHEMA` if a type has no name in Spark, such as an unsigned number.
pub fn to_ddl(schema: &Schema) -> Result<String> {
    let mut text = String::new();
    write_fields(&mut text, schema.fields(), " ")?;
    Ok(text)
}

/// The name of a type in Spark: `STRUCT<hall: INT>`; one that Spark does not have as Arrow calls it.
pub fn type_words(data_type: &DataType) -> String {
    let mut text = String::new();
    let named = write_type(&mut text, &Field::new("", data_type.clone(), true), data_type);
    named.map_or_else(|_| data_type.to_string(), |()| text)
}

fn write_fields(text: &mut String, fields: &Fields, between: &str) -> Result<()> {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        write_name(text, field.name());
        text.push_str(between);
        write_type(text, field, field.data_type())?;
        if !field.is_nullable() {
            text.push_str(" NOT NULL");
        }
        if let Some(comment) = field.metadata().get(COMMENT) {
            text.push_str(" COMMENT '");
            text.extend(comment.chars().flat_map(escaped));
            text.push('\'');
        }
    }
    Ok(())
}

fn write_name(text: &mut String, name: &str) {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_bare {
        text.push_str(name);
    } else {
        text.push('`');
        text.push_str(&name.replace('`', "``"));
        text.push('`');
    }
}

fn write_type(text: &mut String, field: &Field, data_type: &DataType) -> Result<()> {
    let word = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BINARY"
        }
        DataType::Date32 => "DATE",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP_NTZ",
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            let _ = write!(text, "DECIMAL({precision},{scale})");
            return Ok(());
        }
        DataType::Dictionary(_, values) => return write_type(text, field, values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            text.push_str("ARRAY<");
            write_type(text, item, item.data_type())?;
            text.push('>');
            return Ok(());
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            text.push_str("STRUCT<");
            write_fields(text, fields, ": ")?;
            text.push('>');
            return Ok(());
        }
        DataType::Map(entries, _) => return write_map(text, field, entries),
        _ => return Err(no_name(field, data_type)),
    };
    text.push_str(word);
    Ok(())
}

fn write_map(text: &mut String, field: &Field, entries: &Field) -> Result<()> {
    let DataType::Struct(pair) = entries.data_type() else {
        return Err(no_name(field, entries.data_type()));
    };
    let [key, value] = &pair[..] else {
        return Err(no_name(field, entries.data_type()));
    };
    text.push_str("MAP<");
    write_type(text, key, key.data_type())?;
    text.push_str(", ");
    write_type(text, value, value.data_type())?;
    text.push('>');
    Ok(())
}

fn no_name(field: &Field, data_type: &DataType) -> Error {
    let message =
        format!("the column `{}` has the type {data_type}, which Spark does not have", field.name());
    Error::new(&codes::BAD_SCHEMA, message)
        .with_hint("Cast it in the query, for example to BIGINT or STRING.")
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (escape, c) = match c {
        '\'' | '\\' => (Some('\\'), c),
        '\n' => (Some('\\'), 'n'),
        '\r' => (Some('\\'), 'r'),
        '\t' => (Some('\\'), 't'),
        _ => (None, c),
    };
    escape.into_iter().chain([c])
}
