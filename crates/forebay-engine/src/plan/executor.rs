//! A streaming query at work: batches in, batches out, every row's fate counted where it is decided.
//!
//! ```text
//! batch ─▶ Project(used columns) ─▶ Filter ─▶ Project ─▶ batch
//!                                     └─ filtered += rows whose condition is false or NULL
//! ```
//!
//! Where the query has a watermark, one stage looks at the event times on their way ([`Executor::survey`]).
//!
//! What must stay true: nothing here looks at a clock or a generator of random numbers, so the same batch in the
//! same epoch gives the same rows at every replay; and a row that does not come out was counted by the filter that
//! refused it, from that filter's own mask.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use forebay_core::error::codes;
use forebay_core::event_time::{Survey, survey};
use forebay_core::{Error, Result};

use super::lower::{Output, Projection, Stage, epoch_time};

mod why;

pub use why::Refusal;

/// What became of rows inside of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Rows that a condition refused.
    pub filtered: u64,
    /// Rows that came out.
    pub emitted: u64,
}

/// Computes one lane of one epoch. Cheap to make.
#[derive(Clone, Debug)]
pub struct Executor {
    /// An error here would be the engine's own; it shows with the first batch.
    stages: Result<Arc<[Stage]>>,
    output: SchemaRef,
    /// The highest event time that moves the watermark.
    believed_us: i64,
    survey: Survey,
}

impl Executor {
    /// `time` is the epoch's, if the stages ask for it.
    pub(super) fn new(stages: &Arc<[Stage]>, output: &SchemaRef, time: Option<i64>) -> Self {
        let stages = match time {
            None => Ok(Arc::clone(stages)),
            Some(ms) => stages.iter().map(|stage| at_time(stage, ms)).collect(),
        };
        Self { stages, output: Arc::clone(output), believed_us: i64::MAX, survey: Survey::default() }
    }

    /// The same; event times above this one (in microseconds) move no watermark, see `future_limit_us`.
    pub fn believing(self, limit_us: i64) -> Self {
        Self { believed_us: limit_us, ..self }
    }

    /// What it has seen of event time so far.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Computes the rows of `batch`, whose columns are those of [`super::StreamPlan::input_schema`], and counts what
    /// became of them. Fails with `QUERY_FAILED` if an expression does, with the column or the condition as its place;
    /// nothing of the batch is then emitted.
    pub fn process(&mut self, batch: RecordBatch, fates: &mut Fates) -> Result<RecordBatch> {
        let mut batch = batch;
        let mut filtered = 0;
        let stages = Arc::clone(self.stages.as_ref().map_err(Clone::clone)?);
        for stage in stages.iter() {
            if batch.num_rows() == 0 {
                break;
            }
            batch = match stage {
                Stage::Filter(condition) => {
                    let (kept, refused) =
                        filter(condition, batch).map_err(|error| error.at("the condition"))?;
                    filtered += refused;
                    kept
                }
                Stage::Project(projection) => project(projection, &batch)?,
                Stage::Observe(column) => {
                    self.survey.merge(&observe(&batch, *column, self.believed_us)?);
                    batch
                }
            };
        }
        if batch.num_rows() == 0 {
            batch = RecordBatch::new_empty(Arc::clone(&self.output));
        }
        fates.filtered += filtered;
        fates.emitted += batch.num_rows() as u64;
        Ok(batch)
    }
}

/// What the event times of a batch say.
fn observe(batch: &RecordBatch, column: usize, believed_us: i64) -> Result<Survey> {
    let times = batch.columns().get(column).and_then(|it| it.as_primitive_opt::<TimestampMicrosecondType>());
    match times {
        Some(times) => Ok(survey(times.values(), times.nulls(), believed_us)),
        None => Err(Error::new(&codes::INTERNAL, "the event time is no TIMESTAMP")),
    }
}

/// The rows for which the condition is true, and the number of those for which it is false or NULL.
fn filter(condition: &Arc<dyn PhysicalExpr>, batch: RecordBatch) -> Result<(RecordBatch, u64)> {
    let rows = batch.num_rows();
    let mask = match condition.evaluate(&batch).map_err(failed)? {
        ColumnarValue::Array(mask) => mask,
        // A condition that no column takes part in holds for all rows or for none.
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => return Ok((batch, 0)),
        ColumnarValue::Scalar(_) => return Ok((batch.slice(0, 0), rows as u64)),
    };
    let Some(mask) = mask.as_boolean_opt() else {
        return Err(Error::new(&codes::INTERNAL, format!("a condition gave {}", mask.data_type())));
    };
    let kept = match mask.nulls() {
        Some(valid) => mask.values() & valid.inner(),
        None => mask.values().clone(),
    };
    let refused = (!&kept).count_set_bits();
    if refused == 0 {
        return Ok((batch, 0));
    }
    let kept =
        filter_record_batch(&batch, &BooleanArray::new(kept, None)).map_err(|error| failed(error.into()))?;
    Ok((kept, refused as u64))
}

fn project(projection: &Projection, batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = projection
        .columns
        .iter()
        .zip(projection.schema.fields())
        .map(|(column, field)| match column {
            Output::Same(index) => match batch.columns().get(*index) {
                Some(column) => Ok(Arc::clone(column)),
                None => Err(Error::new(&codes::INTERNAL, "a batch has fewer columns than its plan")),
            },
            Output::Computed(expr) => expr
                .evaluate(batch)
                .and_then(|value| value.into_array(rows))
                .map_err(|error| in_column(failed(error), field.name())),
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(&projection.schema), columns, &options)
        .map_err(|error| Error::new(&codes::INTERNAL, "a column is not what the plan said").caused_by(error))
}

/// The error with the column that could not be computed; what the optimizer computes once for several has no name.
fn in_column(error: Error, name: &str) -> Error {
    if name.starts_with("__") { error } else { error.at(format_args!("column `{name}`")) }
}

fn at_time(stage: &Stage, epoch_time_ms: i64) -> Result<Stage> {
    let set = |expr: &Arc<dyn PhysicalExpr>| -> Result<Arc<dyn PhysicalExpr>> {
        let with_time = Arc::clone(expr).transform_up(|expr| {
            Ok(match epoch_time(&expr).map(|time| time.at(epoch_time_ms)) {
                Some(value) => Transformed::yes(Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(expr),
            })
        });
        with_time
            .map(|transformed| transformed.data)
            .map_err(|error| super::core_error(&codes::INTERNAL, error))
    };
    Ok(match stage {
        Stage::Observe(column) => Stage::Observe(*column),
        Stage::Filter(condition) => Stage::Filter(set(condition)?),
        Stage::Project(projection) => Stage::Project(Projection {
            columns: projection
                .columns
                .iter()
                .map(|column| match column {
                    Output::Same(index) => Ok(Output::Same(*index)),
                    Output::Computed(expr) => set(expr).map(Output::Computed),
                })
                .collect::<Result<_>>()?,
            schema: Arc::clone(&projection.schema),
        }),
    })
}

fn failed(error: datafusion::common::DataFusionError) -> Error {
    super::core_error(&codes::QUERY_FAILED, error)
}
