//! The micro-batch loop: how one query goes from epoch to epoch, and what is durable when.
//!
//! ```text
//!  ┌─▶ wait ──▶ 1 plan N ──▶ 2 read, decode, compute ──▶ outcome N ──▶ 3 write ──▶ 5 commit N ──┐
//!  │            (durable)     in lanes, nothing visible    (durable)    sink.commit  (durable)  │
//!  └────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before the plan is durable | epoch N never was; it is planned anew |
//! | after the plan, before the sink has N | exactly the same ranges again as epoch N |
//! | after the sink has N, before the commit | the sink recognises N; its ledger is the outcome's, nothing runs again |
//! | after the commit | goes on with N+1 |
//!
//! (Step 4, the snapshot of operator state, arrives with the first stateful operator.) After the plan nothing looks
//! at a clock, so a repeated epoch gives the same rows; if schema or SQL changed in between it gives other ones, which
//! is why an epoch that its sink has is not computed again. A sink that cannot recognise an epoch needs no outcome.
//! What must stay true: one epoch at a time is visible to the sink, and positions move only by a durable commit. An
//! error that may pass is tried again for ever, with back-off and in the open; any other ends the query with its
//! checkpoint intact. However it ends, source and sink are closed.

mod attempt;
mod lag;
pub(crate) mod lane;
mod pace;
mod replay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::checkpoint::{Commit, Plan, QuarantinedId, Recovery, Start, decide};
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::format::Format;
use forebay_core::limits::Limits;
use forebay_core::progress::{Facts, StreamingQueryProgress};
use forebay_core::sink::{EpochId, Sink, Written};
use forebay_core::source::{Available, Source};
use forebay_core::trigger::Trigger;
use forebay_core::{Epoch, Error, Ledger, PositionRange, Positions, Result};
use forebay_storage::kill_point;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::lag::Lag;
use self::pace::{Backoff, Pace};
use crate::checkpoint::{Checkpoint, Ends};
use crate::plan::StreamPlan;
use crate::quarantine::{Quarantine, ReplayLimit};
use crate::status::{QueryStatus, RECENT, State};

/// Most quarantined records that one epoch decodes again: bounds the memory of a replay and the length of its plan.
const REPLAY_LIMIT: ReplayLimit = ReplayLimit { records: 10_000, bytes: 64 << 20 };

/// How often a query that ends by itself looks again for a missing topic: with the growing pauses in between six
/// seconds in all, time for a topic that was just made to be known to every broker.
const TOPIC_LOOKS: u32 = 6;

/// How often an idle query looks for requests to replay.
const REQUEST_POLL: Duration = Duration::from_secs(1);

