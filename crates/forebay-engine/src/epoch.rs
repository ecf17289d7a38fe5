//! The micro-batch loop: how one query goes from epoch to epoch, and what is durable when.
//!
//! ```text
//!  ┌─▶ wait ──▶ 1 plan N ──▶ 2 read, decode, compute ──▶ 3 write ──▶ 5 commit N ──┐
//!  │            (durable)     in lanes, nothing visible    sink.commit  (durable)  │
//!  └───────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before the plan is durable | epoch N never was; it is planned anew |
//! | after the plan, before the commit | exactly the same ranges again as epoch N; the sink recognises N |
//! | after the commit | goes on with N+1 |
//!
//! (Step 4, the snapshot of operator state, arrives with the first stateful operator.) After the plan nothing looks
//! at a clock, so a repeated epoch gives the same rows. What must stay true: one epoch at a time is visible to the
//! sink, and positions move only by a durable commit. An error that may pass is tried again for ever, with back-off
//! and in the open; any other ends the query with its checkpoint intact.

mod lane;
mod pace;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::checkpoint::{Commit, Plan, Recovery, decide};
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::format::Format;
use forebay_core::limits::Limits;
use forebay_core::progress::{Facts, StreamingQueryProgress};
use forebay_core::sink::{Begun, EpochId, Sink, Written};
use forebay_core::source::{Available, Source};
use forebay_core::trigger::Trigger;
use forebay_core::{Epoch, Error, Ledger, PositionRange, Positions, Result};
use forebay_storage::kill_point;
use futures::future::try_join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::lane::{Lane, LaneDone};
use self::pace::{Backoff, Pace};
use crate::checkpoint::Checkpoint;
use crate::plan::StreamPlan;
use crate::quarantine::{Entry, Quarantine, Resolved};
use crate::status::{QueryStatus, RECENT, State};

/// Most quarantined records that one epoch decodes again: bounds the memory of a replay.
const REPLAY_LIMIT: usize = 10_000;

/// How often an idle query looks for requests to replay.
const REQUEST_POLL: Duration = Duration::from_secs(1);

/// Everything one query consists of, ready to run.
pub(crate) struct Runner {
    pub name: String,
    pub plan: Arc<StreamPlan>,
    pub source: Box<dyn Source>,
    pub format: Option<Arc<dyn Format>>,
    pub sink: Box<dyn Sink>,
    pub trigger: Trigger,
    pub limits: Limits,
    pub lanes: usize,
    pub checkpoint: Checkpoint,
    pub quarantine: Quarantine,
    pub clock: Arc<dyn Clock>,
    pub status: watch::Sender<QueryStatus>,
    pub stop: CancellationToken,
}

/// Where a query stands between two epochs.
struct Standing {
    epoch: Epoch,
    positions: Positions,
    ledger: Ledger,
}

/// How long the parts of an epoch took, for its progress report.
#[derive(Default)]
struct Timings {
    started_ms: i64,
    latest_offset: Duration,
    wal_commit: Duration,
    add_batch: Duration,
    commit_offsets: Duration,
}

impl Runner {
    /// Runs to the end: until stopped, or until a bounded trigger has done its work.
    pub async fn run(mut self, recovered: crate::checkpoint::Ends) -> Result<()> {
        let Some(in_sink) = self.open_sink().await? else { return Ok(()) };
        let mut standing = match decide(recovered.plan, recovered.commit, in_sink)? {
            Recovery::Fresh => {
                let Some(positions) = self.start().await? else { return Ok(()) };
                Standing { epoch: Epoch(0), positions, ledger: Ledger::default() }
            }
            Recovery::Continue { epoch, positions, ledger } => Standing { epoch, positions, ledger },
            Recovery::Replay { plan, ledger } => {
                tracing::info!(query = %self.name, epoch = %plan.epoch, "repeating the epoch that was not committed");
                let mut standing = Standing { epoch: plan.epoch, positions: plan.starts(), ledger };
                let timings = Timings { started_ms: self.clock.now_ms(), ..Timings::default() };
                if !self.epoch(plan, &mut standing, timings, None).await? {
                    return Ok(());
                }
                standing
            }
        };
        self.publish_standing(&standing);
        self.follow(&mut standing).await
    }

