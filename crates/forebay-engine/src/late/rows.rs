//! A late row as the table keeps it: without the columns that the planner put beside its own, and with the reason beside it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StructArray, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use forebay_core::error::codes;
use forebay_core::event_time::Times;
use forebay_core::{Epoch, Error, Result};

use super::{LATE_COLUMN, late_field};
use crate::operators::LateRows;
use crate::plan::is_hidden;

/// The rows with [`LATE_COLUMN`](super::LATE_COLUMN) as their last column.
pub(super) fn with_reason(late: &LateRows, times: Times, epoch: Epoch) -> Result<RecordBatch> {
    build(late, times, epoch)
        .map_err(|e| Error::new(&codes::INTERNAL, "late rows do not fit into their table").caused_by(e))
}

fn build(late: &LateRows, times: Times, epoch: Epoch) -> Result<RecordBatch, ArrowError> {
    let rows = late.rows.num_rows();
    let field = late_field();
    let DataType::Struct(parts) = field.data_type() else {
        return Err(ArrowError::SchemaError("the reason is a struct".to_owned()));
    };
    let of_record = |name: &str, part: &str| match (late.rows.column_by_name(name), type_of(parts, part)) {
        (Some(column), Some(data_type)) => cast(column, data_type),
        (None, Some(data_type)) => Ok(new_null_array(data_type, rows)),
        (_, None) => Err(ArrowError::SchemaError(format!("the reason has no `{part}`"))),
    };
    let time = |values: TimestampMicrosecondArray| -> ArrayRef { Arc::new(values.with_timezone("UTC")) };
    let window: ArrayRef = match (&late.missed, type_of(parts, "window")) {
        (Some((starts, ends)), Some(DataType::Struct(bounds))) => {
            let columns = vec![time(starts.clone()), time(ends.clone())];
            Arc::new(StructArray::try_new(bounds.clone(), columns, None)?)
        }
        (_, Some(data_type)) => new_null_array(data_type, rows),
        (_, None) => return Err(ArrowError::SchemaError("the reason has no `window`".to_owned())),
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(late.late_by_ms.clone()),
        time(late.event_times.clone()),
        window,
        time(TimestampMicrosecondArray::from_value(times.late.micros(), rows)),
        of_record("__topic", "topic")?,
        of_record("__partition", "partition")?,
        of_record("__offset", "offset")?,
        Arc::new(UInt64Array::from_value(epoch.0, rows)),
    ];
    let reason: ArrayRef = Arc::new(StructArray::try_new(parts.clone(), columns, None)?);
    let schema = late.rows.schema();
    let own = schema.fields().iter().zip(late.rows.columns());
    let (mut fields, mut columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = own
        .filter(|(field, _)| !is_hidden(field.name()))
        .map(|(field, column)| (Arc::clone(field), Arc::clone(column)))
        .unzip();
    fields.push(Arc::new(field.clone()));
    columns.push(reason);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The columns of all of these, each once, as the first has it that does; [`LATE_COLUMN`](super::LATE_COLUMN) comes last.
/// `None` if there are none.
pub(super) fn together(schemas: &[SchemaRef]) -> Option<SchemaRef> {
    let first = schemas.first()?;
    if schemas.iter().all(|schema| schema == first) {
        return Some(Arc::clone(first));
    }
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        if fields.iter().all(|known| known.name() != field.name()) && field.name() != LATE_COLUMN {
            // Those that lack it are NULL.
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
    }
    fields.push(Arc::new(late_field()));
    Some(Arc::new(Schema::new(fields)))
}

/// A batch with these columns: NULL where it has none of a name. `None` if one is of another type.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    if batch.schema() == *schema {
        return Some(batch.clone());
    }
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Some(Arc::clone(column)),
        Some(_) => None,
        None => Some(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns: Option<Vec<ArrayRef>> = schema.fields().iter().map(column).collect();
    // A column that may not be NULL now and was not there then: another table.
    RecordBatch::try_new(Arc::clone(schema), columns?).ok()
}

fn type_of<'f>(fields: &'f Fields, name: &str) -> Option<&'f DataType> {
    fields.find(name).map(|(_, field)| field.data_type())
}
