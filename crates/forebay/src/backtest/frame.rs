//! The rows of a table as their source would have decoded them.
//!
//! A column stands for the source's of the same name, in whatever case, and becomes its type. What the source has and the table has not is
//! NULL, unless a rule reads it. `_kafka` is made up: the event time is the record's, floored to milliseconds as Kafka has them, and
//! the place is the row's number in the order of time.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use forebay_core::error::codes;
use forebay_core::source::envelope_schema;
use forebay_core::{Error, Result};
use forebay_engine::plan::{KAFKA_COLUMN, type_name};

use super::Chosen;

/// How rows of a table become those of a source.
pub struct Frame {
    /// Of the source's own columns and [`KAFKA_COLUMN`].
    schema: SchemaRef,
    /// Of each of the source's own columns the name of the table's, if it has it and a rule reads it.
    columns: Vec<Option<String>>,
    topic: String,
}

impl Frame {
    /// The frame of these rules over a table of these columns.
    ///
    /// # Errors
    /// If the table lacks a column that one of them reads.
    pub fn new(chosen: &Chosen, table: &Schema, on: &str) -> Result<Self> {
        let mut read = BTreeSet::new();
        let mut own: Option<Vec<Arc<Field>>> = None;
        for rule in &chosen.rules {
            let input = rule.plan.only_input()?;
            let fields =
                input.schema().fields().iter().filter(|it| it.name() != KAFKA_COLUMN).cloned().collect();
            let fields: &Vec<_> = own.get_or_insert(fields);
            let reads = input.reads().into_iter().filter(|index| *index < fields.len());
            for index in reads {
                if let Some(field) = fields.get(index)
                    && found(table, field.name()).is_none()
                {
                    return Err(missing(&rule.config.name, field.name(), table, on));
                }
                read.insert(index);
            }
        }
        let mut fields = own.unwrap_or_default();
        let columns = fields.iter().enumerate();
        let columns =
            columns.map(|(index, field)| found(table, field.name()).filter(|_| read.contains(&index)));
        let columns = columns.collect();
        let kafka = DataType::Struct(envelope_schema().fields().clone());
        fields.push(Arc::new(Field::new(KAFKA_COLUMN, kafka, false)));
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns, topic: on.to_owned() })
    }

    /// The columns of the table that are read.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().flatten().map(String::as_str)
    }

    /// The source's rows out of the table's, whose first has this number; `micros` are their times.
    pub fn rows(&self, batch: &RecordBatch, micros: &[i64], first: i64) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let own = self.columns.iter().zip(self.schema.fields()).map(|(name, field)| {
            let Some(name) = name else { return Ok(new_null_array(field.data_type(), rows)) };
            let column = batch.column_by_name(name).ok_or_else(lost)?;
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            fitted(column, field.data_type()).map_err(|error| {
                let (has, wanted) = (type_name(column.data_type()), type_name(field.data_type()));
                let message =
                    format!("the column `{name}` of the table is {has} and cannot be the source's {wanted}");
                Error::new(&codes::TABLE_UNREADABLE, message).with_detail(error)
            })
        });
        let mut columns = own.collect::<Result<Vec<ArrayRef>>>()?;
        columns.push(self.kafka(micros, first)?);
        // Nothing of a table is promised to be there, so nothing of its source is.
        let fields = self.schema.fields().iter().map(|field| match field.name() == KAFKA_COLUMN {
            true => Arc::clone(field),
            false => Arc::new(Field::clone(field).with_nullable(true)),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
        RecordBatch::try_new(schema, columns).map_err(|e| lost().caused_by(e))
    }

    fn kafka(&self, micros: &[i64], first: i64) -> Result<ArrayRef> {
        let rows = micros.len();
        let schema = envelope_schema();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "value" => Arc::new(BinaryViewArray::new_null(rows)),
                "topic" => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.topic, rows))),
                "partition" | "timestampType" => Arc::new(Int32Array::from_value(0, rows)),
                "offset" => Arc::new(Int64Array::from_iter_values((first..).take(rows))),
                "timestamp" => {
                    let floored = micros.iter().map(|at| at.div_euclid(1_000) * 1_000);
                    Arc::new(TimestampMicrosecondArray::from_iter_values(floored).with_timezone("UTC"))
                }
                _ => new_null_array(field.data_type(), rows),
            }
        });
        let columns = columns.collect();
        let made = StructArray::try_new(schema.fields().clone(), columns, None);
        made.map(|it| Arc::new(it) as ArrayRef).map_err(|e| lost().caused_by(e))
    }
}

/// The values as this type; an error names one that is not the same as it.
fn fitted(column: &ArrayRef, data_type: &DataType) -> std::result::Result<ArrayRef, String> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let fitted = cast_with_options(column, data_type, &strict).map_err(|error| error.to_string())?;
    if let Some(row) = broken(column, &fitted).map_err(|error| error.to_string())? {
        let value = array_value_to_string(column, row).unwrap_or_default();
        return Err(format!("`{value}` is no whole number"));
    }
    Ok(fitted)
}

/// The first row whose number a cast to whole ones has cut.
fn broken(column: &ArrayRef, fitted: &ArrayRef) -> std::result::Result<Option<usize>, ArrowError> {
    if !fitted.data_type().is_integer() {
        return Ok(None);
    }
    if column.data_type().is_floating() {
        let numbers = cast(column, &DataType::Float64)?;
        let mut numbers = numbers.as_primitive::<Float64Type>().iter();
        return Ok(numbers.position(|number| number.is_some_and(|number| number.fract() != 0.0)));
    }
    if !column.data_type().is_decimal() {
        return Ok(None);
    }
    let is_same = eq(&cast(fitted, column.data_type())?, column)?;
    Ok(is_same.iter().position(|is_same| is_same == Some(false)))
}

/// The table's column of a name.
fn found(table: &Schema, name: &str) -> Option<String> {
    let exact = table.fields().iter().find(|field| field.name() == name);
    let any = || table.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
    exact.or_else(any).map(|field| field.name().clone())
}

fn missing(rule: &str, column: &str, table: &Schema, on: &str) -> Error {
    let message = format!("the alert `{rule}` reads `{column}`, and the table has no such column");
    let names: Vec<String> = table.fields().iter().map(|field| format!("`{}`", field.name())).collect();
    let hint = format!(
        "Columns are found by the names that the source gives them. The table has {}.",
        names.join(", ")
    );
    Error::new(&codes::TABLE_UNREADABLE, message).at(on).with_hint(hint)
}

fn lost() -> Error {
    Error::new(&codes::INTERNAL, "rows of a table do not fit their source")
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn a_number_that_is_not_whole_is_refused_where_the_source_has_whole_ones() {
        let of = |numbers: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(numbers)) };
        let whole = fitted(&of(vec![Some(3.0), None, Some(-0.0)]), &DataType::Int32).unwrap();
        let whole: Vec<_> = whole.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(whole, [Some(3), None, Some(0)]);
        let refused = |column: ArrayRef| fitted(&column, &DataType::Int32).unwrap_err();
        assert!(refused(of(vec![Some(3.0), Some(3.7)])).contains("`3.7` is no whole number"));
        for number in [3e9, f64::NAN, f64::INFINITY] {
            assert!(!refused(of(vec![Some(number)])).is_empty());
        }
        let decimals = Decimal128Array::from(vec![300, 370]).with_precision_and_scale(5, 2).unwrap();
        assert!(refused(Arc::new(decimals)).contains("`3.70` is no whole number"));
        assert!(fitted(&of(vec![Some(0.1)]), &DataType::Float32).is_ok(), "a float is near enough");
    }
}
