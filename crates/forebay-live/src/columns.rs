//! The columns of a decoded batch, bound to the fields of a layout: one look at the types for each batch, none for a row.
//!
//! Numbers of every width become `f64`, times microseconds, texts one kind of array. A struct that is null makes all below it
//! null. What must stay true: a value that JSON cannot carry (NaN, infinity) is null; a whole number that is shown is the one
//! that came, also where no `f64` is.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};

use crate::layout::{Field, Kind, Layout};
use crate::value::Value;

/// The columns of a batch, one for each field of the layout.
pub(crate) struct Columns {
    columns: Vec<Column>,
}

/// One column.
pub(crate) enum Column {
    /// The batch has nothing of the kind.
    Missing,
    Number(Float64Array, Option<NullBuffer>),
    /// A BIGINT, which is measured as a number and shown as it is.
    Long(Int64Array, Option<NullBuffer>),
    /// Microseconds since 1970.
    Time(Vec<i64>, Option<NullBuffer>),
    /// Whole numbers as they are, for keys and labels: beyond 2^53 an `f64` would merge two of them.
    Whole(Int64Array, Option<NullBuffer>),
    Bool(BooleanArray, Option<NullBuffer>),
    Text(StringArray, Option<NullBuffer>),
}

impl Columns {
    /// Binds a batch of the layout's schema.
    pub fn bind(layout: &Layout, rows: &RecordBatch) -> Self {
        let bind = |(index, field): (usize, &Field)| {
            reach(rows, &field.path)
                .and_then(|(array, nulls)| {
                    Column::of(
                        &array,
                        nulls,
                        field.kind,
                        layout.key == Some(index) || layout.labels.contains(&index),
                    )
                })
                .unwrap_or(Column::Missing)
        };
        Self { columns: layout.fields.iter().enumerate().map(bind).collect() }
    }

    pub fn of(&self, field: usize) -> &Column {
        &self.columns[field]
    }

    /// Puts a row's value into its cell, if it has one.
    pub fn show(&self, field: usize, row: usize, cell: &mut Value) {
        let column = &self.columns[field];
        if column.is_null(row) {
            return;
        }
        match column {
            Column::Missing => {}
            Column::Number(array, _) => *cell = Value::Number(array.value(row)),
            Column::Long(array, _) | Column::Whole(array, _) => *cell = Value::from(array.value(row)),
            Column::Time(times, _) => *cell = Value::time(times[row]),
            Column::Bool(array, _) => *cell = Value::Bool(array.value(row)),
            Column::Text(array, _) => cell.set_text(array.value(row)),
        }
    }
}

impl Column {
    fn of(array: &ArrayRef, nulls: Option<NullBuffer>, kind: Kind, names: bool) -> Option<Self> {
        let is_long = matches!(array.data_type(), DataType::Int64);
        let wanted = match kind {
            Kind::Number if is_long => None,
            Kind::Number if names => Some(DataType::Int64),
            Kind::Number => Some(DataType::Float64),
            Kind::Text => Some(DataType::Utf8),
            Kind::Bool | Kind::Time => None,
        };
        let plain = match wanted {
            Some(wanted) => cast(array, &wanted).ok()?,
            None => array.clone(),
        };
        // What does not fit into the wider type became null.
        let nulls = NullBuffer::union(nulls.as_ref(), plain.logical_nulls().as_ref());
        Some(match kind {
            Kind::Number if names => Self::Whole(plain.as_primitive::<Int64Type>().clone(), nulls),
            Kind::Number if is_long => Self::Long(plain.as_primitive::<Int64Type>().clone(), nulls),
            Kind::Number => Self::Number(plain.as_primitive::<Float64Type>().clone(), nulls),
            Kind::Text => Self::Text(plain.as_string::<i32>().clone(), nulls),
            Kind::Bool => Self::Bool(plain.as_boolean_opt()?.clone(), nulls),
            Kind::Time => Self::Time(microseconds(&plain)?, nulls),
        })
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Missing => None,
            Self::Number(_, nulls)
            | Self::Time(_, nulls)
            | Self::Long(_, nulls)
            | Self::Whole(_, nulls)
            | Self::Bool(_, nulls)
            | Self::Text(_, nulls) => nulls.as_ref(),
        }
    }

    /// True if the row holds nothing that can be shown.
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Missing => true,
            Self::Number(array, nulls) => {
                nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) || !array.value(row).is_finite()
            }
            other => other.nulls().is_some_and(|nulls| nulls.is_null(row)),
        }
    }

    /// The row's number, if the column has numbers and the row a finite one.
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Number(array, _) if !self.is_null(row) => Some(array.value(row)),
            Self::Long(array, _) if !self.is_null(row) => Some(array.value(row) as f64),
            _ => None,
        }
    }
}

