//! What was read of a table: held to the columns that were planned with, and to the bound on memory.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use forebay_core::error::codes;
use forebay_core::{Error, Result, ddl};

use super::{At, unreadable};

/// Gathers the rows of one version.
pub(super) struct Rows<'a> {
    at: &'a At,
    schema: &'a SchemaRef,
    bytes: u64,
    batches: Vec<RecordBatch>,
}

impl<'a> Rows<'a> {
    pub fn new(at: &'a At, schema: &'a SchemaRef) -> Self {
        Self { at, schema, bytes: 0, batches: Vec::new() }
    }

    /// Takes rows with these columns among theirs.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = self.schema.fields().iter().map(|field| self.column(batch, field));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(self.schema), columns, &options)
            .map_err(|e| unreadable("the table's columns do not fit together", &self.at.path).caused_by(e))?;
        self.bytes += batch.get_array_memory_size() as u64;
        if self.bytes > self.at.max_memory {
            let message = format!(
                "the rows of the table `{}` take more than {} bytes of memory",
                self.at.name, self.at.max_memory
            );
            return Err(Error::new(&codes::TABLE_TOO_LARGE, message).at(self.at.path.display()));
        }
        self.batches.push(batch);
        Ok(())
    }

    pub fn finish(self) -> Vec<RecordBatch> {
        self.batches
    }

    fn column(&self, batch: &RecordBatch, field: &FieldRef) -> Result<ArrayRef> {
        let name = field.name();
        let Some(column) = batch.column_by_name(name) else {
            let error = unreadable(format!("the table has no column `{name}` any more"), &self.at.path);
            return Err(error.with_hint(CHANGED));
        };
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        if normal(column.data_type()) != *field.data_type() {
            let error =
                unreadable(format!("the column `{name}` of the table has another type now"), &self.at.path);
            return Err(error.with_hint(CHANGED));
        }
        cast(column, field.data_type()).map_err(|e| {
            unreadable(format!("the column `{name}` cannot be read"), &self.at.path).caused_by(e)
        })
    }
}

const CHANGED: &str =
    "Queries are planned with the columns that a table has at their start: start again to take the new ones.";

/// The columns as queries see them: with the types of the SQL dialect, each may be NULL.
pub(super) fn columns(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| Field::new(field.name(), normal(field.data_type()), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Fields>()))
}

/// The one type of several that hold the same values.
fn normal(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(normal(field.data_type())));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => normal(value),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => ddl::timestamp(),
        DataType::LargeList(field) | DataType::ListView(field) | DataType::List(field) => {
            DataType::List(inner(field))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}
