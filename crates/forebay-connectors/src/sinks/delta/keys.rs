//! The keys of update mode: by which values of a row another one is found whose place it takes.
//!
//! What must stay true: two keys are equal here if and only if Spark groups them together. NULL equals NULL, every
//! NaN every other, and -0.0 equals 0.0. Keys are compared as the table has them, so after widening, and an empty text
//! in a partition column is NULL.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow::array::{Float32Array, Float64Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, kernels::cmp, nullif, take};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::fit::{Fit, Home};
use super::prune::Span;

/// A column of the keys.
#[derive(Debug)]
struct KeyColumn {
    /// In the table.
    name: String,
    ty: DataType,
    home: Home,
}

/// The key columns of a query in its table.
#[derive(Debug)]
pub(crate) struct KeyShape {
    columns: Vec<KeyColumn>,
    converter: RowConverter,
    /// Of those that are partition columns.
    of_place: RowConverter,
}

/// The keys of an epoch's rows.
#[derive(Debug, Default)]
pub(crate) struct EpochKeys {
    keys: HashSet<Box<[u8]>>,
    /// Their values in the partition columns.
    places: HashSet<Box<[u8]>>,
    /// What lies in the other columns, leaf by leaf.
    spans: BTreeMap<Vec<String>, Span>,
}

/// The types of keys that are compared; `None` if rows cannot be known by a column of this type.
pub(crate) fn comparable(ty: &DataType) -> Option<DataType> {
    let renew = |field: &Field| Some(Field::new(field.name(), comparable(field.data_type())?, true));
    let ty = match ty {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| renew(field)).collect::<Option<_>>()?)
        }
        DataType::List(item) => DataType::List(renew(item)?.into()),
        other => other.clone(),
    };
    RowConverter::supports_fields(&[SortField::new(ty.clone())]).then_some(ty)
}

impl KeyShape {
    /// The columns of these names of the query.
    pub fn new(fit: &Fit, input: &Schema, names: &[String]) -> Result<Self> {
        let mut columns = Vec::new();
        for name in names {
            let found = input.index_of(name).ok().and_then(|at| fit.home(at));
            let found =
                found.and_then(|(table_name, target, home)| Some((table_name, comparable(target)?, home)));
            let Some((table_name, ty, home)) = found else {
                return Err(Error::new(&codes::INTERNAL, format!("no key column `{name}`")));
            };
            columns.push(KeyColumn { name: table_name.to_owned(), ty, home });
        }
        let converter = |place_only: bool| {
            let columns =
                columns.iter().filter(|column| !place_only || matches!(column.home, Home::Partition(_)));
            RowConverter::new(columns.map(|column| SortField::new(column.ty.clone())).collect())
                .map_err(unfit)
        };
        Ok(Self { converter: converter(false)?, of_place: converter(true)?, columns })
    }

    /// The names of the key columns that stand in data files.
    pub fn data_names(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .filter(|column| matches!(column.home, Home::Data(_)))
            .map(|column| column.name.as_str())
    }

    /// The values of the key columns that are partition columns, from the log, one row each, in their order.
    pub fn constants(&self, values: &BTreeMap<String, Option<String>>) -> Result<Vec<ArrayRef>> {
        let of_place = self.columns.iter().filter(|column| matches!(column.home, Home::Partition(_)));
        of_place
            .map(|column| {
                let text =
                    values.get(&column.name).and_then(Option::as_deref).filter(|text| !text.is_empty());
                let value = from_text(text, &column.ty).and_then(|value| comparably(&value, &column.ty));
                value.map_err(|e| {
                    let message = format!("a value of the partition column `{}` cannot be read", column.name);
                    Error::new(&codes::SINK_UNSUPPORTED, message).caused_by(e)
                })
            })
            .collect()
    }

    /// The keys of rows in a data file of a partition.
    pub fn of_file(&self, batch: &RecordBatch, constants: &[ArrayRef]) -> Result<Rows> {
        let rows = batch.num_rows();
        let mut constants = constants.iter();
        let column = |column: &KeyColumn| match column.home {
            Home::Data(_) => match batch.column_by_name(&column.name) {
                Some(values) => comparably(values, &column.ty),
                // The column is younger than the file.
                None => Ok(new_null_array(&column.ty, rows)),
            },
            Home::Partition(_) => match constants.next() {
                Some(value) => take(value.as_ref(), &UInt32Array::from(vec![0; rows]), None),
                None => Ok(new_null_array(&column.ty, rows)),
            },
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
        self.converter.convert_columns(&columns).map_err(unfit)
    }
}

impl EpochKeys {
    /// Adds the keys of rows as [`Fit::apply`] gave them.
    pub fn add(&mut self, shape: &KeyShape, data: &RecordBatch, partition: &[ArrayRef]) -> Result<()> {
        let (mut columns, mut of_place) = (Vec::new(), Vec::new());
        for column in &shape.columns {
            let values = match column.home {
                Home::Data(at) => data.columns().get(at),
                Home::Partition(at) => partition.get(at),
            };
            let values = values.ok_or_else(|| Error::new(&codes::INTERNAL, "a batch lacks a key column"))?;
            let mut values = comparably(values, &column.ty).map_err(unfit)?;
            if matches!(column.home, Home::Partition(_)) {
                values = without_empty(values).map_err(unfit)?;
                of_place.push(values.clone());
            } else {
                Span::over(&column.name, &values, &mut self.spans);
            }
            columns.push(values);
        }
        let rows = shape.converter.convert_columns(&columns).map_err(unfit)?;
        self.keys.extend(rows.iter().map(|row| Box::from(row.data())));
        if !of_place.is_empty() {
            let rows = shape.of_place.convert_columns(&of_place).map_err(unfit)?;
            for row in &rows {
                if !self.places.contains(row.data()) {
                    self.places.insert(row.data().into());
                }
            }
        }
        Ok(())
    }

