//! One attempt at a planned epoch, from its first record to the sink's commit, and how often it is tried.
//!
//! What must stay true: an epoch is computed only while its sink does not have it, and where the sink can recognise an
//! epoch, its outcome is durable before the sink gets it. So rows, quarantine and ledger always come from the same
//! attempt, even if schema or SQL changed between two of them.

use std::ops::ControlFlow::Break;
use std::sync::Arc;

use forebay_core::checkpoint::{Outcome, Plan, unknown_outcome};
use forebay_core::error::codes;
use forebay_core::event_time::{Observed, Survey};
use forebay_core::last::LastValues;
use forebay_core::latency::Ages;
use forebay_core::quality::{EpochQuality, Judged};
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Refused, Written};
use forebay_core::{Error, Ledger, PositionRange, Result, source};
use forebay_storage::kill_point;
use futures::future::try_join_all;

use super::Runner;
use super::lane::{Aside, Lane, LaneDone, LaneEnd, Outlet, Tally};
use super::pace::Backoff;
use super::tail::{Gathered, Ran};
use crate::plan::PlannedInput;
use crate::quarantine::{Entry, Resolved};
use crate::share::Product;

impl Runner {
    /// Attempts until one succeeds; `None` if a stop came. `outcome` is that of an attempt before a restart.
    pub(super) async fn attempts(
        &mut self,
        plan: &Arc<Plan>,
        id: &EpochId,
        mut outcome: Option<Outcome>,
    ) -> Result<Option<(Outcome, Written)>> {
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
        outcome: &mut Option<Outcome>,
    ) -> Result<(Outcome, Written)> {
        let ranges: Vec<PositionRange> =
            plan.ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let from = match self.product(plan, &ranges).await {
            Some(product) => Rows::Shared(product),
            None => {
                let mut streams = self.inputs.read(&ranges, self.lanes).await?;
                add_empty(&mut streams, plan.replay.iter().map(|id| id.input));
                Rows::Read(streams)
            }
        };
        // What operators give comes from one thread, whatever the number of lanes before them.
        let writers = if self.memory.is_some() { 1 } else { from.lanes() };
        let (outcome, written) = match self.sink.begin(id, writers).await? {
            Begun::AlreadyWritten => {
                (outcome.clone().ok_or_else(|| unknown_outcome(plan.epoch))?, Written::default())
            }
            Begun::Writers(writers) => match self.compute_and_write(plan, id, from, writers, outcome).await {
                Ok(done) => done,
                Err(error) => return Err(self.abort(id, error).await),
            },
        };
        if !plan.replay.is_empty() {
            self.quarantine.resolve(&plan.replay, Resolved::Replayed)?;
            kill_point("quarantine.resolve.after");
            self.quarantine.forget_requests(&plan.replay)?;
        }
        Ok((outcome, written))
    }