/// How often a query that may not start an epoch yet tells how much waits.
const LAG_POLL: Duration = Duration::from_secs(1);

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
    pub lag: Lag,
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
    pub async fn run(mut self, recovered: Ends) -> Result<()> {
        let ended = self.recover_and_follow(recovered).await;
        self.source.close().await;
        self.sink.close().await;
        ended
    }

    async fn recover_and_follow(&mut self, recovered: Ends) -> Result<()> {
        let Some(in_sink) = self.open_sink().await? else { return Ok(()) };
        self.source.resume(&recovered.topics());
        let mut standing = match decide(recovered.plan, recovered.outcome, recovered.commit, in_sink)? {
            Recovery::Fresh => {
                let positions = match &recovered.start {
                    Some(start) => start.positions(),
                    None => match self.start().await? {
                        Some(positions) => positions,
                        None => return Ok(()),
                    },
                };
                Standing { epoch: Epoch(0), positions, ledger: Ledger::default() }
            }
            Recovery::Continue { epoch, positions, ledger } => Standing { epoch, positions, ledger },
            Recovery::Replay { plan, ledger, outcome } => {
                tracing::info!(query = %self.name, epoch = %plan.epoch, "repeating the epoch that was not committed");
                let mut standing = Standing { epoch: plan.epoch, positions: plan.starts(), ledger };
                let timings = Timings { started_ms: self.clock.now_ms(), ..Timings::default() };
                if !self.epoch(plan, &mut standing, timings, None, outcome).await? {
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
                    Ok(epoch) => {
                        self.works(&mut backoff);
                        return Ok(Some(epoch));
                    }
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
        // Looks for a missing topic count only while the source answers.
        let (mut backoff, mut looks) = (Backoff::default(), Backoff::default());
        loop {
            let ends = self.trigger.is_bounded();
            let started = self.source.start(ends).await.and_then(|at| {
                self.checkpoint.start(&Start::at(&at, self.source.topics()))?;
                Ok(at)
            });
            match started {
                Ok(positions) => {
                    self.works(if looks.attempts() > 0 { &mut looks } else { &mut backoff });
                    return Ok(Some(positions));
                }
                Err(error) => {
                    let is_missing = error.code() == &codes::NO_TOPIC;
                    if ends && is_missing && looks.attempts() >= TOPIC_LOOKS {
                        return Err(error);
                    }
                    let failures = if is_missing { &mut looks } else { &mut backoff };
                    if !self.try_again(failures, error).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What the source has; `None` if a stop came.
    async fn available(&mut self, positions: &Positions) -> Result<Option<Available>> {
        let mut backoff = Backoff::default();
        loop {
            let looked = self.source.available(positions).await;
            self.lag.looked(positions, looked.as_ref().ok());
            self.publish_lag();
            match looked {
                Ok(available) => {
                    self.works(&mut backoff);
                    return Ok(Some(available));
                }
                Err(error) if self.try_again(&mut backoff, error.clone()).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// The quarantined records that are to be decoded again; `None` if a stop came.
    async fn requested(&mut self) -> Result<Option<Vec<QuarantinedId>>> {
        let mut backoff = Backoff::default();
        loop {
            match self.quarantine.requested(REPLAY_LIMIT) {
                Ok(requested) => {
                    self.works(&mut backoff);
                    return Ok(Some(requested));
                }
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
            if !self.pause(pace.until_next(self.clock.now_ms())).await {
                break;
            }
            let mut timings = Timings { started_ms: self.clock.now_ms(), ..Timings::default() };
            let asked = Instant::now();
            let Some(available) = self.available(&standing.positions).await? else { break };
            timings.latest_offset = asked.elapsed();
            if let Some(target) = &mut target {
                shorten(target, &available);
            }
            let waited = pace.waited();
            let ranges = self.choose(standing, &available, target.as_ref(), waited);
            if self.trigger.is_bounded() && target.is_none() {
                target = Some(available.ends.clone());
            }
            let Some(replay) = self.requested().await? else { break };
            let stays = ranges.iter().all(PositionRange::is_empty) && available.moved.is_empty();
            if stays && replay.is_empty() {
                if self.trigger.is_bounded() {
                    break;
                }
                self.set_state(State::Waiting);
                self.wait_for_data(standing).await?;
                continue;
            }
            let (epoch, topics) = (standing.epoch, self.source.topics());
            let plan = Plan { epoch, planned_at_ms: self.clock.now_ms(), ranges, topics, replay };
            let planned = Instant::now();
            if !self.write_plan(&plan).await? {
                break;
            }
            timings.wal_commit = planned.elapsed();
            pace.started(self.clock.now_ms());
            if !self.epoch(plan, standing, timings, Some(&available), None).await? {
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

    /// Runs one planned epoch until it is committed; false if a stop came while it was being tried again. `outcome`
    /// is that of an attempt before a restart.
    async fn epoch(
        &mut self,
        plan: Plan,
        standing: &mut Standing,
        mut timings: Timings,
        available: Option<&Available>,
        outcome: Option<Ledger>,
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
        let Some((ledger, written)) = self.attempts(&plan, &id, outcome).await? else { return Ok(false) };
        kill_point("epoch.write.after");
        timings.add_batch = computed.elapsed();
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
        self.lag.committed(&standing.positions);
        self.report(&plan, &starts, standing, &ledger, written, &timings, available);
        self.publish_lag();
        Ok(true)
    }

    async fn write_plan(&mut self, plan: &Plan) -> Result<bool> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.checkpoint.plan(plan) {
            if !self.try_again(&mut backoff, error).await? {
                return Ok(false);
            }
        }
        self.works(&mut backoff);
        Ok(true)
    }

    async fn write_commit(&mut self, commit: &Commit) -> Result<bool> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.checkpoint.commit(commit) {
            if !self.try_again(&mut backoff, error).await? {
                return Ok(false);
            }
        }
        self.works(&mut backoff);
        Ok(true)
    }

    /// After a failure: an error that will not pass is returned; otherwise waits, in the open, and says whether to
    /// try again (false if a stop came).
    async fn try_again(&mut self, backoff: &mut Backoff, error: Error) -> Result<bool> {
        if !error.is_retryable() {
            return Err(error);
        }
        let delay = backoff.next();
        let now_ms = self.clock.now_ms();
        let (since_ms, attempts) = (backoff.since(now_ms), backoff.attempts());
        self.set_state(State::Retrying { error: error.clone(), since_ms, attempts });
        if backoff.tells(now_ms) {
            tracing::warn!(query = %self.name, %error, hint = error.hint(), attempts, "attempt failed, trying again");
        }
        Ok(self.pause(Some(delay)).await)
    }

    /// After a success: says so if attempts before it failed.
    fn works(&self, backoff: &mut Backoff) {
        let failed = backoff.attempts();
        if failed > 0 {
            let now_ms = self.clock.now_ms();
            let seconds = (now_ms - backoff.since(now_ms)) / 1000;
            tracing::info!(query = %self.name, failed, seconds, "works again");
        }
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

    /// Tells how much waits, by the newest ends that the source has heard of.
    fn publish_lag(&mut self) {
        let heard = self.source.heard(self.lag.positions());
        self.lag.heard(heard);
        let records = self.lag.records();
        self.status.send_modify(|status| status.lag = records);
    }

    /// Sleeps, and tells meanwhile how the lag grows; false if a stop came.
    async fn pause(&mut self, delay: Option<Duration>) -> bool {
        let end = Instant::now() + delay.unwrap_or_default();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(left.min(LAG_POLL)) => {}
            }
            self.publish_lag();
        }
        !self.stop.is_cancelled()
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
        self.status.send_modify(|status| {
            status.committed = Some(plan.epoch);
            status.ledger = standing.ledger;
            status.run_ledger.add(ledger);
            status.run_epochs += 1;
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

/// A bounded run ends where the source ended at its start; a topic that was made anew may not even reach there.
fn shorten(target: &mut Positions, available: &Available) {
    for partition in available.moved.keys() {
        if let (Some(target), Some(end)) = (target.get_mut(partition), available.ends.get(partition)) {
            *target = (*target).min(*end);
        }
    }
}
