//! The micro-batch loop: how one query goes from epoch to epoch, and what is durable when.
//!
//! ```text
//!  ┌─▶ wait ──▶ 1 plan N ──▶ 2 read, decode, compute ──▶ 3 state, outcome N ──▶ 4 write ──▶ 5 commit N ──┐
//!  │            (durable)     in lanes, nothing visible    (durable)             sink.commit  (durable)  │
//!  └─────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before the plan is durable | epoch N never was; it is planned anew |
//! | after the plan, before the sink has N | exactly the same ranges again as epoch N |
//! | after the sink has N, before the commit | the sink recognises N; its ledger is the outcome's, nothing runs again |
//! | after the commit | goes on with N+1 |
//!
//! What a query remembers stands in [`memory`]: operators only look at it while they compute, what they change is
//! durable before the outcome, and taken over with the commit. After the plan nothing looks at a clock, so a repeated
//! epoch gives the same rows; if schema or SQL changed in between it gives other ones, which is why an epoch that its
//! sink has is not computed again. A sink that cannot recognise an epoch needs no outcome.
//! An epoch without records comes where the watermark has moved ([`memory`]), or where the sink has something to do by its time alone
//! ([`Sink::next_due`]).
//! What must stay true: one epoch at a time is visible to the sink, and positions move only by a durable commit. An
//! error that may pass is tried again for ever, with back-off and in the open; any other ends the query with its
//! checkpoint intact. However it ends, sources and sink are closed.

mod attempt;
mod effort;
mod inputs;
mod lag;
pub(crate) mod lane;
mod memory;
mod pace;
mod patience;
mod replay;
mod report;
mod shared;
mod statics;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::checkpoint::{Commit, Outcome, Plan, Recovery, decide};
use forebay_core::clock::Clock;
use forebay_core::event_time::Survey;
use forebay_core::format::Format;
use forebay_core::latency::{Ages, Sliding};
use forebay_core::sink::{EpochId, Guarantee, Sink, with_remedy};
use forebay_core::source::Available;
use forebay_core::trigger::Trigger;
use forebay_core::{Epoch, Ledger, PositionRange, Positions, Result};
use forebay_storage::kill_point;
use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::effort::{Effort, Place};
pub(crate) use self::inputs::Inputs;
pub(crate) use self::lag::Lag;
pub(crate) use self::memory::Memory;
pub use self::memory::MemoryOptions;
pub(crate) use self::pace::Backoff;
use self::pace::Pace;
use self::report::{Came, Timings};
pub(crate) use self::tail::Tail;
use crate::checkpoint::{Checkpoint, Ends};
use crate::expect::Last;
use crate::lookup::versions::Tables;
use crate::plan::StreamPlan;
use crate::quality::Quality;
use crate::quarantine::{Quarantine, ReplayLimit};
use crate::share::Seat;
use crate::status::{QueryStatus, State};

/// Most quarantined records that one epoch decodes again: bounds the memory of a replay and the length of its plan.
const REPLAY_LIMIT: ReplayLimit = ReplayLimit { records: 10_000, bytes: 64 << 20 };

/// Everything one query consists of, ready to run.
pub(crate) struct Runner {
    pub name: String,
    pub plan: Arc<StreamPlan>,
    pub inputs: Inputs,
    /// How the values of each input are decoded.
    pub formats: Vec<Option<Arc<dyn Format>>>,
    pub sink: Box<dyn Sink>,
    pub trigger: Trigger,
    pub lanes: usize,
    pub checkpoint: Checkpoint,
    pub quarantine: Quarantine,
    /// The tables at rest that it is joined with.
    pub tables: Tables,
    /// `None` for a query without state.
    pub memory: Option<Memory>,
    /// What keys said last; `None` if none of its sources holds them to that.
    pub last: Option<Last>,
    /// Where it has epochs in common with other queries; `None` if it reads by itself.
    pub seat: Option<Seat>,
    /// What was judged; `None` if none of its sources has expectations.
    pub quality: Option<Quality>,
    pub clock: Arc<dyn Clock>,
    pub status: watch::Sender<QueryStatus>,
    pub lag: Lag,
    /// The ages of the records of the newest attempt, as its epoch was planned.
    pub ages: Ages,
    /// What the records of the newest attempt said of event time.
    pub seen: Survey,
    pub latency: Sliding,
    /// What it takes of the machine, and its place among those that take of it.
    pub effort: Effort,
    pub place: Place,
    pub stop: CancellationToken,
}

/// Where a query stands between two epochs.
struct Standing {
    epoch: Epoch,
    positions: Positions,
    ledger: Ledger,
}

impl Runner {
    /// Runs to the end: until stopped, or until a bounded trigger has done its work.
    pub async fn run(mut self, recovered: Ends) -> Result<()> {
        self.sink.stopping(self.stop.clone().cancelled_owned().boxed().shared());
        let ended = self.effort.clone().of(self.recover_and_follow(recovered)).await;
        self.inputs.close().await;
        self.sink.close().await;
        ended
    }