    async fn compute_and_write(
        &mut self,
        plan: &Arc<Plan>,
        id: &EpochId,
        from: Rows,
        writers: Vec<Box<dyn LaneWriter>>,
        known: &mut Option<Outcome>,
    ) -> Result<(Outcome, Written)> {
        self.quarantine.begin(plan.epoch, plan.planned_at_ms, &plan.replay)?;
        if let Some(memory) = &mut self.memory {
            memory.begin(plan.epoch).await?;
        }
        let lanes = from.lanes();
        let done = match from {
            Rows::Read(streams) => self.run_lanes(plan, streams, writers).await?,
            Rows::Shared(product) => self.pour(plan, &product, writers).await?,
        };
        let Done { mut ledger, ages, observed, parts, ran, seen, judged, said, reads, .. } =
            self.run_tail(plan, done).await?;
        self.seen = Survey::default();
        seen.iter().for_each(|seen| self.seen.merge(seen));
        self.ages = ages;
        self.inputs.confirm(&plan.ranges).await?;
        kill_point("epoch.read.after");
        if !ledger.balances() {
            let message = format!("the ledger of epoch {} does not balance: {ledger:?}", plan.epoch);
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        if let (Some(memory), Some(ran)) = (&mut self.memory, ran) {
            memory.keep(plan, ran)?;
        }
        if let Some(last) = &mut self.last {
            last.keep(plan.epoch, said)?;
        }
        let refused = self.sink.prepare(id).await?;
        self.set_aside(plan, lanes, &refused)?;
        ledger.rows_refused += refused.len() as u64;
        let reads = if self.inputs.len() > 1 { reads } else { Vec::new() };
        let quality = self.quality.as_ref().and_then(|_| self.quality_of(plan, &judged));
        let outcome = Outcome { epoch: plan.epoch, ledger, observed, reads, quality };
        if self.sink.guarantee() == Guarantee::ExactlyOnce {
            self.checkpoint.outcome(&outcome)?;
            *known = Some(outcome.clone());
        }
        Ok((outcome, self.sink.commit(id, parts).await?))
    }

    /// What an epoch judged, by source. Inputs of one source read the same records: the first counts.
    fn quality_of(&self, plan: &Plan, judged: &[Judged]) -> Option<EpochQuality> {
        let mut quality = EpochQuality { planned_at_ms: plan.planned_at_ms, ..EpochQuality::default() };
        let names = self.plan.inputs();
        for (number, (source, judged)) in names.iter().zip(judged).enumerate() {
            if names.iter().position(|other| other == source) == Some(number) {
                quality.add(source, judged);
            }
        }
        (!quality.sources.is_empty()).then_some(quality)
    }

    /// Puts rows that the sink refused into the quarantine, behind what `lanes` lanes set aside. Durable on return.
    fn set_aside(&self, plan: &Plan, lanes: usize, rows: &[Refused]) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let sink = self.sink.description();
        let mut quarantine = self.quarantine.writer(plan.epoch, lanes);
        for (number, row) in rows.iter().enumerate() {
            quarantine.push(&Entry::refused(&self.name, &sink, plan, number, row))?;
        }
        quarantine.finish()?;
        let (count, code, why) = (rows.len(), &first.code, &first.why);
        tracing::warn!(query = %self.name, epoch = %plan.epoch, count, %code, %why, "rows were refused by the sink and are in the quarantine");
        kill_point("quarantine.refused.after");
        Ok(())
    }

    async fn abort(&mut self, id: &EpochId, error: Error) -> Error {
        if let Err(abort_error) = self.sink.abort(id).await {
            tracing::warn!(query = %self.name, error = %abort_error, "cleaning up after a failed attempt failed too");
        }
        error
    }

