//! One lane of one epoch: source → decode → query → sink, batch by batch, with nothing shared.
//!
//! ```text
//! Envelope ──decode──▶ rows ──SELECT──▶ rows ──▶ LaneWriter, or the lane's part of the first operator
//!               └─ bad ──▶ LaneQuarantine
//! ```
//!
//! A lane counts each fate where it is decided: bad records as the decoder returns them, refused rows in the
//! executor's filters, emitted records where their rows leave for the sink. What must stay true: a lane leaves
//! nothing visible; the epoch becomes visible when all its lanes are done.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StructArray, UInt32Array};
use arrow::datatypes::{Field, Schema};
use forebay_core::checkpoint::Plan;
use forebay_core::error::codes;
use forebay_core::event_time::Survey;
use forebay_core::format::{Decoded, Decoder, Of};
use forebay_core::last::LastValues;
use forebay_core::latency::Ages;
use forebay_core::quality::Judged;
use forebay_core::sink::{LaneWriter, Part};
use forebay_core::source::{self, Envelope};
use forebay_core::{Error, Ledger, Result};
use forebay_storage::kill_point;
use futures::{FutureExt, StreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::effort::Effort;
use super::replay;
use super::shared::Room;
use super::tail::{Gathered, Intake};
use crate::plan::{Executor, Fates, KAFKA_COLUMN};
use crate::quarantine::{Entry, LaneQuarantine};

/// What a lane needs for one epoch.
pub(crate) struct Lane {
    pub plan: Arc<Plan>,
    /// The name of the source that it reads.
    pub source: Arc<str>,
    pub executor: Executor,
    /// True if the query reads `_kafka`.
    pub wants_envelope: bool,
    /// `None` if the source's own columns are the rows.
    pub decoder: Option<Box<dyn Decoder>>,
    pub outlet: Outlet,
    pub quarantine: Aside,
}

/// Where bad records go.
pub(crate) enum Aside {
    /// Into the quarantine.
    Kept(LaneQuarantine),
    /// With the lane, for several queries.
    Gathered(Vec<Entry>, Room),
}

impl Aside {
    fn push(&mut self, entry: Entry) -> Result<()> {
        match self {
            Self::Kept(quarantine) => quarantine.push(&entry),
            Self::Gathered(entries, room) => {
                room.take(size_of::<Entry>() + entry.raw.as_ref().map_or(0, String::len))?;
                entries.push(entry);
                Ok(())
            }
        }
    }

    /// What was gathered; what was kept is durable.
    fn finish(self) -> Result<Vec<Entry>> {
        match self {
            Self::Kept(quarantine) => quarantine.finish().map(|()| Vec::new()),
            Self::Gathered(entries, _) => Ok(entries),
        }
    }
}

/// What a lane counted of its records.
#[derive(Debug)]
pub(crate) struct Tally {
    pub ledger: Ledger,
    /// The ages of its records as the epoch was planned; replayed ones count for nothing.
    pub ages: Ages,
    /// What its records said of event time.
    pub seen: Survey,
    /// What the expectations of its source judged.
    pub judged: Judged,
}

/// What a lane did.
pub(crate) struct LaneDone {
    pub tally: Tally,
    /// What keys said last, as far as its source holds them to that.
    pub said: LastValues,
    /// Its bad records, if they are not in the quarantine.
    pub bad: Vec<Entry>,
    pub end: LaneEnd,
}

/// Where a lane's rows go.
pub(crate) enum Outlet {
    /// To the sink.
    Sink(Box<dyn LaneWriter>),
    /// To the first operator.
    Operator(Box<Intake>),
}

/// What came of them.
pub(crate) enum LaneEnd {
    Written(Part),
    Gathered(Gathered),
}

impl Lane {
    /// Runs the lane: `alone` where its owner is, else on a task of its own. It ends with its owner: when one lane fails, the others
    /// must not go on writing.
    pub fn done(
        self,
        records: source::Lane,
        replayed: Vec<Entry>,
        alone: bool,
        effort: &Effort,
    ) -> impl Future<Output = Result<LaneDone>> {
        let (work, effort) = (Box::pin(self.run(records, replayed)), effort.clone());
        async move {
            if alone {
                let done = AssertUnwindSafe(work).catch_unwind().await;
                return done.unwrap_or_else(|_| Err(lost("a panic")));
            }
            AbortOnDropHandle::new(tokio::spawn(effort.beside(work))).await.map_err(lost)?
        }
    }

    /// Runs the lane to the end of its ranges. Quarantined records in `replayed` come first.
    async fn run(mut self, mut records: source::Lane, replayed: Vec<Entry>) -> Result<LaneDone> {
        let (mut ledger, mut ages) = (Ledger::default(), Ages::default());
        for envelope in replay::envelopes(&replayed)? {
            ledger.replayed += envelope.len() as u64;
            self.process(&envelope, Of::Replay, &mut ledger).await?;
        }
        drop(replayed);
        while let Some(envelope) = records.next().await {
            let envelope = envelope?;
            ages.add(self.plan.planned_at_ms, &envelope.timestamps);
            let of = Of::Partition(&envelope.partition);
            self.process(&envelope, of, &mut ledger).await?;
            kill_point("epoch.read.first_batch");
        }
        let bad = self.quarantine.finish()?;
        kill_point("quarantine.write.after");
        let end = match self.outlet {
            Outlet::Sink(writer) => LaneEnd::Written(writer.finish().await?),
            Outlet::Operator(intake) => LaneEnd::Gathered(intake.finish()?),
        };
        let told = self.decoder.map(|mut decoder| (decoder.said(), decoder.judged()));
        let (said, judged) = told.unwrap_or_default();
        let tally = Tally { ledger, ages, seen: *self.executor.survey(), judged };
        Ok(LaneDone { tally, said, bad, end })
    }

    /// Takes one envelope through the lane.
    async fn process(&mut self, envelope: &Envelope, of: Of<'_>, ledger: &mut Ledger) -> Result<()> {
        ledger.read += envelope.len() as u64;
        ledger.bytes_read += value_bytes(envelope);
        let (rows, bad) = match &mut self.decoder {
            None => (envelope.to_batch().map_err(internal)?, Vec::new()),
            Some(decoder) => {
                let decoded = decoder.decode_of(&envelope.values, of).map_err(|e| at_record(e, envelope))?;
                ledger.dropped += decoded.dropped;
                ledger.filtered += decoded.filtered;
                let bad = decoded.bad.clone();
                let rows = if self.wants_envelope { with_envelope(decoded, envelope)? } else { decoded.rows };
                (rows, bad)
            }
        };
        ledger.quarantined += bad.len() as u64;
        for record in &bad {
            self.quarantine.push(replay::entry(envelope, record, &self.source, &self.plan))?;
        }
        let mut fates = Fates::default();
        self.executor.take(rows);
        while let Some(rows) = self.executor.next(&mut fates).map_err(|e| among_records(e, envelope))? {
            match &mut self.outlet {
                Outlet::Sink(writer) => {
                    ledger.rows_out += rows.batch.num_rows() as u64;
                    writer.write(rows.batch).await?;
                }
                Outlet::Operator(intake) => intake.take(rows).map_err(|e| among_records(e, envelope))?,
            }
        }
        ledger.filtered += fates.filtered;
        ledger.unmatched += fates.unmatched;
        if matches!(self.outlet, Outlet::Sink(_)) {
            ledger.emitted += fates.emitted;
        }
        Ok(())
    }
}

fn lost(why: impl Display) -> Error {
    Error::new(&codes::INTERNAL, "a lane of the epoch ended unexpectedly").with_detail(why)
}

fn value_bytes(envelope: &Envelope) -> u64 {
    // The low 32 bits of a view are the length of its value.
    envelope.values.views().iter().map(|view| u64::from(*view as u32)).sum()
}

/// Puts Kafka's own columns beside the decoded ones, as the struct `_kafka`.
pub fn with_envelope(decoded: Decoded, envelope: &Envelope) -> Result<RecordBatch> {
    let all = envelope.to_batch().map_err(internal)?;
    let kept = match decoded.kept {
        None => all,
        Some(kept) => arrow::compute::take_record_batch(&all, &UInt32Array::from(kept)).map_err(internal)?,
    };
    let kafka: ArrayRef = Arc::new(StructArray::from(kept));
    let mut fields = decoded.rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(KAFKA_COLUMN, kafka.data_type().clone(), false)));
    let mut columns = decoded.rows.columns().to_vec();
    columns.push(kafka);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
}

fn at_record(error: Error, envelope: &Envelope) -> Error {
    // A decoder that stops names the index of the record in its place; users know records by their offsets.
    let index: Option<usize> = error.place().and_then(|place| place.strip_prefix("record ")?.parse().ok());
    match index.and_then(|index| envelope.offsets.get(index)) {
        Some(offset) => error.at(format!("{}, offset {offset}", envelope.partition)),
        None => error,
    }
}

/// Adds the records among which a row could not be computed to what the executor knows: column or condition.
fn among_records(error: Error, envelope: &Envelope) -> Error {
    let (Some(first), Some(last)) = (envelope.offsets.first(), envelope.offsets.last()) else { return error };
    let what = error.place().map(|what| format!("{what}, ")).unwrap_or_default();
    error.at(format!("{what}{}, offsets {first} to {last}", envelope.partition))
}

pub(crate) fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "an epoch's columns do not fit together").caused_by(error)
}
