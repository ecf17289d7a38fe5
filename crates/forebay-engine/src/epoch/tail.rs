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
//! that melts rows together decides its fate: aggregated. Where a join with a table made several rows of a record, the
//! first operator behind it ends its identity too: unless its first row is refused there, the record counts as aggregated.
//! What must stay true: a record that went in has one fate when its epoch is done, whatever lies in between.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use forebay_core::error::codes;
use forebay_core::event_time::{Times, Watermark};
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Ledger, Result};

use crate::late::LateLane;
use crate::lookup::Held;
use crate::operators::{self, Counts, EpochTimes, Late, Operator, PORTS, Partial};
use crate::plan::graph::{Feed, Graph, SortSpec, Staged, StepPlan};
use crate::plan::{Fates, Rows};
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
    /// What the lane decided of its records.
    pub counts: Counts,
    /// How many of its records came to the operator.
    pub records: u64,
    /// True if some of them came as several rows.
    pub repeats: bool,
}

/// The rows of one lane on their way to the operator that its input feeds, or of a step on their way to the next.
pub(crate) struct Intake {
    input: usize,
    partial: Box<dyn Partial>,
    late: Late,
    table: LateLane,
    times: Times,
    /// Of the first row of each record; those of the others are known by it.
    counts: Counts,
    records: u64,
    repeats: bool,
}

impl Intake {
    /// Takes rows of which some may be of the same record: only the first of a record is counted.
    pub fn take(&mut self, rows: Rows) -> Result<()> {
        let Rows { batch, repeats } = rows;
        let Some(repeats) = repeats else {
            self.records += batch.num_rows() as u64;
            let before = self.partial.counts();
            self.push(batch)?;
            self.counts.add(&self.partial.counts().since(&before));
            return Ok(());
        };
        self.repeats = true;
        let firsts = !&repeats;
        self.records += firsts.count_set_bits() as u64;
        let before = self.partial.counts();
        self.push(chosen(&batch, firsts)?)?;
        self.counts.add(&self.partial.counts().since(&before));
        self.push(chosen(&batch, repeats)?)
    }

