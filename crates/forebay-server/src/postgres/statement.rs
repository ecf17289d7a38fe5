//! Statements at work: planned and run on the threads of ad-hoc SQL, their rows encoded there and handed over in pieces.
//!
//! ```text
//! connection ── plan ──▶ turn, threads of SQL ──▶ Ready ── run ──▶ turn, threads of SQL ─▶ chunks (two wait at most) ─▶ socket
//! ```
//!
//! What must stay true: nothing is computed far ahead of the socket, so a slow reader holds a few chunks and the batch
//! that is being encoded; whoever drops a [`Running`] ends the work; a turn is held as long as there is work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_engine::adhoc::Limits;
use forebay_engine::adhoc::postgres::{self, Planned, Planning, Text};
use forebay_engine::plan::SqlError;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::encode::{Chunk, Encoder};
use super::system::Own;
use crate::shown::sql::{Statements, Turn};
use crate::state::Stage;

/// Chunks that wait to be sent.
const WAITING: usize = 2;
/// So long a plan is as good as new: a later statement looks at the tables again.
const FRESH: Duration = Duration::from_secs(2);

/// What the statements of a connection are planned with.
#[derive(Clone)]
pub(super) struct Work {
    pub stage: Stage,
    pub database: String,
    pub user: String,
}

/// A planned statement.
pub(super) struct Ready {
    planned: Planned,
    at: Instant,
}

impl Ready {
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.planned.schema)
    }

    pub fn parameters(&self) -> &[DataType] {
        &self.planned.parameters
    }

    /// True if it may be run as it is.
    pub fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }
}

fn lost() -> Error {
    Error::new(&codes::INTERNAL, "the statement ended unexpectedly")
}

impl Work {
    fn statements(&self) -> Result<Arc<dyn Statements>, Error> {
        let none = || Error::new(&codes::NOT_YET, "this server has no tables to ask");
        self.stage.now().shown.sql.statements().ok_or_else(none)
    }

    /// Plans a statement. `given` are the types that the client says its parameters have.
    pub async fn plan(
        &self,
        text: &Text,
        given: Vec<Option<DataType>>,
        settings: Vec<(String, String)>,
        timeout: Option<Duration>,
    ) -> Result<Ready, SqlError> {
        let statements = self.statements()?;
        let turn = statements.turn().await?;
        let runtime = turn.runtime.clone();
        let (shown, text) = (self.stage.now().shown.clone(), text.clone());
        let (database, user) = (self.database.clone(), self.user.clone());
        // Planning cannot be interrupted: it keeps its turn to its end, also if nobody waits for it any more.
        let planned = runtime.spawn(async move {
            let Turn { limits, held, .. } = turn;
            let time = match (limits.time, timeout) {
                (Some(most), Some(own)) => Some(most.min(own)),
                (most, own) => most.or(own),
            };
            let now_ms = shown.clock.now_ms();
            let relations = statements.relations().await;
            let system = Own::new(database, user, shown, &relations, settings);
            let (tables, json) = (statements.tables(), statements.json());
            let limits = Limits { time, ..limits };
            let planning = Planning::new(&*tables, Some(&*json), &system, limits, now_ms);
            let planned = postgres::plan(planning, &text, &given).await;
            drop(held);
            planned
        });
        let planned = planned.await.map_err(|_| lost())??;
        Ok(Ready { planned, at: Instant::now() })
    }

    /// Runs a planned statement; `binary` says which columns are wanted so.
    pub async fn run(
        &self,
        ready: Ready,
        values: Vec<ScalarValue>,
        binary: Vec<bool>,
    ) -> Result<Running, SqlError> {
        let turn = self.statements()?.turn().await?;
        let (sender, pieces) = mpsc::channel(WAITING);
        let runtime = turn.runtime.clone();
        let work = runtime.spawn(async move {
            let _held = turn.held;
            let ended = send(ready.planned, values, &binary, &sender).await;
            // Nobody may wait for it any more.
            let _ = sender.send(ended.map(|()| None)).await;
        });
        Ok(Running { pieces, _work: AbortOnDropHandle::new(work), rest: None, is_over: false })
    }
}

type Piece = Result<Option<Chunk>, SqlError>;

async fn send(
    planned: Planned,
    values: Vec<ScalarValue>,
    binary: &[bool],
    sender: &mpsc::Sender<Piece>,
) -> Result<(), SqlError> {
    let mut answer = planned.run(values).await?;
    let schema = Arc::clone(&answer.schema);
    while let Some(batch) = answer.batches.next().await {
        let mut encoder = Encoder::new(&batch?, &schema, binary)?;
        while let Some(chunk) = encoder.next()? {
            if sender.send(Ok(Some(chunk))).await.is_err() {
                return Ok(());
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A statement that runs.
pub(super) struct Running {
    pieces: mpsc::Receiver<Piece>,
    _work: AbortOnDropHandle<()>,
    /// Rows that were made and not taken: a chunk, and how many of its rows are gone.
    rest: Option<(Chunk, usize)>,
    is_over: bool,
}

impl Running {
    /// At most so many of the next rows, and how many that are; `None` behind the last. Nothing is lost if this is given
    /// up.
    pub async fn next(&mut self, most: usize) -> Result<Option<(Vec<u8>, usize)>, SqlError> {
        if self.rest.is_none() {
            if self.is_over {
                return Ok(None);
            }
            let piece = self.pieces.recv().await;
            self.is_over = !matches!(piece, Some(Ok(Some(_))));
            match piece {
                Some(Ok(Some(chunk))) => self.rest = Some((chunk, 0)),
                Some(Ok(None)) => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => return Err(lost().into()),
            }
        }
        let Some((chunk, gone)) = self.rest.take() else { return Ok(None) };
        let end_of = |rows: usize| match rows.checked_sub(1) {
            Some(last) => chunk.ends.get(last).copied().unwrap_or(chunk.bytes.len()),
            None => 0,
        };
        let taken = (chunk.ends.len() - gone).min(most);
        let bytes = chunk.bytes.get(end_of(gone)..end_of(gone + taken)).unwrap_or_default().to_vec();
        if gone + taken < chunk.ends.len() {
            self.rest = Some((chunk, gone + taken));
        }
        Ok(Some((bytes, taken)))
    }
}