    /// Runs all lanes to their ends, on tasks of their own: into the sink, or up to the first operator.
    async fn run_lanes(
        &mut self,
        plan: &Arc<Plan>,
        streams: Vec<(usize, source::Lane)>,
        mut writers: Vec<Box<dyn LaneWriter>>,
    ) -> Result<Done> {
        let wanted = if self.memory.is_some() { 1 } else { streams.len() };
        if writers.len() != wanted {
            let message = format!("the sink gave {} writers, {wanted} were wanted", writers.len());
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        let mut done = Done::of(self.inputs.len());
        let outlets: Vec<Outlet> = match &self.memory {
            None => writers.into_iter().map(Outlet::Sink).collect(),
            Some(memory) => {
                done.writer = writers.pop();
                let outlet = |(lane, (input, _)): (usize, &(usize, source::Lane))| {
                    memory.intake(plan, *input, lane).map(|intake| Outlet::Operator(Box::new(intake)))
                };
                streams.iter().enumerate().map(outlet).collect::<Result<_>>()?
            }
        };
        let mut replayed =
            if plan.replay.is_empty() { Vec::new() } else { self.quarantine.entries_of(&plan.replay)? };
        let (mut tasks, alone) = (Vec::with_capacity(streams.len()), streams.len() == 1);
        let inputs: Vec<PlannedInput<'_>> = self.plan.each_input().collect();
        for (index, ((number, stream), outlet)) in streams.into_iter().zip(outlets).enumerate() {
            let (Some(input), Some(format)) = (inputs.get(number), self.formats.get(number)) else {
                return Err(Error::new(
                    &codes::INTERNAL,
                    "a lane reads an input that the plan does not have",
                ));
            };
            let believed_us =
                self.memory.as_ref().map_or(i64::MAX, |memory| memory.believed_us(plan, number));
            let mut decoder = format.as_ref().map(|format| format.decoder());
            if let (Some(decoder), Some(last)) = (&mut decoder, &self.last) {
                decoder.begin(last.values());
            }
            let lane = Lane {
                plan: plan.clone(),
                source: input.source().into(),
                executor: input
                    .executor(plan.planned_at_ms)
                    .believing(believed_us)
                    .holding(self.tables.held()),
                wants_envelope: input.wants_envelope(),
                decoder,
                outlet,
                quarantine: Aside::Kept(self.quarantine.writer(plan.epoch, index)),
            };
            // The first lane of an input takes what is replayed of it.
            let own = replayed.extract_if(.., |entry| usize::from(entry.input) == number).collect();
            let done = lane.done(stream, own, alone, &self.effort);
            tasks.push(async move { Ok::<_, Error>((number, done.await?)) });
        }
        for (number, LaneDone { tally, said, end, .. }) in try_join_all(tasks).await? {
            done.take(number, &tally, 0);
            done.said.take(said);
            match end {
                LaneEnd::Written(part) => done.parts.push(part),
                LaneEnd::Gathered(gathered) => done.gathered.push(gathered),
            }
        }
        Ok(done)
    }

    /// Runs the operators of a query that has some, and hands their rows to the sink.
    async fn run_tail(&mut self, plan: &Plan, mut done: Done) -> Result<Done> {
        let (Some(memory), Some(mut writer)) = (&mut self.memory, done.writer.take()) else {
            return Ok(done);
        };
        let mut ran =
            memory.run(plan, std::mem::take(&mut done.gathered), self.tables.held(), &self.effort).await?;
        done.ledger.add(&ran.ledger);
        for rows in ran.rows.drain(..) {
            writer.write(rows).await?;
        }
        done.parts.push(writer.finish().await?);
        let seen: Vec<Option<i64>> = done.seen.iter().map(Survey::max_ms).collect();
        done.observed = Some(self.plan.observed(&seen));
        done.ran = Some(ran);
        Ok(done)
    }
}

/// Adds an empty lane for each input of which something is replayed and that has none; an epoch has at least one.
fn add_empty(streams: &mut Vec<(usize, source::Lane)>, replayed: impl Iterator<Item = u16>) {
    for input in replayed.map(usize::from) {
        if streams.iter().all(|(of, _)| *of != input) {
            streams.push((input, Box::pin(futures::stream::empty())));
        }
    }
    if streams.is_empty() {
        streams.push((0, Box::pin(futures::stream::empty())));
    }
}

/// Where the rows of an attempt come from.
enum Rows {
    /// Its inputs, by number.
    Read(Vec<(usize, source::Lane)>),
    /// What was computed for several queries.
    Shared(Arc<Product>),
}

impl Rows {
    fn lanes(&self) -> usize {
        match self {
            Self::Read(streams) => streams.len(),
            Self::Shared(product) => product.lanes.len(),
        }
    }
}

/// What an attempt computed.
#[derive(Default)]
pub(super) struct Done {
    ledger: Ledger,
    ages: Ages,
    /// The records of each input.
    reads: Vec<u64>,
    /// What they said of event time.
    seen: Vec<Survey>,
    /// What their expectations judged.
    judged: Vec<Judged>,
    /// What keys said last.
    said: LastValues,
    observed: Option<Observed>,
    /// For the operators' rows.
    writer: Option<Box<dyn LaneWriter>>,
    pub parts: Vec<Part>,
    gathered: Vec<Gathered>,
    ran: Option<Ran>,
}

impl Done {
    /// Of so many inputs, before anything was computed.
    pub fn of(inputs: usize) -> Self {
        Self {
            reads: vec![0; inputs],
            seen: vec![Survey::default(); inputs],
            judged: vec![Judged::default(); inputs],
            ..Self::default()
        }
    }

    /// Takes what a lane of an input counted, each record `later_ms` older.
    pub fn take(&mut self, input: usize, tally: &Tally, later_ms: u64) {
        self.ledger.add(&tally.ledger);
        self.ages.add_later(&tally.ages, later_ms);
        self.reads[input] += tally.ledger.read;
        self.seen[input].merge(&tally.seen);
        self.judged[input].add(&tally.judged);
    }
}
