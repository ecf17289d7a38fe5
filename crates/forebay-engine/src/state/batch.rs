//! Columns as bytes, in Arrow's IPC form, which keeps types and is stable over versions.
//!
//! Uncompressed: what is written often is small, what is large is written in the background, and restoring is as quick
//! as the disk.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use forebay_core::Result;

use super::columns::conform;
use super::error::arrow_failed;
use super::layout::{key_schema, row_schema};
use super::{Layout, Upserts};

/// Appends whole rows.
pub(super) fn push_rows(out: &mut Vec<u8>, layout: &Layout, rows: &Upserts) -> Result<()> {
    let mut columns = rows.keys.clone();
    columns.push(Arc::new(rows.expires.clone()));
    columns.extend(rows.values.iter().cloned());
    push(out, &row_schema(layout), Some((columns, rows.expires.len())))
}

/// Appends keys.
pub(super) fn push_keys(out: &mut Vec<u8>, layout: &Layout, keys: &[ArrayRef]) -> Result<()> {
    let rows = keys.first().map_or(0, |key| key.len());
    push(out, &key_schema(layout), Some((keys.to_vec(), rows)))
}

/// Appends columns of whatever types, with their names.
pub(super) fn push_batch(out: &mut Vec<u8>, batch: &RecordBatch) -> Result<()> {
    push(out, &batch.schema(), Some((batch.columns().to_vec(), batch.num_rows())))
}

/// Appends a schema without rows.
pub(super) fn push_schema(out: &mut Vec<u8>, schema: &SchemaRef) -> Result<()> {
    push(out, schema, None)
}

fn push(out: &mut Vec<u8>, schema: &SchemaRef, rows: Option<(Vec<ArrayRef>, usize)>) -> Result<()> {
    let write = || {
        let mut writer = StreamWriter::try_new(out, schema)?;
        if let Some((columns, rows)) = rows {
            let columns: Vec<ArrayRef> = columns
                .iter()
                .zip(schema.fields())
                .map(|(array, field)| conform(array, field.data_type()))
                .collect::<Result<_, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            writer.write(&RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)?;
        }
        writer.finish()
    };
    write().map_err(|e: ArrowError| arrow_failed(&e))
}

/// The schema that [`push_schema`] wrote.
pub(super) fn read_schema(bytes: &[u8]) -> Result<SchemaRef, ArrowError> {
    Ok(StreamReader::try_new(bytes, None)?.schema())
}

/// What [`push_batch`] wrote.
pub(super) fn read_batch(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut batches = StreamReader::try_new(bytes, None)?;
    batches.next().ok_or_else(|| ArrowError::IpcError("there are no rows where rows should be".to_owned()))?
}

/// The columns that were written.
pub(super) fn read_columns(bytes: &[u8]) -> Result<Vec<ArrayRef>, ArrowError> {
    Ok(read_batch(bytes)?.columns().to_vec())
}

/// The whole rows that [`push_rows`] wrote.
pub(super) fn read_rows(bytes: &[u8], layout: &Layout) -> Result<Upserts, ArrowError> {
    let mut columns = read_columns(bytes)?;
    let keys = layout.keys.len();
    if columns.len() != keys + 1 + layout.values.fields().len() {
        return Err(ArrowError::IpcError("another number of columns".to_owned()));
    }
    let values = columns.split_off(keys + 1);
    let expires = columns.pop().and_then(|column| column.as_primitive_opt().cloned());
    let expires = expires.ok_or_else(|| ArrowError::IpcError("no column of expiry".to_owned()))?;
    Ok(Upserts { keys: columns, expires, values })
}
