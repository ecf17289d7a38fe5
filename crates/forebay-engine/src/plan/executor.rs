//! A streaming query at work: batches in, batches out, every row's fate counted where it is decided.
//!
//! ```text
//! batch ─▶ Project(used columns) ─▶ Filter ─▶ Project ─▶ batch
//!                                     └─ filtered += rows whose condition is false or NULL
//! ```
//!
//! Where the query has a watermark, one stage looks at the event times on their way ([`Executor::survey`]). A join with tables
//! at rest ([`crate::lookup`]) and a generator ([`crate::generate`]) make none, one or several rows of a record; then a record has
//! the fate of the last of its rows, and its batch goes on in pieces (`executor/pieces.rs`).
//!
//! What must stay true: nothing here looks at a clock or a generator of random numbers, so the same batch in the
//! same epoch gives the same rows at every replay; and a row that does not come out was counted by the filter that
//! refused it, from that filter's own mask.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
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

use self::pieces::{Piece, Pieces};
use super::lower::{Output, Projection, Stage, epoch_time};
use crate::generate::{Filled, USUAL};
use crate::lookup::{Held, Kind, Lookup, candidates, pieces, probe};
use crate::tags::{Tags, gone, records, repeats};

mod pieces;
mod why;

pub use why::Refusal;

/// What became of rows inside of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Records of which a condition refused the last row.
    pub filtered: u64,
    /// Records that found no partner in a table, or had no element to explode.
    pub unmatched: u64,
    /// Records of which rows came out.
    pub emitted: u64,
}

impl Fates {
    fn add(&mut self, other: &Self) {
        self.filtered += other.filtered;
        self.unmatched += other.unmatched;
        self.emitted += other.emitted;
    }
}

/// Rows that came out.
#[derive(Clone, Debug)]
pub struct Rows {
    /// They.
    pub batch: RecordBatch,
    /// Which are not the first of their record; `None` if each is a record's only one.
    pub repeats: Option<BooleanBuffer>,
}

impl From<RecordBatch> for Rows {
    /// Each a record's only one.
    fn from(batch: RecordBatch) -> Self {
        Self { batch, repeats: None }
    }
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
    /// What joins with tables look up.
    held: Arc<Held>,
    /// Those of the batch at hand.
    pieces: Pieces,
}

impl Executor {
    /// `time` is the epoch's, if the stages ask for it.
    pub(super) fn new(stages: &Arc<[Stage]>, output: &SchemaRef, time: Option<i64>) -> Self {
        let stages = match time {
            None => Ok(Arc::clone(stages)),
            Some(ms) => stages.iter().map(|stage| at_time(stage, ms)).collect(),
        };
        Self {
            stages,
            output: Arc::clone(output),
            believed_us: i64::MAX,
            survey: Survey::default(),
            held: Arc::default(),
            pieces: Pieces::default(),
        }
    }

    /// The same; joined with these rows of tables at rest.
    pub fn holding(self, held: Arc<Held>) -> Self {
        Self { held, ..self }
    }

    /// The same; event times above this one (in microseconds) move no watermark, see `future_limit_us`.
    pub fn believing(self, limit_us: i64) -> Self {
        Self { believed_us: limit_us, ..self }
    }

    /// What it has seen of event time so far.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Computes the rows of `batch`, whose columns are those of [`super::PlannedInput::schema`], and counts what
    /// became of them. Fails with `QUERY_FAILED` if an expression does, with the column or the condition as its place;
    /// nothing of the batch is then emitted.
    pub fn process(&mut self, batch: RecordBatch, fates: &mut Fates) -> Result<RecordBatch> {
        self.take(batch);
        let mut batches = Vec::new();
        while let Some(rows) = self.next(fates)? {
            batches.push(rows.batch);
        }
        match batches.as_slice() {
            [] => Ok(RecordBatch::new_empty(Arc::clone(&self.output))),
            [batch] => Ok(batch.clone()),
            several => arrow::compute::concat_batches(&self.output, several).map_err(|error| {
                Error::new(&codes::INTERNAL, "the pieces of a batch do not fit").caused_by(error)
            }),
        }
    }

    /// The same, piece by piece: takes a batch, whose rows [`Self::next`] then gives. What was left of another is dropped.
    pub fn take(&mut self, batch: RecordBatch) {
        self.pieces.begin(batch);
    }

    /// The next rows of the batch that was taken; `None` if there are no more.
    pub fn next(&mut self, fates: &mut Fates) -> Result<Option<Rows>> {
        let stages = Arc::clone(self.stages.as_ref().map_err(Clone::clone)?);
        while let Some(piece) = self.pieces.next() {
            let (part, mut of_piece) = (piece.part, Fates::default());
            let through = self.through(&stages, piece, &mut of_piece)?;
            of_piece.emitted = through.as_ref().map_or(0, |(batch, tags)| records(tags, batch.num_rows()));
            let is_out = self.pieces.count(part, &of_piece, fates);
            let Some((batch, tags)) = through else { continue };
            let of_record = match is_out {
                true => Some(BooleanBuffer::new_set(batch.num_rows())),
                false => repeats(&tags),
            };
            return Ok(Some(Rows { batch, repeats: of_record }));
        }
        Ok(None)
    }

