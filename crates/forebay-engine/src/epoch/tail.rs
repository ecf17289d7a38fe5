//! Behind the lanes: a query's steps, one after the other, on one thread.
//!
//! ```text
//! lanes' partials ─▶ operator ─▶ stages ─┐
//!                       │                ├─▶ join ─▶ … ─▶ rows for the sink
//! lanes' partials ───────────────────────┘     │
//!                       └─ Changes, late rows ─┘  are handed back; nothing is kept here
//! ```
//!
//! A step takes the rows of its feeds (`tail/intake.rs`): of an input what the lanes gathered, of a step before what came out of
//! it, of a union those of all its parts. Times go the same way: those of a step are the least of its feeds', and an operator may
//! hold back those behind it.
//!
//! A record keeps its identity as long as rows come out as they went in (de-duplication, filters); the first operator
//! that melts rows together decides its fate: aggregated. Where a join with a table or a generator made several rows of a record, the
//! first operator behind it ends its identity too: unless its first row is refused there, the record counts as aggregated. So it is
//! where a union brings records together with rows that are none.
//! What must stay true: a record that went in has one fate when its epoch is done, whatever lies in between.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::error::codes;
use forebay_core::event_time::{Times, Watermark};
use forebay_core::output_mode::OutputMode;
use forebay_core::{Error, Ledger, Result};

pub(crate) use self::intake::{Gathered, Intake};
use self::intake::{Kept, Port};
use crate::late::LateLane;
use crate::lookup::Held;
use crate::operators::{self, Counts, EpochTimes, Operator, PORTS, Partial};
use crate::plan::Fates;
use crate::plan::graph::{Feed, Graph, SortSpec, Staged, StepPlan};
use crate::state::{Changes, Layout, Table};

mod intake;

/// The steps behind the lanes.
pub(crate) struct Tail {
    steps: Vec<Step>,
    mode: OutputMode,
    /// The tables of all operators, in order, by names that stay.
    pub tables: Vec<(String, Arc<Layout>)>,
}

struct Step {
    does: Does,
    /// Of each port those that feed it.
    from: Vec<Vec<Feed>>,
}

enum Does {
    Operator {
        operator: Arc<dyn Operator>,
        tables: Range<usize>,
    },
    Stages(Staged),
    /// Gives the rows of all its feeds.
    Union,
    Sort(Arc<SortSpec>),
}

impl Step {
    /// For the rows of one of its feeds.
    fn partial(&self, port: usize, times: &EpochTimes) -> Result<Box<dyn Partial>> {
        match &self.does {
            Does::Operator { operator, .. } => operator.partial(port, times),
            Does::Union => Ok(Box::new(Kept::default())),
            _ => Err(misplanned()),
        }
    }
}

