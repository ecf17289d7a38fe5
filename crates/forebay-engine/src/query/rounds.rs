//! A query that runs for a time, lets somebody else work on what it wrote, and goes on.
//!
//! ```text
//!  turn ──(so long)──▶ run ──(time is over: the epoch it is in ends)──▶ open again ─▶ turn ─▶ run …
//!    └─ no more rounds: the query has ended
//! ```
//!
//! What must stay true: while a turn works the query's checkpoint is open and held, and nothing of it is read or written.
//! A stop ends the query where it is; the next start takes up the turn or the round that it was in. A turn that fails for a
//! while is tried again for ever, in the open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::{Error, Positions, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::OpenQuery;
use crate::checkpoint::Ends;
use crate::epoch::{Backoff, Runner};
use crate::status::{QueryStatus, State};

/// What a query in rounds does between them.
pub trait Rounds: Send {
    /// Does what is to be done before the query may run, and says for how long it may then; `None` if it is done for good.
    /// `reached` is where its committed epochs end; `None` if the newest one is not committed. Blocks.
    ///
    /// # Errors
    /// One that may pass is tried again, with what was done kept; any other ends the query.
    fn turn(&mut self, reached: Option<&Positions>) -> Result<Option<Duration>>;

    /// Opens the same query again, as for a start after an end. Blocks.
    ///
    /// # Errors
    /// Those of an open.
    fn open(&self, status: watch::Sender<QueryStatus>) -> Result<OpenQuery>;
}

pub(super) async fn run(
    mut runner: Runner,
    mut ends: Ends,
    mut rounds: Box<dyn Rounds>,
    stop: &CancellationToken,
) -> Result<()> {
    loop {
        let reached = reached(&ends);
        let told = Told {
            name: runner.name.clone(),
            clock: Arc::clone(&runner.clock),
            status: runner.status.clone(),
        };
        let (turned, back) = turn(told, rounds, reached, stop).await?;
        rounds = back;
        let Some(Some(left)) = turned else { return Ok(()) };
        let (status, round) = (runner.status.clone(), stop.child_token());
        runner.stop = round.clone();
        let mut over = false;
        let running = runner.run(ends);
        tokio::pin!(running);
        let outcome = loop {
            tokio::select! {
                outcome = &mut running => break outcome,
                () = tokio::time::sleep(left), if !over => {
                    over = true;
                    round.cancel();
                }
            }
        };
        outcome?;
        // One that ended by itself has done what it was to do.
        if stop.is_cancelled() || !over {
            return Ok(());
        }
        let (epochs, ledger) = {
            let status = status.borrow();
            (status.run_epochs, status.run_ledger)
        };
        let opening = tokio::task::spawn_blocking(move || {
            let opened = rounds.open(status);
            (opened, rounds)
        });
        let (opened, back) = opening.await.map_err(lost)?;
        let opened = opened?;
        // What a run counts goes on over its rounds.
        opened.runner.status.send_modify(|status| {
            status.run_epochs += epochs;
            status.run_ledger.add(&ledger);
        });
        (runner, ends, rounds) = (opened.runner, opened.ends, back);
    }
}

/// Who tells how a turn goes.
struct Told {
    name: String,
    clock: Arc<dyn Clock>,
    status: watch::Sender<QueryStatus>,
}

type Turned = (Option<Option<Duration>>, Box<dyn Rounds>);

/// A turn, tried until it works; `None` if a stop came first.
async fn turn(
    told: Told,
    mut rounds: Box<dyn Rounds>,
    reached: Option<Positions>,
    stop: &CancellationToken,
) -> Result<Turned> {
    let mut backoff = Backoff::default();
    loop {
        let committed = reached.clone();
        let turning = tokio::task::spawn_blocking(move || {
            let turned = rounds.turn(committed.as_ref());
            (turned, rounds)
        });
        let (turned, back) = turning.await.map_err(lost)?;
        rounds = back;
        let error = match turned {
            Ok(turned) => return Ok((Some(turned), rounds)),
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error),
        };
        let now_ms = told.clock.now_ms();
        let delay = backoff.next();
        let (since_ms, attempts) = (backoff.since(now_ms), backoff.attempts());
        if backoff.tells(now_ms) {
            tracing::warn!(query = %told.name, %error, hint = error.hint(), attempts, "the end of a round failed, trying again");
        }
        let state = State::Retrying { error, since_ms, attempts };
        told.status.send_modify(|status| status.state = state);
        let until = Instant::now() + delay;
        tokio::select! {
            () = stop.cancelled() => return Ok((None, rounds)),
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }
}

/// Where the committed epochs end; `None` if the newest plan is not committed.
fn reached(ends: &Ends) -> Option<Positions> {
    match (&ends.plan, &ends.commit) {
        (Some(plan), Some(commit)) if plan.epoch == commit.epoch => Some(plan.ends()),
        (Some(_), _) => None,
        (None, _) => Some(ends.start.as_ref().map(|start| start.positions()).unwrap_or_default()),
    }
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(&codes::INTERNAL, "the end of a round ended unexpectedly").caused_by(error)
}