    /// Takes a piece through the stages; `None` if no row is left, or if it was cut into smaller ones.
    fn through(
        &mut self,
        stages: &[Stage],
        Piece { stage: first, mut batch, mut tags, part, mut fits, mut elements }: Piece,
        fates: &mut Fates,
    ) -> Result<Option<(RecordBatch, Tags)>> {
        for (number, stage) in stages.iter().enumerate().skip(first) {
            if batch.num_rows() == 0 {
                return Ok(None);
            }
            match stage {
                Stage::Filter(condition) => {
                    let rows = batch.num_rows();
                    let kept = holds(condition, &batch).map_err(|error| error.at("the condition"))?;
                    let Some(kept) = kept.kept(rows) else { continue };
                    fates.filtered += gone(&tags, &kept);
                    (batch, tags) = only(batch, tags, kept)?;
                }
                Stage::Filled(filled) => {
                    let Some(kept) = filled.kept(&batch)? else { continue };
                    fates.unmatched += gone(&tags, &kept);
                    (batch, tags) = only(batch, tags, kept)?;
                }
                Stage::Project(projection) => batch = project(projection, &batch)?,
                Stage::Observe(column) => {
                    self.survey.merge(&observe(&batch, *column, self.believed_us)?);
                }
                Stage::Lookup(lookup) => {
                    let held = Arc::clone(&self.held);
                    let built = held.of(&lookup.spec)?;
                    let candidates = candidates(lookup, built, &batch)?;
                    let cuts = pieces(&candidates, &tags);
                    if !cuts.is_empty() {
                        self.pieces.cut(number, &cuts, &batch, &tags, part);
                        return Ok(None);
                    }
                    let probed = probe(lookup, built, &batch, &tags, candidates)?;
                    match lookup.spec.kind {
                        Kind::Anti => fates.filtered += probed.refused,
                        _ => fates.unmatched += probed.refused,
                    }
                    (batch, tags) = (probed.batch, probed.tags);
                }
                Stage::Generate(generation) => {
                    if !std::mem::take(&mut fits) {
                        let slices = generation.slices(&batch, &tags, part, USUAL)?;
                        if !slices.is_empty() {
                            self.pieces.slice(number, slices, &batch, &tags);
                            return Ok(None);
                        }
                    }
                    let made = generation.rows(&batch, &tags, elements.take())?;
                    self.pieces.made(part, made.batch.num_rows(), &generation.written)?;
                    fates.unmatched += made.refused;
                    (batch, tags) = (made.batch, made.tags);
                }
            }
        }
        Ok((batch.num_rows() > 0).then_some((batch, tags)))
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

/// For which rows a condition is true.
enum Holds {
    /// For all or for none: no column takes part in it.
    Constant(bool),
    Mask(BooleanBuffer),
}

impl Holds {
    /// The rows that are kept; `None` if all are.
    fn kept(self, rows: usize) -> Option<BooleanBuffer> {
        match self {
            Self::Constant(true) => None,
            Self::Constant(false) => Some(BooleanBuffer::new_unset(rows)),
            Self::Mask(mask) => (mask.count_set_bits() < rows).then_some(mask),
        }
    }
}

fn holds(condition: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<Holds> {
    let mask = match condition.evaluate(batch).map_err(failed)? {
        ColumnarValue::Array(mask) => mask,
        ColumnarValue::Scalar(value) => {
            return Ok(Holds::Constant(matches!(value, ScalarValue::Boolean(Some(true)))));
        }
    };
    let Some(mask) = mask.as_boolean_opt() else {
        return Err(Error::new(&codes::INTERNAL, format!("a condition gave {}", mask.data_type())));
    };
    Ok(Holds::Mask(truth(mask)))
}

/// Where a condition is true; NULL is not.
pub(crate) fn truth(mask: &BooleanArray) -> BooleanBuffer {
    match mask.nulls() {
        Some(valid) => mask.values() & valid.inner(),
        None => mask.values().clone(),
    }
}

/// The rows that are kept.
fn only(batch: RecordBatch, tags: Tags, kept: BooleanBuffer) -> Result<(RecordBatch, Tags)> {
    if kept.count_set_bits() == 0 {
        return Ok((batch.slice(0, 0), None));
    }
    let tags = tags.map(|tags| kept.set_indices().map(|row| tags[row]).collect());
    let batch = filter_record_batch(&batch, &BooleanArray::new(kept, None));
    batch.map(|batch| (batch, tags)).map_err(|error| failed(error.into()))
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
        Stage::Observe(_) | Stage::Generate(_) => stage.clone(),
        Stage::Filled(filled) => Stage::Filled(Filled { array: set(&filled.array)?, ..filled.clone() }),
        Stage::Lookup(lookup) => Stage::Lookup(Lookup {
            spec: Arc::clone(&lookup.spec),
            keys: lookup.keys.iter().map(set).collect::<Result<_>>()?,
            condition: lookup.condition.as_ref().map(set).transpose()?,
        }),
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