    /// Opens the sink and asks it for the newest epoch it holds; `None` if a stop came.
    async fn open_sink(&mut self) -> Result<Option<Option<Epoch>>> {
        let query_id = self.checkpoint.query_id().to_owned();
        self.status.send_modify(|status| status.id = Some(query_id.as_str().into()));
        let mut backoff = Backoff::default();
        loop {
            let opened = self.sink.open(self.plan.output_schema()).await;
            let error = match opened {
                Ok(()) => match self.sink.last_epoch(&query_id).await {
                    Ok(epoch) => return Ok(Some(epoch)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if !self.try_again(&mut backoff, error).await? {
                return Ok(None);
            }
        }
    }

    /// Where a new query starts; `None` if a stop came.
    async fn start(&mut self) -> Result<Option<Positions>> {
        let mut backoff = Backoff::default();
        loop {
            match self.source.start().await {
                Ok(positions) => return Ok(Some(positions)),
                Err(error) if self.try_again(&mut backoff, error.clone()).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// What the source has; `None` if a stop came.
    async fn available(&mut self, positions: &Positions) -> Result<Option<Available>> {
        let mut backoff = Backoff::default();
        loop {
            match self.source.available(positions).await {
                Ok(available) => return Ok(Some(available)),
                Err(error) if self.try_again(&mut backoff, error.clone()).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// The loop proper: waits, plans, runs, until stopped or done.
    async fn follow(&mut self, standing: &mut Standing) -> Result<()> {
        let mut pace = Pace::new(self.trigger, self.sink.min_commit_interval());
        let mut target: Option<Positions> = None;
        while !self.stop.is_cancelled() {
            if !pause(&self.stop, pace.until_next(self.clock.now_ms())).await {
                break;
            }
            let mut timings = Timings { started_ms: self.clock.now_ms(), ..Timings::default() };
            let asked = Instant::now();
            let Some(available) = self.available(&standing.positions).await? else { break };
            timings.latest_offset = asked.elapsed();
            let waited = pace.waited();
            let ranges = self.choose(standing, &available, target.as_ref(), waited);
            if self.trigger.is_bounded() && target.is_none() {
                target = Some(available.ends.clone());
            }
            let replay = self.quarantine.requested(REPLAY_LIMIT)?;
            if ranges.iter().all(PositionRange::is_empty) && replay.is_empty() {
                self.publish_lag(standing, &available);
                if self.trigger.is_bounded() {
                    break;
                }
                self.set_state(State::Waiting);
                self.wait_for_data(standing).await?;
                continue;
            }
            let plan = Plan { epoch: standing.epoch, planned_at_ms: self.clock.now_ms(), ranges, replay };
            let planned = Instant::now();
            if !self.write_plan(&plan).await? {
                break;
            }
            timings.wal_commit = planned.elapsed();
            pace.started(self.clock.now_ms());
            if !self.epoch(plan, standing, timings, Some(&available)).await? {
                break;
            }
            if self.trigger == Trigger::Once {
                break;
            }
        }
        Ok(())
    }

    /// The ranges of the next epoch: from where the query stands to what is available, within the limits.
    fn choose(
        &self,
        standing: &mut Standing,
        available: &Available,
        target: Option<&Positions>,
        waited: Duration,
    ) -> Vec<PositionRange> {
        for (partition, position) in available.new.iter().chain(&available.moved) {
            standing.positions.insert(partition.clone(), *position);
        }
        let ends = target.unwrap_or(&available.ends);
        let full: Vec<PositionRange> = standing
            .positions
            .iter()
            .map(|(partition, from)| PositionRange {
                partition: partition.clone(),
                from: *from,
                to: ends.get(partition).copied().unwrap_or(*from).max(*from),
            })
            .collect();
        if self.trigger == Trigger::Once { full } else { self.limits.apply(full, waited) }
    }

    /// Runs one planned epoch until it is committed; false if a stop came while it was being tried again.
    async fn epoch(
        &mut self,
        plan: Plan,
        standing: &mut Standing,
        mut timings: Timings,
        available: Option<&Available>,
    ) -> Result<bool> {
        let plan = Arc::new(plan);
        let id = EpochId {
            query_id: self.checkpoint.query_id().to_owned(),
            query_name: self.name.clone(),
            epoch: plan.epoch,
            planned_at_ms: plan.planned_at_ms,
        };
        self.set_state(State::Running);
        let computed = Instant::now();
        let Some((ledger, written)) = self.attempts(&plan, &id).await? else { return Ok(false) };
        kill_point("epoch.write.after");
        timings.add_batch = computed.elapsed();
        if !ledger.balances() {
            let message = format!("the ledger of epoch {} does not balance: {ledger:?}", plan.epoch);
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        let mut total = standing.ledger;
        total.add(&ledger);
        let committing = Instant::now();
        let commit = Commit { epoch: plan.epoch, ledger: total };
        if !self.write_commit(&commit).await? {
            return Ok(false);
        }
        timings.commit_offsets = committing.elapsed();
        let starts = plan.starts();
        *standing = Standing { epoch: plan.epoch.next(), positions: plan.ends(), ledger: total };
        if let Err(error) = self.source.committed(&standing.positions).await {
            tracing::debug!(query = %self.name, %error, "group offsets not committed");
        }
        if let Err(error) = self.sink.tidy().await {
            tracing::warn!(query = %self.name, %error, "housekeeping of the sink failed");
        }
        self.report(&plan, &starts, standing, &ledger, written, &timings, available);
        Ok(true)
    }

    /// One attempt at an epoch: everything up to and with the sink's commit.
    async fn attempt(&mut self, plan: &Arc<Plan>, id: &EpochId) -> Result<(Ledger, Written)> {
        self.quarantine.begin(plan.epoch, plan.planned_at_ms, &plan.replay)?;
        let ranges: Vec<PositionRange> =
            plan.ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let mut streams = self.source.read(&ranges, self.lanes).await?;
        if streams.is_empty() {
            streams.push(Box::pin(futures::stream::empty()));
        }
        let begun = self.sink.begin(id, streams.len()).await?;
        let already = matches!(begun, Begun::AlreadyWritten);
        let outcome = self.run_lanes(plan, streams, begun).await;
        kill_point("epoch.read.after");
        let (ledger, mended, written) = match outcome {
            Ok((ledger, mended, _)) if already => (ledger, mended, Written::default()),
            Ok((ledger, mended, parts)) => match self.sink.commit(id, parts).await {
                Ok(written) => (ledger, mended, written),
                Err(error) => return Err(self.abort(id, error).await),
            },
            Err(error) => return Err(self.abort(id, error).await),
        };
        if !plan.replay.is_empty() {
            self.quarantine.resolve(&mended, Resolved::Replayed)?;
            self.quarantine.forget_requests(&plan.replay)?;
        }
        Ok((ledger, written))
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
        streams: Vec<forebay_core::source::Lane>,
        begun: Begun,
    ) -> Result<(Ledger, Vec<forebay_core::checkpoint::RecordId>, Vec<forebay_core::sink::Part>)> {
        let mut writers = match begun {
            Begun::Writers(writers) => writers.into_iter().map(Some).collect::<VecDeque<_>>(),
            Begun::AlreadyWritten => VecDeque::new(),
        };
        let mut replayed: Vec<Entry> =
            if plan.replay.is_empty() { Vec::new() } else { self.quarantine.entries_of(&plan.replay)? };
        let mut tasks = Vec::with_capacity(streams.len());
        for (index, stream) in streams.into_iter().enumerate() {
            let lane = Lane {
                plan: plan.clone(),
                executor: self.plan.executor(plan.planned_at_ms),
                wants_envelope: self.plan.wants_envelope(),
                decoder: self.format.as_ref().map(|format| format.decoder()),
                writer: writers.pop_front().flatten(),
                quarantine: self.quarantine.writer(plan.epoch, index),
            };
            let replayed = std::mem::take(&mut replayed);
            let task = AbortOnDrop(tokio::spawn(lane.run(stream, replayed)));
            tasks.push(async move { task.join().await });
        }
        let mut ledger = Ledger::default();
        let (mut mended, mut parts) = (Vec::new(), Vec::new());
        for LaneDone { ledger: lane, part, mended: lane_mended } in try_join_all(tasks).await? {
            ledger.add(&lane);
            mended.extend(lane_mended);
            parts.extend(part);
        }
        Ok((ledger, mended, parts))
    }

    /// Attempts until one succeeds; `None` if a stop came.
    async fn attempts(&mut self, plan: &Arc<Plan>, id: &EpochId) -> Result<Option<(Ledger, Written)>> {
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(plan, id).await {
                Ok(done) => return Ok(Some(done)),
                Err(error) if self.try_again(&mut backoff, error.clone()).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    async fn write_plan(&mut self, plan: &Plan) -> Result<bool> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.checkpoint.plan(plan) {
            if !self.try_again(&mut backoff, error).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn write_commit(&mut self, commit: &Commit) -> Result<bool> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.checkpoint.commit(commit) {
            if !self.try_again(&mut backoff, error).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After a failure: an error that will not pass is returned; otherwise waits, in the open, and says whether to
    /// try again (false if a stop came).
    async fn try_again(&mut self, backoff: &mut Backoff, error: Error) -> Result<bool> {
        if !error.is_retryable() {
            return Err(error);
        }
        let delay = backoff.next();
        let since_ms = backoff.since(self.clock.now_ms());
        self.set_state(State::Retrying { error: error.clone(), since_ms, attempts: backoff.attempts() });
        tracing::warn!(query = %self.name, %error, hint = error.hint(), ?delay, "attempt failed, trying again");
        Ok(pause(&self.stop, Some(delay)).await)
    }

    /// Returns when there may be data, a request to replay, or a stop.
    async fn wait_for_data(&mut self, standing: &Standing) -> Result<()> {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = tokio::time::sleep(REQUEST_POLL) => Ok(()),
            ended = self.source.wait(&standing.positions) => match ended {
                Err(error) if !error.is_retryable() => Err(error),
                // What keeps the source from answering is reported by the next look for data, with back-off.
                _ => Ok(()),
            },
        }
    }

    fn set_state(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }

    fn publish_standing(&self, standing: &Standing) {
        let committed = standing.epoch.0.checked_sub(1).map(Epoch);
        self.status.send_modify(|status| {
            status.committed = committed;
            status.ledger = standing.ledger;
            status.quarantine_bytes = self.quarantine.bytes();
        });
    }

    fn publish_lag(&self, standing: &Standing, available: &Available) {
        self.status.send_modify(|status| status.lag = lag(&standing.positions, available));
    }

    #[allow(clippy::too_many_arguments, reason = "a report gathers what the epoch's steps know")]
    fn report(
        &self,
        plan: &Plan,
        starts: &Positions,
        standing: &Standing,
        ledger: &Ledger,
        written: Written,
        timings: &Timings,
        available: Option<&Available>,
    ) {
        let ends = &standing.positions;
        let latest = available.map_or_else(|| ends.clone(), |available| available.ends.clone());
        let progress = StreamingQueryProgress::from_facts(&Facts {
            id: self.checkpoint.query_id(),
            run_id: &self.status.borrow().run_id,
            name: &self.name,
            timestamp_ms: timings.started_ms,
            epoch: plan.epoch,
            ended_ms: self.clock.now_ms(),
            previous_ms: self.status.borrow().last_progress().map(|last| last.started_ms()),
            latest_offset: timings.latest_offset,
            wal_commit: timings.wal_commit,
            add_batch: timings.add_batch,
            commit_offsets: timings.commit_offsets,
            source: &self.source.description(),
            starts,
            ends,
            latest: &latest,
            sink: &self.sink.description(),
            written,
            ledger,
            total: &standing.ledger,
        });
        tracing::debug!(query = %self.name, progress = %progress.to_json(), "epoch committed");
        let progress = Arc::new(progress);
        let lag = available.map_or(0, |available| lag(ends, available));
        self.status.send_modify(|status| {
            status.committed = Some(plan.epoch);
            status.ledger = standing.ledger;
            status.lag = lag;
            status.quarantine_bytes = self.quarantine.bytes();
            status.quarantine_evicted = self.quarantine.evicted();
            let recent = Arc::make_mut(&mut status.recent);
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(progress);
        });
    }
}

/// Sleeps; false if a stop came.
async fn pause(stop: &CancellationToken, delay: Option<Duration>) -> bool {
    let Some(delay) = delay else { return !stop.is_cancelled() };
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(delay) => true,
    }
}

fn lag(positions: &Positions, available: &Available) -> u64 {
    let behind = |(partition, end): (_, &forebay_core::Position)| {
        let at = positions.get(partition).map_or(0, |position| position.0);
        u64::try_from(end.0 - at).unwrap_or(0)
    };
    available.ends.iter().map(behind).sum()
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
