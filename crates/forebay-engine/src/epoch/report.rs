//! What a query tells of itself: its state, where it stands, how much waits, and a progress report after each epoch.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::checkpoint::Plan;
use forebay_core::clock::millis;
use forebay_core::expectation::Spent;
use forebay_core::latency::Latency;
use forebay_core::progress::{Facts, SourceFacts, StreamingQueryProgress};
use forebay_core::sink::Written;
use forebay_core::source::Available;
use forebay_core::{Epoch, Ledger};

use super::inputs::of;
use super::{Memory, Runner, Standing};
use crate::quality::Quality;
use crate::status::{Failures, RECENT, Remembered, State};

/// What came of an epoch, for its progress report.
pub(super) struct Came {
    pub ledger: Ledger,
    /// As the outcome's.
    pub reads: Vec<u64>,
    pub written: Written,
}

/// How long the parts of an epoch took, for its progress report.
#[derive(Default)]
pub(super) struct Timings {
    pub started_ms: i64,
    pub latest_offset: Duration,
    pub wal_commit: Duration,
    pub add_batch: Duration,
    pub commit_offsets: Duration,
}

impl Runner {
    pub(super) fn set_state(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }

    /// Tells until when the trigger lets no epoch begin; `None` while it does not keep the query waiting.
    pub(super) fn waits_for_trigger(&self, delay: Option<Duration>) {
        let next_epoch_ms = delay.map(|delay| self.clock.now_ms().saturating_add(millis(delay)));
        self.status.send_modify(|status| {
            status.next_epoch_ms = next_epoch_ms;
            if next_epoch_ms.is_some() {
                status.state = State::Waiting;
            }
        });
    }

    /// What the query remembers, if it does; `before` is what was told last.
    fn remembered(&self, before: Option<&Remembered>) -> Option<Remembered> {
        let memory = self.memory.as_ref()?;
        let ahead = before.map_or(0, |before| before.ahead) + self.seen.ahead;
        Some(Remembered { ahead, ..memory.remembered() })
    }

    pub(super) fn publish_standing(&self, standing: &Standing) {
        let committed = standing.epoch.0.checked_sub(1).map(Epoch);
        self.status.send_modify(|status| {
            status.committed = committed;
            status.ledger = standing.ledger;
            status.quarantine_bytes = self.quarantine.bytes();
            status.remembered = self.memory.as_ref().map(Memory::remembered);
            self.count_failures(&mut status.expectations);
        });
    }

    /// Tells what the rows of its sources are held to; what failed is told once the checkpoint is read. A source that is read twice is there once.
    pub(crate) fn publish_expectations(&self) {
        let formats = self.plan.inputs().into_iter().zip(&self.formats);
        let mut all: Vec<Failures> = Vec::new();
        for (source, format) in formats {
            let expected = format.as_ref().map(|format| format.expectations()).unwrap_or_default();
            if all.iter().any(|it| &*it.source == source) {
                continue;
            }
            all.extend(expected.iter().map(|it| Failures {
                source: source.into(),
                expected: it.clone(),
                rows: 0,
                spent: Spent::default(),
            }));
        }
        let quality = self.quality.as_ref().map(Quality::past).unwrap_or_default();
        self.status.send_modify(|status| (status.expectations, status.quality) = (all, quality));
    }

    /// Tells how many rows failed each expectation in all epochs that were committed, and what it cost in this run.
    fn count_failures(&self, all: &mut [Failures]) {
        let Some(quality) = &self.quality else { return };
        let past = quality.past();
        let past = past.lock();
        for it in &mut *all {
            it.rows = past.total(&it.source).map_or(0, |total| total.of_rule(&it.expected.name));
        }
        let names = self.plan.inputs();
        for (number, (source, format)) in names.iter().zip(&self.formats).enumerate() {
            if names.iter().position(|other| other == source) != Some(number) {
                continue;
            }
            let of_source = all.iter_mut().filter(|it| &*it.source == *source);
            let spent = format.as_ref().map(|format| format.spent()).unwrap_or_default();
            of_source.zip(spent).for_each(|(it, spent)| it.spent = spent);
        }
    }

    /// Tells how much waits, by the newest ends that the source has heard of.
    pub(super) fn publish_lag(&mut self) {
        let heard = self.inputs.heard(self.lag.positions());
        self.lag.heard(heard);
        let records = self.lag.records();
        self.status.send_modify(|status| status.lag = records);
    }

    /// What each input gave.
    fn sources(&self, plan: &Plan, came: &Came, available: Option<&Available>) -> Vec<SourceFacts> {
        let (starts, ends) = (plan.starts(), plan.ends());
        let latest = available.map_or(&ends, |available| &available.ends);
        let source = |(input, description)| SourceFacts {
            description,
            starts: of(&starts, input),
            ends: of(&ends, input),
            latest: of(latest, input),
            rows: came.reads.get(input).copied().unwrap_or(came.ledger.read),
        };
        self.inputs.descriptions().into_iter().enumerate().map(source).collect()
    }

    pub(super) fn report(
        &self,
        plan: &Plan,
        standing: &Standing,
        came: &Came,
        timings: &Timings,
        available: Option<&Available>,
        latency: Option<Latency>,
    ) {
        let ledger = &came.ledger;
        let operators = self.memory.as_ref().map(Memory::operators).unwrap_or_default();
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
            sources: &self.sources(plan, came, available),
            sink: &self.sink.description(),
            written: came.written,
            ledger,
            total: &standing.ledger,
            event_time: self.memory.as_ref().map(|memory| (self.seen, memory.watermark())),
            state_operators: &operators,
            tables: &plan.tables,
        });
        tracing::debug!(query = %self.name, progress = %progress.to_json(), "epoch committed");
        let (progress, models) = (Arc::new(progress), self.plan.drifts());
        self.status.send_modify(|status| {
            status.committed = Some(plan.epoch);
            status.ledger = standing.ledger;
            status.run_ledger.add(ledger);
            status.run_epochs += 1;
            status.latency = latency.or(status.latency);
            status.quarantine_bytes = self.quarantine.bytes();
            status.quarantine_evicted = self.quarantine.evicted();
            status.remembered = self.remembered(status.remembered.as_ref());
            self.count_failures(&mut status.expectations);
            status.models = models;
            let recent = Arc::make_mut(&mut status.recent);
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(progress);
        });
    }
}
