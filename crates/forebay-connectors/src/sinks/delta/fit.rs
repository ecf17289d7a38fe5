//! How the columns of a query become the columns of a table.
//!
//! Decided once when the sink opens, and again when another writer changes the table: columns meet by name, without
//! regard to case, as in Spark; types must be equal or widen without loss; what the table has and the query has not
//! becomes NULL. What must stay true: a batch is written only under a [`Fit`] that belongs to the table's newest
//! schema. A difference is reported whole: every column that does not fit, in one error.

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::schema::{DeltaField, DeltaType, stored};

/// What becomes of one input column.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    input: usize,
    /// The name in the table.
    name: String,
    /// The type in the data file (or of the partition value).
    target: DataType,
    /// The table forbids NULL here.
    required: bool,
}

/// The way from the query's batches to the table's files. Equal fits write equal files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fit {
    data: Vec<Step>,
    partition: Vec<Step>,
    /// The columns of a data file.
    pub file_schema: SchemaRef,
}

/// Where a column of the query goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Home {
    /// The data file's column of this number.
    Data(usize),
    /// The partition column of this number.
    Partition(usize),
}

/// The outcome of comparing a query with a table.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Fits(Fit),
    /// It fits after these columns are added (`mergeSchema`).
    NeedsColumns(Vec<DeltaField>),
}

/// Checks the names and types of a query's columns and says how Delta calls them.
pub(crate) fn delta_columns(input: &Schema) -> Result<Vec<DeltaField>> {
    let mut columns: Vec<DeltaField> = Vec::with_capacity(input.fields().len());
    for field in input.fields() {
        let name = field.name();
        if name.is_empty() || name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
            return Err(mismatch(format!("column `{name}` has a name that Delta does not allow"))
                .with_hint("Give it an alias without blanks and any of `,;{}()=`."));
        }
        if columns.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            return Err(mismatch(format!("two columns are called `{name}`"))
                .with_hint("Give one of them an alias; Delta does not tell upper from lower case."));
        }
        let column = DeltaField::of(field).ok_or_else(|| {
            mismatch(format!("column `{name}` has the type {}, which Delta does not have", field.data_type()))
                .with_hint("Add a CAST to the query.")
        })?;
        columns.push(column);
    }
    if columns.is_empty() {
        return Err(mismatch("the query has no columns".to_owned()));
    }
    Ok(columns)
}

/// Compares the query's columns with the table's.
pub(crate) fn compare(
    input: &Schema,
    table: &[DeltaField],
    partition_by: &[String],
    merge_schema: bool,
) -> Result<Outcome> {
    let columns = delta_columns(input)?;
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let Some(home) = table.iter().find(|home| home.name.eq_ignore_ascii_case(&column.name)) else {
            missing.push(column.clone());
            continue;
        };
        let target = if column.ty.same_as(&home.ty) {
            Some(stored(input.field(at).data_type()))
        } else {
            column.ty.widens_to(&home.ty)
        };
        match target {
            Some(target) => {
                steps.push(Step { input: at, name: home.name.clone(), target, required: !home.nullable });
            }
            None => {
                differences.push(format!("`{}` is {}, the table has {}", column.name, column.ty, home.ty))
            }
        }
    }
    for home in table.iter().filter(|home| !home.nullable) {
        if !columns.iter().any(|column| column.name.eq_ignore_ascii_case(&home.name)) {
            differences.push(format!("`{}` is NOT NULL in the table and not in the query", home.name));
        }
    }
    if !merge_schema {
        differences.extend(missing.iter().map(|column| format!("`{}` is not in the table", column.name)));
    }
    for name in partition_by {
        if !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            differences.push(format!("`{name}`, a partition column, is not in the query"));
        }
    }
    if !differences.is_empty() {
        return Err(mismatch("the query's columns do not fit the table".to_owned())
            .with_detail(differences.join("; ")));
    }
    if !missing.is_empty() {
        return Ok(Outcome::NeedsColumns(missing));
    }
    let (partition, data) = split_steps(steps, partition_by);
    check_partitions(&partition, &data)?;
    let file_schema = data.iter().map(|step| Field::new(&step.name, step.target.clone(), true));
    let file_schema = Schema::new(file_schema.collect::<Vec<_>>()).into();
    Ok(Outcome::Fits(Fit { data, partition, file_schema }))
}

/// Partition steps in the order of the table's partition columns, and the others.
fn split_steps(steps: Vec<Step>, partition_by: &[String]) -> (Vec<Step>, Vec<Step>) {
    let place = |step: &Step| partition_by.iter().position(|name| name.eq_ignore_ascii_case(&step.name));
    let (mut partition, data): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| place(step).is_some());
    partition.sort_by_key(place);
    (partition, data)
}

fn check_partitions(partition: &[Step], data: &[Step]) -> Result<()> {
    for step in partition {
        let ty = DeltaType::of(&step.target);
        if !matches!(&ty, Some(DeltaType::Primitive(name)) if name != "binary") {
            let ty = ty.map_or_else(|| step.target.to_string(), |ty| ty.to_string());
            let message = format!("`{}` cannot be a partition column: its type is {ty}", step.name);
            return Err(
                mismatch(message).with_hint("Partition by a string, number, date, timestamp or boolean.")
            );
        }
    }
    if data.is_empty() {
        return Err(mismatch("every column is a partition column".to_owned())
            .with_hint("A table needs at least one column outside of `partitionBy`."));
    }
    Ok(())
}