    /// Adds those of another lane.
    pub fn join(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.places.extend(other.places);
        for (path, span) in other.spans {
            match self.spans.get_mut(&path) {
                Some(known) => known.join(span),
                None => drop(self.spans.insert(path, span)),
            }
        }
    }

    /// True if a file in this partition and with these statistics may hold rows with any of the keys.
    pub fn may_be_in(&self, shape: &KeyShape, constants: &[ArrayRef], stats: Option<&str>) -> Result<bool> {
        if !constants.is_empty() {
            let rows = shape.of_place.convert_columns(constants).map_err(unfit)?;
            if !rows.iter().any(|row| self.places.contains(row.data())) {
                return Ok(false);
            }
        }
        let Some(stats) = stats.and_then(|text| serde_json::from_str(text).ok()) else { return Ok(true) };
        Ok(self.spans.values().all(|span| span.may_be_in(&stats)))
    }

    /// True if the key is one of the epoch's.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains(key)
    }
}

/// The values in the type in which keys are compared, and equal where Spark finds them equal.
fn comparably(values: &ArrayRef, ty: &DataType) -> Result<ArrayRef, ArrowError> {
    let checked = CastOptions { safe: false, ..CastOptions::default() };
    let values =
        if values.data_type() == ty { values.clone() } else { cast_with_options(values, ty, &checked)? };
    normalised(&values)
}

fn normalised(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match values.data_type() {
        DataType::Float32 => {
            let equal = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(equal))
        }
        DataType::Float64 => {
            let equal = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(equal))
        }
        DataType::Struct(fields) => {
            let values = values.as_struct();
            let columns = values.columns().iter().map(normalised).collect::<Result<Vec<_>, _>>()?;
            let length = values.len();
            Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                values.nulls().cloned(),
                length,
            )?)
        }
        DataType::List(item) => {
            let values = values.as_list::<i32>();
            let (offsets, nulls) = (values.offsets().clone(), values.nulls().cloned());
            Arc::new(ListArray::try_new(item.clone(), offsets, normalised(values.values())?, nulls)?)
        }
        _ => values.clone(),
    })
}

/// Empty texts of a partition column as the table has them.
fn without_empty(values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    if *values.data_type() != DataType::Utf8 {
        return Ok(values);
    }
    nullif(&values, &cmp::eq(&values, &StringArray::new_scalar(""))?)
}

/// A partition's value, one row, from the log's text.
fn from_text(text: Option<&str>, ty: &DataType) -> Result<ArrayRef, ArrowError> {
    let float = |e: std::num::ParseFloatError| ArrowError::CastError(e.to_string());
    Ok(match ty {
        DataType::Float32 => {
            Arc::new(Float32Array::from(vec![text.map(str::parse).transpose().map_err(float)?]))
        }
        DataType::Float64 => {
            Arc::new(Float64Array::from(vec![text.map(str::parse).transpose().map_err(float)?]))
        }
        _ => {
            let checked = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&StringArray::from(vec![text]), ty, &checked)?
        }
    })
}

fn unfit(error: ArrowError) -> Error {
    Error::new(&codes::SINK_SCHEMA, "the key columns of a data file do not fit the query's").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    use arrow::array::{Date32Array, Decimal128Array, TimestampMicrosecondArray};

    #[test]
    fn floats_are_equal_where_spark_groups_them() {
        let odd = f64::from_bits(0xfff8_0000_0000_0001);
        let floats =
            Arc::new(Float64Array::from(vec![Some(-0.0), Some(0.0), Some(odd), Some(f64::NAN), None]));
        let inside = Field::new("f", DataType::Float64, true);
        let both = StructArray::try_new(vec![inside].into(), vec![floats.clone()], None).unwrap();
        for array in [floats as ArrayRef, Arc::new(both)] {
            let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())]).unwrap();
            let rows = converter.convert_columns(&[normalised(&array).unwrap()]).unwrap();
            assert_eq!(rows.row(0), rows.row(1));
            assert_eq!(rows.row(2), rows.row(3));
            assert_ne!(rows.row(3), rows.row(4));
        }
    }

    #[test]
    fn partition_values_are_read_in_every_form_that_writers_use() {
        let time = |micros| TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        let cases: Vec<(&str, ArrayRef)> = vec![
            ("2023-11-14T22:13:20.000001Z", Arc::new(time(1_700_000_000_000_001))),
            ("2023-11-14 22:13:20.000001", Arc::new(time(1_700_000_000_000_001))),
            ("1969-12-31", Arc::new(Date32Array::from(vec![-1]))),
            ("-Infinity", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))),
            ("1.0E10", Arc::new(Float64Array::from(vec![1e10]))),
            (
                "-123.45",
                Arc::new(Decimal128Array::from(vec![-12345]).with_precision_and_scale(10, 2).unwrap()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(&from_text(Some(text), expected.data_type()).unwrap(), &expected, "{text}");
        }
        assert!(from_text(Some("x"), &DataType::Int32).is_err(), "never a silent NULL");
        assert!(from_text(None, &DataType::Float64).unwrap().is_null(0));
    }
}
