//! How rows come out: by time, then by key, with windows as structs.
//!
//! The order follows from the rows alone, so it is the same however they came: from how many lanes, in how many epochs,
//! before or after a restart.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, RecordBatchOptions, StructArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use arrow::row::{RowConverter, SortField};
use forebay_core::Result;

use super::keys::Interner;
use super::{broken, misplaced};

/// The indices of rows in their order. `times` are those of the rows, if they have any.
///
/// Keys are compared once each and not once for each of their rows: there are mostly many windows of few keys.
pub(super) fn in_order(
    times: Option<&[i64]>,
    fields: &[FieldRef],
    keys: &[ArrayRef],
    rows: usize,
) -> Result<UInt32Array> {
    let mut interner = Interner::new(fields)?;
    let ids = interner.intern(keys, rows)?.0.to_vec();
    let ranks = if fields.is_empty() { vec![0] } else { ranks(fields, &interner.emit()?)? };
    let time = |row: usize| times.and_then(|times| times.get(row)).copied().unwrap_or(0);
    let rank = |id: usize| ranks.get(id).copied().unwrap_or(0);
    let mut order: Vec<(i64, u32, u32)> =
        ids.iter().enumerate().map(|(row, id)| (time(row), rank(*id), row as u32)).collect();
    if !order.is_sorted() {
        order.sort_unstable();
    }
    Ok(order.into_iter().map(|(_, _, row)| row).collect::<Vec<_>>().into())
}

/// Which place each of these distinct keys has among them.
fn ranks(fields: &[FieldRef], keys: &[ArrayRef]) -> Result<Vec<u32>> {
    let sort = fields.iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows =
        RowConverter::new(sort).and_then(|converter| converter.convert_columns(keys)).map_err(broken)?;
    let mut sorted: Vec<_> = rows.iter().enumerate().map(|(id, row)| (row, id)).collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; sorted.len()];
    for (rank, (_, id)) in sorted.into_iter().enumerate() {
        if let Some(place) = ranks.get_mut(id) {
            *place = rank as u32;
        }
    }
    Ok(ranks)
}

/// A column of spans of time, STRUCT<start, end> as the field of this position says.
pub(super) fn spans(
    schema: &SchemaRef,
    position: usize,
    starts: Vec<i64>,
    ends: Vec<i64>,
) -> Result<ArrayRef> {
    let Some(DataType::Struct(fields)) = schema.fields().get(position).map(|field| field.data_type()) else {
        return Err(misplaced());
    };
    let bounds = [starts, ends].into_iter().zip(fields.iter()).map(|(bound, field)| {
        let DataType::Timestamp(TimeUnit::Microsecond, zone) = field.data_type() else {
            return Err(misplaced());
        };
        Ok(Arc::new(TimestampMicrosecondArray::from(bound).with_timezone_opt(zone.clone())) as ArrayRef)
    });
    let columns = bounds.collect::<Result<_>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None).map_err(broken)?))
}

/// Rows of this schema, of which there may be some even if it has no columns.
pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(broken)
}
