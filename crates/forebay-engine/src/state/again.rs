//! Changes that are written as what they followed from.
//!
//! A detector may remember kilobytes of a key and learn sixteen bytes of a row: what it learned is what the changelog gets, and a restart
//! learns it a second time, from the snapshot on; by the settings of then, where a threshold was changed in between. Who reads state
//! without its query, to show it, knows the keys of such rows and nothing else of them.

use std::collections::HashSet;

use arrow::array::{Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use forebay_core::Result;

use super::error::{arrow_failed, bug};
use super::table::Table;
use super::{Changes, Layout, NEVER, Upserts};

/// The changes of a record as a table takes them; `layout` is the query's own, or that of a file.
pub(super) fn made(layout: &Layout, table: &Table, changes: Changes) -> Result<Changes> {
    let Some(cause) = &changes.cause else { return Ok(changes) };
    let made = match &layout.again {
        Some(again) => again.changes(table, cause)?,
        None => keys_alone(layout, table, cause)?,
    };
    Ok(Changes { upserts: made.upserts, found: made.found, cause: None, ..changes })
}

/// A row for each key that is not there yet, without values.
fn keys_alone(layout: &Layout, table: &Table, cause: &RecordBatch) -> Result<Changes> {
    let keys = cause.columns().get(..layout.keys.len()).ok_or_else(|| bug("a cause without its keys"))?;
    let encoded = table.encode(keys)?;
    let mut met = HashSet::new();
    let rows = (0u32..).zip(encoded.iter().zip(table.find(&encoded)));
    let new = rows.filter(|(_, (key, slot))| slot.is_none() && met.insert(key.data().to_vec()));
    let new: UInt32Array = new.map(|(row, _)| row).collect();
    let keys = keys.iter().map(|key| take(key, &new, None)).collect::<Result<Vec<_>, _>>();
    let values = layout.values.fields().iter().map(|it| new_null_array(it.data_type(), new.len()));
    let upserts = Upserts::taken(
        &keys.map_err(|e| arrow_failed(&e))?,
        Int64Array::from(vec![NEVER; new.len()]),
        &values.collect::<Vec<_>>(),
    );
    Ok(Changes { upserts: Some(upserts), ..Changes::default() })
}
