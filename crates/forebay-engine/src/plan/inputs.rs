//! What a query reads: its inputs, each with the source, the columns and the filters of its lanes.
//!
//! A query over one source has one; a join of two streams has one for each side and a union one for each part, also where they are
//! the same source.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::Literal;
use forebay_core::error::codes;
use forebay_core::source::Wanted;
use forebay_core::{Error, Result};

use super::executor::Executor;
use super::graph::{Feed, Input, Staged, Step, StepPlan};
use super::lower::{Output, Projection, Stage};
use super::{StreamPlan, columns, lower};

/// One input of a planned query.
#[derive(Clone, Copy, Debug)]
pub struct PlannedInput<'a>(&'a Input);

impl StreamPlan {
    /// Its inputs, in the order in which its checkpoint counts them.
    pub fn each_input(&self) -> impl ExactSizeIterator<Item = PlannedInput<'_>> {
        self.graph().inputs.iter().map(PlannedInput)
    }

    /// Its input, of a query that can have only one.
    ///
    /// # Errors
    /// `INTERNAL` if it has several.
    pub fn only_input(&self) -> Result<PlannedInput<'_>> {
        match self.graph().inputs.as_slice() {
            [input] => Ok(PlannedInput(input)),
            _ => Err(Error::new(&codes::INTERNAL, "a query that reads one source has several inputs")),
        }
    }

    /// The names of its sources, in that order: one that is read twice is there twice.
    pub fn inputs(&self) -> Vec<&str> {
        self.each_input().map(PlannedInput::source).collect()
    }

    /// The sources that it reads, each once, in the order of their first inputs.
    pub fn sources(&self) -> Vec<String> {
        let graph = self.graph();
        let all: Vec<Feed> = (0..graph.inputs.len()).map(Feed::Input).collect();
        graph.sources(&all)
    }

    /// The same query, whose rows also say of which source they are: a STRING of this name, behind the others. One that remembers
    /// names the first of its sources.
    pub fn naming_sources(mut self, column: &str) -> Self {
        let with_source = |schema: &SchemaRef| {
            let source = Arc::new(Field::new(column, DataType::Utf8, false));
            Arc::new(Schema::new(schema.fields().iter().cloned().chain([source]).collect::<Vec<_>>()))
        };
        if let Some(last) = self.graph.steps.len().checked_sub(1) {
            let rows = with_source(&self.output_schema);
            let source = self.sources().into_iter().next().unwrap_or_default();
            let name = Literal::new(ScalarValue::Utf8(Some(source)));
            let columns = (0..self.output_schema.fields().len()).map(Output::Same);
            let columns = columns.chain([Output::Computed(Arc::new(name) as Arc<_>)]).collect();
            let stage = Stage::Project(Projection { columns, schema: Arc::clone(&rows) });
            let staged =
                Staged { stages: Arc::from([stage]), rows: Arc::clone(&rows), uses_epoch_time: false };
            self.graph
                .steps
                .push(Step { plan: StepPlan::Stages(staged), from: vec![vec![Feed::Step(last)]] });
            self.output_schema = rows;
            return self;
        }
        for input in &mut self.graph.inputs {
            let name = Literal::new(ScalarValue::Utf8(Some(input.source.clone())));
            let columns = (0..input.rows.fields().len()).map(Output::Same);
            let columns = columns.chain([Output::Computed(Arc::new(name))]).collect();
            input.rows = with_source(&input.rows);
            let named = Stage::Project(Projection { columns, schema: Arc::clone(&input.rows) });
            input.stages = input.stages.iter().cloned().chain([named]).collect();
        }
        self.output_schema = with_source(&self.output_schema);
        self
    }
}

impl<'a> PlannedInput<'a> {
    /// The name of its source, as the catalogue spells it.
    pub fn source(self) -> &'a str {
        &self.0.source
    }

    /// The columns of the batches that its executors take: the source's own, and
    /// [`KAFKA_COLUMN`](super::KAFKA_COLUMN) as the last one if it [wants](Self::wants_envelope) that.
    pub fn schema(self) -> SchemaRef {
        SchemaRef::clone(&self.0.input_schema)
    }

    /// Which of the columns of [`Self::schema`] are read, by their places.
    pub fn reads(self) -> BTreeSet<usize> {
        let mut read = BTreeSet::new();
        for stage in self.0.stages.iter() {
            match stage {
                Stage::Filter(condition) => read.extend(columns::read(condition)),
                Stage::Observe(column) => read.extend([*column]),
                // What comes after it sees only what it gives.
                Stage::Project(projection) => {
                    read.extend(projection.columns.iter().flat_map(|column| match column {
                        Output::Same(index) => BTreeSet::from([*index]),
                        Output::Computed(expr) => columns::read(expr),
                    }));
                    return read;
                }
                Stage::Lookup(_) | Stage::Generate(_) | Stage::Filled(_) => break,
            }
        }
        (0..self.0.input_schema.fields().len()).collect()
    }

    /// Which optional columns of the envelope are read.
    pub fn wanted(self) -> Wanted {
        self.0.wanted
    }

    /// True if a decoded source must add [`KAFKA_COLUMN`](super::KAFKA_COLUMN).
    pub fn wants_envelope(self) -> bool {
        self.0.wants_envelope
    }

    /// A worker for one of its lanes in an epoch that was planned at this time (milliseconds since 1970).
    pub fn executor(self, epoch_time_ms: i64) -> Executor {
        let Input { stages, rows, .. } = self.0;
        Executor::new(stages, rows, lower::uses_time(stages).then_some(epoch_time_ms))
    }
}

/// What tests ask of a query over one source.
#[cfg(test)]
impl StreamPlan {
    pub(crate) fn source(&self) -> &str {
        self.only_input().unwrap().source()
    }

    pub(crate) fn input_schema(&self) -> SchemaRef {
        self.only_input().unwrap().schema()
    }

    pub(crate) fn wanted(&self) -> Wanted {
        self.only_input().unwrap().wanted()
    }

    pub(crate) fn wants_envelope(&self) -> bool {
        self.only_input().unwrap().wants_envelope()
    }

    pub(crate) fn executor(&self, epoch_time_ms: i64) -> Executor {
        self.only_input().unwrap().executor(epoch_time_ms)
    }

    /// Both as one query without state, whose rows are those of either.
    pub(crate) fn beside(mut self, other: Self) -> Self {
        assert_eq!(self.output_schema(), other.output_schema());
        self.graph.inputs.extend(other.graph.inputs);
        self
    }
}