/// The array at the end of a path, with the nulls of all that is above it.
fn reach(rows: &RecordBatch, path: &[usize]) -> Option<(ArrayRef, Option<NullBuffer>)> {
    let (first, rest) = path.split_first()?;
    let mut array = rows.columns().get(*first)?.clone();
    let mut nulls = array.logical_nulls();
    for index in rest {
        let inner = array.as_struct_opt()?.columns().get(*index)?.clone();
        nulls = NullBuffer::union(nulls.as_ref(), inner.logical_nulls().as_ref());
        array = inner;
    }
    Some((array, nulls))
}

fn microseconds(array: &ArrayRef) -> Option<Vec<i64>> {
    const DAY: i64 = 86_400_000_000;
    let (numerator, denominator) = match array.data_type() {
        DataType::Date32 => (DAY, 1),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => (1_000, 1),
        DataType::Timestamp(TimeUnit::Second, _) => (1_000_000, 1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => (1, 1),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (1, 1_000),
        _ => return None,
    };
    // A date has 32 bits, and is cast to a number of the same width first.
    let whole = match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32).ok()?, &DataType::Int64).ok()?,
        _ => cast(array, &DataType::Int64).ok()?,
    };
    let whole = whole.as_primitive::<Int64Type>();
    Some(whole.values().iter().map(|value| value.saturating_mul(numerator).div_euclid(denominator)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Int16Array, StringViewArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field as ArrowField, Fields, Schema};

    use super::*;

    fn batch(name: &str, array: ArrayRef) -> (Layout, RecordBatch) {
        let schema = Arc::new(Schema::new(vec![ArrowField::new(name, array.data_type().clone(), true)]));
        (Layout::new(&schema, None, &[]), RecordBatch::try_new(schema, vec![array]).unwrap())
    }

    #[test]
    fn numbers_of_every_kind_are_read_and_what_is_none_is_null() {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int16Array::from(vec![Some(7), None])),
            Arc::new(Float64Array::from(vec![7.0, f64::NAN])),
            Arc::new(Float64Array::from(vec![7.0, f64::INFINITY])),
            Arc::new(Decimal128Array::from(vec![Some(700), None]).with_precision_and_scale(10, 2).unwrap()),
        ];
        for array in arrays {
            let (layout, rows) = batch("v", array);
            let columns = Columns::bind(&layout, &rows);
            assert_eq!((columns.of(0).number(0), columns.of(0).number(1)), (Some(7.0), None));
        }
    }

    #[test]
    fn a_bigint_is_measured_as_a_number_and_shown_as_it_is() {
        let (layout, rows) = batch("v", Arc::new(Int64Array::from(vec![i64::MAX - 1])));
        let columns = Columns::bind(&layout, &rows);
        let mut cell = Value::Null;
        columns.show(0, 0, &mut cell);
        assert_eq!((cell, columns.of(0).number(0)), (Value::Whole(i64::MAX - 1), Some(i64::MAX as f64)));
    }

    #[test]
    fn times_become_microseconds_also_before_1970() {
        let arrays: Vec<(ArrayRef, Vec<i64>)> = vec![
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_500, -1]).with_timezone("UTC")),
                vec![1_500, -1],
            ),
            (Arc::new(Date32Array::from(vec![1, -1])), vec![86_400_000_000, -86_400_000_000]),
        ];
        for (array, expected) in arrays {
            let (layout, rows) = batch("at", array);
            let Column::Time(times, _) = &Columns::bind(&layout, &rows).columns[0] else { panic!() };
            assert_eq!(*times, expected);
        }
    }

    #[test]
    fn what_is_in_a_null_struct_is_null() {
        let inner: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
        let fields = Fields::from(vec![ArrowField::new("v", DataType::Float64, true)]);
        let outer = StructArray::new(fields, vec![inner], Some(NullBuffer::from(vec![true, false])));
        let (layout, rows) = batch("s", Arc::new(outer));
        let columns = Columns::bind(&layout, &rows);
        assert_eq!((columns.of(0).number(0), columns.of(0).number(1)), (Some(1.0), None));
    }

    #[test]
    fn a_batch_of_another_shape_has_missing_columns_only() {
        let (layout, _) = batch("v", Arc::new(Float64Array::from(vec![1.0])));
        let (_, other) = batch("w", Arc::new(StringViewArray::from(vec!["x"])));
        assert!(Columns::bind(&layout, &other).of(0).is_null(0));
    }
}
