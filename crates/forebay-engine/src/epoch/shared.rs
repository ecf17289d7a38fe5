//! Epochs that a query has in common with others over its source ([`crate::share`]): the product of a span is computed by the lanes of
//! whoever comes first, and poured into the sink of each.
//!
//! What must stay true: what a query counts, sets aside and writes of such an epoch is what its own lanes would have; and an epoch of
//! which there is no product is read as any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::checkpoint::Plan;
use forebay_core::error::codes;
use forebay_core::sink::{LaneWriter, Part};
use forebay_core::{Error, PositionRange, Result};
use forebay_storage::kill_point;
use futures::future::try_join_all;

use super::Runner;
use super::attempt::Done;
use super::lane::{Aside, Lane, LaneDone, LaneEnd, Outlet};
use crate::quarantine::Entry;
use crate::share::{Lacks, LaneProduct, Product, Seat};

/// Most bytes that a product may take, where columns that lie in the same memory count for each.
const ROOM: usize = 128 << 20;

impl Runner {
    /// The product of the epoch's span, if it has one; it is read from these ranges.
    pub(super) async fn product(
        &mut self,
        plan: &Arc<Plan>,
        ranges: &[PositionRange],
    ) -> Option<Arc<Product>> {
        let seat = self.seat.take()?;
        let product = match seat.span(&plan.ranges) {
            Some(span) if plan.replay.is_empty() => {
                let computing = async {
                    self.compute(plan, ranges, &seat).await.map_err(|(lacks, error)| {
                        tracing::debug!(query = %self.name, epoch = %plan.epoch, %error, "an epoch is not shared");
                        lacks
                    })
                };
                seat.product(&span, computing).await
            }
            _ => None,
        };
        self.seat = Some(seat);
        if product.is_some() {
            self.inputs.passed(&plan.ranges);
        }
        product
    }

    /// Reads what the epoch reads, for all.
    async fn compute(
        &mut self,
        plan: &Arc<Plan>,
        ranges: &[PositionRange],
        seat: &Seat,
    ) -> Result<Product, (Lacks, Error)> {
        let room = Room::of(ROOM);
        let failed = |error| (if room.is_over() { Lacks::Room } else { Lacks::Cause }, error);
        let streams = self.inputs.read(ranges, self.lanes).await.map_err(failed)?;
        let input = seat.plan().only_input().map_err(failed)?;
        let format = self.formats.first().cloned().flatten();
        if streams.is_empty() {
            return Err(failed(Error::new(&codes::INTERNAL, "there is nothing to read")));
        }
        let alone = streams.len() == 1;
        let lanes = streams.into_iter().map(|(_, stream)| {
            let lane = Lane {
                plan: Arc::clone(plan),
                source: input.source().into(),
                executor: input.executor(plan.planned_at_ms),
                wants_envelope: input.wants_envelope(),
                decoder: format.as_ref().map(|format| format.decoder()),
                outlet: Outlet::Sink(Box::new(Collected { batches: Vec::new(), room: room.clone() })),
                quarantine: Aside::Gathered(Vec::new(), room.clone()),
            };
            lane.done(stream, Vec::new(), alone, &self.effort)
        });
        let lanes = try_join_all(lanes).await.map_err(failed)?;
        // A topic that was made anew meanwhile is nobody's product.
        self.inputs.confirm(&plan.ranges).await.map_err(failed)?;
        let product = |done: LaneDone| {
            let LaneDone { tally, bad, end, .. } = done;
            let collected = match end {
                LaneEnd::Written(part) => part.downcast::<Vec<RecordBatch>>().ok(),
                LaneEnd::Gathered(_) => None,
            };
            let batches = collected.ok_or_else(|| {
                failed(Error::new(&codes::INTERNAL, "a lane of a product did not gather its rows"))
            })?;
            Ok(LaneProduct { batches: *batches, tally, bad })
        };
        let lanes = lanes.into_iter().map(product).collect::<Result<_, _>>()?;
        Ok(Product { planned_at_ms: plan.planned_at_ms, lanes })
    }

    /// Gives the sink its columns of a product, lane by lane.
    pub(super) async fn pour(
        &mut self,
        plan: &Plan,
        product: &Product,
        writers: Vec<Box<dyn LaneWriter>>,
    ) -> Result<Done> {
        let Some(seat) = &self.seat else {
            return Err(Error::new(&codes::INTERNAL, "a product without a seat").at(&self.name));
        };
        let mut done = Done::of(1);
        let later_ms = u64::try_from(plan.planned_at_ms.saturating_sub(product.planned_at_ms)).unwrap_or(0);
        for (number, (lane, mut writer)) in product.lanes.iter().zip(writers).enumerate() {
            let mut quarantine = self.quarantine.writer(plan.epoch, number);
            for bad in &lane.bad {
                quarantine.push(&Entry { epoch: plan.epoch, at: plan.planned_at_ms, ..bad.clone() })?;
            }
            quarantine.finish()?;
            kill_point("quarantine.write.after");
            writer.lent();
            for batch in &lane.batches {
                writer.write(seat.columns(batch)?).await?;
            }
            done.parts.push(writer.finish().await?);
            done.take(0, &lane.tally, later_ms);
        }
        Ok(done)
    }
}

/// How many bytes a product may still take, for all of its lanes.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes so many; fails for good once there are not enough.
    pub fn take(&self, bytes: usize) -> Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.checked_sub(bytes).filter(|left| *left > 0).unwrap_or(0))
        });
        match left {
            Ok(left) if left > bytes => Ok(()),
            _ => {
                Err(Error::new(&codes::INTERNAL, "what several queries read together takes too much memory"))
            }
        }
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// The rows of a lane, for all queries.
struct Collected {
    batches: Vec<RecordBatch>,
    room: Room,
}

#[async_trait]
impl LaneWriter for Collected {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.room.take(batch.get_array_memory_size())?;
        self.batches.push(batch);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(Box::new(self.batches))
    }
}
