//! Behind the lanes: a query's operators, one after the other, on one thread.
//!
//! ```text
//! lanes' partials ─▶ operator ─▶ stages ─▶ operator ─▶ … ─▶ rows for the sink
//!                       │                     │
//!                       └─ Changes, late rows ┘  are handed back; nothing is kept here
//! ```
//!
//! A record keeps its identity as long as rows come out as they went in (de-duplication, filters); the first operator
//! that melts rows together decides its fate: aggregated. What must stay true: a record that went in has one fate when
//! its epoch is done, whatever lies in between.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::error::codes;
use forebay_core::event_time::Times;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Ledger, Result};

use crate::late::LateLane;
use crate::operators::{self, Counts, EpochTimes, Late, Operator, Partial};
use crate::plan::Fates;
use crate::plan::graph::{Graph, SortSpec, Staged, StepPlan};
use crate::state::{Changes, Layout, Table};

/// The steps behind the lanes.
pub(crate) struct Tail {
    steps: Vec<Step>,
    mode: OutputMode,
    /// The tables of all operators, in order, by names that stay.
    pub tables: Vec<(String, Arc<Layout>)>,
}

enum Step {
    Operator { operator: Arc<dyn Operator>, tables: Range<usize> },
    Stages(Staged),
    Sort(Arc<SortSpec>),
}

/// What one lane hands over.
pub(crate) struct Gathered {
    pub partials: Vec<RecordBatch>,
    pub counts: Counts,
}

/// The rows of one lane on their way to the first operator, or of all of them on their way to one behind it.
pub(crate) struct Intake {
    partial: Box<dyn Partial>,
    late: Late,
    table: LateLane,
    times: Times,
}

impl Intake {
    /// Takes rows; those that are late go to their table.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.partial.push(batch, &mut self.late)?;
        self.late.take().iter().try_for_each(|rows| self.table.push(rows, self.times))
    }

    /// What the rows came to; late ones are durable.
    pub fn finish(self) -> Result<Gathered> {
        self.table.finish()?;
        let counts = self.partial.counts();
        Ok(Gathered { partials: self.partial.finish()?, counts })
    }
}

/// What an epoch came to.
#[derive(Default)]
pub(crate) struct Ran {
    /// Of every table, in order.
    pub changes: Vec<Changes>,
    /// For the sink.
    pub rows: Vec<RecordBatch>,
    /// The fates of the records that the lanes did not decide.
    pub ledger: Ledger,
}

impl Tail {
    /// The tail of a query; `None` if it has no state.
    pub fn new(graph: &Graph) -> Result<Option<Self>> {
        if graph.steps.is_empty() {
            return Ok(None);
        }
        let mut tail = Self { steps: Vec::new(), mode: graph.mode, tables: Vec::new() };
        for step in &graph.steps {
            let step = match step {
                StepPlan::Stages(stages) => Step::Stages(stages.clone()),
                StepPlan::Sort(spec) => Step::Sort(Arc::clone(spec)),
                other => {
                    let Some(operator) = operators::operator(other)? else { continue };
                    let first = tail.tables.len();
                    let layouts = operator.layouts();
                    for (index, layout) in layouts.into_iter().enumerate() {
                        tail.tables.push((format!("{}.{index}", operator.name()), layout));
                    }
                    Step::Operator { operator, tables: first..tail.tables.len() }
                }
            };
            tail.steps.push(step);
        }
        Ok(Some(tail))
    }

    /// What takes the rows of one lane.
    pub fn intake(&self, times: Times, table: LateLane) -> Result<Intake> {
        let no_operator = || Error::new(&codes::INTERNAL, "a query with state has no operator");
        let (operator, _) = self.operators().next().ok_or_else(no_operator)?;
        intake(&**operator, self.mode, times, table)
    }

    /// True if Spark runs an epoch without rows as soon as the watermark has moved.
    pub fn follows_watermark(&self) -> bool {
        self.operators().any(|(operator, _)| operator.follows_watermark(self.mode))
    }

    /// True if the query gives rows before any came.
    pub fn gives_at_once(&self) -> bool {
        self.operators().any(|(operator, _)| operator.gives_at_once())
    }

    /// The operators with the numbers of their tables.
    pub fn operators(&self) -> impl Iterator<Item = (&Arc<dyn Operator>, &Range<usize>)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Operator { operator, tables } => Some((operator, tables)),
            _ => None,
        })
    }

    /// Runs the steps over what the lanes of an epoch gathered. `late` gives a place for the late rows of an operator
    /// behind the first, by its number.
    pub fn run(
        &self,
        tables: &[Table],
        lanes: Vec<Gathered>,
        (times, epoch_ms): (Times, i64),
        late: impl Fn(usize) -> LateLane,
    ) -> Result<Ran> {
        let mut ran = Ran::default();
        let mut rows = Vec::new();
        // Whether a row is still a record of the source.
        let mut are_records = true;
        let mut first = Some(lanes);
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                Step::Operator { operator, tables: range } => {
                    let gathered = match first.take() {
                        Some(lanes) => lanes,
                        None => {
                            let mut intake = intake(&**operator, self.mode, times, late(number))?;
                            std::mem::take(&mut rows).into_iter().try_for_each(|batch| intake.push(batch))?;
                            vec![intake.finish()?]
                        }
                    };
                    let (mut partials, mut counts) = (Vec::new(), Counts::default());
                    for of_lane in gathered {
                        partials.extend(of_lane.partials);
                        counts.add(&of_lane.counts);
                    }
                    let own = tables.get(range.clone()).unwrap_or_default();
                    let step = operator.run(own, partials, &epoch_times(self.mode, times))?;
                    counts.add(&step.fates);
                    if are_records {
                        ran.count(&counts, operator.passes_rows());
                        are_records = operator.passes_rows();
                    }
                    ran.changes.extend(step.changes);
                    rows = step.rows;
                }
                Step::Stages(stages) => {
                    let (mut executor, mut fates) = (stages.executor(epoch_ms), Fates::default());
                    rows = std::mem::take(&mut rows)
                        .into_iter()
                        .map(|batch| executor.process(batch, &mut fates))
                        .collect::<Result<_>>()?;
                    if are_records {
                        ran.ledger.filtered += fates.filtered;
                    }
                }
                Step::Sort(spec) => rows = vec![spec.run(&rows)?],
            }
        }
        rows.retain(|batch| batch.num_rows() > 0);
        let count: u64 = rows.iter().map(|batch| batch.num_rows() as u64).sum();
        if are_records {
            ran.ledger.emitted += count;
        }
        ran.ledger.rows_out += count;
        ran.rows = rows;
        Ok(ran)
    }
}

fn intake(operator: &dyn Operator, mode: OutputMode, times: Times, table: LateLane) -> Result<Intake> {
    let partial = operator.partial(&epoch_times(mode, times))?;
    Ok(Intake { partial, late: Late::default(), table, times })
}

fn epoch_times(mode: OutputMode, Times { late, evict }: Times) -> EpochTimes {
    EpochTimes { late, evict, mode }
}

impl Ran {
    /// Counts what an operator decided of records.
    fn count(&mut self, counts: &Counts, passes: bool) {
        self.ledger.late += counts.late;
        self.ledger.deduplicated += counts.deduplicated;
        self.ledger.unmatched += counts.unmatched;
        self.ledger.filtered += counts.filtered;
        if !passes {
            self.ledger.aggregated += counts.taken;
        }
    }
}
