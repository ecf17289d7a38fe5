//! How the columns of a query become those of the files, and folders.
//!
//! What must stay true: a schema that the files cannot hold is refused before anything is written, with every column
//! that does not fit in one error.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_core::error::codes;
use forebay_core::{Error, Result, ddl};

use super::config::{Config, FileFormat};
use super::csv::Encoder;
use crate::sinks::delta::schema::{DeltaType, stored};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Columns of the query that stand in the files, and their types there.
    data: Vec<(usize, DataType)>,
    /// Those that become folders.
    partition: Vec<(usize, DataType)>,
    pub file_schema: SchemaRef,
    pub partition_names: Vec<String>,
}

impl Shape {
    /// For rows of this schema.
    ///
    /// # Errors
    /// `SINK_SCHEMA` for columns that do not fit, `BAD_VALUE` for a `partitionBy` that does not.
    pub fn new(config: &Config, schema: &Schema) -> Result<Self> {
        let partition =
            config.partition_by.iter().map(|name| find(schema, name)).collect::<Result<Vec<_>>>()?;
        let mut problems = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for field in schema.fields() {
            if names.contains(&field.name().to_lowercase()) {
                problems.push(format!("two columns are called `{}`", field.name()));
            }
            names.push(field.name().to_lowercase());
        }
        let with_type = |at: usize| (at, stored(schema.field(at).data_type()));
        for (at, ty) in partition.iter().map(|at| with_type(*at)) {
            if !is_folder_type(&ty) {
                problems.push(format!(
                    "column `{}` has the type {}, which is no name of a folder",
                    schema.field(at).name(),
                    ddl::type_words(&ty)
                ));
            }
        }
        let data: Vec<_> =
            (0..schema.fields().len()).filter(|at| !partition.contains(at)).map(with_type).collect();
        for (at, ty) in &data {
            let takes = match config.format {
                FileFormat::Csv(_) => Encoder::takes(ty),
                FileFormat::Parquet(_) => DeltaType::of(ty).is_some(),
            };
            if !takes {
                let (name, format, ty) = (schema.field(*at).name(), config.word(), ddl::type_words(ty));
                problems
                    .push(format!("column `{name}` has the type {ty}, which a {format} file cannot hold"));
            }
        }
        if data.is_empty() && problems.is_empty() {
            problems.push("no column is left for the files".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::new(&codes::SINK_SCHEMA, problems.join("; ")).with_hint(
                "Write nested columns as text with `to_json(c)` or one by one (`c.field`), BINARY with `base64(c)`; partition \
                 by a text, a whole number, a BOOLEAN or a DATE, such as `date_format(time, 'yyyy-MM-dd')`.",
            ));
        }
        let field = |(at, ty): &(usize, DataType)| Field::new(schema.field(*at).name(), ty.clone(), true);
        let file_schema = Arc::new(Schema::new(data.iter().map(field).collect::<Vec<_>>()));
        let partition_names = partition.iter().map(|at| schema.field(*at).name().clone()).collect();
        Ok(Self {
            data,
            partition: partition.into_iter().map(with_type).collect(),
            file_schema,
            partition_names,
        })
    }

    /// The rows as they stand in files, and the columns that become folders.
    pub fn apply(&self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let data = self.data.iter().map(|column| cast(batch, column)).collect::<Result<Vec<_>>>()?;
        let partition = self.folders(batch)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows =
            RecordBatch::try_new_with_options(self.file_schema.clone(), data, &options).map_err(|e| {
                Error::new(&codes::INTERNAL, "a batch does not have the promised columns").caused_by(e)
            })?;
        Ok((rows, partition))
    }

    /// The columns that become folders.
    pub fn folders(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.partition.iter().map(|column| cast(batch, column)).collect()
    }

    /// The names of the columns in the files.
    pub fn columns(&self) -> Vec<String> {
        self.file_schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The types of the columns that become folders.
    pub fn partition_types(&self) -> impl Iterator<Item = DataType> {
        self.partition.iter().map(|(_, ty)| ty.clone())
    }
}

fn find(schema: &Schema, name: &str) -> Result<usize> {
    let same = |field: &Arc<Field>| field.name().eq_ignore_ascii_case(name);
    schema.fields().iter().position(same).ok_or_else(|| {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        Error::new(
            &codes::BAD_VALUE,
            format!("option `partitionBy` names `{name}`, which is no column of the query"),
        )
        .with_hint(format!("Its columns are {}.", known.join(", ")))
    })
}

fn is_folder_type(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
    )
}

fn cast(batch: &RecordBatch, (at, ty): &(usize, DataType)) -> Result<ArrayRef> {
    let column =
        batch.columns().get(*at).ok_or_else(|| Error::new(&codes::INTERNAL, "a batch lacks a column"))?;
    if column.data_type() == ty {
        return Ok(column.clone());
    }
    // Checked: a value that has no place in the type is an error, never a silent NULL.
    let checked = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, ty, &checked).map_err(|e| {
        Error::new(&codes::SINK_SCHEMA, "a value does not fit the type of its column").caused_by(e)
    })
}