    async fn recover_and_follow(&mut self, mut recovered: Ends) -> Result<()> {
        let written = recovered.commit.as_ref().map(|commit| commit.epoch);
        if let Some(quality) = &mut self.quality {
            quality.recover(written, &self.checkpoint.judged()?)?;
        }
        let tried = recovered.outcome.as_ref().map(|outcome| outcome.epoch);
        self.sink.resumes(written, tried);
        // A sink that keeps no record of epochs lacks none; the outcome is of a time when it kept one.
        recovered.outcome = recovered.outcome.filter(|_| self.sink.guarantee() == Guarantee::ExactlyOnce);
        self.inputs.resume(&recovered.topics());
        let is_new = recovered.start.is_none() && recovered.plan.is_none() && recovered.commit.is_none();
        if is_new {
            recovered.start = self.try_start().await;
        }
        let Some(in_sink) = self.open_sink(is_new, &mut recovered.start).await? else { return Ok(()) };
        let was_kept = recovered.commit.as_ref().is_some_and(|commit| commit.last);
        let recovery = decide(recovered.plan, recovered.outcome, recovered.commit, in_sink)
            .map_err(|error| with_remedy(error, &*self.sink))?;
        if let Some(memory) = &mut self.memory {
            memory.recover(&recovery, in_sink)?;
        }
        if let Some(last) = &mut self.last {
            last.recover(&recovery, in_sink, was_kept)?;
        }
        if !self.read_tables(&recovery, in_sink).await? {
            return Ok(());
        }
        let mut standing = match recovery {
            Recovery::Fresh => {
                let start = match recovered.start {
                    Some(start) => Some(start),
                    None => self.start().await?,
                };
                let Some(start) = start else { return Ok(()) };
                Standing { epoch: Epoch(0), positions: start.positions(), ledger: Ledger::default() }
            }
            Recovery::Continue { epoch, positions, ledger, .. } => Standing { epoch, positions, ledger },
            Recovery::Replay { plan, ledger, outcome, .. } => {
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

    /// The loop proper: waits, plans, runs, until stopped or done.
    async fn follow(&mut self, standing: &mut Standing) -> Result<()> {
        let mut pace = Pace::new(self.trigger, self.sink.min_commit_interval(), self.inputs.len());
        let mut target: Option<Positions> = None;
        // When the sink last got an epoch without records.
        let mut ticked: Option<i64> = None;
        while !self.stop.is_cancelled() {
            let until_next = pace.until_next(self.clock.now_ms());
            self.waits_for_trigger(until_next);
            if !self.pause_with_tables(until_next).await? {
                break;
            }
            self.look_at_tables().await?;
            let mut timings = Timings { started_ms: self.clock.now_ms(), ..Timings::default() };
            let asked = Instant::now();
            let Some(available) = self.available(&standing.positions).await? else { break };
            timings.latest_offset = asked.elapsed();
            if let Some(target) = &mut target {
                shorten(target, &available);
            }
            let waited = pace.waited();
            let ranges = self.choose(standing, &available, target.as_ref(), &waited);
            if self.trigger.is_bounded() && target.is_none() {
                target = Some(available.ends.clone());
            }
            let requested = self.persist(|this| this.quarantine.requested(REPLAY_LIMIT)).await?;
            let Some(replay) = requested else { break };
            let reads = self.reads(&ranges, &available.moved);
            let stays = !reads.contains(&true);
            let (epoch, now_ms) = (standing.epoch, self.clock.now_ms());
            let wants_epoch = || self.memory.as_ref().is_some_and(|it| it.wants_epoch(epoch, now_ms));
            if stays && replay.is_empty() && !wants_epoch() {
                if pace::is_due(self.sink.next_due(now_ms), ticked, now_ms) {
                    ticked = Some(now_ms);
                } else if self.trigger.is_bounded() {
                    break;
                } else {
                    self.set_state(State::Waiting);
                    if let Some(seat) = &mut self.seat {
                        seat.stands(&standing.positions);
                    }
                    self.wait_for_data(standing).await?;
                    continue;
                }
            }
            let is_usual =
                !stays && replay.is_empty() && available.moved.is_empty() && self.trigger != Trigger::Once;
            let topics = self.inputs.topics();
            let ranges = match &mut self.seat {
                Some(seat) if is_usual => seat.join(&standing.positions, ranges, (&topics, target.as_ref())),
                Some(seat) => {
                    seat.stands(&standing.positions);
                    ranges
                }
                None => ranges,
            };
            let tables = self.tables.versions();
            let times = self.memory.as_ref().map(|it| it.next_times(now_ms, &reads));
            let plan = Plan { epoch, planned_at_ms: now_ms, ranges, topics, replay, times, tables };
            let planned = Instant::now();
            if self.persist(|this| this.checkpoint.plan(&plan)).await?.is_none() {
                break;
            }
            timings.wal_commit = planned.elapsed();
            pace.started(self.clock.now_ms(), &reads);
            let is_behind = is_behind(&plan.ranges, &available.ends);
            self.effort.take();
            if !self.epoch(plan, standing, timings, Some(&available), None).await? {
                break;
            }
            if self.trigger == Trigger::Once {
                break;
            }
            let turn = self.place.turn(self.effort.take());
            pace.rests(if is_behind { Duration::ZERO } else { turn });
        }
        Ok(())
    }

    /// The ranges of the next epoch: from where the query stands to what is available, within the limits.
    fn choose(
        &self,
        standing: &mut Standing,
        available: &Available,
        target: Option<&Positions>,
        waited: &[Duration],
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
        if self.trigger == Trigger::Once {
            return full;
        }
        let of_input = |input: usize| {
            let is_own = move |range: &&PositionRange| usize::from(range.partition.input) == input;
            full.iter().filter(is_own).cloned().collect()
        };
        let each = self.inputs.limits().zip(waited).enumerate();
        each.flat_map(|(input, (limits, waited))| limits.apply(of_input(input), *waited)).collect()
    }

    /// Of which inputs an epoch has anything to read.
    fn reads(&self, ranges: &[PositionRange], moved: &Positions) -> Vec<bool> {
        let mut reads = vec![false; self.inputs.len()];
        let read = ranges.iter().filter(|range| !range.is_empty()).map(|range| &range.partition);
        for partition in read.chain(moved.keys()) {
            if let Some(reads) = reads.get_mut(usize::from(partition.input)) {
                *reads = true;
            }
        }
        reads
    }

    /// Runs one planned epoch until it is committed; false if a stop came while it was being tried again. `outcome`
    /// is that of an attempt before a restart.
    async fn epoch(
        &mut self,
        plan: Plan,
        standing: &mut Standing,
        mut timings: Timings,
        available: Option<&Available>,
        outcome: Option<Outcome>,
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
        let Some((outcome, written)) = self.attempts(&plan, &id, outcome).await? else { return Ok(false) };
        let Outcome { ledger, observed, reads, quality, .. } = outcome;
        kill_point("epoch.write.after");
        timings.add_batch = computed.elapsed();
        let mut total = standing.ledger;
        total.add(&ledger);
        let committing = Instant::now();
        let observed = observed.unwrap_or_default();
        let (total_observed, quiet_since_ms) =
            self.memory.as_ref().map(|memory| memory.observed_with(&plan, &observed)).unzip();
        let commit = Commit {
            epoch: plan.epoch,
            ledger: total,
            observed: total_observed,
            quiet_since_ms: quiet_since_ms.unwrap_or_default(),
            quality,
            last: self.last.is_some(),
        };
        if self.persist(|this| this.checkpoint.commit(&commit)).await?.is_none() {
            return Ok(false);
        }
        if let Some(memory) = &mut self.memory {
            memory.committed(&plan, &observed)?;
        }
        if let Some(last) = &mut self.last {
            last.committed(plan.epoch)?;
        }
        if let Some(quality) = &mut self.quality {
            quality.committed(plan.epoch, commit.quality.as_ref());
        }
        timings.commit_offsets = committing.elapsed();
        let committed_ms = self.clock.now_ms();
        *standing = Standing { epoch: plan.epoch.next(), positions: plan.ends(), ledger: total };
        if let Err(error) = self.inputs.committed(&standing.positions).await {
            tracing::debug!(query = %self.name, %error, "group offsets not committed");
        }
        if let Err(error) = self.sink.tidy().await {
            tracing::warn!(query = %self.name, %error, "housekeeping of the sink failed");
        }
        self.lag.committed(&standing.positions);
        let ages = std::mem::take(&mut self.ages);
        let latency = self.latency.committed(&ages, plan.planned_at_ms, committed_ms);
        let came = Came { ledger, reads, written };
        self.report(&plan, standing, &came, &timings, available, latency);
        self.publish_lag();
        Ok(true)
    }
}

/// True if an epoch of these ranges leaves something to read.
fn is_behind(ranges: &[PositionRange], ends: &Positions) -> bool {
    ranges.iter().any(|range| ends.get(&range.partition).is_some_and(|end| range.to < *end))
}

/// A bounded run ends where the source ended at its start; a topic that was made anew may not even reach there.
fn shorten(target: &mut Positions, available: &Available) {
    for partition in available.moved.keys() {
        if let (Some(target), Some(end)) = (target.get_mut(partition), available.ends.get(partition)) {
            *target = (*target).min(*end);
        }
    }
}