    /// Takes rows; those that are late go to their table.
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.partial.push(batch, &mut self.late)?;
        self.late.take().iter().try_for_each(|rows| self.table.push(rows, self.times))
    }

    /// What the rows came to; late ones are durable.
    pub fn finish(self) -> Result<Gathered> {
        self.table.finish()?;
        let Self { input, partial, counts, records, repeats, .. } = self;
        Ok(Gathered { input, partials: partial.finish()?, counts, records, repeats })
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
struct Given {
    batches: Vec<RecordBatch>,
    /// Whether a row is still a record of the source.
    are_records: bool,
}

/// What came to one port of an operator.
#[derive(Clone, Copy, Default)]
struct Port {
    /// Whether what came are records of a source, each as a row or as several.
    are_records: bool,
    /// How many.
    records: u64,
    /// True if some of them came as several rows.
    repeats: bool,
    counts: Counts,
}

impl Port {
    fn add(&mut self, gathered: &Gathered) {
        self.counts.add(&gathered.counts);
        self.records += gathered.records;
        self.repeats |= gathered.repeats;
    }

    /// Whether rows that the operator passes on are still records.
    fn passes(&self, passes_rows: bool) -> bool {
        self.are_records && !self.repeats && passes_rows
    }
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
        held: &Arc<Held>,
    ) -> Result<Ran> {
        let mut ran = Ran::default();
        let mut given: Vec<Option<Given>> = Vec::with_capacity(self.steps.len());
        for (number, (step, times)) in self.steps.iter().zip(self.times(times)).enumerate() {
            let rows = match &step.does {
                Does::Operator { operator, tables: range } => {
                    let mut partials = [const { Vec::new() }; PORTS];
                    let mut ports = [Port::default(); PORTS];
                    for (port, feed) in step.from.iter().enumerate().take(PORTS) {
                        let gathered: Vec<Gathered> = match feed {
                            Feed::Input(input) => {
                                ports[port].are_records = true;
                                lanes.extract_if(.., |lane| lane.input == *input).collect()
                            }
                            Feed::Step(before) => {
                                let rows = take(&mut given, *before)?;
                                ports[port].are_records = rows.are_records;
                                let place = late(number * PORTS + port);
                                let mut intake = intake(&**operator, (0, port), &times, place)?;
                                rows.batches.into_iter().try_for_each(|batch| intake.take(batch.into()))?;
                                vec![intake.finish()?]
                            }
                        };
                        for of_lane in gathered {
                            ports[port].add(&of_lane);
                            partials[port].extend(of_lane.partials);
                        }
                    }
                    let own = tables.get(range.clone()).unwrap_or_default();
                    let step = operator.run(own, partials, &times)?;
                    for (port, fates) in ports.iter().zip(&step.fates) {
                        ran.count(port, fates, operator.passes_rows());
                    }
                    ran.changes.extend(step.changes);
                    Given { batches: step.rows, are_records: ports[0].passes(operator.passes_rows()) }
                }
                Does::Stages(stages) => {
                    let Given { batches, mut are_records } = only(&mut given, step)?;
                    let mut executor = stages.executor(epoch_ms).holding(Arc::clone(held));
                    let mut fates = Fates::default();
                    let process = |batch| executor.process(batch, &mut fates);
                    let batches = batches.into_iter().map(process).collect::<Result<_>>()?;
                    if are_records {
                        ran.ledger.filtered += fates.filtered;
                        ran.ledger.unmatched += fates.unmatched;
                    }
                    if are_records && stages.looks_up() {
                        // From here on a record may be several rows.
                        let is_last = number + 1 == self.steps.len();
                        let fate = if is_last { &mut ran.ledger.emitted } else { &mut ran.ledger.aggregated };
                        *fate += fates.emitted;
                        are_records = false;
                    }
                    Given { batches, are_records }
                }
                Does::Sort(spec) => {
                    let Given { batches, are_records } = only(&mut given, step)?;
                    Given { batches: vec![spec.run(&batches)?], are_records }
                }
            };
            given.push(Some(rows));
        }
        let last = given.len().checked_sub(1).ok_or_else(misplanned)?;
        let Given { batches: mut rows, are_records } = take(&mut given, last)?;
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
fn take(given: &mut [Option<Given>], number: usize) -> Result<Given> {
    given.get_mut(number).and_then(Option::take).ok_or_else(misplanned)
}

/// The rows for a step that has one feed, a step before it.
fn only(given: &mut [Option<Given>], step: &Step) -> Result<Given> {
    match step.from.as_slice() {
        [Feed::Step(number)] => take(given, *number),
        _ => Err(misplanned()),
    }
}

fn chosen(batch: &RecordBatch, rows: BooleanBuffer) -> Result<RecordBatch> {
    filter_record_batch(batch, &BooleanArray::new(rows, None))
        .map_err(|e| Error::new(&codes::INTERNAL, "the rows of a record cannot be told apart").caused_by(e))
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
    let (late, counts, records, repeats) = (Late::default(), Counts::default(), 0, false);
    Ok(Intake { input, partial, late, table, times, counts, records, repeats })
}

impl Ran {
    /// Counts what became of the records of a port: what its lanes decided, and what the operator did in the end.
    fn count(&mut self, port: &Port, fates: &Counts, passes_rows: bool) {
        if !port.are_records {
            return;
        }
        let mut counts = port.counts;
        if port.repeats {
            // Which of a record's rows went on, the operator does not say.
            counts.taken = port.records.saturating_sub(counts.refused());
        } else {
            counts.add(fates);
        }
        self.ledger.late += counts.late;
        self.ledger.deduplicated += counts.deduplicated;
        self.ledger.unmatched += counts.unmatched;
        self.ledger.filtered += counts.filtered;
        if !port.passes(passes_rows) {
            self.ledger.aggregated += counts.taken;
        }
    }
}

#[cfg(test)]
mod tests;
