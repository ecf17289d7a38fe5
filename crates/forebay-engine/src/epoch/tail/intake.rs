//! Rows on their way to a step: of a lane, or of a step before it; and what came to each of its ports.

use arrow::array::{BooleanArray, RecordBatch};
use forebay_core::Result;
use forebay_core::event_time::Times;

use crate::late::LateLane;
use crate::operators::{Counts, EpochTimes, Late, Partial};
use crate::plan::Rows;

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

/// The rows of one lane on their way to the step that its input feeds, or of a step on their way to the next.
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
    pub fn new(partial: Box<dyn Partial>, input: usize, times: &EpochTimes, table: LateLane) -> Self {
        let times = Times { late: times.late, evict: times.evict };
        let (late, counts, records, repeats) = (Late::default(), Counts::default(), 0, false);
        Self { input, partial, late, table, times, counts, records, repeats }
    }

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
        let firsts = BooleanArray::new(firsts, None);
        self.counts.add(&self.partial.push_repeated(batch, &firsts, &mut self.late)?);
        self.keep_late()
    }

    /// Takes rows; those that are late go to their table.
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.partial.push(batch, &mut self.late)?;
        self.keep_late()
    }

    fn keep_late(&mut self) -> Result<()> {
        self.late.take().iter().try_for_each(|rows| self.table.push(rows, self.times))
    }

    /// What the rows came to; late ones are durable.
    pub fn finish(self) -> Result<Gathered> {
        self.table.finish()?;
        let Self { input, partial, counts, records, repeats, .. } = self;
        Ok(Gathered { input, partials: partial.finish()?, counts, records, repeats })
    }
}

/// What came to one port of a step.
#[derive(Clone, Copy, Default)]
pub(super) struct Port {
    /// True if records of a source are among it.
    has_records: bool,
    /// True if something else is: rows that an operator made.
    has_others: bool,
    /// How many records.
    records: u64,
    /// True if some of them came as several rows.
    repeats: bool,
    counts: Counts,
}

impl Port {
    /// Notes one of those that feed it.
    pub fn fed(&mut self, are_records: bool) {
        self.has_records |= are_records;
        self.has_others |= !are_records;
    }

    /// Adds records of such a feed.
    pub fn add(&mut self, gathered: &Gathered) {
        self.counts.add(&gathered.counts);
        self.records += gathered.records;
        self.repeats |= gathered.repeats;
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether each row is a record, and nothing else is.
    fn is_plain(&self) -> bool {
        self.has_records && !self.has_others && !self.repeats
    }

    /// Whether rows that the step passes on are still records.
    pub fn passes(&self, passes_rows: bool) -> bool {
        self.is_plain() && passes_rows
    }

    /// What became of the records, with what the operator did with rows in the end; `None` if none came.
    pub fn fates(&self, of_rows: &Counts) -> Option<Counts> {
        let mut counts = self.counts;
        if self.is_plain() {
            counts.add(of_rows);
        } else {
            // Which of the rows were records, or of which record they were, the operator does not say.
            counts.taken = self.records.saturating_sub(counts.refused());
        }
        self.has_records.then_some(counts)
    }
}

/// Rows as they came.
#[derive(Default)]
pub(super) struct Kept {
    batches: Vec<RecordBatch>,
    rows: u64,
}

impl Partial for Kept {
    fn push(&mut self, batch: RecordBatch, _: &mut Late) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.batches.push(batch);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<RecordBatch>> {
        Ok(self.batches)
    }

    fn counts(&self) -> Counts {
        Counts { taken: self.rows, ..Counts::default() }
    }
}
