//! SHOW TABLES and DESCRIBE, with Spark's columns, and the plans of EXPLAIN.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::ObjectName;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::StreamExt;

use super::Answer;
use super::prepared::Prepared;
use crate::plan::SqlError;
use crate::plan::resolve::unknown_table;
use crate::plan::words::type_name;

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
pub(super) fn columns(prepared: &Prepared, name: &ObjectName) -> Result<Answer, SqlError> {
    let Some(table) = prepared.table(name) else {
        let Some((_, (view, _))) = prepared.view(name) else { return Err(unknown_table(name, prepared)) };
        let error = Error::new(&codes::NOT_YET, format!("`{view}` is a view; DESCRIBE takes tables"));
        return Err(error.with_hint(format!("Its columns: SELECT * FROM {view} LIMIT 0.")).into());
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
    .map_err(SqlError::from)
}

/// What EXPLAIN gives, a row for each line of a plan: the kind of plan stands in the first one.
pub(super) fn line_by_line(plans: &RecordBatch) -> Result<RecordBatch> {
    let [kinds, texts] = plans.columns() else { return Ok(plans.clone()) };
    let (Some(kinds), Some(texts)) = (kinds.as_string_opt::<i32>(), texts.as_string_opt::<i32>()) else {
        return Ok(plans.clone());
    };
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for (kind, text) in kinds.iter().flatten().zip(texts.iter().flatten()) {
        let kind = std::iter::once(kind).chain(std::iter::repeat(""));
        lines.extend(kind.zip(text.trim_end().lines()));
    }
    let kinds = StringArray::from_iter_values(lines.iter().map(|(kind, _)| kind));
    let lines = StringArray::from_iter_values(lines.iter().map(|(_, line)| line));
    RecordBatch::try_new(plans.schema(), vec![Arc::new(kinds), Arc::new(lines)])
        .map_err(|error| Error::new(&codes::INTERNAL, "a plan does not fit its schema").caused_by(error))
}

fn answer(fields: Vec<Field>, columns: Vec<ArrayRef>) -> Result<Answer> {
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| {
        Error::new(&codes::INTERNAL, "a listing does not fit its schema").caused_by(error)
    })?;
    Ok(Answer { schema, batches: futures::stream::iter([Ok(batch)]).boxed() })
}
