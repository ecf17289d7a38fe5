//! A late row as the table keeps it: without the columns that the planner put beside its own, and with the reason beside it.
//!
//! What must stay true: the columns have different names. The rows of a join may have two of one name; by then nobody knows
//! whose they are, so the second gets a number, in the order of FROM.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StructArray, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow::compute::{can_cast_types, cast};
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
    // The planner puts them last, whatever the others are called.
    let last = |name: &str| {
        let at = late.rows.schema_ref().fields().iter().rposition(|field| field.name() == name);
        at.map(|at| late.rows.column(at))
    };
    let of_record = |name: &str, part: &str| match (last(name), type_of(parts, part)) {
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
    let own = own.filter(|(field, _)| !is_hidden(field.name())).map(|(_, column)| Arc::clone(column));
    let columns = own.chain([reason]).collect();
    RecordBatch::try_new(kept(&schema), columns)
}

/// The columns that rows with these have in their table.
pub(super) fn kept(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for field in schema.fields().iter().filter(|field| !is_hidden(field.name())) {
        fields.push(numbered(field, &fields));
    }
    fields.push(Arc::new(late_field()));
    Arc::new(Schema::new(fields))
}

/// A column whose name none of these has: its own, or that with a number.
fn numbered(field: &Arc<Field>, taken: &[Arc<Field>]) -> Arc<Field> {
    // SQL does not tell upper case from lower.
    let is_taken = |name: &str| {
        let mut names = taken.iter().map(|field| field.name().as_str()).chain([LATE_COLUMN]);
        names.any(|other| other.eq_ignore_ascii_case(name))
    };
    if !is_taken(field.name()) {
        return Arc::clone(field);
    }
    let mut names = (2..).map(|number| format!("{}_{number}", field.name()));
    let free = names.find(|name| !is_taken(name)).unwrap_or_default();
    Arc::new(field.as_ref().clone().with_name(free))
}

/// The columns of all of these, each once, as a text where they have other types; [`LATE_COLUMN`](super::LATE_COLUMN) comes
/// last. `None` if there are none.
pub(super) fn together(schemas: &[SchemaRef]) -> Option<SchemaRef> {
    let first = schemas.first()?;
    if schemas.iter().all(|schema| schema == first) {
        return Some(Arc::clone(first));
    }
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        // Those that lack it are NULL.
        let field = field.as_ref().clone().with_nullable(true);
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) if known.data_type() != field.data_type() => {
                *known = Arc::new(field.with_data_type(DataType::Utf8));
            }
            Some(_) => {}
            None if field.name() == LATE_COLUMN => {}
            None => fields.push(Arc::new(field)),
        }
    }
    fields.push(Arc::new(late_field()));
    Some(Arc::new(Schema::new(fields)))
}

/// A batch with these columns: NULL where it has none of a name, or what is no text. `None` if it does not fit all the same.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    if batch.schema() == *schema {
        return Some(batch.clone());
    }
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Some(Arc::clone(column)),
        Some(column) if can_cast_types(column.data_type(), field.data_type()) => {
            cast(column, field.data_type()).ok()
        }
        _ => Some(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns: Option<Vec<ArrayRef>> = schema.fields().iter().map(column).collect();
    // A column that may not be NULL now and was not there then: another table.
    RecordBatch::try_new(Arc::clone(schema), columns?).ok()
}

fn type_of<'f>(fields: &'f Fields, name: &str) -> Option<&'f DataType> {
    fields.find(name).map(|(_, field)| field.data_type())
}
