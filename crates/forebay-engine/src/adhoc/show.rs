//! SHOW TABLES and DESCRIBE, with Spark's columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::ObjectName;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::StreamExt;

use super::Answer;
use super::prepared::Prepared;
use crate::plan::resolve::{Lookup, type_name};

/// `namespace`, `tableName`, `isTemporary`.
pub(super) fn tables(mut names: Vec<String>) -> Result<Answer> {
    names.sort();
    let rows = names.len();
    answer(
        vec![
            Field::new("namespace", DataType::Utf8, false),
            Field::new("tableName", DataType::Utf8, false),
            Field::new("isTemporary", DataType::Boolean, false),
        ],
        vec![
            Arc::new(StringArray::from(vec![""; rows])),
            Arc::new(StringArray::from(names)),
            Arc::new(BooleanArray::from(vec![false; rows])),
        ],
    )
}

/// `col_name`, `data_type`, `comment`.
pub(super) fn columns(prepared: &Prepared, name: &ObjectName) -> Result<Answer> {
    let Some(table) = prepared.table(name) else {
        let known = prepared.names().join(", ");
        return Err(Error::new(&codes::SQL_PLAN, format!("unknown table {name}"))
            .with_hint(format!("Known: {known}.")));
    };
    let schema = table.schema();
    let fields = schema.fields();
    let texts = |of: fn(&Field) -> Option<String>| -> ArrayRef {
        Arc::new(fields.iter().map(|field| of(field)).collect::<StringArray>())
    };
    answer(
        vec![
            Field::new("col_name", DataType::Utf8, false),
            Field::new("data_type", DataType::Utf8, false),
            Field::new("comment", DataType::Utf8, true),
        ],
        vec![
            texts(|field| Some(field.name().clone())),
            texts(|field| Some(type_name(field.data_type()).to_lowercase())),
            texts(|field| field.metadata().get(forebay_core::ddl::COMMENT).cloned()),
        ],
    )
}

fn answer(fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<Answer> {
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| {
        Error::new(&codes::INTERNAL, "a listing does not fit its schema").caused_by(error)
    })?;
    Ok(Answer { schema, batches: futures::stream::iter([Ok(batch)]).boxed() })
}
