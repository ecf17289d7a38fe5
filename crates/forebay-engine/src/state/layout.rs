//! The layout of the tables as files keep it, and what may differ from it.
//!
//! Each file says in its first frame which tables its rows are of. So a file can be read without the query, and a query that
//! would misread what another kept is refused. Names of keys count, because a key of another meaning but of the same
//! type would be taken for the old one; names of values do not, they follow from the SQL's spelling. What an operator
//! computes counts by its [`MEANING`].

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use forebay_core::Result;

use super::batch;
use super::differs;
use super::error::other_state;
use super::frame::{Cursor, push_sized};
use super::{Layout, MEANING};

/// A table and the name of its operator, which stays the same over restarts.
pub(crate) type Named = (String, Arc<Layout>);

/// The columns of whole rows in a file: keys, expiry, values.
pub(super) fn row_schema(layout: &Layout) -> SchemaRef {
    let plain = |field: &FieldRef| Field::new(field.name(), field.data_type().clone(), true);
    let expires = Field::new("expires", DataType::Int64, false);
    let keys = layout.keys.iter().map(plain);
    let values = layout.values.fields().iter().map(plain);
    Arc::new(Schema::new(keys.chain([expires]).chain(values).collect::<Vec<_>>()))
}

/// The columns of keys alone.
pub(super) fn key_schema(layout: &Layout) -> SchemaRef {
    let plain = |field: &FieldRef| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(layout.keys.iter().map(plain).collect::<Vec<_>>()))
}

/// Writes the layouts of these tables.
pub(super) fn push(out: &mut Vec<u8>, tables: &[Named]) -> Result<()> {
    out.extend_from_slice(&(tables.len() as u32).to_le_bytes());
    for (name, layout) in tables {
        push_sized(out, |out| {
            out.extend_from_slice(name.as_bytes());
            Ok(())
        })?;
        out.extend_from_slice(&(layout.keys.len() as u32).to_le_bytes());
        let schema = row_schema(layout).as_ref().clone().with_metadata(layout.values.metadata().clone());
        push_sized(out, |out| batch::push_schema(out, &Arc::new(schema)))?;
    }
    Ok(())
}

/// Reads what [`push`] wrote; `None` if it is not that.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Vec<Named>> {
    let count = cursor.u32()?;
    (0..count).map(|_| read_table(cursor)).collect()
}

fn read_table(cursor: &mut Cursor<'_>) -> Option<Named> {
    let name = String::from_utf8(cursor.sized()?.to_vec()).ok()?;
    let keys = usize::try_from(cursor.u32()?).ok()?;
    let schema = batch::read_schema(cursor.sized()?).ok()?;
    let fields = schema.fields();
    let (keys, values) = (fields.get(..keys)?, fields.get(keys + 1..)?);
    let values = Arc::new(Schema::new(values.to_vec()).with_metadata(schema.metadata().clone()));
    Some((name, Layout::new(keys.to_vec(), values)))
}

/// For each table of the file at `path` the number of the same table among `wanted`.
///
/// # Errors
/// [`CHANGED`](super::error::CHANGED), saying every difference.
pub(super) fn same(kept: &[Named], wanted: &[Named], path: &Path) -> Result<Vec<usize>> {
    let (mut numbers, mut differences) = (Vec::new(), Vec::new());
    for (name, layout) in kept {
        match wanted.iter().position(|(wanted, _)| wanted == name) {
            Some(number) => {
                differences.extend(difference(differs::operator(name), layout, &wanted[number].1));
                numbers.push(number);
            }
            None => differences.push(format!("`{}` is gone", differs::operator(name))),
        }
    }
    let new = wanted.iter().filter(|(name, _)| !kept.iter().any(|(kept, _)| kept == name));
    differences.extend(new.map(|(name, _)| format!("`{}` is new", differs::operator(name))));
    if differences.is_empty() {
        return Ok(numbers);
    }
    // The tables of one operator differ by the same.
    let mut told: Vec<String> = Vec::new();
    for difference in differences {
        if !told.contains(&difference) {
            told.push(difference);
        }
    }
    Err(other_state(told.join("; ")).at(path.display()))
}

/// What differs in a table of the operator `name`: what it means, if that says it.
fn difference(name: &str, kept: &Layout, wanted: &Layout) -> Option<String> {
    let meaning = |of: &Layout| of.values.metadata().get(MEANING).cloned();
    if let Some((was, is)) = meaning(kept).zip(meaning(wanted)).filter(|(was, is)| was != is) {
        return Some(format!("`{name}`: {}", differs::told(&was, &is)));
    }
    let is_same = |a: &FieldRef, b: &FieldRef| a.data_type().equals_datatype(b.data_type());
    let keys_are_same = kept.keys.len() == wanted.keys.len()
        && kept.keys.iter().zip(&wanted.keys).all(|(a, b)| a.name() == b.name() && is_same(a, b));
    if !keys_are_same {
        return Some(format!("the key of `{name}` was ({}), is ({})", keys(kept), keys(wanted)));
    }
    let (a, b) = (kept.values.fields(), wanted.values.fields());
    let values_are_same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b));
    let told = || format!("what `{name}` keeps of a key was ({}), is ({})", values(kept), values(wanted));
    (!values_are_same).then(told)
}

fn keys(layout: &Layout) -> String {
    let keys = layout.keys.iter().map(|field| format!("{} {}", field.name(), field.data_type()));
    keys.collect::<Vec<_>>().join(", ")
}

fn values(layout: &Layout) -> String {
    let types = layout.values.fields().iter().map(|field| field.data_type().to_string());
    types.collect::<Vec<_>>().join(", ")
}
