//! Behind the lanes: a query's steps, one after the other, on one thread.
//!
//! ```text
//! lanes' partials ─▶ operator ─▶ stages ─┐
//!                       │                ├─▶ join ─▶ … ─▶ rows for the sink
//! lanes' partials ───────────────────────┘     │
//!                       └─ Changes, late rows ─┘  are handed back; nothing is kept here
//! ```
//!
//! A step takes the rows of its feeds: of an input what the lanes gathered, of a step before what came out of it. Times go
//! the same way: those of a step are the least of its feeds', and an operator may hold back those behind it.
//!
//! A record keeps its identity as long as rows come out as they went in (de-duplication, filters); the first operator
//! that melts rows together decides its fate: aggregated. What must stay true: a record that went in has one fate when
//! its epoch is done, whatever lies in between.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::error::codes;
use forebay_core::event_time::{Times, Watermark};
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Ledger, Result};

use crate::late::LateLane;
use crate::operators::{self, Counts, EpochTimes, Late, Operator, PORTS, Partial};
use crate::plan::Fates;
use crate::plan::graph::{Feed, Graph, SortSpec, Staged, StepPlan};
use crate::state::{Changes, Layout, Table};

/// The steps behind the lanes.
pub(crate) struct Tail {
    steps: Vec<Step>,
    mode: OutputMode,
    /// The tables of all operators, in order, by names that stay.
    pub tables: Vec<(String, Arc<Layout>)>,
}

struct Step {
    does: Does,
    from: Vec<Feed>,
}

enum Does {
    Operator { operator: Arc<dyn Operator>, tables: Range<usize> },
    Stages(Staged),
    Sort(Arc<SortSpec>),
}

/// What one lane hands over.
pub(crate) struct Gathered {
    /// The input that the lane reads.
    pub input: usize,
    pub partials: Vec<RecordBatch>,
    pub counts: Counts,
}

/// The rows of one lane on their way to the operator that its input feeds, or of a step on their way to the next.
pub(crate) struct Intake {
    input: usize,
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
        Ok(Gathered { input: self.input, partials: self.partial.finish()?, counts })
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

/// The rows of a step, for the one that it feeds.
struct Rows {
    batches: Vec<RecordBatch>,
    /// Whether a row is still a record of the source.
    are_records: bool,
}

impl Tail {
    /// The tail of a query; `None` if it has no state.
    pub fn new(graph: &Graph) -> Result<Option<Self>> {
        if graph.steps.is_empty() {
            return Ok(None);
        }
        let mut tail = Self { steps: Vec::new(), mode: graph.mode, tables: Vec::new() };
        for step in &graph.steps {
            let does = match &step.plan {
                StepPlan::Stages(stages) => Does::Stages(stages.clone()),
                StepPlan::Sort(spec) => Does::Sort(Arc::clone(spec)),
                other => {
                    let operator = operators::operator(other)?.ok_or_else(misplanned)?;
                    let first = tail.tables.len();
                    let layouts = operator.layouts();
                    for (index, layout) in layouts.into_iter().enumerate() {
                        tail.tables.push((format!("{}.{index}", operator.name()), layout));
                    }
                    Does::Operator { operator, tables: first..tail.tables.len() }
                }
            };
            tail.steps.push(Step { does, from: step.from.clone() });
        }
        Ok(Some(tail))
    }

    /// What takes the rows of one lane of this input.
    pub fn intake(&self, input: usize, times: Times, table: LateLane) -> Result<Intake> {
        let is_fed = |feed: &Feed| *feed == Feed::Input(input);
        let fed = self.steps.iter().enumerate().find_map(|(number, step)| {
            let Does::Operator { operator, .. } = &step.does else { return None };
            step.from.iter().position(is_fed).map(|port| (number, port, operator))
        });
        let (number, port, operator) = fed.ok_or_else(misplanned)?;
        let times = self.times(times).get(number).copied().unwrap_or_default();
        intake(&**operator, (input, port), &times, table)
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
        self.steps.iter().filter_map(|step| match &step.does {
            Does::Operator { operator, tables } => Some((operator, tables)),
            _ => None,
        })
    }

    /// The times of each step, by those of the query.
    fn times(&self, Times { late, evict }: Times) -> Vec<EpochTimes> {
        let of_query = EpochTimes { late, evict, mode: self.mode };
        // Of each step its own, and those that come out of it.
        let mut times: Vec<(EpochTimes, EpochTimes)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of = |feed: &Feed| match feed {
                Feed::Input(_) => of_query,
                Feed::Step(number) => times.get(*number).map_or(of_query, |(_, out)| *out),
            };
            let own = step.from.iter().map(of).reduce(EpochTimes::min).unwrap_or(of_query);
            let out = match &step.does {
                Does::Operator { operator, .. } => operator.passes_times(own),
                _ => own,
            };
            times.push((own, out));
        }
        // As in Spark, what is held back to before 1970 is held back to 1970.
        let from_1970 = |at: Watermark| at.max(Watermark::default());
        let own = times.into_iter().map(|(own, _)| own);
        own.map(|own| EpochTimes { late: from_1970(own.late), evict: from_1970(own.evict), ..own }).collect()
    }

