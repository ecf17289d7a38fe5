//! One attempt at a planned epoch, from its first record to the sink's commit, and how often it is tried.
//!
//! What must stay true: an epoch is computed only while its sink does not have it, and where the sink can recognise an
//! epoch, its outcome is durable before the sink gets it. So rows, quarantine and ledger always come from the same
//! attempt, even if schema or SQL changed between two of them.

use std::ops::ControlFlow::Break;
use std::sync::Arc;

use forebay_core::checkpoint::{Outcome, Plan, unknown_outcome};
use forebay_core::error::codes;
use forebay_core::latency::Ages;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Written};
use forebay_core::{Error, Ledger, PositionRange, Result, source};
use forebay_storage::kill_point;
use futures::future::try_join_all;

use super::Runner;
use super::lane::{Lane, LaneDone};
use super::pace::Backoff;
use crate::quarantine::Resolved;

impl Runner {
    /// Attempts until one succeeds; `None` if a stop came. `outcome` is that of an attempt before a restart.
    pub(super) async fn attempts(
        &mut self,
        plan: &Arc<Plan>,
        id: &EpochId,
        mut outcome: Option<Ledger>,
    ) -> Result<Option<(Ledger, Written)>> {
        let mut backoff = Backoff::default();
        loop {
            let tried = self.attempt(plan, id, &mut outcome).await;
            if let Break(end) = self.settle(&mut backoff, tried).await? {
                return Ok(end);
            }
        }
    }

    /// One attempt: everything up to and with the sink's commit. `outcome` is that of the newest attempt which came
    /// so far.
    async fn attempt(
        &mut self,
        plan: &Arc<Plan>,
        id: &EpochId,
        outcome: &mut Option<Ledger>,
    ) -> Result<(Ledger, Written)> {
        let ranges: Vec<PositionRange> =
            plan.ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let mut streams = self.source.read(&ranges, self.lanes).await?;
        if streams.is_empty() {
            streams.push(Box::pin(futures::stream::empty()));
        }
        let (ledger, written) = match self.sink.begin(id, streams.len()).await? {
            Begun::AlreadyWritten => {
                (outcome.ok_or_else(|| unknown_outcome(plan.epoch))?, Written::default())
            }
            Begun::Writers(writers) => {
                match self.compute_and_write(plan, id, streams, writers, outcome).await {
                    Ok(done) => done,
                    Err(error) => return Err(self.abort(id, error).await),
                }
            }
        };
        if !plan.replay.is_empty() {
            self.quarantine.resolve(&plan.replay, Resolved::Replayed)?;
            kill_point("quarantine.resolve.after");
            self.quarantine.forget_requests(&plan.replay)?;
        }
        Ok((ledger, written))
    }

    async fn compute_and_write(
        &mut self,
        plan: &Arc<Plan>,
        id: &EpochId,
        streams: Vec<source::Lane>,
        writers: Vec<Box<dyn LaneWriter>>,
        outcome: &mut Option<Ledger>,
    ) -> Result<(Ledger, Written)> {
        self.quarantine.begin(plan.epoch, plan.planned_at_ms, &plan.replay)?;
        let (ledger, ages, parts) = self.run_lanes(plan, streams, writers).await?;
        self.ages = ages;
        self.source.confirm(&plan.ranges).await?;
        kill_point("epoch.read.after");
        if !ledger.balances() {
            let message = format!("the ledger of epoch {} does not balance: {ledger:?}", plan.epoch);
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        if self.sink.guarantee() == Guarantee::ExactlyOnce {
            self.checkpoint.outcome(&Outcome { epoch: plan.epoch, ledger })?;
            *outcome = Some(ledger);
        }
        Ok((ledger, self.sink.commit(id, parts).await?))
    }

    async fn abort(&mut self, id: &EpochId, error: Error) -> Error {
        if let Err(abort_error) = self.sink.abort(id).await {
            tracing::warn!(query = %self.name, error = %abort_error, "cleaning up after a failed attempt failed too");
        }
        error
    }

    /// Runs all lanes to their ends, on tasks of their own.
    async fn run_lanes(
        &mut self,
        plan: &Arc<Plan>,
        streams: Vec<source::Lane>,
        writers: Vec<Box<dyn LaneWriter>>,
    ) -> Result<(Ledger, Ages, Vec<Part>)> {
        if writers.len() != streams.len() {
            let message = format!("the sink gave {} writers for {} lanes", writers.len(), streams.len());
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        let mut replayed =
            if plan.replay.is_empty() { Vec::new() } else { self.quarantine.entries_of(&plan.replay)? };
        let mut tasks = Vec::with_capacity(streams.len());
        for (index, (stream, writer)) in streams.into_iter().zip(writers).enumerate() {
            let lane = Lane {
                plan: plan.clone(),
                executor: self.plan.executor(plan.planned_at_ms),
                wants_envelope: self.plan.wants_envelope(),
                decoder: self.format.as_ref().map(|format| format.decoder()),
                writer,
                quarantine: self.quarantine.writer(plan.epoch, index),
            };
            let replayed = std::mem::take(&mut replayed);
            let task = AbortOnDrop(tokio::spawn(lane.run(stream, replayed)));
            tasks.push(async move { task.join().await });
        }
        let (mut ledger, mut ages) = (Ledger::default(), Ages::default());
        let mut parts = Vec::new();
        for LaneDone { ledger: lane, ages: of_lane, part } in try_join_all(tasks).await? {
            ledger.add(&lane);
            ages.add_later(&of_lane, 0);
            parts.push(part);
        }
        Ok((ledger, ages, parts))
    }
}

/// A task that ends with its owner: when one lane fails, the others must not go on writing.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl AbortOnDrop<Result<LaneDone>> {
    async fn join(mut self) -> Result<LaneDone> {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(e) => {
                Err(Error::new(&codes::INTERNAL, "a lane of the epoch ended unexpectedly").caused_by(e))
            }
        }
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
