//! Keys: computed, made comparable, numbered.
//!
//! Two keys are one if Spark holds them for one: NULL equals NULL, every NaN equals every other, and -0.0 equals 0.0 in
//! GROUP BY but not in de-duplication, which goes by a number's bits there. Float values are made one before anything
//! hashes or compares them, also inside of structs and lists.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int8Array, ListArray, PrimitiveArray, RecordBatch, StructArray, new_empty_array,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Float32Type, Float64Type, Schema};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use forebay_core::Result;

use super::{broken, evaluate, failed};

/// The key columns of these rows, comparable.
pub(super) fn evaluate_keys(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    keys.iter().map(|key| evaluate(key, batch).map(|column| normalised(&column, Zeros::Same))).collect()
}

/// The key of a table whose rows are one: a table has a key column.
pub(super) fn everything_field() -> FieldRef {
    Arc::new(Field::new("everything", DataType::Int8, false))
}

/// That one key.
pub(super) fn everything() -> ArrayRef {
    Arc::new(Int8Array::from(vec![0]))
}

/// Which zeros are one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// -0.0 is 0.0: GROUP BY.
    Same,
    /// They differ: de-duplication.
    Apart,
}

/// The column with one NaN and, if they are to be the same, one zero.
pub(crate) fn normalised(column: &ArrayRef, zeros: Zeros) -> ArrayRef {
    let same = zeros == Zeros::Same;
    match column.data_type() {
        DataType::Float64 => floats::<Float64Type>(column, |value| {
            let one = if value.is_nan() { f64::NAN } else { value + if same { 0.0 } else { -0.0 } };
            (one.to_bits() != value.to_bits()).then_some(one)
        }),
        DataType::Float32 => floats::<Float32Type>(column, |value| {
            let one = if value.is_nan() { f32::NAN } else { value + if same { 0.0 } else { -0.0 } };
            (one.to_bits() != value.to_bits()).then_some(one)
        }),
        DataType::Struct(fields) if fields.iter().any(|field| holds_floats(field.data_type())) => {
            let whole = column.as_struct();
            let columns = whole.columns().iter().map(|column| normalised(column, zeros)).collect();
            let rebuilt = StructArray::try_new(fields.clone(), columns, whole.nulls().cloned());
            rebuilt.map_or_else(|_| Arc::clone(column), |rebuilt| Arc::new(rebuilt))
        }
        DataType::List(field) if holds_floats(field.data_type()) => {
            let list = column.as_list::<i32>();
            let values = normalised(list.values(), zeros);
            let rebuilt =
                ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned());
            rebuilt.map_or_else(|_| Arc::clone(column), |rebuilt| Arc::new(rebuilt))
        }
        _ => Arc::clone(column),
    }
}

/// The column with those values replaced for which `other` has another one; mostly it has none.
fn floats<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    other: impl Fn(T::Native) -> Option<T::Native>,
) -> ArrayRef {
    let values = column.as_primitive::<T>();
    if values.values().iter().all(|value| other(*value).is_none()) {
        return Arc::clone(column);
    }
    let replaced: PrimitiveArray<T> = values.unary(|value| other(value).unwrap_or(value));
    Arc::new(replaced)
}

fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float32 | DataType::Float64 => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        DataType::List(field) => holds_floats(field.data_type()),
        _ => false,
    }
}

/// Numbers distinct keys from 0, in no order that one may rely on. Without key columns every row has the number 0.
pub(super) struct Interner {
    fields: Vec<FieldRef>,
    /// `None` without key columns.
    values: Option<Box<dyn GroupValues>>,
    ids: Vec<usize>,
}

impl Interner {
    pub fn new(fields: &[FieldRef]) -> Result<Self> {
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let values = match fields {
            [] => None,
            _ => Some(new_group_values(schema, &GroupOrdering::None).map_err(failed)?),
        };
        Ok(Self { fields: fields.to_vec(), values, ids: Vec::new() })
    }

    /// The numbers of these keys, and how many keys it knows now.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(&[usize], usize)> {
        match &mut self.values {
            None => {
                self.ids.clear();
                self.ids.resize(rows, 0);
            }
            Some(values) => values.intern(columns, &mut self.ids).map_err(failed)?,
        }
        let total = self.len();
        Ok((&self.ids, total))
    }

    /// How many keys it has seen; one if there are no key columns.
    pub fn len(&self) -> usize {
        self.values.as_ref().map_or(1, |values| values.len())
    }

    /// The keys in the order of their numbers. It knows none of them afterwards.
    pub fn emit(&mut self) -> Result<Vec<ArrayRef>> {
        let Some(values) = self.values.as_mut().filter(|values| !values.is_empty()) else {
            return Ok(self.fields.iter().map(|field| new_empty_array(field.data_type())).collect());
        };
        let columns = values.emit(EmitTo::All).map_err(failed)?;
        let typed = columns.into_iter().zip(&self.fields).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column)
            } else {
                cast(&column, field.data_type()).map_err(broken)
            }
        });
        typed.collect()
    }
}
