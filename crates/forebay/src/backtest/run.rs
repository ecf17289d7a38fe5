//! Rules at work: pieces of rows in, what each rule did out. Each thread has some of the rules and sees every piece.

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::lookup::Held;
use forebay_engine::plan::{Fates, KAFKA_COLUMN, StreamPlan};
use forebay_rules::backtest::{Backtest, Tally};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Side;
use crate::alerts::{self, PlannedAlert};

/// Pieces that wait for a thread: as many as it takes that reader and rules do not wait for each other.
const WAITING: usize = 4;

/// Rows in the order of time, as each side's source would have decoded them.
pub struct Piece {
    pub new: RecordBatch,
    pub present: Option<RecordBatch>,
    /// The times of the first and the last of them, milliseconds since 1970.
    pub first_ms: i64,
    pub last_ms: i64,
}

/// One rule of one side.
pub struct Trial {
    /// Its place among all.
    number: usize,
    pub rule: String,
    pub side: Side,
    plan: Arc<StreamPlan>,
    held: Arc<Held>,
    backtest: Backtest,
}

/// What came of one.
pub struct Done {
    pub rule: String,
    pub side: Side,
    pub tally: Tally,
}

impl Trial {
    /// A rule of a file with so many; joined with these rows of tables at rest.
    pub fn new(alert: &PlannedAlert, side: Side, count: usize, held: Arc<Held>) -> Result<Self> {
        let backtest = Backtest::new(alert.watched(), alerts::bounds(count), &alert.plan.output_schema())?;
        let (rule, plan) = (alert.config.name.clone(), Arc::clone(&alert.plan));
        Ok(Self { number: 0, rule, side, plan, held, backtest })
    }

    /// The same rule, which has seen nothing.
    pub fn anew(&self) -> Self {
        let (rule, plan, held) = (self.rule.clone(), Arc::clone(&self.plan), Arc::clone(&self.held));
        Self { number: self.number, rule, side: self.side, plan, held, backtest: self.backtest.anew() }
    }

    fn take(&mut self, piece: &Piece) -> Result<()> {
        let rows = match self.side {
            Side::New => Some(&piece.new),
            Side::Present => piece.present.as_ref(),
        };
        let Some(rows) = rows else { return Ok(()) };
        let input = self.plan.only_input()?;
        let rows = match input.wants_envelope() {
            true => rows.clone(),
            false => without_kafka(rows)?,
        };
        // `now()` is the time of the data, as it is the epoch's in a run.
        let mut executor = input.executor(piece.last_ms).holding(Arc::clone(&self.held));
        executor.take(rows);
        let mut fates = Fates::default();
        while let Some(made) = executor.next(&mut fates)? {
            self.backtest.take(&made.batch, piece.last_ms)?;
        }
        Ok(())
    }
}

fn without_kafka(rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = rows.schema();
    let own: Vec<usize> =
        (0..schema.fields().len()).filter(|at| schema.field(*at).name() != KAFKA_COLUMN).collect();
    rows.project(&own).map_err(|e| Error::new(&codes::INTERNAL, "rows have no columns").caused_by(e))
}

/// A thread: where its pieces go in, and what comes of its rules.
type Lane = (mpsc::Sender<Arc<Piece>>, JoinHandle<Result<Vec<Trial>>>);

/// The threads.
pub struct Workers {
    lanes: Vec<Lane>,
}

impl Workers {
    /// Starts as many threads as there are processors and rules for them. They begin at this time, else with the first row.
    pub fn start(trials: Vec<Trial>, begin_ms: Option<i64>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = processors.min(trials.len()).max(1);
        let mut shares: Vec<Vec<Trial>> = (0..count).map(|_| Vec::new()).collect();
        for (number, trial) in trials.into_iter().enumerate() {
            if let Some(share) = shares.get_mut(number % count) {
                share.push(Trial { number, ..trial });
            }
        }
        let lane = |share: Vec<Trial>| -> Lane {
            let (sender, pieces) = mpsc::channel(WAITING);
            (sender, tokio::task::spawn_blocking(move || work(share, begin_ms, pieces)))
        };
        Self { lanes: shares.into_iter().map(lane).collect() }
    }

    /// Hands a piece to all of them; false if one has ended with an error.
    pub async fn take(&self, piece: Piece) -> bool {
        let piece = Arc::new(piece);
        for (sender, _) in &self.lanes {
            if sender.send(Arc::clone(&piece)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends them at this time; fails with the first error of one.
    pub async fn end(self, end_ms: i64) -> Result<Vec<Done>> {
        let mut done = Vec::new();
        for (sender, worker) in self.lanes {
            drop(sender);
            let lost =
                |e| Error::new(&codes::INTERNAL, "a thread of a backtest ended unexpectedly").caused_by(e);
            for Trial { number, rule, side, backtest, .. } in worker.await.map_err(lost)?? {
                done.push((number, Done { rule, side, tally: backtest.end(end_ms)? }));
            }
        }
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, done)| done).collect())
    }
}

fn work(
    mut trials: Vec<Trial>,
    mut begin_ms: Option<i64>,
    mut pieces: mpsc::Receiver<Arc<Piece>>,
) -> Result<Vec<Trial>> {
    let mut has_begun = false;
    while let Some(piece) = pieces.blocking_recv() {
        let begin = *begin_ms.get_or_insert(piece.first_ms);
        for trial in &mut trials {
            if !has_begun {
                trial.backtest.begin(begin)?;
            }
            trial.take(&piece).map_err(|error| match error.place() {
                Some(place) => {
                    let place = format!("alerts.{}, {place}", trial.rule);
                    error.at(place)
                }
                None => error.at(format_args!("alerts.{}", trial.rule)),
            })?;
        }
        has_begun = true;
    }
    Ok(trials)
}