/// The rows and records that came to the ports of a step.
type Ports = ([Vec<RecordBatch>; PORTS], [Port; PORTS]);

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
                StepPlan::Union => Does::Union,
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
        let is_fed = |feeds: &Vec<Feed>| feeds.contains(&Feed::Input(input));
        let fed =
            self.steps.iter().enumerate().find_map(|(number, step)| {
                step.from.iter().position(is_fed).map(|port| (number, port, step))
            });
        let (number, port, step) = fed.ok_or_else(misplanned)?;
        let times = self.times(times).get(number).copied().unwrap_or_default();
        Ok(Intake::new(step.partial(port, &times)?, input, &times, table))
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
            let own = step.from.iter().flatten().map(of).reduce(EpochTimes::min).unwrap_or(of_query);
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
        let mut places = 0;
        let mut late = || {
            places += 1;
            late(places - 1)
        };
        for (number, (step, times)) in self.steps.iter().zip(self.times(times)).enumerate() {
            let is_last = number + 1 == self.steps.len();
            let rows = match &step.does {
                Does::Operator { operator, tables: range } => {
                    let (partials, ports) = gather(step, &times, &mut lanes, &mut given, &mut late)?;
                    let own = tables.get(range.clone()).unwrap_or_default();
                    let step = operator.run(own, partials, &times)?;
                    for (port, fates) in ports.iter().zip(&step.fates) {
                        ran.count(port, fates, operator.passes_rows());
                    }
                    ran.changes.extend(step.changes);
                    Given { batches: step.rows, are_records: ports[0].passes(operator.passes_rows()) }
                }
                Does::Union => {
                    let ([batches, _], [port, _]) = gather(step, &times, &mut lanes, &mut given, &mut late)?;
                    if !port.passes(true) {
                        ran.ends(port.records(), is_last);
                    }
                    Given { batches, are_records: port.passes(true) }
                }
                Does::Stages(stages) => {
                    let Given { batches, mut are_records } = only(&mut given, step)?;
                    let mut executor = stages.executor(epoch_ms).holding(Arc::clone(held));
                    let (mut fates, mut out) = (Fates::default(), Vec::new());
                    for batch in batches {
                        executor.take(batch);
                        while let Some(rows) = executor.next(&mut fates)? {
                            out.push(rows.batch);
                        }
                    }
                    if are_records {
                        ran.ledger.filtered += fates.filtered;
                        ran.ledger.unmatched += fates.unmatched;
                    }
                    if are_records && stages.multiplies() {
                        // From here on a record may be several rows.
                        ran.ends(fates.emitted, is_last);
                        are_records = false;
                    }
                    Given { batches: out, are_records }
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

/// What the feeds of a step have for it.
fn gather(
    step: &Step,
    times: &EpochTimes,
    lanes: &mut Vec<Gathered>,
    given: &mut [Option<Given>],
    late: &mut impl FnMut() -> LateLane,
) -> Result<Ports> {
    let mut partials = [const { Vec::new() }; PORTS];
    let mut ports = [Port::default(); PORTS];
    for (number, feeds) in step.from.iter().enumerate().take(PORTS) {
        for feed in feeds {
            let (gathered, are_records) = match feed {
                Feed::Input(input) => {
                    (lanes.extract_if(.., |lane| lane.input == *input).collect::<Vec<_>>(), true)
                }
                Feed::Step(before) => {
                    let rows = take(given, *before)?;
                    let mut intake = Intake::new(step.partial(number, times)?, 0, times, late());
                    rows.batches.into_iter().try_for_each(|batch| intake.take(batch.into()))?;
                    (vec![intake.finish()?], rows.are_records)
                }
            };
            ports[number].fed(are_records);
            for of_lane in gathered {
                if are_records {
                    ports[number].add(&of_lane);
                }
                partials[number].extend(of_lane.partials);
            }
        }
    }
    Ok((partials, ports))
}

/// The rows that a step gave; each step feeds one other.
fn take(given: &mut [Option<Given>], number: usize) -> Result<Given> {
    given.get_mut(number).and_then(Option::take).ok_or_else(misplanned)
}

/// The rows for a step that has one feed, a step before it.
fn only(given: &mut [Option<Given>], step: &Step) -> Result<Given> {
    match step.from.as_slice() {
        [feeds] => match feeds.as_slice() {
            [Feed::Step(number)] => take(given, *number),
            _ => Err(misplanned()),
        },
        _ => Err(misplanned()),
    }
}

fn misplanned() -> Error {
    Error::new(&codes::INTERNAL, "the steps of a query do not fit together")
}

impl Ran {
    /// Counts what became of the records of a port: what its lanes decided, and what the operator did in the end.
    fn count(&mut self, port: &Port, fates: &Counts, passes_rows: bool) {
        let Some(counts) = port.fates(fates) else { return };
        self.ledger.late += counts.late;
        self.ledger.deduplicated += counts.deduplicated;
        self.ledger.unmatched += counts.unmatched;
        self.ledger.filtered += counts.filtered;
        if !port.passes(passes_rows) {
            self.ledger.aggregated += counts.taken;
        }
    }

    /// Counts records that are none from here on, though rows of them go on: they are out if this was the last step.
    fn ends(&mut self, records: u64, is_last: bool) {
        *(if is_last { &mut self.ledger.emitted } else { &mut self.ledger.aggregated }) += records;
    }
}

#[cfg(test)]
mod tests;