impl Fit {
    /// The columns of the data file, and the partition columns in the table's order.
    pub fn apply(&self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let columns = self.data.iter().map(|step| step.apply(batch)).collect::<Result<Vec<_>>>()?;
        let partition = self.partition.iter().map(|step| step.apply(batch)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let data =
            RecordBatch::try_new_with_options(self.file_schema.clone(), columns, &options).map_err(|e| {
                Error::new(&codes::INTERNAL, "a batch does not have the promised columns").caused_by(e)
            })?;
        Ok((data, partition))
    }

    /// Where a column of the query goes, with its name and type in the table.
    pub fn home(&self, input: usize) -> Option<(&str, &DataType, Home)> {
        let find = |steps: &[Step]| steps.iter().position(|step| step.input == input);
        let (step, home) = match find(&self.data) {
            Some(at) => (self.data.get(at)?, Home::Data(at)),
            None => {
                let at = find(&self.partition)?;
                (self.partition.get(at)?, Home::Partition(at))
            }
        };
        Some((&step.name, &step.target, home))
    }

    /// The names of the partition columns, as the table writes them.
    pub fn partition_names(&self) -> impl Iterator<Item = &str> {
        self.partition.iter().map(|step| step.name.as_str())
    }
}

impl Step {
    fn apply(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let column = batch.columns().get(self.input).ok_or_else(|| {
            Error::new(&codes::INTERNAL, format!("a batch lacks the column `{}`", self.name))
        })?;
        if self.required && column.logical_null_count() > 0 {
            return Err(mismatch(format!(
                "column `{}` is NOT NULL in the table and a row has NULL",
                self.name
            )));
        }
        if *column.data_type() == self.target {
            return Ok(column.clone());
        }
        // Checked: a timestamp or number that has no place in the target type is an error, never a silent NULL.
        let checked = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, &self.target, &checked).map_err(|e| {
            mismatch(format!("a value of column `{}` does not fit the table's type", self.name)).caused_by(e)
        })
    }
}

fn mismatch(message: String) -> Error {
    Error::new(&codes::SINK_SCHEMA, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, StringViewArray};
    use arrow::datatypes::TimeUnit;

    fn table(fields: &[(&str, DataType)]) -> Vec<DeltaField> {
        fields
            .iter()
            .map(|(name, ty)| DeltaField::of(&Field::new(*name, ty.clone(), true)).unwrap())
            .collect()
    }

    fn input(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn columns_meet_by_name_and_widen() {
        let table = table(&[("Id", DataType::Int64), ("day", DataType::Utf8), ("other", DataType::Utf8)]);
        let query = input(&[("day", DataType::Utf8View), ("id", DataType::Int32)]);
        let Outcome::Fits(fit) = compare(&query, &table, &["day".into()], false).unwrap() else { panic!() };
        let days = Arc::new(StringViewArray::from(vec![Some("mon"), None])) as ArrayRef;
        let ids = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
        let batch = RecordBatch::try_new(Arc::new(query), vec![days, ids]).unwrap();
        let (data, partition) = fit.apply(&batch).unwrap();
        assert_eq!(data.schema().field(0).name(), "Id");
        assert_eq!(data.column(0).as_ref(), &Int64Array::from(vec![1, 2]) as &dyn Array);
        assert_eq!(partition.len(), 1);
    }

    #[test]
    fn every_difference_is_told_at_once() {
        let mut table = table(&[("a", DataType::Int64), ("k", DataType::Utf8)]);
        table[1].nullable = false;
        let query = input(&[("a", DataType::Utf8), ("new", DataType::Utf8)]);
        let error = compare(&query, &table, &[], false).unwrap_err();
        assert_eq!(error.code(), &codes::SINK_SCHEMA);
        let detail = error.detail().unwrap();
        for part in ["`a` is string, the table has long", "`k` is NOT NULL", "`new` is not in the table"] {
            assert!(detail.contains(part), "{detail}");
        }
    }

    #[test]
    fn merge_schema_asks_for_the_new_columns_only() {
        let table = table(&[("a", DataType::Int64)]);
        let query = input(&[
            ("a", DataType::Int64),
            ("b", DataType::Timestamp(TimeUnit::Second, Some("+01:00".into()))),
        ]);
        let Outcome::NeedsColumns(new) = compare(&query, &table, &[], true).unwrap() else { panic!() };
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].ty, DeltaType::Primitive("timestamp".into()));
    }

    #[test]
    fn names_and_types_without_a_place_in_delta_are_refused() {
        for schema in [
            input(&[("a b", DataType::Int64)]),
            input(&[("a", DataType::Int64), ("A", DataType::Int64)]),
            input(&[("a", DataType::Null)]),
            input(&[("a", DataType::Time64(TimeUnit::Microsecond))]),
            input(&[("", DataType::Int64)]),
            input(&[]),
        ] {
            assert_eq!(delta_columns(&schema).unwrap_err().code(), &codes::SINK_SCHEMA);
        }
    }
}