    /// How far the times of each table's operator are behind the query's, in milliseconds.
    pub fn behind_ms(&self) -> Vec<i64> {
        let at = Watermark(i64::MAX / 4);
        let times = self.times(Times { late: at, evict: at });
        let of_steps = self.steps.iter().zip(times);
        let of_tables = of_steps.flat_map(|(step, times)| match &step.does {
            Does::Operator { tables, .. } => vec![at.0 - times.evict.0; tables.len()],
            _ => Vec::new(),
        });
        of_tables.collect()
    }

    /// Runs the steps over what the lanes of an epoch gathered. `late` gives places for the late rows of what the lanes
    /// did not take, each for another number.
    pub fn run(
        &self,
        tables: &[Table],
        mut lanes: Vec<Gathered>,
        (times, epoch_ms): (Times, i64),
        late: impl Fn(usize) -> LateLane,
    ) -> Result<Ran> {
        let mut ran = Ran::default();
        let mut given: Vec<Option<Rows>> = Vec::with_capacity(self.steps.len());
        for (number, (step, times)) in self.steps.iter().zip(self.times(times)).enumerate() {
            let rows = match &step.does {
                Does::Operator { operator, tables: range } => {
                    let mut partials = [const { Vec::new() }; PORTS];
                    let (mut counts, mut are_records) = ([Counts::default(); PORTS], [false; PORTS]);
                    for (port, feed) in step.from.iter().enumerate().take(PORTS) {
                        let gathered: Vec<Gathered> = match feed {
                            Feed::Input(input) => {
                                are_records[port] = true;
                                lanes.extract_if(.., |lane| lane.input == *input).collect()
                            }
                            Feed::Step(before) => {
                                let rows = take(&mut given, *before)?;
                                are_records[port] = rows.are_records;
                                let place = late(number * PORTS + port);
                                let mut intake = intake(&**operator, (0, port), &times, place)?;
                                rows.batches.into_iter().try_for_each(|batch| intake.push(batch))?;
                                vec![intake.finish()?]
                            }
                        };
                        for of_lane in gathered {
                            partials[port].extend(of_lane.partials);
                            counts[port].add(&of_lane.counts);
                        }
                    }
                    let own = tables.get(range.clone()).unwrap_or_default();
                    let step = operator.run(own, partials, &times)?;
                    for port in 0..PORTS {
                        counts[port].add(&step.fates[port]);
                        if are_records[port] {
                            ran.count(&counts[port], operator.passes_rows());
                        }
                    }
                    ran.changes.extend(step.changes);
                    Rows { batches: step.rows, are_records: are_records[0] && operator.passes_rows() }
                }
                Does::Stages(stages) => {
                    let Rows { batches, are_records } = only(&mut given, step)?;
                    let (mut executor, mut fates) = (stages.executor(epoch_ms), Fates::default());
                    let process = |batch| executor.process(batch, &mut fates);
                    let batches = batches.into_iter().map(process).collect::<Result<_>>()?;
                    if are_records {
                        ran.ledger.filtered += fates.filtered;
                    }
                    Rows { batches, are_records }
                }
                Does::Sort(spec) => {
                    let Rows { batches, are_records } = only(&mut given, step)?;
                    Rows { batches: vec![spec.run(&batches)?], are_records }
                }
            };
            given.push(Some(rows));
        }
        let last = given.len().checked_sub(1).ok_or_else(misplanned)?;
        let Rows { batches: mut rows, are_records } = take(&mut given, last)?;
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

/// The rows that a step gave; each step feeds one other.
fn take(given: &mut [Option<Rows>], number: usize) -> Result<Rows> {
    given.get_mut(number).and_then(Option::take).ok_or_else(misplanned)
}

/// The rows for a step that has one feed, a step before it.
fn only(given: &mut [Option<Rows>], step: &Step) -> Result<Rows> {
    match step.from.as_slice() {
        [Feed::Step(number)] => take(given, *number),
        _ => Err(misplanned()),
    }
}

fn misplanned() -> Error {
    Error::new(&codes::INTERNAL, "the steps of a query do not fit together")
}

fn intake(
    operator: &dyn Operator,
    (input, port): (usize, usize),
    times: &EpochTimes,
    table: LateLane,
) -> Result<Intake> {
    let partial = operator.partial(port, times)?;
    let times = Times { late: times.late, evict: times.evict };
    Ok(Intake { input, partial, late: Late::default(), table, times })
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

#[cfg(test)]
mod tests;
